# shellcheck shell=bash disable=SC2034,SC2154
# What the relay's twelve bytes make of packets that just fit without them.

seen() { # COUNTER packets|bytes: what has crossed the switch
	in_ns sw nft list table bridge pieces | awk -v which="\"$1\"" -v what="$2" 'index($0, which) { for (i = 1; i < NF; i++) if ($i == what) print $(i + 1) }'
}
only_wholes() { # trains of datagrams are one packet here, so bytes count
	local whole parts4 parts6
	whole=$(seen wholes bytes) parts4=$(seen parts4 packets) parts6=$(seen parts6 packets)
	[ "$whole" -gt 200000 ] && [ "$parts4" = 0 ] && [ "$parts6" = 0 ] || { echo "$whole bytes to the relay, fragments: $parts4 of IPv4, $parts6 of IPv6"; return 1; }
}
watch_pieces() { # from now on
	in_ns sw nft -f - <<-'N'
		table bridge pieces
		delete table bridge pieces
		table bridge pieces {
			chain c {
				type filter hook forward priority 0;
				ether type ip6 ip6 nexthdr 44 counter comment "parts6"
				ether type ip ip frag-off & 0x3fff != 0 counter comment "parts4"
				ether type ip6 udp dport 3478 counter comment "wholes"
			}
		}
	N
}
flood() { # FROM ADDRESS SIZE: a hundred datagrams of that size on the inner link, as a program that asks for no path MTU sends them
	in_ns "$1" python3 - "$2" "$3" <<-'P'
		import socket, sys
		to, size = sys.argv[1], int(sys.argv[2])
		six = ":" in to
		s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
		for _ in range(100):
		    try: s.sendto(bytes(size - (48 if six else 28)), (to, 9))
		    except OSError as e: print(e.strerror)
	P
}

scene sizes "packets of all sizes, by a relay that is reached by IPv6"
sizes() {
	local size from net6
	did "the relay is at an IPv6 address" sed -i 's/"hosts": *[^,]*,/"hosts": ["2001:db8:7::11"],/' "$T/a/etc/relay.json"
	kill -HUP "${pid[a]}"
	by_ipv6() { says "$1" "[r['endpoint'][0] for r in s['relays'] if r['name']=='a' and r['state']=='bound']==['[']"; }
	right 20 "b and c are bound there" eval "by_ipv6 b && by_ipv6 c"
	right 10 "b reaches c" ping_to b "${ip4[c]}"
	until_ok 10 both relayed
	right 10 "its twelve bytes are taken from what the way carries" says b "[p['mtu'] for p in s['peers'] if p['name']=='c']==[1408]"
	net6=$(field b "s['node']['pods6'].split('/')[0]")
	pod_up b 10.244.2.5 "${net6}5"
	right 10 "and so does a pod behind b" ping_to bpod "${ip6[c]}"
	for size in 1280 1420; do
		for from in b bpod; do
			watch_pieces
			flood $from "${ip6[c]}" $size
			flood $from "${ip4[c]}" $size
			right 3 "$size bytes from $from: they come in no pieces" only_wholes
		done
	done
	in_ns sw nft delete table bridge pieces
	ip netns del "${N}bpod"
	ip -n "${N}b" link del hth0 2>/dev/null
	extra=()
}
