# shellcheck shell=bash disable=SC2154
# What is an uplink: endpoints, the coordinator's addresses and the guard, as links and addresses change.

link_says() { says "$1" "any(l['name']=='$2' and ($3) for l in s['links'])"; } # BOARD LINK EXPRESSION of l
endpoints_are() { says "$1" "sorted(e.rsplit(':',1)[0] for e in s['endpoints'])==[$2]"; }

scene lan_on_a_bridge "the LAN is on a bridge, and there is no default route"
lan_on_a_bridge() {
	did "c: eth0 becomes a port of br-lan, which takes its addresses" in_ns c sh -c "ip route flush default; ip -6 route flush default
		ip addr flush dev eth0 scope global; ip link add br-lan type bridge; ip link set br-lan up; ip link set eth0 master br-lan
		ip addr add ${wan[c]}/24 dev br-lan; ip addr add 2001:db8:7::13/64 dev br-lan nodad"
	right 5 "its endpoints are those of the bridge" link_says c br-lan "l['addresses']==['${wan[c]}','2001:db8:7::13'] and not l['default_route']"
	right 5 "eth0 is a port of it" link_says c eth0 "l['verdict']=='port' and l['addresses']==[]"
	stop c
	start c
	right 10 "so a hearthd that starts has it" endpoints_are c "'${wan[c]}','[2001:db8:7::13]'"
	right 10 "the mesh is whole" whole
	right 5 "there is no problem" says c "s['problems']==[]"
	in_ns c sh -c "ip link del br-lan; ip addr add ${wan[c]}/24 dev eth0; ip addr add 2001:db8:7::13/64 dev eth0 nodad
		ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8:7::1"
	right 10 "the mesh is whole without it, too" whole
}

talks_over_ipv6() { says "$1" "len(s['peers'])==2 and all(p['state']=='direct' and p['endpoint'][0]=='[' for p in s['peers'])"; }
scene address_of_tunnels_gone "the tunnels are by IPv6, and the board's only IPv6 address goes"
address_of_tunnels_gone() {
	in_ns b nft 'add table inet lab; add chain inet lab in { type filter hook input priority -300; }; add rule inet lab in iifname eth0 ip protocol udp drop'
	stop b
	start b
	right 20 "b talks to the others over IPv6" talks_over_ipv6 b
	in_ns b nft delete table inet lab
	did "b: ip addr del its IPv6 address" ip -n "${N}b" addr del 2001:db8:7::12/64 dev eth0
	right 8 "packets flow over IPv4" whole
	did "b: it is back" ip -n "${N}b" addr add 2001:db8:7::12/64 dev eth0 nodad
	in_ns b ip -6 route replace default via 2001:db8:7::1
	right 5 "it is an endpoint again" says b "len(s['endpoints'])==2"
	right 10 "the mesh is whole" whole
}

scene default_route_gone "the default route goes away and comes back"
default_route_gone() {
	local before
	before=$(field b "s['endpoints']")
	did "b: ip route del default" in_ns b sh -c 'ip route del default; ip -6 route del default'
	right 5 "it is noticed, and the endpoints stay" says b "[l['default_route'] for l in s['links'] if l['name']=='eth0']==[False] and s['endpoints']==$before"
	right 5 "the mesh is whole" whole
	did "b: it is back" in_ns b sh -c 'ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8:7::1'
	right 5 "it is noticed" link_says b eth0 "l['default_route']"
	logged b 0 warning
}

