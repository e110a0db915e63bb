# shellcheck shell=bash disable=SC2034,SC2154
# Addresses and leases: GC, STATUS, a full range, pods whose runtime forgot them.

scene collecting "GC"
collecting() {
	local A B in_a in_b
	cni ADD ca a; works ADD; A=$OUT
	cni ADD cb b; works ADD; B=$OUT
	live a; in_a=$PROCESS
	live b; in_b=$PROCESS
	gc() { IN=$(conf "$1"); call GC; }
	gc ""; silent "GC without a list"
	gc ',"cni.dev/valid-attachments":[{"containerID":"ca","ifname":"eth0"},{"containerID":"cb","ifname":"eth0"}]'; silent "GC with all"
	reaches a "$(ip4 "$B")"
	gc ',"cni.dev/valid-attachments":[]'; refused 104 "GC of pods that live"; says "ca eth0"; says "cb eth0"
	reaches a "$(ip4 "$B")"
	ends "$in_b"	# its namespace stays, as those do that a runtime which lost its state has pinned
	gc ',"cni.dev/valid-attachments":[]'; refused 104 "GC, one pod lives"; says "ca eth0: kept: its link is up"
	[[ $OUT != *cb* ]] || die "what nobody is in is kept"
	[ ! -e "$leases/$(ip4 "$B")" ] && [ "$(on $host ip -o link | grep -c ' hth')" = 1 ] || die "of a pod without processes something is left"
	cni ADD cb b; works "ADD after GC"; B=$OUT
	reaches a "$(ip4 "$B")"
	ends "$in_a"
	ip netns del $id-b	# its link goes with it
	until ! on $host ip link show "$(jq -r '.interfaces[0].name' <<<"$B")" >/dev/null 2>&1; do :; done
	gc ',"cni.dev/attachments":[{"containerID":"ca","ifname":"eth0"}]'; silent "GC by the older name"
	[ ! -e "$leases/$(ip4 "$B")" ] && [ -e "$leases/$(ip4 "$A")" ] || die "leases after GC: $(ls "$leases")"
	pod b
	cni ADD cb b; works ADD
	on $id-b ip link set eth0 down	# no live other end
	echo nonsense >"$leases/10.244.1.200"
	gc ',"cni.dev/valid-attachments":[{"containerID":"ca","ifname":"eth0"},{"containerID":"cb","ifname":"eth9"}]'; silent "GC of the same container's other interface"
	[ "$(on $host ip -o link | grep -c ' hth')" = 1 ] || die "links after GC"
	[ ! -e "$leases/10.244.1.200" ] || die "a damaged lease is left"
	# A link without a lease, and another network's attachment.
	cni ADD cb b; works ADD
	rm "$leases"/*; on $id-b ip link set eth0 down
	gc ',"cni.dev/valid-attachments":[{"containerID":"ca","ifname":"eth0"}]'; silent "GC of a link without lease"
	[ "$(on $host ip -o link | grep -c ' hth')" = 1 ] || die "links after GC"
	IN='{"cniVersion":"1.1.0","name":"other","cni.dev/valid-attachments":[]}'; call GC; silent "GC of another network"
	reaches a 10.77.0.1
	cni DEL ca a; silent DEL
	clean GC
}

scene status "STATUS"
status() {
	IN=$(conf) call STATUS; silent "STATUS"
	IN='{"cniVersion":"1.1.0","name":"hearth"}' call STATUS; refused 50 "STATUS without subnets"
	IN=$(conf | sed s/hearth0/nothing0/) call STATUS; refused 50 "STATUS without the interface"; says nothing0
	on $mesh ip link set m0 down
	IN=$(conf) call STATUS; refused 51 "STATUS without carrier"; says hearthd
	on $host ip link set hearth0 down
	IN=$(conf) call STATUS; refused 50 "STATUS with the interface down"
	on $host ip link set hearth0 up; on $mesh ip link set m0 up
	on $host ip addr replace fd77::1/64 dev hearth0 nodad
	on $mesh ip addr replace fd77::2/64 dev m0 nodad
	on $mesh ip route replace fd77:0:0:1001::/64 via fd77::1; on $mesh ip route replace 10.244.1.0/24 via 10.77.0.1
	on $host ip route replace 10.244.2.0/24 via 10.77.0.2 src 10.77.0.1
	on $host ip route replace fd77:0:0:1002::/64 via fd77::2 src fd77::1
	IN=$(conf) call STATUS; silent "STATUS, all well again"
	IN=$(conf | sed s/hearth0/nothing0/) call ADD CNI_CONTAINERID=ca CNI_NETNS=/run/netns/$id-a CNI_IFNAME=eth0
	refused 11 "ADD without the interface"; says hearthd
	clean STATUS
}

scene pool "round robin, wanted addresses, exhaustion, reboot, full disk"
pool() {
	local base_was=$base first second
	cni ADD ca a; first=$(ip4 "$OUT"); cni DEL ca a
	cni ADD ca a; second=$(ip4 "$OUT"); cni DEL ca a
	[ "$first" != "$second" ] || die "the same address at once again: $first"
	ARGS='IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.244.1.77' cni ADD ca a; works "IP= in CNI_ARGS"
	[ "$(ip4 "$OUT")" = 10.244.1.77 ] || die "wanted address"
	cni ADD cb b ',"runtimeConfig":{"Ips":["10.244.1.77/24"]}'; refused 101 "a taken address"; says 10.244.1.77
	cni ADD cb b ',"runtimeConfig":{"ips":["10.9.9.9"]}'; refused 101 "an address of no range"
	cni ADD cb b ',"args":{"cni":{"ips":["fd77:0:0:1001::99"]}}'; works "args.cni.ips"
	[ "$(jq -r '.ips[0].address' <<<"$OUT")" = fd77:0:0:1001::99/128 ] || die "wanted IPv6 address"
	cni DEL cb b; cni DEL ca a; clean wanted
	base='"name":"hearth","device":"hearth0","subnets":["10.244.1.4/30","fd77:0:0:1001::/64"]'
	cni ADD ca a; works "the only address"
	[ "$(ip4 "$OUT")" = 10.244.1.6 ] || die "the only address is $(ip4 "$OUT")"
	cni ADD cb b; refused 101 "no address left"; says "IPv4"; says "container ca, eth0, 10.244.1.6"; says maxPods
	reaches h 10.244.1.6
	IN=$(conf) call STATUS; silent "STATUS, no address left: an error would evict the pods that have them"
	ip netns del $id-a	# what a reboot does to pods
	until ! has_links; do :; done
	pod a
	HEARTH_BOOT_ID=after-a-reboot cni ADD cb b; works "ADD after a reboot"
	[ "$(ip4 "$OUT")" = 10.244.1.6 ] || die "the address after a reboot"
	HEARTH_BOOT_ID=after-a-reboot cni DEL cb b; HEARTH_BOOT_ID=after-a-reboot cni DEL ca a; silent "DEL of the pod before the reboot"
	base=$base_was
	clean reboot
	mkdir -p "$HEARTH_TMP/full"; mount -t tmpfs -o size=16k none "$HEARTH_TMP/full"
	local run=$HEARTH_RUN
	HEARTH_RUN=$HEARTH_TMP/full
	cni STATUS ca a	# may fail or not, changes nothing
	head -c 100000 /dev/zero >"$HEARTH_TMP/full/ballast" 2>/dev/null
	cni ADD ca a; refused 5 "ADD on a full disk"; ! has_links || die "a link on a full disk"
	rm "$HEARTH_TMP/full/ballast"
	cni ADD ca a; works "ADD once there is room"
	head -c 100000 /dev/zero >"$HEARTH_TMP/full/ballast" 2>/dev/null
	cni DEL ca a; silent "DEL on a full disk"; rm "$HEARTH_TMP/full/ballast"
	[ -z "$(files "$HEARTH_TMP/full/cni/hearth")" ] || die "lease on a full disk"
	umount "$HEARTH_TMP/full"; HEARTH_RUN=$run
	clean pool
}

# Pods whose namespace went without DEL: their runtime was killed, or lost its state.
fill() { # FIRST LAST: interfaces of pod crowd, by the configuration in conf
	local i
	for i in $(seq "$1" "$2"); do
		on $host env CNI_COMMAND=ADD CNI_CONTAINERID=gone$i CNI_NETNS=/run/netns/$id-crowd CNI_IFNAME=e$i \
			"$plugin" <"$HEARTH_TMP/conf" >"$HEARTH_TMP/out" 2>&1 || die "ADD $i: $(<"$HEARTH_TMP/out")"
	done
}
leak() { # its namespace goes without DEL
	ip netns del $id-crowd
	until ! on $host ip -o link | holds 'hearth/hearth/gone'; do :; done
}

scene leaked "a range full of leases whose pods are gone"
leaked() {
	local i n=253
	pod crowd
	conf >"$HEARTH_TMP/conf"
	cni ADD ca a; works ADD
	fill 2 $n
	[ "$(files "$leases" | grep -c '^10\.')" = $n ] || die "the range is not full"
	# All of them live: no ADD, no reason to evict them, and nothing is taken from anybody.
	cni ADD cb b; refused 101 "ADD, 253 pods live"; says "253 pods that live"; says "such as container"; says "$leases"; says maxPods
	IN=$(conf) call STATUS; silent "STATUS, 253 pods live"
	[ "$(files "$leases" | grep -c '^10\.')" = $n ] || die "an ADD in vain took something"
	leak
	# Many at once find it full.
	for i in $(seq 10); do
		pod n$i
		on $host env CNI_COMMAND=ADD CNI_CONTAINERID=n$i CNI_NETNS=/run/netns/$id-n$i CNI_IFNAME=eth0 \
			"$plugin" <"$HEARTH_TMP/conf" >"$HEARTH_TMP/add.$i" 2>"$HEARTH_TMP/err.$i" &
	done
	wait
	for i in $(seq 10); do jq -e '.ips | length == 2' "$HEARTH_TMP/add.$i" >/dev/null || die "ADD $i: $(cat "$HEARTH_TMP/add.$i" "$HEARTH_TMP/err.$i")"; done
	[ "$(for i in $(seq 10); do cat "$HEARTH_TMP/add.$i"; done | jq -r '.ips[].address' | sort -u | wc -l)" = 20 ] || die "an address was given out twice"
	grep -q '252 leases.*without DEL' "$HEARTH_TMP"/err.* || die "nobody says that leases were given back"
	[ "$(files "$leases" | grep -c '^10\.')" = 11 ] || die "leases: $(ls "$leases")"
	reaches a "$(jq -r '.ips[0].address | sub("/.*"; "")' "$HEARTH_TMP/add.1")"; reaches a 10.244.2.5
	for i in $(seq 10); do ip netns del $id-n$i; done
	cni DEL ca a
	until ! has_links; do :; done
	IN=$(conf ',"cni.dev/valid-attachments":[]') call GC; silent "GC of what the gone pods left"
	clean leaked
}

scene at_work "an ADD that is at work keeps its lease, one of another namespace and a damaged file are named"
at_work() {
	local base_was=$base i A link
	base='"name":"hearth","device":"hearth0","subnets":["10.244.1.8/29"]'	# five, that nobody had
	cni ADD ca a; works ADD; A=$OUT
	link=$(jq -r '.interfaces[0].name' <<<"$A")
	on $host ip link del "$link"
	exec 9<"$leases/$link"
	python3 -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_SH)'	# as the ADD does; it stays with the shell's descriptor
	conf >"$HEARTH_TMP/conf"
	pod crowd
	fill 1 4
	live crowd
	cni ADD cb b; refused 101 "ADD beside one at work"; says "4 pods that live"; says "1 being attached"
	IN=$(conf ',"cni.dev/valid-attachments":[]') call GC; refused 104 "GC beside an ADD at work"; says "ca eth0: kept: it is being attached"
	[ -e "$leases/$(ip4 "$A")" ] || die "a lease was taken from an ADD that is at work"
	exec 9<&-
	cni ADD cb b; works "ADD once the other was killed"
	[ "$(ip4 "$OUT")" = "$(ip4 "$A")" ] || die "another address than the one that was given back: $(ip4 "$OUT")"
	# An address that is asked for is taken back, too.
	ends "$PROCESS"
	leak
	ARGS=IP=$(ip4 "$(<"$HEARTH_TMP/out")") cni ADD ca a; works "ADD of an address that a dead lease has"
	cni DEL ca a; cni DEL cb b
	pod crowd
	fill 1 3
	leak
	for i in "$leases"/hth*; do sed -i 's/^netns .*/netns 7/' "$i"; done
	rm -f "$leases"/10.*; for i in "$leases"/hth*; do ln "$i" "$leases/$(sed -n 's/^address //p' "$i")"; done
	for i in 10 11 12 13 14; do [ -e "$leases/10.244.1.$i" ] || echo nonsense >"$leases/10.244.1.$i"; done
	cni ADD ca a; refused 101 "ADD, nothing can be known of those"; says "3 of another network namespace"; says "2 damaged files"
	rm "$leases"/hth* "$leases"/10.*
	base=$base_was
	clean at_work
}

