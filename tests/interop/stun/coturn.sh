# shellcheck shell=bash
# coturn's programs, beside this machine's own: the package is unpacked into $HEARTH_CACHE/interop, not installed, or
# its server would start here. Sourced, also by tests/prepare, which makes it.
coturn_cache=${HEARTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hearth}/interop/coturn

coturn_run() { # PROGRAM ARGUMENT...: in place of whoever calls it
	exec env LD_LIBRARY_PATH="$(echo "$coturn_cache"/usr/lib/*-linux-gnu*)" "$coturn_cache/usr/bin/$1" "${@:2}"
}
# Its libraries may be gone with another release of this machine; without one the loader says 127.
coturn_have() {
	(coturn_run turnserver --version) >/dev/null 2>&1
	[ $? -ne 127 ]
}
coturn_make() {
	local new=$coturn_cache.new deb
	rm -rf "$coturn_cache" "$new"
	mkdir -p "$new/debs/partial"
	# the package, and of what it depends on what is not installed here
	local options=(-qq -o APT::Sandbox::User=root -o "Dir::Cache::archives=$new/debs")
	local get=(apt-get "${options[@]}" install -y --no-install-recommends --download-only --reinstall coturn)
	"${get[@]}" || { apt-get "${options[@]}" update && "${get[@]}"; } || return
	for deb in "$new"/debs/*.deb; do dpkg-deb -x "$deb" "$new" || return; done
	rm -rf "$new/debs"
	mv "$new" "$coturn_cache"
}
