# shellcheck shell=bash disable=SC2034
# Checks that count, with the seconds since $T0, and waiting on conditions. Sourced; needs nothing.
T0=${T0:-${EPOCHREALTIME/,/.}}
bad=0

step() { awk -v a="${EPOCHREALTIME/,/.}" -v b="$T0" -v s="$*" 'BEGIN { printf "%6.1f s  %s\n", a - b, s }'; }
passed() { step "ok    $*"; }
failed() { printf '          FAIL  %s\n' "$*"; bad=$((bad + 1)); }
check() { # WHAT COMMAND...
	local what=$1 said
	shift
	if said=$("$@" 2>&1); then
		passed "$what"
	else
		failed "$what"
		printf '%s\n' "$said" | tail -24 | sed 's/^/                | /'
	fi
}
until_ok() { # SECONDS COMMAND...: again and again until it succeeds
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/[.,]/}" -lt $end ] || return 1
		sleep 0.05
	done
}
soon() { # SECONDS COMMAND...: until it succeeds; if it does not, what it says at last
	until_ok "$@" || { shift; "$@"; }
}
# Instead of `| grep -q`, which ends at the first line that fits: what still writes is then killed, and with
# pipefail the pipeline has failed.
holds() { # OPTIONS of grep, PATTERN: of all that comes
	local all
	all=$(cat)
	grep -q "$@" < <(printf %s "$all")
}
