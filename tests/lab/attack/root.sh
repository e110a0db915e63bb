# shellcheck shell=bash disable=SC2016,SC2154
# A daemon that was taken over prepares its own directory for the next thing that root does there. User nobody
# stands for hearth-coord, and for hearthd's user.

as_nobody() { setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups "$@"; }
owner() { stat -c '%U %a' "$1"; }
init() { in_ns a timeout 20 "$B/hearth-coord" init --state "$R/coord" --user nobody --url https://192.0.2.11:8443 "$@"; }
sum_of_victim() { (cd "$R/victim" && stat -c '%n %U %a %h %s' ./* && sha256sum ./*); }
victim_as_it_was() { cmp <(sum_of_victim) "$R/victim.sum"; }
new_victim() { # files of root's, which nobody would like to have
	mkdir -p "$R/victim" && chmod 755 "$R/victim"
	printf secret >"$R/victim/shadow"
	printf secret >"$R/victim/other"
	chmod 600 "$R"/victim/*
	sum_of_victim >"$R/victim.sum"
}

scene root_key "hearth-coord has root's next init give it the root key, and other files of root's"
root_key() {
	local name key locker
	R=$T/rights
	mkdir -p "$R"
	new_victim
	init >"$R/init.log" 2>&1 || { failed "init: $(cat "$R/init.log")"; return; }
	check "the state is hearth-coord's" [ "$(find "$R/coord" ! -user nobody)" = "" ]
	refused "it reads the root key" "Permission denied" as_nobody cat "$R/coord-root/root.key"
	refused "it renames the root key" "Permission denied" as_nobody mv "$R/coord-root/root.key" "$R/coord-root/tls.crt"

	key=$(sha256sum <"$R/coord-root/root.key")
	did "as an older version had it: the root key among hearth-coord's files; it is renamed, the database kept locked"
	mv "$R/coord-root/root.key" "$R/coord/root.key"
	as_nobody mv "$R/coord/root.key" "$R/coord/tls.crt"
	setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups flock --no-fork "$R/coord/coord.db" sleep 60 &
	locker=$!
	until_ok 5 sh -c "! flock -n '$R/coord/coord.db' true" || failed "the database is not locked"
	init --if-needed >"$R/init.log" 2>&1
	check "init sees that it is being served" grep -q "already and it runs" "$R/init.log"
	unharmed "the root key is still root's" [ "$(owner "$R/coord/tls.crt")" = "root 600" ]
	kill $locker && wait $locker 2>/dev/null
	as_nobody mv "$R/coord/tls.crt" "$R/coord/root.key"
	init --if-needed >"$R/init.log" 2>&1
	check "under its own name it is moved out" grep -q "was moved" "$R/init.log"
	unharmed "it is the same key" [ "$(sha256sum <"$R/coord-root/root.key")" = "$key" ]

	for name in coord.db coord.db-wal signing.key tls.key tls.crt root.key root.key.new; do
		as_nobody mv "$R/coord/$name" "$R/coord/kept" 2>/dev/null
		as_nobody ln -s "$R/victim/shadow" "$R/coord/$name"
		init --if-needed >"$R/init.log" 2>&1
		check "$name is a link to a file of root's: init ends" [ $? -ne 124 ]
		as_nobody rm -f "$R/coord/$name"
		as_nobody mkfifo "$R/coord/$name"
		init --if-needed >"$R/init.log" 2>&1
		check "$name is a pipe that nobody writes to: init ends" [ $? -ne 124 ]
		as_nobody rm -f "$R/coord/$name"
		[ ! -e "$R/coord/kept" ] || as_nobody mv "$R/coord/kept" "$R/coord/$name"
	done
	unharmed "root's files are as they were" victim_as_it_was
	unharmed "the root key is the same" [ "$(sha256sum <"$R/coord-root/root.key") $(owner "$R/coord-root/root.key")" = "$key root 600" ]
	check "what hearth-coord has is its own" [ "$(find "$R/coord" ! -user nobody)" = "" ]

	did "the whole state is replaced by a link to a directory of root's" rm -rf "$R/coord"
	ln -s "$R/victim" "$R/coord"
	refused "a new init in it" "make .*/coord: Not a directory" init
	unharmed "root's files are as they were" victim_as_it_was
	rm "$R/coord"
	mkdir "$R/coord"
	refused "a new init in a directory of somebody else's" "does not belong to user nobody" init
	unharmed "it is not given away" [ "$(owner "$R/coord")" = "root 755" ]
	rmdir "$R/coord"
	refused "a new mesh in place of the old one" "is the root key of a mesh" init
	unharmed "the old mesh's root key is there" [ "$(sha256sum <"$R/coord-root/root.key")" = "$key" ]
}

board_of_nobody() { # PROGRAM...: as root, on a board whose hearthd runs as nobody
	env HEARTH_USER=nobody HEARTH_ETC="$R/etc" HEARTH_STATE="$R/state" HEARTH_RUN="$R/run" HEARTH_HOST_ETC="$R/host" \
		HEARTH_FACTS="$R/facts.json" timeout 20 "$@"
}
# before a command: with an empty network, and no systemd in sight
alone=(unshare --net --mount sh -c 'ip link set lo up && mount -t tmpfs none /run && "$@"' sh)

scene root_reads "hearthd's user has root's enroll-node read pipes and links"
root_reads() {
	local name
	try_it() { # WHAT: presences are not needed, and it goes on without them
		case $name in
		presence) check "$1: it ends" [ "$(board_of_nobody "$B/enroll-node" pods-resolv >/dev/null 2>&1; echo $?)" -lt 124 ] ;;
		*) refused "$1" "enroll-node: pods-resolv: .*$name" board_of_nobody "$B/enroll-node" pods-resolv ;;
		esac
		check "and the lock is free" flock -n "$R/etc/.enroll-node.lock" true
	}
	R=$T/reads
	mkdir -p "$R"/{etc,run,host}
	chmod 755 "$R"
	new_victim
	echo '{}' >"$R/facts.json"
	cp "$T/b/etc/hearthd.yaml" "$R/etc/"
	cp -r "$T/b/state" "$R/state" && chown -R nobody "$R/state"
	check "without an attack it goes through" board_of_nobody "$B/enroll-node" pods-resolv
	for name in identity.key wireguard.key log presence; do
		as_nobody sh -c "mv '$R/state/$name' '$R/state/kept' 2>/dev/null; mkfifo -m 600 '$R/state/$name'"
		try_it "$name is a pipe that nobody writes to"
		as_nobody sh -c "rm '$R/state/$name'; ln -s '$R/victim/shadow' '$R/state/$name'"
		try_it "$name is a link to a file of root's"
		as_nobody sh -c "rm '$R/state/$name'; mv '$R/state/kept' '$R/state/$name' 2>/dev/null; :"
	done
	check "without an attack it goes through" board_of_nobody "$B/enroll-node" pods-resolv
	unharmed "root's files are as they were" victim_as_it_was
}

