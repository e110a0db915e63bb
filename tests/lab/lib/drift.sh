# shellcheck shell=bash disable=SC2034,SC2154
# Scenes of light boards (lib/light.sh): in drift/*.sh somebody changes what Hearth put somewhere, or what it
# stands on, and it comes right again; neighbours/*.sh are others on the same machine; attack/*.sh attackers;
# mesh/*.sh is what a mesh is at all, and what it survives. In a scene (lib/scenes.sh):
#
#     did "a new file is renamed over it" mv "$T/b/hosts.new" "$T/b/hosts"
#     right 5 "the names are back" grep -q internal "$T/b/hosts"
#     logged b 1 "was changed by another program"
#
# It leaves the mesh whole for the next one. The clock of `right` starts with the last `did`. What `logged` counts,
# it counts from the scene's beginning, and again at its end, when nothing more may have come.
. "$HEARTH_SOURCE/tests/lab/lib/scenes.sh"

declare -A marks
expected=()

now_us() { echo "${EPOCHREALTIME/[.,]/}"; }
log_file() { case $1 in coord) echo "$T/coord.log" ;; *) echo "$T/$1/hearthd.log" ;; esac; }
said_since() { tail -n "+$((marks[$1] + 1))" "$(log_file "$1")"; } # BOARD or coord: its lines of this scene
count_said() { said_since "$1" | grep -cE -- "$2"; }
said_enough() { [ "$(count_said "$1" "$3")" -ge "$2" ]; }

did() { # WHAT [COMMAND...]
	local what=$1
	shift
	printf '          did   %s\n' "$what"
	began=$(now_us)
	[ $# -eq 0 ] || "$@" || failed "$what: status $?"
}
right() { # SECONDS WHAT COMMAND...: true within so long of `did`; says after how long it was
	local end=$((began + $1 * 1000000)) what=$2 said
	shift 2
	until said=$("$@" 2>&1); do
		if [ "$(now_us)" -ge $end ]; then
			failed "$what: not within $(((end - began) / 1000000)) s"
			printf '%s\n' "$said" | tail -12 | sed 's/^/                | /'
			return 1
		fi
		sleep 0.05
	done
	passed "$(awk -v us=$(($(now_us) - began)) -v what="$what" 'BEGIN { printf "after %.1f s: %s", us / 1e6, what }')"
}
logged() { # BOARD TIMES PATTERN
	expected+=("$1" "$2" "$3")
	until_ok 5 said_enough "$@" || :
	check_logged "$@"
}
check_logged() {
	local n
	n=$(count_said "$1" "$3")
	[ "$n" -eq "$2" ] && { passed "$1 logged $n line(s) of: $3"; return; }
	failed "$1 logged $n lines of \"$3\", not $2"
}

scene_begins() {
	local b
	for b in "${boards[@]}" coord; do marks[$b]=$(wc -l <"$(log_file "$b")"); done
	expected=() bad_before=$bad
	began=$(now_us)
}
scene_ends() {
	local b i
	for ((i = 0; i < ${#expected[@]}; i += 3)); do
		[ "$(count_said "${expected[i]}" "${expected[i + 2]}")" -eq "${expected[i + 1]}" ] ||
			check_logged "${expected[@]:i:3}"
	done
	for b in "${boards[@]}" coord; do
		said_since "$b" | sed -E "s/^/          $b: /" | cut -c1-180 | tail -n 12
	done
	[ "$bad" -eq "$bad_before" ] || for b in "${boards[@]}"; do env_of "$b" "$B/hearth" status; done 2>&1 | sed "s/^/                | /"
}
at_end() { :; } # after the last scene; a test may have its own
play_scenes() { # DIRECTORY default|long [OPTIONS of light_up]: the whole test
	scenes_of "$1" "$2"
	light_up "${@:3}"
	check "the mesh is whole" mesh_whole 15
	play_all
	at_end
	light_finish
}