init_on() { # WORDS COMMANDS: what `init` says in a namespace of its own
	local said
	said=$(unshare --net sh -c "ip link set lo up; $2; $B/hearth-coord init --dry-run --state $T/none" 2>&1)
	grep -F "$1" <<<"$said" || { echo "$said"; return 1; }
}
scene init_finds_its_address "hearth-coord init on br-lan, on lom1, on a bridge with nothing in it yet; not on docker0"
init_finds_its_address() {
	local link
	did "in namespaces with one link"
	right 5 "on br-lan" init_on https://192.168.1.1:8443 "ip link add br-lan type bridge; ip link add lan1 type veth peer name p; ip link set lan1 master br-lan up
		ip link set br-lan up; ip addr add 192.168.1.1/24 dev br-lan"
	for link in lom1 eth0 host0 veth0; do
		right 5 "on $link" init_on https://192.168.1.1:8443 "ip link add $link type veth peer name p; ip link set $link up; ip addr add 192.168.1.1/24 dev $link"
	done
	right 5 "on an empty bridge" init_on https://192.168.1.1:8443 "ip link add vmbr0 type bridge; ip link set vmbr0 up; ip addr add 192.168.1.1/24 dev vmbr0"
	right 5 "on a macvlan over a bridge" init_on https://192.168.1.2:8443 "ip link add br0 type bridge; ip link set br0 up; ip link add m0 link br0 type macvlan; ip link set m0 up; ip addr add 192.168.1.2/24 dev m0"
	right 5 "IPv6 only" init_on 'https://[fd00:1::1]:8443' "ip link add lom1 type veth peer name p; ip link set lom1 up; ip addr add fd00:1::1/64 dev lom1 nodad"
	right 5 "not on docker0" init_on "no address that boards could use" "ip link add docker0 type bridge; ip link set docker0 up; ip addr add 172.17.0.1/16 dev docker0"
	right 5 "not on a VPN" init_on "no address that boards could use" "ip tuntap add tun0 mode tun; ip link set tun0 up; ip addr add 10.8.0.2/24 dev tun0"
}

# --- the guard

# Frames of UDP to port 9999, as nobody's kernel would send them: a line each, "SOURCE DESTINATION WORD".
frames() { # NAMESPACE LINK MAC
	in_ns "$1" python3 -c '
import ipaddress, socket, struct, sys
link, mac = sys.argv[1:]
def checksum(data):
    data += b"\0" * (len(data) % 2)
    n = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((link, 0))
for line in sys.stdin:
    a, b, word = line.split()
    a, b = ipaddress.ip_address(a), ipaddress.ip_address(b)
    udp = struct.pack("!HHHH", 9998, 9999, 8 + len(word), 0) + word.encode()
    pseudo = a.packed + b.packed + struct.pack("!LL", len(udp), 17)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xffff) + udp[8:]
    if a.version == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + a.packed + b.packed
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    else:
        head = struct.pack("!LHBB", 6 << 28, len(udp), 17, 64) + a.packed + b.packed
    kind = struct.pack("!H", 0x0800 if a.version == 4 else 0x86dd)
    s.send(bytes.fromhex(mac.replace(":", "")) + b"\x02\0\0\0\0\x09" + kind + head + udp)' "$2" "$3"
}
mac_of() { ip -n "$N$1" -j link show "$2" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])'; }
dropped() { in_ns b nft list chain inet hearth strangers | awk '/^\t\tcounter/ { print $3 }'; }
dropped_are() { [ "$(dropped)" -eq "$1" ]; }
listen() { # on port 9999 of b
	: >"$T/heard"
	ip netns exec "${N}b" python3 -u -c '
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 9999))
print("ready")
while True: print(s.recv(100).decode())' >>"$T/heard" &
	echo $! >"$T/listener.pid"
	until_ok 60 grep -q ready "$T/heard"
}
heard() { diff <(printf '%s\n' ready "$@") "$T/heard"; }
lies() { # NAMESPACE LINK MAC-OF-B's-END: seven that lie, two that do not
	local source
	{
		for source in "${ip4[a]}" 10.77.200.1 10.244.1.5 10.244.200.1; do echo "$source ${wan[b]} lie"; done
		for source in "${ip6[a]}" "${ip6[a]%::*}:1009::5"; do echo "$source 2001:db8:7::12 lie"; done
		echo "198.51.100.1 ${ip4[b]} lie"
		echo "198.51.100.1 ${wan[b]} honest4"
		echo "2001:db8:99::1 2001:db8:7::12 honest6"
	} | frames "$@"
}