leave() { board_of_nobody "${alone[@]}" "$B/enroll-node" --leave >"$R/leave.log" 2>&1; }

scene root_leaves "hearthd's user has root's enroll-node --leave remove files of root's"
root_leaves() {
	R=$T/leaves
	mkdir -p "$R"/{etc,host,run/cni}
	chmod 755 "$R"
	new_victim
	echo '{}' >"$R/facts.json"
	install -d -o nobody -m 700 "$R/state"
	chown root:"$(id -g nobody)" "$R/run/cni" && chmod 770 "$R/run/cni" # as tmpfiles.d has it
	cp "$T/b/etc/hearthd.yaml" "$R/etc/"
	as_nobody sh -c "echo x >'$R/state/identity.key'"
	as_nobody ln -s "$R/victim" "$R/run/cni/hearth"
	as_nobody sh -c "ln -s '$R/victim' '$R/state/all'; ln -s '$R/victim/shadow' '$R/state/log'; ln '$R/state/log' '$R/state/more'; mkdir '$R/state/dir'; ln -s '$R/victim/other' '$R/state/dir/x'"
	did "root: enroll-node --leave" leave
	check "it left: no file of the state is there" sh -c "! find '$R/state' -type f | grep ."
	unharmed "root's files are as they were" victim_as_it_was
	did "the state is a link to a directory of root's" rm -rf "$R/state"
	ln -s "$R/victim" "$R/state"
	leave
	unharmed "root's files are as they were" victim_as_it_was
}

scene root_starts "hearthd's user, and another one, have root's hearthd --background give them files, and believe them"
root_starts() {
	local name said
	R=$T/starts
	mkdir -p "$R"/{etc,host,run}
	chmod 755 "$R"
	new_victim
	cp "$T/b/etc/hearthd.yaml" "$R/etc/"
	printf '127.0.0.1 localhost\n' >"$R/host/hosts"
	install -d -o nobody -m 700 "$R/state"
	for name in identity.key wireguard.key log presence state.json timestamp kube.json; do
		as_nobody ln -s "$R/victim/shadow" "$R/state/$name"
	done
	as_nobody ln -s "$R/victim/shadow" "$R/state/log.tmp.1"
	said=$(board_of_nobody "${alone[@]}" bash -c '
		python3 -ISE "$1" cry 54321 "$HEARTH_RUN" & crier=$!
		until [ -e "$HEARTH_RUN/crying" ]; do sleep 0.01; done
		"$2" --background --user nobody --hosts "$HEARTH_HOST_ETC/hosts"
		wait $crier' sh "$ATTACKER" "$B/hearthd" 2>&1)
	kill "$(cat "$R/run/hearth-helper.pid")" 2>/dev/null
	check "it was tried, and failed: $said" grep -q "identity.key is no file of its own" <<<"$said"
	check "nobody but hearthd says that it is ready" grep -q "Permission denied" "$R/run/crying"
	unharmed "root's files are as they were" victim_as_it_was
	check "nothing of it is left" sh -c "! ls '$R'/run/launch-*"
}
