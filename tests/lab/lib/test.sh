# shellcheck shell=bash disable=SC2034,SC2154
# For the lab's tests: a home of their own, checks that count, cleanup whatever happens.
# `. lib/test.sh`, then lab_start. HEARTH_LAB_KEEP=1 leaves the home up for a look.

lab_name() { echo "t$$"; }
export HEARTH_LAB=${HEARTH_LAB:-$(lab_name)}
[ "$(id -u)" -eq 0 ] || { echo "needs root"; exit 77; }
for need in systemd-nspawn debootstrap ip nft; do
	command -v $need >/dev/null || { echo "needs $need"; exit 77; }
done
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/common.sh"
. "$here/budget.sh"
for part in net image board mesh pods kube; do
	# shellcheck source=/dev/null
	. "$here/$part.sh"
done

home() { "$SOURCE/tests/lab/home" "$@"; }
on() { local b=$1; shift; board_exec "$b" "$@"; }

lab_end() {
	local status=$?
	if [ -n "${HEARTH_LAB_KEEP:-}" ]; then
		touch "$S/keep"
		echo "left up: HEARTH_LAB=$HEARTH_LAB tests/lab/home status"
	else
		home down
	fi
	exit $status
}
# Homes of tests that were killed before they could put them away; a test's home has its process's number,
# which may be ours by now.
lab_sweep() {
	local d n
	for d in "${S%/*}"/hearth-lab-t[0-9]* /run/netns/hearth-t[0-9]*; do
		n=${d##*/hearth-} n=${n#lab-} n=${n%%.*} n=${n#t}
		case $n in *[!0-9]* | '') continue ;; esac
		[ -e "$d" ] && [ ! -e "${S%/*}/hearth-lab-t$n/keep" ] || continue
		[ "$n" != $$ ] && [ -e "/proc/$n" ] || HEARTH_LAB=t$n home down
	done
}
lab_start() { # OPTIONS of home up
	[ "$HEARTH_LAB" != "$(lab_name)" ] || lab_sweep
	trap lab_end EXIT
	trap 'exit 130' INT TERM HUP
	# shellcheck source=/dev/null
	case " $* " in *' --away '*) . "$here/away.sh" ;; esac
	home up "$@" || { failed "the home did not come up"; lab_journal; exit 1; }
}

finish() {
	[ $bad -eq 0 ] || { echo "$bad checks failed"; lab_journal; exit 1; }
	echo "all checks passed"
	exit 0
}
lab_journal() { # what the daemons said, for a failed test's log
	local b
	for b in "${ALL[@]}"; do
		board_alive "$b" || continue
		echo "--- $b"
		board_exec "$b" journalctl -q --no-pager -o short-monotonic -u 'hearth*' -p info -n "${HEARTH_LAB_LINES:-12}" || :
	done
}
