# shellcheck shell=bash disable=SC2154
# Users of a board who are neither root nor hearthd.

scene strangers "a user of the board asks what only root and hearthd may"
strangers() {
	local call
	sum_of_b() { sha256sum "$T/b/hosts" "$T"/b/etc/* && ls "$T/b/wg"; }
	sum_of_b >"$T/before" 2>/dev/null
	for call in hosts.write uapi.open ipv6.enable tun.open resolv.follow kube.join shell.run; do
		refused "hearth-helper: $call" "^forbidden: only root and user nobody may ask" asks b 54321 helper "$call" '{}'
	done
	for call in kube.publish reload; do
		refused "hearthd: $call" "^forbidden: only root may do that" asks b 54321 hearthd "$call" '{}'
	done
	refused "the coordinator: node.remove" "Permission denied" asks a 54321 coord node.remove '{"node":"b"}'
	sum_of_b >"$T/after" 2>/dev/null
	unharmed "no file of b changed" cmp "$T/before" "$T/after"
	check "the helper's log names who asked" until_ok 5 grep -q "user 54321 asked for hosts.write: refused" "$T/b/helper.log"
}
