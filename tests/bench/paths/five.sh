#!/bin/bash
# A mesh of six boards, of which b is measured: while all is well, and while one of its five peers is off. By tests/bench/test-paths.
# shellcheck disable=SC2034,SC2154  # of light.sh
set -uo pipefail
. "$HEARTH_SOURCE/tests/lab/lib/light.sh"
boards=(a b c d e f)
idle() { # WHAT SETTLE JUDGED...
	PYTHONPATH=$HEARTH_SOURCE/tests/bench/tunnel python3 "$HEARTH_SOURCE/tests/bench/paths/idle.py" board "$1" "${pid[b]}" "${N}b" "$T/b/state" 5 "${@:2}" ||
		bad=$((bad + 1))
}
light_up
check "a mesh of six boards is whole" mesh_whole 30
[ $bad -eq 0 ] || light_finish
idle "5 peers" 75 CPU woken written
stop f KILL
in_ns f ip link set eth0 down
idle "5 peers, one of them off" 180 woken written
light_finish
