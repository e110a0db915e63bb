# shellcheck shell=bash disable=SC2154
# What lies on a board's disk: damaged, lost, long, or too much for it.

scene damaged "damaged files"
damaged() {
	stop c
	printf '{"seq":99,"prev' >>"$T/c/state/log"
	printf '[{"payload":"AAAA' >"$T/c/state/presence"
	printf '\0\0\0' >"$T/c/state/state.json"
	start c
	check "a torn log, half a presence file, zeroed state: whole again" mesh_whole 10
	check "and it tells of it" says c "any('damaged' in p for p in s['problems'])"
	check "and keeps what it found" test -s "$T/c/state/log.damaged"
	stop c
	start c
	check "the second start has nothing to complain about" until_ok 10 says c "s['state']=='running' and s['problems']==[]"
	rm "$T/c/state/log.damaged"
}

renamed() { # TIMES: c becomes cx and c again
	python3 - "$T/a/run/coord.sock" "$1" <<-'P'
		import json, socket, struct, sys
		for i in range(2 * int(sys.argv[2])):
		    s = socket.socket(socket.AF_UNIX)
		    s.connect(sys.argv[1])
		    m = json.dumps({"call": "node.rename", "args": {"node": ["c", "cx"][i % 2], "name": ["cx", "c"][i % 2]}}).encode()
		    s.sendall(struct.pack(">I", len(m)) + m)
		    n = struct.unpack(">I", s.recv(4, socket.MSG_WAITALL))[0]
		    r = s.recv(n, socket.MSG_WAITALL)
		    assert b'"ok"' in r, r
	P
}

scene long_log "a log that takes several replies, to one who follows it and to one who was away"
long_log() {
	local seq
	stop c
	seq=$(field b "s['log']['seq']")
	check "a log of more records than a reply holds" renamed 300
	check "a board that was there has all of it" until_ok 20 says b "s['log']['seq']==$seq+600 and s['problems']==[]"
	start c
	check "one that was away, too" until_ok 20 says c "s['log']['seq']==$seq+600 and s['problems']==[]"
	check "and the mesh is whole" mesh_whole 10
	stop c
	: >"$T/c/state/log"
	start c
	check "one that lost its own begins again, and has all of it" until_ok 20 says c "s['log']['seq']==$seq+600"
	check "an empty log is fetched again" mesh_whole 10
}

scene lost_timestamp "the file that keeps a board's timestamps from going back is lost"
lost_timestamp() {
	stop c
	echo $(($(cat "$T/c/state/timestamp") + 600)) >"$T/c/state/timestamp"	# every start reserves some: as after many
	start c
	check "timestamps that are ahead: whole" mesh_whole 10
	stop c
	cp "$T/c/state/timestamp" "$T/c/timestamp"
	printf 'x' >"$T/c/state/timestamp"
	start c
	check "a lost timestamp: the others begin the handshakes" mesh_whole 25
	stop c
	mv "$T/c/timestamp" "$T/c/state/timestamp"
	start c
	check "the mesh after that" mesh_whole 10
}

written() {
	wc -l "$T/b/state/log" "$T/a/state/log"
	ls -l "$T/b/state"
	[ "$(wc -l <"$T/b/state/log")" -eq "$(field b "s['log']['seq']")" ] && test -s "$T/b/state/state.json"
}
no_problems() { until_ok "$2" says "$1" "s['problems']==[]" || { status "$1"; return 1; }; } # BOARD SECONDS

scene full_disk "a full disk"
full_disk() {
	stop b
	helper_stop b	# in a mount namespace of its own, it would not see the other file system
	cp -a "$T/b/state" "$T/b/state.copy"
	mount -t tmpfs -o size=2m tmpfs "$T/b/state"
	cp -a "$T/b/state.copy/." "$T/b/state/"
	rm -f "$T/b/state/state.json"
	dd if=/dev/zero of="$T/b/state/fill" bs=4k 2>/dev/null
	dd if=/dev/zero of="$T/b/state/fill2" bs=1 2>/dev/null
	helper_start b
	start b
	check "a full disk: the mesh is whole" mesh_whole 15
	check "and it says so" says b "any('No space' in p for p in s['problems'])"
	env_of a "$B/hearth" node rename c cd >/dev/null 2>&1
	check "a record comes in all the same" until_ok 10 says b "any(p['name']=='cd' for p in s['peers'])"
	rm -f "$T/b/state/fill" "$T/b/state/fill2"
	kill -HUP "${pid[b]}"
	check "space again: everything is written" until_ok 10 written
	check "and the problem is gone" no_problems b 5
	env_of a "$B/hearth" node rename cd c >/dev/null 2>&1
	stop b
	helper_stop b
	rm -r "$T/b/state.copy"
	cp -a "$T/b/state" "$T/b/state.copy"	# what it has seen and sent since must not be forgotten
	umount "$T/b/state"
	rm -r "$T/b/state"
	mv "$T/b/state.copy" "$T/b/state"
	helper_start b
	start b
	check "the mesh after that" mesh_whole 10
}