scene strangers_are_guarded "frames with sources of the mesh, by links that are no uplinks with an address"
strangers_are_guarded() {
	local mac n
	listen
	until_ok 5 dropped >/dev/null
	n=$(dropped)
	did "b: a new link, without an address" in_ns b sh -c "ip link add new0 type veth peer name there netns ${N}sw; ip link set new0 up"
	in_ns sw ip link set there up
	mac=$(mac_of b new0)
	lies sw there "$mac"
	right 5 "from its first frame on: seven dropped, and two heard" heard honest4 honest6
	right 5 "and counted" dropped_are $((n + 7))
	right 5 "it is shown as guarded" link_says b new0 "l['guarded'] and l['addresses']==[]"
	did "b: a bridge with an address and no default route" in_ns b sh -c 'ip link add br-x type bridge; ip link set br-x address 02:00:00:00:00:77
		ip addr add 198.18.0.1/24 dev br-x; ip link set br-x up; ip link set new0 master br-x'
	right 5 "is known" link_says b br-x "l['guarded']"
	n=$(dropped)
	lies sw there 02:00:00:00:00:77
	right 5 "seven dropped, and two heard" heard honest4 honest6 honest4 honest6
	right 5 "and counted" dropped_are $((n + 7))
	did "b: a VPN's device" in_ns b sh -c 'ip link del br-x; ip link set new0 down; ip link set new0 name wg-x; ip link set wg-x up'
	lies sw there "$mac"
	right 5 "the same" heard honest4 honest6 honest4 honest6 honest4 honest6
	in_ns b ip link del wg-x
	kill "$(cat "$T/listener.pid")"
	wait "$(cat "$T/listener.pid")" 2>/dev/null
	rm "$T/listener.pid"
	right 5 "the mesh is whole" whole
}

table_handle() { in_ns b nft -a list table inet hearth | sed -n '1s/.*handle //p'; }
scene containers_change_no_rule "containers of others come and go: left alone, and no rule is written for each" long
containers_change_no_rule() {
	local handle i
	handle=$(table_handle)
	did "b: docker0" in_ns b sh -c 'ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up'
	right 5 "it is a container network, and left alone" link_says b docker0 "l['verdict']=='container' and not l['guarded'] and l['addresses']==[]"
	right 5 "in the rules, too" sh -c "ip netns exec ${N}b nft list set inet hearth inside | grep -q docker0"
	right 1 "by that alone: what the rules counted is not lost" [ "$(table_handle)" = "$handle" ]
	did "b: five containers"
	for i in 1 2 3 4 5; do in_ns b sh -c "ip link add veth$i type veth peer name cont$i; ip link set veth$i master docker0 up"; done
	right 5 "they are seen" says b "sum(l['verdict']=='port' and 'docker0' in l['why'] for l in s['links'])==5"
	right 1 "the rules were not touched" [ "$(table_handle)" = "$handle" ]
	did "b: they and the bridge go" in_ns b sh -c 'ip link del docker0; ip link del veth1; ip link del veth2; ip link del veth3; ip link del veth4; ip link del veth5'
	right 5 "it is a stranger again" sh -c "! ip netns exec ${N}b nft list set inet hearth inside | grep -q docker0"
	right 1 "in the same table" [ "$(table_handle)" = "$handle" ]
	right 5 "the mesh is whole" whole
	logged b 0 warning
}

scene verdicts_are_shown "hearth status --verbose says what each link is taken for" long
verdicts_are_shown() {
	local said=$T/verbose
	did "b: hearth status --verbose" env_of b "$B/hearth" status --verbose >"$said"
	sed -n '/^LINK/,$s/^/          /p' "$said"
	right 1 "the uplink" grep -qE '^eth0 +uplink +yes +192\.0\.2\.12 2001:db8:7::12 +.*with a default route$' "$said"
	right 1 "our own" grep -qE '^hearth0 +mesh +no +- +the interface of this mesh$' "$said"
	right 1 "loopback" grep -qE '^lo +local +no +- +loopback$' "$said"
	right 1 "and without it, none of that" sh -c "! HEARTH_RUN=$T/b/run ip netns exec ${N}b $B/hearth status | grep -q VERDICT"
}

