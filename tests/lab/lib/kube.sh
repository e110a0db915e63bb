# shellcheck shell=bash
# Real Kubernetes on the boards: containerd, kubelet and kubeadm as they are, with Hearth's files.
#
# What only this lab needs is kept apart from what Hearth writes: kubelet's own drop-in directory,
# one document in /etc/hearth/kubeadm.d, and units that let cgroups be written inside a board.

KUBE_LIST="kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy
	etcd etcdctl coredns containerd containerd-shim-runc-v2 ctr runc pause"

kc() { board_exec n100 kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }

kube_missing() {
	local p
	for p in $KUBE_LIST; do [ -x "$KUBEBIN/$p" ] || echo "$p"; done
}

kube_have() { local p; for p; do [ -x "$KUBEBIN/$p" ] || return 1; done; } # PROGRAM...

# The programs, and the container images made of them; else says why they cannot be had.
kube_make() {
	[ -z "$(kube_missing)" ] && kube_images_have && return 0
	need_prepared kube
	note "building Kubernetes $KUBE_VERSION and its images (once; about 12 minutes on two cores)"
	HEARTH_KUBE_VERSION=${KUBE_NEXT:-$KUBE_VERSION} "$SOURCE/tests/prepare" "kube${KUBE_NEXT:+-$KUBE_VERSION}" >&2
}

# The store of a private containerd is filled once; every board gets it as hard links, so five
# boards cost no more disk and page cache than one. What an upgrade will pull is in it from the start: it
# stands for the registry. Called by tests/prepare, which holds a lock.
kube_images_recipe() { { declare -f kube_images_make && cat "$SOURCE/tests/lab/mkimage.py"; } | sha256sum | cut -c1-12; }
kube_images_have() { [ "$(cat "$KUBE_STORE/done" 2>/dev/null)" = "$(kube_images_recipe)" ]; } # made as they are made today
kube_images_make() {
	local t=$KUBE_STORE.new pid v i p args box from
	local -A source=() # image: where its programs are
	local images=()
	rm -rf "$t"
	mkdir -p "$t/store"
	for v in "$KUBE_VERSION" $KUBE_NEXT; do
		for i in $("$CACHE/kube/$v/kubeadm" config images list --kubernetes-version "$v") localhost/hearth-box:1; do
			[ -n "${source[$i]:-}" ] || images+=("$i")
			source[$i]=${source[$i]:-$CACHE/kube/$v}
		done
	done
	[ ${#images[@]} -gt 1 ] || die "kubeadm names no images"
	cat >"$t/config.toml" <<-T
		version = 3
		root = "$t/store"
		state = "$t/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
		[grpc]
		address = "$t/sock"
	T
	PATH=$KUBEBIN:$PATH setpriv --pdeathsig KILL "$KUBEBIN/containerd" -c "$t/config.toml" >"$t/containerd.log" 2>&1 &
	pid=$!
	ctr() { "$KUBEBIN/ctr" -a "$t/sock" -n k8s.io images "$@"; }
	until_ok 20 ctr ls || die "containerd did not start, see $t/containerd.log"
	box=$(command -v busybox)
	for i in "${images[@]}"; do
		from=${source[$i]}
		p=${i##*/} p=${p%%:*}
		args=("$t/i.tar" "$i")
		case $p in
		coredns) args=(-c /coredns "${args[@]}" "$from/coredns=/coredns") ;;
		pause) args=(-c /pause "${args[@]}" "$from/pause=/pause") ;;
		etcd) args+=("$from/etcd=/usr/local/bin/etcd" "$from/etcdctl=/usr/local/bin/etcdctl") ;;
		# With no names of protocols nft lists numbers; kube-proxy, started anew, then takes its own elements for another's
		# and deletes them.
		kube-proxy)
			printf '%s\n' 'tcp 6 TCP' 'udp 17 UDP' 'sctp 132 SCTP' >"$t/protocols"
			args=(-l "${args[@]}" "$from/$p=/usr/local/bin/$p" "$(command -v nft)=/usr/sbin/nft" "$t/protocols=/etc/protocols") ;;
		# a shell, httpd, nslookup, and curl (wget of the static busybox needs files it has not got)
		hearth-box) args=(-l "${args[@]}" "$box=/bin/busybox" @busybox=/bin/sh @busybox=/bin/httpd "$(command -v curl)=/bin/curl") ;;
		*) args+=("$from/$p=/usr/local/bin/$p") ;;
		esac
		"$SOURCE/tests/lab/mkimage.py" "${args[@]}" && ctr import "$t/i.tar" >/dev/null || die "no image $i"
	done
	kill $pid
	wait $pid || :
	rm -rf "$t/i.tar" "$t/state" "$t/sock"* "$t/protocols"
	printf '%s\n' "${images[@]}" >"$t/names"
	kube_images_recipe >"$t/done"
	rm -rf "$KUBE_STORE"
	mv "$t" "$KUBE_STORE"
}

