# shellcheck shell=bash disable=SC2154
# For the tests of what comes through two tunnels: a with the interface $A, b with $B, 10.10.0.1 and
# fd10::1 to 10.10.0.2 and fd10::2 inside, 192.0.2.1 and 2001:db8::1 to .2 and ::2 outside.
# Sourced after lib/tunnel.sh.
STREAM=$HEARTH_BUILD/lab/stream
A=$(name a) B=$(name b)
traffic=() csum_before=

csum_errors() { in_ns "$1" awk '$1 == "Tcp:" { if (head) print $NF; head = 1 } ' /proc/net/snmp; }	# InCsumErrors is the last column
udp_csum_errors() { in_ns "$1" awk '$1 == "Udp:" { if (!head) { for (i = 1; i <= NF; i++) if ($i == "InCsumErrors") col = i; head = 1 } else print $col }' /proc/net/snmp; }
stat_of() { in_ns "$1" nstat -asz "$2" 2>/dev/null | awk -v n="$2" '$1 == n { print $2 }'; }	# NS NAME
counters() {	# NS NAME: a counter of the tunnel
	local lines pid i
	case $1 in a) i=$A ;; b) i=$B ;; esac
	pid=$(pid_of "$1")
	lines=$(grep -c "$i: sent datagrams" "$daemon_log" || :)
	kill -USR1 "$pid"
	until_ok 5 more_lines "$i: sent datagrams" "$lines" || fail "no counters on SIGUSR1"
	grep -o "$i: .*" "$daemon_log" | tail -3 | tr ',;:' '\n\n\n' | sed -n "s/^ *$2 \([0-9]*\)$/\1/p" | head -1
}
more_lines() { [ "$(grep -c "$1" "$daemon_log")" -gt "$2" ]; }
pid_of() {	# NS: of the tunnel in it
	local p
	for p in $(ip netns pids "$(ns "$1")"); do
		[ "$(readlink "/proc/$p/exe")" != "$HEARTH_WG" ] || { echo "$p"; return; }
	done
	fail "no tunnel runs in $1"
}
tunnel_mtu() { local s; for s in a b; do in_ns $s ip link set "$(name $s)" mtu "$1"; done; }

traffic_start() {	# CONNECTIONS BYTES (of one connection, one way): TCP both ways, IPv4 and IPv6 at once
	local n=$1 bytes=$2 f
	csum_before="$(csum_errors a) $(csum_errors b)"
	traffic=()
	rm -f "$HEARTH_TMP"/serve? "$HEARTH_TMP"/connect?	# whose "ready" is that?
	for f in 4 6; do
		in_ns b "$STREAM" serve "${inner_b[$f]}" 700$f "$n" "$bytes" >"$HEARTH_TMP/serve$f" 2>&1 &
		traffic+=($!)
		until_ok 60 grep -q ready "$HEARTH_TMP/serve$f" || fail "stream serve: $(cat "$HEARTH_TMP/serve$f")"
	done
	for f in 4 6; do
		in_ns a "$STREAM" connect "${inner_b[$f]}" 700$f "$n" "$bytes" >"$HEARTH_TMP/connect$f" 2>&1 &
		traffic+=($!)
	done
}
traffic_runs() { local p; for p in "${traffic[@]}"; do kill -0 "$p" 2>/dev/null || return 1; done; }
traffic_wait() {	# TITLE: it must end well
	local p bad=0
	for p in "${traffic[@]}"; do wait "$p" || bad=1; done
	traffic=()
	[ $bad = 0 ] || fail "$1: $(grep -H . "$HEARTH_TMP"/serve? "$HEARTH_TMP"/connect?)"
	[ "$csum_before" = "$(csum_errors a) $(csum_errors b)" ] || fail "$1: TcpInCsumErrors: $csum_before -> $(csum_errors a) $(csum_errors b)"
}
both_ways() {	# TITLE CONNECTIONS BYTES
	traffic_start "$2" "$3"
	traffic_wait "$1"
	say "ok    $1: $(numfmt --to=iec $((4 * $2 * $3))) byte for byte ($(sed -n 's/.*way, //p' "$HEARTH_TMP/connect4"), $(sed -n 's/.*way, //p' "$HEARTH_TMP/connect6"))"
}

