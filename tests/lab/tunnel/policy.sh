# shellcheck shell=bash
# Of test-tunnel: marks and rules, wg-quick, the port.

mark() {
	local r
	talking_pair go
	in_ns a nft -f - <<-RULES
		table inet t {
			counter none { }; counter one { }; counter two { };
			chain out { type filter hook output priority 0; udp dport 7002 meta mark 0 counter name none; udp dport 7002 meta mark 1 counter name one; udp dport 7002 meta mark 0xfedcba98 counter name two; }
		}
	RULES
	seen() { in_ns a nft list counter inet t "$1" | awk '$1 == "packets" { print $2 }'; }
	pings a 10.10.0.2 3 && [ "$(seen none)" -ge 3 ] && [ "$(seen one)" = 0 ] || fail "marked without being told"
	in_bg a ping -n -i 0.02 -c 150 -w 30 10.10.0.2 >"$HEARTH_TMP/ping" & local ping=$!
	wg_ a set "$A" fwmark 1
	[ "$(wg_ a show "$A" fwmark)" = 0x1 ] || fail "fwmark: $(wg_ a show "$A" fwmark)"
	pings a fd10::2 3 && [ "$(seen one)" -ge 3 ] || fail "not marked 1"
	wg_ a set "$A" fwmark 0xfedcba98
	pings a fd10::2 3 && [ "$(seen two)" -ge 3 ] || fail "not marked 0xfedcba98"
	# handshakes as well
	r=$(seen one)
	wg_ a set "$A" fwmark 1 private-key "$(key c)"
	wg_ a set "$A" private-key "$(key a)"
	until_ok 10 answers a 10.10.0.2 && [ "$(seen one)" -gt "$r" ] || fail "handshakes are not marked"
	wg_ a set "$A" fwmark off
	[ "$(wg_ a show "$A" fwmark)" = off ] || fail "fwmark: $(wg_ a show "$A" fwmark)"
	r=$(seen none)
	pings a fd10::2 3 && [ "$(seen none)" -ge $((r + 3)) ] || fail "still marked"
	wait $ping && without_hole "$HEARTH_TMP/ping" 150 || fail "packets were lost while the mark changed: $(tail -3 "$HEARTH_TMP/ping")"
	ok "fwmark on all that is sent, changed under traffic without loss"
	# rules by mark: everything but the tunnel's own packets goes into the tunnel
	wg_ a set "$A" fwmark 51820 peer "$(pub b)" allowed-ips 10.10.0.2/32,fd10::2/128,203.0.113.7/32,2001:db8:99::7/128,192.0.2.0/24,2001:db8::/64
	addr b "$B" 203.0.113.7/32 2001:db8:99::7/128
	for r in -4 -6; do
		ip_ a $r route add default dev "$A" table 51820
		ip_ a $r rule add not fwmark 51820 table 51820
		ip_ a $r rule add table main suppress_prefixlength 0
	done
	ip_ a route add default via 192.0.2.2
	ip_ a -6 route add default via 2001:db8::2
	until_ok 10 answers a 203.0.113.7 || fail "no answer through the default route"
	in_ns a ping -q -n -i 0.002 -c 100 -w 10 203.0.113.7 >/dev/null || fail "many packets, IPv4"
	in_ns a ping -q -n -i 0.002 -c 100 -w 10 2001:db8:99::7 >/dev/null || fail "many packets, IPv6"
	a_calls '[2001:db8::2]:7002'
	in_ns a ping -q -n -i 0.002 -c 100 -w 10 203.0.113.7 >/dev/null || fail "many packets, IPv6 outside"
	in_ns a ping -q -n -I "$A" -c 3 -i 0.05 -W 1 10.10.0.2 >/dev/null || fail "bound to the interface"
	# even what is on the cable itself, where the rules say so; and the route changes when the mark does
	ip_ a rule del table main suppress_prefixlength 0
	until_ok 15 answers a 203.0.113.7 || fail "without the look at the main table"
	in_ns a nft delete table inet t
	in_ns a nft -f - <<-RULES
		table inet t { chain out { type route hook output priority mangle; ip daddr 203.0.113.7 meta mark set 51820; }; }
	RULES
	ip_ b link set "$B" down; ip_ b link set "$B" up
	r=$(transfer_of a "$A" 3)
	not answers a 203.0.113.8 || fail "an answer from nobody"
	in_ns a nft delete table inet t
	until_ok 15 answers a 203.0.113.7 || fail "after the mark was taken away again"
	ok "policy routing by mark, all addresses, IPv4 and IPv6, inside and outside"
}

