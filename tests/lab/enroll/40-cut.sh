# shellcheck shell=bash disable=SC2154
# Enrolments that do not come to their end at once: killed, something in the way, another board off.

kill_at() { # BOARD STEP TOKEN: as soon as the step's line is out
	local pid line p
	mkfifo "$W/lines"
	on "$1" enroll-node <<<"$3" >/dev/null 2>"$W/lines" &
	pid=$!
	while read -r line; do
		case $line in *" $2 "*)
			ip netns pids "$N-$1" | while read -r p; do [ "$(cat "/proc/$p/comm" 2>/dev/null)" = enroll-node ] && kill -9 "$p" 2>/dev/null; done
			break ;;
		esac
	done <"$W/lines"
	wait $pid 2>/dev/null
	rm -f "$W/lines"
}

scene cut_off "killed at every step, then run again with the same token"
cut_off() {
	local t step id id_before=
	fresh b3
	t=$(token --role worker)
	for step in board keys enroll config service peers forwarding cni kubelet; do
		kill_at b3 $step "$t"
		[ ! -e "$W/b3/state/identity.key" ] || {
			id=$(cat "$W/b3/state/identity.key")
			[ -z "$id_before" ] || [ "$id" = "$id_before" ] || failed "killed at $step: another identity"
			id_before=$id
		}
	done
	enrolls "killed at nine places, it goes on from each" b3 "$t"
	check "and is one node" [ "$(nodes "sum(x['name'] == 'b3' for x in n)")" = 1 ]
	runs on b3 enroll-node
	has "then there is nothing left to do" "Nothing to do"
	find "$W/b3" -name '*.tmp.*' | holds . && echo "note  temporary files are left: $(find "$W/b3" -name '*.tmp.*' | tr '\n' ' ')"
}

scene in_the_way "something in the way: the step fails, says so, and a run afterwards goes on"
in_the_way() {
	fresh b4
	echo x >"$W/b4/host/cni"
	ends 1 "a file where a directory should be" on b4 enroll-node <<<"$(token --role control-plane)"
	has "is named" "host/cni"
	rm "$W/b4/host/cni"
	own b4 ClusterConfiguration 'certificatesDir: /etc/pki'
	ends 1 "a document of the user's that would break the cluster" on b4 enroll-node
	has "is refused with the reason" "certificatesDir must stay"
	own b4 ClusterConfiguration "" v1beta3
	ends 1 "a document of an older kubeadm's" on b4 enroll-node
	has "is told how it is rewritten" "kubeadm config migrate --old-config"
	own b4 ClusterConfiguration 'networking: {serviceSubnet: 10.100.0.0/16}'
	ends 1 "a range that is the mesh's to say" on b4 enroll-node
	has "is refused with the file's place" "with what .*/etc/kubeadm.d adds"
	has "and with the flag that sets it" "hearth-coord init.*--services4"
	own b4 ClusterConfiguration 'apiServer: {certSANs: [my.example.org]}'
	ends 0 "a run afterwards goes on from there" on b4 enroll-node
	has "the first control plane is told of kubeadm init" "kubeadm init --config"
}

init_follows() { registers b4 init.yaml "$1" && grep -q "^  - $1.home.internal$" "$W/b4/etc/kubeadm/init.yaml" && grep -q "$2" "$W/b4/etc/kubeadm/init.yaml"; }
init_is_back() { init_follows b4 . && ! grep -q rack=7 "$W/b4/etc/kubeadm/init.yaml"; }

# Nobody need have published anything for that.
scene init_yaml "init.yaml follows what the board is"
init_yaml() {
	need b4
	own b4 ClusterConfiguration 'apiServer: {certSANs: [my.example.org]}'
	runs on b4 enroll-node
	runs on coord hearth node rename b4.home.internal plane
	has "a rename says what it is too late for" "Node's name cannot be changed"
	runs on coord hearth node label plane rack=7
	until_ok 10 init_follows plane rack=7 && passed "a new name and a new label come into init.yaml by themselves" || { failed "init.yaml after a rename"; show "$W/b4/etc/kubeadm/init.yaml"; }
	runs on coord hearth node rename plane b4
	runs on coord hearth node label b4 rack-
	until_ok 10 init_is_back && passed "and back" || failed "init.yaml does not go back"
	grep -q 'my.example.org' "$W/b4/etc/kubeadm/init.yaml" && [ "$(stat -c %a "$W/b4/etc/kubeadm/init.yaml")" = 600 ] && passed "init.yaml has the user's name in it" || failed "init.yaml"
}

scene no_ipv6 "a kernel without IPv6"
no_ipv6() {
	need b3
	ends 0 "a worker on a kernel without IPv6" on b3 sh -c 'mount -t tmpfs none /proc/sys/net/ipv6 && exec enroll-node'
}

scene peer_off "another board is off"
peer_off() {
	local others
	need b2
	others=$(nodes "len(n)")
	stop_hearthd b2 || failed "hearthd does not stop"
	board b11
	enrolls "a board enrols while another is off" b11 "$(token)"
	has "and says so" "note  peers .*$((others - 1)) of $others have answered; the others are off"
	gone b11
	runs on b2 enroll-node
}
