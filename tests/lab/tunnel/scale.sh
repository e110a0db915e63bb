# shellcheck shell=bash
# Of test-tunnel: 10,000 peers with 100,000 allowed addresses, through wg.

timed() {	# SECONDS WHAT COMMAND...
	local limit=$1 what=$2 start=${EPOCHREALTIME/,/.} took
	shift 2
	"$@" || fail "$what"
	took=$(awk -v a="${EPOCHREALTIME/,/.}" -v b="$start" 'BEGIN { printf "%.2f", a - b }')
	echo "      $what: $took s"
	awk -v t="$took" -v l="$limit" 'BEGIN { exit t > l }' || fail "$what took $took s"
}
# What the last configuration started is done: hardly a wakeup in a quarter of a second. (A sanitizer has a
# thread of its own that wakes.)
settled() {	# PID
	local n most=4
	[ -z "$SANITIZER_LIBRARY" ] || most=12
	n=$(switches "$1")
	sleep 0.25
	[ $(($(switches "$1") - n)) -le $most ]
}
woken() {	# PID SECONDS: how often in that time
	local n
	n=$(switches "$1")
	sleep "$2"
	echo $(($(switches "$1") - n))
}
# A hundred pings a second through b's session while COMMAND runs: none is lost.
undisturbed() {	# WHAT COMMAND...
	local what=$1 ping last
	shift
	in_bg b ping -n -i 0.01 -w 120 10.10.0.1 >"$HEARTH_TMP/ping" 2>&1 & ping=$!
	until_ok 15 grep -q icmp_seq=10 "$HEARTH_TMP/ping" || fail "no pings"
	"$@"
	last=$(sed -n 's/.*icmp_seq=\([0-9]*\).*/\1/p' "$HEARTH_TMP/ping" | tail -1)
	until_ok 15 without_hole "$HEARTH_TMP/ping" $((last + 10)) || fail "$what: pings were lost: $(tail -3 "$HEARTH_TMP/ping")"
	kill -INT $ping
	wait $ping || :
	awk -F '[ /]' '/^rtt/ { printf "      meanwhile, through another session: %d pings, none lost, longest %s ms\n", n, $9 }' n=$((last + 10)) "$HEARTH_TMP/ping"
}

scale() {
	local pid n alone before
	pair hearth
	new_key keep
	b_calls 192.0.2.1:7001
	pid=$(daemon_in a "$A")
	# 10,000 keys that are none of anybody's; any 32 bytes are a point
	python3 - "$(cat "$(key a)")" "$(pub b)" "$(cat "$(key psk)")" "$HEARTH_TMP" <<-'PYTHON'
		import base64, hashlib, sys
		own, b, psk, where = sys.argv[1:]
		def key(*what):
		    return base64.b64encode(hashlib.sha256(repr(what).encode()).digest()[:31] + b"\x09").decode()
		head = f"[Interface]\nPrivateKey = {own}\nListenPort = 7001\n"
		busy = f"[Peer]\nPublicKey = {b}\nPresharedKey = {psk}\nAllowedIPs = 10.10.0.2/32, fd10::2/128\n"
		def peer(i, salt, more=""):
		    v4 = [f"100.{64 + i // 1024}.{i // 4 % 256}.{i % 4 * 64 + j}/32" for j in range(5)]
		    v6 = [f"fd99:{i:x}::{j:x}/128" for j in range(5)]
		    return (f"[Peer]\nPublicKey = {key(i, salt)}\nPresharedKey = {key(i, 'psk')}\n"
		            f"AllowedIPs = {', '.join(v4 + v6)}\nEndpoint = 198.51.100.{i % 250 + 1}:{1000 + i}\n{more}")
		def write(name, salt_of):
		    with open(f"{where}/{name}", "w") as f:
		        f.write(head + busy + "".join(peer(i, salt_of(i)) for i in range(10000)))
		write("all.conf", lambda i: 0)
		write("sync.conf", lambda i: 1 if i % 10 == 0 else 0)
		with open(f"{where}/1000.conf", "w") as f:
		    f.write(head + busy + "".join(peer(i, 0) for i in range(1000)))
		with open(f"{where}/none.conf", "w") as f:
		    f.write(head + busy)
	PYTHON
	wg_ a syncconf "$A" "$HEARTH_TMP/none.conf"
	until_ok 10 answers b 10.10.0.1 || fail "no answer"
	echo "      memory with 1 peer: $(kbytes "$pid" VmRSS) kB"
	before=$(handshake_of b "$B")

	# 1,000 that are configured and silent. (A sanitizer has a thread of its own that wakes: hence the difference.)
	until_ok 15 settled "$pid" || fail "an idle tunnel does not become quiet"
	alone=$(woken "$pid" 3)
	wg_ a syncconf "$A" "$HEARTH_TMP/1000.conf"
	echo "      memory with 1,001 peers: $(kbytes "$pid" VmRSS) kB"
	until_ok 15 settled "$pid" || fail "a tunnel with 1,001 idle peers does not become quiet"
	n=$(woken "$pid" 3)
	echo "      1 idle peer: $alone wakeups in 3 s, 1,001: $n"
	[ $((n - alone)) -le 30 ] || fail "1,000 idle peers cost $((n - alone)) wakeups in 3 s"
	ok "idle peers cost no wakeups"
	wg_ a syncconf "$A" "$HEARTH_TMP/none.conf"

	undisturbed "setconf" timed "$(budget setconf-10000)" "wg syncconf, 10,000 peers with 100,000 allowed addresses added" wg_ a syncconf "$A" "$HEARTH_TMP/all.conf"
	[ "$(wg_ a show "$A" peers | wc -l)" = 10001 ] || fail "$(wg_ a show "$A" peers | wc -l) peers"
	echo "      memory with 10,001 peers: $(kbytes "$pid" VmRSS) kB, at most $(kbytes "$pid" VmHWM) kB"
	undisturbed "showconf" timed "$(budget showconf-10000)" "wg showconf" wg_ a showconf "$A" >"$HEARTH_TMP/shown"
	tail -2 "$HEARTH_TMP/shown"
	wg_ a showconf "$A" >"$HEARTH_TMP/shown.conf"
	[ "$(grep -c '^PublicKey' "$HEARTH_TMP/shown.conf")" = 10001 ] && [ "$(sed -n 's/^AllowedIPs = //p' "$HEARTH_TMP/shown.conf" | tr ',' '\n' | wc -l)" = 100002 ] || fail "showconf left something out"
	undisturbed "show dump" timed "$(budget showconf-10000)" "wg show dump" wg_ a show "$A" dump >"$HEARTH_TMP/shown"
	tail -2 "$HEARTH_TMP/shown"
	undisturbed "syncconf" timed "$(budget setconf-10000)" "wg syncconf of the same" wg_ a syncconf "$A" "$HEARTH_TMP/all.conf"
	undisturbed "syncconf" timed "$(budget setconf-10000)" "wg syncconf, every tenth peer another" wg_ a syncconf "$A" "$HEARTH_TMP/sync.conf"
	[ "$(wg_ a show "$A" peers | wc -l)" = 10001 ] || fail "$(wg_ a show "$A" peers | wc -l) peers"
	undisturbed "set" timed 1 "wg set, one peer" wg_ a set "$A" peer "$(pub c)" allowed-ips 10.99.0.0/16
	[ "$(handshake_of b "$B")" = "$before" ] || fail "the busy session was not kept"
	wg_ a syncconf "$A" "$HEARTH_TMP/shown.conf"
	wg_ a showconf "$A" | sort | diff <(sort "$HEARTH_TMP/shown.conf") - >/dev/null || fail "syncconf of showconf is something else"
	ok "10,000 peers through syncconf, showconf and show dump; another session is not disturbed"
	timed "$(budget setconf-10000)" "wg setconf, all 10,001 peers replaced" wg_ a setconf "$A" "$HEARTH_TMP/all.conf"
	a_calls 192.0.2.2:7002
	until_ok 15 answers a 10.10.0.2 || fail "setconf: no answer"
	undisturbed "remove" timed "$(budget setconf-10000)" "10,000 peers removed" wg_ a syncconf "$A" "$HEARTH_TMP/none.conf"
	[ "$(wg_ a show "$A" peers)" = "$(pub b)" ] || fail "peers left: $(wg_ a show "$A" peers | wc -l)"
	echo "      memory with 1 peer again: $(kbytes "$pid" VmRSS) kB"
	ok "setconf replaces all, and all go"
	one_with_all
}

