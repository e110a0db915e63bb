# shellcheck shell=bash disable=SC2034,SC2154
# What others change in a pod or about it, and what CHECK says of that.

scene checking "CHECK names what differs"
checking() {
	local A link
	cni ADD ca a; works ADD; A=$OUT
	link=$(jq -r '.interfaces[0].name' <<<"$A")
	differs() {	# WORD JQ-CHANGE
		cni CHECK ca a ",\"prevResult\":$(jq -c "$2" <<<"$A")"; refused 103 "CHECK with $2"; says "$1"
	}
	cni CHECK ca a ",\"prevResult\":$A"; silent CHECK
	differs 10.244.1 '.ips[0].address = "10.244.1.99/32"'
	differs 10.9.9.9 '.ips += [{"address":"10.9.9.9/32","interface":1}]'
	differs fd77 'del(.ips[1])'
	differs gateway '.ips[0].gateway = "169.254.1.2"'
	differs MAC '.interfaces[1].mac = "02:00:00:00:00:01"'
	differs MAC '.interfaces[0].mac = "02:00:00:00:00:01"'
	differs eth0 'del(.interfaces[1])'
	differs hth 'del(.interfaces[0])'
	differs sandbox '.interfaces[1].sandbox = "/run/netns/other"'
	differs 192.0.2.0/24 '.routes += [{"dst":"192.0.2.0/24"}]'
	differs 0.0.0.0/0 '.routes[0].gw = "10.0.0.1"'
	cni CHECK ca a ',"prevResult":{"interfaces":7}'; refused 6 "CHECK with a malformed prevResult"
	cni CHECK ca b ",\"prevResult\":$A"; refused 103 "CHECK in another namespace"
	# Others may add to it.
	cni CHECK ca a ",\"prevResult\":$(jq -c '.interfaces += [{"name":"x"}] | .ips += [{"address":"192.0.2.9/24","interface":2}]' <<<"$A")"; silent "CHECK with another plugin's part"
	on $id-a ip addr add 192.0.2.7/32 dev eth0
	cni CHECK ca a ",\"prevResult\":$A"; silent "CHECK with one more address"
	# And change what the result does not speak of, or take away what they take out of it.
	on $id-a ip link set eth0 mtu 1300 promisc on allmulticast on txqueuelen 77 alias mine
	cni CHECK ca a ",\"prevResult\":$A"; silent "CHECK with another MTU and flags"
	on $id-a ip route del default; on $id-a ip route add default via 169.254.1.1 dev eth0 onlink table 100
	cni CHECK ca a ",\"prevResult\":$A"; silent "CHECK with the route in another table"
	on $id-a ip route flush table 100
	cni CHECK ca a ",\"prevResult\":$(jq -c 'del(.routes[0])' <<<"$A")"; silent "CHECK without the route that somebody took out"
	on $id-a ip route add default via 169.254.1.1 dev eth0 onlink
	on $id-a ip link set eth0 mtu 1420

	now_differs() { cni CHECK ca a ",\"prevResult\":$A"; refused 103 "CHECK after a change"; says "$1"; }
	on $id-a ip route del default; now_differs 0.0.0.0/0
	on $id-a ip route add default via 169.254.1.1 dev eth0 onlink; cni CHECK ca a ",\"prevResult\":$A"; silent "CHECK, route restored"
	on $id-a ip neigh replace 169.254.1.1 dev eth0 lladdr 02:00:00:00:00:01 nud permanent; now_differs 169.254.1.1
	on $id-a ip neigh del 169.254.1.1 dev eth0
	cni CHECK ca a ",\"prevResult\":$A"; silent "CHECK, the pod asks for the gateway"
	reaches a 10.244.2.5
	on $id-a ip addr del "$(ip6 "$A")/128" dev eth0; now_differs "$(ip6 "$A")"
	on $id-a ip addr add "$(ip6 "$A")/128" dev eth0 nodad
	on $host ip route del "$(ip4 "$A")"; now_differs "$(ip4 "$A")"
	on $host ip route add "$(ip4 "$A")" dev "$link" proto 78
	on $host ip link set "$link" alias other; now_differs other
	cni DEL ca a; silent "DEL of a link that became another's"
	on $host ip link show "$link" >/dev/null || die "DEL removed what was not its own"
	on $host ip link del "$link"
	cni CHECK ca a ",\"prevResult\":$A"; refused 103 "CHECK after all went away"
	clean CHECK
}

