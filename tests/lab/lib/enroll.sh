# shellcheck shell=bash disable=SC2034,SC2154
# For the scenes of enroll/*.sh: coordinators and boards on a LAN, every board with enroll-node. Sourced, then setup.
#
#    coordinator 192.168.77.1     b0 192.168.77.10     b1 .11     ...      (a bridge in a namespace of its own)
#
# A scene finds the coordinator of the mesh home, and b1 enrolled, its first board. It says what else it has to have:
#
#     need b2 b4		they are enrolled, each as `role` and the others below have it
#     fresh b3			it is not, whatever a scene before has done with it
#     unenrolled		nor is b0, and $good is a token for it
#     need_bundle b3		it has a join.yaml, by hearth kube publish
#
# Of its own it makes boards that it takes away again: board b10, gone b10. Everything of a board is below $W/BOARD; $N
# is the prefix of the namespaces. $W/out is what the last command said.
[ "$(id -u)" -eq 0 ] || { echo "needs root"; exit 77; }
for need in ip nft python3 openssl; do command -v $need >/dev/null || { echo "needs $need"; exit 77; }; done
[ -e /dev/net/tun ] || { echo "needs /dev/net/tun"; exit 77; }
[ -x "${HEARTH_BUILD:?}/bin/hearth-coord" ] || { echo "hearth-coord is not built"; exit 77; }

