# shellcheck shell=bash disable=SC2154
# For tests that begin on a machine with nothing on it: roots from debootstrap, each with the tree in /src.
# `. lib/test.sh`, then this. The clean root is kept in the cache; the cache itself is this machine's, so
# that the boards' image and Kubernetes' programs are not made again, unless a test sets $clean_cache.

clean=$CACHE/clean-$SUITE
[ -n "${HEARTH_TMP:-}" ] || { echo "needs HEARTH_TMP"; exit 77; }


# A mount namespace whose root is the machine's, held by a process that sleeps. A chroot would not do: the
# namespaces of boards and pods made in it would keep this machine's root, and `kubectl exec` end up there.
hold() { # MACHINE
	local root=$HEARTH_TMP/$1/root
	# shellcheck disable=SC2016
	unshare --mount --propagation private sh -c 'cd "$1" && pivot_root . . && umount -l . && cd / && exec sleep infinity' sh "$root" &
	echo $! >"$HEARTH_TMP/$1/holder"
	disown
	until_ok 10 held "$1" || die "no root for $1"
}
held() { [ "$(cat "/proc/$(holder "$1")/comm")" = sleep ]; }
holder() { cat "$HEARTH_TMP/$1/holder"; }

in_root() { # MACHINE CMD...: in its root, and in its network if it has one
	local m=$1 ns=(-m)
	shift
	[ ! -e "/run/netns/hearth-$LAB-$m" ] || ns+=("--net=/run/netns/hearth-$LAB-$m")
	nsenter -t "$(holder "$m")" "${ns[@]}" env -i -C / PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
		HEARTH_CACHE=/cache HEARTH_LAB="$LAB" "$@"
}
leave() {
	local status=$? m p n
	[ ! -e "$HEARTH_TMP/lab/holder" ] || in_root lab /src/tests/lab/home down
	for m in "$HEARTH_TMP"/*/holder; do	# daemons that were started without systemd, and the holder
		m=$(readlink "/proc/$(cat "$m")/ns/mnt") || continue
		for p in /proc/[0-9]*; do
			[ "$(readlink "$p/ns/mnt" 2>/dev/null)" != "$m" ] || kill -9 "${p##*/}" 2>/dev/null
		done
	done
	for m in $(awk -v s="$HEARTH_TMP/" 'index($2, s) == 1 { print $2 }' /proc/mounts | sort -r); do umount -l "$m"; done
	[ ! -e "$HEARTH_TMP/way-out" ] || kill "$(cat "$HEARTH_TMP/way-out")" 2>/dev/null
	for n in first second wire all; do [ ! -e "/run/netns/hearth-$LAB-$n" ] || ip netns del "hearth-$LAB-$n"; done
	exit $status
}
trap leave EXIT
trap 'exit 130' INT TERM HUP

machine() { # NAME [ROOT]: a clean root, with the tree in /src
	local d=$HEARTH_TMP/$1 root=$HEARTH_TMP/$1/root lower=${2:-$clean/root} cache=${clean_cache:-$CACHE}
	[ -n "${2:-}" ] || [ -e "$clean/done" ] || { need_prepared clean-root; "$SOURCE/tests/prepare" clean-root; } || exit 1
	mkdir -p "$root" "$d"/{upper,work,tmp} "$cache"
	chmod 1777 "$d/tmp"
	mount -t overlay "hearth-$1" -o "lowerdir=$lower,upperdir=$d/upper,workdir=$d/work" "$root"
	mkdir -p "$root/src" "$root/cache" "$root/tmp"
	mount --bind "$d/tmp" "$root/tmp"	# an overlay cannot carry the boards' overlays
	mount --bind "$cache" "$root/cache"
	mount -t proc proc "$root/proc"
	mount --rbind /sys "$root/sys"
	mount --make-rslave "$root/sys"
	mount --rbind /dev "$root/dev"
	mount --make-rslave "$root/dev"
	mount -t tmpfs run "$root/run"
	# how this machine reaches names and packages is not under test
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	rm -f "$root/etc/apt/sources.list"
	cp -r /etc/apt/sources.list* /etc/apt/apt.conf.d "$root/etc/apt/"
	cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null
	cp -r /usr/local/share/ca-certificates "$root/usr/local/share/" 2>/dev/null
	if [ -n "${clean_go:-}" ]; then	# where go.dev says, and the modules from where this machine has them
		mkdir -p "$root/usr/local/go" "$root/root/.config/go"
		mount --bind -o ro "$(go env GOROOT)" "$root/usr/local/go"
		go env | tr -d "'" | grep -E '^(GOPROXY|GOSUMDB|GONOSUMDB|GONOPROXY|GOPRIVATE|GOINSECURE|GOTOOLCHAIN)=' >"$root/root/.config/go/env"
	fi
	printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
	(cd "$SOURCE" && { git ls-files -co --exclude-standard 2>/dev/null || find . -path './build*' -prune -o -path ./.git -prune -o -type f -print; } | tar -c -T -) |
		tar -C "$root/src" -x
	hold "$1"
}

# A namespace of its own, with a LAN and a way out that goes through a process: nothing changes on this machine.
network_out() { # MACHINE
	local n=hearth-$LAB-$1
	netns_add "$n" "hearth-$LAB-wire"
	ip -n "$n" link set lo up
	ip link add "p-$1" netns "hearth-$LAB-wire" type veth peer name eth0 netns "$n"
	ip -n "hearth-$LAB-wire" link set "p-$1" up
	ip -n "$n" addr add 192.168.52.1/24 dev eth0
	ip -n "$n" link set eth0 up
	slirp4netns --configure --mtu=65520 --netns-type=path --disable-host-loopback "/run/netns/$n" tap0 >"$HEARTH_TMP/way-out.log" 2>&1 &
	echo $! >"$HEARTH_TMP/way-out"
	disown
	until_ok 10 eval "ip -n $n route | holds ^default" || { cat "$HEARTH_TMP/way-out.log"; die "no way out for $1"; }
	echo 'nameserver 10.0.2.3' >"$HEARTH_TMP/$1/root/etc/resolv.conf"	# slirp4netns's own
}
