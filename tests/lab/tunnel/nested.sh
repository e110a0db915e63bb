# shellcheck shell=bash
# Of test-tunnel: tunnels in tunnels, and tunnels in themselves.

inner_tunnels() {	# one more at both ends, whose endpoints are inside the first
	local other=$1
	A2=$(name a2) B2=$(name b2)
	new_key a2; new_key b2
	start_tunnel hearth a "$A2"
	start_tunnel "$other" b "$B2"
	wg_ a set "$A2" listen-port 7005 private-key "$(key a2)" peer "$(pub b2)" allowed-ips 10.20.0.2/32,fd20::2/128 endpoint '[fd10::2]:7005'
	wg_ b set "$B2" listen-port 7005 private-key "$(key b2)" peer "$(pub a2)" allowed-ips 10.20.0.1/32,fd20::1/128
	addr a "$A2" 10.20.0.1/24 fd20::1/64
	addr b "$B2" 10.20.0.2/24 fd20::2/64
	ip_ a link set "$A2" mtu 1340 up
	ip_ b link set "$B2" mtu 1340 up
}

nested() {
	local kind
	for kind in hearth go; do
		pair $kind
		a_calls 192.0.2.2:7002
		inner_tunnels $kind
		until_ok 10 answers a 10.20.0.2 || fail "no answer through two layers"
		pings a 10.20.0.2 5 -s 1312 -M "do" && pings b fd20::1 5 -s 1292 || fail "full packets through two layers"
		server b 10.20.0.2 5401; sends a 10.20.0.2 5401 -n 8M
		server a fd20::1 5402; sends b fd20::1 5402 -n 8M -P 4
		server b fd20::2 5403; sends a fd20::2 5403 -u -b 100M -n 3M
		# the inner one believes that there is more room than there is
		ip_ a link set "$A2" mtu 1420; ip_ b link set "$B2" mtu 1420
		pings a 10.20.0.2 5 -s 1392 || fail "too full packets through two layers"
		server b 10.20.0.2 5404; sends a 10.20.0.2 5404 -n 8M
		ok "WireGuard inside WireGuard ($kind)"
		for kind_ in a b; do ns_kill $kind_; done
	done
}

# One interface carries a peer inside another peer: c is reached at an address of b's.
onion() {
	local B2
	talking_pair hearth
	B2=$(name b2)
	start_tunnel hearth b "$B2"
	wg_ b set "$B2" private-key "$(key c)" listen-port 7005 peer "$(pub a)" allowed-ips 10.30.0.1/32
	addr b "$B2" 10.30.0.2/24
	ip_ b link set "$B2" up
	addr a "$A" 10.30.0.1/24
	wg_ a set "$A" peer "$(pub c)" allowed-ips 10.30.0.2/32 endpoint 10.10.0.2:7005
	until_ok 10 answers a 10.30.0.2 || fail "a peer inside another peer of the same interface"
	pings a 10.30.0.2 5 -s 1000 || fail "a peer inside another peer of the same interface"
	ok "a peer whose endpoint is another peer's address, on one interface"
	wg_ a set "$A" peer "$(pub c)" endpoint 10.30.0.2:7005
	bounded a "$A" 10.30.0.2 "a peer inside itself"
	wg_ a set "$A" peer "$(pub c)" endpoint 10.10.0.2:7005
	until_ok 15 answers a 10.30.0.2 || fail "the loop is gone, no answer"
	ok "a peer whose endpoint is its own address does not spin"
}

sent_by() { wg_ "$1" show "$2" transfer | awk '{ n += $3 } END { printf "%d", n }'; }
# Pings to ADDRESS run into a loop: neither bytes nor CPU may run away. Told by NS's tunnel IF.
bounded() {	# NS IF ADDRESS WHAT [NS where IF is now]
	local pid before after cpu
	pid=$(daemon_in "$1" "$2")
	before=$(sent_by "$1" "$2")
	in_ns "${5:-$1}" ping -q -n -c 10 -i 0.01 -W 1 "$3" >/dev/null 2>&1 && fail "$4: an answer"
	cpu=$(cpu_ms "$pid")
	sleep 2
	cpu=$(($(cpu_ms "$pid") - cpu))
	after=$(sent_by "$1" "$2")
	echo "      $4: $((after - before)) bytes sent, then $cpu ms of CPU in 2 s"
	[ $((after - before)) -lt 70000 ] || fail "$4: $((after - before)) bytes for 10 pings"
	[ "$cpu" -lt 200 ] || fail "$4: $cpu ms of CPU in 2 s"
}

