# shellcheck shell=bash disable=SC2154
# What Hearth stands on and others set: forwarding, rules, routes.

forwarding() { in_ns b sh -c "echo $1 >/proc/sys/net/ipv4/ip_forward; echo $1 >/proc/sys/net/ipv6/conf/all/forwarding"; }

scene forwarding_off "sysctl net.ipv4.ip_forward=0, as a hardening script does"
forwarding_off() {
	forwarding 1
	in_ns b ip link add hth0000000001 type veth peer name podside	# a pod's link
	kill -HUP "${pid[b]}"
	right 10 "it is seen to be on" said_enough b 1 "configuration read again"
	right 5 "and no problem" says b "s['problems']==[]"
	did "b: both families' forwarding off" forwarding 0
	right 5 "a problem says so, and what to do" says b "any('forwarding off' in p and 'net.ipv4.ip_forward=1' in p and 'ipv6.conf.all' in p for p in s['problems'])"
	did "b: on again" forwarding 1
	right 5 "the problem is gone" says b "s['problems']==[]"
	logged b 1 "warning: pods of this board are cut off: another"
	logged b 1 "no longer so, .*pods of this board are cut off: another"
	did "b: off while hearthd starts" forwarding 0
	stop b
	start b
	right 20 "nobody is accused" says b "any('forwarding is off (enroll-node' in p for p in s['problems']) and not any('another program' in p for p in s['problems'])"
	forwarding 1
	right 10 "the mesh is whole" whole
	ip -n "${N}b" link del hth0000000001
}

scene boot_file "a file turns forwarding off at the next boot"
boot_file() {
	mkdir -p "$T/b/sysctl.d"
	did "b: 60-hearth.conf and 99-hardening.conf" sh -c "echo net/ipv4/ip_forward = 1 >$T/b/sysctl.d/60-hearth.conf; echo net.ipv4.ip_forward=0 >$T/b/sysctl.d/99-hardening.conf; kill -HUP ${pid[b]}"
	right 5 "a problem names the file" says b "any('at the next boot' in p and '99-hardening.conf sets net.ipv4.ip_forward to 0' in p for p in s['problems'])"
	did "b: it goes" sh -c "rm $T/b/sysctl.d/99-hardening.conf; kill -HUP ${pid[b]}"
	right 5 "the problem is gone" says b "s['problems']==[]"
	rm -r "$T/b/sysctl.d"
	logged b 1 "warning: pods of this board will be cut off at the next boot"
	logged b 1 "no longer so, .*pods of this board will be cut off"
}

scene forward_drops "Docker's policy for forwarded packets is DROP; a chain for people lets pods through"
forward_drops() {
	did "b: as Docker leaves it" in_ns b nft -f - <<-X
		table ip filter {
			chain DOCKER-USER { counter return; }
			chain FORWARD { type filter hook forward priority filter; policy drop; counter jump DOCKER-USER; oifname "docker0" ct state established accept; }
		}
	X
	kill -HUP "${pid[b]}"
	right 10 "it is seen" said_enough b 1 "configuration read again"
	check "and no problem on a board without Kubernetes and pods" says b "s['problems']==[]"
	did "b: a pod, such as podman's" ip -n "${N}b" link add hth0000000001 type veth peer name podside
	kill -HUP "${pid[b]}"
	right 5 "a problem says whose it is" says b "any('Docker' in p and 'IPv4,' in p and 'enroll-node --fix' in p for p in s['problems'])"
	did "b: one way is not enough" in_ns b nft add rule ip filter DOCKER-USER iifname '"hth*"' accept
	kill -HUP "${pid[b]}"
	right 10 "it stays" said_enough b 3 "configuration read again"
	check "a problem still" says b "any('Docker' in p for p in s['problems'])"
	did "b: and back" in_ns b nft add rule ip filter DOCKER-USER oifname '"hth*"' counter accept
	kill -HUP "${pid[b]}"
	right 5 "the problem is gone" says b "s['problems']==[]"
	did "b: ufw's instead, of both families" in_ns b nft -f - <<-X
		delete table ip filter
		table ip filter {
			chain ufw-user-forward { }
			chain FORWARD { type filter hook forward priority filter; policy drop; jump ufw-user-forward; }
		}
		table ip6 filter {
			chain ufw6-user-forward { }
			chain FORWARD { type filter hook forward priority filter; policy drop; jump ufw6-user-forward; }
		}
	X
	kill -HUP "${pid[b]}"
	right 5 "a problem says so" says b "any('ufw drops' in p and 'IPv4 and IPv6' in p for p in s['problems'])"
	did "b: a rule of both directions by address, and one without a condition" in_ns b sh -c 'nft add rule ip filter ufw-user-forward ip saddr 10.244.0.0/16 accept; nft add rule ip6 filter FORWARD counter accept'
	kill -HUP "${pid[b]}"
	right 5 "the problem is gone" says b "s['problems']==[]"
	did "b: ufw's, for what comes in" in_ns b nft -f - <<-X
		add chain ip filter ufw-user-input
		add chain ip filter INPUT { type filter hook input priority filter; policy drop; }
		add rule ip filter INPUT iifname { "eth0", "lo" } accept
		add rule ip filter INPUT jump ufw-user-input
	X
	kill -HUP "${pid[b]}"
	right 5 "a problem says what does not work" says b "any('kubectl logs' in p and '(IPv4, policy of INPUT)' in p and 'ufw allow in on hearth0' in p for p in s['problems'])"
	did "b: which by link or by range lets in the mesh" in_ns b nft add rule ip filter ufw-user-input ip saddr 10.77.0.0/16 accept
	kill -HUP "${pid[b]}"
	right 5 "the problem is gone" says b "s['problems']==[]"
	did "b: somebody's own" in_ns b nft -f - <<-X
		delete table ip filter
		delete table ip6 filter
		table inet filter {
			chain forward { type filter hook forward priority filter; policy drop; tcp dport 22 accept; }
		}
	X
	kill -HUP "${pid[b]}"
	right 5 "a problem says where" says b "any('chain FORWARD in table filter' in p for p in s['problems'])"
	did "b: no pod any more, but kubelet and kubeadm are installed" sh -c "mkdir $T/b/kubernetes; ip -n ${N}b link del hth0000000001; kill -HUP ${pid[b]}"
	right 10 "it is seen" said_enough b 10 "configuration read again"
	check "a problem still" says b "any('chain FORWARD in table filter' in p for p in s['problems'])"
	rmdir "$T/b/kubernetes"
	in_ns b nft delete table inet filter
	kill -HUP "${pid[b]}"
	right 10 "all is well" says b "s['problems']==[]"
	logged b 3 "warning: pods of this board are cut off:"
	logged b 3 "no longer so, .*pods of this board are cut off:"
}

