# shellcheck shell=bash disable=SC2034
# A long test in scenes, each of which can be played alone. Sourced; needs nothing. A scene is a function and its
# title, in a file tests/lab/DIRECTORY/*.sh:
#
#     scene hosts_replaced "the hosts file is replaced by another program" [long]
#     hosts_replaced() {
#         ...
#     }
#
# It finds the world that its test has set up, makes what else it needs unless a scene before it has, and leaves
# the world whole for the next one. A file is read within a function: what it declares is `declare -g`. In the test:
#
#     scenes_of DIRECTORY default|long	# reads them
#     ...				# sets up the world
#     play_all				# those marked `long`, or the others; with HEARTH_SCENES="a b" those named, of all
declare -A title
scenes=() played=0

scenes_of() { # DIRECTORY default|long
	local part=$2 file name
	scene() { # NAME TITLE [long]
		title[$1]=$2
		[ "${3:-default}" != "$part" ] || scenes+=("$1")
	}
	for file in "$(dirname "${BASH_SOURCE[0]}")/../$1"/*.sh; do
		# shellcheck source=/dev/null
		. "$file"
	done
	for name in ${HEARTH_SCENES:-}; do
		[ -n "${title[$name]:-}" ] || { echo "there is no scene \"$name\"; there are: ${!title[*]}"; exit 1; }
	done
}

# What a test does around each of its scenes, if it wants to.
scene_begins() { :; }
scene_ends() { :; }

play() { # SCENE
	printf '\n%s: %s\n' "$1" "${title[$1]}"
	scene_begins
	"$1"
	played=$((played + 1))
	scene_ends
}
play_all() {
	local name
	for name in ${HEARTH_SCENES:-"${scenes[@]}"}; do play "$name"; done
	printf '\n%d scenes in %d s\n' "$played" "$SECONDS"
}
