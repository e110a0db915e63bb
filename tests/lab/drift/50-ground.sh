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
