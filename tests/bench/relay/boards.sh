#!/bin/bash
# Three light boards for boards.py, the first a relay; b's and c's cables can be exchanged. Reads commands, one a line,
# and answers each by "did STATUS"; ends with its input.
#
#   leg BOARD                         its plain veth, where a send of many segments crosses as one
#   leg BOARD MS LOSS KBIT [whole]    delaylink: one way, permille, 0 for no limit; every datagram a frame of its own,
#                                     or as on the plain veth
#   frames BOARD on|off               whether a send of many segments crosses its plain veth as one
#   serve ours|theirs                 what serves at the relay's TCP port: hearth-relay, or $DERPER with its keys
#   way direct|udp|tcp                how b and c are to reach each other; until they do
#   say                               the prefix of the namespaces, the process that serves, c's address
# shellcheck disable=SC2154
set -uo pipefail
: "${HEARTH_BUILD:?}" "${HEARTH_SOURCE:?}"
. "$HEARTH_SOURCE/tests/lab/lib/light.sh"
. "$HEARTH_SOURCE/tests/lab/lib/relay.sh"
declare -A cable=()

frames() { # BOARD on|off
	in_ns "$1" ethtool -K eth0 tx-udp-segmentation "$2" >/dev/null
}
sockets() { # BOARD on|off: its offloads, and those of what stands for it at the bridge
	in_ns "$1" ethtool -K eth0 tx "$2" tso "$2" gso "$2" gro "$2" >/dev/null &&
		in_ns sw ethtool -K "y$1" tx "$2" tso "$2" gso "$2" gro "$2" >/dev/null
}
leg() { # BOARD [MS LOSS KBIT [whole]]
	local b=$1 word=off options=()
	[ $# -lt 5 ] || word=on options=(-s)
	if [ -n "${cable[$b]:-}" ]; then
		kill "${cable[$b]}" && wait "${cable[$b]}"
		rm -f "$T/cable-$b.pid"
	fi
	unset "cable[$b]"
	if [ $# -eq 1 ]; then
		in_ns sw ip link set "y$b" nomaster
		in_ns sw ip link set "p$b" master br0 && sockets "$b" on
		return
	fi
	in_ns sw ip link set "p$b" nomaster
	in_ns sw ip link set "y$b" master br0 && sockets "$b" "$word" || return
	: >"$T/cable-$b"
	# no function in between: $! is to be the cable itself
	ip netns exec "${N}sw" "$HEARTH_BUILD/lab/delaylink" ${options[@]+"${options[@]}"} "p$b" "x$b" "$2" 0 "$3" 0 "$4" >"$T/cable-$b" 2>&1 &
	cable[$b]=$!
	echo $! >"$T/cable-$b.pid"
	until_ok 5 grep -q ready "$T/cable-$b"
} 2>/dev/null
isolate() { # on|off
	local b p
	for b in b c; do
		for p in p y; do in_ns sw bridge link set dev "$p$b" isolated "$1"; done
	done
} 2>/dev/null
udp() { # on|off: whether any gets in at b and c
	local b
	for b in b c; do
		if [ "$1" = on ]; then
			in_ns $b nft delete table inet tread
		else
			in_ns $b nft 'table inet tread { chain in { type filter hook input priority 0; }; }; flush table inet tread;
				add rule inet tread in iifname "eth0" meta l4proto udp drop'
		fi
	done
} 2>/dev/null
goes() { # WAY: from b to c and back; another one is looked for when something is sent
	ping_to b "${ip4[c]}" || return
	case $1 in
	direct) both direct ;;
	*) both relayed && by b c "$1" && by c b "$1" ;;
	esac
}
by() { says "$1" "[p['relay_way'] for p in s['peers'] if p['name']=='$2']==['$3']"; } # BOARD PEER WAY
way() { # direct|udp|tcp
	local b
	case $1 in
	direct) isolate off; udp on ;;
	udp) isolate on; udp on ;;
	tcp) isolate on; udp off ;;
	esac
	until_ok 60 goes "$1" && return
	for b in b c; do env_of "$b" "$B/hearth" status --verbose; tail -5 "$T/$b/hearthd.log"; done >&2
	return 1
}
derper_keys() { # as hearth-relay's: the boards are not to know that it is another
	python3 - "$T/a/relay" "$T/derper" "${wan[a]}" <<-'X'
		import base64, json, os, subprocess, sys
		state, home, address = sys.argv[1:]
		def key(name):
		    return base64.b64decode(open(f"{state}/{name}").read())
		os.makedirs(home)
		der = bytes.fromhex("302e020100300506032b657004220420") + key("tls.key")
		with open(f"{home}/{address}.key", "w") as f:
		    f.write("-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n" % base64.b64encode(der).decode())
		subprocess.run(["openssl", "req", "-x509", "-new", "-key", f.name, "-out", f"{home}/{address}.crt", "-days", "30",
		                "-subj", f"/CN={address}", "-addext", f"subjectAltName=IP:{address}"], check=True)
		json.dump({"PrivateKey": "privkey:" + key("relay.key").hex()}, open(f"{home}/derper.json", "w"))
	X
}
serve() { # ours|theirs
	relay_stop a
	if [ "$1" = ours ]; then
		relay_serve a
	else
		[ -d "$T/derper" ] || derper_keys || return
		ip netns exec "${N}a" "$DERPER" -c "$T/derper/derper.json" -a :3340 -http-port -1 -stun=false -certmode manual \
			-certdir "$T/derper" -hostname "${wan[a]}" >>"$T/a/derper.log" 2>&1 &
		echo $! >"$T/a.relay.pid"
	fi
}
untuned() { # TCP as on any board, whatever this machine has
	local b
	for b in "${boards[@]}"; do
		in_ns "$b" sysctl -qw net.ipv4.tcp_rmem="4096 131072 6291456" net.ipv4.tcp_wmem="4096 16384 4194304"
		in_ns "$b" ip route replace 192.0.2.0/24 dev eth0 src "${wan[$b]}" congctl cubic
		in_ns "$b" ip -6 route replace 2001:db8:7::/64 dev eth0 congctl cubic
	done
}
say() { echo "$N $(cat "$T/a.relay.pid") ${ip4[c]}"; }

light_up --url https://192.0.2.11:8443 >&2
untuned
{ mesh_whole 20 && relay_up a && until_ok 10 bound a b c; } >&2 || { echo "did 1"; exit 1; }
for b in b c; do
	in_ns sw sh -c "ip link add x$b type veth peer name y$b; ip link set x$b up; ip link set y$b up"
done
echo "did 0"
while read -r line; do
	# shellcheck disable=SC2086
	$line
	echo "did $?"
done
