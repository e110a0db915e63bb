# shellcheck shell=bash
# Of test-tunnel: what changes while packets flow, and what wg reads.

# Two peers; one of them comes and goes while both are busy.
removed() {
	local pid i flow
	pair hearth
	third
	a_calls 192.0.2.2:7002
	wg_ a set "$A" peer "$(pub c)" endpoint 198.51.100.2:7003 allowed-ips 10.10.0.3/32,fd10::3/128
	until_ok 10 answers a 10.10.0.2 && until_ok 10 answers a 10.10.0.3 || fail "no answer"
	pid=$(daemon_in a "$A")
	in_bg a iperf3 -s -B 10.10.0.1 -p 5601 >/dev/null 2>&1 &
	until_ok 15 listens a 5601 || fail "iperf3"
	in_bg c iperf3 -u -b 10M -l 1200 -t 60 -c 10.10.0.1 -p 5601 --bidir >/dev/null 2>&1 & flow=$!
	in_bg b ping -n -i 0.02 -c 200 -w 60 10.10.0.1 >"$HEARTH_TMP/ping" & local ping=$!
	until_ok 15 grep -q icmp_seq=10 "$HEARTH_TMP/ping" || fail "no pings"
	for i in $(seq 20); do
		wg_ a set "$A" peer "$(pub c)" remove
		[ "$(wg_ a show "$A" peers)" = "$(pub b)" ] || fail "not removed"
		wg_ a set "$A" peer "$(pub c)" endpoint 198.51.100.2:7003 allowed-ips 10.10.0.3/32,fd10::3/128
	done
	until_ok 15 answers a 10.10.0.3 || fail "removed and added $i times: no answer"
	kill -0 $flow || fail "the traffic ended meanwhile"
	wait $ping && without_hole "$HEARTH_TMP/ping" 200 || fail "the other peer lost packets: $(tail -3 "$HEARTH_TMP/ping")"
	stop $flow
	[ "$(daemon_in a "$A")" = "$pid" ] || fail "the daemon is another one"
	ok "a peer is removed and added under traffic, 20 times; the other loses nothing"
	# both ends at once, and what is on its way to a peer that is gone
	in_bg c ping -q -n -i 0.002 -s 1000 fd10::1 >/dev/null 2>&1 & flow=$!
	in_bg a ping -q -n -i 0.002 -s 1000 10.10.0.3 >/dev/null 2>&1 & ping=$!
	for i in $(seq 10); do
		wg_ c set "$C" peer "$(pub a)" remove
		wg_ a set "$A" peer "$(pub c)" remove peer "$(pub c)" endpoint 198.51.100.2:7003 allowed-ips 10.10.0.3/32,fd10::3/128
		wg_ c set "$C" peer "$(pub a)" allowed-ips 10.10.0.1/32,fd10::1/128 endpoint 198.51.100.1:7001
	done
	until_ok 15 answers a 10.10.0.3 || fail "removed and added at both ends: no answer"
	kill -0 $flow && kill -0 $ping || fail "the traffic ended meanwhile"
	stop $flow $ping
	ok "removed and added at both ends under traffic"
}

