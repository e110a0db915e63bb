# shellcheck shell=bash
# Roots made once by debootstrap, read-only for everybody afterwards; the boards' image is one of them.
# They follow this machine's release, so that programs built here find their libraries there. Each is kept
# under $CACHE by a hash of what it is made of, so a changed list makes another one.

LIST=$SOURCE/provision/packages.list
listed() { awk -v want=" $* " '!/^#/ && index(want, " " $1 " ") { print $2 }' "$LIST" | sort -u; } # KIND...

# HEARTH_SUITE names another release; where debootstrap does not know this machine's it is Debian 12.
# shellcheck disable=SC2120  # a test gives others
host_suite() ( # [FILE]; derived distributions say what they are made of
	# shellcheck source=/dev/null
	. "${1:-/etc/os-release}" 2>/dev/null
	case ${ID:-} in debian | ubuntu) ;; *) VERSION_CODENAME=${UBUNTU_CODENAME:-${DEBIAN_CODENAME:-}} ;; esac
	echo "${VERSION_CODENAME:-}"
)
HOST_SUITE=$(host_suite)
suite_is_known() { [ -n "$1" ] && { [ ! -d /usr/share/debootstrap/scripts ] || [ -e "/usr/share/debootstrap/scripts/$1" ]; }; }
if [ -n "${HEARTH_SUITE:-}" ]; then SUITE=$HEARTH_SUITE; elif suite_is_known "$HOST_SUITE"; then SUITE=$HOST_SUITE; else SUITE=bookworm; fi
IMAGE_VERSION=1	# change it when image_configure changes
IMAGE_KINDS=board IMAGE_ITEM=image	# of packages.list, beside the libraries; of tests/prepare
image_use() { IMAGE_KINDS="board $1" IMAGE_ITEM=image-$1; }	# KIND: with these packages, too
image_hash() { { awk -v kinds=" board-12 build $IMAGE_KINDS " 'index(kinds, " " $1 " ")' "$LIST"; echo "$SUITE $IMAGE_VERSION"; } | sha256sum | cut -c1-12; }
image_dir() { echo "$CACHE/board-$SUITE-$(image_hash)"; }

# The libraries are those that this machine's -dev packages belong to: their names differ between
# releases (libcurl4, libcurl4t64), and a package of another release would not fit anyway.
board_libraries() {
	local dev
	[ "$SUITE" = "$HOST_SUITE" ] || { listed board-12; return; }
	dev=$(listed build | grep '^lib.*-dev$')
	# shellcheck disable=SC2086  # a list of names
	dpkg-query -W -f '${Depends}\n' $dev >/dev/null || die "install what packages.list names for \"build\" first"
	# shellcheck disable=SC2086
	dpkg-query -W -f '${Depends}\n' $dev | tr ',' '\n' | sed -n 's/^ *\(lib[^ ]*\) (= .*/\1/p' | grep -vE -- '-(dev|bin)$' | sort -u
}
# Of the tools, those that the release has: systemd-resolved is a package of its own only since Debian 12.
board_tools() {
	local all have
	# shellcheck disable=SC2086  # words
	all=$(listed $IMAGE_KINDS)
	# shellcheck disable=SC2086
	[ "$SUITE" != "$HOST_SUITE" ] || have=$(apt-cache show --no-all-versions $all 2>/dev/null | sed -n 's/^Package: //p' | sort -u)
	grep -qx systemd <<<"${have:-}" || have=$all	# apt has no lists here, or speaks of another release
	comm -12 <(echo "$all") <(echo "$have")
}
board_packages() { { board_tools && board_libraries; } | sort -u | paste -sd,; }

# What a root in which Hearth is built needs beside a compiler of each kind.
root_packages() { { listed build; printf '%s\n' ca-certificates clang valgrind; } | sort -u | paste -sd,; }
root_dir() { echo "$CACHE/root-$1-$(root_packages | sha256sum | cut -c1-12)"; } # SUITE

