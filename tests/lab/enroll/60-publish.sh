# shellcheck shell=bash disable=SC2034,SC2154
# The join bundle: published on the control plane b4, it becomes a join.yaml on every board that Kubernetes may have.

publish() { # FIELD=VALUE...: by hearthd's socket, signed as b4
	bundle_of=$(number b4)
	python3 - "$W/b4/run/hearthd.sock" "$(python3 "$HEARTH_SOURCE/tests/lab/lib/bundle.py" "$W/b4/etc" "$W/b4/state" "$@")" <<-'P'
		import json, socket, struct, sys
		s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
		m = json.dumps({"call": "kube.publish", "args": {"bundle": json.loads(sys.argv[2])}}).encode()
		s.sendall(struct.pack(">I", len(m)) + m)
		n = struct.unpack(">I", s.recv(4, socket.MSG_WAITALL))[0]; r = s.recv(n, socket.MSG_WAITALL).decode()
		print(r); sys.exit('"error"' in r)
	P
}
joined() { has_join "$1" "token: abcdef.0123456789abcdef" && [ "$(stat -c %U:%a "$W/$1/etc/kubeadm/join.yaml")" = root:600 ]; } # by publish

scene bundle "a bundle, also where the clock is six years behind"
bundle() {
	local b before seq
	need b2 b3 b4 b5
	seq=$(($(sed -nE 's/.*"cluster":([0-9]+).*/\1/p' "$W/b1/etc/trust.json") + 1)) # they do not go back
	[ "$seq" -gt 1 ] || [ ! -e "$W/b5/etc/kubeadm/join.yaml" ] || failed "a join.yaml without a bundle"
	ends 0 "a bundle is published" publish seq=$seq
	for b in b1 b2 b3 b5; do until_ok 10 joined $b && passed "$b gets its join.yaml" || { failed "$b gets no join.yaml"; tail -3 "$W/$b/run/hearthd.log" | sed 's/^/      | /'; }; done
	[ ! -e "$W/b4/etc/kubeadm/join.yaml" ] || failed "the first control plane got a join.yaml"
	before=$(tree b5)
	runs on b5 enroll-node
	check "a run afterwards keeps it" same_tree b5 "$before"
	has "and says how to join" "kubeadm join --config"
}

scene over "a bundle whose token is over"
over() {
	need_bundle b5
	check "join.yaml says until when its token is good" grep -qE '^# Its token is good until 20[0-9-]+ [0-9:]+ UTC' "$W/b5/etc/kubeadm/join.yaml"
	sed -i -E 's/"expires": *[0-9]+/"expires":1000000000/' "$W/b5/etc/kubeadm/bundle.json"
	runs on b5 enroll-node --dry-run
	[ -e "$W/b5/etc/kubeadm/join.yaml" ] || failed "a dry run drops it"
	has "an expired bundle is dropped" "remove the join bundle: its token was good until 2001-09-09 01:46 UTC"
	runs on b5 enroll-node
	[ ! -e "$W/b5/etc/kubeadm/join.yaml" ] && [ ! -e "$W/b5/etc/kubeadm/bundle.json" ] && passed "and its files" || failed "a join.yaml with a token that is over stays"
	has "and how another comes is said" "once .hearth kube publish. is said on the control plane"
}

not_published() { # WHAT WORD CA-FILE
	ends 1 "$1" kube_publish "$3"
	has "is told of" "$2"
}

scene unpublished "what cannot be published"
unpublished() {
	need_bundle b1
	cp "$W/b1/etc/kubeadm/join.yaml" "$W/join.yaml"
	rm "$W/kubeadm/kubeadm"
	not_published "publishing without kubeadm" "kubeadm is not installed" "$W/ca.crt"
	kubeadm_works
	not_published "publishing before kubeadm init" "after kubeadm init" none
	not_published "publishing with a CA that is none" "holds no certificate" "$W/ca.key"
	KUBE_SERVER=https://10.77.0.1:6443 not_published "publishing a cluster that has another name" "the mesh's own name" "$W/ca.crt"
	KUBE_SERVER=http://api.home.internal not_published "publishing a cluster that is nowhere" "names no server" "$W/ca.crt"
	kubeadm 'echo "the API server does not answer" >&2; exit 1'
	not_published "publishing while kubeadm fails" "the API server does not answer" "$W/ca.crt"
	kubeadm 'echo "not a token"'
	not_published "publishing what is no token" "token" "$W/ca.crt"
	kubeadm 'head -c 200000 /dev/zero | tr "\\0" x'
	not_published "publishing what does not end" "kubeadm token create" "$W/ca.crt"
	check "nothing of that reached a board" cmp "$W/join.yaml" "$W/b1/etc/kubeadm/join.yaml"
	kubeadm_works
	ends 1 "a worker does not publish" on b1 hearth kube publish
}

scene publishing "hearth kube publish"
publishing() {
	local b
	need_kube
	need b2 b3 b5
	: >"$W/kubeadm.log"
	ends 0 "hearth kube publish" kube_publish "$W/ca.crt" --ttl 60 --control-plane
	grep -q -- 'token create.*--ttl 60m' "$W/kubeadm.log" && passed "asks kubeadm for a short life" || { failed "asked"; show "$W/kubeadm.log"; }
	grep -qF fedcba "$W/out" && failed "it prints the token"
	for b in b1 b2 b3 b5; do until_ok 10 joined_anew $b && passed "$b gets the new token, the CA's pin and the cluster's own port" || { failed "$b's join.yaml"; show "$W/$b/etc/kubeadm/join.yaml"; }; done
	grep -rqF "$certificate_key" "$W"/b[1235]/etc "$W"/b[1235]/state && failed "a worker got the control plane's certificate key" || passed "but not the control plane's certificate key"
	has "and says that the boards have it" "^b2 *has it"
}

