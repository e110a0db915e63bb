# shellcheck shell=bash disable=SC2154
# What a board has of the mesh, and that it comes back when somebody takes it away.

scene three_boards "three boards that reach each other, and what each of them has for it"
three_boards() {
	check "three boards reach each other over both families" mesh_whole 10
	check "status knows of two direct peers, and the coordinator" until_ok 5 says b "s['state']=='running' and [p['state'] for p in s['peers']]==['direct']*2 and s['coordinator']['connected']"
	check "no problems" says b "s['problems']==[]"
	check "hearth ping by name" env_of b "$B/hearth" ping -c 1 a
	check "hearth0: POINTOPOINT, NOARP, UP, MTU 1420" sh -c "ip -n $N'b' link show hearth0 | grep -q 'POINTOPOINT,.*NOARP,.*UP.* mtu 1420'"
	check "its addresses: /32, /128, one link-local" sh -c "ip -n $N'b' addr show hearth0 | grep -c 'inet ${ip4[b]}/32\\|inet6 ${ip6[b]}/128\\|inet6 fe80::.*/64' | grep -qx 3"
	check "routes with src and mtu" sh -c "ip -n $N'b' route | grep -q '^${ip4[a]} dev hearth0 .*src ${ip4[b]} .*mtu 1420' && ip -n $N'b' -6 route | grep -q '^${ip6[a]} dev hearth0 .*src ${ip6[b]} .*mtu 1420'"
	check "routes to pods" sh -c "ip -n $N'b' route | grep -q '^10.244.1.0/24 dev hearth0 .*src ${ip4[b]}'"
	check "nftables table" in_ns b nft list table inet hearth
	check "a socket for wg" until_ok 5 test -S "$T/b/wg/hearth0.sock"
	check "which tells of both peers" sh -c "printf 'get=1\\n\\n' | timeout 20 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b\"get=1\\n\\n\"); d = b\"\"
while not d.endswith(b\"\\n\\n\"): d += s.recv(65536)
sys.exit(d.count(b\"public_key=\") != 2)' $T/b/wg/hearth0.sock"
	check "names in the hosts file" sh -c "grep -qx '${ip4[a]} a.home.internal api.home.internal' $T/b/hosts && grep -qx '${ip6[c]} c.home.internal' $T/b/hosts"
	check "candidates are the uplink's addresses only" says b "sorted(e.rsplit(':',1)[0] for e in s['endpoints'])==['192.0.2.12','[2001:db8:7::12]']"
}

scene hands "somebody's hands: the firewall, a route, the interface"
hands() {
	in_ns b nft flush ruleset
	check "a flushed firewall comes back" until_ok 5 in_ns b nft list chain inet hearth postrouting
	ip -n "${N}b" route del "${ip4[a]}"
	check "a removed route comes back" until_ok 5 sh -c "ip -n $N'b' route | grep -q '^${ip4[a]} dev hearth0'"
	ip -n "${N}b" link set hearth0 down
	check "a downed interface comes back" until_ok 5 ping_to b "${ip4[a]}"
	ip -n "${N}b" link del hearth0
	check "a removed interface is made again" until_ok 5 ping_to b "${ip4[a]}"
}
