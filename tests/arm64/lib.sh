# shellcheck shell=bash
# Hearth for arm64, made and tried on another machine. Sourced by tests/run, tests/prepare and the tests
# test-arm64-*; needs $HEARTH_SOURCE and $HEARTH_CACHE.
#
# The arm64 packages are unpacked into trees below $HEARTH_CACHE/arm64, by an apt with a state of its own:
# nothing of this machine's own packages changes. They come from where this machine's own packages come
# from; if there are none for arm64 there, the caller is told so by status 77.
#
#   sysroot      what programs are linked with
#   guest        what an emulated machine consists of, and its disk, GUEST.img
#   kernel       its kernel, modules.img and initrd.gz
#   kernel-16k   another, with pages of 16 KiB
ARM64=$HEARTH_CACHE/arm64
ARM64_BUILD=${HEARTH_ARM64_BUILD:-$HEARTH_SOURCE/build-arm64}

arm64_group() { awk -v want="$1" '$1 == want { print $2 }' "$HEARTH_SOURCE/provision/packages.list"; }
arm64_needs() {	# PROGRAM...
	local p
	for p; do command -v "$p" >/dev/null || { echo "needs $p"; return 77; }; done
}

# Sets $packages; $only, if not all that they depend on is wanted; $suite, if it is another release's; $tree.
# shellcheck disable=SC2034,SC2207  # used by callers; names of packages are words
arm64_item() {	# ITEM
	only=('') suite=
	case $1 in
	sysroot) packages=($(arm64_group build | grep -e '-dev$')) ;;
	guest) packages=($(arm64_group guest)) ;;
	kernel) packages=(linux-image-cloud-arm64 busybox-static) only=(linux-image- busybox-static) ;;
	kernel-16k) packages=(linux-image-arm64-16k busybox-static) only=(linux-image- busybox-static) suite=trixie ;;	# Debian 12 has none
	*) echo "there is no item $1"; return 1 ;;
	esac
	tree=$ARM64/$1.$(printf '%s\n' "${packages[@]}" | sort | sha256sum | cut -c1-12)
}
arm64_have() {	# ITEM: sets $tree
	arm64_item "$1" || return
	case $1 in
	sysroot) [ -d "$tree" ] ;;
	guest) [ -e "$tree.img" ] ;;
	kernel*) [ -e "$tree/initrd.gz" ] ;;
	esac
}

arm64_apt() {	# DIR: its configuration, $APT_CONFIG for what follows
	local f sources=
	mkdir -p "$1"/lists/partial "$1"/cache/archives/partial "$1/sources"
	: >"$1/status"
	if [ -n "$suite" ]; then	# the same sources, of that release
		for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
			[ ! -e "$f" ] || sed "s/\<$(. /etc/os-release && echo "$VERSION_CODENAME")\>/$suite/g" "$f" >"$1/sources/${f##*/}"
		done
		sources="Dir::Etc::sourcelist \"/dev/null\"; Dir::Etc::sourceparts \"$1/sources\";"
	fi
	cat >"$1/conf" <<-CONF
		APT::Architecture "arm64"; APT::Architectures { "arm64"; };
		APT::Sandbox::User "root"; APT::Install-Recommends "false"; $sources
		Dir::State "$1"; Dir::State::status "$1/status"; Dir::State::lists "$1/lists"; Dir::Cache "$1/cache";
	CONF
	export APT_CONFIG=$1/conf
}

