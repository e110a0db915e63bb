# shellcheck shell=bash
# Of test-tunnel: what can happen to the interface.

# The famous use: the interface lives where there is no other way out, the sockets where the cable is.
#   a  va, hearth-wg's sockets ---- vb  b          ia  only the interface of hearth-wg
moved() {
	local free i
	talking_pair hearth
	ns_add ia
	ip_ a link set "$A" netns "$(ns ia)"
	addr ia "$A" 10.10.0.1/24 fd10::1/64
	ip_ ia link set "$A" up
	pings ia 10.10.0.2 3 || fail "moved to another namespace: no answer"
	pings b fd10::1 3 || fail "moved to another namespace: no answer the other way"
	in_ns ia ping -q -n -c 1 -W 1 192.0.2.2 >/dev/null 2>&1 && fail "there is another way out"
	[ "$(wg_ ia show "$A" listen-port)" = 7001 ] || fail "wg show from there"
	ok "the interface moves to another namespace, the sockets stay"
	wg_ a set "$A" listen-port 7011
	pings ia 10.10.0.2 3 && endpoint_is b "$B" 192.0.2.1:7011 || fail "a new port must be opened in the old namespace"
	ok "a new port is opened in the old namespace"
	# Full packets over IPv6 are 1500 bytes at MTU 1420, and one byte of padding more would break them in two.
	a_calls '[2001:db8::2]:7002'
	frags() { in_ns "$1" awk '$1 == "Ip6FragCreates" || $1 == "Ip6OutFragCreates" || $1 == "Ip6FragOKs" { n += $2 } END { print n + 0 }' /proc/net/snmp6; }
	free=$(frags a)
	pings ia 10.10.0.2 5 -s 1392 -M "do" || fail "full packets"
	pings ia fd10::2 5 -s 1371 || fail "full packets, IPv6"
	[ "$(frags a)" = "$free" ] || fail "MTU forgotten: full packets were fragmented"
	ip_ ia link set "$A" mtu 1300
	i=$(frags a)
	pings ia 10.10.0.2 5 -s 4000 || fail "MTU 1300 in the other namespace, fragments"
	[ "$(frags a)" = "$i" ] || fail "a lower MTU was not followed"
	ip_ ia link set "$A" mtu 1420
	pings ia 10.10.0.2 5 -s 1389 -M "do" || fail "MTU 1420 again"
	[ "$(frags a)" = "$i" ] || fail "a higher MTU was not followed"
	# what is padded is padded to the MTU of there; datagrams must cross one by one to be measured
	a_calls 192.0.2.2:7002
	in_ns a ethtool -K va tx-udp-segmentation off
	for i in 1300 1434; do
		ip_ ia link set "$A" mtu $i
		in_ns b nft -f - <<-RULES
			table ip t { chain in { type filter hook input priority 0; udp dport 7002 meta length > $((i + 60)) counter drop; }; }
		RULES
		until_ok 15 reaches_once ia 10.10.0.2 -s $((i - 31)) -M "do" || fail "MTU $i in the other namespace: packets are padded for another"
		pings ia 10.10.0.2 2 -s $((i - 31)) -M "do" || fail "MTU $i in the other namespace"
		in_ns b nft delete table ip t
	done
	ip_ ia link set "$A" mtu 1420
	ok "the MTU is followed in the other namespace"
	# back home, and on to a third one under traffic
	in_bg b ping -n -i 0.02 -c 300 -w 60 10.10.0.1 >"$HEARTH_TMP/ping" & i=$!
	for _ in 1 2 3; do
		ip_ ia link set "$A" netns "$(ns a)"
		addr a "$A" 10.10.0.1/24; ip_ a link set "$A" up
		until_ok 15 answers a 10.10.0.2 || fail "moved back: no answer"
		ip_ a link set "$A" netns "$(ns ia)"
		addr ia "$A" 10.10.0.1/24; ip_ ia link set "$A" up
		until_ok 15 answers ia 10.10.0.2 || fail "moved again: no answer"
	done
	wait $i || fail "pings while it moved to and fro: $(tail -3 "$HEARTH_TMP/ping")"
	ok "moves to and fro under traffic"
	# the namespace of the interface goes: so does the daemon
	ip netns del "$(ns ia)"
	until_ok 15 not daemon_in a "$A" || fail "its interface went with the namespace, the daemon stayed"
	[ ! -e "/var/run/wireguard/$A.sock" ] || fail "the socket stayed"
	ok "ends when the namespace of its interface is torn down"
	# Interfaces that live in each other's namespace hold nothing up.
	ns_add p q
	start_tunnel hearth p "$(name p)"
	start_tunnel hearth q "$(name q)"
	ip_ p link set "$(name p)" netns "$(ns q)"
	ip_ q link set "$(name q)" netns "$(ns p)"
	local pids
	pids="$(daemon_in p) $(daemon_in q)"
	ip netns del "$(ns p)"; ip netns del "$(ns q)"
	# the sockets of each keep the namespace of the other's interface: only removing one frees both
	for i in p q; do rm -f "/var/run/wireguard/$(name $i).sock"; done
	for i in $pids; do until_ok 15 not kill -0 "$i" || fail "process $i stayed"; done
	ok "interfaces in each other's namespaces can be taken down"
}

