# shellcheck shell=bash disable=SC2154
# Two meshes on one machine. The second one has its coordinator on c, its boards are b and c (b2 and c2 here),
# its interface is hearth1 and its name is home as well.

start2() { # b2 or c2
	local b=$1
	HEARTH_ETC=$T/$b/etc HEARTH_STATE=$T/$b/state HEARTH_RUN=$T/$b/run \
		ip netns exec "$N${b%2}" "$B/hearthd" >>"$T/$b/hearthd.log" 2>&1 &
	pid[$b]=$!
	echo $! >"$T/$b.pid"
}
run2() { # b2 or c2 COMMAND...: with that mesh's directories
	local b=$1
	shift
	HEARTH_ETC=$T/$b/etc HEARTH_STATE=$T/$b/state HEARTH_RUN=$T/$b/run in_ns "${b%2}" "$@"
}
second_mesh() {
	local b
	mkdir -p "$T"/{b2,c2}/{etc,state,run,wg}
	in_ns c "$B/hearth-coord" init --state "$T/coord2" --user root --url "https://${wan[c]}:8443" \
		--mesh4 10.78.0.0/16 --pods4 10.245.0.0/16 --services4 10.97.0.0/16 >"$T/init2.log" 2>&1 || { cat "$T/init2.log"; return 1; }
	ip netns exec "${N}c" "$B/hearth-coord" serve --state "$T/coord2" --run "$T/c2/run" --user root >>"$T/coord2.log" 2>&1 &
	echo $! >"$T/coord2.pid"
	until_ok 60 test -S "$T/c2/run/coord.sock" || return 1
	for b in b2 c2; do
		run2 c2 "$B/hearth" token create --role worker 2>/dev/null >"$T/token2" || return 1
		read -r "ip4[$b]" "ip6[$b]" _ < <(in_ns "${b%2}" python3 "$TOOL" enrol "$T/token2" "$T/$b/state" "$T/$b/etc" "${b%2}")
		[ -n "${ip4[$b]:-}" ] || return 1
		sed -i 's/hearth0/hearth1/' "$T/$b/etc/hearthd.yaml"
		# no function in between: $! is to be the helper itself
		HEARTH_ETC=$T/$b/etc HEARTH_STATE=$T/$b/state HEARTH_RUN=$T/$b/run \
			ip netns exec "$N${b%2}" "$B/hearth-helper" --listen "$T/$b/run/helper.sock" --user root --hosts "$T/${b%2}/hosts" \
			--uapi-dir "$T/${b%2}/wg" --idle 0 >>"$T/$b/helper.log" 2>&1 &
		echo $! >"$T/$b.helper.pid"
		start2 "$b"
	done
}
both_whole() { whole && ping_to b "${ip4[c2]}" && ping_to b "${ip6[c2]}" && ping_to c "${ip4[b2]}" && ping_to c "${ip6[b2]}"; }
blocks() { [ "$(grep -c '^# BEGIN hearth' "$T/b/hosts")" -eq "$1" ]; }
touched() { # what changes with each repair: handles of rules, the hosts file, routes
	in_ns b nft -a list ruleset | sed 's/counter packets.*drop/counter drop/'
	stat -c '%i %y' "$T/b/hosts"
	ip -n "${N}b" route
	ip -n "${N}b" -6 route
}
seconds_pass() { sleep "$1"; } # a time in which nothing may happen
quiet_for() { # SECONDS
	local before
	before=$(touched)
	seconds_pass "$1"
	diff <(echo "$before") <(touched)
}

scene two_meshes "two meshes on one machine, both called home"
two_meshes() {
	local lines
	did "b and c join a second mesh, as hearth1" second_mesh
	right 15 "both meshes are whole" both_whole
	right 5 "each has its table" sh -c "ip netns exec ${N}b nft list table inet hearth && ip netns exec ${N}b nft list table inet hearth_hearth1"
	right 5 "and its block of names" blocks 2
	right 5 "and its socket for wg" test -S "$T/b/wg/hearth1.sock"
	right 5 "the second says that names are taken" sh -c "HEARTH_RUN=$T/b2/run $B/hearth status | grep -q 'b.home.internal has another address'"
	check "the first has no problem" says b "s['problems']==[]"
	check "they have two ports" [ "$(run2 b2 "$B/hearth" status --json | grep -o '"port": *[0-9]*')" != "$(status b | grep -o '"port": *[0-9]*')" ]
	lines=$(cat "$T"/{b,b2}/hearthd.log | wc -l)
	check "nothing is put back, written or said for 6 s" quiet_for 6
	[ "$(cat "$T"/{b,b2}/hearthd.log | wc -l)" -eq "$lines" ] || failed "$(tail -n 5 "$T"/{b,b2}/hearthd.log)"
	did "b: nft flush ruleset" in_ns b nft flush ruleset
	right 5 "both tables are back" sh -c "ip netns exec ${N}b nft list table inet hearth && ip netns exec ${N}b nft list table inet hearth_hearth1"
	logged b 1 "nftables table inet hearth;|nftables table inet hearth "
	did "b: the second hearthd is killed and its interface removed" kill -9 "${pid[b2]}"
	wait "${pid[b2]}" 2>/dev/null
	ip -n "${N}b" link del hearth1
	right 5 "the first is whole" whole
	start2 b2
	right 10 "both are, when it is back" both_whole
	did "b: the second one leaves" kill "${pid[b2]}"
	wait "${pid[b2]}"
	check "hearthd --down" run2 b2 "$B/hearthd" --down
	check "the second one's interface, table and block are gone" sh -c "! ip -n ${N}b link show hearth1 2>/dev/null && ! ip netns exec ${N}b nft list table inet hearth_hearth1 2>/dev/null && ! grep -q hearth1 $T/b/hosts"
	check "the first one's are there" sh -c "ip netns exec ${N}b nft list table inet hearth >/dev/null && grep -q '^# BEGIN hearth[; ]' $T/b/hosts"
	right 5 "and it is whole" whole
	kill "${pid[c2]}" "$(cat "$T/coord2.pid")"
	run2 c2 "$B/hearthd" --down || :
}
