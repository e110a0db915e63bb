# shellcheck shell=bash disable=SC2154
# The hosts file, by those who think that it is theirs alone.

names_are_in() { # BOARD
	grep -qx "${ip4[a]} a.home.internal api.home.internal" "$T/$1/hosts" && grep -qx "${ip6[c]} c.home.internal" "$T/$1/hosts"
}
replace_hosts() { # BOARD LINE: as cloud-init does
	printf '127.0.0.1 localhost\n%s\n' "$2" >"$T/$1/hosts.new" && mv "$T/$1/hosts.new" "$T/$1/hosts"
}

scene hosts_replaced "the hosts file is replaced by another program (cloud-init at every boot)"
hosts_replaced() {
	names_are_in b || failed "no names before"
	did "b: a new file is renamed over it" replace_hosts b "127.0.1.1 b"
	right 5 "the names are back" names_are_in b
	check "and so is what the other wrote" grep -qx "127.0.1.1 b" "$T/b/hosts"
	logged b 1 "hosts was changed by another program; Hearth's names are back"
	check "no problem is left" says b "s['problems']==[]"
}

scene hosts_written "the hosts file is written in place" long
hosts_written() {
	did "b: echo >hosts" sh -c "echo '127.0.0.1 localhost' >$T/b/hosts"
	right 5 "the names are back" names_are_in b
	logged b 1 "hosts was changed by another program; Hearth's names are back"
}

scene hosts_removed "the hosts file is removed" long
hosts_removed() {
	did "c: rm hosts" rm "$T/c/hosts"
	right 5 "the names are back" names_are_in c
	logged c 1 "hosts was changed by another program; Hearth's names are back"
}

scene hosts_link "the hosts file becomes a link, and then what it points to is replaced" long
hosts_link() {
	mkdir -p "$T/a/elsewhere"
	did "a: a link to elsewhere" sh -c "echo '127.0.0.1 localhost' >$T/a/elsewhere/hosts; ln -sfn elsewhere/hosts $T/a/hosts.new; mv -T $T/a/hosts.new $T/a/hosts"
	right 5 "the names are there" names_are_in a
	check "and it is still a link" test -L "$T/a/hosts"
	did "a: its target is replaced" sh -c "echo '127.0.0.1 localhost' >$T/a/elsewhere/new; mv $T/a/elsewhere/new $T/a/elsewhere/hosts"
	right 5 "the names are back" names_are_in a
	logged a 2 "hosts was changed by another program; Hearth's names are back"
}

scene hosts_own "other lines of it change, and then the block goes" long
hosts_own() {
	did "c: a line is added before the block" sed -i '1i 192.0.2.9 printer' "$T/c/hosts"
	did "c: the block is cut out" sed -i '/BEGIN hearth/,/END hearth/d' "$T/c/hosts"
	right 5 "the names are back" names_are_in c
	check "the line stayed" sh -c "head -1 $T/c/hosts | grep -qx '192.0.2.9 printer'"
	logged c 1 "hosts was changed by another program"
}

scene hosts_fight "another program writes the hosts file five times a second, for ever" long
hosts_fight() {
	(while replace_hosts c "# of the other"; do sleep 0.2; done) &
	echo $! >"$T/fight.pid"
	did "c: it begins"
	right 10 "a problem says so" says c "any('keeps removing' in p and 'BEGIN hearth' in p for p in s['problems'])"
	kill "$(cat "$T/fight.pid")" && wait "$(cat "$T/fight.pid")" 2>/dev/null
	did "it ends"
	right 10 "the names are back" names_are_in c
	logged c 1 "keeps removing"
	check "at most three repairs were told of" [ "$(count_said c "was changed by another")" -le 3 ]
	stop c	# which forgets the fight
	start c
	check "the mesh is whole" mesh_whole 10
}

scene hosts_too_large "the hosts file is too large (an ad-block list), and then it is not" long
hosts_too_large() {
	did "b: it is replaced by one of 65 MiB" sh -c "truncate -s 65M $T/b/hosts.new; mv $T/b/hosts.new $T/b/hosts"
	right 5 "a problem says so" says b "any('larger than 64 MiB' in p for p in s['problems'])"
	did "b: it is small again" replace_hosts b "# small"
	right 2 "the names are back" names_are_in b
	right 5 "no problem is left" says b "s['problems']==[]"
	logged b 1 "warning: names of the mesh do not work"
	logged b 1 "no longer so, .*names of the mesh"
}

