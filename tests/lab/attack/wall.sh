# shellcheck shell=bash disable=SC2034,SC2154
# What may come in where (test-matrix has who reaches whom): a member sends through a board into its LAN, a LAN
# host finds its own way in, a pod and a container speak for others. What arrives is written down where it
# arrives; an honest packet, behind the others, does.
. "$HEARTH_SOURCE/tests/lab/lib/wall.sh"
rm -f "$T"/attack.*
number=5000

# A word of each attack is sent from NAMESPACE; the last line is honest and must be answered.
#     WHAT|PROTOCOL ADDRESS PORT [SOURCE]
attacks() { # NAMESPACE, on stdin the lines
	local what probe first=$((number + 1)) want n line lines=()
	mapfile -t lines
	: >"$T/attack.ask"
	for line in "${lines[@]}"; do
		number=$((number + 1))
		[ "$line" = "${lines[-1]}" ] && want=yes || want=no
		read -r -a probe <<<"${line#*|}"
		echo "$number $want ${probe[*]}" >>"$T/attack.ask"
	done
	in_ns "$1" python3 "$PROBE" ask "$T/attack.ask" >"$T/attack.said" 2>&1
	n=$((first - 1))
	for line in "${lines[@]}"; do
		n=$((n + 1)) what=${line%%|*}
		if [ "$line" = "${lines[-1]}" ]; then
			grep -q "^$n " "$T/attack.said" && passed "honest: $what" || { failed "honest: $what: no answer"; cat "$T/attack.said"; }
		elif tried=$((tried + 1)); grep -hE "^$n " "$T/attack.said" "$T"/arrived.*; then
			failed "$what: it arrived"
		else
			held=$((held + 1))
			passed "refused: $what"
		fi
	done
}
counters() { in_ns "$1" nft list chain inet "$2" "$3" | awk '{ for (i = 1; i < NF; i++) if ($i == "packets") n += $(i + 1) } END { print n + 0 }'; } # NAMESPACE TABLE CHAIN
drops() { counters "$1" hearth "$2"; } # BOARD CHAIN
dropped_some() { [ "$(drops "$1" "$2")" -ge $(($3 + $4)) ]; }
counted_in() { check "the rules counted them" soon 5 dropped_some "$@"; } # BOARD CHAIN BEFORE LEAST

# b: pods near and near2, a house of its own behind it with the host house; a: pod far
wall_ready() {
	[ -z "${pod4[near]:-}" ] || return 0
	local b
	extra=(near near2 far house cont)
	for b in a b; do in_ns $b sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'; done
	pod_up b near && pod_up b near2 && pod_up a far || return 1
	netns_add "${N}house"
	ip -n "${N}b" link add lan2 type veth peer name eth0 netns "${N}house"
	in_ns b sh -c "ip link set lan2 up; ip addr add 198.51.100.1/24 dev lan2; ip addr add 2001:db8:8::1/64 dev lan2 nodad"
	in_ns house sh -c "ip link set lo up; ip link set eth0 up; ip addr add 198.51.100.50/24 dev eth0; ip addr add 2001:db8:8::50/64 dev eth0 nodad
		ip route add default via 198.51.100.1; ip -6 route add default via 2001:db8:8::1"
	services near2
	proxy_up b "${wan[b]}" 2001:db8:7::12
	serve a b near near2 far sw house
	wan6b=2001:db8:7::12
}

