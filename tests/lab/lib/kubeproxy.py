#!/usr/bin/env python3
"""kubeproxy.py NODE-ADDRESS... < SERVICES - the nftables rules of kube-proxy 1.37 (mode nftables), without a cluster.

SERVICES holds lines: NAME CLUSTER-IP PORT NODE-PORT|- ENDPOINT PORT, IPv4 and IPv6. Hooks, priorities, the marks and
the maps are kube-proxy's, and so is who is masqueraded with `detectLocal: {mode: InterfaceNamePrefix}` (hth):
whoever does not come in by a pod's link, whoever asks a NodePort, and an endpoint that asks itself.
"""
import sys

services = [line.split() for line in sys.stdin if line.strip()]

for family, kind, is_ours in ("ip", "ipv4_addr", lambda a: ":" not in a), ("ip6", "ipv6_addr", lambda a: ":" in a):
    nodes = ", ".join(a for a in sys.argv[1:] if is_ours(a))
    chains, ips, ports = [], [], []
    for name, ip, port, node_port, endpoint, to in services:
        if not is_ours(ip):
            continue
        target = "%s:%s" % (endpoint, to) if family == "ip" else "[%s]:%s" % (endpoint, to)
        for proto in "tcp", "udp":
            n = "%s-%s" % (name, proto)
            chains.append("chain endpoint-%s { %s saddr %s jump mark-for-masquerade; meta l4proto %s dnat to %s; }"
                          % (n, family, endpoint, proto, target))
            chains.append("chain service-%s { %s daddr %s %s dport %s iifname != \"hth*\" jump mark-for-masquerade; "
                          "numgen random mod 1 vmap { 0 : goto endpoint-%s }; }" % (n, family, ip, proto, port, n))
            ips.append("%s . %s . %s : goto service-%s" % (ip, proto, port, n))
            if node_port != "-":
                chains.append("chain external-%s { jump mark-for-masquerade; goto service-%s; }" % (n, n))
                ports.append("%s . %s : goto external-%s" % (proto, node_port, n))
    print("""
table %(family)s kube-proxy {
	chain mark-for-masquerade { mark set mark or 0x4000; }
	%(chains)s
	map service-ips { type %(kind)s . inet_proto . inet_service : verdict; elements = { %(ips)s }; }
	map service-nodeports { type inet_proto . inet_service : verdict; elements = { %(ports)s }; }
	set nodeport-ips { type %(kind)s; elements = { %(nodes)s }; }
	chain services {
		%(family)s daddr . meta l4proto . th dport vmap @service-ips
		%(family)s daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
	}
	chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
	chain nat-output { type nat hook output priority -100; policy accept; jump services; }
	chain nat-postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		mark and 0x4000 == 0 return
		mark set mark xor 0x4000
		masquerade fully-random
	}
}""" % {"family": family, "kind": kind, "nodes": nodes, "chains": "\n\t".join(chains), "ips": ", ".join(ips),
        "ports": ", ".join(ports)})
