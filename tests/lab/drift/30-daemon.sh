# shellcheck shell=bash disable=SC2154
# hearthd itself: a second one, --down beside it.

scene down_beside "hearthd --down beside a running hearthd"
down_beside() {
	local said
	did "b: hearthd --down"
	said=$(env_of b "$B/hearthd" --down 2>&1) && failed "it exits 0"
	check "it says what to do" grep -q "hearthd runs already on .*/b/state: end it first" <<<"$said"
	check "nothing was taken down" sh -c "ip -n ${N}b link show hearth0 && ip netns exec ${N}b nft list table inet hearth && grep -q internal $T/b/hosts"
	logged b 0 .
	kill -STOP "${pid[b]}"
	said=$(env_of b "$B/hearthd" --down 2>&1) && failed "beside one that hangs it exits 0"
	kill -CONT "${pid[b]}"
	check "beside one that hangs, too" grep -q "end it first" <<<"$said"
}

scene second_hearthd "a second hearthd on the same directories" long
second_hearthd() {
	local said
	did "b: hearthd"
	said=$(env_of b timeout 10 "$B/hearthd" 2>&1) && failed "it exits 0"
	check "it says what to do" grep -q "hearthd runs already on .*/b/state: end it first" <<<"$said"
	rm "$T/b/run/hearthd.sock"
	said=$(env_of b timeout 10 "$B/hearthd" 2>&1)
	check "also when the first one's socket was removed" grep -q "end it first" <<<"$said"
	right 5 "the mesh is whole" whole
	stop b
	start b
	right 10 "a new one starts when it has ended" ready b
}

scene down_without_helper "hearthd --down without hearth-helper" long
down_without_helper() {
	local said
	stop c
	kill "$(cat "$T/c.helper.pid")"
	rm -f "$T/c/run/helper.sock"
	did "c: hearthd --down"
	said=$(env_of c "$B/hearthd" --down 2>&1) && failed "it exits 0"
	check "it says what stays and what to do" grep -q "names stay in the hosts file.*start it and do this again" <<<"$said"
	check "all else is gone" sh -c "! ip -n ${N}c link show hearth0 2>/dev/null && ! ip netns exec ${N}c nft list table inet hearth 2>/dev/null"
	helper_start c
	right 5 "with one it works" env_of c "$B/hearthd" --down
	check "the names are gone" sh -c "! grep -q internal $T/c/hosts"
	start c
	right 10 "the mesh is whole" whole
}