# Not dpkg-deb -x: that would put a directory in the place of the link /lib.
arm64_unpack() (	# DIR: $packages
	dir=$1 apt=$ARM64/apt${suite:+-$suite}
	rm -rf "$dir" "$apt"/cache/archives/*.deb
	mkdir -p "$dir"/usr/{bin,sbin,lib}
	for d in bin sbin lib; do ln -s "usr/$d" "$dir/$d" || exit; done
	arm64_apt "$apt"
	apt-get update -qq >"$apt/log" 2>&1
	apt-get install -y -qq --download-only "${packages[@]}" >>"$apt/log" 2>&1 || {
		tail -3 "$apt/log"
		echo "this machine's package sources do not offer for arm64: ${packages[*]}"
		exit 77
	}
	for o in "${only[@]}"; do
		for d in "$apt"/cache/archives/"$o"*.deb; do
			dpkg-deb --fsys-tarfile "$d" | tar -x -C "$dir" --keep-directory-symlink || exit
		done
	done
	rm -f "$apt"/cache/archives/*.deb
)

arm64_image() {	# FILE DIR: a disk with what is in DIR
	local kib
	kib=$(du -sk "$2" | cut -f1)
	rm -f "$1.new"
	mke2fs -q -t ext4 -O ^has_journal -d "$2" "$1.new" $((kib + kib / 4 + 65536))k >/dev/null && mv "$1.new" "$1"
}

# The guest's first programs: they load what its disks need, and hand over to /hearth/init (guest.sh).
arm64_initrd() {	# TREE OF THE KERNEL, VERSION
	local w=$1/initrd m f n=100
	mkdir -p "$w"/{bin,mod,proc,sys,dev,new}
	cp "$1/bin/busybox" "$w/bin/"
	for m in virtio_pci virtio_blk virtio_rng crc32c_generic ext4; do
		for f in $(modprobe -d "$1" -S "$2" --show-depends $m 2>/dev/null | sed -n 's/^insmod //p'); do
			! compgen -G "$w/mod/*-$(basename "$f" .xz)" >/dev/null || continue
			case $f in
			*.xz) xz -dc "$f" >"$w/mod/$n-$(basename "$f" .xz)" ;;
			*) cp "$f" "$w/mod/$n-$(basename "$f")" ;;
			esac
			n=$((n + 1))
		done
	done
	cat >"$w/init" <<-'INIT'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		export PATH=/bin
		mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
		for m in /mod/*; do insmod $m; done
		for _ in $(seq 100); do [ ! -e /dev/vdc ] || break; sleep 0.1; done
		mount /dev/vda /new && mkdir -p /new/lib/modules /new/hearth && mount /dev/vdb /new/lib/modules &&
			mount /dev/vdc /new/hearth || poweroff -f
		mount --move /dev /new/dev
		umount /proc /sys
		exec switch_root /new /bin/bash /hearth/init
	INIT
	chmod +x "$w/init"
	(cd "$w" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$1/initrd.gz.new" && mv "$1/initrd.gz.new" "$1/initrd.gz"
}

arm64_make_locked() {	# ITEM
	local version
	arm64_have "$1" && return
	if [ ! -d "$tree" ]; then
		rm -rf "$ARM64/$1".*
		arm64_unpack "$tree.new" && mv "$tree.new" "$tree" || return
	fi
	case $1 in
	guest) arm64_image "$tree.img" "$tree" ;;
	kernel*) version=$(ls "$tree/lib/modules") && depmod -b "$tree" "$version" &&
		arm64_image "$tree/modules.img" "$tree/lib/modules" && arm64_initrd "$tree" "$version" ;;
	esac
}
arm64_make() {	# ITEM: if it is not there; who comes second waits for the first. Sets $tree
	local lock status=0
	! arm64_have "$1" || return 0
	[ "$1" = sysroot ] || arm64_needs mke2fs modprobe depmod busybox || return
	mkdir -p "$ARM64"
	exec {lock}>"$ARM64/lock"
	flock "$lock"
	arm64_make_locked "$1" || status=$?
	exec {lock}>&-
	return $status
}

arm64_build() {	# into $ARM64_BUILD, warnings are errors. Sets $tree to what it is linked with
	local launcher=() log=$ARM64_BUILD/log
	arm64_needs aarch64-linux-gnu-gcc cmake ninja pkg-config || return
	arm64_make sysroot || return
	[ "$(cat "$ARM64_BUILD/sysroot" 2>/dev/null)" = "$tree" ] || rm -rf "$ARM64_BUILD"
	mkdir -p "$ARM64_BUILD"
	echo "$tree" >"$ARM64_BUILD/sysroot"
	command -v ccache >/dev/null && launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
	{ cmake -S "$HEARTH_SOURCE" -B "$ARM64_BUILD" -G Ninja -DHEARTH_WERROR=ON "${launcher[@]}" -DCMAKE_SYSROOT="$tree" \
		-DCMAKE_TOOLCHAIN_FILE="$HEARTH_SOURCE/tests/arm64/toolchain.cmake" && ninja -C "$ARM64_BUILD"; } >"$log" 2>&1 ||
		{ tail -60 "$log"; return 1; }
}

# Every object of the programs says that it may be run with branch targets and return addresses checked; a
# program says so itself where the C library's start files do, too.
arm64_protected() {
	local o n=0 without=0
	while read -r o; do
		n=$((n + 1))
		[[ $(aarch64-linux-gnu-readelf -n "$o") == *'AArch64 feature: BTI, PAC'* ]] || { without=$((without + 1)); echo "FAIL: $o"; }
	done < <(find "$ARM64_BUILD"/daemon "$ARM64_BUILD"/provision "$ARM64_BUILD"/cni -name '*.o')
	echo "$without of $n objects without it"
	[ $n -gt 100 ] && [ $without -eq 0 ]
}
