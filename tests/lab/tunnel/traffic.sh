# shellcheck shell=bash
# Of test-tunnel: what goes through, and how it is counted.

all_kinds() {	# WHAT PORT
	pings b 10.10.0.1 10 || fail "$1: ping b to a"
	pings a 10.10.0.2 10 || fail "$1: ping a to b"
	pings b fd10::1 10 || fail "$1: ping b to a, IPv6"
	pings a fd10::2 10 || fail "$1: ping a to b, IPv6"
	server b 10.10.0.2 "$2"; sends a 10.10.0.2 "$2" -Z -n 8M
	server a fd10::1 $(($2 + 1)); sends b fd10::1 $(($2 + 1)) -Z -n 8M
	server a 10.10.0.1 $(($2 + 2)); sends b 10.10.0.1 $(($2 + 2)) -u -b 100M -n 3M
	server b fd10::2 $(($2 + 3)); sends a fd10::2 $(($2 + 3)) -u -b 100M -n 3M
	server b 10.10.0.2 $(($2 + 4)); sends a 10.10.0.2 $(($2 + 4)) -P "$3" -n 8M
	ok "ping, TCP (also $3 streams at once) and UDP, IPv4 and IPv6, $1"
}

traffic() {	# KIND
	local rx tx kind=$1
	pair "$kind"
	a_calls 192.0.2.2:7002
	b_calls 192.0.2.1:7001
	in_ns b ping -q -n -c 10 -i 0.1 -W 5 10.10.0.1 >/dev/null || fail "no answer"
	# 10 packets of 84 bytes are 128 each; an initiation is 148, a response 92, a keepalive 32
	rx=$(transfer_of b "$B" 2) tx=$(transfer_of b "$B" 3)
	[ "$rx" = 1372 ] && { [ "$tx" = 1428 ] || [ "$tx" = 1460 ]; } || fail "b received $rx, sent $tx bytes"
	rx=$(transfer_of a "$A" 2) tx=$(transfer_of a "$A" 3)
	[ "$tx" = 1372 ] && { [ "$rx" = 1428 ] || [ "$rx" = 1460 ]; } || fail "a received $rx, sent $tx bytes"
	[ "$(handshake_of a "$A")" -ge $(($(date +%s) - 60)) ] || fail "latest-handshakes: $(handshake_of a "$A")"
	[ "$(in_ns a cat "/sys/class/net/$A/statistics/rx_bytes")" = 840 ] || fail "the interface counted $(in_ns a cat "/sys/class/net/$A/statistics/rx_bytes") bytes"
	ok "transfer and latest-handshakes count exactly ($kind)"
	all_kinds "outside IPv4, MTU 1420 ($kind)" 5201 50
	ip_ a link set "$A" mtu 9000; ip_ b link set "$B" mtu 9000
	all_kinds "outside IPv4, MTU 9000 ($kind)" 5211 4
	ip_ a link set "$A" mtu 1420; ip_ b link set "$B" mtu 1420
	a_calls '[2001:db8::2]:7002'
	b_calls '[2001:db8::1]:7001'
	all_kinds "outside IPv6, MTU 1420 ($kind)" 5221 4
	ip_ a link set "$A" mtu 34736; ip_ b link set "$B" mtu 34736
	all_kinds "outside IPv6, MTU 34736 ($kind)" 5231 4
}
