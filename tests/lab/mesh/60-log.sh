# shellcheck shell=bash disable=SC2154
# A log that lies.

scene liar "a coordinator whose replies have a gap, a wrong signature, another's key, no sense"
liar() {
	local seq what since word b
	seq=$(field b "s['log']['seq']")
	coord_stop
	for what in gap signature other-key garbage; do
		since=$SECONDS
		python3 "$TOOL" edit "$T/b/state/log" "$T/lie.json" $what
		ip netns exec "${N}a" python3 "$TOOL" lie "$T/coord" 8443 "$T/lie.json" "${wan[a]}" >"$T/lie.log" 2>&1 &
		echo $! >"$T/lie.pid"
		check "a coordinator that answers with $what" until_ok 20 sh -c "ip netns exec ${N}a ss -Htln | grep -q :8443"
		stop b
		start b
		check "it is asked" until_ok 20 grep -q /v1/poll "$T/lie.log"
		case $what in
		garbage) word="'192.0.2.11' in s['coordinator']['error'] and 'JSON' in s['coordinator']['error']" ;;
		*) word="any('not believed' in p for p in s['problems'])" ;;
		esac
		check "a reply with $what: refused" until_ok 20 says b "s['log']['seq']==$seq and $word"
		# three boards ask it, each at least a second after it was refused
		check "hearthd was asked nothing twice in a hurry" sh -c "[ \$(grep -c poll $T/lie.log) -le $((3 * (SECONDS - since + 2))) ]"
		kill_by "$T/lie.pid"
	done
	rm "$T/lie.json" "$T/lie.log"
	coord_start
	stop b
	start b
	check "the true one is believed again" until_ok 20 says b "s['coordinator']['connected'] and s['problems']==[]"
	for b in c a; do
		check "by a board that was not restarted, too" until_ok 60 says "$b" "s['coordinator']['connected'] and s['problems']==[]"
	done
}

believed() { # by all boards
	local b
	for b in "${boards[@]}"; do says "$b" "s['coordinator']['connected'] and s['problems']==[]" || { echo "not by $b"; status "$b"; return 1; }; done
}

all_at() { local b; for b in "${boards[@]}"; do says "$b" "s['log']['seq']==$1" || return 1; done; } # RECORD

scene old_copy "a coordinator restored from an old copy, and then a log that goes another way"
old_copy() {
	local seq b
	cp -a "$T/coord" "$T/coord.old"
	token --role member	# nothing of the log
	seq=$(($(field b "s['log']['seq']") + 1))
	env_of a "$B/hearth" node rename c cc >/dev/null 2>&1
	# all of them: who has not heard of it believes the other log
	check "a new record reaches everybody" until_ok 5 all_at $seq
	coord_stop
	mv "$T/coord" "$T/coord.new"
	cp -a "$T/coord.old" "$T/coord"
	coord_start
	check "a coordinator restored from an old copy is reported" until_ok 40 says b "any('not believed' in p for p in s['problems'])"
	check "and nothing is lost" says b "s['log']['seq']==$seq and any(p['name']=='cc' for p in s['peers'])"
	env_of a "$B/hearth" node rename c other >/dev/null 2>&1
	for b in "${boards[@]}"; do stop "$b"; start "$b"; done
	check "a forked log is refused" until_ok 20 says c "any('not believed' in p for p in s['problems']) and s['log']['seq']==$seq"
	check "and the mesh is whole all the same" mesh_whole 10
	coord_stop
	rm -rf "$T/coord" "$T/coord.old"
	mv "$T/coord.new" "$T/coord"
	coord_start
	for b in "${boards[@]}"; do stop "$b"; start "$b"; done	# those that run would ask it after up to a minute
	check "the true one is believed again" soon 20 believed
	env_of a "$B/hearth" node rename cc c >/dev/null 2>&1
	check "and what it says now reaches everybody" until_ok 5 says b "any(p['name']=='c' for p in s['peers']) and s['log']['seq']==$((seq + 1))"
}

# Its connections are refused, whichever of its addresses is tried.
cut_off() { in_ns "$1" nft -f - <<<'table inet cut { chain out { type filter hook output priority 0; tcp dport 8443 reject with tcp reset; }; }'; } # BOARD

scene boards_tell "a board that does not reach the coordinator hears from another what it lacks"
boards_tell() {
	local seq
	cut_off c
	stop c
	did "c starts, cut off from the coordinator" start c
	right 20 "it says so, and reaches the others" says c "not s['coordinator']['connected'] and s['reachable']==2"
	seq=$(($(field b "s['log']['seq']") + 1))
	did "b is called otherwise" env_of a "$B/hearth" node rename b bee
	right 5 "b knows it from the coordinator" says b "s['log']['seq']==$seq"
	right 75 "c knows it from another board" says c "s['log']['seq']==$seq and s['problems']==[]"
	logged c 1 "1 new record from board"
	did "c reaches the coordinator" in_ns c nft delete table inet cut
	right 60 "and is connected" says c "s['coordinator']['connected']"
	did "b is called as before" env_of a "$B/hearth" node rename bee b
	right 5 "c knows it from the coordinator" says c "s['log']['seq']==$((seq + 1))"
}
