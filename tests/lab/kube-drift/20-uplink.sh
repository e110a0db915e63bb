# shellcheck shell=bash disable=SC2154,SC2016
# What comes from the router, and what the kernel has.

scene dns_server "the router hands out another DNS server"
dns_server() {
	servers() { kc -n default exec names -- /bin/busybox cat /etc/resolv.conf 2>&1; }
	asks_server() { servers | holds "^nameserver $1\$" || { servers; return 1; }; }
	new_pod() { # as CoreDNS is: with the board's own servers
		pod_starts pi3 names 'dnsPolicy: Default'
		until_ok 30 pod_runs names
	}
	on pi3 sh -c 'resolvectl dns eth0 192.0.2.53 && hearth reload' # instead of waiting for the minute's round
	follows() { on pi3 grep -qx 'nameserver 192.0.2.53' /etc/hearth/kubeadm/resolv.conf; }
	check "hearthd follows" soon 30 follows
	check "and says what becomes of running pods" soon 20 on pi3 sh -c 'journalctl -q -u hearthd | grep "new pods ask the name servers\\? .*192.0.2.53 now; those that run, CoreDNS among them"'
	new_pod
	check "a new pod asks it" soon 30 asks_server 192.0.2.53
	on pi3 sh -c 'resolvectl revert eth0 && hearth reload'
	pod_ends names
}

scene no_dns "and then none, and is itself away"
no_dns() {
	local was
	was=$(on pi4-4g-a grep ^nameserver /etc/hearth/kubeadm/resolv.conf)
	on pi4-4g-a sh -c 'ip -4 route show default >/root/route; ip -6 route show default >/root/route6
		mv /etc/systemd/resolved.conf.d/lab.conf /root/; systemctl restart systemd-resolved
		ip -4 route del default; ip -6 route del default; hearth reload'
	kept() { [ "$(on pi4-4g-a grep ^nameserver /etc/hearth/kubeadm/resolv.conf)" = "$was" ]; }
	nobody() { ! on pi4-4g-a grep ^nameserver /run/systemd/resolve/resolv.conf; }
	check "the board has no name server and no router" nobody
	enrolls pi4-4g-a "says that pods keep those they had" 'names no DNS server now and has no router; pods keep asking'
	check "which stand in the file still" kept
	echo "$was" | quote
	# a board that never had any
	on pi4-4g-a rm /etc/hearth/kubeadm/resolv.conf
	enrolls pi4-4g-a "says what pods miss" 'find no names outside the cluster'
	tells pi4-4g-a 'no names outside the cluster'
	pod_starts pi4-4g-a names 'dnsPolicy: Default'
	check "a pod with the board's own servers, as CoreDNS is, starts all the same" soon 30 pod_runs names
	pod_ends names
	on pi4-4g-a sh -c 'mv /root/lab.conf /etc/systemd/resolved.conf.d/; systemctl restart systemd-resolved
		ip -4 route add $(cat /root/route); ip -6 route add $(cat /root/route6); hearth reload'
	check "with a server again it is written by itself" soon 20 kept
	tells_no_more pi4-4g-a 'no names outside'
}

scene no_ipv6 "IPv6 is switched off by sysctl" long
no_ipv6() {
	node_has() { [ "$(kc get node pi4-4g-a -o 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}')" = "$1" ]; }
	on pi4-4g-a sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	on pi4-4g-a hearth reload
	mesh_has_it() { on pi4-4g-a ip -6 -o addr show hearth0 | grep "$(mesh_address pi4-4g-a 6)"; }
	check "the mesh puts its own addresses back" soon 30 mesh_has_it
	on pi4-4g-a systemctl restart kubelet
	pod_starts pi4-4g-a six
	check "a new pod starts" soon 30 pod_runs six
	pod_field six '.status.podIPs[*].ip' | quote
	echo
	check "the Node has both addresses" node_has "$(mesh_address pi4-4g-a 4) $(mesh_address pi4-4g-a 6)"
	on pi4-4g-a hearth status | quote
	pod_ends six
	on pi4-4g-a sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0
}
