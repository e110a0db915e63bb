# shellcheck shell=bash disable=SC2154
# The signed log: put back where hearthd may write it, long, and the member that gets it whole.

scene put_back "the log lies where hearthd may write it: root believes no less of it than before"
put_back() {
	local log=$W/b3/state/log
	need b3
	kill -STOP "$(cat "$W/b3/run/hearthd.pid")"
	cp -p "$log" "$W/log.whole"
	head -n -2 "$W/log.whole" >"$log"
	ends 1 "a log put back from an old copy is not believed" on b3 enroll-node
	has "which is said, with both numbers and what to do" "proved up to record .* has believed .* records.*move .*trust.json away"
	mv "$log" "$W/log.away" && ln -s "$W/log.whole" "$log"
	ends 1 "nor is a link to a good one" on b3 enroll-node
	rm "$log" && cp -p "$W/log.whole" "$log"
	kill -CONT "$(cat "$W/b3/run/hearthd.pid")"
	ends 0 "the log that was believed is" on b3 enroll-node
}

same_log() { cmp "$W/$1/state/log" "$W/$2/state/log" && [ "$(wc -l <"$W/$1/state/log")" -gt 600 ]; }

scene long_log "a log that takes several replies"
long_log() {
	need b2
	fresh b6
	[ "$(wc -l <"$W/b1/state/log")" -gt 600 ] || python3 - "$W/coord/run/coord.sock" <<-'P'
		import json, socket, struct, sys
		for i in range(600):
		    s = socket.socket(socket.AF_UNIX)
		    s.connect(sys.argv[1])
		    m = json.dumps({"call": "node.rename", "args": {"node": ["b2", "b2x"][i % 2], "name": ["b2x", "b2"][i % 2]}}).encode()
		    s.sendall(struct.pack(">I", len(m)) + m)
		    n = struct.unpack(">I", s.recv(4, socket.MSG_WAITALL))[0]
		    r = s.recv(n, socket.MSG_WAITALL)
		    assert b'"ok"' in r, r
	P
	enrolls "a member" b6 "$(token --role member --name laptop)"
	until_ok 20 same_log b6 b1 && passed "has all of a log of more than 600 records, as the others" || { failed "logs differ"; wc -l "$W"/b?/state/log; }
}

scene member "a member"
member() {
	local f
	need b6
	cp "$W/b6.said" "$W/out"
	has "is named by its token" "laptop"
	check "reaches b1" until_ok 5 reaches b6 b1
	for f in host/cni host/sysctl.d host/systemd etc/kubeadm; do [ ! -e "$W/b6/$f" ] || failed "a member has $f"; done
	check "and forwards nothing" [ "$(on b6 cat /proc/sys/net/ipv4/ip_forward)" = 0 ]
}