renamed() {
	local new
	talking_pair hearth
	new=$(name n)
	in_bg b ping -n -i 0.02 -c 100 -w 30 10.10.0.1 >"$HEARTH_TMP/ping" & local ping=$!
	ip_ a link set "$A" name "$new" || { ip_ a link set "$A" down; ip_ a link set "$A" name "$new"; ip_ a link set "$new" up; addr a "$new" fd10::1/64; }
	until_ok 15 answers a 10.10.0.2 || fail "renamed: no answer"
	wait $ping || fail "pings while it was renamed: $(tail -3 "$HEARTH_TMP/ping")"
	pings a fd10::2 3 || fail "renamed: no answer, IPv6"
	ip_ a link set "$new" mtu 1380
	pings a 10.10.0.2 3 -s 4000 || fail "renamed: MTU"
	# the socket keeps the name it was made with, as wireguard-go's does
	[ "$(wg_ a show "$A" listen-port)" = 7001 ] || fail "wg show by the first name"
	wg_ a set "$A" listen-port 7021
	pings a 10.10.0.2 3 && endpoint_is b "$B" 192.0.2.1:7021 || fail "renamed: wg set"
	ip_ a link set "$new" down
	not answers a 10.10.0.2 || fail "down, but there is an answer"
	ip_ a link set "$new" up
	until_ok 15 answers b 10.10.0.1 || fail "down and up: no answer"
	ok "renamed under traffic; wg keeps the first name; down and up"
	# another interface of the first name is not mistaken for it
	veth a "$A" a d1
	ip_ a link set "$A" mtu 1000
	pings a 10.10.0.2 3 -s 1352 -M "do" || fail "an interface of the first name confuses it"
	ip_ a link del "$A"
	ip_ a link del "$new"
	until_ok 15 not daemon_in a "$A" || fail "removed under its new name, the daemon stayed"
	ok "ends when it is removed under its new name"
}

