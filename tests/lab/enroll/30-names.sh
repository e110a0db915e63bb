# shellcheck shell=bash disable=SC2154
# Names, those that a board takes and those that cannot be had; and its peers.

scene two_at_once "two runs at once, and the first peer"
two_at_once() {
	local other t
	fresh b2
	t=$(token --role worker)
	(on b2 enroll-node <<<"$t" >"$W/other" 2>&1; echo "status $?" >>"$W/other") &
	other=$!
	enrolls "b2 takes its host name" b2 "$t"
	wait $other
	grep -q "status 0" "$W/other" && grep -q "Nothing to do" "$W/out" "$W/other" && passed "of two runs at once the second has nothing to do" || { failed "two runs at once"; show "$W/other"; }
	cat "$W/other" >>"$W/out"
	has "its peer answers" "all $(($(nodes "len(n)") - 1)) have answered"
	check "b2 reaches b1" until_ok 3 reaches b2 b1
}

called() { # HOST-NAME COMMAND...: on b3, under another host name
	# shellcheck disable=SC2016
	on b3 sh -c 'printf %s "$0" >/proc/sys/kernel/hostname; exec "$@"' "$@" <<<"$t"
}

scene names "names that cannot be had"
names() {
	local t run
	fresh b3
	ends 1 "a name that is taken is refused" on b3 enroll-node --name b1 <<<"$(token --role worker)"
	has "with the reason" "taken"
	ends 1 "a name that the token does not allow is refused" on b3 enroll-node --name other <<<"$(token --role worker --name b3)"
	has "with the one that it allows" "for the name b3"
	t=$(token --role worker)
	for run in "--dry-run" ""; do
		# shellcheck disable=SC2086
		ends 1 "a host name that cannot be is refused (enroll-node $run)" called My_Laptop enroll-node $run
		has "what was tried is named" '"My_Laptop" cannot be'
		has "and what would do" '"my-laptop" would do'
		# shellcheck disable=SC2086
		ends 1 "and localhost" called localhost enroll-node $run
		has "with the reason" "that machine itself.*--name"
		# shellcheck disable=SC2086
		ends 1 "and a name that is taken" called b3 enroll-node $run --name b1
		has "with the way out" "The name b1 is taken, by node 1.*--replace b1"
		ends 2 "--name My_Laptop is wrong use" called b3 enroll-node --name My_Laptop
		has "and offers another" '"my-laptop" would do; see enroll-node --help$'
	done
	ends 0 "a dry run of what would do" called b3 enroll-node --dry-run --name New-Board
	has "says what the board would become" "make this board new-board, worker of mesh home"
	t=$(token --role member --name B9)
	ends 0 "a token's own name makes up for a host name" called My_Laptop enroll-node --dry-run
	has "in lower case" "make this board b9, member of mesh home"
	t=$first_token
	ends 1 "a dry run with a used token" called b3 enroll-node --dry-run
	enrolled b3 && failed "b3 is enrolled by a refusal"
}

renamed() { on coord hearth node rename B2.home.internal. RENAMED && on coord hearth node rename "$1" b2; } # NUMBER
replaced() { on coord hearth token create --replace B2.Home.Internal --json 2>"$W/out" | holds '"replace":"b2"'; }
asked() { on b2 hearth ping -c 1 B1 && on b2 hearth ping -c 1 b1.Home.internal && on b2 hearth ip B1.home.internal; }

scene renames "a name that is to be another one, and names as people write them"
renames() {
	need b2
	ends 2 "a rename to a name that cannot be is wrong use" on coord hearth node rename B2 My_Laptop
	has "and offers another, too" '"my-laptop" would do'
	ends 0 "a rename finds full names in any case, and numbers" renamed "$(number b2)"
	check "and so does --replace" replaced
	ends 0 "and hearth ping and ip" asked
}
