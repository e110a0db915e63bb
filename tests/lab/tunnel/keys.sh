# shellcheck shell=bash
# Of test-tunnel: whose packets are whose: allowed addresses and keys.

# a has two peers, b and c, which both answer for everything under 10.20.0.0/16 and fd20::/64.
# Who answered is told by its interface's counter.
allowed() {
	local got
	pair hearth
	third
	for got in b c; do
		addr $got "$(name $got)" 10.20.0.1/32 10.20.1.1/32 10.20.1.2/32 fd20::1/128 fd20::1:1/128
	done
	ip_ a route add 10.20.0.0/16 dev "$A"
	ip_ a -6 route add fd20::/64 dev "$A"
	wg_ a set "$A" peer "$(pub b)" endpoint 192.0.2.2:7002 allowed-ips 10.10.0.2/32,fd10::2/128,10.20.0.0/16,fd20::/64 \
		peer "$(pub c)" endpoint 198.51.100.2:7003 allowed-ips 10.10.0.3/32,fd10::3/128
	until_ok 10 answers a 10.10.0.2 && until_ok 10 answers a 10.10.0.3 || fail "no answer"
	received() { in_ns "$1" cat "/sys/class/net/$(name "$1")/statistics/rx_packets"; }
	is_with() {	# b|c ADDRESS...: a's packets to ADDRESS go there, and answers are taken from there
		local other=b to before
		[ "$1" = c ] || other=c # a's packets must not reach this one
		shift
		for to; do
			before=$(received $other)
			pings a "$to" 2 || fail "no answer from $to"
			[ "$(received $other)" = "$before" ] || fail "$to went to $other"
		done
	}
	is_with b 10.20.0.1 10.20.1.1 10.20.1.2 fd20::1 fd20::1:1
	wg_ a set "$A" peer "$(pub c)" allowed-ips 10.10.0.3/32,fd10::3/128,10.20.1.1/32,fd20::1:1/128
	is_with b 10.20.0.1 10.20.1.2 fd20::1
	is_with c 10.20.1.1 fd20::1:1
	wg_ a set "$A" peer "$(pub c)" allowed-ips 10.10.0.3/32,10.20.1.0/24,10.20.1.1/32,fd20::1:0/112
	is_with b 10.20.0.1 fd20::1
	is_with c 10.20.1.1 10.20.1.2 fd20::1:1
	ok "more specific peers take addresses over, IPv4 and IPv6"
	# what b sends from an address that is c's now is dropped, although b's prefix covers it
	got=$(received a)
	in_ns b ping -q -n -c 3 -i 0.05 -W 1 -I 10.20.1.1 10.10.0.1 >/dev/null && fail "an answer to a stolen source"
	in_ns b ping -q -n -c 3 -i 0.05 -W 1 -I fd20::1:1 fd10::1 >/dev/null && fail "an answer to a stolen source, IPv6"
	[ "$(received a)" = "$got" ] || fail "a packet with the source of another peer was let in"
	in_ns b ping -q -n -c 3 -i 0.05 -W 1 -I 10.20.0.1 10.10.0.1 >/dev/null || fail "b's own source was dropped"
	ok "a source that a more specific peer owns is dropped"
	wg_ a set "$A" peer "$(pub b)" allowed-ips 10.10.0.2/32,10.20.0.0/16,10.20.1.0/24
	is_with b 10.20.0.1 10.20.1.2
	is_with c 10.20.1.1
	wg_ a show "$A" allowed-ips | grep -F "$(pub c)" | holds -F "10.20.1.0/24" && fail "a prefix belongs to two"
	wg_ a set "$A" peer "$(pub c)" remove
	is_with b 10.20.0.1 10.20.1.1 10.20.1.2
	ok "a prefix moves between peers, and falls back when the peer is removed"
	wg_ a set "$A" peer "$(pub b)" allowed-ips 10.10.0.2/32
	not answers a 10.20.0.1 || fail "what is no longer allowed is answered"
	# all at once, and the whole of it
	wg_ a set "$A" peer "$(pub b)" allowed-ips 0.0.0.0/0,10.0.0.0/8,100.0.0.0/10,172.16.0.0/12,192.168.0.0/16,::/0,1700::/111,5000::/4,e000::/37,9000::/75
	is_with b 10.20.0.1 fd20::1
	wg_ a set "$A" peer "$(pub b)" allowed-ips 10.10.0.2/32,0.0.0.0/0,::/0
	[ "$(wg_ a show "$A" allowed-ips)" = "$(pub b)"$'\t'"10.10.0.2/32 0.0.0.0/0 ::/0" ] || fail "allowed: $(wg_ a show "$A" allowed-ips)"
	is_with b 10.20.0.1 fd20::1
	# newer ones than Debian 12's say "+prefix" and "-prefix"
	if wg_ a set "$A" peer "$(pub b)" allowed-ips +10.30.0.0/16 2>/dev/null; then
		wg_ a set "$A" peer "$(pub b)" allowed-ips -0.0.0.0/0,-::/0
		[ "$(wg_ a show "$A" allowed-ips | cut -f2)" = "10.10.0.2/32 10.30.0.0/16" ] || fail "allowed: $(wg_ a show "$A" allowed-ips)"
		ok "+prefix and -prefix"
	fi
	ok "whole families, and prefixes inside them"
}

