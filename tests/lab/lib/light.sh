# shellcheck shell=bash disable=SC2034,SC2154
# Light boards: three of them and a coordinator in network namespaces, without systemd, up in two seconds.
# `. lib/light.sh`, then light_up; HEARTH_KEEP=1 keeps the files of a test that failed.
#
#     a (coordinator, control plane) ---+
#     b ------------------------------- sw (bridge, the boards' default route)
#     c --------------------------------+
#
# Everything of a board is below $T/BOARD; $N is the prefix of the namespaces.
B=${HEARTH_BUILD:?}/bin
TOOL=${HEARTH_SOURCE:?}/tests/lab/lib/enrol.py
. "$HEARTH_SOURCE/tests/lab/lib/plain.sh"
. "$HEARTH_SOURCE/tests/lab/lib/checks.sh"
[ "$(id -u)" -eq 0 ] || { echo "needs root"; exit 77; }
[ -c /dev/net/tun ] || { echo "needs /dev/net/tun"; exit 77; }
for need in ip nft wg openssl python3 ping; do
	command -v $need >/dev/null || { echo "needs $need"; exit 77; }
done
for need in hearthd hearth-helper hearth-coord hearth; do
	[ -x "$B/$need" ] || { echo "$need is not built"; exit 1; }
done

T=$(mktemp -d /tmp/hearth-mesh.XXXXXX)	# not $HEARTH_TMP: another user must reach it
chmod 755 "$T"
N=hm${T##*.}
boards=(a b c)	# a test may add more: workers
extra=()	# namespaces beside theirs, which go with them
declare -A pid ip4 ip6 wan

end() {
	local p n
	exec 2>/dev/null	# the shell's words about those it sees die
	for p in $(cat "$T"/*.pid "$T"/*/run/*.pid 2>/dev/null); do kill -9 "$p" 2>/dev/null; done
	for n in "${boards[@]}" "${extra[@]}" sw; do ip netns del "$N$n" 2>/dev/null; done
	umount "$T"/*/{state,ro,hosts} 2>/dev/null
	[ $bad -eq 0 ] || [ -z "${HEARTH_KEEP:-}" ] || { echo "kept: $T"; return; }
	rm -rf --one-file-system "$T"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

in_ns() { local n=$1; shift; ip netns exec "$N$n" "$@"; }
env_of() { # BOARD COMMAND...: with the board's directories, in its namespace
	local b=$1
	shift
	HEARTH_ETC=$T/$b/etc HEARTH_STATE=$T/$b/state HEARTH_RUN=$T/$b/run in_ns "$b" "$@"
}

# --- the network
net_up() {
	local i=0 b
	netns_add "${N}sw"
	in_ns sw sh -c 'ip link set lo up; ip link add br0 type bridge; ip link set br0 up
		ip addr add 192.0.2.1/24 dev br0; ip addr add 2001:db8:7::1/64 dev br0 nodad'
	for b in "${boards[@]}"; do
		i=$((i + 1))
		wan[$b]=192.0.2.1$i
		netns_add "$N$b"
		ip -n "$N$b" link add eth0 type veth peer name "p$b" netns "${N}sw"
		in_ns sw sh -c "ip link set p$b master br0 up"
		in_ns "$b" sh -c "ip link set lo up; ip link set eth0 up; ip addr add ${wan[$b]}/24 dev eth0
			ip addr add 2001:db8:7::1$i/64 dev eth0 nodad; ip route add default via 192.0.2.1
			ip -6 route add default via 2001:db8:7::1"
	done
}

# --- daemons
coord_start() {
	ip netns exec "${N}a" "$B/hearth-coord" serve --state "$T/coord" --run "$T/a/run" --user root >>"$T/coord.log" 2>&1 &
	echo $! >"$T/coord.pid"
	until_ok 60 test -S "$T/a/run/coord.sock"
}
coord_stop() { kill -9 "$(cat "$T/coord.pid")" && wait "$(cat "$T/coord.pid")"; rm -f "$T/a/run/coord.sock"; } 2>/dev/null
helper_start() { # BOARD; the rest of /etc that its enroll-node sees is in $T/BOARD/host
	mkdir -p "$T/$1/host"
	# no function in between: $! is to be the helper itself
	HEARTH_ETC=$T/$1/etc HEARTH_STATE=$T/$1/state HEARTH_RUN=$T/$1/run HEARTH_USER=root HEARTH_HOST_ETC=$T/$1/host \
		HEARTH_FACTS=$HEARTH_SOURCE/tests/lab/facts/pi3.json ip netns exec "$N$1" "$B/hearth-helper" --listen "$T/$1/run/helper.sock" --user "${HELPER_USER:-root}" --hosts "$T/$1/hosts" \
		--uapi-dir "$T/$1/wg" --idle 0 >>"$T/$1/helper.log" 2>&1 &
	echo $! >"$T/$1.helper.pid"
}
helper_stop() { kill "$(cat "$T/$1.helper.pid")"; rm -f "$T/$1/run/helper.sock"; } # BOARD
start() { # BOARD [VARIABLE=VALUE...]
	local b=$1
	shift
	HEARTH_ETC=$T/$b/etc HEARTH_STATE=$T/$b/state HEARTH_RUN=$T/$b/run \
		env "$@" ip netns exec "$N$b" "$B/hearthd" >>"$T/$b/hearthd.log" 2>&1 &
	pid[$b]=$!
	echo $! >"$T/$b.pid"
}
stop() { # BOARD [SIGNAL]
	kill "-${2:-TERM}" "${pid[$1]}" && wait "${pid[$1]}"
} 2>/dev/null
status() { env_of "$1" "$B/hearth" status --json; }
field() { status "$1" | python3 -c "import json,sys; s=json.load(sys.stdin); print($2)"; }
says() { # BOARD EXPRESSION of the status s
	[ "$(field "$1" "$2" 2>/dev/null)" = True ]
}
ready() { env_of "$1" "$B/hearth" status >/dev/null 2>&1; }
ping_to() { in_ns "$1" ping -n -q -c 1 -W "${PING_WAIT:-1}" "$2" >/dev/null; }
whole() { # every pair, both families
	local x y
	for x in "${@:-${boards[@]}}"; do
		for y in "${@:-${boards[@]}}"; do
			[ "$x" = "$y" ] || { ping_to "$x" "${ip4[$y]}" && ping_to "$x" "${ip6[$y]}"; } || return 1
		done
	done
}

mesh_whole() { # SECONDS
	local b
	PING_WAIT=${PING_WAIT:-0.4} until_ok "$1" whole && return 0
	for b in "${boards[@]}"; do env_of "$b" "$B/hearth" status | grep -v '^interface'; done
	return 1
}

token() { env_of a "$B/hearth" token create "$@" 2>/dev/null >"$T/token" || { echo "no token"; return 1; }; }
enrol() { # BOARD ROLE
	token --role "$2" && read -r "ip4[$1]" "ip6[$1]" _ < <(in_ns "$1" python3 "$TOOL" enrol "$T/token" "$T/$1/state" "$T/$1/etc" "$1") && [ -n "${ip4[$1]}" ]
}
light_up() { # [OPTIONS of hearth-coord init]: three enrolled boards; their daemons are started, not waited for
	local b
	net_up
	for b in "${boards[@]}"; do mkdir -p "$T/$b"/{etc,state,run,wg}; printf '127.0.0.1 localhost\n# mine, without an end' >"$T/$b/hosts"; cp "$T/$b/hosts" "$T/$b/hosts.old"; done
	in_ns a "$B/hearth-coord" init --state "$T/coord" --user root "$@" >"$T/init.log" 2>&1 || { cat "$T/init.log"; exit 1; }
	coord_start || { cat "$T/coord.log"; exit 1; }
	enrol a control-plane || exit 1
	enrol b worker || exit 1
	enrol c member || exit 1
	for b in "${boards[@]:3}"; do enrol "$b" worker || exit 1; done
	for b in "${boards[@]}"; do helper_start "$b"; start "$b"; done
}

complaints() { ! grep -hE 'Sanitizer|runtime error|assertion|core dumped' "$T"/*/*.log "$T"/*.log "$T"/*/run/*.log; }
light_finish() {
	local b
	check "no daemon's log holds a sanitizer's word" complaints
	[ $bad -gt 0 ] || { echo "all checks passed"; exit 0; }
	for b in "${boards[@]}"; do echo "--- $b"; tail -n 15 "$T/$b/hearthd.log"; done
	echo "--- coordinator"
	tail -n 8 "$T/coord.log"
	echo "$bad checks failed"
	exit 1
}
