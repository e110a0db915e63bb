# shellcheck shell=bash disable=SC2154
# 64 descriptors for a daemon, and a crowd that connects and says nothing: who has something to ask is answered.

crowd() { # BOARD N PATH|HOST:PORT: N connections that stay open and silent, until crowd_gone
	ip netns exec "$N$1" python3 - "$2" "$3" >"$T/crowd.ready" 2>&1 <<-'P' &
		import socket, sys, time
		n, where, held = int(sys.argv[1]), sys.argv[2], []
		for _ in range(n):
		    unix = where.startswith("/")
		    s = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
		    s.settimeout(5)
		    try: s.connect(where if unix else (where.split(":")[0], int(where.split(":")[1])))
		    except OSError: continue
		    held.append(s)
		print("held", len(held), flush=True)
		time.sleep(600)
	P
	echo $! >"$T/crowd.pid"
	until_ok 30 grep -q held "$T/crowd.ready"
}
crowd_gone() { kill "$(cat "$T/crowd.pid")"; rm -f "$T/crowd.pid"; }
within_1s() { # COMMAND...: it succeeds, and takes no more than a second, each of five times
	local before took worst=0
	for _ in 1 2 3 4 5; do
		before=$(now_us)
		"$@" >/dev/null || return 1
		took=$((($(now_us) - before) / 1000))
		[ $took -le $worst ] || worst=$took
		echo "$took ms"
	done
	[ $worst -le 1000 ]
}
https() { in_ns b python3 - "$1" <<-'P' # five calls, each on a connection of its own, none longer than a second
	import ssl, sys, time, urllib.request
	context = ssl._create_unverified_context()
	for _ in range(5):
	    start = time.monotonic()
	    urllib.request.urlopen(f"https://{sys.argv[1]}/v1/health", timeout=9, context=context).read()
	    took = time.monotonic() - start
	    print(f"{took * 1000:.0f} ms")
	    if took > 1: sys.exit("too slow")
	P
}

scene few_for_coordinator "the coordinator has 64 descriptors"
few_for_coordinator() {
	coord_stop
	did "a coordinator with ulimit -n 64" true
	(ulimit -n 64 && coord_start)
	right 10 "it serves" https 192.0.2.11:8443
	logged coord 1 "only 64 descriptors are allowed.*32 connections at a time"
	did "100 connect and say nothing" crowd c 100 192.0.2.11:8443
	check "a call is answered within a second" https 192.0.2.11:8443
	check "and hearth token list, too" within_1s env_of a "$B/hearth" token list
	check "a board keeps its poll, or has another" until_ok 10 says b "s['coordinator']['connected']"
	right 15 "it is said" said_enough coord 1 "more connections come than are let in"
	logged coord 1 "more connections come than are let in"
	crowd_gone
	coord_stop
	coord_start
	right 60 "the boards are back" says b "s['coordinator']['connected']"
}

scene few_for_hearthd "hearthd and hearth-helper have 64 descriptors"
few_for_hearthd() {
	stop b
	kill "$(cat "$T/b.helper.pid")"
	until_ok 5 sh -c "! test -S $T/b/run/helper.sock || ! kill -0 $(cat "$T/b.helper.pid") 2>/dev/null"
	did "both with ulimit -n 64" true
	(ulimit -n 64 && helper_start b)
	start b prlimit --nofile=64:64
	right 10 "the mesh is whole" whole
	did "1000 local clients that say nothing" crowd b 1000 "$T/b/run/hearthd.sock"
	check "hearth status is answered within a second" within_1s env_of b "$B/hearth" status
	check "hearth ping as well" within_1s env_of b "$B/hearth" ping -c 1 a
	crowd_gone
	did "and as many for hearth-helper" crowd b 1000 "$T/b/run/helper.sock"
	rm -f "$T/b/hosts.new"
	grep -v internal "$T/b/hosts" >"$T/b/hosts.new"
	did "the hosts file is replaced" mv "$T/b/hosts.new" "$T/b/hosts"
	right 10 "hearthd gets the names back by hearth-helper" grep -q "^${ip4[a]} a.home.internal" "$T/b/hosts"
	crowd_gone
	check "no descriptor was missing" sh -c "! grep -h 'Too many open files' $T/b/hearthd.log $T/b/helper.log"
	stop b
	kill "$(cat "$T/b.helper.pid")"
	until_ok 5 sh -c "! kill -0 $(cat "$T/b.helper.pid") 2>/dev/null"
	helper_start b
	start b
	right 10 "the mesh is whole" whole
}
