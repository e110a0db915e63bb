# shellcheck shell=bash disable=SC2154
# What names the cluster (an API server that is root on every board that joins it) comes from somebody else than a
# control plane: from hearthd, from a coordinator with its TLS key, out of a stolen database.

joins() { # BOARD FILE: hearthd's user hands root a bundle
	asks "$1" nobody helper kube.join '{"bundle":'"$(cat "$2")"'}'
}
file_of() { echo "$T/$1/etc/kubeadm/join.yaml"; }
names_cluster() { # BOARD: its join.yaml is of the mesh's own cluster
	grep -q "apiServerEndpoint: api.home.internal:6443" "$(file_of "$1")" && grep -q "sha256:abab" "$(file_of "$1")"
}
no_evil() { ! grep -rqE 'evil|6666' "$T/$1/etc/kubeadm"; }
sum_of() { sha256sum "$(file_of "$1")" "$T/$1/etc/kubeadm/bundle.json"; }

scene forged "hearthd hands root a join bundle that names another cluster"
forged() {
	local now
	now=$(date +%s)
	bundle a "$T/good" "seq=$now"
	check "one that a control plane signed is followed" joins b "$T/good"
	check "and its files are written" names_cluster b
	sum_of b >"$T/before"
	bundle b "$T/evil" endpoint=evil.example.net:6443
	refused "another API, signed by this board" "b, which it says signed it, is a worker" joins b "$T/evil"
	bundle b "$T/evil" node=1 endpoint=evil.example.net:6443
	refused "the same in the control plane's name" "not signed by the key that a has" joins b "$T/evil"
	bundle b "$T/evil" node=77 endpoint=evil.example.net:6443
	refused "in the name of nobody" "node 77, which it says signed it, is not in the mesh" joins b "$T/evil"
	bundle a "$T/evil" endpoint=evil.example.net:6443
	refused "by a control plane that was taken over" "its API is evil.example.net:6443, and that of mesh home is api.home.internal" joins b "$T/evil"
	bundle a "$T/evil" "endpoint=${ip4[b]}:6666"
	refused "a worker's port 6666 as API" "its API is ${ip4[b]}:6666" joins b "$T/evil"
	bundle a "$T/evil" "seq=$((now - 1))"
	refused "an older one, of a CA that was given up" "somebody put an old one back" joins b "$T/evil"
	bundle a "$T/evil" root=AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=
	refused "of another mesh" "it is of another mesh" joins b "$T/evil"
	sed 's/"sig": "[^"]*"/"sig": "'"$(head -c 64 /dev/zero | base64 -w0)"'"/' "$T/good" >"$T/evil"
	refused "unsigned" "not signed by the key that a has" joins b "$T/evil"
	root_shows b "by user 65534: kube.join: .*not signed by the key that a has"
	echo '{"id":"00112233aabbccdd","endpoint":"evil.example.net:6443","token":"abcdef.0123456789abcdef","expires":4102444800,"ca":["sha256:'"$(printf '66%.0s' {1..32})"'"],"version":"v1.37.2","certificate_key":null}' >"$T/evil"
	refused "as it was before, one document" "join bundle: .*\"cluster\"" joins b "$T/evil"
	unharmed "its files are as they were" cmp "$T/before" <(sum_of b)
	# What is signed cannot be changed by what is not.
	sed -e 's/"secret": {/"secret": {"endpoint": "evil.example.net:6443", "ca": ["sha256:6666"], /' -e 's/^{/{"endpoint": "evil.example.net:6443", /' "$T/good" >"$T/more"
	check "a secret that speaks of the cluster, too, is heard" joins b "$T/more"
	unharmed "but not what it says of it" sh -c "grep -q 'apiServerEndpoint: api.home.internal:6443' $(file_of b) && ! grep -rqE 'evil|6666' $T/b/etc/kubeadm"
}

scene removed_signer "a control plane that was removed still signs"
removed_signer() {
	token --role control-plane && mkdir -p "$T/plane"
	in_ns c python3 "$TOOL" enrol "$T/token" "$T/plane/state" "$T/plane/etc" plane >/dev/null || failed "another control plane"
	knows_plane() { says b "any(p['name']=='plane' for p in s['peers'])"; }
	check "b knows it" until_ok 10 knows_plane
	bundle plane "$T/theirs"
	check "its bundle is followed" joins b "$T/theirs"
	env_of a "$B/hearth" node remove plane >/dev/null
	check "it is removed" until_ok 10 says b "all(p['name']!='plane' for p in s['peers'])"
	bundle plane "$T/theirs" "seq=$(($(date +%s) + 10))"
	refused "its next one" "node [0-9]*, which it says signed it, is not in the mesh" joins b "$T/theirs"
	refused "the one of before" "is not in the mesh" joins b "$T/theirs"
}

