# shellcheck shell=bash disable=SC2154
# A hearthd that was taken over (user nobody here) asks root for what hearthd may not have.

write() { # BOARD ADDRESS NAME [INTERFACE]
	asks "$1" nobody helper hosts.write '{"entries":[{"address":"'"$2"'","names":["'"$3"'"]}],"ifname":"'"${4:-hearth0}"'"}'
}
scene names_of_others "hearthd has root write names that are not the mesh's, or addresses that are not theirs"
names_of_others() {
	local before
	before=$(times_refused b)
	until_ok 10 grep -q "b.home.internal" "$T/b/hosts"
	cp "$T/b/hosts" "$T/before"
	refused "metadata.google.internal at its own address" "not one that a board of a mesh can have" write b 169.254.169.254 metadata.google.internal
	refused "the same at an address of the mesh" "metadata.google.internal is no name of mesh home" write b "${ip4[b]}" metadata.google.internal
	refused "another mesh" "a.work.internal is no name of mesh home" write b "${ip4[a]}" a.work.internal
	refused "a name below a board's" "x.a.home.internal is no name of mesh home" write b "${ip4[a]}" x.a.home.internal
	refused "the mesh itself" "home.internal is no name of mesh home" write b "${ip4[a]}" home.internal
	refused "a board's name for an address outside" "does not give 203.0.113.66 to a.home.internal" write b 203.0.113.66 a.home.internal
	refused "a board's name for another board's address" "does not give ${ip4[b]} to a.home.internal" write b "${ip4[b]}" a.home.internal
	refused "the API's name for a worker" "does not give ${ip4[b]} to api.home.internal" write b "${ip4[b]}" api.home.internal
	refused "a board that there is not" "does not give 10.77.0.77 to pi9.home.internal" write b 10.77.0.77 pi9.home.internal
	refused "the block of another interface" "the interface of this board's mesh is hearth0" write b "${ip4[a]}" a.home.internal hearth7
	refused "that that block goes" "the interface of this board's mesh is hearth0" asks b nobody helper hosts.write '{"entries":[],"ifname":"eth0"}'
	unharmed "the hosts file is as it was" cmp "$T/before" "$T/b/hosts"
	root_shows b "by user 65534: hosts.write: the interface of this board's mesh is hearth0"
	# Not counted is what hearthd may ask before its log is on disk: a name that the log does not give.
	check "and counts them" [ "$(times_refused b)" -eq $((before + 7)) ]
	check "the helper's log says what was asked" until_ok 5 grep -q "hosts.write: metadata.google.internal is no name of mesh home" "$T/b/helper.log"
}

scene other_interfaces "hearthd has root open other interfaces"
other_interfaces() {
	local i
	in_ns b ip tuntap add dev tun9 mode tun
	for i in tun9 eth0 lo all; do
		refused "uapi.open of $i" "the interface of this board's mesh is hearth0" asks b nobody helper uapi.open '{"ifname":"'$i'"}'
		refused "ipv6.enable of $i" "the interface of this board's mesh is hearth0" asks b nobody helper ipv6.enable '{"ifname":"'$i'"}'
	done
	in_ns b ip link del tun9
	root_shows b "by user 65534: ipv6.enable: the interface of this board's mesh is hearth0"
	unharmed "no socket but hearth0's" [ "$(ls "$T/b/wg")" = hearth0.sock ]
}

# What the log says is proved by signatures; that it is all there, only root's memory of it proves.
old_log() { # BOARD: all but the last record
	head -n -1 "$T/$1/state/log" >"$T/log.old" && cat "$T/log.old" >"$T/$1/state/log"
}
scene older_log "hearthd shows root a log that ends earlier, or another one"
older_log() {
	local names='{"entries":[{"address":"'${ip4[a]}'","names":["a.home.internal"]}]}'
	asks b nobody helper hosts.write "$names" >/dev/null || failed "what the log says is written"
	check "root remembers how far it believed" grep -q '"seq"' "$T/b/etc/trust.json"
	unharmed "in a file of its own" [ "$(stat -c %u:%a "$T/b/etc/trust.json")" = 0:644 ]
	stop b
	cp "$T/b/state/log" "$T/log.whole"
	cp "$T/b/hosts" "$T/before"
	old_log b
	refused "a log without its last record" "is proved up to record .* and root of this board has believed" asks b nobody helper hosts.write "$names"
	rm "$T/b/state/log"
	refused "none" "is proved up to record 0" asks b nobody helper hosts.write "$names"
	sed '$s/"payload": *"..../"payload":"AAAA/' "$T/log.whole" >"$T/b/state/log"
	refused "one whose last record was changed" "is proved up to record" asks b nobody helper hosts.write "$names"
	rm "$T/b/state/log" && mkfifo "$T/b/state/log"
	refused "a FIFO" "read .*state/log: Wrong medium type" asks b nobody helper hosts.write "$names"
	rm "$T/b/state/log" && ln -s "$T/log.whole" "$T/b/state/log"
	refused "a link" "read .*state/log: Too many levels of symbolic links" asks b nobody helper hosts.write "$names"
	rm "$T/b/state/log"
	asks b nobody helper hosts.write "$names" 2>/dev/null
	unharmed "the hosts file is as it was" cmp "$T/before" "$T/b/hosts"
	did "b: it has the log again" start b
	right 15 "the mesh is whole" whole
	root_shows b "hosts.write: .* is proved up to record 0, and root of this board has believed"
	right 10 "its names are written" asks b nobody helper hosts.write "$names"
	env_of b "$B/hearth" reload
	right 10 "and all of them" grep -q "c.home.internal" "$T/b/hosts"
}