keys() {	# KIND
	local kind=$1 before ping
	talking_pair "$kind"
	wg_ a set "$A" private-key "$(key c)"
	wg_ b set "$B" peer "$(pub c)" preshared-key "$(key psk)" allowed-ips 10.10.0.1/32,fd10::1/128 peer "$(pub a)" remove
	at_once a 10.10.0.2 || fail "a new private key, and no handshake with the next packet"
	[ "$(wg_ a show "$A" public-key)" = "$(pub c)" ] || fail "public-key: $(wg_ a show "$A" public-key)"
	wg_ b set "$B" peer "$(pub c)" remove
	wg_ a set "$A" private-key "$(key a)"
	wg_ b set "$B" peer "$(pub a)" preshared-key "$(key psk)" allowed-ips 10.10.0.1/32,fd10::1/128
	at_once a 10.10.0.2 || fail "the old private key again, and no handshake with the next packet"
	ok "a private key changes, the next packet makes a handshake ($kind)"

	wg_ a set "$A" private-key /dev/null
	[ "$(wg_ a show "$A" private-key)" = "(none)" ] && [ "$(wg_ a show "$A" public-key)" = "(none)" ] || fail "no private key, but $(wg_ a show "$A" public-key)"
	before=$(transfer_of a "$A" 3)
	not answers a 10.10.0.2 || fail "an answer without a private key"
	[ "$(transfer_of a "$A" 3)" = "$before" ] || fail "a packet left without a private key"
	wg_ a set "$A" private-key "$(key a)"
	until_ok 7 at_once a 10.10.0.2 || fail "the private key came back, no answer"
	ok "without a private key nothing leaves; when it comes back all is well ($kind)"

	wg genpsk >"$HEARTH_TMP/psk2.key"
	in_bg a ping -n -i 0.02 -c 150 -w 30 10.10.0.2 >"$HEARTH_TMP/ping" & ping=$!
	until_ok 15 grep -q icmp_seq=20 "$HEARTH_TMP/ping" || fail "no pings"
	wg_ a set "$A" peer "$(pub b)" preshared-key "$HEARTH_TMP/psk2.key"
	wg_ b set "$B" peer "$(pub a)" preshared-key "$HEARTH_TMP/psk2.key"
	wait $ping || fail "pings while the preshared key changed"
	without_hole "$HEARTH_TMP/ping" 150 || fail "a new preshared key stopped the session: $(tail -3 "$HEARTH_TMP/ping")"
	# with the next handshake it counts; a new identity makes one
	wg_ b set "$B" peer "$(pub a)" preshared-key /dev/null
	wg_ a set "$A" private-key "$(key c)"
	wg_ a set "$A" private-key "$(key a)"
	not until_ok 2 answers a 10.10.0.2 || fail "a handshake with another preshared key"
	wg_ b set "$B" peer "$(pub a)" preshared-key "$HEARTH_TMP/psk2.key"
	until_ok 12 answers a 10.10.0.2 || fail "no answer with the right preshared key"
	[ "$(wg_ a show "$A" preshared-keys | cut -f2)" = "$(cat "$HEARTH_TMP/psk2.key")" ] || fail "preshared-keys: $(wg_ a show "$A" preshared-keys)"
	wg_ a set "$A" peer "$(pub b)" preshared-key /dev/null
	[ "$(wg_ a show "$A" preshared-keys | cut -f2)" = "(none)" ] || fail "preshared-keys: $(wg_ a show "$A" preshared-keys)"
	ok "preshared key changed under traffic, wrong, removed ($kind)"
}

