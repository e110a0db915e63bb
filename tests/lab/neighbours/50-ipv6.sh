# shellcheck shell=bash disable=SC2154
# One board without IPv6: switched off by a sysctl, or not in its kernel. Every name of it answers, or fails,
# within a second from every other; its own names of the others, too.

sysctl6() { in_ns "$1" sh -c "echo $3 >/proc/sys/net/ipv6/conf/$2/disable_ipv6"; } # BOARD LINK VALUE
is_off() { [ "$(in_ns "$1" cat "/proc/sys/net/ipv6/conf/$2/disable_ipv6")" = 1 ]; }
has_address() { in_ns "$1" ip -6 addr show dev hearth0 | holds "${ip6[$1]}/128"; }
names6() { grep -qE "^${ip6[$2]} .*\\b$2\\." "$T/$1/hosts"; } # BOARD OF: the IPv6 name of OF is in its hosts file

# Every address that the hosts file of FROM gives to a name of TO, and mesh6 itself: connected to a closed port,
# pinged; the slowest counts. A router's word that comes while connect() still has the socket is taken with the second
# SYN, after a second.
quick() { # FROM TO
	# shellcheck disable=SC2016
	in_ns "$1" unshare -m sh -c 'mount --bind "$1" /etc/hosts && exec python3 - "$2" "$3"' sh "$T/$1/hosts" "$2" "${ip6[$2]}" <<-'P'
		import socket, subprocess, sys, time
		names = [f"{sys.argv[1]}.home.internal"] + (["api.home.internal"] if sys.argv[1] == "a" else [])
		worst = 0
		for name in names + [sys.argv[2]]:
		    found = {a[4][0] for a in socket.getaddrinfo(name, 9, type=socket.SOCK_STREAM)}
		    for address in sorted(found):
		        start = time.monotonic()
		        try: socket.create_connection((address, 9), 5).close(); said = "connected"
		        except OSError as e: said = e.strerror or "timed out"
		        took = time.monotonic() - start
		        worst = max(worst, took)
		        print(f"{name} {address}: {said} after {took:.3f} s")
		        if said == "timed out": sys.exit("swallowed")
		if worst > 1.5: sys.exit("too slow")
	P
}
all_quick() { # BOARD: to it and from it
	local x
	for x in "${boards[@]}"; do
		[ "$x" = "$1" ] || { quick "$x" "$1" && quick "$1" "$x"; } || return 1
	done
}
anew() { # BOARD: its interface, too
	stop "$1"
	ip -n "$N$1" link del hearth0
}

scene ipv6_sysctl "a board with disable_ipv6=1"
ipv6_sysctl() {
	anew b
	sysctl6 b all 1
	sysctl6 b default 1
	did "b: IPv6 is switched off for all links, and hearthd starts" start b
	right 10 "hearth0 has IPv6" has_address b
	check "and no other link" is_off b eth0
	right 10 "the mesh is whole, both families" whole
	check "every name answers or fails within a second" all_quick b
	check "a sends b's name to its IPv6 address" names6 a b
	did "somebody switches it off on hearth0" sysctl6 b hearth0 1
	right 5 "it is on again" whole
	logged b 2 "IPv6 was switched off on hearth0"
	sysctl6 b all 0
	sysctl6 b default 0
}

scene ipv6_no_helper "disable_ipv6=1, and nobody who could change it"
ipv6_no_helper() {
	anew b
	kill "$(cat "$T/b.helper.pid")"
	sysctl6 b default 1
	did "b: hearthd starts without IPv6 and without hearth-helper" start b
	right 10 "it says so" says b "any('has no IPv6' in p for p in s['problems'])"
	right 10 "a does not send b's name to IPv6 any more" sh -c "! grep -q '^${ip6[b]} ' $T/a/hosts"
	check "every name answers or fails within a second" all_quick b
	helper_start b
	until_ok 60 test -S "$T/b/run/helper.sock"
	did "hearth-helper comes" env_of b "$B/hearth" reload
	right 10 "hearth0 has IPv6" has_address b
	right 10 "a sends b's name to IPv6 again" names6 a b
	right 10 "the mesh is whole, both families" whole
	sysctl6 b default 0
}

scene ipv6_none "a kernel without IPv6"
ipv6_none() {
	local preload=${HEARTH_BUILD:?}/lab/no-ipv6.so
	anew b
	sysctl6 b all 1
	sysctl6 b default 1
	did "b: hearthd on a kernel without IPv6" start b LD_PRELOAD="$preload"
	right 10 "it is told once" said_enough b 1 "this kernel has no IPv6"
	right 10 "hearth status answers" ready b
	right 10 "every other reaches it over IPv4" ping_to a "${ip4[b]}"
	right 10 "and does not send its name to IPv6" sh -c "! grep -q '^${ip6[b]} ' $T/a/hosts $T/c/hosts"
	right 10 "nor does b send theirs there" sh -c "! grep -q '^${ip6[a]} ' $T/b/hosts"
	check "its names are there" grep -q "^${ip4[b]} b.home.internal" "$T/a/hosts"
	check "every name answers or fails within a second" all_quick b
	check "it is no problem of hearth status" says b "not s['problems']"
	check "hearth ping over IPv4 works" env_of a "$B/hearth" ping -c 1 b
	check "b pings, too" env_of b "$B/hearth" ping -c 1 A.home.internal
	logged b 1 "this kernel has no IPv6: in the mesh"
	did "b: kubeadm's files are there" sh -c "mkdir $T/b/etc/kubeadm; kill -HUP ${pid[b]}"
	right 10 "then it is one, for kubelet is told both addresses" says b "any('no InternalIP' in p and 'ipv6.disable=1' in p for p in s['problems'])"
	rmdir "$T/b/etc/kubeadm"
	logged b 1 "warning: this kernel has no IPv6"
	stop b
	sysctl6 b all 0
	sysctl6 b default 0
	did "b: a kernel with IPv6 again" start b
	right 10 "a sends b's name to IPv6 again" names6 a b
	right 10 "the mesh is whole, both families" whole
}