relabelled() { has_join b3 zone=attic; }

scene labels "labels and names come into join.yaml"
labels() {
	need_bundle b3
	runs on coord hearth node label b3 zone=attic disk=ssd
	until_ok 10 relabelled && passed "labels that change come into the files by themselves" || failed "b3's labels in join.yaml"
	runs on coord hearth node rename b3 b3x
	until_ok 10 registers b3 join.yaml b3x && passed "and so does another name" || { failed "b3's name in join.yaml"; show "$W/b3/etc/kubeadm/join.yaml"; }
	runs on coord hearth node label b3x zone- disk-
	runs on coord hearth node rename b3x b3
	until_ok 10 registers b3 join.yaml b3 || failed "b3 does not get its name back"
}

one_again() { on b3 hearth status >"$W/out" 2>&1 && ! grep -q "Kubernetes knows this board" "$W/out"; }

scene other_name "a board that joined under another name"
other_name() {
	local log=$W/b3/run/hearthd.log begin
	need_bundle b3
	begin=$(wc -l <"$log")
	# It joins as b3x, kubelet's certificate says so; then it is renamed.
	runs on coord hearth node rename b3 b3x
	until_ok 10 registers b3 join.yaml b3x || failed "b3's name in join.yaml"
	mkdir -p "$W/b3/host/kubernetes/pki"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /O=system:nodes/CN=system:node:b3x -keyout "$W/kubelet.key" 2>/dev/null | cat - "$W/kubelet.key" >"$W/b3/host/kubernetes/pki/current.pem"
	printf 'apiVersion: v1\nkind: Config\nusers:\n- name: default-auth\n  user: {client-certificate: pki/current.pem}\n' >"$W/b3/host/kubernetes/kubelet.conf"
	runs on coord hearth node rename b3x b3
	until_ok 10 status_says b3 "problem .*Kubernetes knows this board as b3x" && passed "a board that joined under another name: hearth status says so" || { failed "hearth status after a rename"; show "$W/out"; }
	has "with what to do" "hearth node rename b3 b3x"
	check "its join.yaml is for the next time that it joins" registers b3 join.yaml b3
	runs on b3 enroll-node
	has "so does enroll-node" "note  kubeadm .*Kubernetes knows this board as b3x"
	runs on b3 hearth reload
	[ "$(tail -n "+$((begin + 1))" "$log" | grep -c "Kubernetes knows this board as b3x")" = 1 ] && passed "in the journal it stands once" || { failed "said in the journal"; grep -n Kubernetes "$log"; }
	runs on coord hearth node rename b3 b3x
	until_ok 10 one_again && passed "renamed back, it is quiet" || { failed "hearth status, renamed back"; show "$W/out"; }
	rm -r "$W/b3/host/kubernetes"
	runs on coord hearth node rename b3x b3
	until_ok 10 registers b3 join.yaml b3 || failed "b3 does not get its name back"
}

mended() { on b4 hearth status >"$W/out" && ! grep -q "b2 could not" "$W/out"; }

scene unwritten "a board cannot write its files"
unwritten() {
	need_kube
	need b2
	own b2 JoinConfiguration 'nodeRegistration: {kubeletExtraArgs: [{name: hostname-override, value: "1"}]}'
	ends 1 "hearth kube publish fails where a board cannot write its files" kube_publish "$W/ca.crt"
	has "and names it with the reason" "^b2 .*hostname-override"
	has "the others have it" "^b1 *has it"
	runs on b4 hearth status
	has "so does hearth status on a control plane" "problem .*b2 could not .*hostname-override"
	runs on b1 hearth status
	has "and none elsewhere" "^b4"
	grep -q "b2 could not" "$W/out" && failed "b1 speaks of b2" || passed "other boards have nothing to say of it"
	rm "$W/b2/etc/kubeadm.d/10-own.yaml"
	until_ok 60 mended && passed "and is quiet when the board has mended it" || { failed "the control plane still speaks of b2"; show "$W/out"; }
}

scene further "a further control plane, which joins by certificates of the first"
further() {
	need_kube
	runs kube_publish "$W/ca.crt"
	board b13
	enrolls "a further control plane" b13 "$(token --role control-plane)"
	has "is told what it waits for" "once .hearth kube publish --control-plane. is said on the first control plane"
	has "and why: others have been published to" "note  kubeadm .*no join.yaml: this board is to be a control plane"
	ends 1 "hearth kube publish without the key to them fails" kube_publish "$W/ca.crt"
	has "naming the board and the remedy" "^b13 .*no join.yaml: .* control plane.*hearth kube publish --control-plane"
	[ ! -e "$W/b13/etc/kubeadm/join.yaml" ] && passed "which has no join.yaml" || failed "b13 has a join.yaml without a key"
	runs on b13 hearth status
	has "and says so in hearth status" "problem .*hearth kube publish --control-plane"
	runs kube_publish "$W/ca.crt" --control-plane
	has "with --control-plane it has one" "^b13 *has it"
	has_join b13 "certificateKey: \"$certificate_key\"" && passed "with the key" || { failed "b13's join.yaml"; show "$W/b13/etc/kubeadm/join.yaml"; }
	gone b13
}
