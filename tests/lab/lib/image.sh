# shellcheck shell=bash
# The board image: a Debian root made once by debootstrap, read-only for everybody afterwards.
# It is kept under $CACHE by a hash of what it is made of, so a changed list makes another one.

board_packages() { awk '$1 == "board" { print $2 }' "$SOURCE/provision/packages.list" | sort -u | paste -sd,; }
SUITE=bookworm
IMAGE_VERSION=1	# change it when image_configure changes
image_hash() { { board_packages; echo "$SUITE $IMAGE_VERSION"; } | sha256sum | cut -c1-12; }
image_dir() { echo "$CACHE/board-$(image_hash)"; }

# The mirror that this machine's apt uses for the suite; nothing where it has none: debootstrap knows one.
image_mirror() {
	apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
		awk -v s="$SUITE" '$2 == s && $3 == "main" { print $1; exit }'
}

image_make() {
	local dir tmp
	dir=$(image_dir)
	[ -e "$dir/done" ] && return 0
	command -v debootstrap >/dev/null || die "debootstrap is missing; provision/packages.list names what the lab needs"
	mkdir -p "$CACHE"
	(
		flock 8
		[ -e "$dir/done" ] && exit 0
		note "making the boards' image (once, a minute or two): $dir"
		tmp=$dir.new
		rm -rf "$dir" "$tmp"
		mkdir -p "$tmp"
		# shellcheck disable=SC2046  # none is no argument
		debootstrap --variant=minbase --include="$(board_packages)" "$SUITE" "$tmp/root" $(image_mirror) \
			>"$tmp/debootstrap.log" 2>&1 8>&- || { tail -5 "$tmp/debootstrap.log" >&2; die "debootstrap failed, see $tmp/debootstrap.log"; }
		ssh-keygen -q -t ed25519 -N '' -C hearth-lab -f "$tmp/key"
		image_configure "$tmp/root" "$tmp/key.pub"
		touch "$tmp/done"
		mv "$tmp" "$dir"
	) 8>"$CACHE/board.lock"
}

image_configure() { # ROOT PUBLIC-KEY
	local r=$1
	install -d -m 700 "$r/root/.ssh"
	install -m 600 "$2" "$r/root/.ssh/authorized_keys"
	: >"$r/etc/machine-id"	# every board makes its own at boot
	rm -f "$r/var/lib/dbus/machine-id" "$r"/var/cache/apt/archives/*.deb "$r"/var/lib/apt/lists/*_*
	rm -f "$r"/etc/ssh/ssh_host_*	# likewise, when sshd starts
	chroot "$r" systemctl -q enable systemd-resolved ssh
	chroot "$r" systemctl -q mask systemd-udevd.service systemd-udev-trigger.service \
		systemd-udevd-control.socket systemd-udevd-kernel.socket \
		getty@tty1.service console-getty.service systemd-networkd-wait-online.service \
		apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer
	mkdir -p "$r/etc/systemd/journald.conf.d" "$r/etc/systemd/resolved.conf.d" "$r/var/log/journal"
	printf '[Journal]\nStorage=persistent\nSystemMaxUse=32M\nSyncIntervalSec=5s\n' >"$r/etc/systemd/journald.conf.d/lab.conf"
	# the home router, which answers nothing: names are the board's own business here
	printf '[Resolve]\nDNS=192.168.50.1\nLLMNR=no\n' >"$r/etc/systemd/resolved.conf.d/lab.conf"
	mkdir -p "$r/etc/systemd/system/ssh.service.d"
	printf '[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -q -A\nExecStartPre=/usr/sbin/sshd -t\n' \
		>"$r/etc/systemd/system/ssh.service.d/lab.conf"
	printf 'PermitRootLogin prohibit-password\nUseDNS no\n' >"$r/etc/ssh/sshd_config.d/lab.conf"
}
