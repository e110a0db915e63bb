# shellcheck shell=bash
# An emulated arm64 machine with Debian's own kernel, for the tests test-arm64-*: it boots, runs one command
# as root, and is switched off. Sourced; needs $HEARTH_SOURCE, $HEARTH_CACHE, $HEARTH_TMP.
#
#   vda  its programs (packages.list: guest), unpacked, not set up: no services, no systemd
#   vdb  the kernel's modules
#   vdc  this tree and the build for arm64, which appear at the same paths as here, and the command
#
# What is written in there is lost. Its console is what guest_run prints.
. "$HEARTH_SOURCE/tests/arm64/lib.sh"
GUEST_KERNEL=kernel	# or kernel-16k
GUEST_CPU=cortex-a72	# a Raspberry Pi 4's

guest_script() {	# COMMAND...: its process 1
	cat <<-'INIT'
		export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
		mkdir -p /proc /sys /run /tmp /dev/pts /dev/shm /mnt /root /var/run
		mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devpts pts /dev/pts
		mount -t tmpfs -o mode=755 run /run; mount -t tmpfs tmp /tmp; mount -t tmpfs shm /dev/shm
		mount -t cgroup2 cgroup /sys/fs/cgroup
		ln -s /proc/self/fd /dev/fd; ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr
		[ -e /usr/bin/awk ] || ln -s mawk /usr/bin/awk
		[ -L /var/run ] || { rmdir /var/run; ln -s /run /var/run; }
		cp /usr/share/base-passwd/passwd.master /etc/passwd; cp /usr/share/base-passwd/group.master /etc/group
		echo guest >/etc/hostname; hostname guest; printf '127.0.0.1 localhost\n::1 localhost\n' >/etc/hosts
		# one after another they take an emulated machine longer than nft may take
		modprobe -qa tun veth bridge wireguard nf_tables nft_chain_nat nft_masq nft_ct nft_fib_inet nft_limit nft_reject_inet nft_numgen nf_conntrack_netlink
		chmod 666 /dev/net/tun	# as udev does
		ip link set lo up
	INIT
	printf 'date -s @%s >/dev/null\n' "$(date +%s)"
	printf 'mkdir -p %q; mount --bind /hearth/%s %q\n' "$HEARTH_SOURCE" source "$HEARTH_SOURCE" "$ARM64_BUILD" build "$ARM64_BUILD"
	printf 'export HEARTH_SOURCE=%q HEARTH_BUILD=%q HEARTH_TMP=/tmp/test HEARTH_CACHE=/tmp/cache\n' "$HEARTH_SOURCE" "$ARM64_BUILD"
	cat <<-'INIT'
		mkdir -p $HEARTH_TMP $HEARTH_CACHE
		echo "guest: $(uname -rm), pages of $(getconf PAGESIZE) bytes, up after $(cut -d' ' -f1 /proc/uptime) s"
		cd "$HEARTH_SOURCE"
	INIT
	printf '%q ' "$@"
	printf '</dev/null\necho "guest: status $? after $(cut -d" " -f1 /proc/uptime) s"\nbusybox poweroff -f\n'
}

# The build is made first. Returns what COMMAND did; 77 and a last line that says why if there is no guest.
guest_run() {	# COMMAND...
	local stage=$HEARTH_TMP/stage guest kernel part
	arm64_needs qemu-system-aarch64 && arm64_build && arm64_make guest || return
	guest=$tree.img
	arm64_make "$GUEST_KERNEL" || return
	kernel=$tree
	mkdir -p "$stage"/{source,build}
	(cd "$HEARTH_SOURCE" && git ls-files -coz --exclude-standard | xargs -0 cp --parents -Pt "$stage/source") || return
	for part in bin unit unit-tools fuzz lab; do cp -a "$ARM64_BUILD/$part" "$stage/build/"; done
	guest_script "$@" >"$stage/init"
	arm64_image "$HEARTH_TMP/work.img" "$stage" || return
	rm -rf "$stage"
	qemu-system-aarch64 -M virt -cpu "$GUEST_CPU" -accel tcg,thread=multi,tb-size=256 -smp 2 -m 1024 \
		-nodefaults -no-user-config -display none -serial stdio -no-reboot \
		-kernel "$kernel"/boot/vmlinuz-* -initrd "$kernel/initrd.gz" -append "console=ttyAMA0 quiet panic=-1" \
		-drive "file=$guest,if=none,id=a,format=raw,snapshot=on" -device virtio-blk-pci,drive=a \
		-drive "file=$kernel/modules.img,if=none,id=b,format=raw,snapshot=on" -device virtio-blk-pci,drive=b \
		-drive "file=$HEARTH_TMP/work.img,if=none,id=c,format=raw,cache=unsafe" -device virtio-blk-pci,drive=c \
		-device virtio-rng-pci </dev/null 2>&1 | sed -u 's/\r//' | tee "$HEARTH_TMP/console"
	part=$(sed -n 's/^guest: status \([0-9]*\) .*/\1/p' "$HEARTH_TMP/console" | tail -1)
	[ -n "$part" ] || { echo "FAIL: the guest ended without a word"; return 1; }
	return "$part"
}
