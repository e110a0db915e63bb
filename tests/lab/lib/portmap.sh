# shellcheck shell=bash disable=SC2034,SC2154
# A board behind a gateway that maps ports: miniupnpd, or one that lies (portmap-evil.py). For test-portmap.
#
#     out 11.22.33.1 ---- wan 11.22.33.2 gw lan 192.168.50.1, fe80::1 ----+---- a 192.168.50.5, 2001:db8:50::5 (eth0)
#                                                                        +---- other 192.168.50.9, who is asked nothing
#
# miniupnpd refuses addresses that are reserved; the namespaces have no way out.
. "$HEARTH_SOURCE/tests/lab/lib/light.sh"
MINIUPNPD=$(PATH=$PATH:/usr/sbin command -v miniupnpd)
boards=(a)
extra=(gw out other)

net_up() {
	local n
	for n in gw out other a; do netns_add "$N$n" && in_ns $n ip link set lo up; done
	ip -n "${N}gw" -batch - <<-B
		link add lan type bridge
		link set lan up
		addr add 192.168.50.1/24 dev lan
		addr add fe80::1/64 dev lan nodad
		addr add 2001:db8:50::1/64 dev lan nodad
	B
	ip link add wan netns "${N}gw" type veth peer name eth0 netns "${N}out"
	in_ns gw sh -c 'ip addr add 11.22.33.2/24 dev wan; ip addr add 2001:db8:11::2/64 dev wan nodad; ip link set wan up
		echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	in_ns out sh -c 'ip addr add 11.22.33.1/24 dev eth0; ip addr add 2001:db8:11::1/64 dev eth0 nodad; ip link set eth0 up
		ip route add default via 11.22.33.2; ip -6 route add default via 2001:db8:11::2'
	for n in a other; do
		ip link add "p$n" netns "${N}gw" type veth peer name eth0 netns "$N$n"
		ip -n "${N}gw" link set "p$n" master lan up
		ip -n "$N$n" link set eth0 up
	done
	in_ns other ip addr add 192.168.50.9/24 dev eth0
	in_ns a sh -c 'ip addr add 192.168.50.5/24 dev eth0; ip addr add 2001:db8:50::5/64 dev eth0 nodad
		ip route add default via 192.168.50.1; ip -6 route add default via fe80::1 dev eth0'
	gw_forget
	# What comes from outside to the tunnel's port, and any word to who is not the gateway.
	in_ns a nft -f - <<-'R'
		table inet seen {
			counter out4 { }
			counter out6 { }
			chain in { type filter hook prerouting priority -400;
				ip saddr 11.22.33.1 udp dport 41741 counter name out4
				ip6 saddr 2001:db8:11::1 udp dport 41741 counter name out6
			}
		}
	R
	in_ns other nft 'add table inet seen; add counter inet seen asked
		add chain inet seen in { type filter hook input priority 0; }
		add rule inet seen in ip saddr 192.168.50.5 meta l4proto { tcp, udp } ip daddr 192.168.50.9 counter name asked'
}
seen() { # NAMESPACE COUNTER
	in_ns "$1" nft -j list counter inet seen "$2" | grep -oE '"packets": *[0-9]+' | grep -oE '[0-9]+$'
}
reaches() { # ADDRESS PORT COUNTER: a datagram from outside
	local before
	before=$(seen a "$3")
	in_ns out python3 - "$1" "$2" <<-'P'
		import socket, sys
		s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
		s.sendto(b"knock", (sys.argv[1], int(sys.argv[2])))
	P
	until_ok 1 sh -c "[ \"\$(ip netns exec ${N}a nft -j list counter inet seen $3 | grep -oE '\"packets\": *[0-9]+' | grep -oE '[0-9]+\$')\" -gt $before ]"
}

# --- the gateway
gw_forget() { # a router whose rules are gone
	in_ns gw nft -f - <<-'R'
		table inet upnp
		delete table inet upnp
		table inet upnp {
			chain miniupnpd { }
			chain prerouting_miniupnpd { }
			chain postrouting_miniupnpd { }
			chain forward { type filter hook forward priority 0; policy drop;
				ct state established,related accept
				iifname "lan" accept
				jump miniupnpd
			}
			chain prerouting { type nat hook prerouting priority dstnat; policy accept;
				jump prerouting_miniupnpd
			}
			chain postrouting { type nat hook postrouting priority srcnat - 1; policy accept;
				jump postrouting_miniupnpd
				oifname "wan" meta nfproto ipv4 masquerade
			}
		}
	R
}
gw_start() { # PMP UPNP [LIFETIME]: yes or no each; the longest life of a mapping
	cat >"$T/gw.conf" <<-C
		ext_ifname=wan
		listening_ip=lan
		http_port=0
		enable_natpmp=$1
		enable_upnp=$2
		secure_mode=yes
		system_uptime=no
		min_lifetime=20
		max_lifetime=${3:-86400}
		uuid=00000000-0000-4000-8000-000000000001
		upnp_table_name=upnp
		upnp_nat_table_name=upnp
		upnp_forward_chain=miniupnpd
		upnp_nat_chain=prerouting_miniupnpd
		upnp_nat_postrouting_chain=postrouting_miniupnpd
		allow 1024-65535 0.0.0.0/0 1024-65535
		deny 0-65535 0.0.0.0/0 0-65535
	C
	ip netns exec "${N}gw" "$MINIUPNPD" -d -f "$T/gw.conf" -P "$T/miniupnpd" >>"$T/gw.log" 2>&1 </dev/null &
	echo $! >"$T/gw.pid"
	[ "$1" = no ] || until_ok 5 gw_listens udp 5351
	[ "$2" = no ] || until_ok 5 gw_listens udp 1900
}
gw_listens() { in_ns gw ss -Hln "--$1" "sport = :$2" | holds .; }
gw_evil() { # LIE
	ip netns exec "${N}gw" python3 "$HEARTH_SOURCE/tests/lab/portmap-evil.py" "$1" >>"$T/gw.log" 2>&1 &
	echo $! >"$T/gw.pid"
	until_ok 5 gw_listens udp 5351
}
gw_stop() { kill -9 "$(cat "$T/gw.pid")" && wait "$(cat "$T/gw.pid")"; rm -f "$T/gw.pid"; } 2>/dev/null
gw_rules() { # how many ports are mapped
	in_ns gw nft list chain inet upnp prerouting_miniupnpd | grep -c dnat
}
gw_has() { [ "$(gw_rules)" -eq "$1" ]; }
gw_cable() { # out, and in again
	in_ns gw sh -c 'ip link set pa down; ip link set pa up'
}

# --- what the board says of it
mapping() { field a "next((m for m in s['port_mappings'] if m['family'] == '${2:-ipv4}'), {}).get('$1')"; }
mapped_by() { [ "$(mapping protocol "${2:-ipv4}")" = "$1" ]; }
none_because() { [ "$(mapping why)" = "$1" ]; }
announced() { # what others are told of this board
	env_of a "$B/hearth" node list --json | python3 -c 'import json, sys
for n in json.load(sys.stdin)["nodes"]: print(*n["endpoints"])'
}
is_announced() { announced | tr ' ' '\n' | holds -x -F "$1"; }
only_own() { # nothing beside its own two addresses
	[ "$(announced)" = "192.168.50.5:41741 [2001:db8:50::5]:41741" ]
}
