# shellcheck shell=bash disable=SC2034,SC2154
# Pods, services and who answers there, on light boards (lib/light.sh): for test-matrix and the scenes that try walls.
PROBE=$HEARTH_SOURCE/tests/lab/lib/probe.py
SERVE=7777 NODE_PORT=30080 HOST_PORT=9090
declare -gA pod4=() pod6=() service4=() service6=()

# --- pods, by the plugin itself
cni() { # VERB BOARD POD
	printf '{"cniVersion":"1.0.0","name":"hearth","type":"hearth","device":"hearth0","nodeAddresses":["%s","%s"],"subnets":["%s","%s"]}' \
		"${ip4[$2]}" "${ip6[$2]}" "$(field "$2" "s['node']['pods4']")" "$(field "$2" "s['node']['pods6']")" |
		env_of "$2" env CNI_COMMAND="$1" CNI_CONTAINERID="$3" CNI_NETNS="/run/netns/$N$3" CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin "$B/cni/hearth"
}
pod_up() { # BOARD POD
	local said
	netns_add "$N$2"
	ip -n "$N$2" link set lo up
	said=$(cni ADD "$1" "$2") || { echo "pod $2: $said"; return 1; }
	printf '%s\n' "$said" >"$T/$2.cni"
	read -r "pod4[$2]" "pod6[$2]" < <(python3 -c 'import json,sys; print(*[i["address"].split("/")[0] for i in json.load(sys.stdin)["ips"]])' <<<"$said")
}
link_of() { ip -n "$N$1" -o link show | sed -n "s|^[0-9]*: \(hth[0-9a-f]*\)@.*alias hearth/hearth/$2/.*|\1|p"; } # BOARD POD

# --- services
services() { # POD...: a service of each, and a NodePort of the last one
	local pod n=10 f ula
	ula=$(ula)
	for pod; do
		n=$((n + 1))
		service4[$pod]=10.96.0.$n service6[$pod]=$ula:f000::$n
		for f in 4 6; do
			local -n cluster=service$f address=pod$f
			echo "$pod ${cluster[$pod]} 80 $([ "$pod" = "${!#}" ] && echo $NODE_PORT || echo -) ${address[$pod]} $SERVE"
		done
	done >"$T/services"
}
ula() { field a "':'.join(s['node']['mesh6'].split(':')[:3])"; }
proxy_up() { # BOARD [ADDRESS...]: at its mesh addresses and these
	python3 "$HEARTH_SOURCE/tests/lab/lib/kubeproxy.py" "${ip4[$1]}" "${ip6[$1]}" "${@:2}" <"$T/services" | in_ns "$1" nft -f -
}
host_port() { # BOARD POD: at every address of the board; by the reference plugin behind ours, where it is at hand
	local portmap
	for portmap in "${HEARTH_CACHE:-$HOME/.cache/hearth}"/kube/*/cni/portmap; do [ ! -x "$portmap" ] || break; done
	[ -x "$portmap" ] || { step "host ports by rules like portmap's"; host_port_alike "$@"; return; }
	step "host ports by portmap behind the plugin"
	python3 -c 'import json, sys
print(json.dumps({"cniVersion": "1.0.0", "name": "hearth", "type": "portmap", "backend": "nftables", "prevResult": json.load(sys.stdin),
    "runtimeConfig": {"portMappings": [{"hostPort": int(sys.argv[1]), "containerPort": int(sys.argv[2]), "protocol": p} for p in ("tcp", "udp")]}}))' \
		$HOST_PORT $SERVE <"$T/$2.cni" | env_of "$1" env CNI_COMMAND=ADD CNI_CONTAINERID="$2" CNI_NETNS="/run/netns/$N$2" CNI_IFNAME=eth0 \
		CNI_PATH=/opt/cni/bin "$portmap" >"$T/$2.portmap" || cat "$T/$2.portmap"
}
host_port_alike() {
	in_ns "$1" nft -f - <<-N
		table inet cni_hostport {
			chain hostports {
				meta nfproto ipv4 th dport $HOST_PORT meta l4proto { tcp, udp } dnat ip to ${pod4[$2]}:$SERVE
				meta nfproto ipv6 th dport $HOST_PORT meta l4proto { tcp, udp } dnat ip6 to [${pod6[$2]}]:$SERVE
			}
			chain prerouting { type nat hook prerouting priority dstnat; policy accept; fib daddr type local jump hostports; }
			chain output { type nat hook output priority -100; policy accept; fib daddr type local jump hostports; }
			chain masquerading {
				type nat hook postrouting priority srcnat; policy accept;
				ip saddr ${pod4[$2]} ip daddr ${pod4[$2]} masquerade
				ip6 saddr ${pod6[$2]} ip6 daddr ${pod6[$2]} masquerade
			}
		}
	N
}

# --- who answers
serve() { # NAMESPACE...: what arrives there is in $T/arrived.NAMESPACE
	local n
	for n; do
		: >"$T/arrived.$n"
		: >"$T/serve.$n"
		ip netns exec "$N$n" python3 "$PROBE" serve $SERVE "$T/arrived.$n" >"$T/serve.$n" 2>&1 &
		echo $! >"$T/serve.$n.pid"
	done
	for n; do until_ok 60 grep -q ready "$T/serve.$n" || { cat "$T/serve.$n"; return 1; }; done
}
# Packets to PREFIX... go to PEER, and what comes from there in their name is taken: root of a board can always say so.
tunnel_takes() { # BOARD PEER PREFIX...
	local b=$1 key
	key=$(env_of a "$B/hearth" node list --json | python3 -c "import base64,json,sys; print([base64.b64decode(n['wg']).hex() for n in json.load(sys.stdin)['nodes'] if n['name']=='$2'][0])")
	shift 2
	python3 - "$T/$b/wg/hearth0.sock" "$key" "$@" <<-'P'
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		s.sendall(("set=1\npublic_key=%s\nupdate_only=true\n%s\n" % (sys.argv[2], "".join("allowed_ip=%s\n" % a for a in sys.argv[3:]))).encode())
		said = s.recv(1000).decode()
		sys.exit(0 if "errno=0" in said else said)
	P
}
