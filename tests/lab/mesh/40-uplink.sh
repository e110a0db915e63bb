# shellcheck shell=bash disable=SC2154
# A board gets another address or another port, and the mesh follows.

renumber() { # LAST-OCTET-OF-OLD LAST-OCTET-OF-NEW: b's
	in_ns b sh -c "ip addr del 192.0.2.$1/24 dev eth0; ip addr del 2001:db8:7::$1/64 dev eth0; ip addr add 192.0.2.$2/24 dev eth0; ip addr add 2001:db8:7::$2/64 dev eth0 nodad; ip route replace default via 192.0.2.1"
}
announced() { HEARTH_RUN=$T/a/run "$B/hearth" node list --json | holds "$1"; } # WORD

scene other_address "an address changes, and the mesh follows"
other_address() {
	renumber 12 112
	check "b has other addresses: reachable again" mesh_whole 10
	check "and has announced them" until_ok 10 announced 192.0.2.112:
	renumber 112 12
	check "it has those of before: reachable again" mesh_whole 10
	check "and has announced them" until_ok 10 announced 192.0.2.12:
}

scene taken_port "a taken port is replaced, and that is kept and announced"
taken_port() {
	stop b
	cp "$T/b/state/state.json" "$T/b/state.json"
	ip netns exec "${N}b" python3 -c 'import socket,time
for f, a in ((socket.AF_INET, ""), (socket.AF_INET6, "::")):
    s = socket.socket(f, socket.SOCK_DGRAM)
    if f == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind((a, 41741)); globals()["s%d" % f] = s
time.sleep(600)' &
	echo $! >"$T/squatter.pid"
	until_ok 60 sh -c "ip netns exec ${N}b ss -Huln | grep -q 41741"
	start b
	check "port 41741 is taken: another is used" until_ok 10 says b "s['port']==41742"
	check "and announced: the mesh is whole" mesh_whole 10
	kill_by "$T/squatter.pid"
	stop b
	start b
	check "and kept" until_ok 10 says b "s['port']==41742"
	check "the mesh after that" mesh_whole 10
	stop b
	mv "$T/b/state.json" "$T/b/state/state.json"
	start b
	check "the port of before" until_ok 10 says b "s['port']==41741"
	check "the mesh after that" mesh_whole 10
}

scene clocks "clocks five years off, behind and ahead"
clocks() {
	stop b
	start b HEARTH_CLOCK_OFFSET=-157680000
	check "a clock five years behind: whole" mesh_whole 15
	check "with the coordinator" until_ok 15 says b "s['coordinator']['connected']"
	stop b
	start b HEARTH_CLOCK_OFFSET=157680000
	check "a clock five years ahead: whole" mesh_whole 15
	stop b
	start b
	check "and back: whole, because timestamps never go back" mesh_whole 15
}
