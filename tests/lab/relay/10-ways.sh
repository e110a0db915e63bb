# shellcheck shell=bash disable=SC2034,SC2154
scene by_relay "two boards that cannot reach each other"
by_relay() {
	did "b and c do not hear each other any more" true
	right 5 "b reaches c" ping_to b "${ip4[c]}"
	right 5 "and by IPv6" ping_to b "${ip6[c]}"
	right 5 "status says by which relay" carried_by a
	check "as reachable as others" says b "s['reachable']==2 and s['problems']==[]"
	check "a person sees it" sh -c "HEARTH_ETC=$T/b/etc HEARTH_STATE=$T/b/state HEARTH_RUN=$T/b/run ip netns exec ${N}b $B/hearth status | grep -q 'relayed by a'"
	check "a packet of the size that routes allow" in_ns b ping -n -q -c 1 -W 1 -M "do" -s 1252 "${ip4[c]}"
}

scene from_the_start "both start, and have nothing else"
from_the_start() {
	stop b
	stop c
	did "b and c start" start b
	start c
	right 8 "b reaches c" ping_to b "${ip4[c]}"
	right 5 "both say relayed" both relayed
	check "a reaches both directly" says a "all(p['state']=='direct' for p in s['peers'])"
}

scene cable "a direct way comes, goes silently, and comes back"
cable() {
	talk
	right 5 "b reaches c by the relay" both relayed
	did "a cable is plugged in between b and c" cable_in
	right 5 "it is used" says b "[p['endpoint'] for p in s['peers'] if p['name']=='c']==['198.51.100.3:41741']"
	right 3 "by both" both direct
	no_gap 0.5 "nothing is lost over that"
	talk
	until_ok 5 test "$(wc -l <"$T/talk")" -gt 5
	did "somebody treads on it" cable_dead
	right 3 "b reaches c by the relay" says b "[p['relay'] for p in s['peers'] if p['name']=='c']==['a']"
	right 5 "both say relayed" both relayed
	no_gap 3 "the relay takes over"
	talk
	did "it is mended" cable_alive
	right 8 "it is used again" both direct
	no_gap 0.5 "nothing is lost over that"
	talk
	did "it is unplugged" cable_out
	right 3 "b reaches c by the relay" carried_by a
	no_gap 3 "the relay takes over"
}

scene quiet_cable "a direct way goes while nobody talks"
quiet_cable() {
	cable_in
	right 5 "b and c are direct" both direct
	did "the cable dies, and then b has something to say" cable_dead
	right 3 "c answers" ping_to b "${ip4[c]}"
	cable_out
	cable_alive
	right 5 "both say relayed" both relayed
}

scene nobody_talks "a direct way goes, and nobody says a word for as long as it takes" long
nobody_talks() {
	cable_in
	right 5 "b and c are direct" both direct
	did "the cable dies" cable_dead
	right 90 "both say relayed, once they have heard nothing for a minute" both relayed
	cable_out
	cable_alive
}
