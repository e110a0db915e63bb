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

scene second_hearthd "a second hearthd on the same directories"
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
	right 20 "a new one starts when it has ended" ready b
}

scene down_without_helper "hearthd --down without hearth-helper"
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
	right 20 "the mesh is whole" whole
}