everywhere() { # the pods of A and B reach all, and all reach A
	local p
	for p in 10.244.2.5 fd77:0:0:1002::5 10.77.0.1 fd77::1 "$(ip4 "$B")" "$(ip6 "$B")"; do reaches a "$p"; done
	for p in b h m; do reaches $p "$(ip4 "$A")"; reaches $p "$(ip6 "$A")"; done
}

# The pod gets another MAC address, from itself or from a plugin chained behind ours.
scene mac "another MAC address in the pod"
mac() {
	local A B link p
	cni ADD ca a; works "ADD a"; A=$OUT
	cni ADD cb b; works "ADD b"; B=$OUT
	link=$(jq -r '.interfaces[0].name' <<<"$A")
	everywhere
	on $host ip neigh show dev "$link" | grep -F "$(ip4 "$A") " | holds extern_learn || die "the pod's neighbour entry may be crowded out"
	on $id-a ip link set eth0 address 02:11:22:33:44:55
	[ -z "$(on $id-a ip neigh show 169.254.1.1)" ] || die "the change did not flush the gateway: the test shows nothing"
	everywhere
	cni CHECK ca a ",\"prevResult\":$A"; refused 103 "CHECK with the old MAC address"; says MAC
	cni CHECK ca a ",\"prevResult\":$(jq -c '.interfaces[1].mac = "02:11:22:33:44:55"' <<<"$A")"; silent "CHECK with the new one"
	# Now the pod keeps silent: who speaks to it finds out, as fast as the kernel doubts an address (8 s; 45 s at most).
	on $id-a ip link set eth0 address 02:11:22:33:44:66
	for p in "$(ip4 "$A")" "$(ip6 "$A")"; do
		on $host ping -q -c 1 -i 0.5 -w 60 "$p" >/dev/null || die "the host never reaches $p again"
		ok
	done
	everywhere
	# Down and up again: the kernel forgets neighbours and routes; who sets the latter again is back.
	on $id-a ip link set eth0 down
	on $id-a ip link set eth0 up
	on $id-a ip route add default via 169.254.1.1 dev eth0 onlink
	on $id-a ip -6 addr replace "$(ip6 "$A")/128" dev eth0 nodad
	on $id-a ip -6 route replace default via fe80::1 dev eth0
	everywhere
	cni DEL ca a; silent DEL; cni DEL cb b; silent DEL
	clean mac
}

scene spoof "a pod says that it is another"
spoof() {
	local A B p
	cni ADD ca a; works "ADD a"; A=$OUT
	cni ADD cb b; works "ADD b"; B=$OUT
	everywhere
	cat >"$HEARTH_TMP/spoof.py" <<'P'
import socket, struct, sys
mac, four, six, gate = bytes.fromhex(sys.argv[1].replace(':', '')), *sys.argv[2:5]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))
for ip in four, gate:	# ARP, as an answer and as a question
	a = socket.inet_aton(ip)
	for op in 2, 1:
		s.send(b'\xff' * 6 + mac + struct.pack('!HHHBBH', 0x806, 1, 0x800, 6, 4, op) + mac + a + b'\0' * 6 + socket.inet_aton('169.254.1.1'))