umask 022
# hearthd gives up root: directory and programs lie where any user may look.
W=$(mktemp -d /tmp/hearth-enroll.XXXXXX)
chmod 755 "$W"
mkdir "$W/bin"
cp "$HEARTH_BUILD"/bin/{hearth,hearthd,hearth-helper,hearth-coord,hearth-relay,enroll-node} "$W/bin/"
N=he${W##*.}
LAN=$N-lan
machines=() good=
export PATH=$W/bin:$PATH
declare -A role=([b4]=control-plane [b6]=member)
declare -A named=([b6]=laptop)
years=157680000
declare -A clock=([b5]=-200000000 [b9]=$years) # seconds off when they enrol, and as long as that hearthd runs
declare -A took # BOARD: its enrolment, in milliseconds

cleanup() {
	local m
	exec 2>/dev/null # the shell's words about those it sees die
	for m in "${machines[@]}" lan; do
		ip netns pids "$N-$m" | xargs -r kill -9
		ip netns del "$N-$m"
	done
	rm -rf --one-file-system "$W"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

show() { sed 's/^/      | /' "$1"; }

# --- machines
machine() { # NAME ADDRESS: a namespace on the LAN
	machines+=("$1")
	netns_add "$N-$1"
	ip -n "$N-$1" link set lo up
	ip -n "$N-$1" link add eth0 type veth peer name "v-$1" netns "$LAN"
	ip -n "$LAN" link set "v-$1" master br0 up
	ip -n "$N-$1" addr add "$2/24" dev eth0
	ip -n "$N-$1" link set eth0 up
	ip -n "$N-$1" route add default via 192.168.77.254
	mkdir -p "$W/$1"/{etc,host,run}
	chmod 755 "$W/$1" "$W/$1"/{etc,host,run}
	echo "127.0.0.1 localhost" >"$W/$1/host/hosts"
	echo "nameserver 192.168.77.254" >"$W/$1/host/resolv.conf"
}
is_machine() { [ -e "/run/netns/$N-$1" ]; }
board() { is_machine "$1" || machine "$1" "192.168.77.$((10 + ${1#b}))"; } # bNUMBER

# Everything of a board is in its directory; it finds `wg`'s sockets in a directory of its own, too.
on() { # NAME COMMAND...
	local b=$1
	shift
	ip netns exec "$N-$b" unshare --uts sh -c 'mkdir -p /var/run/wireguard; mount -t tmpfs none /var/run/wireguard; hostname "$0"; exec "$@"' "$b" \
		env HEARTH_ETC="$W/$b/etc" HEARTH_STATE="$W/$b/state" HEARTH_RUN="$W/$b/run" HEARTH_HOST_ETC="$W/$b/host" \
		HEARTH_USER=nobody HEARTH_RELAY_STATE="$W/$b/relay" HEARTH_RELAY_USER=nobody HEARTH_FACTS="$HEARTH_SOURCE/tests/lab/facts/pi3.json" "$@"
}
empty() { [ -z "$(ip netns pids "$N-$1")" ]; } # NAME: no process is left there
gone() { # BOARD: removed from the mesh of ${C:-coord}, and there is no such machine any more
	on "${C:-coord}" hearth node remove "${named[$1]:-$1}" >/dev/null 2>&1 # it may be none
	ip netns pids "$N-$1" | xargs -r kill -9 2>/dev/null # one may have ended by itself
	until_ok 10 empty "$1" || failed "$1 does not end"
	ip -n "$LAN" link del "v-$1" # a namespace takes its time to go, and another of this name may come at once
	ip netns del "$N-$1"
	rm -rf --one-file-system "${W:?}/$1"
}

# --- coordinators
coordinator() { # NAME LAST-BYTE OPTIONS OF init...: unless a scene before has made it
	local c=$1 a=192.168.77.$2
	shift 2
	! is_machine "$c" || return 0
	machine "$c" "$a"
	mkdir -p "$W/$c-state"
	chown nobody "$W/$c-state" "$W/$c/run"
	on "$c" hearth-coord init --url "https://$a:8443" --state "$W/$c-state" --user nobody "$@" >"$W/$c.init.log" 2>&1 || { show "$W/$c.init.log"; return 1; }
	on "$c" hearth-coord serve --state "$W/$c-state" --run "$W/$c/run" --user nobody --group nogroup >>"$W/$c.log" 2>&1 &
	until_ok 60 on "$c" hearth token list || { show "$W/$c.log"; return 1; }
}
token() { # OPTIONS of token create: the token alone
	on "${C:-coord}" hearth token create "$@" 2>/dev/null | grep -o 'hearth1\.[A-Za-z0-9_-]*' | head -1
}
call() { # JSON: one call to the coordinator's socket
	python3 - "$W/coord/run/coord.sock" "$1" <<-'P'
		import socket, struct, sys
		s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
		m = sys.argv[2].encode(); s.sendall(struct.pack(">I", len(m)) + m)
		n = struct.unpack(">I", s.recv(4, socket.MSG_WAITALL))[0]; print(s.recv(n, socket.MSG_WAITALL).decode())
	P
}
retoken() { # TOKEN PYTHON-STATEMENT: the token with its JSON t changed
	python3 - "$1" "$2" <<-'P'
		import base64, json, sys
		b = sys.argv[1].split(".", 1)[1]; t = json.loads(base64.urlsafe_b64decode(b + "=" * (-len(b) % 4)))
		exec(sys.argv[2])
		print("hearth1." + base64.urlsafe_b64encode(json.dumps(t).encode()).decode().rstrip("="))
	P
}
nodes() { # PYTHON-EXPRESSION of n, the coordinator's list
	on coord hearth node list --json | python3 -c "import json,sys; n = json.load(sys.stdin)['nodes']; print($1)"
}
node() { nodes "next(x['$2'] for x in n if x['name'] == '$1')"; } # NAME FIELD

# --- boards in the mesh
enrolled() { [ -e "$W/$1/etc/hearthd.yaml" ]; }
number() { sed -n 's/^node: //p' "$W/$1/etc/hearthd.yaml" 2>/dev/null; } # BOARD
enrol() { # BOARD TOKEN OPTIONS...: what it says is in $W/BOARD.said, too
	local b=$1 t=$2 status=0 start=${EPOCHREALTIME/[.,]/}
	shift 2
	on "$b" env ${clock[$b]:+HEARTH_CLOCK_OFFSET=${clock[$b]}} enroll-node "$@" <<<"$t" >"$W/out" 2>&1 || status=$?
	took[$b]=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
	cp "$W/out" "$W/$b.said"
	return $status
}
need() { # BOARD...
	local b
	for b; do
		! enrolled "$b" || continue
		board "$b"
		enrol "$b" "$(token --role "${role[$b]:-worker}" ${named[$b]:+--name "${named[$b]}"})" || { failed "$b does not enrol"; show "$W/out"; }
		! is_published || [ "${role[$b]:-worker}" != worker ] || until_ok 10 has_join "$b" || failed "$b gets no join.yaml"
	done
}
fresh() { # BOARD
	! enrolled "$1" || gone "$1"
	board "$1"
}
unenrolled() {
	fresh b0
	[ -n "$good" ] || good=$(token --role worker)
	[ -n "$good" ] || failed "no token: $(on coord hearth token create --role worker 2>&1)"
}
stop_hearthd() { # BOARD
	local p
	p=$(cat "$W/$1/run/hearthd.pid")
	kill "$p" && until_ok 10 sh -c "! kill -0 $p"
}
reaches() { on "$1" ping -q -c 1 -W 1 "$(node "$2" mesh4)"; } # BOARD NODE
tree() { (cd "$W/$1" && find etc host state/*.key -type f ! -name hosts ! -name trust.json -exec md5sum {} + 2>/dev/null | sort -k2); }
same_tree() { diff <(printf '%s\n' "$2") <(tree "$1"); } # BOARD WHAT-TREE-SAID
own() { # BOARD KIND LINE [VERSION]: a document of its user's, for kubeadm
	mkdir -p "$W/$1/etc/kubeadm.d"
	printf 'apiVersion: kubeadm.k8s.io/%s\nkind: %s\n%s\n' "${4:-v1beta4}" "$2" "$3" >"$W/$1/etc/kubeadm.d/10-own.yaml"
}

# --- checks
ends() { # STATUS WHAT COMMAND...
	local want=$1 what=$2 status=0
	shift 2
	"$@" >"$W/out" 2>&1 || status=$?
	[ $status -eq "$want" ] && passed "$what" || { failed "$what: status $status"; show "$W/out"; return 1; }
}
runs() { # COMMAND...: it works, of which nothing is said
	"$@" >"$W/out" 2>&1 || { failed "status $?: $*"; show "$W/out"; return 1; }
}
has() { # WHAT WORD: in what was said last
	grep -q -- "$2" "$W/out" && passed "$1" || { failed "$1"; show "$W/out"; }
}
lacks() { # WHAT WORD: nor is it told if it is not there
	! grep -q -- "$2" "$W/out" || { failed "$1"; show "$W/out"; }
}
refused() { # WHAT BOARD TOKEN WORD... : fails with status 1 (3: no token), says each word, does not enrol
	local what=$1 b=$2 t=$3 status=0 w
	shift 3
	on "$b" enroll-node <<<"$t" >"$W/out" 2>&1 || status=$?
	[ "$status" -eq "$([ -n "$t" ] && echo 1 || echo 3)" ] || { failed "$what: status $status"; show "$W/out"; return; }
	for w; do grep -qi -- "$w" "$W/out" || { failed "$what: says nothing of \"$w\""; show "$W/out"; return; }; done
	enrolled "$b" && { failed "$what: but it is enrolled"; return; }
	[ -z "$t" ] || ! grep -qF "${t#hearth1.}" "$W/out" || { failed "$what: prints the token"; return; }
	passed "$what"
}
enrolls() { # WHAT BOARD TOKEN OPTIONS...
	local what=$1
	shift
	enrol "$@" && passed "$what" || { failed "$what"; show "$W/out"; return 1; }
}
status_says() { on "$1" hearth status >"$W/out" 2>&1; grep -q -- "$2" "$W/out"; } # BOARD PATTERN

# --- hearth kube publish on b4, with a CA and a kubeadm of this test's own
kubeadm() { # SCRIPT for "token create"
	{
		printf '#!/bin/sh\necho "$*" >>%s/kubeadm.log\ncase $* in\nversion*) echo v1.37.2 ;;\n' "$W"
		printf '*upload-certs*) echo "[upload-certs] Using certificate key:"; echo %s ;;\n"token create"*) %s ;;\n*) exit 9 ;;\nesac\n' "$certificate_key" "$1"
	} >"$W/kubeadm/kubeadm"
	chmod 755 "$W/kubeadm/kubeadm"
}
kubeadm_works() { kubeadm 'echo "W1 a warning" >&2; echo fedcba.9876543210fedcba'; }
need_kube() {
	need b4
	[ ! -e "$W/kubeadm" ] || return 0
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=kubernetes -keyout "$W/ca.key" -out "$W/ca.crt" 2>/dev/null
	pin=sha256:$(openssl x509 -in "$W/ca.crt" -pubkey -noout | openssl pkey -pubin -outform der | sha256sum | cut -d' ' -f1)
	certificate_key=$(printf '5e%.0s' {1..32})
	mkdir "$W/kubeadm"
	kubeadm_works
}
bundle_of= # the number of the b4 that has published last
is_published() { [ -n "$bundle_of" ] && [ "$bundle_of" = "$(number b4)" ]; }
kube_publish() { # CA-FILE|none [OPTION...]: in an /etc of its own; the port is as after a bindPort of the user's
	bundle_of=$(number b4)
	# shellcheck disable=SC2016
	on b4 env PATH="$W/kubeadm:$PATH" KUBE_SERVER="${KUBE_SERVER:-https://api.home.internal:7443}" sh -c 'mount -t tmpfs none /mnt && mkdir /mnt/up /mnt/work &&
		mount -t overlay -o lowerdir=/etc,upperdir=/mnt/up,workdir=/mnt/work none /etc && mkdir -p /etc/kubernetes/pki && rm -f /etc/kubernetes/pki/* &&
		{ [ "$1" = none ] || cp "$1" /etc/kubernetes/pki/ca.crt; } && shift &&
		printf "clusters:\n- cluster:\n    server: %s\n  name: home\n" "$KUBE_SERVER" >/etc/kubernetes/admin.conf && exec hearth kube publish "$@"' sh "$@"
}
has_join() { # BOARD WORD...: its join.yaml has them
	local f=$W/$1/etc/kubeadm/join.yaml w
	shift
	[ -s "$f" ] || return 1
	for w; do grep -qF -- "$w" "$f" || return 1; done
}
joined_anew() { has_join "$1" "apiServerEndpoint: api.home.internal:7443" "token: fedcba.9876543210fedcba" "$pin"; } # by kube_publish
need_bundle() { # BOARD...: it comes only if one has none, for a board takes but 12 in a row
	local b
	need_kube
	need "$@"
	for b; do
		is_published && has_join "$b" || { runs kube_publish "$W/ca.crt"; break; }
	done
	for b; do until_ok 10 has_join "$b" || failed "$b gets no join.yaml"; done
}
registers() { grep -qx "  name: $3" "$W/$1/etc/kubeadm/$2"; } # BOARD FILE NAME

setup() {
	netns_add "$LAN"
	ip -n "$LAN" link add br0 type bridge
	ip -n "$LAN" addr add 192.168.77.254/24 dev br0
	ip -n "$LAN" link set br0 up
	coordinator coord 1 --mesh home || { echo "the coordinator does not start"; exit 1; }
	board b1
	first_token=$(token --role worker --name b1)
	enrol b1 "$first_token" || { echo "b1 does not enrol"; show "$W/out"; exit 1; }
}