datagrams() {	# TITLE COUNT MAX PER_SECOND LEAST_PERCENT [gso]: both families, both ways
	local title=$1 count=$2 max=$3 rate=$4 least=$5 pids=() senders=() p bad=0 f way got total_got=0
	shift 5
	rm -f "$HEARTH_TMP"/udp-*
	for f in 4 6; do
		in_ns b "$STREAM" receive "${inner_b[$f]}" 800$f "$count" >"$HEARTH_TMP/udp-$f-ab" 2>&1 & pids+=($!)
		in_ns a "$STREAM" receive "${inner_a[$f]}" 800$f "$count" >"$HEARTH_TMP/udp-$f-ba" 2>&1 & pids+=($!)
		for way in ab ba; do until_ok 60 grep -q ready "$HEARTH_TMP/udp-$f-$way" || fail "stream receive"; done
	done
	for f in 4 6; do
		in_ns a "$STREAM" send "${inner_b[$f]}" 800$f "$count" "$max" "$rate" "$@" >>"$HEARTH_TMP/udp-sent" 2>&1 & senders+=($!)
		in_ns b "$STREAM" send "${inner_a[$f]}" 800$f "$count" "$max" "$rate" "$@" >>"$HEARTH_TMP/udp-sent" 2>&1 & senders+=($!)
	done
	for p in "${senders[@]}" "${pids[@]}"; do wait "$p" || bad=1; done
	[ $bad = 0 ] || fail "$title: $(grep -H . "$HEARTH_TMP"/udp-*)"
	for f in 4-ab 4-ba 6-ab 6-ba; do
		got=$(awk '/received/ { print $2 + $4 }' "$HEARTH_TMP/udp-$f")
		total_got=$((total_got + got))
		[ $((got * 100)) -ge $((count * least)) ] || fail "$title: only $got of $count: $(cat "$HEARTH_TMP/udp-$f")"
	done
	say "ok    $title: $total_got of $((4 * count)) datagrams, none changed"
}

point() {	# 4|6: the family of the outer packets
	case $1 in
	4) in_ns a wg set "$A" peer "$(pub b)" endpoint 192.0.2.2:7002
		in_ns b wg set "$B" peer "$(pub a)" endpoint 192.0.2.1:7001 ;;
	6) in_ns a wg set "$A" peer "$(pub b)" endpoint '[2001:db8::2]:7002'
		in_ns b wg set "$B" peer "$(pub a)" endpoint '[2001:db8::1]:7001' ;;
	esac
	until_ok 20 answers a 10.10.0.2 || fail "no answer through the tunnel over IPv$1"
	until_ok 20 answers b fd10::1 || fail "no answer through the tunnel over IPv$1"
}

declare -A inner_a=([4]=10.10.0.1 [6]=fd10::1) inner_b=([4]=10.10.0.2 [6]=fd10::2)
tunnels_up() {	# [ENVIRONMENT...]
	local s
	for s in a b; do
		# shellcheck disable=SC2154
		env "$@" ip netns exec "$(ns $s)" "$HEARTH_WG" "$(name $s)" >>"$daemon_log" 2>&1 </dev/null || fail "hearth-wg did not start"
	done
	in_ns a wg set "$A" private-key "$(key a)" listen-port 7001 peer "$(pub b)" allowed-ips 10.10.0.2/32,fd10::2/128
	in_ns b wg set "$B" private-key "$(key b)" listen-port 7002 peer "$(pub a)" allowed-ips 10.10.0.1/32,fd10::1/128
	addr a "$A" 10.10.0.1/24 fd10::1/64
	addr b "$B" 10.10.0.2/24 fd10::2/64
	for s in a b; do ip -n "$(ns $s)" link set "$(name $s)" up; done
}
tunnels_down() {
	local s
	for s in a b; do ip -n "$(ns $s)" link del "$(name $s)"; done
	until_ok 10 no_tunnel || fail "a tunnel did not end with its interface"
}
no_tunnel() { [ -z "$(ip netns pids "$(ns a)")$(ip netns pids "$(ns b)")" ]; }