loops() {
	talking_pair hearth
	# a session is up: everything could be sealed again and again
	a_calls 10.10.0.2:7002
	bounded a "$A" 10.10.0.2 "an endpoint inside its own tunnel, IPv4"
	a_calls '[fd10::2]:7002'
	bounded a "$A" 10.10.0.2 "an endpoint inside its own tunnel, IPv6"
	a_calls 192.0.2.2:7002
	until_ok 15 answers a 10.10.0.2 || fail "the loop is gone, no answer"
	ok "an endpoint inside its own tunnel does not spin, and heals"
	# the endpoint stays, the route to it turns into the tunnel: a default route without a mark
	wg_ a set "$A" peer "$(pub b)" allowed-ips 0.0.0.0/0,::/0
	ip_ a route add 192.0.2.2/32 dev "$A"
	bounded a "$A" 10.10.0.2 "a route to the endpoint through the tunnel"
	ip_ a route del 192.0.2.2/32 dev "$A"
	until_ok 15 answers a 10.10.0.2 || fail "the loop is gone, no answer"
	ok "a route to the endpoint through the tunnel does not spin, and heals"
	# two tunnels, each inside the other
	inner_tunnels hearth
	until_ok 10 answers a 10.20.0.2 || fail "no answer through two layers"
	a_calls 10.20.0.2:7002
	ip_ b link del "$B"; ip_ b link del "$B2"
	bounded a "$A2" 10.20.0.2 "two tunnels, each inside the other"
	bounded a "$A" 10.10.0.2 "two tunnels, each inside the other (the outer)"
	ok "two tunnels, each inside the other, do not spin"
	ip_ a link set "$A2" mtu 1420
	bounded a "$A2" 10.20.0.2 "two tunnels, each inside the other, without room"
	ok "nor when there is no room for one in the other"
}

# Two tunnels of a, the interface of each where the sockets of the other are.
#   a: sockets of A, interface A2        o: sockets of A2, interface A
loop_across() {
	pair hearth
	a_calls 192.0.2.2:7002
	ns_add o
	ip_ a link set "$A" netns "$(ns o)"
	addr o "$A" 10.10.0.1/24 fd10::1/64
	ip_ o link set "$A" up
	until_ok 10 answers o 10.10.0.2 || fail "no answer through the first"
	A2=$(name a2) B2=$(name b2)
	new_key a2; new_key b2
	start_tunnel hearth o "$A2"
	start_tunnel hearth b "$B2"
	wg_ o set "$A2" listen-port 7005 private-key "$(key a2)" peer "$(pub b2)" allowed-ips 10.20.0.2/32 endpoint 10.10.0.2:7005
	wg_ b set "$B2" listen-port 7005 private-key "$(key b2)" peer "$(pub a2)" allowed-ips 10.20.0.1/32
	addr b "$B2" 10.20.0.2/24
	ip_ b link set "$B2" mtu 1340 up
	ip_ o link set "$A2" netns "$(ns a)"
	addr a "$A2" 10.20.0.1/24
	ip_ a link set "$A2" mtu 1340 up
	until_ok 10 answers a 10.20.0.2 || fail "no answer through two layers in two namespaces"
	pings a 10.20.0.2 5 -s 1312 -M "do" || fail "full packets through two layers in two namespaces"
	ok "WireGuard inside WireGuard, each in the other's namespace"
	a_calls 10.20.0.2:7002
	bounded o "$A2" 10.20.0.2 "a loop through two namespaces" a
	bounded a "$A" 10.10.0.2 "a loop through two namespaces (the outer)" o
	a_calls 192.0.2.2:7002
	until_ok 15 answers a 10.20.0.2 || fail "the loop is gone, no answer"
	a_calls 10.20.0.2:7002
	ip_ b link del "$B"; ip_ b link del "$B2"
	bounded o "$A2" 10.20.0.2 "a loop through two namespaces, nobody at the other end" a
	ok "a routing loop through two namespaces does not spin, and heals"
}