kube_store_fill() { # BOARD: what containerd there has of images, and nothing else
	local to=$S/boards/$1/containerd
	cp -al "$KUBE_STORE/store/." "$to/" 2>/dev/null || cp -a "$KUBE_STORE/store/." "$to/"
	(cd "$KUBE_STORE/store" && find . -name '*.db' -exec cp --remove-destination {} "$to/{}" \;)
}

# What a board must have before it boots so that kubeadm just works on it. Idempotent.
kube_board_files() { # BOARD
	local d=$S/boards/$1 r=$S/boards/$1/root p u
	[ -e "$d/kube" ] && return 0
	mkdir -p "$d/containerd" "$d/etcd"
	chmod 700 "$d/etcd"
	kube_store_fill "$1"
	for p in containerd containerd-shim-runc-v2 ctr runc kubeadm kubelet kubectl; do
		ln -sf "/opt/kube/$p" "$r/usr/bin/$p"
	done
	u=$r/usr/lib/systemd/system
	mkdir -p "$r/opt/cni/bin" "$r/etc/containerd" "$r/etc/cni/net.d" "$r/etc/kubernetes/manifests" "$r/root/.kube" \
		"$r/etc/kubernetes/kubelet.conf.d" "$u/kubelet.service.d" "$r/etc/hearth/kubeadm.d" \
		"$r/etc/systemd/system/sysinit.target.wants" "$r/etc/systemd/system/multi-user.target.wants"
	cp "$KUBEBIN"/cni/{loopback,portmap} "$r/opt/cni/bin/"
	ln -sf /etc/kubernetes/admin.conf "$r/root/.kube/config"
	kube_lab_files "$r"
	cat >"$r/etc/containerd/config.toml" <<-T
		version = 3
		[plugins.'io.containerd.cri.v1.images'.pinned_images]
		sandbox = "$(grep -m 1 /pause: "$KUBE_STORE/names")"
		[plugins.'io.containerd.cri.v1.runtime']
		restrict_oom_score_adj = true
		disable_apparmor = true
		[plugins.'io.containerd.cri.v1.runtime'.cni]
		bin_dirs = ["/opt/cni/bin"]
		[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
		runtime_type = "io.containerd.runc.v2"
		[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
		SystemdCgroup = false
	T
	cat >"$u/containerd.service" <<-'T'
		[Unit]
		Description=containerd container runtime
		After=network.target lab-kube.service
		[Service]
		ExecStart=/usr/bin/containerd
		Type=notify
		Delegate=yes
		KillMode=process
		Restart=always
		RestartSec=5
		TasksMax=infinity
		[Install]
		WantedBy=multi-user.target
	T
	# the two files of the kubelet and kubeadm packages
	cat >"$u/kubelet.service" <<-'T'
		[Unit]
		Description=kubelet: The Kubernetes Node Agent
		Wants=network-online.target
		After=network-online.target
		[Service]
		ExecStart=/usr/bin/kubelet
		Restart=always
		StartLimitInterval=0
		RestartSec=10
		[Install]
		WantedBy=multi-user.target
	T
	cat >"$u/kubelet.service.d/10-kubeadm.conf" <<-'T'
		[Service]
		Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
		Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
		EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
		EnvironmentFile=-/etc/default/kubelet
		ExecStart=
		ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
	T
	ln -sf /usr/lib/systemd/system/containerd.service /usr/lib/systemd/system/kubelet.service \
		"$r/etc/systemd/system/multi-user.target.wants/"
	printf '%s\n' net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.forwarding=1 >"$r/etc/sysctl.d/k8s.conf"
	touch "$d/kube"
}

kube_lab_files() { # ROOT: what this machine needs and a real board does not
	local r=$1
	# nspawn mounts the v1 controllers read-only; kubelet wants its mounts to be seen by pods
	cat >"$r/etc/systemd/system/lab-kube.service" <<-'U'
		[Unit]
		Description=writable cgroups and shared mounts (lab only)
		DefaultDependencies=no
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/sh -c 'for c in cpu cpuacct cpuset memory devices freezer blkio pids; do mount -o remount,rw,bind /sys/fs/cgroup/$c; done; mount --make-rshared /'
	U
	ln -sf ../lab-kube.service "$r/etc/systemd/system/sysinit.target.wants/"
	echo "KUBELET_EXTRA_ARGS=--config-dir=/etc/kubernetes/kubelet.conf.d" >"$r/etc/default/kubelet"
	cat >"$r/etc/kubernetes/kubelet.conf.d/10-lab.conf" <<-'T'
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		cgroupDriver: cgroupfs
		failCgroupV1: false
		failSwapOn: false
		oomScoreAdj: 0
		maxOpenFiles: 15000
	T
	# cgroup v1 is fatal for kubeadm 1.37; conntrack's sizes are not a namespace's to set
	cat >"$r/etc/hearth/kubeadm.d/lab.yaml" <<-'T'
		apiVersion: kubeadm.k8s.io/v1beta4
		kind: InitConfiguration
		nodeRegistration:
		  ignorePreflightErrors: [SystemVerification]
		---
		apiVersion: kubeadm.k8s.io/v1beta4
		kind: JoinConfiguration
		nodeRegistration:
		  ignorePreflightErrors: [SystemVerification]
		---
		apiVersion: kubeadm.k8s.io/v1beta4
		kind: UpgradeConfiguration
		apply: {ignorePreflightErrors: [SystemVerification]}
		node: {ignorePreflightErrors: [SystemVerification]}
		---
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		conntrack: {maxPerCore: 0, min: 0}
	T
}

# README's step "Kubernetes", line by line, and nothing between the lines but waiting for what they announce.
kube_up() {
	local line b
	[ -e "$S/kube" ] || die "boot the boards for it first: home up --kube"
	kube_readme >"$S/readme.lines"
	[ "$(wc -l <"$S/readme.lines")" -ge 5 ] || die "README.md tells only: $(<"$S/readme.lines")"
	while read -r line <&9; do
		case $line in
		enroll-node) on_each kube_say "${BOARDS[@]}" ;;
		"kubeadm join "*) on_each kube_join "${BOARDS[@]:1}" ;;
		*) kube_say n100 ;;
		esac || exit
		step "$line"
	done 9<"$S/readme.lines"
	until_ok 120 kube_ready || { kc get nodes >&2; die "not all nodes are Ready"; }
	step "five nodes are Ready"
	until_ok 150 kube_addons || { kc get pods -A -o wide >&2; die "kube-proxy or CoreDNS is not available"; }
	step "kube-proxy and CoreDNS run"
}
kube_readme() { sed -n '/^4\. Kubernetes/,/^   The first line/s/^ \{8\}sudo \([^#]*[^# ]\) *#.*/\1/p' "$SOURCE/README.md"; }
kube_say() { # BOARD: $line there
	local log=$S/$1-${line//[^a-z]/-}.log
	case $line in "kubeadm init "*) ! board_exec "$1" test -e /etc/kubernetes/admin.conf || { until_ok 60 kube_api_answers; return; } ;; esac
	# shellcheck disable=SC2086  # words
	board_exec "$1" $line </dev/null >"$log" 2>&1 || { tail -20 "$log" >&2; die "$line, on $1: failed, see $log"; }
}
kube_join() { # BOARD
	! board_exec "$1" test -e /etc/kubernetes/kubelet.conf || return 0
	until_ok 20 board_exec "$1" test -e "${line##* }" || die "$1 has no ${line##* } after hearth kube publish"
	kube_say "$1"
}

