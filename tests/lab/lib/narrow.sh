# shellcheck shell=bash disable=SC2034,SC2154
# Light boards (lib/light.sh, sourced before), of which b lives behind two routers with a link between them that can be
# narrow. What does not fit there is fragmented by the routers (IPv4 without DF) or dropped, with a word by ICMP or without.
#
#     a (coordinator) ---+                       near      mid  mid         far
#     c ------------------ sw (192.0.2.0/24) -------- r1 ------------ r2 --------- b (203.0.113.12)
#                                                  .50    198.51.100.0/30     .1
eval "$(declare -f net_up | sed '1s/net_up/flat_up/')"
net_up() {
	flat_up
	ip -n "${N}b" link del eth0
	netns_add "${N}r1" "${N}r2"
	extra+=(r1 r2)
	ip -n "${N}r1" link add near type veth peer name pr netns "${N}sw"
	ip -n "${N}r1" link add mid type veth peer name mid netns "${N}r2"
	ip -n "${N}r2" link add far type veth peer name eth0 netns "${N}b"
	in_ns sw ip link set pr master br0 up
	in_ns r1 sh -c 'ip link set lo up; ip link set near up; ip link set mid up; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
		ip addr add 192.0.2.50/24 dev near; ip addr add 2001:db8:7::50/64 dev near nodad; ip addr add 198.51.100.1/30 dev mid; ip route add 203.0.113.0/24 via 198.51.100.2'
	in_ns r2 sh -c 'ip link set lo up; ip link set far up; ip link set mid up; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
		ip addr add 203.0.113.1/24 dev far; ip addr add 2001:db8:8::1/64 dev far nodad; ip addr add 198.51.100.2/30 dev mid; ip route add 192.0.2.0/24 via 198.51.100.1'
	in_ns b sh -c 'ip link set eth0 up; ip addr add 203.0.113.12/24 dev eth0; ip addr add 2001:db8:8::12/64 dev eth0 nodad
		ip route add default via 203.0.113.1; ip -6 route add default via 2001:db8:8::1'
	wan[b]=203.0.113.12
	for n in a c; do in_ns $n sh -c 'ip route add 203.0.113.0/24 via 192.0.2.50; ip -6 route add 2001:db8:8::/64 via 2001:db8:7::50'; done
	middle6
}
# A link that was narrower than IPv6's least has lost its addresses.
middle6() {
	in_ns r1 sh -c 'ip addr replace 2001:db8:9::1/64 dev mid nodad; ip -6 route replace 2001:db8:8::/64 via 2001:db8:9::2'
	in_ns r2 sh -c 'ip addr replace 2001:db8:9::2/64 dev mid nodad; ip -6 route replace 2001:db8:7::/64 via 2001:db8:9::1'
}
narrow() { # MTU [hole]: of the link in the middle; "hole": nobody is told of what does not fit
	local r
	for r in r1 r2; do
		in_ns $r ip link set mid mtu "$1"
		in_ns $r nft -f - <<-N
			table inet hole
			delete table inet hole
			table inet hole { chain out { type filter hook output priority 0;
				$([ "${2:-}" != hole ] || echo 'icmp type destination-unreachable icmp code frag-needed counter drop
				icmpv6 type packet-too-big counter drop')
			}
			}
		N
	done
	[ "$1" -lt 1280 ] || middle6
}
only() { # 4|6: the other family carries no UDP
	local other=4
	[ "$1" = 6 ] || other=6
	in_ns r1 nft "table inet only
		delete table inet only
		table inet only { chain f { type filter hook forward priority 0; meta nfproto ipv$other meta l4proto udp drop; }; }"
}
over() { # 4|6: a and b reach each other by that family
	local is='!='
	[ "$1" = 4 ] || is='=='
	both_ends "(p['endpoint'] or '-')[0] $is '['"
}
both_ends() { # EXPRESSION of the peer p: true of b at a, and of a at b
	says a "[$1 for p in s['peers'] if p['name'] == 'b'] == [True]" && says b "[$1 for p in s['peers'] if p['name'] == 'a'] == [True]"
}
mtu_is() { both_ends "p['mtu'] == $1"; }
# What the kernel has for IPv4; for IPv6 it has 1280 at least.
routes_are() { # MTU
	[ "$(in_ns a ip route show "${ip4[b]}" | sed -n 's/.* mtu \([0-9]*\).*/\1/p')" = "$1" ] &&
		[ "$(in_ns b ip -6 route show "${ip6[a]}" | sed -n 's/.* mtu \([0-9]*\).*/\1/p')" = $(($1 < 1280 ? 1280 : $1)) ]
}

# 1 MiB there and back, in SECONDS at most; what a has on a's side and b on b's is not looked into
mebibyte() { # FROM TO ADDRESS [SECONDS]
	local said=1
	: >"$T/mebibyte"
	in_ns "$2" timeout 60 python3 -u - "$3" >"$T/mebibyte" <<-'P' &
		import socket, sys
		six = ":" in sys.argv[1]
		s = socket.create_server(("::" if six else "0.0.0.0", 7002), family=socket.AF_INET6 if six else socket.AF_INET)
		print("ready")
		c, _ = s.accept()
		got = b""
		while len(got) < 1 << 20: got += c.recv(1 << 16) or sys.exit("it ended early")
		c.sendall(got[::-1])
		c.recv(1)
	P
	until_ok 10 grep -q ready "$T/mebibyte"
	in_ns "$1" timeout "${4:-10}" python3 - "$3" <<-'P' && said=0
		import random, socket, sys, time
		start, data = time.monotonic(), random.randbytes(1 << 20)
		c = socket.create_connection((sys.argv[1], 7002))
		c.sendall(data)
		back = b""
		while len(back) < 1 << 20: back += c.recv(1 << 16) or sys.exit("it ended early")
		if back[::-1] != data: sys.exit("it is not what was sent")
		print("%.2f s" % (time.monotonic() - start))
	P
	kill %% 2>/dev/null
	wait $! 2>/dev/null
	return $said
}
carries() { # FROM TO ADDRESS4 ADDRESS6
	mebibyte "$1" "$2" "$3" && mebibyte "$1" "$2" "$4"
}
