# shellcheck shell=bash disable=SC2034,SC2154
# Pods behind the boards a and b: masquerade, MSS, and sources that lie.

pods_up() { # 10.244.1.5 and ${net6}5 on a, 10.244.2.5 and ${net6b}5 on b
	net6=$(field a "s['node']['pods6'].split('/')[0]")
	net6b=$(field b "s['node']['pods6'].split('/')[0]")
	pod_up a 10.244.1.5 "${net6}5"
	pod_up b 10.244.2.5 "${net6b}5"
	check "pod to pod over IPv4" until_ok 5 ping_to apod 10.244.2.5
	check "pod to pod over IPv6" until_ok 5 ping_to apod "${net6b}5"
}
# Forwarding stays on: that it was switched off would be a problem.
pods_down() {
	local b
	for b in a b; do ip netns del "$N${b}pod"; ip -n "$N$b" link del hth0 2>/dev/null; done
	extra=()
}

# The MSS of pods' connections is what the way through the tunnel carries, whatever their own MTU says.
mss() { # FROM TO ADDRESS MOST: of both ends, and not of a connection that was clamped to nothing
	local said
	: >"$T/mss"
	in_ns "$2" timeout 20 python3 -u -c '
import socket, sys
s = socket.create_server((sys.argv[1], 7001), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print("ready")
c, _ = s.accept()
print(c.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))
c.recv(1)' "$3" >"$T/mss" &
	until_ok 60 grep -q ready "$T/mss" || return 1
	said=$(in_ns "$1" timeout 20 python3 -c '
import socket, sys
c = socket.create_connection((sys.argv[1], 7001))
print(c.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))' "$3")
	wait $!
	echo "client $said, server $(tail -1 "$T/mss")"
	for said in "$said" "$(tail -1 "$T/mss")"; do [ "$said" -gt 1000 ] && [ "$said" -le "$4" ] || return 1; done
}

scene pods_behind "pods reach pods, boards and the outside"
pods_behind() {
	pods_up
	check "pod to a board" ping_to apod "${ip4[c]}"
	check "a pod's packet to the outside is masqueraded" ping_to apod 192.0.2.1
	in_ns sw sh -c 'nft add table ip t; nft add chain ip t c "{ type filter hook input priority 0; }"; nft add rule ip t c ip saddr 10.244.0.0/16 counter'
	ping_to apod 192.0.2.1
	check "and nothing else was seen there" sh -c "ip netns exec ${N}sw nft list table ip t | grep -q 'packets 0'"
	in_ns sw nft delete table ip t
	check "the MSS between pods fits 1420, IPv4" mss apod bpod 10.244.2.5 1380
	check "and IPv6" mss apod bpod "${net6b}5" 1360
	pods_down
}

heard() { # WORDS: these and no others arrived, in any order: some come through the tunnel
	# shellcheck disable=SC2086  # words
	until_ok 5 heard_all "$(printf '%s\n' end $1 | sort)" || { cat "$T/heard"; in_ns b nft list chain inet hearth guard; return 1; }
}
heard_all() { [ "$(sort "$T/heard")" = "$1" ]; }
say() { # NAMESPACE DESTINATION WORD SOURCE...
	in_ns "$1" python3 - "${@:2}" <<-'P'
		import socket, sys
		to, word, *sources = sys.argv[1:]
		six = ":" in to
		for source in sources:
		    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
		    s.setsockopt(41 if six else 0, 75 if six else 19, 1)  # TRANSPARENT: any source
		    s.bind((source, 0))
		    s.sendto(word.encode(), (to, 9999))
	P
}

scene false_sources "sources that lie: what arrives at port 9999 of b is written down; an honest word comes last"
false_sources() {
	pods_up
	ip netns exec "${N}b" python3 -u -c '
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 9999))
print("ready")
while True: print(s.recv(100).decode())' >>"$T/heard" &
	echo $! >"$T/listener.pid"
	until_ok 60 grep -q ready "$T/heard"
	in_ns sw sh -c "ip route add ${ip4[b]} via 192.0.2.12; ip -6 route add ${ip6[b]} via 2001:db8:7::12"
	: >"$T/heard"
	say sw 192.0.2.12 lie "${ip4[a]}" 10.77.200.1 10.244.1.5 10.244.2.5 10.244.200.1
	say sw 2001:db8:7::12 lie "${ip6[a]}" "${net6}5" "${net6b}5"
	say sw "${ip4[b]}" lie 198.51.100.1
	say sw "${ip6[b]}" lie 2001:db8:99::1
	say sw 192.0.2.12 honest4 198.51.100.1
	say sw 2001:db8:7::12 honest6 2001:db8:99::1
	say sw 192.0.2.12 end 192.0.2.1
	check "the uplink: no source of the mesh or the pods, nothing for the mesh address" heard "honest4 honest6 "
	: >"$T/heard"
	say bpod "${ip4[b]}" lie "${ip4[a]}" "${ip4[b]}" 10.77.200.1 10.244.1.5 10.244.200.1
	say bpod "${ip6[b]}" lie "${ip6[a]}" "${ip6[b]}" "${net6}5"
	say bpod "${ip4[b]}" honest4 10.244.2.5
	say bpod "${ip6[b]}" honest6 "${net6b}5"
	say apod "${ip4[b]}" far4 10.244.1.5
	say apod "${ip6[b]}" far6 "${net6}5"
	say a "${ip4[b]}" peer "${ip4[a]}"
	say b "${ip4[b]}" self "${ip4[b]}"
	say bpod "${ip4[b]}" end 10.244.2.5
	check "a pod: no source but of this board's pods; pods, peers and the board itself are heard" heard "honest4 honest6 far4 far6 peer self "
	in_ns sw sh -c "ip route del ${ip4[b]} via 192.0.2.12; ip -6 route del ${ip6[b]} via 2001:db8:7::12"
	kill_by "$T/listener.pid"
	rm "$T/heard"
	pods_down
}