kube_api_answers() { kc get --raw /readyz >/dev/null; }

kube_ready() { [ "$(kc get nodes --no-headers | awk '$2 == "Ready"' | wc -l)" -eq ${#BOARDS[@]} ]; }
kube_addons() {
	kc -n kube-system rollout status --timeout=1s ds/kube-proxy && kc -n kube-system rollout status --timeout=1s deploy/coredns
}

kube_command() {
	local c=${1:-up}
	[ $# -eq 0 ] || shift
	case $c in
	up) kube_up ;;
	check) kube_check_all ;;
	kubectl) kc "$@" ;;
	programs) kube_make ;;
	help)
		printf '%s\n' 'home kube [up]          kubeadm init and join on the five boards (after: home up --kube)' \
			'home kube check           a pod on every board, each reaching each, a service and its NodePort' \
			'home kube kubectl ARG...  kubectl on n100' 'home kube programs      build Kubernetes and its images into the cache' ;;
	*) die "unknown command kube $c" ;;
	esac
}

# ---- the connectivity check of manifests/, and questions asked through it ----

CHECK_NS=hearth-connectivity
kube_check_up() { kc apply -k /usr/share/hearth/manifests/connectivity/lab >/dev/null && until_ok 90 kube_check_ready; }
kube_check_ready() { kc -n $CHECK_NS rollout status --timeout=1s ds/echo; }
kube_check_pods() { # one line per pod: node, addresses
	kc -n $CHECK_NS get pod -l app.kubernetes.io/name=echo \
		-o 'jsonpath={range .items[*]}{.spec.nodeName}{range .status.podIPs[*]}{" "}{.ip}{end}{" "}{.metadata.name}{"\n"}{end}'
}
kube_in_pod() { # BOARD SCRIPT: in the check's pod there
	kc -n $CHECK_NS exec "$(kube_check_pods | awk -v b="$1" '$1 == b { print $NF }')" -- /bin/busybox sh -c "$2"
}
url() { case $1 in *:*) echo "http://[$1]:$2/" ;; *) echo "http://$1:$2/" ;; esac; } # ADDRESS PORT

