# shellcheck shell=bash disable=SC2034,SC2154
scene restarted "the only relay restarts, and is away for a while"
restarted() {
	until_ok 10 both relayed
	talk
	stream
	until_ok 5 ping_to b "${ip4[c]}"
	did "the relay is killed and starts again" relay_stop a KILL
	relay_serve a
	stream_mark
	right 3 "b reaches c" ping_to b "${ip4[c]}"
	right 3 "and their TCP connection goes on" goes_on
	no_gap 3 "it was a short silence"
	relay_stop a
	sleep 1 # RestartSec of its unit
	did "it restarts in order" relay_serve a
	stream_mark
	right 3 "the TCP connection goes on" goes_on
	no_stall 4 "over both"
	talk
	did "the relay is away" relay_stop a
	right 40 "b says so, and why" says b "any('no relay answers' in p and 'to c.' in p and '3478' in p for p in s['problems'])"
	did "it is back" relay_serve a
	right 4 "b reaches c" ping_to b "${ip4[c]}"
	talk_end
	right 10 "and nothing is wrong" says b "s['problems']==[]"
}

board_d() { # a fourth board, on the same LAN
	[ -z "${pid[d]:-}" ] || return 0
	wan[d]=192.0.2.14
	netns_add "${N}d"
	ip -n "${N}d" link add eth0 type veth peer name pd netns "${N}sw"
	in_ns sw sh -c "ip link set pd master br0 up"
	in_ns d sh -c "ip link set lo up; ip link set eth0 up; ip addr add ${wan[d]}/24 dev eth0
		ip addr add 2001:db8:7::14/64 dev eth0 nodad; ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8:7::1"
	mkdir -p "$T"/d/{etc,state,run,wg}
	printf '127.0.0.1 localhost\n' >"$T/d/hosts"
	boards+=(d)
	marks[d]=0
	enrol d member || return 1
	: >"$T/d/hearthd.log"
	helper_start d
	start d
}

scene two_relays "there are two, and the one that carries dies"
two_relays() {
	local by other
	board_d # not within a check: it starts processes that are ours
	check "d joins" until_ok 10 says d "s['coordinator']['connected']"
	check "it is a relay" relay_up d
	right 15 "all are bound to both" bound "${boards[@]}"
	right 10 "b reaches c" ping_to b "${ip4[c]}"
	until_ok 10 both relayed
	by=$(field b "[p['relay'] for p in s['peers'] if p['name']=='c'][0]") other=$([ "$by" = a ] && echo d || echo a)
	talk
	stream
	until_ok 5 ping_to b "${ip4[c]}"
	did "$by is off: nothing answers there" in_ns sw ip link set "p$by" down
	stream_mark
	right 3 "c answers" ping_to b "${ip4[c]}"
	no_gap 3 "the other takes over"
	right 4 "their TCP connection goes on" goes_on
	right 30 "it is home of both" eval "home_is b $other && home_is c $other"
	did "$by is back" in_ns sw ip link set "p$by" up
	right 40 "b and c are bound to both" bound b c
	check "and the mesh is whole" mesh_whole 30
	did "$other, home of both, is no relay any more" relay_down "$other"
	stream_mark
	right 4 "their TCP connection goes on" goes_on
	right 10 "$by is home again" eval "home_is b $by && home_is c $by"
	no_stall 4 "it lived through all that"
	check "$other is a relay again" relay_up "$other"
	right 15 "all are bound to both" bound "${boards[@]}"
	talk
	stream
	until_ok 5 ping_to b "${ip4[c]}"
	did "$by is killed" relay_stop "$by" KILL
	stream_mark
	right 3 "c answers" ping_to b "${ip4[c]}"
	no_gap 3 "$other takes over"
	right 4 "their TCP connection goes on" goes_on
	no_stall 4 "so it was for that, which tries again after 1.4 s, or else 3"
	relay_serve "$by"
}

names() { printf '127.0.0.1 localhost\n%s vps.example.net\n' "$2" >"$T/$1/names"; } # BOARD ADDRESS: what DNS would answer
start_named() { # BOARD: to it, these names are all there are
	HEARTH_ETC=$T/$1/etc HEARTH_STATE=$T/$1/state HEARTH_RUN=$T/$1/run unshare -m sh -c 'mount --bind "$1" /etc/hosts; shift; exec "$@"' sh \
		"$T/$1/names" ip netns exec "$N$1" "$B/hearthd" >>"$T/$1/hearthd.log" 2>&1 &
	pid[$1]=$!
	echo $! >"$T/$1.pid"
}
at_name() { says "$1" "[r['endpoint'] for r in s['relays'] if r['name']=='d' and r['state']=='bound']==['$2:3478']"; } # BOARD ADDRESS

scene renumbered "a relay that is known by a name gets another address"
renumbered() {
	local b
	[ -n "${pid[d]:-}" ] || { board_d && until_ok 10 says d "s['coordinator']['connected']" && relay_up d || failed "d is no relay"; }
	relay_stop a
	did "d is a relay by its name" sed -i 's/"hosts": "automatic"/"hosts": ["vps.example.net"]/' "$T/d/etc/relay.json"
	kill -HUP "${pid[d]}"
	for b in b c; do
		names $b 192.0.2.14
		stop $b
		start_named $b
	done
	right 15 "b is bound there" at_name b 192.0.2.14
	right 15 "and c" at_name c 192.0.2.14
	right 10 "b reaches c" ping_to b "${ip4[c]}"
	did "d moves, and its name follows" in_ns d sh -c 'ip addr del 192.0.2.14/24 dev eth0; ip addr add 192.0.2.24/24 dev eth0
		ip route replace default via 192.0.2.1'
	names b 192.0.2.24
	names c 192.0.2.24
	right 40 "b is bound there, once it has missed an answer" at_name b 192.0.2.24
	right 40 "and c" at_name c 192.0.2.24
	right 45 "b reaches c" ping_to b "${ip4[c]}"
	talk
	stream
	until_ok 5 ping_to b "${ip4[c]}"
	did "and back, while somebody talks" in_ns d sh -c 'ip addr del 192.0.2.24/24 dev eth0; ip addr add 192.0.2.14/24 dev eth0
		ip route replace default via 192.0.2.1'
	names b 192.0.2.14
	names c 192.0.2.14
	stream_mark
	right 10 "b reaches c" ping_to b "${ip4[c]}"
	right 10 "their TCP connection goes on" goes_on
	no_gap 10 "within ten seconds"
	no_stall 10 "and so it was for that"
	relay_serve a
	for b in b c; do
		stop $b
		start $b
	done
	right 20 "the mesh is whole" whole
}