# One peer owns 100,000 prefixes: added, shown, replaced and taken away while pings of another run.
one_with_all() {
	python3 - "$(pub c)" "$HEARTH_TMP" <<-'PYTHON'
		import base64, sys
		key = base64.b64decode(sys.argv[1]).hex()
		prefixes = "".join(f"allowed_ip=100.{64 + i // 4096}.{i // 16 % 256}.{i % 16 * 16}/28\n" if i % 2 else
		                   f"allowed_ip=fd99:{i >> 8:x}:{i & 255:x}::/48\n" for i in range(100000))
		for name, text in (("add", prefixes), ("replace", "replace_allowed_ips=true\nallowed_ip=10.99.0.0/16\n"),
		                   ("remove", "remove=true\n")):
		    with open(f"{sys.argv[2]}/{name}.uapi", "w") as f:
		        f.write(f"set=1\npublic_key={key}\n{text}\n")
	PYTHON
	by_uapi() {	# FILE
		python3 - "/var/run/wireguard/$A.sock" "$HEARTH_TMP/$1.uapi" <<-'PYTHON'
			import socket, sys
			s = socket.socket(socket.AF_UNIX)
			s.connect(sys.argv[1])
			s.sendall(open(sys.argv[2], "rb").read())
			sys.exit(s.makefile().readline() != "errno=0\n")
		PYTHON
	}
	shown_by_one() { [ "$(wg_ a show "$A" allowed-ips | awk -v k="$(pub c)" '$1 == k { print NF - 1 }')" = "$1" ]; }
	undisturbed "add" timed 10 "one peer with 100,000 prefixes" by_uapi add
	shown_by_one 100000 || fail "it does not own 100,000 prefixes"
	undisturbed "show" timed 5 "wg show of it" shown_by_one 100000
	undisturbed "replace" timed 5 "its prefixes replaced by one" by_uapi replace
	shown_by_one 1 || fail "it owns more than one prefix"
	by_uapi add || fail "added again"
	undisturbed "remove" timed 5 "it removed" by_uapi remove
	[ "$(wg_ a show "$A" peers)" = "$(pub b)" ] || fail "peers left: $(wg_ a show "$A" peers | wc -l)"
	ok "one peer with 100,000 prefixes comes and goes; another session is not disturbed"
}
