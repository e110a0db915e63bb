# shellcheck shell=bash disable=SC2154
# Something like a pod behind a light board (lib/light.sh), without a container runtime.

pod_up() { # BOARD ADDRESS4 ADDRESS6: a namespace like a pod's, linked as the plugin does
	extra+=("$1"pod)
	netns_add "$N$1"pod
	ip -n "$N$1" link add hth0 type veth peer name eth0 netns "$N${1}pod"
	ip -n "$N$1" link set hth0 up
	in_ns "$1" sh -c "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		ip addr add 169.254.1.1/32 dev hth0; ip -6 addr add fe80::1/64 dev hth0 nodad; ip route add $2 dev hth0; ip -6 route add $3 dev hth0"
	in_ns "${1}pod" sh -c "ip link set lo up; ip link set eth0 up; ip addr add $2/32 dev eth0; ip addr add $3/128 dev eth0 nodad
		ip route add 169.254.1.1 dev eth0; ip route add default via 169.254.1.1; ip -6 route add default via fe80::1 dev eth0"
}
