# shellcheck shell=bash disable=SC2034,SC2154
# For the scenes of attack/*.sh (lib/drift.sh has did, right and logged, lib/light.sh the boards): a scene is
# one kind of attacker, and each thing that he tries is one line:
#
#     scene names "hearthd's user has root write names"
#     names() {
#         refused "a name of somebody else" "no name of mesh home" \
#             asks b nobody helper hosts.write '{"entries":[{"address":"10.77.0.1","names":["metadata.google.internal"]}]}'
#         unharmed "the hosts file is as it was" cmp "$T/b/hosts" "$T/b/hosts.before"
#         told b "names of the mesh do not work"
#     }
#
# The helper of each board lets user `nobody` ask, who stands for a hearthd that was taken over.
HELPER_USER=nobody
ATTACKER=$HEARTH_SOURCE/tests/lab/lib/attacker.py
tried=0 held=0

# Refused is what fails, says why in the words of PATTERN, and is not our own mistake (a program that is not there).
refused() { # WHAT PATTERN COMMAND...
	local what=$1 pattern=$2 said status=0
	shift 2
	tried=$((tried + 1))
	said=$("$@" 2>&1) || status=$?
	if [ $status -eq 0 ]; then
		failed "$what: it was allowed"
	elif [ $status -ge 126 ]; then
		failed "$what: it was not tried: status $status"
	elif ! grep -qE -- "$pattern" <<<"$said"; then
		failed "$what: refused, but nothing says \"$pattern\""
	else
		held=$((held + 1))
		passed "refused: $what"
		return
	fi
	printf '%s\n' "$said" | tail -12 | sed 's/^/                | /'
}
unharmed() { check "$@"; } # WHAT COMMAND...: what the attacker wanted to change is as it was
problem_of() { # BOARD PATTERN: one of its problems is this
	status "$1" | python3 -c 'import json, re, sys
found = json.load(sys.stdin)["problems"]
print(found)
sys.exit(not any(re.search(sys.argv[1], p) for p in found))' "$2"
}
told() { right "${3:-10}" "hearth status on $1 says so" problem_of "$1" "$2"; } # BOARD PATTERN [SECONDS]
# What root refused, past hearthd: counted since the board booted, with the last one's words.
root_shows() { # BOARD PATTERN
	check "hearth status on $1 says that root refused it" sh -c 'printf "%s\n" "$1" | grep -E "^refused .*$2"' sh "$(env_of "$1" "$B/hearth" status)" "$2"
}
times_refused() { field "$1" "(s['refused'] or {'count': 0})['count']"; } # BOARD
not_told() { # BOARD PATTERN: any more
	says "$1" "not any(__import__('re').search(r'''$2''', p) for p in s['problems'])"
}

# --- attackers
asks() { # BOARD USER helper|hearthd|coord CALL JSON: one call to a local socket, as a user (a name or a number)
	in_ns "$1" python3 -ISE "$ATTACKER" asks "$T/$1/run/$3.sock" "$2" "$4" "$5"
}
bundle() { # BOARD FILE [FIELD=VALUE...]: a join bundle with that board's signature (lib/bundle.py)
	local b=$1 file=$2
	shift 2
	python3 "$HEARTH_SOURCE/tests/lab/lib/bundle.py" "$T/$b/etc" "$T/$b/state" "$@" >"$file"
}
lies_start() { # REPLY-FILE: a coordinator in place of the real one, with its TLS key, answers every call with the file
	coord_stop
	ip netns exec "${N}a" python3 "$TOOL" lie "$T/coord" 8443 "$1" 192.0.2.11 >>"$T/lies.log" 2>&1 &
	echo $! >"$T/lies.pid"
}
lies_stop() {
	kill -9 "$(cat "$T/lies.pid")" && wait "$(cat "$T/lies.pid")" 2>/dev/null
	rm -f "$T/lies.pid"
	coord_start
}
at_end() { printf '\n%d attacks, %d refused\n' "$tried" "$held"; check "every attack was refused" [ "$tried" -eq "$held" ]; }
