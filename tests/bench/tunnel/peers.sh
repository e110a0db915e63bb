# shellcheck shell=bash
# What Hearth's tunnel is measured against, built once into $HEARTH_CACHE/bench from their Go modules:
# wireguard-go of 2026 and nebula. Sourced, also by tests/prepare, which makes them.
#
#   peer_wireguard_go       prints its path; 1 if there is none of 2026, with the reason on standard error
#   peer_nebula             the same
#   peer_version PROGRAM    module and version that Go recorded in it, or a Debian package's
#   peer_is_of_2026 PROGRAM an older wireguard-go makes every ratio worthless: true only if its date is known
#
# WIREGUARD_GO and NEBULA name programs to take instead (NEBULA_CERT stands beside NEBULA).
WIREGUARD_GO_MODULE=golang.zx2c4.com/wireguard@v0.0.0-20260522210424-ecfc5a8d5446
NEBULA_MODULE=github.com/slackhq/nebula
NEBULA_VERSION=v1.10.3
# shellcheck source=/dev/null
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../lib/go.sh"
peer_dir=${HEARTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hearth}/bench

peer_install() {	# MODULE/PACKAGE@VERSION PROGRAM NAME: go install, then moved into the cache under NAME
	local tmp=$peer_dir/go-$3
	rm -rf "$tmp"	# of one that was interrupted
	mkdir -p "$tmp" || return
	GOBIN=$tmp CGO_ENABLED=0 nice go install -trimpath -ldflags='-s -w' "$1" && mv "$tmp/$2" "$peer_dir/$3" && rm -rf "$tmp"
}
peer_make_wireguard_go() { peer_install "$WIREGUARD_GO_MODULE" wireguard wireguard-go; }
peer_make_nebula() {
	peer_install "$NEBULA_MODULE/cmd/nebula-cert@$NEBULA_VERSION" nebula-cert nebula-cert &&
		peer_install "$NEBULA_MODULE/cmd/nebula@$NEBULA_VERSION" nebula nebula
}

peer_version() {	# PROGRAM
	local version package
	version=$(go version -m "$1" 2>/dev/null | awk '$1 == "mod" { print $2 "@" $3 }')
	if [ -n "$version" ] && [ "${version%@(devel)}" = "$version" ]; then
		echo "$version"
		return
	fi
	package=$(dpkg-query -S "$(readlink -f "$1")" 2>/dev/null | sed 's/: .*//')
	[ -n "$package" ] && dpkg-query -W -f '${Package} ${Version}\n' "$package" 2>/dev/null && return
	echo unknown
}

peer_is_of_2026() {	# PROGRAM
	# v0.0.0-20260522210424-ecfc5a8d5446 and 0.0.20260522-1 both carry the date
	local date
	date=$(peer_version "$1" | grep -oE '0\.0\.?0?-?20[0-9]{6}' | grep -oE '20[0-9]{6}$')
	[ -n "$date" ] && [ "$date" -ge 20260101 ]
}

peer_wireguard_go() {
	local have=${WIREGUARD_GO:-$peer_dir/wireguard-go}
	[ -n "${WIREGUARD_GO:-}" ] || [ -x "$have" ] || have=$(command -v wireguard-go) || have=
	if [ -z "$have" ] || [ ! -x "$have" ]; then
		echo "no wireguard-go: tests/prepare wireguard-go builds it, and no package of it is installed" >&2
		return 1
	fi
	if ! peer_is_of_2026 "$have"; then
		echo "$have is $(peer_version "$have"), not of 2026: the result would be invalid" >&2
		return 1
	fi
	echo "$have"
}

peer_nebula() {
	local have=${NEBULA:-$peer_dir/nebula}
	[ -x "$have" ] && [ -x "${have%/*}/nebula-cert" ] || { echo "no $have with nebula-cert beside it; tests/prepare nebula builds them" >&2; return 1; }
	echo "$have"
}
