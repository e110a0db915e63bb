# shellcheck shell=bash disable=SC2154
# hearthd itself: a second one, --down beside it.

scene down_beside "hearthd --down beside a running hearthd"
down_beside() {
	local said
	did "b: hearthd --down"
	said=$(env_of b "$B/hearthd" --down 2>&1) && failed "it exits 0"
	check "it says what to do" grep -q "hearthd runs already on .*/b/state: end it first" <<<"$said"
	check "nothing was taken down" sh -c "ip -n ${N}b link show hearth0 && ip netns exec ${N}b nft list table inet hearth && grep -q internal $T/b/hosts"
	logged b 0 .
	kill -STOP "${pid[b]}"
	said=$(env_of b "$B/hearthd" --down 2>&1) && failed "beside one that hangs it exits 0"
	kill -CONT "${pid[b]}"
	check "beside one that hangs, too" grep -q "end it first" <<<"$said"
}

scene second_hearthd "a second hearthd on the same directories" long
second_hearthd() {
	local said
	did "b: hearthd"
	said=$(env_of b timeout 10 "$B/hearthd" 2>&1) && failed "it exits 0"
	check "it says what to do" grep -q "hearthd runs already on .*/b/state: end it first" <<<"$said"
	rm "$T/b/run/hearthd.sock"
	said=$(env_of b timeout 10 "$B/hearthd" 2>&1)
	check "also when the first one's socket was removed" grep -q "end it first" <<<"$said"
	right 5 "the mesh is whole" whole
	stop b
	start b
	right 10 "a new one starts when it has ended" ready b
}

scene down_without_helper "hearthd --down without hearth-helper" long
down_without_helper() {
	local said
	stop c
	kill "$(cat "$T/c.helper.pid")"
	rm -f "$T/c/run/helper.sock"
	did "c: hearthd --down"
	said=$(env_of c "$B/hearthd" --down 2>&1) && failed "it exits 0"
	check "it says what stays and what to do" grep -q "names stay in the hosts file.*start it and do this again" <<<"$said"
	check "all else is gone" sh -c "! ip -n ${N}c link show hearth0 2>/dev/null && ! ip netns exec ${N}c nft list table inet hearth 2>/dev/null"
	helper_start c
	right 5 "with one it works" env_of c "$B/hearthd" --down
	check "the names are gone" sh -c "! grep -q internal $T/c/hosts"
	start c
	right 10 "the mesh is whole" whole
}

scene files_removed "keys, log, presences, state, handshakes' timestamp and the socket are removed" long
files_removed() {
	local keys
	stop c
	start c	# it begins handshakes, and so has reserved timestamps
	check "all files are there" until_ok 10 sh -c "test -s $T/c/state/timestamp && test -s $T/c/state/presence && test -S $T/c/run/hearthd.sock"
	keys=$(sha256sum "$T"/c/state/*.key)
	did "c: rm state/* run/hearthd.sock; and the minute's round is asked for now" sh -c "rm $T/c/state/identity.key $T/c/state/wireguard.key $T/c/state/log $T/c/state/presence $T/c/state/state.json $T/c/state/timestamp $T/c/run/hearthd.sock"
	kill -HUP "${pid[c]}"
	right 5 "it answers again" ready c
	right 5 "all files are there" sh -c "test -s $T/c/state/log && test -s $T/c/state/presence && test -s $T/c/state/state.json && test -s $T/c/state/timestamp"
	check "the keys are the same" [ "$keys" = "$(sha256sum "$T"/c/state/*.key)" ]
	logged c 2 "key was removed by another program; written again"
	logged c 1 "files of the log in .* were removed by another program; written again"
	logged c 1 "state/timestamp was removed by another program; written again"
	logged c 1 "the socket in .* was removed by another program; listening again"
	stop c
	start c
	right 10 "and with them it starts" whole
}