quick() {
	local conf before after Q
	pair go
	addr b "$B" 203.0.113.7/32 2001:db8:99::7/128
	ip_ a link del "$A"
	until_ok 15 not daemon_in a "$A" || fail "the daemon stayed"
	ip_ a route add default via 192.0.2.2
	ip_ a -6 route add default via 2001:db8::2
	Q=$(name q)
	conf=$HEARTH_TMP/$Q.conf
	cat >"$conf" <<-CONF
		[Interface]
		PrivateKey = $(cat "$(key a)")
		Address = 10.10.0.1/32, fd10::1/128
		[Peer]
		PublicKey = $(pub b)
		PresharedKey = $(cat "$(key psk)")
		AllowedIPs = 0.0.0.0/0, ::/0
		Endpoint = 192.0.2.2:7002
		PersistentKeepalive = 25
	CONF
	quick_() { WG_QUICK_USERSPACE_IMPLEMENTATION=$HEARTH_WG in_ns a wg-quick "$@" >"$HEARTH_TMP/quick" 2>&1 || fail "wg-quick $*: $(cat "$HEARTH_TMP/quick")"; }
	state() { ip_ a -4 rule; ip_ a -6 rule; ip_ a -4 route show table all; ip_ a -6 route show table all | grep -v ^multicast; ip_ a addr | grep -v valid_lft; in_ns a nft list ruleset; in_ns a iptables-save 2>/dev/null | grep -v '^[#:]'; in_ns a ip6tables-save 2>/dev/null | grep -v '^[#:]' || :; }
	before=$(state)
	quick_ up "$conf"
	until_ok 10 answers a 203.0.113.7 || fail "no answer through the default route: $(cat "$HEARTH_TMP/quick")"
	pings a 2001:db8:99::7 5 && pings a 203.0.113.7 5 -s 1392 && pings b fd10::1 3 || fail "through the default route"
	in_ns a ping -q -n -c 1 -W 1 192.0.2.2 >/dev/null || fail "what is on the cable is no longer reached"
	[ "$(wg_ a show "$Q" fwmark)" != off ] || fail "no mark"
	server b 203.0.113.7 5501; sends a 203.0.113.7 5501 -n 8M
	ok "wg-quick up with the default routes of both families"
	# the other end roams, which save must show
	wg_ b set "$B" listen-port 7033
	until_ok 10 answers b 10.10.0.1 || fail "b moved to another port, no answer"
	quick_ save "$conf"
	grep -qF "Endpoint = 192.0.2.2:7033" "$conf" && grep -qF "PrivateKey = $(cat "$(key a)")" "$conf" && grep -qF "fd10::1" "$conf" &&
		grep -qE "^AllowedIPs = 0.0.0.0/0, ?::/0" "$conf" && grep -q "^FwMark = 0x" "$conf" && grep -qF "PersistentKeepalive = 25" "$conf" || fail "wg-quick save: $(cat "$conf")"
	ok "wg-quick save"
	quick_ down "$conf"
	until_ok 15 not daemon_in a "$Q" || fail "wg-quick down: the daemon stayed"
	[ ! -e "/var/run/wireguard/$Q.sock" ] || fail "wg-quick down: the socket stayed"
	after=$(state)
	[ "$before" = "$after" ] || fail "wg-quick down left: $(diff <(echo "$before") <(echo "$after"))"
	ok "wg-quick down leaves nothing behind"
	# SaveConfig writes what was changed with wg on the way down, and up again it is there
	sed -i 's/^\[Interface\]$/[Interface]\nSaveConfig = true/' "$conf"
	quick_ up "$conf"
	until_ok 10 answers a 203.0.113.7 || fail "up again: no answer"
	wg_ a set "$Q" peer "$(pub c)" allowed-ips 203.0.113.99/32
	quick_ down "$conf"
	grep -qF "203.0.113.99/32" "$conf" && grep -q "SaveConfig = true" "$conf" || fail "SaveConfig: $(cat "$conf")"
	quick_ up "$conf"
	wg_ a show "$Q" allowed-ips | holds -F "203.0.113.99/32" || fail "SaveConfig: $(wg_ a show "$Q" allowed-ips)"
	until_ok 10 answers a 203.0.113.7 || fail "up with what was saved: no answer"
	wg_ a syncconf "$Q" <(wg-quick strip "$conf") || fail "wg syncconf of wg-quick strip"
	pings a 203.0.113.7 3 || fail "after syncconf"
	quick_ down "$conf"
	[ "$before" = "$(state)" ] || fail "SaveConfig left: $(diff <(echo "$before") <(state))"
	ok "SaveConfig, strip and syncconf"
}

