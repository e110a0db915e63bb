# shellcheck shell=bash disable=SC2154
# The mesh's interface, by its name and in its place.

scene device_renamed "hearth0 is renamed (udev, a .link file)"
device_renamed() {
	did "b: ip link set hearth0 name lan7" ip -n "${N}b" link set hearth0 name lan7
	right 5 "it has its name back" sh -c "ip -n ${N}b link show hearth0 && ! ip -n ${N}b link show lan7"
	right 5 "packets flow" ping_to b "${ip4[a]}"
	logged b 1 "interface hearth0 was renamed to lan7 by another program; it has its name back"
	check "no problem is left" says b "s['problems']==[]"
}

scene device_name_taken "hearth0 is renamed, and its name goes to another link" long
device_name_taken() {
	did "b: another hearth0" sh -c "ip -n ${N}b link add hd0 type veth peer name hd1; ip -n ${N}b -batch - <<-X
		link set hearth0 name lan7
		link set hd0 name hearth0
	X"
	right 5 "the problem says what has the name" says b "any('renamed to lan7' in p and 'name of another link now' in p and 'veth' in p for p in s['problems'])"
	check "the other link is left alone" sh -c "! ip -n ${N}b addr show hearth0 | grep -q inet"
	did "b: the other link goes" ip -n "${N}b" link del hearth0
	right 5 "it has its name back" sh -c "ip -n ${N}b link show hearth0 && ! ip -n ${N}b link show lan7"
	right 5 "packets flow" ping_to b "${ip4[a]}"
	right 5 "no problem is left" says b "s['problems']==[]"
	logged b 1 "warning: .*renamed to lan7"
	logged b 1 "it has its name back"
}

scene device_left "hearthd dies, hearth0 is renamed, hearthd starts"
device_left() {
	stop b KILL
	did "b: killed, renamed, started" ip -n "${N}b" link set hearth0 name lan7
	start b
	right 20 "packets flow" ping_to b "${ip4[a]}"
	check "there is one device" sh -c "[ \$(ip -n ${N}b -d link | grep -c ' tun ') -eq 1 ] && ip -n ${N}b link show hearth0"
	logged b 1 "hearth0 was renamed to lan7 while hearthd did not run; it has its name back"
}

scene device_moved "hearth0 is moved into another network namespace" long
device_moved() {
	ip netns add "${N}x"
	did "b: ip link set hearth0 netns x" ip -n "${N}b" link set hearth0 netns "${N}x"
	right 5 "there is another" ip -n "${N}b" link show hearth0
	right 20 "packets flow" ping_to b "${ip4[a]}"
	check "the old one is gone" sh -c "! ip -n ${N}x link show hearth0 2>/dev/null"
	logged b 1 "moved to another network namespace; making it again"
	ip netns del "${N}x"
}

scene device_removed "hearth0 is removed" long
device_removed() {
	did "b: ip link del hearth0" ip -n "${N}b" link del hearth0
	right 20 "packets flow" ping_to b "${ip4[a]}"
	logged b 1 "hearth0 was removed; making it again"
}

scene device_changed "somebody changes hearth0: down, MTU, addresses, routes" long
device_changed() {
	did "c: ip link set hearth0 down" ip -n "${N}c" link set hearth0 down
	right 5 "packets flow" ping_to c "${ip4[a]}"
	logged c 1 "another program changed interface hearth0: taken down"
	did "c: mtu 600" ip -n "${N}c" link set hearth0 mtu 600
	right 5 "MTU 1420" sh -c "ip -n ${N}c link show hearth0 | grep -q 'mtu 1420'"
	logged c 1 "another program changed interface hearth0: MTU"
	did "c: ip addr flush dev hearth0" ip -n "${N}c" addr flush dev hearth0
	right 5 "packets flow" ping_to c "${ip4[a]}"
	right 5 "over IPv6, too" ping_to c "${ip6[a]}"
	logged c 1 "another program changed interface hearth0: addresses"
}

scene route_replaced "a route of ours is replaced by somebody's" long
route_replaced() {
	did "c: ip route replace ${ip4[a]} via 192.0.2.1" ip -n "${N}c" route replace "${ip4[a]}" via 192.0.2.1
	right 5 "ours is back" sh -c "ip -n ${N}c route show ${ip4[a]} | grep -q 'dev hearth0'"
	right 5 "packets flow" ping_to c "${ip4[a]}"
	logged c 1 "another program changed interface hearth0: routes"
}