scene wall_tunnel "an enrolled board sends through another one to what lies behind it"
wall_tunnel() {
	local n
	wall_ready || { failed "pods"; return; }
	tunnel_takes c b 198.51.100.0/24 2001:db8:8::/64 10.96.0.0/16 "$(ula):f000::/112" 203.0.113.0/24 "${wan[b]}/32"
	in_ns c sh -c "for p in 198.51.100.0/24 10.96.0.0/16 203.0.113.0/24; do ip route add \$p dev hearth0; done
		for p in 2001:db8:8::/64 $(ula):f000::/112; do ip -6 route add \$p dev hearth0; done
		ip rule add from ${ip4[c]} to ${wan[b]} lookup 99; ip route add ${wan[b]} dev hearth0 table 99"
	n=$(drops b from_mesh)
	attacks c <<-X
		TCP to a host of the house behind b|tcp 198.51.100.50 $SERVE
		TCP, IPv6|tcp 2001:db8:8::50 $SERVE
		UDP|udp 198.51.100.50 $SERVE
		UDP, IPv6|udp 2001:db8:8::50 $SERVE
		UDP in fragments|frag 198.51.100.50 $SERVE
		UDP behind an extension header|ext 2001:db8:8::50 $SERVE
		a ping|icmp 198.51.100.50 0
		a ping, IPv6|icmp 2001:db8:8::50 0
		to b's own address in that house|tcp 198.51.100.1 $SERVE
		to b's own address in its LAN, past what guards that|tcp ${wan[b]} $SERVE ${ip4[c]}
		a ClusterIP, which b would translate|tcp ${service4[near2]} 80
		a ClusterIP, IPv6|tcp ${service6[near2]} 80
		the internet, with b as its way out|udp 203.0.113.7 $SERVE
		a pod of b, as a member may|tcp ${pod4[near]} $SERVE
	X
	counted_in b from_mesh "$n" 12
	kill -HUP "${pid[b]}"	# or within a minute
	told b "within the last hour c sent through the mesh to this board"
	in_ns c sh -c "for p in 198.51.100.0/24 10.96.0.0/16 203.0.113.0/24; do ip route del \$p dev hearth0; done
		for p in 2001:db8:8::/64 $(ula):f000::/112; do ip -6 route del \$p dev hearth0; done; ip rule del from ${ip4[c]} to ${wan[b]} lookup 99"
}

scene wall_lan "a LAN host with a route of its own to pods, services and the mesh"
wall_lan() {
	local n
	wall_ready || { failed "pods"; return; }
	in_ns sw sh -c "for p in 10.77.0.0/16 10.244.0.0/16 10.96.0.0/16; do ip route add \$p via ${wan[b]}; done; ip -6 route add $(ula)::/48 via $wan6b"
	n=$(drops b strangers)
	attacks sw <<-X
		TCP to a pod|tcp ${pod4[near]} $SERVE
		TCP to a pod, IPv6|tcp ${pod6[near]} $SERVE
		UDP in fragments|frag ${pod4[near]} $SERVE
		behind an extension header|ext ${pod6[near]} $SERVE
		a ping of a pod|icmp ${pod4[near]} 0
		a ClusterIP|tcp ${service4[near2]} 80
		a ClusterIP, IPv6|tcp ${service6[near2]} 80
		a ClusterIP, UDP|udp ${service4[near2]} 80
		b's mesh address|tcp ${ip4[b]} $SERVE
		b's mesh address, IPv6|tcp ${ip6[b]} $SERVE
		another board, by b|tcp ${ip4[a]} $SERVE
		another board's pod, by b|tcp ${pod4[far]} $SERVE
		as a board|udp ${wan[b]} $SERVE ${ip4[a]}
		as a pod, IPv6|udp $wan6b $SERVE ${pod6[far]}
		the NodePort of the same pod, in fragments|frag ${wan[b]} $NODE_PORT
	X
	counted_in b strangers "$n" 14
	in_ns sw sh -c "for p in 10.77.0.0/16 10.244.0.0/16 10.96.0.0/16; do ip route del \$p; done; ip -6 route del $(ula)::/48"
}