scene no_address_at_all "a board loses every address that others could try"
no_address_at_all() {
	did "c: its addresses are removed" in_ns c ip addr flush dev eth0 scope global
	right 12 "it says so" says c "any('no link of this board has an address' in p for p in s['problems']) and s['endpoints']==[]"
	logged c 1 "warning: no link of this board has an address"
	did "c: they are back" in_ns c sh -c "ip addr add ${wan[c]}/24 dev eth0; ip addr add 2001:db8:7::13/64 dev eth0 nodad
		ip route add default via 192.0.2.1; ip -6 route replace default via 2001:db8:7::1"
	right 5 "the problem is gone" says c "s['problems']==[] and len(s['endpoints'])==2"
	logged c 1 "no longer so, after .*: no link of this board"
	right 10 "the mesh is whole" whole
}

# --- the coordinator's addresses

urls_of() { python3 - "$T/$1/state/log" <<-'P'
	import base64, json, sys
	for line in open(sys.argv[1]):
	    r = json.loads(line)
	    if r["type"] == "settings":
	        urls = json.loads(base64.b64decode(r["payload"]))["urls"]
	print(*urls)
	P
}
url_is_first() { [[ $(urls_of "$1") = "$2 "* ]]; }

coordinator_is_heard() { says a "s['coordinator']['connected']" && says b "s['coordinator']['connected']" && says c "s['coordinator']['connected']"; }
moved_to() { # NEW4 NEW6: as DHCP and a new router do it
	in_ns a sh -c "ip addr flush dev eth0 scope global; ip addr add $1/24 dev eth0; ip addr add $2/64 dev eth0 nodad
		ip route replace default via 192.0.2.1; ip -6 route replace default via 2001:db8:7::1"
	wan[a]=$1
}
scene coordinator_is_renumbered "the coordinator's machine gets another address, and loses the old one"
coordinator_is_renumbered() {
	coord_stop
	coord_start # so that what it wrote in other scenes does not count
	did "a: ${wan[a]} becomes 192.0.2.71, and its IPv6 address another" moved_to 192.0.2.71 2001:db8:7::71
	right 30 "the log names the new ones" url_is_first a https://192.0.2.71:8443
	right 60 "its own board is connected" says a "s['coordinator']['connected']"
	right 60 "boards know the new ones" url_is_first b https://192.0.2.71:8443
	right 60 "every board is connected" coordinator_is_heard
	right 60 "the mesh is whole" whole
	logged coord 1 "boards now also look for the coordinator at https://192.0.2.71"
}

scene coordinator_gets_addresses "the coordinator's machine gets more addresses; one comes and goes" long
coordinator_gets_addresses() {
	coord_stop
	coord_start
	right 20 "everybody is connected" coordinator_is_heard
	did "a: another address" ip -n "${N}a" addr add 192.0.2.61/24 dev eth0
	right 5 "boards know it, and first" url_is_first b https://192.0.2.61:8443
	did "a: it goes and comes three times" sh -c "for i in 1 2 3; do ip -n ${N}a addr del 192.0.2.61/24 dev eth0; ip -n ${N}a addr add 192.0.2.61/24 dev eth0; done"
	did "a: addresses that are nobody's business" sh -c "ip -n ${N}a addr add 10.244.9.9/24 dev eth0; ip -n ${N}a link add docker0 type bridge
		ip -n ${N}a addr add 172.17.0.1/16 dev docker0; ip -n ${N}a link set docker0 up"
	did "a: and one that is" ip -n "${N}a" addr add 192.0.2.62/24 dev eth0
	right 75 "boards know it when it has been there for a minute" url_is_first c https://192.0.2.62:8443
	logged coord 2 "boards now also look for the coordinator at"
	right 1 "the others are not named" sh -c "! grep -E 'coordinator at.*(172.17|10.244)' $T/coord.log"
	did "a: they go" sh -c "ip -n ${N}a addr del 10.244.9.9/24 dev eth0; ip -n ${N}a link del docker0; ip -n ${N}a addr del 192.0.2.61/24 dev eth0; ip -n ${N}a addr del 192.0.2.62/24 dev eth0"
	right 20 "everybody is connected" coordinator_is_heard
}

