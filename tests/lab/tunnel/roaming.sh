# shellcheck shell=bash
# Of test-tunnel: who calls from elsewhere, and what we answer from.

# a is on the move; b (KIND) is told by nothing but a's packets. Then hearth-wg has to follow as well.
roaming() {	# KIND
	talking_pair "$1"
	endpoint_is b "$B" 192.0.2.1:7001 || fail "b believes a at $(endpoint_of b "$B")"
	addr a va 192.0.2.101/24
	ip_ a addr del 192.0.2.1/24 dev va
	at_once a fd10::2 || until_ok 15 answers a fd10::2 || fail "no answer from another address"
	endpoint_is b "$B" 192.0.2.101:7001 || fail "b believes a at $(endpoint_of b "$B")"
	pings b 10.10.0.1 3 || fail "b does not reach a at its new address"
	ok "roams to another IPv4 address (the other end: $1)"
	wg_ a set "$A" listen-port 9999
	at_once a 10.10.0.2 || fail "no answer at another port"
	endpoint_is b "$B" 192.0.2.101:9999 || fail "b believes a at $(endpoint_of b "$B")"
	pings b fd10::1 3 || fail "b does not reach a at its new port"
	ok "roams to another port (the other end: $1)"
	a_calls '[2001:db8::2]:7002'
	wg_ a set "$A" listen-port 9998
	at_once a 10.10.0.2 || fail "no answer over IPv6"
	endpoint_is b "$B" '[2001:db8::1]:9998' || fail "b believes a at $(endpoint_of b "$B")"
	pings b 10.10.0.1 3 || fail "b does not reach a over IPv6"
	ok "roams from IPv4 to IPv6 (the other end: $1)"
	addr a va 2001:db8::101/64
	ip_ a addr del 2001:db8::1/64 dev va
	at_once a 10.10.0.2 || until_ok 15 answers a 10.10.0.2 || fail "no answer from another IPv6 address"
	endpoint_is b "$B" '[2001:db8::101]:9998' || fail "b believes a at $(endpoint_of b "$B")"
	ok "roams to another IPv6 address (the other end: $1)"
	# and the other way round
	addr b vb 192.0.2.102/24 2001:db8::102/64
	ip_ b addr del 192.0.2.2/24 dev vb
	ip_ b addr del 2001:db8::2/64 dev vb
	wg_ b set "$B" listen-port 8888 peer "$(pub a)" endpoint '192.0.2.101:9998'
	until_ok 15 answers b 10.10.0.1 || fail "no answer for b, that moved"
	endpoint_is a "$A" 192.0.2.102:8888 || fail "a believes b at $(endpoint_of a "$A")"
	pings a fd10::2 3 || fail "a does not reach b, that moved"
	ok "follows one who roams from IPv6 to IPv4 and to another port (the other end: $1)"
	# A NAT that forgets: the same address at another port, without anyone's doing.
	in_ns b nft -f - <<-RULES
		table ip t { chain post { type nat hook postrouting priority 100; udp sport 8888 snat to 192.0.2.102:4321; }; }
	RULES
	wg_ b set "$B" listen-port 8887
	wg_ b set "$B" listen-port 8888
	until_ok 15 answers b 10.10.0.1 || fail "no answer through NAT"
	until_ok 15 endpoint_is a "$A" 192.0.2.102:4321 || fail "a believes b at $(endpoint_of a "$A")"
	pings a fd10::2 3 || fail "a does not reach b through NAT"
	ok "follows a NAT that chose another port (the other end: $1)"
}

