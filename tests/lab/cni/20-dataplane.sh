# shellcheck shell=bash disable=SC2034,SC2154
# Two pods, the host, a remote pod: what goes through, over both families.

scene dataplane "two pods, host, remote pod; both families; MTU"
dataplane() {
	local A B t0 t1 p v
	for p in 1 2 3 4 5; do	# the fastest of five: other tests run beside this one
		[ $p = 1 ] || cni DEL ca a
		cni ADD ca a; works "ADD a"; A=$OUT
		t0=$(date +%s%N)
		on $id-a ping -6 -q -c 1 -W 1 fd77::1 >/dev/null || die "the IPv6 address does not work at once"
		t1=$(date +%s%N)
		on $id-a ping -6 -q -c 1 -W 1 fd77::1 >/dev/null || die "the IPv6 address does not go on working"
		v=$((($(date +%s%N) - t1) / 1000000))	# that long it takes anyway on this machine
		[ $(((t1 - t0) / 1000000 - v)) -ge 50 ] || break
	done
	[ $(((t1 - t0) / 1000000 - v)) -lt 500 ] || die "first IPv6 ping took $(((t1 - t0) / 1000000)) ms, the next $v ms"
	echo "   first IPv6 ping after ADD: $(((t1 - t0) / 1000000)) ms with start of ping, the next $v ms"
	! on $id-a ip -6 addr | holds tentative || die "an address is tentative"
	cni ADD cb b; works "ADD b"; B=$OUT
	[[ $(ip4 "$A") = 10.244.1.* && $(ip4 "$B") = 10.244.1.* && $(ip4 "$A") != $(ip4 "$B") ]] || die "addresses $(ip4 "$A") $(ip4 "$B")"
	for p in "$(ip4 "$B")" "$(ip6 "$B")" 10.77.0.1 fd77::1 10.77.0.2 fd77::2 10.244.2.5 fd77:0:0:1002::5 fe80::1%eth0; do reaches a "$p"; done
	reaches b "$(ip4 "$A")"; reaches b "$(ip6 "$A")"
	for p in "$(ip4 "$A")" "$(ip6 "$A")" "$(ip4 "$B")" "$(ip6 "$B")"; do reaches h "$p"; reaches m "$p"; done
	reaches h 10.244.2.5; reaches h fd77:0:0:1002::5	# with the mesh address as source, or it is dropped
	[ "$(on $host ip -j route get "$(ip4 "$A")" | jq -r '.[0].prefsrc')" = 10.77.0.1 ] || die "source of host to pod"
	[ "$(on $host ip -j -6 route get "$(ip6 "$A")" | jq -r '.[0].prefsrc')" = fd77::1 ] || die "IPv6 source of host to pod"
	! on $id-a ip neigh | grep -v PERMANENT | holds 169.254 || die "the gateway is not permanent"
	on $id-a ip route add 203.0.113.0/24 via 169.254.1.1 || die "no route by the gateway can be added (VPNs do)"
	on $id-a ip route del 203.0.113.0/24
	[ "$(on $id-a ip -j link show eth0 | jq '.[0].mtu')" = 1420 ] || die "MTU of the pod"
	# The link says whose it is.
	on $host ip -j link show | jq -e '.[] | select(.ifalias == "hearth/hearth/ca/eth0")' >/dev/null || die "alias"

	# The largest packet goes, one byte more is refused at once.
	on $id-a ping -q -M 'do' -s 1392 -c 1 -W 2 10.244.2.5 >/dev/null || die "1420 bytes do not fit"
	on $id-a ping -q -M 'do' -s 1393 -c 1 -W 2 10.244.2.5 >/dev/null 2>&1 && die "1421 bytes fit"
	on $id-a ping -q -M 'do' -s 1372 -c 1 -W 2 fd77:0:0:1002::5 >/dev/null || die "1420 bytes do not fit over IPv6"
	# A smaller route further on: told by ICMP from our mesh address, TCP adapts.
	on $host ip route replace 10.244.2.0/24 via 10.77.0.2 src 10.77.0.1 mtu 1280
	on $host ip route replace fd77:0:0:1002::/64 via fd77::2 src fd77::1 mtu 1280
	on $id-a ping -M 'do' -s 1392 -c 1 -W 2 10.244.2.5 >"$HEARTH_TMP/ping" 2>&1
	grep -q 'From 10.77.0.1.*mtu = 1280' "$HEARTH_TMP/ping" || die "no word of the smaller MTU: $(<"$HEARTH_TMP/ping")"
	on $id-a ping -6 -M 'do' -s 1372 -c 1 -W 2 fd77:0:0:1002::5 >"$HEARTH_TMP/ping" 2>&1
	grep -q 'mtu.*1280' "$HEARTH_TMP/ping" || die "no word of the smaller MTU over IPv6: $(<"$HEARTH_TMP/ping")"
	for v in 10.244.2.5 fd77:0:0:1002::5; do
		: >"$HEARTH_TMP/server"
		on $mesh timeout 120 python3 -c "
import socket
s = socket.create_server(('$v', 7001), family=socket.AF_INET6 if ':' in '$v' else socket.AF_INET)
print('ready', flush=True)
c, _ = s.accept(); n = 0
while d := c.recv(65536): n += len(d)
c.close(); print(n, flush=True)" >"$HEARTH_TMP/server" &
		p=$!
		until grep -q ready "$HEARTH_TMP/server"; do kill -0 $p || die "no server"; done
		on $id-a timeout 20 python3 -c "
import socket
s = socket.create_connection(('$v', 7001)); s.sendall(b'x' * 1000000)" || die "TCP to $v"
		wait $p
		grep -q 1000000 "$HEARTH_TMP/server" || die "TCP to $v: $(<"$HEARTH_TMP/server")"
		ok
	done
	on $host ip route replace 10.244.2.0/24 via 10.77.0.2 src 10.77.0.1
	on $host ip route replace fd77:0:0:1002::/64 via fd77::2 src fd77::1
	cni DEL ca a; silent DEL; cni DEL cb b; silent DEL
	clean dataplane
}

