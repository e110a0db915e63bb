# shellcheck shell=bash disable=SC2034,SC2154
scene moved "a relay that is known by an address gets another one, and a person says so"
file_says() { # JSON: where d's file says that it is
	python3 - "$T/d/etc/relay.json" "$1" <<-'X' && kill -HUP "${pid[d]}"
		import json, sys
		file = json.load(open(sys.argv[1]))
		file["hosts"] = json.loads(sys.argv[2])
		json.dump(file, open(sys.argv[1], "w"))
	X
}
moves_to() { # ADDRESS: from the other one
	local old=192.0.2.14 new=$1
	[ "$new" != 192.0.2.14 ] || old=192.0.2.24
	in_ns d sh -c "ip addr del $old/24 dev eth0; ip addr add $new/24 dev eth0; ip route replace default via 192.0.2.1"
}
adds() { env_of a "$B/hearth" relay add "$@" >"$T/said" 2>&1; local r=$?; sed 's/^/          | /' "$T/said"; return $r; }
hosts_are() { # HOST...: of d's record
	[ "$(env_of a "$B/hearth" relay list --json | python3 -c 'import json, sys
print(*[h for r in json.load(sys.stdin)["relays"] if r["name"] == "d" for h in r["relay"]["hosts"]])')" = "$*" ]
}
says_none() { # HOST: what became of adding it, once the command has waited long enough
	! wait "$(cat "$T/none.pid")" && grep -q "no relay is met at $1:3340" "$T/none" && grep -q "hearth relay remove $1" "$T/none"
}
moved() {
	env_of a "$B/hearth" relay add 192.0.2.13 >"$T/none" 2>&1 &
	echo $! >"$T/none.pid"
	board_d # no harm if it is there
	[ -e "$T/d.relay.pid" ] || { until_ok 10 says d "s['coordinator']['connected']" && relay_up d || failed "d is no relay"; }
	relay_stop a
	did "d is a relay at an address that its file names" file_says '["192.0.2.14"]'
	right 15 "its record says so" hosts_are 192.0.2.14
	right 15 "b is bound there" at_name b 192.0.2.14
	right 15 "and c" at_name c 192.0.2.14
	right 10 "b reaches c" ping_to b "${ip4[c]}"
	talk
	until_ok 5 ping_to b "${ip4[c]}"
	did "d gets another address, and its file still says the old one" moves_to 192.0.2.24
	check "and a person says where it is" adds 192.0.2.24
	check "which is told" grep -q '^d is found at 192.0.2.24:3340' "$T/said"
	right 12 "its record has that, and not the old one, where it is not met" hosts_are 192.0.2.24
	right 12 "b is bound there: status says where" at_name b 192.0.2.24
	right 12 "and c" at_name c 192.0.2.24
	right 12 "b reaches c" ping_to b "${ip4[c]}"
	no_gap 10 "b and c were apart for"
	env_of b "$B/hearth" status --verbose | grep '^d ' | sed 's/^/          | /'
	right 15 "nothing is wrong on d, which goes on saying what its file says" says d "s['problems']==[]"
	hosts_are 192.0.2.24 || failed "its record says something else by now"
	env_of a "$B/hearth" relay list | sed 's/^/          | /'
	says_none 192.0.2.13 # not in a shell below, which cannot wait for it
	check "a host where there is no relay is told as that" test $? -eq 0
	sed 's/^/          | /' "$T/none"
	check "and forgotten by a word" env_of a "$B/hearth" relay remove 192.0.2.13
	did "d is back at its old address" moves_to 192.0.2.14
	check "which a person says" adds 192.0.2.14
	right 12 "b reaches c" ping_to b "${ip4[c]}"
	right 12 "d is found there, and there alone" hosts_are 192.0.2.14
	did "the coordinator starts anew" coord_stop
	coord_start
	right 15 "d is connected" says d "s['coordinator']['connected']"
	check "what a person said stands" hosts_are 192.0.2.14
	did "d says again by itself where it is" file_says '"automatic"'
	relay_serve a
	right 20 "the mesh is whole" whole
}