# a is behind a NAT that forgets what was silent for two seconds; b knows of a what it hears.
#   a  va 192.168.7.2 ---- ra  r  rb 192.0.2.1 ---- vb 192.0.2.2  b (KIND)
behind_nat() {	# KIND
	local was
	new_key a; new_key b; new_key psk
	A=$(name a) B=$(name b)
	ns_add a r b
	veth a va r ra; veth r rb b vb
	addr a va 192.168.7.2/24; addr r ra 192.168.7.1/24
	addr r rb 192.0.2.1/24; addr b vb 192.0.2.2/24
	ip_ a route add default via 192.168.7.1
	forgets() {	# [how source ports are chosen]
		in_ns r nft flush ruleset
		in_ns r nft -f - <<-RULES
			table ip t { chain post { type nat hook postrouting priority 100; oifname rb udp sport 7001 masquerade $*; }; }
		RULES
	}
	forgets
	in_ns r sysctl -qw net.ipv4.ip_forward=1 net.netfilter.nf_conntrack_udp_timeout=2 net.netfilter.nf_conntrack_udp_timeout_stream=2 || fail "NAT"
	start_tunnel hearth a "$A"
	start_tunnel "$1" b "$B"
	configure a "$A" 1 7001 "$(key a)" "$(pub b)" 2
	configure b "$B" 2 7002 "$(key b)" "$(pub a)" 1
	wg_ a set "$A" peer "$(pub b)" endpoint 192.0.2.2:7002 persistent-keepalive 1
	until_ok 10 answers a 10.10.0.2 || fail "no answer through NAT"
	pings b 10.10.0.1 2 || fail "b does not reach a through NAT"
	[[ $(endpoint_of b "$B") = 192.0.2.1:* ]] || fail "b believes a at $(endpoint_of b "$B")"
	sleep $FORGETS
	reaches_once b 10.10.0.1 || fail "the NAT forgot a, in spite of keepalives each second"
	ok "keepalives keep a NAT's memory alive (the other end: $1)"
	wg_ a set "$A" peer "$(pub b)" persistent-keepalive off
	sleep $FORGETS	# a packet would remind it
	not reaches_once b 10.10.0.1 || fail "this NAT never forgets: it shows nothing"
	forgets to :9000-9999 random
	at_once a 10.10.0.2 || fail "no answer by a new mapping"
	was=$(endpoint_of b "$B")
	[[ $was = 192.0.2.1:9??? ]] || fail "b believes a at $was"
	pings b 10.10.0.1 2 || fail "b does not follow to the new mapping"
	ok "forgotten by a NAT: the next packet makes a mapping that is followed (the other end: $1)"
}

# a has many addresses; what is asked at one is answered from it, seen by where b then believes a.
#   a  va 192.0.2.1, .11, 2001:db8::1, ::11 ------- vb b      a  d0 (leads nowhere) 198.51.100.1, 2001:db8:50::1
source_address() {
	local kind to
	for kind in go hearth; do
		pair $kind
		addr a va 192.0.2.11/24 2001:db8::11/64
		veth a d0 a d1
		addr a d0 198.51.100.1/24 2001:db8:50::1/64
		ip_ b route add 198.51.100.0/24 dev vb
		ip_ b -6 route add 2001:db8:50::/64 via 2001:db8::1
		for to in 192.0.2.1 '[2001:db8::1]' 192.0.2.11 '[2001:db8::11]' 198.51.100.1 '[2001:db8:50::1]'; do
			b_calls "$to:7001"
			until_ok 15 answers b 10.10.0.1 || fail "no answer at $to"
			pings a fd10::2 2 || fail "asked at $to, then mute"
			endpoint_is b "$B" "$to:7001" || fail "asked at $to, answered from $(endpoint_of b "$B")"
			ok "answers from the address that was asked, $to (asked by $kind)"
		done
		b_calls 192.0.2.11:7001
		pings b 10.10.0.1 2 || fail "no answer"
		ip_ a addr del 192.0.2.11/24 dev va
		pings a 10.10.0.2 2 || fail "the address that was asked is gone, no packet gets out"
		endpoint_is b "$B" 192.0.2.1:7001 || fail "b believes a at $(endpoint_of b "$B")"
		b_calls '[2001:db8::11]:7001'
		pings b 10.10.0.1 2 || fail "no answer"
		ip_ a addr del 2001:db8::11/64 dev va
		pings a 10.10.0.2 2 || fail "the IPv6 address that was asked is gone, no packet gets out"
		endpoint_is b "$B" '[2001:db8::1]:7001' || fail "b believes a at $(endpoint_of b "$B")"
		b_calls 198.51.100.1:7001
		pings b 10.10.0.1 2 || fail "no answer"
		ip_ a link del d0
		pings a 10.10.0.2 2 || fail "the interface with the address that was asked is gone, no packet gets out"
		endpoint_is b "$B" 192.0.2.1:7001 || fail "b believes a at $(endpoint_of b "$B")"
		ok "falls back when the address or its interface is gone, IPv4 and IPv6 (asked by $kind)"
		for to in a b; do ns_kill $to; done
	done
}