# Keys that nobody should have.
odd_keys() {
	local point k
	cable
	start_tunnel hearth a "$A"
	ip_ a link set "$A" up
	# no key at all: nothing is sent
	addr a "$A" 10.10.0.1/24
	wg_ a set "$A" listen-port 7001 peer "$(pub b)" endpoint 192.0.2.2:7002 persistent-keepalive 1 allowed-ips 10.10.0.2/32
	in_ns b nft -f - <<-RULES
		table inet t { counter seen { }; counter honest { }; chain in { type filter hook input priority 0; udp dport { 7002, 1111 } counter name seen drop; udp dport 2222 counter name honest drop; }; }
	RULES
	packets() { in_ns b nft list counter inet t "$1" | awk '$1 == "packets" { print $2 }'; }
	seen() { packets seen; }
	more_honest() { [ "$(packets honest)" -gt "$k" ]; }
	not answers a 10.10.0.2 || fail "an answer"
	[ "$(seen)" = 0 ] || fail "$(seen) packets without a private key"
	ok "no keys, no packets"
	wg_ a set "$A" private-key "$(key a)" peer "$(pub b)" remove
	# our own key
	wg_ a set "$A" peer "$(pub a)" allowed-ips 10.10.0.2/32
	[ -z "$(wg_ a show "$A" peers)" ] || fail "our own key became a peer"
	wg_ a set "$A" peer "$(pub b)"
	wg_ a set "$A" private-key "$(key b)"
	[ "$(wg_ a show "$A" public-key)" = "$(pub b)" ] && [ -z "$(wg_ a show "$A" peers)" ] || fail "a peer with the key that became ours"
	wg_ a set "$A" private-key "$(key a)" peer "$(pub b)"
	[ "$(wg_ a show "$A" peers)" = "$(pub b)" ] || fail "peers: $(wg_ a show "$A" peers)"
	ok "our own key is no peer, and a peer whose key becomes ours goes"
	# bits that every private key has set or clear
	k=$(cat "$(key a)")
	printf '/%s\n' "${k:1}" >"$HEARTH_TMP/odd.key"
	wg_ a set "$A" private-key "$HEARTH_TMP/odd.key"
	[ "$(wg_ a show "$A" private-key)" = "+${k:1}" ] || fail "clamped: $(wg_ a show "$A" private-key)"
	ok "a private key is clamped"
	# points of small order can be named, but never make a session
	wg_ a set "$A" peer "$(pub b)" remove
	for point in AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA= X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc= 7P///////////////////////////////////////38= 7f///////////////////////////////////////38= 7v///////////////////////////////////////38=; do
		wg_ a set "$A" peer "$point" persistent-keepalive 1 endpoint 192.0.2.2:1111 || fail "refuses the peer $point"
	done
	[ "$(wg_ a show "$A" peers | wc -l)" = 7 ] || fail "peers: $(wg_ a show "$A" peers)"
	# a good one that comes after them, and calls at once as they would
	new_key d
	k=0
	wg_ a set "$A" peer "$(pub d)" persistent-keepalive 1 endpoint 192.0.2.2:2222
	until_ok 10 more_honest || fail "no packet to a peer with a good key"
	[ "$(seen)" = 0 ] || fail "$(seen) packets to points of small order"
	k=$(packets honest)
	wg_ a set "$A" private-key "$(key c)"
	until_ok 10 more_honest || fail "no packet to a peer with a good key after a new private key"
	[ "$(seen)" = 0 ] || fail "$(seen) packets to points of small order after a new private key"
	ok "peers that are points of small order get no packet"
}