# Mounted before the daemons start: they do not see what is mounted here later.
remounted() { # BOARD COMMAND...: mounts something
	local b=$1
	shift
	stop "$b"
	kill "$(cat "$T/$b.helper.pid")"
	rm -f "$T/$b/run/helper.sock"
	"$@"
	helper_start "$b"
	until_ok 20 test -S "$T/$b/run/helper.sock"
	start "$b"
}
on_its_own_mount() { # BOARD: its hosts file is a link into $T/BOARD/ro
	mkdir -p "$T/$1/ro" && mount -t tmpfs tmpfs "$T/$1/ro" && mv "$T/$1/hosts" "$T/$1/ro/hosts" && ln -s ro/hosts "$T/$1/hosts"
}
on_no_mount() { # BOARD
	cp --remove-destination "$T/$1/ro/hosts" "$T/$1/hosts"
	umount "$T/$1/ro"
}
scene hosts_read_only "the hosts file is read-only, and then it is not (a card's file system after an error)" long
hosts_read_only() {
	remounted c on_its_own_mount c
	right 10 "the mesh is whole" whole
	right 5 "the names are in" names_are_in c
	did "c: others write it, and its file system becomes read-only" sh -c "echo '127.0.0.1 localhost' >$T/c/ro/hosts; mount -o remount,ro $T/c/ro"
	right 5 "a problem says so" says c "any('Read-only file system' in p for p in s['problems'])"
	did "c: mount -o remount,rw; no event tells of it" mount -o remount,rw "$T/c/ro"
	right 7 "the names are back" names_are_in c
	did "c: once more" sh -c "echo '127.0.0.1 localhost' >$T/c/ro/hosts; mount -o remount,ro $T/c/ro"
	right 5 "a problem says so" says c "any('Read-only file system' in p for p in s['problems'])"
	did "c: somebody replaces it by one that can be written" replace_hosts c "# of somebody"
	right 2 "the names are back" names_are_in c
	right 5 "no problem is left" says c "s['problems']==[]"
	logged c 2 "warning: names of the mesh do not work"
	remounted c on_no_mount c
	right 10 "the mesh is whole" whole
}

scene helper_comes_back "hearth-helper is gone when names change, and starts again" long
helper_comes_back() {
	kill "$(cat "$T/c.helper.pid")"
	rm -f "$T/c/run/helper.sock"
	did "c: no helper, and the hosts file is replaced" replace_hosts c "# of somebody"
	right 5 "a problem says so" says c "any('names of the mesh do not work' in p for p in s['problems'])"
	kill -HUP "${pid[c]}" # so that the next try by itself is 10 s away, and after that 20 s
	did "c: it starts" helper_start c
	right 7 "the names are back" names_are_in c
	right 7 "no problem is left" says c "s['problems']==[]"
}

is_a_mount() { # BOARD: its hosts file, as in a container
	cp "$T/$1/hosts" "$T/$1/hosts.below" && mount --bind "$T/$1/hosts.below" "$T/$1/hosts"
}
scene hosts_mounted "the hosts file is a mount of its own (a container), and written without a word from inotify" long
hosts_mounted() {
	remounted c is_a_mount c
	right 10 "the mesh is whole" whole
	did "c: it is written in place" sh -c "echo '127.0.0.1 localhost' >$T/c/hosts"
	right 5 "the names are back" names_are_in c
	check "in the file that is mounted" grep -q internal "$T/c/hosts.below"
	exec 9<>"$T/c/hosts" # as long as it is open, inotify tells nothing
	did "c: it is written by somebody who keeps it open" python3 -c 'import os; os.ftruncate(9, 0); os.pwrite(9, b"127.0.0.1 localhost\n", 0)'
	check "nobody has noticed" sh -c "! grep -q internal $T/c/hosts"
	did "c: the minute's round (which a touched interface brings forward)" ip -n "${N}c" link set hearth0 mtu 1400
	right 5 "the names are back" names_are_in c
	exec 9>&-
	logged c 2 "hosts was changed by another program; Hearth's names are back"
	remounted c umount "$T/c/hosts"
	right 10 "the mesh is whole" whole
}

resolves() { # BOARD: with its hosts file and its resolv.conf, within a second
	in_ns "$1" unshare -m timeout 1 sh -c "mount --bind $T/$1/hosts /etc/hosts && mount --bind $T/$1/resolv.conf /etc/resolv.conf && getent ahostsv4 a.home.internal" | grep -q "^${ip4[a]} "
}
scene resolver_replaced "resolv.conf is replaced, by one that leads nowhere" long
resolver_replaced() {
	did "b: nameserver 192.0.2.254, which nobody has" sh -c "echo 'nameserver 192.0.2.254' >$T/b/resolv.conf"
	right 5 "names of the mesh are found: they come from the hosts file" resolves b
	right 5 "the mesh is whole" whole
	logged b 0 .
}
