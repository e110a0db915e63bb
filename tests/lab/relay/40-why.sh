# shellcheck shell=bash disable=SC2034,SC2154
why_is() { # BOARD PEER CAUSE [WHOSE...]
	[ "$(env_of "$1" "$B/hearth" why --json "$2" | python3 -c 'import json, sys; v = json.load(sys.stdin); print(v["cause"], *v["at"])')" = "${*:3}" ] ||
		{ env_of "$1" "$B/hearth" why "$2"; return 1; }
}
ping_said() { grep -qE "$1" "$T/until" || { cat "$T/until"; return 1; }; }
until_direct() { ! kill -0 "$(cat "$T/until.pid")" 2>/dev/null; } # has ended

scene why "hearth why and hearth ping, of ways that are built for it"
why() {
	check "one on the same LAN" why_is b a direct_lan
	check "in one sentence" sh -c "HEARTH_RUN=$T/b/run ip netns exec ${N}b $B/hearth why a | grep -q '^a is direct at 192.0.2.11:41741, .*: both are on one network.$'"

	HEARTH_RUN=$T/b/run ip netns exec "${N}b" "$B/hearth" ping --until-direct c >"$T/until" 2>&1 &
	echo $! >"$T/until.pid"
	right 5 "b reaches c by one of the relays" ping_said 'answered in .*, relayed by (a|d)'
	did "a cable is plugged in between b and c" cable_in
	right 5 "hearth ping ends" until_direct
	check "it says that the way is another now" ping_said '^now direct at 198\.51\.100\.3:41741, .* ms \(was relayed by (a|d), .* ms\)$'
	rm "$T/until.pid"
	check "the cable is a LAN" why_is b c direct_lan
	did "somebody treads on it" cable_dead
	right 8 "that is why" why_is b c direct_lost
	cable_out
	cable_alive

	did "no UDP gets out of c any more" in_ns c nft 'table inet no_udp { chain out { type filter hook output priority 0; oifname "eth0" meta l4proto udp drop; }; }'
	right 20 "b knows" why_is b c udp_blocked c
	right 5 "c knows" why_is c b udp_blocked c
	did "it does again" in_ns c nft delete table inet no_udp
	right 30 "b reaches c as before" both relayed

	did "hearthd on c ends" stop c
	right 10 "to b it is off: it has not even its machine to ask" why_is b c peer_off c
	right 10 "a finds its machine on" why_is a c hearthd_off c
	did "it is started" start c
	right 15 "b reaches c" both relayed
}

scene why_isolated "hearth why, on a LAN that carries nothing between two boards" long
why_isolated() {
	right 45 "b knows, half a minute after it did" why_is b c isolated b c
	right 45 "and c" why_is c b isolated c b
}
