# shellcheck shell=bash disable=SC2154
# What a board stands on and cannot choose: its clock, who else configures networks, the coordinator's ranges.

scene clock_behind "a clock six years behind"
clock_behind() {
	need b5
	check "a clock six years behind" enrolled b5
	check "and b5 reaches b1" until_ok 10 reaches b5 b1
}

timestamp() { cat "$W/b9/state/timestamp"; }
connected() { on b9 hearth status --json | python3 -c 'import json,sys; sys.exit(not json.load(sys.stdin)["coordinator"]["connected"])'; }

# Afterwards b9 alone may begin handshakes with b1, so that only a timestamp that does not go back lets it reach b1.
scene clock_ahead "a clock five years ahead, and then set right"
clock_ahead() {
	local before
	need_bundle b1
	board b9
	enrolls "a clock five years ahead" b9 "$(token --role worker)"
	check "and b9 reaches b1" until_ok 10 reaches b9 b1
	check "its handshakes' timestamps are reserved ahead" [ "$(timestamp)" -gt $(($(date +%s) + years)) ]
	check "a join bundle is no older to it than to others" until_ok 10 has_join b9 "$(grep -m 1 ' token: ' "$W/b1/etc/kubeadm/join.yaml")"
	on b1 nft -f - <<-'N'
		table inet test {
			chain out { type filter hook output priority 0; udp length 156 @th,64,8 1 counter drop; }
		}
	N
	stop_hearthd b9 || failed "hearthd does not stop"
	before=$(timestamp)
	runs on b9 enroll-node
	check "its clock set right, b1 takes its handshakes" until_ok 10 reaches b9 b1
	check "because timestamps never go back" [ "$(timestamp)" -ge "$before" ]
	check "and the coordinator answers it" until_ok 10 connected
	on b1 nft delete table inet test
	gone b9
}

networks() { (cd "$W/b2/host" && find systemd NetworkManager -name '*hearth*' ! -path '*kubelet*' | sort | tr '\n' ' '); }

scene interface "another interface: NetworkManager and networkd are told of it, and of no other any more"
interface() {
	need b2
	mkdir -p "$W/b2/host"/{systemd,NetworkManager}
	cp "$W/b2/etc/hearthd.yaml" "$W/b2.yaml"
	runs on b2 enroll-node
	check "hearth0 needs no files of its own" [ -z "$(networks)" ]
	echo "interface: mesh7" >>"$W/b2/etc/hearthd.yaml"
	runs on b2 enroll-node --dry-run
	check "a dry run writes none" [ -z "$(networks)" ]
	has "and says what it would write" "would network.*systemd/network"
	runs on b2 enroll-node
	[ "$(networks)" = "NetworkManager/conf.d/90-hearth-mesh7.conf systemd/network/05-hearth-mesh7.network " ] && passed "mesh7 gets two" || { failed "mesh7: $(networks)"; show "$W/out"; }
	grep -qx "Name=mesh7" "$W/b2/host/systemd/network/05-hearth-mesh7.network" && grep -qx "match-device=interface-name:mesh7" "$W/b2/host/NetworkManager/conf.d/90-hearth-mesh7.conf" &&
		passed "that name it" || failed "the files do not name mesh7"
	runs on b2 enroll-node
	has "a second run leaves them" "Nothing to do"
	echo "# somebody's" >"$W/b2/host/systemd/network/05-hearth-other.network"
	sed -i s/mesh7/mesh8/ "$W/b2/etc/hearthd.yaml"
	runs on b2 enroll-node
	[ "$(networks)" = "NetworkManager/conf.d/90-hearth-mesh8.conf systemd/network/05-hearth-mesh8.network systemd/network/05-hearth-other.network " ] && passed "renamed, those of the old name go, and nobody else's" || { failed "mesh8: $(networks)"; show "$W/out"; }
	cp "$W/b2.yaml" "$W/b2/etc/hearthd.yaml"
	runs on b2 enroll-node
	rm "$W/b2/host/systemd/network/05-hearth-other.network"
	[ -z "$(networks)" ] && passed "as hearth0 again it needs none" || { failed "left: $(networks)"; show "$W/out"; }
}

scene lan "a LAN in the way, and a route"
lan() {
	local t
	board b7
	t=$(token --role worker)
	ip -n "$N-b7" addr add 10.77.5.1/24 dev eth0
	refused "a LAN inside the mesh's range" b7 "$t" "10.77.0.0/16" "eth0" "--mesh4"
	ip -n "$N-b7" addr del 10.77.5.1/24 dev eth0
	ip -n "$N-b7" route add 10.244.7.0/24 via 192.168.77.1
	refused "a route into the pods' range" b7 "$t" "10.244" "--pods4"
	ip -n "$N-b7" route del 10.244.7.0/24
	enrolls "and without them it goes on" b7 "$t"
	gone b7
}

scene tailscale "Tailscale"
tailscale() {
	board b7
	ip -n "$N-b7" link add tailscale0 type veth peer name ts-peer
	ip -n "$N-b7" addr add 100.100.1.1/32 dev tailscale0
	ip -n "$N-b7" rule add pref 5270 table 52
	enrolls "beside an installed Tailscale" b7 "$(token --role worker)"
	has "which is noticed" "Tailscale is installed"
	gone b7
	coordinator coord2 2 --mesh cgnat --mesh4 100.80.0.0/16 || failed "the second coordinator"
	board b8
	ip -n "$N-b8" rule add pref 5270 table 52
	refused "a mesh in the range that Tailscale drops" b8 "$(C=coord2 token --role worker)" "100.80.0.0/16" "Tailscale"
	C=coord2 gone b8
}

scene public "a mesh that would take others' addresses"
public() {
	local t
	coordinator coord3 3 --mesh greedy --pods4 140.82.0.0/16 --allow-public-ranges || failed "the third coordinator"
	board b14
	t=$(C=coord3 token --role worker)
	refused "a mesh that would take others' addresses" b14 "$t" "140.82.0.0/16" "neither private" "--allow-public-ranges"
	enrolls "unless the board's owner allows it" b14 "$t" --allow-public-ranges
	check "which the board keeps" grep -qx "public_ranges: true" "$W/b14/etc/hearthd.yaml"
	ends 0 "so that the next run needs no flag" on b14 enroll-node
	C=coord3 gone b14
}

scene other_mesh "a board of one mesh gets a token of another"
other_mesh() {
	coordinator coord2 2 --mesh cgnat --mesh4 100.80.0.0/16 || failed "the second coordinator"
	ends 1 "a token of another mesh is refused" on b1 enroll-node --token-file - <<<"$(C=coord2 token --role worker)"
	has "with what to do" "another mesh (cgnat)"
}
