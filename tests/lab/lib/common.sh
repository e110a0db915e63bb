# shellcheck shell=bash disable=SC2034
# What every part of the lab needs: names, waiting, the cache. Sourced, never run.
#
# Several labs can live side by side: HEARTH_LAB names one (default "home"), and everything it
# makes carries that name: the directory $S, network namespaces hearth-NAME.*, cgroups
# hearth-lab-NAME.*, mounts below $S. Nothing else on the machine is changed, but that
# fs.inotify.max_user_instances is raised to 1024 and IP forwarding is on in our own namespaces.

LAB=${HEARTH_LAB:-home}
case $LAB in
*[!a-z0-9-]* | '') echo "HEARTH_LAB=\"$LAB\": only a-z, 0-9 and - make the name of a lab" >&2; exit 2 ;;
esac
S=${HEARTH_LAB_DIR:-${TMPDIR:-/tmp}}/hearth-lab-$LAB
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
SOURCE=$(readlink -f "$here/../../..")
CACHE=${HEARTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hearth}
BUILD=${HEARTH_BUILD:-$SOURCE/build}
# The boards' release of Kubernetes and, if they are to be upgraded, the one after it, in $CACHE/kube.
kube_use() { # VERSION [NEXT]
	KUBE_VERSION=$1 KUBE_NEXT=${2:-}
	KUBEBIN=$CACHE/kube/$1 KUBE_STORE=$CACHE/kube/images-$1${2:+-to-$2}
}
kube_use "${HEARTH_KUBE_VERSION:-v1.37.2}" "${HEARTH_KUBE_NEXT:-}"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
. "$here/../../lib/go.sh"
. "$here/checks.sh"

# The home. Numbers are host numbers on the LAN: 192.168.50.NUMBER.
BOARDS=(n100 pi4-8g pi4-4g-a pi4-4g-b pi3)
ALL=("${BOARDS[@]}" laptop)
declare -A NUMBER=([n100]=11 [pi4-8g]=12 [pi4-4g-a]=13 [pi4-4g-b]=14 [pi3]=15 [laptop]=20)
declare -A ROLE=([n100]=control-plane [pi4-8g]=worker [pi4-4g-a]=worker [pi4-4g-b]=worker [pi3]=worker [laptop]=member)

die() { echo "home: $*" >&2; exit 1; }
note() { echo "home: $*" >&2; }
# tests/run prepares what a test names; then nothing is made within a test's limit.
need_prepared() { [ -z "${HEARTH_PREPARED:-}" ] || die "there is no $1: the head of a test that uses it says \`# needs: $1\`"; }

is_board() { [ -n "${NUMBER[$1]:-}" ]; }
need_board() { is_board "$1" || die "there is no board \"$1\"; the boards are ${ALL[*]}"; }
need_root() { [ "$(id -u)" -eq 0 ] || die "needs root: sudo $0 $*"; }

# Runs FUNCTION ARG once per board, all at the same time; fails if one of them fails.
on_each() { # FUNCTION BOARD...
	local f=$1 b pids=() p bad=0
	shift
	for b; do "$f" "$b" & pids+=($!); done
	for p in "${pids[@]}"; do wait "$p" || bad=1; done
	return $bad
}
