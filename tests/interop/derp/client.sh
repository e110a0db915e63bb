# shellcheck shell=bash
# The program beside this: Tailscale's DERP client library, asked what test-derp asks. Built once for each state of
# its source into $HEARTH_CACHE/interop; and Tailscale's relay of the same version. Sourced, also by tests/prepare,
# which makes them.
derp_source=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
derp_cache=${HEARTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hearth}/interop

derp_client() { echo "$derp_cache/derp-client-$(cat "$derp_source"/{main.go,go.mod,go.sum} | sha256sum | cut -c1-12)"; }
derp_client_make() {
	local program
	program=$(derp_client)
	mkdir -p "$derp_cache" && rm -f "$derp_cache"/derp-client-*	# of older sources
	(cd "$derp_source" && CGO_ENABLED=0 nice go build -trimpath -ldflags='-s -w' -o "$program.new" .) && mv "$program.new" "$program"
}

derper_version() { awk '$1 == "tailscale.com" { print $2 }' "$derp_source/go.mod"; }
derper() { echo "$derp_cache/derper-$(derper_version)"; }
derper_make() {
	local tmp=$derp_cache/go-derper
	rm -rf "$tmp" "$derp_cache"/derper-*	# of an interrupted one, and of older versions
	mkdir -p "$tmp" || return
	GOBIN=$tmp CGO_ENABLED=0 nice go install -trimpath -ldflags='-s -w' "tailscale.com/cmd/derper@$(derper_version)" &&
		mv "$tmp/derper" "$(derper)" && rm -rf "$tmp"
}