# Two cables between the same machines. What is bound to the address of one follows the route to the other.
#   a  va 192.0.2.1 ---- vb 192.0.2.2 (also 2001:db8::)  b
#   a  wa 192.0.2.3 ---- wb            (also 2001:db8::)  b
another_interface() {
	pair go
	veth a wa b wb
	ip_ a addr flush dev va scope global
	addr a va 192.0.2.1/32 2001:db8::1/128
	addr a wa 192.0.2.3/32 2001:db8::3/128
	# an IPv6 address is only told of by its own interface
	ip_ a -6 neigh add 2001:db8::2 dev wa lladdr "$(in_ns b cat /sys/class/net/wb/address)"
	ip_ b route add 192.0.2.3/32 dev wb
	ip_ b -6 route add 2001:db8::3/128 dev wb
	ip_ a route add 192.0.2.0/24 dev va src 192.0.2.1 metric 20
	ip_ a -6 route add 2001:db8::/64 dev va src 2001:db8::1 metric 20
	a_calls 192.0.2.2:7002
	until_ok 10 answers a 10.10.0.2 || fail "no answer"
	endpoint_is b "$B" 192.0.2.1:7001 || fail "b believes a at $(endpoint_of b "$B")"
	ip_ a route add 192.0.2.0/24 dev wa src 192.0.2.3 metric 10
	pings a 10.10.0.2 3 || fail "no answer by the other cable"
	endpoint_is b "$B" 192.0.2.3:7001 || fail "another interface took the route over, b believes a at $(endpoint_of b "$B")"
	ok "a better route by another interface takes the source address over, IPv4"
	ip_ a route del 192.0.2.0/24 dev wa
	pings a 10.10.0.2 3 || fail "no answer by the first cable"
	endpoint_is b "$B" 192.0.2.1:7001 || fail "the better route went, b believes a at $(endpoint_of b "$B")"
	ok "and back when that route is gone"
	a_calls '[2001:db8::2]:7002'
	pings a 10.10.0.2 3 || fail "no answer over IPv6"
	endpoint_is b "$B" '[2001:db8::1]:7001' || fail "b believes a at $(endpoint_of b "$B")"
	ip_ a -6 route add 2001:db8::/64 dev wa src 2001:db8::3 metric 10
	pings a 10.10.0.2 3 || fail "no answer by the other cable, IPv6"
	endpoint_is b "$B" '[2001:db8::3]:7001' || fail "another interface took the route over, b believes a at $(endpoint_of b "$B")"
	ok "a better route by another interface takes the source address over, IPv6"
	# a route that does not concern the peer must not move it: asked at .1 while routes to others change
	ip_ a -6 route del 2001:db8::/64 dev wa
	b_calls 192.0.2.1:7001
	pings b 10.10.0.1 2 || fail "no answer"
	addr a va 192.0.2.11/32
	ip_ b route add 192.0.2.11/32 dev vb
	b_calls 192.0.2.11:7001
	pings b 10.10.0.1 2 || fail "no answer at the second address"
	ip_ a route add 203.0.113.0/24 dev wa
	ip_ a route add 203.0.113.7/32 dev va
	ip_ a route del 203.0.113.0/24 dev wa
	veth a d0 a d1
	ip_ a link del d0
	pings a 10.10.0.2 3 || fail "no answer"
	endpoint_is b "$B" 192.0.2.11:7001 || fail "other routes changed, and the address with them: b believes a at $(endpoint_of b "$B")"
	ok "routes of others change nothing"
	# the cable in use is pulled out
	ip_ a route add 192.0.2.0/24 dev wa src 192.0.2.3 metric 30
	ip_ a link set va down
	until_ok 15 answers a 10.10.0.2 || fail "the interface went down, no answer by the other"
	endpoint_is b "$B" 192.0.2.3:7001 || fail "the interface went down, b believes a at $(endpoint_of b "$B")"
	ok "another interface takes over when the one in use goes down"
	ns_add x
	ip_ a link set va netns "$(ns x)"
	pings a 10.10.0.2 3 || fail "the first interface was removed, no answer"
	ok "and when it is gone"
}