answers_at() { in_ns b ping -q -c 1 -W 1 "$1" >/dev/null; }
scene coordinator_roams "the coordinator's machine is somewhere else every few seconds" long
coordinator_roams() {
	local i last=
	coord_stop
	coord_start
	right 20 "everybody is connected" coordinator_is_heard
	did "a: one more address"
	ip -n "${N}a" addr add 192.0.2.80/24 dev eth0
	right 10 "boards know it" url_is_first b https://192.0.2.80:8443
	did "a: another and another, each for some seconds"
	for i in 1 2 3 4 5; do
		ip -n "${N}a" addr add "192.0.2.8$i/24" dev eth0
		[ -z "$last" ] || ip -n "${N}a" addr del "$last/24" dev eth0
		last=192.0.2.8$i
		until_ok 5 answers_at "$last" || failed "$last does not answer"
	done
	right 80 "the last one, which stays, is announced" url_is_first b "https://$last:8443"
	check "those that went are in no record" sh -c "! grep -E '192.0.2.8[1-4]' $T/coord.log"
	ip -n "${N}a" addr add 192.0.2.86/24 dev eth0
	did "the coordinator restarts" coord_stop
	coord_start
	right 10 "what it has now is announced" url_is_first b https://192.0.2.86:8443
	logged coord 3 "boards now also look for the coordinator at"
	did "a: they go" sh -c "for i in 0 5 6; do ip -n ${N}a addr del 192.0.2.8\$i/24 dev eth0 2>/dev/null; done; :"
	right 20 "everybody is connected" coordinator_is_heard
}

coordinator_is() { # DIRECTORY: with its copy, it starts
	coord_stop
	rm -rf "$T/coord" && cp -a "$T/$1" "$T/coord"
	coord_start
}
scene coordinator_restored "the coordinator is restored from an older copy, and then from the newest" long
coordinator_restored() {
	local b seq
	coord_stop
	cp -a "$T/coord" "$T/coord.older"
	coord_start
	env_of a "$B/hearth" node rename c cc >/dev/null 2>&1
	right 20 "a record that the copy has not" says b "any(p['name']=='cc' for p in s['peers'])"
	seq=$(field b "s['log']['seq']")
	for b in a c; do right 20 "reaches $b" says $b "s['log']['seq']==$seq"; done
	coord_stop
	mv "$T/coord" "$T/coord.newest"
	cp -a "$T/coord.older" "$T/coord"
	did "a: the coordinator comes back with the copy" coord_start
	for b in a b c; do right 60 "$b says so" says $b "any('not believed' in p and 'restored' in p for p in s['problems'])"; done
	check "nothing is lost" says b "s['log']['seq']==$seq and any(p['name']=='cc' for p in s['peers'])"
	check "the mesh is whole" whole
	did "a: the newest copy is restored" coordinator_is coord.newest
	for b in a b c; do right 90 "$b has no problem" says $b "s['problems']==[]"; done
	env_of a "$B/hearth" node rename cc c >/dev/null 2>&1
	right 60 "new records reach all" says b "any(p['name']=='c' for p in s['peers']) and s['log']['seq']==$((seq + 1))"
	for b in a b c; do logged $b 1 "warning: .*not believed.*restored from an old copy"; done
	rm -rf "$T/coord.older" "$T/coord.newest"
}
