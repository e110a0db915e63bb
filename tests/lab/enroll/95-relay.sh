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
	local t tree
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
	hears() { status_says b8 'coordinator *connected by relay'; }
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
	check "and leaves nothing of it" test -z "$(find "$W/b7" -name '*relay*')"
	on coord hearth node remove b7 >/dev/null
	gone b7
}

# Against the coordinator's `hearth relay add`: nothing from b8 leads to the coordinator, which comes to it.
enroll_pid() { # BOARD
	local p
	for p in $(ip netns pids "$N-$1"); do
		[ "$(cat "/proc/$p/comm")" != enroll-node ] || echo "$p"
	done
} 2>/dev/null
waits() { # TOKEN: b8's enroll-node is ours to wait for, what it says in $W/waiting
	on b8 env --default-signal=INT enroll-node --relay --relay-host 192.168.77.18 <<<"$1" >"$W/waiting" 2>&1 &
	until_ok 20 grep -q 'waiting for it' "$W/waiting" && passed "it waits" || { failed "it does not wait"; show "$W/waiting"; }
}

scene waiting "the first relay, before any coordinator can be reached"
waiting() {
	local t
	enrolled b7 && gone b7
	fresh b8
	no_way b8 reject
	t=$(token --relay --role member)
	no_wait() { on b8 enroll-node --relay --relay-host 192.168.77.18 --wait 1 <<<"$t"; }
	ends 1 "it waits no longer than it is told" no_wait
	has "and says so" "has not come within 1 s"
	waits "$t"
	check "and says what there is to type" grep -q 'sudo hearth relay add 192.168.77.18$' "$W/waiting"
	show "$W/waiting"
	kill -INT "$(enroll_pid b8)"
	wait $!
	check "Ctrl-C ends that" test $? -eq 130
	check "the relay goes on" relay_runs b8
	waits "$t"
	check "in which the relay was running" grep -q '^ok *relay' "$W/waiting"
	ends 0 "on the coordinator's board" on coord hearth relay add 192.168.77.18
	wait $!
	check "the board is enrolled" test $? -eq 0
	check "what there is to type was said once" test "$(grep -c 'hearth relay add' "$W/waiting")" = 1
	check "it is a relay" serves b8
	at_host() { relays b8 | holds '192\.168\.77\.18'; }
	check "found where the coordinator came to it" at_host
	check "it waits for nobody any more" test "$(waits_for b8)" = 0
	hears() { status_says b8 'coordinator *connected by relay'; }
	check "and hears of news by way of itself" until_ok 60 hears
	gone b8
}