# containerd pins the namespaces of its pods; when it lost its state nobody unpins them.
scene lost "pods that containerd lost, their namespaces pinned"
lost() {
	local base_was=$base p A i inside
	export HEARTH_CONTAINERD=$HEARTH_TMP/containerd
	local sandboxes=$HEARTH_CONTAINERD/io.containerd.grpc.v1.cri/sandboxes
	mkdir -p "$sandboxes"
	containerd_starts() { touch "$HEARTH_CONTAINERD/new"; mv "$HEARTH_CONTAINERD/new" "$HEARTH_CONTAINERD/containerd.sock"; }
	add_lost() { IN=$(conf) call ADD CNI_CONTAINERID="$1" "CNI_NETNS=/run/netns/cni-$id-$1" CNI_IFNAME=eth0; works "ADD $1"; }
	has() { [ -n "$(grep -ls "^container $1\$" "$leases"/hth*)" ] && on $host ip -o link | holds "hearth/hearth/$1/"; }
	has_not() { [ -z "$(grep -ls "^container $1\$" "$leases"/hth*)" ] && ! on $host ip -o link | holds "hearth/hearth/$1/"; }
	containerd_starts
	for p in lost1 lost2 known running; do netns_add "cni-$id-$p"; add_lost $p; [ $p != running ] || A=$OUT; done
	mkdir "$sandboxes/known"
	ip netns exec "cni-$id-running" sleep 1000 & inside=$!
	lives+=("$inside")
	cni ADD cb b; works ADD	# made by hand: nobody is in it either
	cni ADD ca a; works "ADD, nothing was started anew"
	for p in lost1 lost2 known running cb; do has $p || die "$p was taken, and containerd runs as before"; done
	cni DEL ca a
	containerd_starts
	cni ADD ca a; works "the first ADD for a new containerd"
	grep -q "2 leases.*containerd does not know them" "$HEARTH_TMP/stderr" || die "it does not say so: $ERR"
	for p in lost1 lost2; do has_not $p || die "of $p something is left: $(ls "$leases")"; done
	for p in known running cb; do has $p || die "$p was taken"; done
	reaches a "$(ip4 "$A")"
	cni DEL ca a
	ends $inside	# looked after as long as there is one
	cni ADD ca a; works "ADD after the lost pod's last process ended"
	has_not running && has known || die "leases: $(ls "$leases")"
	cni DEL ca a
	# It is looked once for each start; a range that is full is another reason.
	rmdir "$sandboxes/known"
	cni ADD ca a; works ADD
	has known || die "it was looked at all pods again, without a reason"
	cni DEL ca a; cni DEL cb b; cni DEL known b
	base='"name":"hearth","device":"hearth0","subnets":["10.244.1.200/30"]'	# one address, that nobody had
	netns_add "cni-$id-only"
	add_lost only
	mkdir "$sandboxes/only"
	containerd_starts
	cni ADD ca a; refused 101 "ADD, the only address is in use"; says "1 pods that live"
	rmdir "$sandboxes/only"
	cni ADD ca a; works "ADD into a range that a lost pod fills"
	[ "$(ip4 "$OUT")" = 10.244.1.202 ] && has_not only || die "the only address was $(ip4 "$OUT")"
	cni DEL ca a
	base=$base_was
	unset HEARTH_CONTAINERD
	for p in lost1 lost2 known running only; do ip netns del "cni-$id-$p"; done
	clean lost
}