scene rule_steals "a routing rule of another program takes the mesh's packets" long
rule_steals() {
	did "c: ip rule to 10.77.0.0/16 lookup 99, where all goes elsewhere" ip -n "${N}c" -batch - <<-X
		route add default via 192.0.2.1 table 99
		rule add to 10.77.0.0/16 lookup 99 pref 99
	X
	right 5 "a problem says so" says c "any('packets for a leave by interface eth0' in p and 'ip rule' in p for p in s['problems'])"
	did "c: it goes" ip -n "${N}c" rule del pref 99
	right 5 "the problem is gone" says c "s['problems']==[]"
	right 5 "packets flow" ping_to c "${ip4[a]}"
	logged c 1 "warning: packets for a leave by interface eth0"
	logged c 1 "no longer so, .*packets for a leave"
}

scene rp_filter "rp_filter strict everywhere" long
rp_filter() {
	did "b: rp_filter=1 on all and hearth0" in_ns b sh -c 'for f in all hearth0 eth0; do echo 1 >/proc/sys/net/ipv4/conf/$f/rp_filter; done'
	right 5 "packets flow all the same" whole
	in_ns b sh -c 'for f in all hearth0 eth0; do echo 0 >/proc/sys/net/ipv4/conf/$f/rp_filter; done'
	logged b 0 .
}

accept_ra() { in_ns c sh -c "echo $1 >/proc/sys/net/ipv6/conf/eth0/accept_ra; kill -HUP ${pid[c]}"; }
scene adverts_unheard "accept_ra is 1 where something forwards: the address that a router gave will expire" long
adverts_unheard() {
	in_ns c sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	accept_ra 1
	right 5 "addresses without an end are no matter" says c "s['problems']==[]"
	did "c: eth0 has an address from a router" in_ns c ip addr add 2001:db8:7::99/64 dev eth0 valid_lft 1000 preferred_lft 900 nodad
	accept_ra 1
	right 5 "a problem says so" says c "any('address and default route of eth0 will expire' in p and 'net.ipv6.conf.eth0.accept_ra=2' in p for p in s['problems'])"
	did "c: accept_ra=2" accept_ra 2
	right 5 "the problem is gone" says c "s['problems']==[]"
	did "c: accept_ra=0: a network manager hears the router" accept_ra 0
	did "c: forwarding off, accept_ra=1" in_ns c sh -c 'echo 0 >/proc/sys/net/ipv6/conf/all/forwarding'
	accept_ra 1
	in_ns c ip addr del 2001:db8:7::99/64 dev eth0
	right 5 "no problem" says c "s['problems']==[]"
	logged c 1 "warning: the IPv6 address and default route of eth0"
	logged c 1 "no longer so, .*the IPv6 address and default route"
}