announce() { # INTERFACE: a router's advertisement, from the host
	on $host python3 -c "
import socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)
i = socket.if_nametoindex('$1')
s.setsockopt(41, socket.IPV6_MULTICAST_HOPS, 255); s.setsockopt(41, socket.IPV6_MULTICAST_IF, i)
p = struct.pack('!BBBBIII', 3, 4, 64, 0xc0, 3600, 3600, 0) + socket.inet_pton(10, 'fd99::')
for lifetime in 1800, 0:	# 0: no router, so that an existing default route does not end it
	s.sendto(struct.pack('!BBHBBHII', 134, 0, 0, 64, 0, lifetime, 0, 0) + p, ('ff02::1', 0, 0, i))"
}

scene advertisements "router advertisements in the pod are not believed"
advertisements() {
	local A p
	cni ADD ca a; works "ADD a"; A=$OUT
	announce "$(jq -r '.interfaces[0].name' <<<"$A")"
	reaches a fd77::1	# behind it in the same queue
	! on $id-a ip -6 addr | holds fd99: || die "an advertised prefix was believed"
	! on $id-a ip -6 route | holds 'proto ra' || die "an advertised route was believed"
	on $id-a sysctl -qw net.ipv6.conf.eth0.accept_ra=2	# the test itself can see one
	for p in $(seq 100); do
		announce "$(jq -r '.interfaces[0].name' <<<"$A")"
		on $id-a ip -6 addr | holds fd99: && break
		sleep 0.05
	done
	on $id-a ip -6 addr | holds fd99: || die "the advertisement of this test is not one"
	ok
	cni DEL ca a; silent DEL
	clean advertisements
}