scene wall_new_links "the same by links that appear while hearthd runs: a second card, a VPN, a bridge"
wall_new_links() {
	local name
	wall_ready || { failed "pods"; return; }
	in_ns sw sh -c "ip link add there type veth peer name new0 netns ${N}b; ip addr add 198.18.0.2/24 dev there; ip addr add 2001:db8:5::2/64 dev there nodad; ip link set there up"
	for name in new0 wg0 tailscale0 br-x; do
		case $name in
		br-x) in_ns b sh -c "ip link add br-x type bridge; ip link set new0 master br-x up; ip link set br-x up; ip addr add 198.18.0.1/24 dev br-x; ip addr add 2001:db8:5::1/64 dev br-x nodad" ;;
		*) in_ns b sh -c "ip addr flush dev new0; ip link set new0 down; ip link set new0 name $name; ip link set $name up; ip addr add 198.18.0.1/24 dev $name; ip addr add 2001:db8:5::1/64 dev $name nodad" ;;
		esac
		in_ns sw sh -c "for p in 10.77.0.0/16 10.244.0.0/16 10.96.0.0/16; do ip route replace \$p via 198.18.0.1; done; ip -6 route replace $(ula)::/48 via 2001:db8:5::1"
		attacks sw <<-X
			by $name, at once: a pod|tcp ${pod4[near]} $SERVE
			a pod, IPv6|udp ${pod6[near]} $SERVE
			a ClusterIP|tcp ${service4[near2]} 80
			b's mesh address|udp ${ip4[b]} $SERVE
			as a board|udp 198.18.0.1 $SERVE ${ip4[a]}
			b's own address on that link|tcp 198.18.0.1 $SERVE
		X
		[ $name = br-x ] || in_ns b ip link set $name name new0 2>/dev/null || in_ns b sh -c "ip link set $name down; ip link set $name name new0"
	done
	in_ns sw sh -c "for p in 10.77.0.0/16 10.244.0.0/16 10.96.0.0/16; do ip route del \$p; done; ip -6 route del $(ula)::/48; ip link del there"
	in_ns b ip link del br-x
	right 10 "the mesh is whole" whole
}

scene wall_pod "a pod speaks for others: its neighbour, another board, the LAN's router; and past masquerade"
wall_pod() {
	local n
	wall_ready || { failed "pods"; return; }
	n=$(drops b lies)
	# what portmap does to the link of a pod with a host port
	in_ns b sh -c "echo 1 >/proc/sys/net/ipv4/conf/$(link_of b near)/route_localnet"
	in_ns near ip route add 127.0.0.9 via 169.254.1.1
	attacks near <<-X
		as its neighbour, to the board|udp ${ip4[b]} $SERVE ${pod4[near2]}
		as its neighbour, IPv6|udp ${ip6[b]} $SERVE ${pod6[near2]}
		as its neighbour, to another board|udp ${ip4[a]} $SERVE ${pod4[near2]}
		as its neighbour, to another board's pod, IPv6|udp ${pod6[far]} $SERVE ${pod6[near2]}
		as an address of its board that no pod has|udp ${ip4[a]} $SERVE 10.244.2.200
		as a pod of another board|udp ${ip4[b]} $SERVE ${pod4[far]}
		as its board|udp ${ip4[a]} $SERVE ${ip4[b]}
		as its board, in the LAN|udp 192.0.2.1 $SERVE ${wan[b]}
		as the LAN's router, to the board|udp ${wan[b]} $SERVE 192.0.2.1
		as the LAN's router, to its neighbour|udp ${pod4[near2]} $SERVE 192.0.2.1
		as the LAN's router, IPv6|udp ${pod6[near2]} $SERVE 2001:db8:7::1
		as anybody, to the LAN|udp 192.0.2.1 $SERVE 8.8.8.8
		as anybody, IPv6|udp 2001:db8:7::1 $SERVE 2001:db8:ffff::8
		as its gateway|udp ${ip4[b]} $SERVE 169.254.1.1
		as its neighbour, in fragments|frag ${ip4[a]} $SERVE ${pod4[near2]}
		as its neighbour, by TCP|tcp ${ip4[b]} $SERVE ${pod4[near2]}
		the board's 127.0.0.9|udp 127.0.0.9 $SERVE ${pod4[near]}
		as itself|tcp 192.0.2.1 $SERVE
	X
	counted_in b lies "$n" 16
	kill -HUP "${pid[b]}"	# or within a minute
	told b "sent as somebody else, by hth[0-9a-f]* \(hearth/hearth/near/eth0\)"
	wall_remembers "$n"
	wall_past_masquerade
}