port() {
	local was taken ping
	talking_pair go
	in_bg a ping -n -i 0.02 -c 200 -w 30 10.10.0.2 >"$HEARTH_TMP/ping" & ping=$!
	for was in 7101 7102 7001 7103; do
		wg_ a set "$A" listen-port $was
		at_once a fd10::2 || fail "port $was: no answer"
		endpoint_is b "$B" "192.0.2.1:$was" || fail "port $was: b believes a at $(endpoint_of b "$B")"
		[ "$(in_ns a ss -ulnH | awk '{ print $4 }' | sort -u | tr '\n' ' ')" = "0.0.0.0:$was [::]:$was " ] || [ "$(in_ns a ss -ulnH | wc -l)" = 2 ] || fail "sockets left open: $(in_ns a ss -ulnH)"
	done
	wait $ping || fail "pings while the port changed: $(tail -3 "$HEARTH_TMP/ping")"
	awk '/packets transmitted/ { exit !($4 >= 200 && $1 - $4 <= 5) }' "$HEARTH_TMP/ping" || fail "lost while the port changed: $(tail -3 "$HEARTH_TMP/ping")"
	ok "the port changes under traffic, the other end follows"
	wg_ a set "$A" listen-port 0
	was=$(wg_ a show "$A" listen-port)
	[ "$was" != 0 ] && [ "$was" != 7103 ] || fail "port 0 became $was"
	pings a 10.10.0.2 3 && endpoint_is b "$B" "192.0.2.1:$was" || fail "port 0: b believes a at $(endpoint_of b "$B")"
	ok "port 0 is one of its own choice"
	for taken in 0.0.0.0 ::; do
		: >"$HEARTH_TMP/taken"
		in_bg a python3 -c 'import socket,sys,time; s=socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET,socket.SOCK_DGRAM); ":" in sys.argv[1] and s.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_V6ONLY,1); s.bind((sys.argv[1],7105)); print("ready",flush=True); time.sleep(60)' $taken >"$HEARTH_TMP/taken" & ping=$!
		until_ok 60 grep -q ready "$HEARTH_TMP/taken" || fail "the port cannot be taken"
		wg_ a set "$A" listen-port 7105 2>"$HEARTH_TMP/refusal" && fail "took a port that is taken"
		grep -q "Address already in use" "$HEARTH_TMP/refusal" || fail "said: $(cat "$HEARTH_TMP/refusal")"
		[ "$(wg_ a show "$A" listen-port)" = "$was" ] || fail "the port went with the refusal"
		pings a 10.10.0.2 3 || fail "no answer after a refused port"
		kill $ping
		wait $ping 2>/dev/null || :
	done
	wg_ a set "$A" listen-port 7105
	pings a 10.10.0.2 3 && endpoint_is b "$B" 192.0.2.1:7105 || fail "the port is free, and still not taken"
	ok "a port that is taken in either family is refused, the old one stays"
	# both ends at once: each learns the other's from its packets as long as one packet finds its way
	wg_ b set "$B" listen-port 7202
	until_ok 15 answers b 10.10.0.1 || fail "b moved, no answer"
	endpoint_is a "$A" 192.0.2.2:7202 || fail "a believes b at $(endpoint_of a "$A")"
	wg_ a set "$A" listen-port 7301
	until_ok 15 answers a 10.10.0.2 || fail "a moved, no answer"
	endpoint_is b "$B" 192.0.2.1:7301 || fail "b believes a at $(endpoint_of b "$B")"
	ok "both ends change their private ports in turn"
}