kube_pods_reach_pods() { # from the pod on BOARD to every pod, both families; each must answer with its node's name
	local node a4 a6 _ want='' script='' said
	while read -r node a4 a6 _; do
		script="$script curl -sm 5 $(url "$a4" 8080); curl -sm 5 $(url "$a6" 8080);"
		want="$want$node $node "
	done < <(kube_check_pods)
	said=$(kube_in_pod "$1" "$script" | paste -sd' ')
	[ "$said " = "$want" ] && [ "$(wc -w <<<"$said")" -eq $((2 * ${#BOARDS[@]})) ] || { echo "on $1: wanted $want, got $said"; return 1; }
}

kube_service() { kc -n $CHECK_NS get svc echo -o "jsonpath=$1"; }
kube_service_answers() { # BOARD: the ClusterIPs, often enough to meet several pods; then the name
	local c4 c6 said
	c4=$(kube_service '{.spec.clusterIPs[0]}') c6=$(kube_service '{.spec.clusterIPs[1]}')
	said=$(kube_in_pod "$1" "for i in 1 2 3 4 5 6; do curl -sfm 5 $(url "$c4" 8080) || echo NO4; curl -sfm 5 $(url "$c6" 8080) || echo NO6; done") || return 1
	case $said in *NO*) echo "$c4 and $c6 from $1: $said"; return 1 ;; esac
	[ "$(sort -u <<<"$said" | wc -l)" -ge 2 ] || { echo "always the same pod: $said"; return 1; }
	kube_in_pod "$1" "curl -sfm 8 http://echo.$CHECK_NS.svc.cluster.local:8080/ && busybox nslookup kubernetes.default.svc.cluster.local" |
		grep -qE '(^|[^0-9.])10\.96\.0\.1$' || { echo "by name, from $1"; return 1; }
}
# From BOARD itself, of every board at both its mesh addresses; each answer is the name of a board.
kube_nodeport_answers() { # BOARD
	local b f port urls=() said
	port=$(kube_service '{.spec.ports[0].nodePort}') && [ -n "$port" ] || { echo "the service has no NodePort"; return 1; }
	for b in "${BOARDS[@]}"; do for f in 4 6; do urls+=("$(url "$(mesh_address "$b" $f)" "$port")"); done; done
	said=$(board_exec "$1" python3 -c '
import sys, urllib.request as u
from concurrent.futures import ThreadPoolExecutor
def ask(url):
    try:
        return u.urlopen(url, timeout=8).read().decode().strip()
    except OSError as e:
        return "%s: %s" % (url, e)
with ThreadPoolExecutor(len(sys.argv)) as pool:
    print("\n".join(pool.map(ask, sys.argv[1:])))' "${urls[@]}") || { echo "$said"; return 1; }
	[ "$(grep -cxF "$(printf '%s\n' "${BOARDS[@]}")" <<<"$said")" -eq $((2 * ${#BOARDS[@]})) ] || { echo "NodePort $port, asked from $1: $said"; return 1; }
}
# What process 1 of the pod wrote comes back through the API server and the board's kubelet.
kube_logs() { # BOARD
	kube_in_pod "$1" "echo said-on-$1 >/proc/1/fd/1" &&
		until_ok 10 kube_logged "$1" || { echo "not in: $(kube_log_of "$1")"; return 1; }
}
kube_log_of() { kc -n $CHECK_NS logs "$(kube_check_pods | awk -v b="$1" '$1 == b { print $NF }')"; }
kube_logged() { kube_log_of "$1" | holds -xF "said-on-$1"; }

kube_check_all() {
	local b
	kube_check_up || { kc -n $CHECK_NS get pods -o wide >&2; die "the connectivity check's pods did not start"; }
	step "a pod runs on every board"
	for b in "${BOARDS[@]}"; do kube_pods_reach_pods "$b" || die "pods do not reach pods"; done
	step "every pod reaches every pod, over IPv4 and IPv6"
	for b in "${BOARDS[@]}"; do kube_service_answers "$b" || die "the service does not answer"; kube_nodeport_answers "$b" >/dev/null || die "a NodePort does not answer"; done
	step "the service, its name and its NodePort answer from every board"
}
