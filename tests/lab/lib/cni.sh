# shellcheck shell=bash disable=SC2034
# For the scenes of cni/*.sh: a board with two pods and a fake mesh, and calls of the plugin as a container runtime
# makes them. Sourced, then setup. Every scene finds the pods a and b, leaves them, and no link, lease or route (clean).
# What is wrong ends the test (die).
#
#   pod a ---- hthXXXX                             fake mesh:  remote pod 10.244.2.5, fd77:2::5
#   pod b ---- hthYYYY   host   hearth0 ========== m0          remote board 10.77.0.2, fd77::2
#              ...              10.77.0.1                      drops packets that do not come from
#                               fd77::1                        10.77.0.1 or 10.244.1.0/24 (allowed IPs)
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
for need in ip jq nft python3 ping; do command -v $need >/dev/null || { echo "needs $need"; exit 77; }; done
: "${HEARTH_BUILD:?}" "${HEARTH_TMP:=$(mktemp -d)}"
plugin=$HEARTH_BUILD/bin/cni/hearth
kill_at=$HEARTH_BUILD/lab/cni-kill-at
id=hc$$
host=$id-h mesh=$id-m
export HEARTH_RUN=$HEARTH_TMP/run
leases=$HEARTH_RUN/cni/hearth
unset CNI_COMMAND CNI_CONTAINERID CNI_NETNS CNI_IFNAME CNI_ARGS CNI_PATH CNI_NETNS_OVERRIDE