scene twice "the same container twice, a second interface, a name that is taken"
twice() {
	cni ADD ca a; works "ADD a"
	cni ADD cb b; works "ADD b"
	cni ADD ca a; refused 102 "ADD twice"
	reaches a 10.244.2.5	# and nothing of the first was undone
	IF=eth1 cni ADD ca a; works "second interface"
	[ "$(on $id-a ip -j route show default | jq length)" = 2 ] || die "default routes"
	IF=eth1 cni DEL ca a; silent "DEL of the second interface"
	reaches a 10.244.2.5
	cni ADD cx a; refused 102 "eth0 is taken"; says eth0
	on $host ip link show | grep -c hth | holds -x 2 || die "links after a failed ADD"
	cni DEL ca a; silent DEL
	cni DEL ca a; silent "DEL twice"
	on $id-a ip link show eth0 >/dev/null 2>&1 && die "eth0 is still there"
	ip netns del $id-b
	cni DEL cb b; silent "DEL after the namespace went away"
	IN=$(conf) call DEL CNI_CONTAINERID=cb CNI_IFNAME=eth0 CNI_NETNS=; silent "DEL without namespace"
	cni DEL never a; silent "DEL never added"
	clean "after DEL"
	pod b
}

# No IPv6 range, no IPv4 range, other forms of the result.
scene families "one family alone; results of every version"
families() {
	local base_was=$base v R
	base='"name":"hearth","device":"hearth0","nodeAddresses":["10.77.0.1","fd77::1"],"subnets":["10.244.1.0/24"]'
	cni ADD ca a; works "IPv4 alone"; [ "$(jq '.ips | length' <<<"$OUT")" = 1 ] || die "addresses"
	reaches a 10.244.2.5
	cni CHECK ca a ",\"prevResult\":$OUT"; silent "CHECK, IPv4 alone"
	cni DEL ca a; silent DEL
	base='"name":"hearth","device":"hearth0","nodeAddresses":["10.77.0.1","fd77::1"],"subnets":["fd77:0:0:1001::/64"]'
	cni ADD ca a; works "IPv6 alone"; [ "$(jq '.ips | length' <<<"$OUT")" = 1 ] || die "addresses"
	reaches a fd77:0:0:1002::5
	cni CHECK ca a ",\"prevResult\":$OUT"; silent "CHECK, IPv6 alone"
	cni DEL ca a; silent DEL
	base=$base_was
	for v in 0.4.0 1.0.0 1.1.0; do
		V=$v cni ADD ca a; works "ADD in $v"
		[ "$(jq -r .cniVersion <<<"$OUT")" = $v ] || die "version of the result"
		[ "$(jq '[.interfaces[] | has("mtu")] | all' <<<"$OUT")" = "$([ $v = 1.1.0 ] && echo true || echo false)" ] || die "mtu in $v"
		[ "$(jq '[.ips[] | has("version")] | all' <<<"$OUT")" = "$([ $v = 0.4.0 ] && echo true || echo false)" ] || die "version of ips in $v"
		R=$OUT
		V=$v cni CHECK ca a ",\"prevResult\":$R"; silent "CHECK in $v"
		V=$v cni DEL ca a ",\"prevResult\":$R"; silent "DEL in $v"
	done
	base=${base_was/10.77.0.1/10.77.0.9}	# hearthd has not given the board its address yet
	cni ADD ca a; works "ADD without the mesh address on the board"
	grep -q 10.77.0.9 <<<"$ERR" || die "no word of the missing address"
	reaches h "$(ip4 "$OUT")"
	cni DEL ca a; silent DEL
	base=$base_was
	# IPv6 switched off for new interfaces, as some runtimes do it.
	on $id-a sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	cni ADD ca a; works "ADD with IPv6 off by default"; reaches a fd77::1
	cni DEL ca a; silent DEL
	on $id-a sysctl -qw net.ipv6.conf.default.disable_ipv6=0
	# A kernel without IPv6: pods get what there is.
	local plugin_was=$plugin
	plugin=$HEARTH_TMP/without-ipv6
	printf '#!/bin/sh\nmount -t tmpfs none /proc/sys/net/ipv6 && exec %s\n' "$plugin_was" >"$plugin"
	chmod 755 "$plugin"
	cni ADD ca a; works "ADD on a kernel without IPv6"; [ "$(jq '.ips | length' <<<"$OUT")" = 1 ] || die "addresses"
	reaches a 10.244.2.5
	cni CHECK ca a ",\"prevResult\":$OUT"; silent "CHECK on a kernel without IPv6"
	cni DEL ca a; silent DEL
	plugin=$plugin_was
	clean families
}
