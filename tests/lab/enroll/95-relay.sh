# shellcheck shell=bash disable=SC2154
# A board that becomes a relay as it enrols, boards that reach the coordinator by way of it, and how that ends.

relay_pid() { cat "$W/$1/run/hearth-relay.pid" 2>/dev/null; } # BOARD
relay_runs() { kill -0 "$(relay_pid "$1")"; } 2>/dev/null
relays() { # BOARD: its line of the coordinator's list
	on coord hearth relay list | grep "^$1 "
}
serves() { relays "$1" | holds serving; }
waits_for() { python3 -c 'import json, sys; print(len(json.load(open(sys.argv[1])).get("waits_for", [])))' "$W/$1/etc/relay.json"; }
parked_at() { # BOARD: the coordinator keeps connections there
	ip netns exec "$N-$1" ss -Htn state established "sport = :$2" | holds .
}
no_way() { # BOARD drop|reject: nothing of it gets to the coordinator's port
	ip netns exec "$N-$1" nft -f - <<<"table inet lab { chain out { type filter hook output priority 0; tcp dport 8443 $2; }; }"
}
need_relay() { # b7, at 192.168.77.17, TCP 3341
	! serves b7 || return 0
	fresh b7
	enrol b7 "$(token --relay --role member)" --relay --relay-host 192.168.77.17 --relay-port 3341 --relay-udp-port 3479 || { failed "b7 does not become a relay"; show "$W/out"; }
}

scene relay "a board becomes a relay as it enrols"
relay() {
	local t status=0
	fresh b7
	ends 2 "an option of a relay without --relay is wrong use" on b7 enroll-node --relay-port 443
	has "and says what is missing" "goes with --relay"
	t=$(token --role member)
	refused_relay() { on b7 enroll-node --relay --relay-port 3341 --relay-udp-port 3479 <<<"$t"; }
	ends 1 "a token that lets nobody be a relay" refused_relay
	has "names the one that does" "hearth token create --relay"
	t=$(token --relay --role member)
	tree=$(tree b7)
	dry() { on b7 enroll-node --relay --relay-port 3342 --relay-udp-port 3479 --dry-run <<<"$t"; }
	ends 0 "a dry run" dry
	has "says what it would do" "would relay.*TCP port 3342"
	check "and does none of it" same_tree b7 "$tree"
	ip netns exec "$N-b7" python3 -c 'import socket, sys; s = socket.create_server(("", 4444)); print(flush=True); sys.stdin.read()' < <(sleep 60) >"$W/web" &
	until_ok 10 test -s "$W/web"
	taken() { on b7 enroll-node --relay --relay-port 4444 "$@" <<<"$t"; }
	ends 1 "a port that is taken" taken
	has "is named with who has it" "TCP port 4444 is taken by python3 (process [0-9]*)"
	has "and what would do" "--relay-port. Or, .*--pass-to"
	ends 1 "with --pass-to" taken --pass-to 127.0.0.1:4445
	has "the server is to listen there" "Have it listen at 127.0.0.1:4445 instead"
	kill $!
	enrolls "a board enrols as a relay" b7 "$t" --relay --relay-host 192.168.77.17 --relay-port 3341 --relay-udp-port 3479
	has "and says its ports" "serves as a relay on TCP port 3341 and UDP port 3479"
	has "and where its log is" "$W/b7/run/hearth-relay.log"
	check "its record says so at once, for the token had an administrator's yes" serves b7
	check "its relay runs" relay_runs b7
	check "and waits for nobody any more" test "$(waits_for b7)" = 0
	check "the coordinator keeps connections there" until_ok 20 parked_at b7 3341
	t=$(relay_pid b7)
	ends 0 "a second run" on b7 enroll-node --relay
	has "finds nothing to do" "^Nothing to do"
	check "and leaves the relay alone" test "$(relay_pid b7)" = "$t"
	kill -9 "$t"
	gone_now() { ! relay_runs b7; }
	until_ok 5 gone_now
	ends 0 "a run after the relay has ended" on b7 enroll-node --relay
	check "starts it" relay_runs b7
	ends 0 "another port" on b7 enroll-node --relay --relay-udp-port 3480
	other() { relays b7 | holds 3480; }
	check "is told to all" until_ok 20 other
}

scene by_relay "a board that nothing leads from to the coordinator but a relay"
by_relay() {
	local t
	need_relay
	check "the coordinator keeps connections at the relay" until_ok 20 parked_at b7 3341
	fresh b8
	no_way b8 drop
	t=$(token --role member)
	enrolls "enrols by the relay in its token" b8 "$t"
	hears() { status_says b8 'coordinator.*hearth.internal'; }
	check "and hears of news there" until_ok 60 hears
	fresh b9
	no_way b9 reject
	refused "a token without it leads nowhere" b9 "$(retoken "$(token --role member)" 't["relays"]=[]')" "8443"
	refused "nor does one that names something else" b9 "$(retoken "$(token --role member)" 't["relays"]=[{"host":"192.168.77.17"},7,{"name":"x"}]')" "8443"
	gone b8
}

scene relay_leaves "--leave takes the relay away"
relay_leaves() {
	local pid
	need_relay
	pid=$(relay_pid b7)
	ends 0 "--leave --dry-run" on b7 enroll-node --leave --dry-run
	check "ends nothing" relay_runs b7
	ends 2 "--leave --relay is wrong use" on b7 enroll-node --leave --relay
	ends 0 "--leave" on b7 enroll-node --leave
	ended() { ! kill -0 "$pid"; } 2>/dev/null
	check "ends the relay" until_ok 10 ended
	check "and leaves nothing of it" test -z "$(ls "$W/b7/etc" "$W/b7/relay" "$W/b7/run" 2>/dev/null | grep -i relay)"
	on coord hearth node remove b7 >/dev/null
	gone b7
}