remove_namespaces() {
	local n
	for n in $(ip netns list | awk '{ print $1 }' | grep -E "^(cni-)?$id-"); do ip netns del "$n"; done
}
cleanup() {
	[ ${#lives[@]} -eq 0 ] || kill "${lives[@]}"
	remove_namespaces
	umount "$HEARTH_TMP/full" "$HEARTH_RUN" 2>/dev/null
}
lives=()
trap cleanup EXIT
live() { # POD: a process is in it, as in every pod that runs; PROCESS
	ip netns exec "$id-$1" sleep 1000 9<&- &	# 9 may be a lock
	PROCESS=$!
	lives+=("$PROCESS")
}
ends() { # PROCESS of live
	kill "$1"
	wait "$1" 2>/dev/null
	local all=" ${lives[*]} "
	read -ra lives <<<"${all/ $1 / }"
}

checks=0
ok() { checks=$((checks + 1)); }
die() { echo "FAILED: $*"; [ -z "${OUT:-}" ] || echo "  stdout: $OUT"; [ -z "${ERR:-}" ] || echo "  stderr: $ERR"; exit 1; }
on() { ip netns exec "$@"; }
pod() { netns_add "$id-$1"; on "$id-$1" ip link set lo up; }

base='"name":"hearth","type":"hearth","device":"hearth0","nodeAddresses":["10.77.0.1","fd77::1"],"subnets":["10.244.1.0/24","fd77:0:0:1001::/64"]'
conf() { printf '{"cniVersion":"%s",%s%s}' "${V:-1.1.0}" "$base" "${1:-}"; }

# call VERB [VAR=VALUE...]: the configuration comes from $IN; leaves OUT, ERR, RC, and what was SENT.
call() {
	local verb=$1
	shift
	SENT=$IN
	OUT=$(printf '%s' "$IN" | on "$host" env CNI_COMMAND="$verb" CNI_PATH=/opt/cni/bin "$@" "$plugin" 2>"$HEARTH_TMP/stderr")
	RC=$?
	ERR=$(<"$HEARTH_TMP/stderr")
}
# cni VERB CONTAINER POD [MORE CONFIGURATION]
cni() {
	IN=$(conf "${4:-}")
	call "$1" CNI_CONTAINERID="$2" "CNI_NETNS=/run/netns/$id-$3" CNI_IFNAME="${IF:-eth0}" ${ARGS:+CNI_ARGS="$ARGS"}
}
works() { [ $RC = 0 ] || die "$*: exit status $RC"; ok; }
silent() { works "$@"; [ -z "$OUT" ] || die "$*: printed something"; ok; }
refused() {	# CODE WHAT
	local code=$1
	shift
	[ $RC = 1 ] || die "$*: exit status $RC, not 1"
	[ "$(jq -s 'length' <<<"$OUT" 2>/dev/null)" = 1 ] || die "$*: not one JSON document"
	[ "$(jq .code <<<"$OUT")" = "$code" ] || die "$*: not code $code"
	[ -n "$(jq -r .msg <<<"$OUT")" ] || die "$*: no message"
	case $(jq -r '.cniVersion?' <<<"${SENT:-}" 2>/dev/null) in
	0.4.0 | 1.0.0 | 1.1.0) [ "$(jq .cniVersion <<<"$OUT")" = "$(jq .cniVersion <<<"$SENT")" ] || die "$*: not in the caller's version" ;;
	esac
	SENT=''
	ok
}
says() { grep -qF -- "$1" <<<"$OUT" || die "message lacks \"$1\""; ok; }
has_links() { on "$host" ip -o link show type veth | holds ' hth'; }
files() { [ ! -d "$1" ] || find "$1" -mindepth 1 \( -name 'hth*' -o -name '[0-9a-f]*[.:]*' \) -printf '%f\n'; }	# of leases
clean() {
	! has_links || die "$*: a link is left: $(on "$host" ip -br link)"
	[ -z "$(files "$leases")" ] || die "$*: a lease is left: $(ls "$leases")"
	[ -z "$(on "$host" ip route show proto 78)$(on "$host" ip -6 route show proto 78)" ] || die "$*: a route is left"
	ok
}
reaches() {	# FROM ADDRESS
	on "$id-$1" ping -q -c 1 -W 2 "$2" >/dev/null || die "$1 does not reach $2"
	ok
}
ip4() { jq -r '.ips[0].address | sub("/.*"; "")' <<<"$1"; }
ip6() { jq -r '.ips[1].address | sub("/.*"; "")' <<<"$1"; }

setup() {
	local n
	remove_namespaces	# of one that was killed, and whose number we have
	mkdir -p "$HEARTH_RUN"
	mount -t tmpfs -o size=4m none "$HEARTH_RUN"
	netns_add $host $mesh
	on $host sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.forwarding=1 \
		net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1	# strict: N13
	for n in $host $mesh; do	# the addresses of the fake mesh need not wait, either
		on $n sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
		on $n ip link set lo up
	done
	on $host ip link add hearth0 mtu 1420 type veth peer name m0 mtu 1420 netns $mesh
	on $host ip addr add 10.77.0.1/24 dev hearth0
	on $host ip addr add fd77::1/64 dev hearth0 nodad
	on $host ip link set hearth0 up
	on $mesh ip addr add 10.77.0.2/24 dev m0
	on $mesh ip addr add fd77::2/64 dev m0 nodad
	on $mesh ip addr add 10.244.2.5/32 dev lo
	on $mesh ip addr add fd77:0:0:1002::5/128 dev lo
	on $mesh ip link set m0 up
	on $mesh ip route add 10.244.1.0/24 via 10.77.0.1
	on $mesh ip route add fd77:0:0:1001::/64 via fd77::1
	on $host ip route add 10.244.2.0/24 via 10.77.0.2 src 10.77.0.1
	on $host ip route add fd77:0:0:1002::/64 via fd77::2 src fd77::1
	on $mesh nft -f - <<-'N'
		table inet allowed {
			chain in {
				type filter hook input priority 0;
				iif m0 ip saddr != { 10.77.0.1, 10.244.1.0/24 } counter drop
				iif m0 ip6 saddr != { fd77::1, fd77:0:0:1001::/64, fe80::/10, :: } counter drop
			}
		}
	N
	pod a; pod b
}