src = socket.inet_pton(10, six)
body = struct.pack('!BBHI', 136, 0, 0, 0x20000000) + src + b'\x02\x01' + mac	# override
dst = socket.inet_pton(10, 'ff02::1')
pseudo = src + dst + struct.pack('!II', len(body), 58) + body
c = sum(struct.unpack('!%dH' % (len(pseudo) // 2), pseudo))
c = (c & 0xffff) + (c >> 16); c = ~((c & 0xffff) + (c >> 16)) & 0xffff
body = body[:2] + struct.pack('!H', c) + body[4:]
s.send(b'\x33\x33\0\0\0\x01' + mac + struct.pack('!HIHBB', 0x86dd, 6 << 28, len(body), 58, 255) + src + dst + body)
P
	on $id-a python3 "$HEARTH_TMP/spoof.py" "$(jq -r '.interfaces[1].mac' <<<"$A")" "$(ip4 "$B")" "$(ip6 "$B")" 10.77.0.2 || die "no spoofing"
	reaches a 10.77.0.1	# behind it in the same queue
	for p in h m; do reaches $p "$(ip4 "$B")"; reaches $p "$(ip6 "$B")"; done
	reaches h 10.77.0.2; reaches b 10.244.2.5; reaches b fd77:0:0:1002::5
	cni DEL ca a; silent DEL; cni DEL cb b; silent DEL
	clean spoof
}

# behind PLUGIN CONFIGURATION: the next of the chain, behind what is in R; leaves its result there.
behind() {
	IN=$(jq -c --argjson prev "$R" --argjson more "$2" '{cniVersion, name: "hearth", type: "'"$1"'", prevResult: $prev} + $more' <<<"$(conf)")
	local plugin=$reference/$1
	call "${VERB:-ADD}" CNI_CONTAINERID=ca CNI_NETNS=/run/netns/$id-a CNI_IFNAME=eth0
	[ $RC = 0 ] || die "$1 ${VERB:-ADD} failed"
	[ "${VERB:-ADD}" != ADD ] || R=$OUT
}

# Port 8080 of the board leads to the pod, from everywhere.
port_works() {
	local p server said
	: >"$HEARTH_TMP/server"	# or the word of the one before is believed
	ip netns exec $id-a timeout 60 python3 -u -c "
import socket
s = socket.create_server(('0.0.0.0', 80), backlog=8)
print('ready', flush=True)
while True:
	c, who = s.accept(); c.sendall(b'pod a'); c.close()" >"$HEARTH_TMP/server" 2>&1 &
	server=$!
	until grep -q ready "$HEARTH_TMP/server"; do kill -0 $server || die "no server: $(<"$HEARTH_TMP/server")"; done
	for p in "m 10.77.0.1" "$id-b 10.77.0.1" "$id-a 10.77.0.1" "h 10.77.0.1" "h 127.0.0.1"; do
		set -- $p
		case $1 in h) set -- $host "$2" ;; m) set -- $mesh "$2" ;; esac
		said=$(on "$1" timeout 5 python3 -c "
import socket
s = socket.create_connection(('$2', 8080), 4); print(s.recv(99).decode())" 2>&1)
		[ "$said" = "pod a" ] || { kill $server; die "port 8080 of $2 from $1: $said"; }
		ok
	done
	kill $server; wait $server 2>/dev/null
}

scene chained "the reference plugins chained behind ours"
chained() {
	local reference dir V B R tuning bandwidth ports
	for dir in "${HEARTH_CACHE:-$HOME/.cache/hearth}"/kube/*/cni; do [ ! -x "$dir/tuning" ] || reference=$dir; done
	echo "   ${reference:-none are here, left out}"
	[ -n "${reference:-}" ] || return 0
	tuning='{"mac":"02:aa:bb:cc:dd:ee","mtu":1300,"promisc":true,"allmulti":true,"txQLen":500,
		"sysctl":{"net.core.somaxconn":"500","net.ipv4.conf.IFNAME.log_martians":"1"},"dataDir":"'$HEARTH_TMP/tuning'"}'
	bandwidth='{"ingressRate":1000000000,"ingressBurst":1000000000,"egressRate":1000000000,"egressBurst":1000000000}'
	ports='{"backend":"nftables","runtimeConfig":{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}}'
	for V in 0.4.0 1.0.0 1.1.0; do
		cni ADD cb b; works "ADD b"; B=$OUT
		cni ADD ca a; works "ADD a in $V"; R=$OUT
		behind tuning "$tuning"
		on $id-a ip -j link show eth0 | jq -e '.[0] | .address == "02:aa:bb:cc:dd:ee" and .mtu == 1300' >/dev/null || die "tuning did nothing"
		behind bandwidth "$bandwidth"
		behind portmap "$ports"
		for p in 10.244.2.5 fd77:0:0:1002::5 "$(ip4 "$B")" "$(ip6 "$B")"; do reaches a "$p"; done
		for p in b h m; do reaches $p "$(ip4 "$R")"; reaches $p "$(ip6 "$R")"; done
		cni CHECK ca a ",\"prevResult\":$R"; silent "CHECK behind tuning, bandwidth and portmap in $V"
		VERB=CHECK behind tuning "$tuning"
		VERB=CHECK behind bandwidth "$bandwidth"
		VERB=CHECK behind portmap "$ports"
		port_works
		# Routing by source moves our routes into a table of its own.
		behind sbr '{}'
		cni CHECK ca a ",\"prevResult\":$R"; silent "CHECK behind sbr in $V"
		VERB=DEL behind sbr '{}'
		VERB=DEL behind portmap "$ports"
		VERB=DEL behind bandwidth "$bandwidth"
		VERB=DEL behind tuning "$tuning"
		cni DEL ca a ",\"prevResult\":$R"; silent "DEL in $V"; cni DEL cb b
		clean "chained in $V"
	done
}
