# shellcheck shell=bash disable=SC2154
# Work and places that somebody costs the coordinator before it knows who he is, or more than a board may.

knocks() { ip netns exec "${N}sw" python3 "$SOURCE_OF_LAB/lib/knock.py" "$@"; }
SOURCE_OF_LAB=$HEARTH_SOURCE/tests/lab
health_from_b() { # five calls, each on a connection of its own; bench coordinator has the limit of a second
	in_ns b python3 - "$1" <<-'P'
	import ssl, sys, time, urllib.request
	context = ssl._create_unverified_context()
	for _ in range(5):
	    start = time.monotonic()
	    urllib.request.urlopen(f"https://{sys.argv[1]}/v1/health", timeout=9, context=context).read()
	    took = time.monotonic() - start
	    print(f"{took * 1000:.0f} ms")
	    if took > 5: sys.exit("too slow")
	P
}
coord_status() { asks a 0 coord status '{}'; }
coord_field() { coord_status | python3 -c "import json,sys; print(json.load(sys.stdin)['$1'])"; }
coord_memory() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$(pgrep -P "$(cat "$T/coord.pid")" hearth-coord || cat "$T/coord.pid")/status"; }
still_connected() { local b; for b in "${boards[@]}"; do says "$b" "s['coordinator']['connected']" || return 1; done; }

scene crowd "a LAN host fills the coordinator with connections, from eight addresses of one /64 and from one of IPv4"
crowd() {
	local i v6=() turned
	coord_stop
	ip netns exec "${N}a" "$B/hearth-coord" serve --state "$T/coord" --run "$T/a/run" --user root --connections 256 --per-address 32 >>"$T/coord.log" 2>&1 &
	echo $! >"$T/coord.pid"
	until_ok 60 test -S "$T/a/run/coord.sock"
	check "the boards have connected again" until_ok 30 still_connected
	for i in 1 2 3 4 5 6 7 8; do
		in_ns sw ip addr add "2001:db8:7:66::$i/64" dev br0 nodad
		v6+=("2001:db8:7:66::$i")
	done
	for i in a b c; do ip -n "$N$i" -6 route add 2001:db8:7:66::/64 dev eth0 2>/dev/null; done
	did "as many connections as are taken"
	(knocks crowd 2001:db8:7::11 8443 "${v6[@]}" >"$T/crowd6") & local six=$!
	(knocks crowd 192.0.2.11 8443 192.0.2.1 >"$T/crowd4") & local four=$!
	right 60 "both are at it" grep -q begun "$T/crowd6" "$T/crowd4"
	check "a call from b is answered" health_from_b 192.0.2.11:8443
	check "and hearth token list, too" within_5s env_of a "$B/hearth" token list
	check "no board has lost its connection" still_connected
	check "strangers hold no more than their places ($(coord_field connections) connections are open)" [ "$(coord_field connections)" -le 80 ]
	turned=$(coord_field refused)
	tried=$((tried + 1))
	[ "$turned" -gt 200 ] && held=$((held + 1))
	check "the coordinator counts whom it refuses ($turned)" [ "$turned" -gt 200 ]
	right 60 "and says so" said_enough coord 1 "more connections come than are let in"
	logged coord 1 "more connections come than are let in"
	pkill -TERM -P $six; pkill -TERM -P $four; kill $six $four 2>/dev/null; wait $six $four 2>/dev/null
	in_ns sw ip addr del 2001:db8:7:66::1/64 dev br0
	coord_stop
	coord_start
	right 60 "the boards are back" still_connected
}
within_5s() { local from; from=$(now_us); "$@" && [ $(($(now_us) - from)) -lt 5000000 ]; }

scene bodies "strangers with bodies of 60 kB"
bodies() {
	local before after
	before=$(coord_memory)
	did "300 connections with a key that nobody knows, each with a body"
	(knocks bodies 192.0.2.11 8443 300 >"$T/bodies") & local job=$!
	right 90 "they have sent what was taken" grep -q begun "$T/bodies"
	after=$(coord_memory)
	tried=$((tried + 1))
	[ $((after - before)) -lt 12000 ] && held=$((held + 1))
	check "their bodies are not kept: $((before / 1024)) MB before, $((after / 1024)) MB now ($(cat "$T/bodies"))" [ $((after - before)) -lt 12000 ]
	check "no board has lost its connection" still_connected
	pkill -TERM -P $job; kill $job 2>/dev/null; wait $job 2>/dev/null
}

scene polls "a board that was taken over asks without pause"
polls() {
	local all a_second
	did "four connections, ten seconds"
	read -r all a_second < <(in_ns c python3 "$SOURCE_OF_LAB/lib/knock.py" polls 192.0.2.11 8443 "$T/c/state" 10)
	tried=$((tried + 1))
	[ "${a_second:-999}" -le 20 ] && held=$((held + 1))
	check "it is answered $a_second times a second ($all in all)" [ "${a_second:-999}" -le 20 ]
	check "no other board has lost its connection" says b "s['coordinator']['connected']"
	right 30 "and its own hearthd has its poll" says c "s['coordinator']['connected']"
}