configurations() {
	local before i ping
	talking_pair go
	wg_ a set "$A" peer "$(pub b)" persistent-keepalive 21
	before=$(handshake_of a "$A")
	wg_ a showconf "$A" >"$HEARTH_TMP/one.conf"
	{ cat "$HEARTH_TMP/one.conf"; printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.30.0.0/16, fd30::/64\nEndpoint = 192.0.2.9:9\n' "$(pub c)"; } >"$HEARTH_TMP/two.conf"
	in_bg a ping -n -i 0.01 -c 300 -w 60 10.10.0.2 >"$HEARTH_TMP/ping" & ping=$!
	until_ok 15 grep -q icmp_seq=10 "$HEARTH_TMP/ping" || fail "no pings"
	for i in $(seq 10); do
		wg_ a syncconf "$A" "$HEARTH_TMP/two.conf"
		[ "$(wg_ a show "$A" peers | wc -l)" = 2 ] || fail "syncconf did not add"
		wg_ a syncconf "$A" "$HEARTH_TMP/one.conf"
		[ "$(wg_ a show "$A" peers)" = "$(pub b)" ] || fail "syncconf did not remove"
	done
	wg_ a addconf "$A" "$HEARTH_TMP/two.conf"
	[ "$(wg_ a show "$A" peers | wc -l)" = 2 ] || fail "addconf did not add"
	wait $ping && without_hole "$HEARTH_TMP/ping" 300 || fail "syncconf lost packets of an unchanged peer: $(tail -3 "$HEARTH_TMP/ping")"
	[ "$(handshake_of a "$A" | head -1)" = "$before" ] || fail "syncconf broke the session of an unchanged peer"
	ok "syncconf and addconf under traffic keep the sessions of unchanged peers"
	wg_ a showconf "$A" >"$HEARTH_TMP/again.conf"
	wg_ a setconf "$A" "$HEARTH_TMP/again.conf"
	wg_ a showconf "$A" | diff "$HEARTH_TMP/again.conf" - || fail "setconf of showconf is something else"
	until_ok 15 at_once a 10.10.0.2 || fail "setconf: no answer"
	in_bg b ping -n -i 0.01 -c 500 -w 60 10.10.0.1 >"$HEARTH_TMP/ping" & ping=$!
	for i in $(seq 10); do
		wg_ a setconf "$A" "$HEARTH_TMP/one.conf"
		wg_ a setconf "$A" "$HEARTH_TMP/two.conf"
	done
	until_ok 15 answers a 10.10.0.2 || fail "setconf under traffic: no answer"
	wait $ping || fail "setconf under traffic: $(tail -3 "$HEARTH_TMP/ping")"
	ok "all peers replaced under traffic (setconf)"
	# a file that says nothing takes everything away
	wg_ a setconf "$A" <(printf '[Interface]\n')
	[ "$(wg_ a show "$A" private-key)" = "(none)" ] && [ -z "$(wg_ a show "$A" peers)" ] && [ "$(wg_ a show "$A" fwmark)" = off ] || fail "setconf of nothing: $(wg_ a show "$A" dump)"
	wg_ a setconf "$A" "$HEARTH_TMP/one.conf"
	until_ok 15 answers a 10.10.0.2 || fail "after setconf of nothing: no answer"
	ok "setconf of an empty file takes everything away"
}

keepalive() {
	local n m start most
	pair go
	addr a "$A" 10.10.0.1/24 2>/dev/null || :
	a_calls 192.0.2.2:7002
	until_ok 10 answers a 10.10.0.2 || fail "no answer"
	received() { transfer_of b "$B" 2; }
	wg_ a set "$A" peer "$(pub b)" persistent-keepalive 1
	n=$(received) start=${EPOCHREALTIME/[.,]/}
	sleep 3.3
	m=$(received)
	most=$((32 * ((${EPOCHREALTIME/[.,]/} - start) / 1000000 + 2)))	# whatever else the machine had to do
	[ $((m - n)) -ge 96 ] && [ $((m - n)) -le $most ] || fail "a keepalive each second are $((m - n)) bytes in 3.3 s, not 96 to $most"
	wg_ a set "$A" peer "$(pub b)" persistent-keepalive off
	[ "$(wg_ a show "$A" persistent-keepalive | cut -f2)" = off ] || fail "persistent-keepalive: $(wg_ a show "$A" persistent-keepalive)"
	n=$(received)
	sleep 1.6
	[ "$(received)" = "$n" ] || fail "keepalives after they were turned off"
	ok "persistent keepalive on and off"
	# turned on before there is a session: it makes one by itself, without any packet of ours
	ip_ a link set "$A" down
	wg_ a set "$A" peer "$(pub b)" remove
	ip_ a link set "$A" up
	wg_ b set "$B" peer "$(pub a)" remove peer "$(pub a)" preshared-key "$(key psk)" allowed-ips 10.10.0.1/32
	wg_ a set "$A" peer "$(pub b)" preshared-key "$(key psk)" endpoint 192.0.2.2:7002 persistent-keepalive 25 allowed-ips 10.10.0.2/32
	has_session() { [ "$(handshake_of b "$B")" != 0 ]; }
	until_ok 10 has_session || fail "no handshake by itself"
	pings b 10.10.0.1 2 || fail "b cannot call back"
	ok "persistent keepalive makes a session by itself, so that the other can call first"
	# A firewall that forgets after two seconds
	wg_ a set "$A" peer "$(pub b)" persistent-keepalive 1
	in_ns a nft -f - <<-RULES
		table ip t { chain in { type filter hook input priority 0; udp dport 7001 ct state established accept; udp dport 7001 drop; }; }
	RULES
	in_ns a sysctl -qw net.netfilter.nf_conntrack_udp_timeout=2 net.netfilter.nf_conntrack_udp_timeout_stream=2 || fail "conntrack"
	pings a 10.10.0.2 1 || fail "no answer through a firewall"
	sleep $FORGETS
	reaches_once b 10.10.0.1 || fail "the firewall forgot a, in spite of keepalives each second (b: $(endpoint_of b "$B"))"
	wg_ a set "$A" peer "$(pub b)" persistent-keepalive off
	sleep $FORGETS	# a packet would remind it
	not reaches_once b 10.10.0.1 || fail "this firewall never forgets: it shows nothing"
	ok "keepalives keep a firewall's memory alive"
}

dead_endpoint() {
	local before ping
	talking_pair go
	before=$(handshake_of a "$A")
	# to a host that is not there, and to one that refuses, and back: the session is the same
	for to in 192.0.2.99:7002 192.0.2.2:9 '[2001:db8::99]:7002' '[2001:db8::2]:9' 203.0.113.1:7002; do
		a_calls "$to"
		not answers a 10.10.0.2 || fail "an answer by way of $to"
		a_calls 192.0.2.2:7002
		at_once a 10.10.0.2 || until_ok 3 answers a 10.10.0.2 || fail "back from $to: no answer"
		[ "$(handshake_of a "$A")" = "$before" ] || fail "back from $to: another session"
	done
	ok "an endpoint that is dead, refuses, or has no route; and back at once"
	# A dead endpoint is left behind as soon as the peer is heard
	a_calls 192.0.2.99:7002
	pings b 10.10.0.1 1 || fail "b's packet did not bring a back"
	endpoint_is a "$A" 192.0.2.2:7002 || fail "a believes b at $(endpoint_of a "$A")"
	ok "a peer that is heard replaces a dead endpoint"
	# No endpoint at all: nothing can be sent until the peer calls
	wg_ a set "$A" peer "$(pub b)" remove peer "$(pub b)" preshared-key "$(key psk)" allowed-ips 10.10.0.2/32,fd10::2/128
	wg_ b set "$B" peer "$(pub a)" remove peer "$(pub a)" preshared-key "$(key psk)" allowed-ips 10.10.0.1/32,fd10::1/128
	not answers a 10.10.0.2 || fail "an answer without an endpoint"
	[ "$(endpoint_of a "$A")" = "(none)" ] || fail "endpoint: $(endpoint_of a "$A")"
	b_calls 192.0.2.1:7001
	until_ok 15 answers b 10.10.0.1 || fail "b called, no answer"
	pings a 10.10.0.2 2 || fail "a has heard b, and does not reach it"
	ok "a peer without an endpoint calls first"
}

# fe80:: addresses mean something only together with an interface, and there are two that look the same.
#   a  va fe80::a1 ---- vb fe80::b1  b
#   a  wa fe80::a1 ---- wc fe80::b1  c
link_local() {
	local C Z
	pair hearth
	ns_add c
	veth a wa c wc
	addr a va fe80::a1/64; addr b vb fe80::b1/64; addr a wa fe80::a1/64; addr c wc fe80::b1/64
	C=$(name c)
	start_tunnel hearth c "$C"
	wg_ c set "$C" private-key "$(key c)" listen-port 7002 peer "$(pub a)" allowed-ips 10.10.0.1/32,fd10::1/128
	addr c "$C" 10.10.0.3/24 fd10::3/64
	ip_ c link set "$C" up
	wg_ a set "$A" peer "$(pub c)" allowed-ips 10.10.0.3/32,fd10::3/128 endpoint '[fe80::b1%wa]:7002'
	a_calls '[fe80::b1%va]:7002'
	until_ok 10 answers a 10.10.0.2 || fail "no answer by fe80::b1%va"
	until_ok 10 answers a 10.10.0.3 || fail "no answer by fe80::b1%wa"
	pings b 10.10.0.1 3 && pings c fd10::1 3 || fail "no answer the other way"
	[ "$(wg_ a show "$A" endpoints | sort)" = "$(printf '%s\t%s\n' "$(pub b)" '[fe80::b1%va]:7002' "$(pub c)" '[fe80::b1%wa]:7002' | sort)" ] || fail "endpoints: $(wg_ a show "$A" endpoints)"
	endpoint_is b "$B" '[fe80::a1%vb]:7001' && endpoint_is c "$C" '[fe80::a1%wc]:7001' || fail "believed at $(endpoint_of b "$B") and $(endpoint_of c "$C")"
	ok "link-local endpoints, the same address on two interfaces"
	# by number, and through a file
	Z=$(in_ns a cat /sys/class/net/va/ifindex)
	a_calls "[fe80::b1%$Z]:7002"
	pings a fd10::2 2 || fail "a zone by its number"
	wg_ a showconf "$A" >"$HEARTH_TMP/zones.conf"
	grep -qF 'Endpoint = [fe80::b1%va]:7002' "$HEARTH_TMP/zones.conf" || fail "showconf: $(cat "$HEARTH_TMP/zones.conf")"
	wg_ a syncconf "$A" "$HEARTH_TMP/zones.conf"
	pings a fd10::2 2 && pings a fd10::3 2 || fail "after syncconf"
	wg_ a set "$A" peer "$(pub b)" endpoint '[fe80::b1%nosuch]:7002' 2>/dev/null && fail "took a zone that is not there"
	pings a fd10::2 2 || fail "after a refused zone"
	# roaming to a link-local address and away from it
	a_calls '192.0.2.2:7002'
	pings a 10.10.0.2 2 && endpoint_is b "$B" 192.0.2.1:7001 || fail "away from a link-local address"
	b_calls '[fe80::a1%vb]:7001'
	pings b 10.10.0.1 2 || fail "to a link-local address"
	[ "$(wg_ a show "$A" endpoints | grep -F "$(pub b)" | cut -f2)" = '[fe80::b1%va]:7002' ] || fail "a believes b at $(wg_ a show "$A" endpoints)"
	pings a 10.10.0.2 2 || fail "back to a link-local address"
	# the interface of the zone goes away
	ip_ a link del va
	not answers a 10.10.0.2 || fail "an answer without an interface"
	pings a 10.10.0.3 3 || fail "the other interface suffered"
	ok "zones by name and number, in files, when roaming, and when their interface is gone"
}

shown() {
	local b c list i
	pair hearth
	new_key d
	a_calls 192.0.2.2:7002
	wg_ a set "$A" fwmark 0x10 peer "$(pub b)" persistent-keepalive 30 peer "$(pub c)" allowed-ips 10.30.0.0/16,fd30::/64 peer "$(pub d)"
	until_ok 10 answers a 10.10.0.2 || fail "no answer"
	wg_ a show "$A" dump >"$HEARTH_TMP/dump"
	IFS=$'\t' read -r -a i <"$HEARTH_TMP/dump"
	[ "${i[*]}" = "$(cat "$(key a)") $(pub a) 7001 0x10" ] || fail "dump, interface: ${i[*]}"
	IFS=$'\t' read -r -a b < <(grep -F "$(pub b)" "$HEARTH_TMP/dump")
	[ "${b[1]} ${b[2]} ${b[3]} ${b[7]}" = "$(cat "$(key psk)") 192.0.2.2:7002 10.10.0.2/32,fd10::2/128 30" ] || fail "dump, peer: ${b[*]}"
	[ "${b[4]}" -ge $(($(date +%s) - 60)) ] && [ "${b[5]}" -gt 92 ] && [ "${b[6]}" -gt 148 ] || fail "dump, numbers: ${b[*]}"
	IFS=$'\t' read -r -a c < <(grep -F "$(pub c)" "$HEARTH_TMP/dump")
	[ "${c[*]:1}" = "(none) (none) 10.30.0.0/16,fd30::/64 0 0 0 off" ] || fail "dump, a quiet peer: ${c[*]}"
	grep -qF "$(pub d)"$'\t(none)\t(none)\t(none)\t0\t0\t0\toff' "$HEARTH_TMP/dump" || fail "dump, an empty peer: $(cat "$HEARTH_TMP/dump")"
	[ "$(wg_ a show all dump | grep -c "^$A"$'\t')" = 4 ] && [ "$(wg_ a show all dump | grep -c "^$B"$'\t')" = 2 ] || fail "show all dump: $(wg_ a show all dump)"
	[ "$(wg_ a show interfaces | tr ' ' '\n' | grep -cx -e "$A" -e "$B")" = 2 ] || fail "show interfaces: $(wg_ a show interfaces)"
	[ "$(wg_ a show "$A" latest-handshakes | grep -cP '\t0$')" = 2 ] && [ "$(wg_ a show "$A" transfer | grep -cP '\t0\t0$')" = 2 ] || fail "two peers were never heard"
	[ "$(wg_ a show "$A" peers | tr '\n' ' ')" = "$(pub b) $(pub c) $(pub d) " ] || fail "order of peers: $(wg_ a show "$A" peers)"
	wg_ a show "$A" | holds "latest handshake:" && wg_ a show "$A" | holds "persistent keepalive: every 30 seconds" || fail "wg show: $(wg_ a show "$A")"
	wg_ a show doesnotexist 2>/dev/null && fail "show of nothing"
	ok "show, show all dump, latest-handshakes, transfer, endpoints"
	# what usually needs more than one message: one peer with very many, many with many, some with none
	python3 - >"$HEARTH_TMP/big.conf" <<-PYTHON
		print("[Interface]\nPrivateKey = $(cat "$(key a)")\n[Peer]\nPublicKey = $(pub b)")
		for a in range(1, 256):
		    for b in range(256):
		        print(f"AllowedIPs = {a}.{b}.0.0/16, {a:x}::{b:x}/128")
	PYTHON
	wg_ a setconf "$A" "$HEARTH_TMP/big.conf"
	[ "$(wg_ a show "$A" allowed-ips | wc -w)" = $((255 * 256 * 2 + 1)) ] || fail "130,560 allowed addresses of one peer are $(wg_ a show "$A" allowed-ips | wc -w) words"
	{
		printf '[Interface]\nPrivateKey = %s\n' "$(cat "$(key a)")"
		for i in $(seq 40); do
			printf '[Peer]\nPublicKey = %s\n' "$(wg genkey | wg pubkey)"
			for b in $(seq 52); do printf 'AllowedIPs = %d.%d.0.0/16\n' "$i" "$b"; done
		done
	} >"$HEARTH_TMP/40.conf"
	wg_ a setconf "$A" "$HEARTH_TMP/40.conf"
	wg_ a show "$A" allowed-ips | awk 'NF != 53 { bad = 1 } END { exit bad || NR != 40 }' || fail "40 peers with 52 allowed addresses each"
	list=$(for i in $(seq 197); do printf 'abcd::%x,' "$i"; done)
	wg_ a set "$A" peer "$(pub b)" peer "$(pub c)" allowed-ips "${list%,}"
	wg_ a show "$A" allowed-ips | awk -F '\t' -v b="$(pub b)" -v c="$(pub c)" '$1 == b && $2 == "(none)" { n++ } $1 == c && split($2, x, " ") == 197 { n++ } END { exit n != 2 }' || fail "197 allowed addresses and none"
	wg_ a showconf "$A" >/dev/null || fail "showconf"
	ok "130,560 allowed addresses of one peer; many peers with many; peers with none"
	# what is refused, and then changes nothing
	wg_ a setconf "$A" <(printf '[Interface]\nListenPort = 7001\nPrivateKey = %s\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.10.0.2/32, fd10::2/128\nPresharedKey = %s\nEndpoint = 192.0.2.2:7002\n' "$(cat "$(key a)")" "$(pub b)" "$(cat "$(key psk)")")
	hex=$(pub b | base64 -d | od -An -tx1 | tr -d ' \n')
	list=$(wg_ a showconf "$A")
	python3 - "/var/run/wireguard/$A.sock" "$hex" <<-'PYTHON' || fail "a wrong request was taken"
		import socket, sys
		path, key = sys.argv[1:]
		unknown, any_error = "-71", None
		cases = [
		    (unknown, "set=1\nno_such_key=1"),
		    (unknown, f"set=1\npublic_key={key}\nno_such_key=1"),
		    (unknown, "set=1\nallowed_ip=10.0.0.0/8"),
		    (unknown, "set=1\nlisten_port"),
		    (any_error, "set=1\nlisten_port=65536"),
		    (any_error, "set=1\nlisten_port=-1"),
		    (any_error, "set=1\nfwmark=0x100000000"),
		    (any_error, "set=1\nprivate_key=00"),
		    (any_error, "set=1\nreplace_peers=yes"),
		    (any_error, f"set=1\npublic_key={key}\nallowed_ip=10.0.0.0/33"),
		    (any_error, f"set=1\npublic_key={key}\nallowed_ip=fd00::/129"),
		    (any_error, f"set=1\npublic_key={key}\nendpoint=192.0.2.2"),
		    (any_error, f"set=1\npublic_key={key}\nendpoint=192.0.2.2:65536"),
		    (any_error, f"set=1\npublic_key={key}\npersistent_keepalive_interval=65536"),
		    (any_error, f"set=1\npublic_key={key}\nprotocol_version=2"),
		    (any_error, f"set=1\npublic_key={key}00"),
		    (any_error, "fetch=1"),
		]
		for want, request in cases:
		    s = socket.socket(socket.AF_UNIX)
		    s.connect(path)
		    s.sendall(f"{request}\n\n".encode())
		    got = s.makefile().readline().strip().removeprefix("errno=")
		    if got == "0" or (want and got != want):
		        sys.exit(f"the answer to {request!r} is {got}, not {want or 'an error'}")
	PYTHON
	[ "$(wg_ a showconf "$A")" = "$list" ] || fail "a refused request changed something"
	until_ok 10 answers a 10.10.0.2 || fail "no answer after refusals"
	ok "requests that are wrong are refused and change nothing"
}

# Where nobody is, or nobody can be reached, an application is told so at once, as by Linux.
unreachable() {
	local f
	pair go
	addr a "$A" 10.10.0.1/24 2>/dev/null || :
	told() {	# ADDRESS: the sender hears of it within a second
		in_ns a ping -n -c 1 -W 1 "$1" >"$HEARTH_TMP/told" 2>&1 && return 1
		grep -qiE 'Destination Host Unreachable|Address unreachable' "$HEARTH_TMP/told"
	}
	told 10.10.0.2 || fail "no endpoint: $(cat "$HEARTH_TMP/told")"
	told fd10::2 || fail "no endpoint, IPv6: $(cat "$HEARTH_TMP/told")"
	told 10.10.0.77 || fail "no peer: $(cat "$HEARTH_TMP/told")"
	told fd10::77 || fail "no peer, IPv6: $(cat "$HEARTH_TMP/told")"
	# TCP does not wait for its timeouts
	for f in 10.10.0.77 fd10::77; do
		in_ns a timeout 12 python3 - $f <<-'PYTHON' || fail "TCP to $f was not told"
			import errno, socket, sys
			try:
			    socket.create_connection((sys.argv[1], 80), timeout=10)
			except OSError as e:
			    sys.exit(e.errno != errno.EHOSTUNREACH)
			sys.exit(1)
		PYTHON
	done
	# one who is only passing through is told as well
	#   e ve ---- ea a
	ns_add e
	veth e ve a ea
	addr e ve 198.51.100.2/24 fdee::2/64
	addr a ea 198.51.100.1/24 fdee::1/64
	in_ns a sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ip_ e route add 10.10.0.0/24 via 198.51.100.1
	ip_ e -6 route add fd10::/64 via fdee::1
	for f in 10.10.0.77 fd10::77; do
		in_ns e ping -n -c 1 -W 1 $f >"$HEARTH_TMP/told" 2>&1 && fail "an answer"
		grep -qiE 'Destination Host Unreachable|Address unreachable' "$HEARTH_TMP/told" || fail "one passing through was not told: $(cat "$HEARTH_TMP/told")"
	done
	# also when the address of who passes through was translated on the way in
	in_ns a nft -f - <<-RULES
		table inet n { chain post { type nat hook postrouting priority 100; oifname $A masquerade; }; }
	RULES
	for f in 10.10.0.77 fd10::77; do
		in_ns e ping -n -c 1 -W 1 $f >"$HEARTH_TMP/told" 2>&1 && fail "an answer"
		grep -qiE 'Destination Host Unreachable|Address unreachable' "$HEARTH_TMP/told" || fail "one behind NAT was not told: $(cat "$HEARTH_TMP/told")"
	done
	in_ns a nft delete table inet n
	ok "no peer or no endpoint: host unreachable, IPv4 and IPv6, also for TCP and for those who pass through, with NAT and without"
	# many errors at once are not answered one by one, and errors are never answered with errors
	in_ns a timeout -s INT 6 ping -q -n -i 0.001 -c 2000 10.10.0.77 >"$HEARTH_TMP/told" 2>&1 || :
	awk -F '[ +]' '/errors/ { for (i = 1; i <= NF; i++) if ($i == "errors,") n = $(i - 1) } END { print "      answers to 2,000:", n + 0; exit !(n + 0 >= 20 && n + 0 <= 800) }' "$HEARTH_TMP/told" || fail "errors: $(cat "$HEARTH_TMP/told")"
	ok "not each of very many is answered"
	a_calls 192.0.2.2:7002
	until_ok 10 answers a 10.10.0.2 && pings a fd10::2 2 || fail "no answer once there is an endpoint"
}