asked_without_end() { [ "$1" -gt 60 ] || { echo "it was enough"; return 1; }; }

# All boards poll whoever has the coordinator's TLS key, and its address.
scene lying_coordinator "a coordinator with its TLS key, but no signing key, names another cluster"
lying_coordinator() {
	local asked
	: >"$T/lies.log"
	bundle b "$T/evil" node=1 endpoint=evil.example.net:6443 "seq=$(($(date +%s) + 1000))"
	echo '{"records":[],"presence":[],"cursor":"0123456789abcdef-1","kube":'"$(cat "$T/evil")"'}' >"$T/reply"
	did "a: it takes the coordinator's place" lies_start "$T/reply"
	told b "bundle that came is not a control plane.s: .*not signed by the key that a has" 30
	tried=$((tried + 1)) held=$((held + 1))
	unharmed "b's files do not name it" no_evil b
	# It sends the bundle again and again, whatever the boards say they have.
	asked=$(grep -c /v1/poll "$T/lies.log")
	refused "to be asked without end: $asked times by three boards" "it was enough" asked_without_end "$asked"
	did "a: the coordinator is back, and the boards ask it without waiting longer" lies_stop
	kill -HUP "${pid[a]}" "${pid[b]}"
	told a "b could not write what it needs to join" 30
	right 30 "it is heard again" says b "s['coordinator']['connected']"
	bundle a "$T/good" "seq=$(($(date +%s) + 2000))"
	publishes() { asks a root hearthd kube.publish '{"bundle":'"$(cat "$T/good")"'}'; }
	check "a true bundle is published" until_ok 20 publishes
	right 20 "and mends it" not_told b "join files are not written"
	check "b's files name the cluster" names_cluster b
}

scene stolen_database "somebody writes another cluster into the coordinator's database"
stolen_database() {
	bundle b "$T/evil" node=1 endpoint=evil.example.net:6443 "seq=$(($(date +%s) + 3000))"
	coord_stop
	did "coord.db: the bundle is another" python3 - "$T/coord/coord.db" "$T/evil" <<-'P'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		assert db.execute("UPDATE meta SET value = ? WHERE key = 'kube'", (open(sys.argv[2]).read(),)).rowcount == 1
		db.commit()
	P
	coord_start
	tried=$((tried + 1)) held=$((held + 1))
	told b "bundle that came is not a control plane.s: .*not signed by the key that a has" 30
	unharmed "b's files do not name it" no_evil b
	bundle a "$T/good" "seq=$(($(date +%s) + 4000))"
	check "a true bundle is published" until_ok 20 asks a root hearthd kube.publish '{"bundle":'"$(cat "$T/good")"'}'
	right 20 "and mends it" not_told b "join files are not written"
}

# Not an attack, but what looks like one to a board that has only the first part of the log.
scene late_signer "a true bundle is signed by a board whose record comes in the second part of a long log" long
late_signer() {
	in_ns a python3 -ISE - "$T/a/run/coord.sock" <<-'P' || failed "520 records"
		import json, socket, struct, sys
		for i in range(520):
		    with socket.socket(socket.AF_UNIX) as s:
		        s.connect(sys.argv[1])
		        m = json.dumps({"call": "node.rename", "args": {"node": 3, "name": "c%d" % i}}).encode()
		        s.sendall(struct.pack(">I", len(m)) + m)
		        s.recv(4096)
	P
	env_of a "$B/hearth" node rename 3 c >/dev/null
	token --role control-plane && mkdir -p "$T/late"
	in_ns c python3 "$TOOL" enrol "$T/token" "$T/late/state" "$T/late/etc" late >/dev/null || failed "another control plane"
	stop b
	rm -f "$T"/b/state/kube.json "$T"/b/etc/kubeadm/* 2>/dev/null
	head -n 3 "$T/b/state/log" >"$T/log.short" && cat "$T/log.short" >"$T/b/state/log"
	rm -f "$T/b/etc/trust.json"
	bundle late "$T/good" "seq=$(($(date +%s) + 9000))"
	# hearthd hands it on whoever signed; the coordinator looks at who brings it
	check "the bundle is with the coordinator" asks a root hearthd kube.publish '{"bundle":'"$(cat "$T/good")"'}'
	did "b: it starts with three records" start b
	right 20 "its files are written" names_cluster b
	check "and nothing was said against the bundle" [ "$(count_said b "bundle that came is not")" -eq 0 ]
	env_of a "$B/hearth" node remove late >/dev/null
	right 10 "the mesh is whole" whole
}
