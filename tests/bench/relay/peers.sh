# shellcheck shell=bash
# What our relay is measured against: Tailscale's DERP server, which its interop test has, too, and its UDP relay for
# peers, built once into $HEARTH_CACHE/bench. Sourced, also by tests/prepare, which makes them. DERPER names a program to take instead.
# shellcheck source=/dev/null
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../tunnel/peers.sh"
# shellcheck source=/dev/null
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../interop/derp/client.sh"

peer_derper() {
	local have=${DERPER:-$(derper)}
	[ -x "$have" ] || { echo "no $have; tests/prepare derper builds it" >&2; return 1; }
	echo "$have"
}

# The program in peer-relay/, once for each state of its source. PEER_RELAY names another.
peer_relay_source=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/peer-relay
# shellcheck disable=SC2154  # of tunnel/peers.sh
peer_relay_path() { echo "$peer_dir/peer-relay-$(cat "$peer_relay_source"/{main.go,go.mod,go.sum} | sha256sum | cut -c1-12)"; }
peer_make_peer_relay() {
	local program
	program=$(peer_relay_path)
	mkdir -p "$peer_dir" && rm -f "$peer_dir"/peer-relay-*	# of older sources
	(cd "$peer_relay_source" && CGO_ENABLED=0 nice go build -trimpath -ldflags='-s -w' -o "$program.new" .) && mv "$program.new" "$program"
}
peer_peer_relay() {
	local have
	have=${PEER_RELAY:-$(peer_relay_path)}
	[ -x "$have" ] || { echo "no $have; tests/prepare peer-relay builds it" >&2; return 1; }
	echo "$have"
}
