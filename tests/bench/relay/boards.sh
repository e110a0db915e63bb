#!/bin/bash
# Three light boards for boards.py, the first a relay; b's and c's cables can be exchanged. Reads commands, one a line,
# and answers each by "did STATUS"; ends with its input.
#
#   leg BOARD                         its plain veth, where a send of many segments crosses as one
#   leg BOARD MS LOSS KBIT            delaylink: one way, permille, 0 for no limit; every datagram a frame of its own
#   frames BOARD on|off               whether a send of many segments crosses its plain veth as one
#   way direct|relayed                how b and c are to reach each other; until they do
#   say                               the prefix of the namespaces, the relay's process, c's address
# shellcheck disable=SC2154
set -uo pipefail
: "${HEARTH_BUILD:?}" "${HEARTH_SOURCE:?}"
. "$HEARTH_SOURCE/tests/lab/lib/light.sh"
. "$HEARTH_SOURCE/tests/lab/lib/relay.sh"
declare -A cable=()

frames() { # BOARD on|off
	in_ns "$1" ethtool -K eth0 tx-udp-segmentation "$2" >/dev/null
}
sockets() { # BOARD on|off: its offloads, and those of what stands for it at the bridge
	in_ns "$1" ethtool -K eth0 tx "$2" tso "$2" gso "$2" gro "$2" >/dev/null &&
		in_ns sw ethtool -K "y$1" tx "$2" tso "$2" gso "$2" gro "$2" >/dev/null
}
leg() { # BOARD [MS LOSS KBIT]
	local b=$1
	if [ -n "${cable[$b]:-}" ]; then
		kill "${cable[$b]}" && wait "${cable[$b]}"
		rm -f "$T/cable-$b.pid"
	fi
	unset "cable[$b]"
	if [ $# -eq 1 ]; then
		in_ns sw ip link set "y$b" nomaster
		in_ns sw ip link set "p$b" master br0 && sockets "$b" on
		return
	fi
	in_ns sw ip link set "p$b" nomaster
	in_ns sw ip link set "y$b" master br0 && sockets "$b" off || return
	: >"$T/cable-$b"
	# no function in between: $! is to be the cable itself
	ip netns exec "${N}sw" "$HEARTH_BUILD/lab/delaylink" "p$b" "x$b" "$2" 0 "$3" 0 "$4" >"$T/cable-$b" 2>&1 &
	cable[$b]=$!
	echo $! >"$T/cable-$b.pid"
	until_ok 5 grep -q ready "$T/cable-$b"
} 2>/dev/null
isolate() { # on|off
	local b p
	for b in b c; do
		for p in p y; do in_ns sw bridge link set dev "$p$b" isolated "$1"; done
	done
} 2>/dev/null
arrived() { ping_to b "${ip4[c]}" && both "$1"; } # another way is looked for when something is sent
way() { # direct|relayed
	local b
	if [ "$1" = direct ]; then isolate off; else isolate on; fi
	until_ok 60 arrived "$1" && return
	for b in b c; do env_of "$b" "$B/hearth" status --verbose; tail -5 "$T/$b/hearthd.log"; done >&2
	return 1
}
say() { echo "$N $(cat "$T/a.relay.pid") ${ip4[c]}"; }

light_up --url https://192.0.2.11:8443 >&2
{ mesh_whole 20 && relay_up a && until_ok 10 bound a b c; } >&2 || { echo "did 1"; exit 1; }
for b in b c; do
	in_ns sw sh -c "ip link add x$b type veth peer name y$b; ip link set x$b up; ip link set y$b up"
done
echo "did 0"
while read -r line; do
	# shellcheck disable=SC2086
	$line
	echo "did $?"
done
