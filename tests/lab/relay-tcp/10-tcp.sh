# shellcheck shell=bash disable=SC2034,SC2154
# The switch does as some firewalls do: of what goes to or comes from these boards, nothing is UDP.
no_udp() { # BOARD...
	local b
	in_ns sw nft "table bridge tread { chain forward { type filter hook forward priority 0; }; }"
	for b in "$@"; do
		in_ns sw nft "add rule bridge tread forward iifname \"p$b\" meta l4proto udp drop; add rule bridge tread forward oifname \"p$b\" meta l4proto udp drop"
	done
}
udp() { in_ns sw nft delete table bridge tread; }
by_way() { # WAY: b reaches c by that way
	says b "[p['relay_way'] for p in s['peers'] if p['name']=='c']==['$1']"
}
# BOARD WAY: of the relay on a, which it is bound to
bound_by() { says "$1" "[(r['state'], r['way']) for r in s['relays'] if r['name']=='a']==[('bound', '$2')]"; }
told() { env_of b "$B/hearth" status "${@:2}" | holds "$1"; } # PATTERN [OPTION...]

scene tcp "UDP is blocked at both boards, for a while"
tcp() {
	until_ok 10 both relayed
	talk
	until_ok 5 ping_to b "${ip4[c]}"
	did "no UDP gets to b and c" no_udp b c
	right 5 "b reaches c by TCP" by_way tcp
	right 5 "c answers" ping_to b "${ip4[c]}"
	no_gap 4 "it was a short silence"
	right 5 "b is bound by TCP" bound_by b tcp
	right 5 "and c" bound_by c tcp
	check "a person sees it" told 'relayed by a (TCP) *[0-9.]* ms'
	check "and which way, and why not the other" told 'a  *bound (TCP) .*:3340  *UDP to .*:3478 is not answered' -v
	check "the relay is still home" home_is b a
	check "as reachable as others" says b "s['reachable']>=1 and s['problems']==[]"
	check "a packet of the size that routes allow" in_ns b ping -n -q -c 1 -W 1 -M "do" -s 1252 "${ip4[c]}"
	talk
	until_ok 5 ping_to b "${ip4[c]}"
	did "UDP gets through again" udp
	right 60 "b reaches c by UDP" by_way udp
	right 60 "c, too" bound_by c udp
	no_gap 0.5 "nothing is lost over that"
	right 45 "the other way is given up" no_streams b
	right 45 "by both" no_streams c
}
# BOARD: has no TCP connection to the relay
no_streams() { ! in_ns "$1" ss -Htn state established dst 192.0.2.11 dport = :3340 | holds .; }

scene tcp_one "UDP is blocked at one of them; the relay has one by TCP and the others by UDP"
tcp_one() {
	until_ok 10 both relayed
	talk
	until_ok 5 ping_to b "${ip4[c]}"
	did "no UDP gets to b" no_udp b
	right 5 "b reaches c by TCP" by_way tcp
	right 5 "c answers" ping_to b "${ip4[c]}"
	no_gap 4 "it was a short silence"
	check "c is bound by UDP" bound_by c udp
	right 30 "b reaches a, who has no other way either" ping_to b "${ip4[a]}"
	right 30 "both are reachable" says b "s['reachable']==2"
	did "UDP gets through again" udp
	right 60 "b reaches c by UDP" by_way udp
	check "the mesh is whole" mesh_whole 30
}

scene tcp_from_the_start "both start without UDP, and have nothing else"
tcp_from_the_start() {
	stop b
	stop c
	no_udp b c
	did "b and c start" start b
	start c
	right 8 "b reaches c" ping_to b "${ip4[c]}"
	right 5 "both say relayed" both relayed
	check "by TCP" by_way tcp
	udp
	right 60 "b reaches c by UDP" by_way udp
}

# N: pings of the talk. So long a stream has stood, and its end is no failure
answers() { [ "$(grep -c time= "$T/talk")" -ge "$1" ]; }

scene tcp_restarted "the relay is killed and starts again, and is away for a while"
tcp_restarted() {
	until_ok 10 both relayed
	talk
	until_ok 5 answers 1
	no_udp b c
	until_ok 25 eval "bound_by b tcp && bound_by c tcp"
	talk_end
	talk
	until_ok 15 answers 120
	did "the relay is killed and starts again" relay_stop a KILL
	relay_serve a
	right 3 "b reaches c" ping_to b "${ip4[c]}"
	no_gap 3 "it was a short silence"
	talk
	until_ok 15 answers 120
	did "it restarts in order" relay_stop a
	relay_serve a
	right 5 "b reaches c" ping_to b "${ip4[c]}"
	no_gap 5 "it was a short silence"
	talk
	did "it is away" relay_stop a
	right 90 "b says so, and why, of both ways" says b \
		"any('no relay answers' in p and 'UDP to ' in p and ':3478' in p and 'TLS to ' in p and ':3340: ' in p and 'refused' in p for p in s['problems'])"
	talk_end
	did "it is back" relay_serve a
	right 70 "b reaches c" ping_to b "${ip4[c]}"
	udp
	right 130 "b reaches c by UDP" by_way udp
	right 140 "nothing is wrong" says b "s['problems']==[]"
}
