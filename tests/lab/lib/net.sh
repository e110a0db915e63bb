# shellcheck shell=bash disable=SC2154
# The networks of the home.
#
#                 internet 203.0.113.0/24, 2001:db8:113::/64      (namespace inet, .1)
#                                   |
#                              router (NAT)                        wan 203.0.113.2
#                                   |
#        home LAN 192.168.50.0/24, fd50:686f:6d65::/64             router .1
#          |        |         |        |        |        |
#        n100    pi4-8g   pi4-4g-a   pi3     laptop   router2 (NAT again)   wan .2
#         .11      .12       .13      .15      .20       |
#                                              LAN 192.168.60.0/24, fd60:686f:6d65::/64
#                                                        |
#                                                    pi4-4g-b .14
#
# Routers drop what they did not ask for before it makes a conntrack entry, and translate ports,
# IPv6 included: what a cheap second router does to the boards behind it.

. "$here/plain.sh"
NET4=192.168.50 NET6=fd50:686f:6d65:
INNER4=192.168.60 INNER6=fd60:686f:6d65:
WAN4=203.0.113 WAN6=2001:db8:113:

netns() { echo "hearth-$LAB.$1"; }
in_ns() { local n; n=$(netns "$1"); shift; nsenter --net="/run/netns/$n" "$@"; }
lan_of() { if [ "$1" = pi4-4g-b ]; then echo router2; else echo router; fi; }
lan4_of() { if [ "$1" = pi4-4g-b ]; then echo "$INNER4.${NUMBER[$1]}"; else echo "$NET4.${NUMBER[$1]}"; fi; }
lan6_of() { if [ "$1" = pi4-4g-b ]; then echo "$INNER6:${NUMBER[$1]}"; else echo "$NET6:${NUMBER[$1]}"; fi; }

net_ns() { # NAME: a namespace with loopback up, new or as it is
	local n
	n=$(netns "$1")
	[ -e "/run/netns/$n" ] && return 1
	netns_add "$n" && ip -n "$n" link set lo up
}

net_bridge() { # NAMESPACE BRIDGE IPV4 IPV6
	ip -n "$(netns "$1")" -batch - <<-B
		link add $2 type bridge
		addr add $3/24 dev $2
		addr add $4/64 dev $2 nodad
		link set $2 up
	B
	in_ns "$1" sh -c 'for f in iptables ip6tables; do echo 0 >/proc/sys/net/bridge/bridge-nf-call-$f; done' 2>/dev/null || :
}

net_plug() { # FROM-NAMESPACE BRIDGE TO-NAMESPACE IFNAME IPV4 IPV6 GATEWAY4 GATEWAY6
	local from to port
	from=$(netns "$1") to=$(netns "$3") port=p-${3:0:13}
	ip -n "$from" link del "$port" 2>/dev/null || :
	# a board keeps its hardware address, or its neighbours would talk to the old one for a while
	ip link add "$port" netns "$from" type veth peer name "$4" address "02:68:65$(cksum <<<"$3" | awk '{ printf ":%02x:%02x:%02x", $1 / 65536 % 256, $1 / 256 % 256, $1 % 256 }')" netns "$to"
	ip -n "$from" link set "$port" master "$2" up
	ip -n "$to" -batch - <<-B
		link set $4 up
		addr add $5/24 dev $4
		addr add $6/64 dev $4 nodad
		route add default via $7
		route add default via $8
	B
}

net_router() { # NAME
	in_ns "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	in_ns "$1" nft -f - <<-'N'
		table inet router {
			chain input { type filter hook input priority 0;
				iifname "wan" meta l4proto icmpv6 accept
				iifname "wan" ct state { new, invalid } drop
			}
			chain forward { type filter hook forward priority 0;
				ct state established,related accept
				iifname "wan" ct state new drop
			}
			chain post { type nat hook postrouting priority srcnat;
				oifname "wan" meta nfproto ipv4 meta l4proto { tcp, udp } masquerade to :20000-29999
				oifname "wan" masquerade
			}
		}
	N
}

net_up() {
	local n
	if net_ns inet; then
		net_bridge inet br0 $WAN4.1 $WAN6:1
	fi
	if net_ns router; then
		net_bridge router lan $NET4.1 $NET6:1
		net_plug inet br0 router wan $WAN4.2 $WAN6:2 $WAN4.1 $WAN6:1
		net_router router
	fi
	if net_ns router2; then
		net_bridge router2 lan $INNER4.1 $INNER6:1
		net_plug router lan router2 wan $NET4.2 $NET6:2 $NET4.1 $NET6:1
		net_router router2
	fi
	for n in inet router router2; do [ -e "/run/netns/$(netns $n)" ] || die "no namespace for $n"; done
}

# A power cut leaves nothing in a board's kernel: interfaces that persist, nftables and routes go
# with the namespace, which is made anew for every boot.
net_board() { # BOARD
	local b=$1 r n old=
	r=$(lan_of "$b")
	n=$(netns "$b")
	[ -e "/run/netns/$n" ] && old=1
	[ -z "$old" ] || ip -n "$(netns "$r")" link del "p-${b:0:13}" 2>/dev/null || :
	[ -z "$old" ] || ip netns del "$n"
	net_ns "$b"
	if [ "$r" = router ]; then
		net_plug router lan "$b" eth0 "$(lan4_of "$b")" "$(lan6_of "$b")" $NET4.1 $NET6:1
	else
		net_plug router2 lan "$b" eth0 "$(lan4_of "$b")" "$(lan6_of "$b")" $INNER4.1 $INNER6:1
	fi
}

net_down() {
	local n
	for n in /run/netns/"hearth-$LAB".*; do
		[ -e "$n" ] || continue
		ip netns del "${n##*/}" || :
	done
}