scene files_removed "keys, log, presences, state, handshakes' timestamp and the socket are removed" long
files_removed() {
	local keys
	stop c
	start c	# it begins handshakes, and so has reserved timestamps
	check "all files are there" until_ok 10 sh -c "test -s $T/c/state/timestamp && test -s $T/c/state/presence && test -S $T/c/run/hearthd.sock"
	keys=$(sha256sum "$T"/c/state/*.key)
	did "c: rm state/* run/hearthd.sock; and the minute's round is asked for now" sh -c "rm $T/c/state/identity.key $T/c/state/wireguard.key $T/c/state/log $T/c/state/presence $T/c/state/state.json $T/c/state/timestamp $T/c/run/hearthd.sock"
	kill -HUP "${pid[c]}"
	right 5 "it answers again" ready c
	right 5 "all files are there" sh -c "test -s $T/c/state/log && test -s $T/c/state/presence && test -s $T/c/state/state.json && test -s $T/c/state/timestamp"
	check "the keys are the same" [ "$keys" = "$(sha256sum "$T"/c/state/*.key)" ]
	logged c 2 "key was removed by another program; written again"
	logged c 1 "files of the log in .* were removed by another program; written again"
	logged c 1 "state/timestamp was removed by another program; written again"
	logged c 1 "the socket in .* was removed by another program; listening again"
	stop c
	start c
	right 10 "and with them it starts" whole
}

scene config_removed "the configuration is removed, or spoiled, while hearthd runs" long
config_removed() {
	cp "$T/c/etc/hearthd.yaml" "$T/c/config.old"
	did "c: rm hearthd.yaml; and the minute's round is asked for now" rm "$T/c/etc/hearthd.yaml"
	kill -HUP "${pid[c]}"
	right 5 "a problem says so" says c "any('will not start again' in p and 'there is no ' in p for p in s['problems'])"
	check "and the mesh goes on" whole
	did "c: it is back, half of it" sh -c "head -c 40 $T/c/config.old >$T/c/etc/hearthd.yaml; kill -HUP ${pid[c]}"
	right 5 "a problem says what is wrong with it" says c "any('will not start again' in p and 'hearthd.yaml' in p and not 'there is no' in p for p in s['problems'])"
	did "c: it is whole" sh -c "cp $T/c/config.old $T/c/etc/hearthd.yaml; kill -HUP ${pid[c]}"
	right 5 "the problem is gone" says c "s['problems']==[]"
	logged c 2 "warning: hearthd goes on as before, but"
	logged c 1 "no longer so, .*hearthd goes on as before"
}

ends_with() { # BOARD STATUS: its hearthd, by itself
	local r=0
	wait "${pid[$1]}" || r=$?
	[ $r -eq "$2" ] || { echo "status $r"; return 1; }
}
scene begins_late "what hearthd needs to begin comes late, or is wrong" long
begins_late() {
	stop c
	mv "$T/c/state" "$T/c/state.later"
	did "c: hearthd starts under systemd, and its state is not there yet (a mount)" start c INVOCATION_ID=x
	right 5 "it says what is missing" said_enough c 1 "/c/state"
	did "c: it is there" mv "$T/c/state.later" "$T/c/state"
	right 35 "the mesh is whole" whole
	check "it was said once" [ "$(count_said c "error: ")" -eq 1 ]
	stop c
	mv "$T/c/state" "$T/c/state.later"
	start c INVOCATION_ID=x
	until_ok 5 said_enough c 2 "error: "
	did "c: it is told to end while it waits" kill "${pid[c]}"
	right 5 "it ends" ends_with c 0
	mv "$T/c/state.later" "$T/c/state"
	chmod 644 "$T/c/state/identity.key"
	did "c: a key that others can read" start c INVOCATION_ID=x
	right 5 "ends it, and systemd is told that only a person can mend it" ends_with c 78
	chmod 600 "$T/c/state/identity.key"
	start c
	right 10 "the mesh is whole" whole
	logged c 2 "error: open .*/c/state: No such file"
	logged c 1 "error: .*identity.key can be read by others"
}

wg_answers() { test -S "$T/c/wg/hearth0.sock" && python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect(sys.argv[1])
s.sendall(b"get=1\n\n")
sys.exit(b"private_key" not in s.recv(4096))' "$T/c/wg/hearth0.sock"; }
scene wg_socket_removed "the directory where wg looks for sockets is emptied, then removed" long
wg_socket_removed() {
	right 5 "it is there" wg_answers
	did "c: it is emptied; and the minute's round is asked for now" sh -c "rm $T/c/wg/*; kill -HUP ${pid[c]}"
	right 5 "wg is answered" wg_answers
	did "c: it is removed" sh -c "rm -r $T/c/wg; kill -HUP ${pid[c]}"
	right 5 "wg is answered" wg_answers
	logged c 2 "the socket of .wg show hearth0. was removed by another program; listening again"
}

scene cni_removed "the list of the CNI plugin is removed, or another one comes before it" long
cni_removed() {
	mkdir -p "$T/b/cni/net.d"
	echo '{}' >"$T/b/cni/net.d/05-hearth.conflist"
	kill -HUP "${pid[b]}"
	right 5 "it is seen" said_enough b 1 "configuration read again"
	did "b: another list comes before it; and the minute's round is asked for now" sh -c "echo '{}' >$T/b/cni/net.d/00-bridge.conflist; kill -HUP ${pid[b]}"
	right 5 "a problem says so" says b "any('00-bridge.conflist comes before 05-hearth.conflist' in p for p in s['problems'])"
	did "b: it goes, and so does Hearth's" sh -c "rm $T/b/cni/net.d/*; kill -HUP ${pid[b]}"
	right 5 "a problem says so" says b "any('05-hearth.conflist was removed' in p for p in s['problems'])"
	did "b: it is back" sh -c "echo '{}' >$T/b/cni/net.d/05-hearth.conflist; kill -HUP ${pid[b]}"
	right 5 "no problem is left" says b "s['problems']==[]"
	logged b 2 "warning: new pods of this board"
	logged b 1 "no longer so, .*new pods of this board"
}

plugin() { # VERB NUMBER: of the pod whose namespace that is
	env_of b env CNI_COMMAND="$1" CNI_CONTAINERID="leak$2" CNI_NETNS="/run/netns/${N}leak$2" CNI_IFNAME=eth0 "$B/cni/hearth" \
		<<<'{"cniVersion":"1.1.0","name":"hearth","device":"hearth0","subnets":["'"$range"'"]}'
}
leases_left() { [ "$(find "$T/b/run/cni/hearth" -name 'hth*' | wc -l)" -eq "$1" ]; }
scene pods_without_del "pods lose their namespaces, and nobody says DEL (containerd's state was wiped)" long
pods_without_del() {
	local i range
	range=$(env_of b "$B/hearth" status | awk '$1 == "pods" { print $2 }')
	for i in $(seq 21); do
		netns_add "${N}leak$i"
		plugin ADD "$i" >/dev/null || failed "ADD $i"
	done
	check "21 pods have an address" leases_left 21
	did "b: 20 of them go" sh -c "for i in \$(seq 20); do ip netns del ${N}leak\$i; done"
	right 60 "their leases are given back" leases_left 1
	check "the one that lives keeps it" env_of b ping -q -c 1 -W 2 "$(ip -n "${N}leak21" -4 -o addr show eth0 | awk '{ sub("/.*", "", $4); print $4 }')"
	plugin DEL 21
	ip netns del "${N}leak21"
	check "nothing is left" leases_left 0
	did "b: all addresses are in use; and the round is asked for now" sh -c "for i in \$(seq 2 254); do echo >$T/b/run/cni/hearth/${range%.*}.\$i; done; kill -HUP ${pid[b]}"
	right 10 "a problem says so" says b "any('all of $range are in use' in p for p in s['problems'])"
	did "b: no more" sh -c "rm $T/b/run/cni/hearth/${range%.*}.*; kill -HUP ${pid[b]}"
	right 10 "no problem is left" says b "s['problems']==[]"
	logged b 1 "warning: new pods of this board get no address"
	logged b 1 "no longer so, .*get no address"
	logged b 1 "20 leases of pods that went without DEL are given back"
}
