# shellcheck shell=bash disable=SC2034,SC2154
# Somebody in the LAN at the tunnel's port, where boards ping each other: he can read and send, and has no key.
side_door() { ip netns exec "${N}sw" python3 "$HEARTH_SOURCE/tests/lab/lib/sidedoor.py" "$@"; }
port_of() { field "$1" "s['port']"; }
endpoint_at() { field "$1" "[p['endpoint'] for p in s['peers'] if p['name'] == '$2'][0]"; } # BOARD PEER: where it sends
disco() { field "$1" "s['disco']['$2']"; } # BOARD COUNTER
moves() { in_ns "$1" ip addr "$2" 192.0.2.199/24 dev eth0; } # BOARD add|del: its addresses are others, and it looks for its peers

scene old_pings "a LAN host sends again what boards sent each other, from itself and as from elsewhere"
old_pings() {
	local at before said got sent
	at=${wan[b]}:$(port_of b)
	side_door catch "${wan[c]}:$(port_of c)" "$at" "$T/ping" >"$T/catch" & local catcher=$!
	until_ok 10 grep -q ready "$T/catch"
	did "c looks for its peers, and what it sends b is caught" moves c add
	wait $catcher || { failed "nothing was caught"; return; }
	right 10 "the mesh is whole" whole
	before=$(endpoint_at b c)
	said=$(side_door again "$T/ping" "$at" 2000)
	read -r _ _ sent _ _ got <<<"$said"
	tried=$((tried + 1))
	if [ "$got" -lt $((sent / 10)) ]; then
		held=$((held + 1))
		passed "refused: b answers a tenth of it at most ($said)"
	else
		failed "b answered: $said"
	fi
	tried=$((tried + 1))
	did "the same, as from a house that does not ask" side_door again "$T/ping" "$at" 2000 198.51.100.77:41741
	right 3 "b still sends to c where c is" [ "$(endpoint_at b c)" = "$before" ] && held=$((held + 1))
	right 10 "the mesh is whole" whole
	unharmed "b counts what it did not answer ($(disco b unanswered) of $(wc -l <"$T/ping") kinds)" [ "$(disco b unanswered)" -gt 200 ]	# one of six may be a ping, and the rest pongs
	did "c has its addresses back" moves c del
	right 10 "the mesh is whole" whole
}

scene noise "a LAN host sends what is nothing, as fast as it can, to where boards ping each other"
noise() {
	local at n
	at=${wan[b]}:$(port_of b)
	n=$(disco b strange)
	tried=$((tried + 1))
	side_door noise "$at" 4 >"$T/noise" & local noisy=$!
	unharmed "a reaches b meanwhile" in_ns a ping -n -q -c 15 -i 0.2 -W 1 "${ip4[b]}"
	did "c looks for its peers meanwhile" moves c add
	wait $noisy
	if grep -q " got 0$" "$T/noise"; then
		held=$((held + 1))
		passed "refused: b answers nothing ($(cat "$T/noise"))"
	else
		failed "b answered: $(cat "$T/noise")"
	fi
	right 10 "the mesh is whole" whole
	unharmed "b counts what was strange" [ "$(disco b strange)" -gt "$n" ]
	logged b 1 "a flood of datagrams that are not WireGuard's"
	did "c has its addresses back" moves c del
	right 10 "the mesh is whole" whole
}

side_door_from() { in_ns "$1" python3 "$HEARTH_SOURCE/tests/lab/lib/sidedoor.py" "${@:2}"; } # NAMESPACE ...
scene boards_door "who is no board asks what boards ask each other; and a member asks too much, and what is no question"
boards_door() {
	local at="${ip4[b]}:41742"
	wall_ready || { failed "pods"; return; }
	check "a board is answered: $(side_door_from a ask "$at") records" side_door_from a ask "$at"
	refused "a pod of that board" "timed out|refused" side_door_from near ask "$at"
	refused "a pod of another" "timed out|refused" side_door_from far ask "$at"
	in_ns sw ip route add "${ip4[b]}/32" via "${wan[b]}"
	refused "a LAN host with a route of its own" "timed out|refused" side_door_from sw ask "$at"
	in_ns sw ip route del "${ip4[b]}/32"
	refused "the board itself, as a local user" "TypeError|reset|struct|Error" side_door_from b ask "$at"
	tried=$((tried + 1))
	side_door_from c knock "$at" 4 >"$T/knock" & local knocker=$!
	unharmed "a is answered meanwhile" until_ok 3 side_door_from a ask "$at"
	wait $knocker && held=$((held + 1)) && passed "refused: other calls, frames that are none ($(cat "$T/knock") connections)"
	unharmed "a is answered afterwards" until_ok 3 side_door_from a ask "$at"
	unharmed "and so is root on b" within_5s env_of b "$B/hearth" status
	right 10 "the mesh is whole" whole
}
