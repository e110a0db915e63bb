# shellcheck shell=bash
# Go, for the programs that only tests need. sudo's PATH leaves out where it usually lies. Sourced.

GO_WANTED=1.26	# what Kubernetes' own go.mod asks for
for go_dir in "/usr/lib/go-$GO_WANTED/bin" /usr/local/go/bin; do
	command -v go >/dev/null || [ ! -x "$go_dir/go" ] || PATH=$PATH:$go_dir
done
unset go_dir

go_missing() {	# says why nothing can be built with Go; silent and 1 if it can
	local v
	v=$(cd / && go env GOVERSION 2>/dev/null) || v=
	[ -n "$v" ] || { echo "needs Go $GO_WANTED or newer (go.dev/dl), and there is none in PATH or /usr/local/go"; return 0; }
	[ "$(printf '%s\n' "$GO_WANTED" "${v#go}" | sort -V | head -1)" != "$GO_WANTED" ] || return 1
	echo "needs Go $GO_WANTED or newer (go.dev/dl), and $(command -v go) is $v"
}
