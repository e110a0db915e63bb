# shellcheck shell=bash
# Pods without a container runtime: network namespaces in a board, given to the CNI plugin the way
# a runtime does it (tests/lab/pod.py).

pod() { # BOARD VERB NAME
	board_exec "$1" python3 - "$2" "$3" <"$SOURCE/tests/lab/pod.py"
}
pod_exec() { # BOARD NAME CMD...
	local b=$1 n=$2
	shift 2
	board_exec "$b" nsenter --net="/run/netns/$n" "$@"
}

pods_demo() { # [BOARD BOARD]: a pod on each ping each other, both families
	local a=${1:-pi3} b=${2:-pi4-4g-b} to family bad=0 addresses
	need_board "$a"
	need_board "$b"
	addresses=$(pod "$a" add demo)
	echo "pod on $a: $(echo "$addresses" | paste -sd' ')"
	to=$(pod "$b" add demo) || { pod "$a" del demo; die "no pod on $b"; }
	echo "pod on $b: $(echo "$to" | paste -sd' ')"
	for family in $to; do
		echo "\$ ping $family    (from the pod on $a to the pod on $b)"
		pod_exec "$a" demo ping -n -c 3 -i 0.2 -W 3 "$family" | sed -n '2,4p;/received/p' || bad=1
		pod_exec "$a" demo ping -n -q -c 1 -W 3 "$family" >/dev/null || bad=1
	done
	for family in $addresses; do pod_exec "$b" demo ping -n -q -c 1 -W 3 "$family" >/dev/null || bad=1; done
	pod "$a" del demo
	pod "$b" del demo
	[ $bad = 0 ] || die "the pods do not reach each other"
}