mtu() {
	local m i frags
	pair go
	a_calls '[2001:db8::2]:7002'
	until_ok 10 answers a 10.10.0.2 || fail "no answer"
	in_bg a iperf3 -s -1 -B 10.10.0.1 -p 5301 >/dev/null & until_ok 15 listens a 5301 || fail "iperf3"
	in_bg b iperf3 -c 10.10.0.1 -p 5301 -t 4 -J >"$HEARTH_TMP/flow-b" & local flow_b=$!
	in_bg b iperf3 -s -1 -B fd10::2 -p 5302 >/dev/null & until_ok 15 listens b 5302 || fail "iperf3"
	in_bg a iperf3 -c fd10::2 -p 5302 -t 4 -J >"$HEARTH_TMP/flow-a" & local flow_a=$!
	for m in 1280 1420 1300 9000 1281 1420 1333 65535 1408 1420; do
		for i in a b; do ip_ $i link set "$(name $i)" mtu $m; done
		# largest single packets, one byte less, and what takes several
		reaches a 10.10.0.2 -s $((m > 65000 ? 60000 : m - 28)) || fail "MTU $m: full packets"
		reaches b fd10::1 -s $((m > 65000 ? 60000 : m - 49)) || fail "MTU $m: nearly full packets, IPv6"
		reaches b 10.10.0.1 -s $((m > 9000 ? 30000 : 3 * m)) || fail "MTU $m: fragments"
	done
	wait $flow_a && wait $flow_b || fail "TCP while the MTU changed"
	# nobody stood still for long: every second moved something
	for i in a b; do
		python3 - "$HEARTH_TMP/flow-$i" <<-'PYTHON' || fail "TCP stood still while the MTU changed"
			import json, sys
			parts = [round(i["sum"]["bits_per_second"] / 1e6) for i in json.load(open(sys.argv[1]))["intervals"]]
			print("      Mbit/s each second:", *parts)
			sys.exit(sum(1 for p in parts if p < 1) > 1)
		PYTHON
	done
	ok "MTU goes up and down under TCP, with full packets and fragments at each"
	# Only one end shrinks: what the other still sends whole is too long for it, but nothing hangs for good.
	ip_ b link set "$B" mtu 1280
	server b 10.10.0.2 5303; sends a 10.10.0.2 5303 -n 8M
	server a fd10::1 5304; sends b fd10::1 5304 -n 8M
	ok "MTUs that differ make no black hole"
	# Padding never reaches above the MTU: a packet of 1297 bytes at MTU 1300 is 1300 when sealed.
	for i in a b; do ip_ $i link set "$(name $i)" mtu 1300; done
	a_calls 192.0.2.2:7002
	in_ns a ethtool -K va tx-udp-segmentation off
	pings a 10.10.0.2 1 || fail "no answer"
	in_ns b nft -f - <<-RULES
		table ip t { chain in { type filter hook input priority 0; udp dport 7002 meta length > 1360 counter drop; }; }
	RULES
	pings a 10.10.0.2 3 -s 1269 || fail "1297 bytes at MTU 1300 were padded to more than 1300"
	pings a 10.10.0.2 3 -s 1272 -M "do" || fail "1300 bytes at MTU 1300 were padded to more than 1300"
	in_ns b nft delete table ip t
	in_ns a ethtool -K va tx-udp-segmentation on
	ok "padding ends at the MTU"
	# A cable that is narrower than the tunnel thinks: IPv4 and IPv6 outside are fragmented there
	ip_ a link set "$A" mtu 1420; ip_ b link set "$B" mtu 1420
	ip_ a link set va mtu 1300; ip_ b link set vb mtu 1300
	pings a 10.10.0.2 3 -s 1392 || fail "a narrower cable, IPv4 outside"
	server b 10.10.0.2 5305; sends a 10.10.0.2 5305 -n 8M
	a_calls '[2001:db8::2]:7002'
	pings a 10.10.0.2 3 -s 1392 || fail "a narrower cable, IPv6 outside"
	server a 10.10.0.1 5306; sends b 10.10.0.1 5306 -n 8M
	frags=$(in_ns a awk '$1 == "FragCreates" || $1 == "Ip6FragCreates" { n += $2 } $1 == "Ip:" && $2 ~ /[0-9]/ { n += $NF } END { print n }' /proc/net/snmp6 /proc/net/snmp)
	[ "${frags:-0}" -gt 0 ] || fail "nothing was fragmented, so nothing was shown"
	ok "a cable narrower than the tunnel: fragments outside, IPv4 and IPv6"
}
