# shellcheck shell=bash
# For the tests of hearth-wg: namespaces, tunnels and keys of their own. Interface names carry the
# process id, because the control sockets of all WireGuard programs lie in one directory of the
# machine. Sourced; needs $HEARTH_BUILD, $HEARTH_SOURCE, $HEARTH_TMP.

[ "$(id -u)" -eq 0 ] || { echo "needs root"; exit 77; }
for need in ip wg ping python3; do
	command -v $need >/dev/null || { echo "needs $need"; exit 77; }
done
[ -c /dev/net/tun ] || { echo "needs /dev/net/tun"; exit 77; }
HEARTH_WG=${HEARTH_WG:-$HEARTH_BUILD/bin/hearth-wg}	# another build of it, e.g. with sanitizers
# what has to be preloaded before any other library, if it is a build with sanitizers
# shellcheck disable=SC2034  # used by tests
SANITIZER_LIBRARY=$({ ldd "$HEARTH_WG" 2>/dev/null || :; } | awk '/lib[at]san/ { print $3 }')
[ -x "$HEARTH_WG" ] || { echo "needs $HEARTH_WG"; exit 77; }

export LOG_LEVEL=error	# also keeps stderr open in the background: a sanitizer's report is seen
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/plain.sh"
. "$HEARTH_SOURCE/tests/lab/lib/budget.sh"
. "$HEARTH_SOURCE/tests/lab/lib/checks.sh"
daemon_log=$HEARTH_TMP/daemons.log
namespaces=()
umask 077

say() { step "$@"; }
fail() {
	say "FAIL: $*"
	[ -z "${HEARTH_KEEP:-}" ] || { echo "left as it is"; trap - EXIT; }
	exit 1
}

ns() { echo "hwg-$$-$1"; }
in_ns() { local n; n=$(ns "$1"); shift; ip netns exec "$n" "$@"; }
ns_add() {	# NAME...
	local n
	for n; do
		[ ! -e "/run/netns/$(ns "$n")" ] || ns_kill "$n"	# of one that was killed, and whose number we have
		netns_add "$(ns "$n")"
		namespaces+=("$n")
		ip -n "$(ns "$n")" link set lo up
		# answers leave by the address asked for, and an address can go and come at once
		in_ns "$n" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.all.promote_secondaries=1 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
	done
}
ns_kill() {	# NAME: what we started in there, then the namespace
	local pids p
	pids=$(ip netns pids "$(ns "$1")" 2>/dev/null) || return 0
	for p in $pids; do kill "$p" 2>/dev/null; done
	until_ok 5 ns_is_empty "$1" || for p in $(ip netns pids "$(ns "$1")"); do kill -9 "$p" 2>/dev/null; done
	ip netns del "$(ns "$1")" 2>/dev/null
}
ns_is_empty() { [ -z "$(ip netns pids "$(ns "$1")")" ]; }
tunnel_cleanup() {
	local n status=$?
	# ended by set -e: nobody has said why
	[ $status -eq 0 ] || [[ $BASH_COMMAND = exit* ]] || echo "FAIL: status $status of: $BASH_COMMAND"
	trap - EXIT
	set +e	# what is to be killed may end by itself meanwhile
	for n in "${namespaces[@]}"; do ns_kill "$n"; done
	if grep -qE 'Sanitizer|runtime error' "$daemon_log" 2>/dev/null; then
		echo "a sanitizer reported:"
		grep -E -A25 'Sanitizer|runtime error' "$daemon_log" | head -60
		status=1
	fi
	[ $status -eq 0 ] || tail -20 "$daemon_log" 2>/dev/null
	exit $status
}
trap tunnel_cleanup EXIT
trap 'exit 130' INT TERM HUP

veth() {	# NS1 IF1 NS2 IF2
	ip link add "$2" netns "$(ns "$1")" type veth peer name "$4" netns "$(ns "$3")"
	ip -n "$(ns "$1")" link set "$2" up
	ip -n "$(ns "$3")" link set "$4" up
}
addr() {	# NS IF ADDRESS/LEN...
	local n=$1 i=$2 a nodad
	shift 2
	for a; do
		nodad=
		[[ $a != *:* ]] || nodad=nodad
		ip -n "$(ns "$n")" addr add "$a" dev "$i" $nodad
	done
}

name() { echo "h$$$1"; }	# an interface of a tunnel: h<pid><letters>
# what other tunnels than ours are made with: a program, or "kernel" where that has WireGuard
WG_OTHER=${WG_OTHER:-wireguard-go}
start_tunnel() {	# KIND NS IF: in the background, returns when it is ready
	local program=$HEARTH_WG
	[ "$1" = hearth ] || program=$WG_OTHER
	if [ "$program" = kernel ]; then
		ip -n "$(ns "$2")" link add "$3" type wireguard || fail "the kernel makes no WireGuard link $3"
		return
	fi
	in_ns "$2" "$program" "$3" >>"$daemon_log" 2>&1 </dev/null || fail "$program $3 did not start"
}
new_key() { wg genkey >"$HEARTH_TMP/$1.key"; wg pubkey <"$HEARTH_TMP/$1.key" >"$HEARTH_TMP/$1.pub"; }
key() { echo "$HEARTH_TMP/$1.key"; }
pub() { cat "$HEARTH_TMP/$1.pub"; }
# ping waits only two round trips for the last answer, whatever -W says; with -w it sends on until it
# has as many answers as -c says. So: as many, and none of the first ones missing.
without_hole() {	# FILE COUNT: the output of ping
	grep -o 'icmp_seq=[0-9]*' "$1" | cut -d= -f2 | sort -nu |
		awk -v n="$2" '$1 <= n { seen++ } END { exit seen < n }'
}
pings() {	# NS ADDRESS COUNT [OPTION...]: an answer to every one
	local n=$1 a=$2 c=$3
	shift 3
	in_ns "$n" ping -n -c "$c" -w 15 -i 0.02 "$@" "$a" >"$HEARTH_TMP/pings" 2>&1 || :
	without_hole "$HEARTH_TMP/pings" "$c" || { tail -25 "$HEARTH_TMP/pings"; return 1; }
}
answers() { in_ns "$1" ping -q -n -c 1 -W 1 "$2" >/dev/null; }	# NS ADDRESS
endpoint_of() { in_ns "$1" wg show "$2" endpoints | awk '{ print $2 }'; }	# NS IF (one peer)
endpoint_is() { [ "$(endpoint_of "$1" "$2")" = "$3" ]; }
handshake_of() { in_ns "$1" wg show "$2" latest-handshakes | awk '{ print $2 }'; }
