# shellcheck shell=bash disable=SC2034,SC2154
# c is in another house: behind a router that gives it a port of its own choice, and lets nobody in unasked.
house_router() { # FIRST-LAST: the router's ports for those behind it; what it knew of them is forgotten
	in_ns sw nft -f - <<-X
		table ip house
		delete table ip house
		table ip house {
			chain post { type nat hook postrouting priority srcnat; ip saddr 10.9.0.0/24 ip protocol udp snat to 192.0.2.1:$1
				ip saddr 10.9.0.0/24 masquerade; }
			chain in { type filter hook forward priority 0; iifname "br0" oifname "house" ct state new drop; }
		}
	X
	in_ns sw python3 -c '
import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 1, 1, 0, 0, 0, 0))  # conntrack: delete all'
}
moves_out() { # c leaves the LAN
	in_ns sw sh -c "ip link add house type veth peer name wan0 netns ${N}c; ip addr add 10.9.0.1/24 dev house; ip link set house up
		sysctl -qw net.ipv4.ip_forward=1"
	in_ns c sh -c 'ip link set eth0 down; ip addr add 10.9.0.2/24 dev wan0; ip link set wan0 up; ip route replace default via 10.9.0.1'
}
moves_in() {
	in_ns c sh -c "ip link del wan0; ip link set eth0 up; ip addr add 2001:db8:7::13/64 dev eth0 nodad; ip route replace default via 192.0.2.1
		ip -6 route replace default via 2001:db8:7::1"
	in_ns sw nft delete table ip house
}
is_at() { says "$1" "[p['endpoint'] for p in s['peers'] if p['name']=='c'][0].startswith('192.0.2.1:$2')"; } # BOARD PORT-BEGINS
reaches_others() { ping_to c "${ip4[a]}" && ping_to c "${ip4[b]}"; }
both_at() { is_at a "$1" && is_at b "$1"; }

scene behind_a_nat "a board moves behind a NAT, which then gives it another port"
behind_a_nat() {
	house_router 20000-29999
	did "c moves to another house" moves_out
	right 10 "the mesh is whole" whole
	right 5 "c is where its router is" both_at 2
	did "the router forgets, and takes other ports" house_router 30000-31999
	right 6 "c reaches the others" reaches_others
	right 6 "c is at its new port" both_at 3
	right 10 "the mesh is whole" whole
	did "the same, while c has nothing to say" house_router 40000-41999
	right 40 "c is at its new port, by what keeps the way open" both_at 4
	right 40 "the mesh is whole" whole
	did "b restarts" stop b
	start b
	right 15 "the mesh is whole" whole
	did "c moves back" moves_in
	right 15 "the mesh is whole" whole
}
