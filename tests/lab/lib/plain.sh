# shellcheck shell=bash
# Network namespaces that are alike on every machine; see lib/plain.
plain=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/plain

netns_add() { # NAME...
	local n
	for n; do ip netns add "$n" && nsenter --net="/run/netns/$n" "$plain" true || return; done
}