# Links come and go; who lied within the hour did all the same.
rules_know() { in_ns b nft list set inet hearth "$1" | grep "\"$2" >/dev/null; } # SET LINK
knew_no_more() { ! rules_know "$@"; }
wall_remembers() { # DROPS-BEFORE
	check "who it was is remembered" rules_know liars hth
	in_ns b sh -c 'ip link add docker0 type bridge; ip link set docker0 up'
	check "docker0 comes, and the rules know it" soon 5 rules_know inside docker0
	in_ns b ip link del docker0
	check "it goes, and they know that" soon 5 knew_no_more inside docker0
	check "and remember still" rules_know liars hth
	check "and have counted" dropped_some b lies "$1" 16
}

# What connection tracking makes nothing of: flags that do not belong together, a wrong sum, an ICMP error about
# nothing. And addresses of ours that nobody has.
wall_past_masquerade() {
	local n
	in_ns sw nft -f - <<-X
		table inet seen {
			chain c { type filter hook prerouting priority -400; policy accept;
				ip saddr { 10.77.0.0/16, 10.244.0.0/16 } counter
				ip6 saddr $(ula)::/48 counter
				ip daddr 10.244.0.0/16 counter
				ip6 daddr $(ula)::/48 counter; }
		}
	X
	n=$(drops b astray)
	in_ns near python3 "$PROBE" odd "${pod4[near]}" 192.0.2.1 192.0.2.99
	in_ns near python3 "$PROBE" odd "${pod6[near]}" 2001:db8:7::1 2001:db8:7::99
	in_ns near python3 -c '
import socket, sys
for a in sys.argv[1:]:
	socket.socket(socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (a, 7777))' 10.244.2.201 10.244.199.1 "$(ula):1099::1"
	ip netns exec "${N}c" python3 -c '
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("10.244.2.202", 7777))'
	attacks near <<-X
		a packet as a pod that no rule counted (none was sent)|udp 192.0.2.1 $SERVE ${pod4[far]}
		and one of its own|udp 192.0.2.1 $SERVE
	X
	tried=$((tried + 1))
	if soon 5 dropped_some b astray "$n" 14 && [ "$(counters sw seen c)" -eq 0 ]; then
		held=$((held + 1))
		passed "refused: fourteen packets that connection tracking makes nothing of, or for pods that are not there: none was seen in the LAN"
	else
		failed "packets left with addresses of pods"
		in_ns sw nft list chain inet seen c
		in_ns b nft list chain inet hearth astray
	fi
	in_ns sw nft delete table inet seen
}

scene wall_container "a container of Docker speaks for the mesh, with the rights that Docker gives it"
wall_container() {
	local n
	wall_ready || { failed "pods"; return; }
	netns_add "${N}cont"
	in_ns b sh -c "ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip addr add 2001:db8:d::1/64 dev docker0 nodad
		ip link set docker0 up; ip link add vethd0 type veth peer name eth0 netns ${N}cont; ip link set vethd0 master docker0 up"
	in_ns cont sh -c 'ip link set lo up; ip link set eth0 up; ip addr add 172.17.0.2/16 dev eth0; ip addr add 2001:db8:d::2/64 dev eth0 nodad
		ip route add default via 172.17.0.1; ip -6 route add default via 2001:db8:d::1'
	right 5 "docker0 is known for what it is" sh -c "ip netns exec ${N}b nft list set inet hearth inside | grep -q docker0"
	n=$(drops b strangers)
	attacks cont <<-X
		as the board, to another board|udp ${ip4[a]} $SERVE ${ip4[b]}
		as the board, to another board, IPv6|udp ${ip6[a]} $SERVE ${ip6[b]}
		as a pod, to another board|udp ${ip4[a]} $SERVE ${pod4[near]}
		as a pod, to another board's pod, IPv6|udp ${pod6[far]} $SERVE ${pod6[near]}
		as another board, to this one|udp ${ip4[b]} $SERVE ${ip4[a]}
		as another board, to this one's LAN address|udp ${wan[b]} $SERVE ${ip4[a]}
		as a pod, to its neighbour|udp ${pod4[near2]} $SERVE ${pod4[near]}
		as another board, to a pod|udp ${pod6[near2]} $SERVE ${ip6[a]}
		as itself, to a pod|tcp ${pod4[near2]} $SERVE
	X
	counted_in b strangers "$n" 8
	in_ns b ip link del docker0
	ip netns del "${N}cont"
	right 10 "the mesh is whole" whole
}
