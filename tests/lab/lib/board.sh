# shellcheck shell=bash
# Boards: real systemd machines, systemd-nspawn without machined, each in its own network
# namespace, on an overlay of (highest first) its own disk, the installed programs, the image.
#
# A board's processes, its supervisor included, are in cgroups of its own (hearth-lab-NAME.BOARD):
# nspawn puts the payload into "<its own cgroup>/payload", so two boards must never share one, and
# whatever happened before, killing what is in there ends the board.

CGROUPS="unified systemd memory pids"
KUBE_CGROUPS="cpu cpuacct cpuset blkio devices freezer"	# only for boards that run Kubernetes
cgroup() { echo "hearth-lab-$LAB.$1"; }

board_pid() { # the host's pid of the board's PID 1 (changes when the board reboots)
	local g p f pids=
	g=$(cgroup "$1")
	for f in /sys/fs/cgroup/{systemd/,unified/,}"$g"/payload/init.scope/cgroup.procs; do
		[ -e "$f" ] && pids="$pids $(cat "$f" 2>/dev/null)"
	done
	for p in $pids; do
		grep -qsE '^NSpid:.*[[:space:]]1$' "/proc/$p/status" && { echo "$p"; return 0; }
	done
	return 1
}
board_alive() { board_pid "$1" >/dev/null; }

# Every systemd watches files: the kernel's limit for one user is too low for more than one lab.
board_limits() {
	local f=/proc/sys/fs/inotify/max_user_instances
	[ "$(cat $f)" -ge 1024 ] || echo 1024 >$f 2>/dev/null || note "fs.inotify.max_user_instances is $(cat $f): too few for many boards"
}