# The mirror that this machine's apt uses for the suite, or for its own: a Debian mirror has all of them.
# Nothing where it has none: debootstrap knows one.
image_mirror() { # SUITE
	apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
		awk -v s="$1" -v h="$HOST_SUITE" -v both="$(suite_family "$1" "$HOST_SUITE")" '$3 != "main" { next }
			$2 == s { print $1; found = 1; exit } $2 == h && both == 1 && !own { own = $1 }
			END { if (!found && own) print own }'
}
suite_family() { # SUITE SUITE...: how many families they are of
	local s
	for s; do grep -q ubuntu "/usr/share/debootstrap/scripts/$s" 2>/dev/null && echo ubuntu || echo debian; done | sort -u | wc -l
}

root_impossible() { # says why no root can be made here; silent and 1 if it can
	if [ "$(id -u)" != 0 ]; then
		echo "needs root"
	elif ! command -v debootstrap >/dev/null; then
		echo "needs debootstrap; provision/packages.list names what the lab needs"
	else
		return 1
	fi
}

root_debootstrap() { # ROOT SUITE PACKAGE,...
	local parts=main
	! grep -qs ubuntu "/usr/share/debootstrap/scripts/$2" || parts=main,universe
	# shellcheck disable=SC2046  # none is no argument
	debootstrap --variant=minbase --components=$parts --include="$3" "$2" "$1" $(image_mirror "$2") || {
		tail -5 "$1/debootstrap/debootstrap.log" 2>/dev/null
		die "debootstrap of $2 failed"
	}
	rm -f "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*_*
}

# Called by tests/prepare, which holds a lock.
root_build() { # DIR SUITE PACKAGE,...: DIR/root
	rm -rf --one-file-system "$1" "$1.new"
	mkdir -p "$1.new"
	root_debootstrap "$1.new/root" "$2" "$3"
	touch "$1.new/done"
	mv "$1.new" "$1"
}
image_build() {
	local dir tmp
	dir=$(image_dir) tmp=$dir.new
	rm -rf --one-file-system "$dir" "$tmp"
	mkdir -p "$tmp"
	root_debootstrap "$tmp/root" "$SUITE" "$(board_packages)"
	ssh-keygen -q -t ed25519 -N '' -C hearth-lab -f "$tmp/key"
	image_configure "$tmp/root" "$tmp/key.pub"
	touch "$tmp/done"
	mv "$tmp" "$dir"
}

image_make() {
	[ -e "$(image_dir)/done" ] && return 0
	need_prepared "$IMAGE_ITEM"
	note "making the boards' image (once, a minute or two)"
	"$SOURCE/tests/prepare" "$IMAGE_ITEM" >&2 || die "no image for the boards"
}

image_configure() { # ROOT PUBLIC-KEY
	local r=$1
	install -d -m 700 "$r/root/.ssh"
	install -m 600 "$2" "$r/root/.ssh/authorized_keys"
	: >"$r/etc/machine-id"	# every board makes its own at boot
	rm -f "$r/var/lib/dbus/machine-id"
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
	# what only one board is to run, or whoever a test starts it for
	chroot "$r" systemctl -q disable xrdp xrdp-sesman tinyproxy 2>/dev/null || :
}

# Says what the loader says of each built program that does not start on the boards: one that was built on
# another release, or for another machine. Nothing has booted yet.
image_starts_programs() { # LAYER
	local p said root=$S/try bad=''
	mkdir -p "$root"
	mount -t overlay "hearth-$LAB-try" -o "ro,lowerdir=$1:$(image_dir)/root" "$root"
	for p in usr/sbin/hearthd usr/sbin/hearth-coord usr/sbin/enroll-node usr/bin/hearth; do [ -e "$1/$p" ] || bad="no $p"; done
	while IFS= read -r p; do
		said=$(chroot "$root" bash -c 'exec "$0" --version' "$p" 2>&1 </dev/null) || bad="$bad"$'\n'"  $p: $said"
	done < <(cd "$1" && find usr opt -type f -perm -100 -exec sh -c 'head -c 4 "$1" | grep -q ELF && echo "/$1"' sh {} \; 2>/dev/null)
	umount "$root"
	[ -z "$bad" ] || die "what $BUILD holds does not start on the boards ($SUITE):$bad
Build it on that release, or for the boards' machine; HEARTH_SUITE gives the boards another release"
}
