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
	refused "the coordinator: settings.set" "Permission denied" asks a 54321 coord settings.set '{"urls":["https://192.0.2.66:8443"]}'
	sum_of_b >"$T/after" 2>/dev/null
	root_shows b "by user 54321: shell.run: no business of that user's"
	unharmed "no file of b changed" cmp "$T/before" "$T/after"
	check "the helper's log names who asked" until_ok 5 grep -q "user 54321 asked for hosts.write: refused" "$T/b/helper.log"
}

cpu_of() { cat /proc/"${pid[$1]}"/task/*/schedstat | awk '{ us += $1 / 1000 } END { printf "%d\n", us }'; } # of hearthd, in us
# How much of a core hearthd of b is made to work, while root and another user ask it, too.
costs() { # KIND
	local cpu began share n hog
	cpu=$(cpu_of b) began=$(now_us)
	in_ns b python3 -ISE "$ATTACKER" hogs "$T/b/run/hearthd.sock" 54321 0.8 "$1" >"$T/hog.$1" 2>&1 &
	hog=$!
	check "root is answered within 1 s" env_of b timeout 1 "$B/hearth" status
	check "so is another user" env_of b setpriv --reuid 54322 --clear-groups timeout 1 "$B/hearth" status
	wait $hog || { failed "$1: $(tail -1 "$T/hog.$1")"; return; }
	share=$((100 * ($(cpu_of b) - cpu) / ($(now_us) - began)))
	n=$(cat "$T/hog.$1")
	tried=$((tried + 1))
	[ $share -le 10 ] && held=$((held + 1))
	check "$1: $n times in 0.8 s took $share % of a core" [ $share -le 10 ]
}

scene hogs "a user of the board keeps hearthd busy: calls, connections, bytes"
hogs() {
	local kind
	# what everybody may have at once, before it counts
	in_ns b python3 -ISE "$ATTACKER" hogs "$T/b/run/hearthd.sock" 54321 1 crowd >/dev/null
	for kind in one crowd unknown waits logs pings connects asks trickles large; do costs $kind; done
	check "the log says who" until_ok 1 grep -q "user 54321 has asked for more than its share of this daemon's time, and waits" "$T/b/hearthd.log"
	right 30 "the mesh is whole" whole
}