# Below a chroot the kernel makes no user namespaces, and units that ask for one would not start.
in_chroot() { [ "$(stat -Lc %d:%i /)" != "$(stat -Lc %d:%i /proc/1/root 2>/dev/null)" ]; }
board_without_user_namespaces() { # ROOT
	local u d
	for u in "$S"/programs/usr/lib/systemd/system/hearth*.service; do
		grep -qs '^PrivateUsers=yes' "$u" || continue
		d=$1/etc/systemd/system/${u##*/}.d
		mkdir -p "$d"
		printf '[Service]\nPrivateUsers=no\n' >"$d/lab-chroot.conf"
	done
}

board_root() { echo "$S/boards/$1/root"; }

board_mount() { # BOARD
	local d=$S/boards/$1 lower
	mkdir -p "$d/upper" "$d/work" "$d/root"
	mountpoint -q "$d/root" && return 0
	lower=$(image_dir)/root
	[ ! -e "$S/programs" ] || [ -e "$S/bare" ] || lower=$S/programs:$lower
	mount -t overlay "hearth-$LAB-$1" -o "lowerdir=$lower,upperdir=$d/upper,workdir=$d/work" "$d/root"
	! in_chroot || board_without_user_namespaces "$d/root"
	echo "$1" >"$d/root/etc/hostname"
	printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost ip6-loopback\n' "$1" >"$d/root/etc/hosts"
}

board_up() { # BOARD: returns as soon as its PID 1 is there
	local b=$1 d=$S/boards/$1
	board_alive "$b" && return 0
	board_sweep "$b"
	board_mount "$b"
	[ ! -e "$S/kube" ] || [ "$b" = laptop ] || kube_board_files "$b"
	net_board "$b"
	setsid "$SOURCE/tests/lab/home" _supervise "$b" </dev/null >>"$d/console.log" 2>&1 8>&- 9>&- &
	until_ok 60 board_alive "$b" || die "$b did not start; see $d/console.log"
}

board_supervise() { # BOARD: with --keep-unit nspawn ends with 133 when the board asks for a reboot
	local b=$1 d=$S/boards/$1 g c status=133 f
	local groups=$CGROUPS caps=CAP_NET_ADMIN,CAP_NET_RAW,CAP_SYS_NICE,CAP_BPF calls=bpf binds=()
	if [ -e "$S/kube" ] && [ "$b" != laptop ]; then
		groups="$CGROUPS $KUBE_CGROUPS" caps=all calls="bpf keyctl add_key perf_event_open"
		# containerd's overlays cannot lie on the board's own overlay
		binds=(--bind=/dev/kmsg "--bind=$d/containerd:/var/lib/containerd" "--bind=$d/etcd:/var/lib/etcd"
			"--bind-ro=$KUBEBIN:/opt/kube")
		[ -z "$KUBE_NEXT" ] || binds+=("--bind-ro=$CACHE/kube/$KUBE_NEXT:/opt/kube-next")
	fi
	g=$(cgroup "$b")
	[ -d /sys/fs/cgroup/unified ] || groups=.
	for c in $groups; do
		[ -d "/sys/fs/cgroup/$c" ] || continue
		mkdir -p "/sys/fs/cgroup/$c/$g"
		for f in cpuset.cpus cpuset.mems; do	# an empty cpuset takes no process
			[ "$c" != cpuset ] || cat "/sys/fs/cgroup/cpuset/$f" >"/sys/fs/cgroup/cpuset/$g/$f"
		done
		echo $$ >"/sys/fs/cgroup/$c/$g/cgroup.procs"
	done
	export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
	# a pure cgroup2 tree inside, as a real Debian 12 has (without controllers on a hybrid host)
	export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
	if [ "$caps" = all ]; then	# the controllers are on v1: the same mixture inside
		SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes
		[ ! -d /sys/fs/cgroup/unified ] || unset SYSTEMD_NSPAWN_UNIFIED_HIERARCHY
	fi
	# with the rights that udev gives it on a real board, whatever they are on this machine
	[ -e "$S/tun-$b" ] || mknod -m 666 "$S/tun-$b" c 10 200
	while [ $status -eq 133 ]; do
		status=0
		systemd-nspawn -q --register=no --keep-unit --boot -D "$d/root" \
			--machine="hearth-$LAB.$b" --hostname="$b" \
			--network-namespace-path="/run/netns/$(netns "$b")" --bind="$S/tun-$b:/dev/net/tun" \
			--capability="$caps" --system-call-filter="$calls" "${binds[@]}" \
			--resolv-conf=off --timezone=off --link-journal=no --console=pipe || status=$?
		[ $status -ne 133 ] || net_board "$b"
	done
	echo "nspawn ended with $status"
}

board_exec() { # BOARD CMD...
	local b=$1 p
	shift
	p=$(board_pid "$b") || die "$b is not running"
	nsenter -t "$p" -a -r -w env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root USER=root TERM="${TERM:-dumb}" LANG=C.UTF-8 "$@"
}

board_is_running() {
	local state
	state=$(board_exec "$1" systemctl is-system-running 2>/dev/null)
	[ "$state" = running ] || [ "$state" = degraded ]
}
board_wait() { # BOARD: until systemd has started everything
	local state
	until_ok 150 board_is_running "$1" || die "$1 did not finish booting; see: home exec $1 systemctl list-jobs"
	state=$(board_exec "$1" systemctl is-system-running) || :
	[ "$state" = running ] || note "$1 is $state: $(board_exec "$1" systemctl --failed --plain --no-legend | cut -d' ' -f1 | paste -sd' ')"
}
board_boot() { board_up "$1" && board_wait "$1"; }

board_gone() { ! board_alive "$1"; }
board_off() { # BOARD: orderly power-off
	local p
	p=$(board_pid "$1") || return 0
	kill -s RTMIN+4 "$p"
	until_ok 20 board_gone "$1" || board_cut "$1"
	board_sweep "$1"
}

board_cut() { # BOARD: the plug is pulled, whatever the board was doing
	local p
	p=$(board_pid "$1") && kill -9 "$p"
	board_sweep "$1"
}

# Ends what is left in the board's cgroups and removes them. (A killed board leaves its cgroups
# behind, which a power cut would not: kubelet would ask for every dead container in there.)
board_sweep() {
	local c g f p i
	g=$(cgroup "$1")
	for i in $(seq 100); do
		f=
		for c in $CGROUPS $KUBE_CGROUPS .; do
			[ -d "/sys/fs/cgroup/$c/$g" ] || continue
			f=1
			find "/sys/fs/cgroup/$c/$g" -name cgroup.procs -exec cat {} + 2>/dev/null |
				while read -r p; do kill -9 "$p" 2>/dev/null || :; done
			find "/sys/fs/cgroup/$c/$g" -depth -type d -exec rmdir {} + 2>/dev/null || :
		done
		[ -n "$f" ] || return 0
		[ "$i" -lt 3 ] || sleep 0.05
	done
	note "cgroups of $1 are left over"
}

board_umount() {
	local d=$S/boards/$1
	umount "$d/root" 2>/dev/null || umount -l "$d/root" 2>/dev/null || :
}
