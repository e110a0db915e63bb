# shellcheck shell=bash disable=SC2154
# One board: what it has when it is enrolled, what others do with that, what it may lack.

scene first "the way it should be"
first() {
	local f
	check "b1 enrols" enrolled b1
	check "within $(budget enroll) s (${took[b1]} ms)" [ "${took[b1]}" -lt $(($(budget enroll) * 1000)) ]
	cp "$W/b1.said" "$W/out"
	has "is the first board" "first board"
	has "now and at every boot" "now and at every boot"
	for f in etc/hearthd.yaml state/identity.key state/log host/cni/net.d/05-hearth.conflist host/sysctl.d/60-hearth.conf \
		host/systemd/system/kubelet.service.d/10-hearth.conf etc/kubeadm/patches/kubeletconfiguration+merge.yaml etc/kubeadm/resolv.conf; do
		[ -s "$W/b1/$f" ] || failed "b1 has no $f"
	done
	check "its keys are hearthd's alone" [ "$(stat -c %U:%a "$W/b1/state/identity.key")" = nobody:600 ]
	check "pods get the uplink's name server" grep -qx "nameserver 192.168.77.254" "$W/b1/etc/kubeadm/resolv.conf"
	check "forwarding is on" [ "$(on b1 cat /proc/sys/net/ipv6/conf/all/forwarding)" = 1 ]
	on b1 ip -4 addr show hearth0 | holds 'inet 10\.77\.0\.1/32' && passed "hearth0 has its address" || failed "hearth0 has its address"
}

problems_of_others() { on b1 hearth status >"$W/out" 2>&1; grep -q "problem .*99-hardening.conf" "$W/out" && grep -q "problem .*00-bridge.conflist" "$W/out" && grep -q "problem .*plugin cri off" "$W/out"; }

scene others_files "files of others, which undo it"
others_files() {
	echo net.ipv4.ip_forward=0 >"$W/b1/host/sysctl.d/99-hardening.conf"
	echo '{}' >"$W/b1/host/cni/net.d/00-bridge.conflist"
	mkdir -p "$W/b1/host"/{kubernetes,containerd,default}
	echo 'disabled_plugins = ["cri"]' >"$W/b1/host/containerd/config.toml"
	echo 'KUBELET_EXTRA_ARGS=--node-ip=192.168.77.11' >"$W/b1/host/default/kubelet"
	runs on b1 enroll-node
	has "a file that turns forwarding off at the next boot is told of" "note  pods .*99-hardening.conf sets net.ipv4.ip_forward to 0"
	has "and nobody says at every boot" "passed on, now and until the next boot"
	has "another CNI configuration that comes before ours, too" "note  pods .*00-bridge.conflist comes before 05-hearth.conflist"
	has "containerd as Docker's package leaves it, too" "note  pods .*config.toml switches its plugin cri off"
	has "and an address of kubelet's own" "note  pods .*default/kubelet gives it --node-ip"
	[ "$(grep -c 99-hardening.conf "$W/out")" -eq 1 ] && passed "each once" || { failed "said more than once"; show "$W/out"; }
	runs on b1 hearth reload
	until_ok 10 problems_of_others && passed "all are problems of hearth status" || { failed "hearth status says nothing"; show "$W/out"; }
	rm -r "$W/b1/host"/{kubernetes,containerd,default}
	rm "$W/b1/host/sysctl.d/99-hardening.conf" "$W/b1/host/cni/net.d/00-bridge.conflist"
	runs on b1 hearth reload
	runs on b1 enroll-node
	has "without them there is nothing to say" "passed on, now and at every boot"
	lacks "a note without a reason" "note  pods"
}

json() { on b1 enroll-node --json 2>/dev/null | python3 -c 'import json,sys; d = json.load(sys.stdin); assert d["node"]["name"] == "b1" and d["mesh"] == "home"'; }

scene second_run "a second run"
second_run() {
	local before
	runs on b1 enroll-node # of what a scene before has left, the first
	before=$(tree b1)
	ends 0 "a second run needs no token" on b1 enroll-node
	has "and has nothing to do" "Nothing to do"
	check "and changes nothing" same_tree b1 "$before"
	check "its JSON is what a program wants" json
}

scene missing "a board that lacks something"
missing() {
	unenrolled
	ends 1 "no TUN" on b0 sh -c 'mount -t tmpfs none /dev/net && exec enroll-node' <<<"$good"
	has "says how to get it" "modprobe tun"
	ends 1 "no nft" on b0 env PATH="$W/bin" enroll-node <<<"$good"
	has "says what to install" "apt install nftables"
	mkdir -p "$W/full"
	ends 1 "a full disk" on b0 sh -c "mount -t tmpfs -o size=4k,nr_inodes=1,mode=700,uid=$(id -u nobody) none $W/full && HEARTH_STATE=$W/full exec enroll-node" <<<"$good"
	has "is named" "identity.key: No space left"
	ends 1 "facts that are not there" on b0 env HEARTH_FACTS=/nonexistent enroll-node <<<"$good"
	ends 1 "not root" setpriv --reuid nobody --clear-groups enroll-node
	has "says so" "must be root"
}

scene dry_run "a dry run"
dry_run() {
	local before
	unenrolled
	before=$(tree b0)
	printf '%s\n' "$good" >"$W/b0.token"
	ends 0 "a dry run" on b0 enroll-node --dry-run --token-file "$W/b0.token"
	has "says that nothing was changed" "Nothing was changed"
	check "and changes nothing" same_tree b0 "$before"
}
