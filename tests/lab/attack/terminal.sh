# shellcheck shell=bash disable=SC2154
# Words of others on a person's terminal and in the log: a coordinator, a daemon or a peer writes what clears the
# screen, hides a line, forges one, or turns letters around.

shown() { python3 -ISE "$ATTACKER" shown "$@"; }
# refused() for what is printed: the words came (so they are no less than before), and did nothing.
only_read() { # WHAT COMMAND...: the words came, and did nothing
	local what=$1 said
	shift
	tried=$((tried + 1))
	if ! said=$(shown "$@" 2>&1); then
		failed "$what"
	elif ! holds -F '\x1b[2J' <<<"$said"; then
		failed "$what: the attacker's words were not shown"
	else
		held=$((held + 1))
		passed "only read: $what"
		return
	fi
	printf '%s\n' "$said" | tail -12 | cut -c1-400 | sed 's/^/                | /'
}
hearth_of() { HEARTH_RUN=$R shown "$B/hearth" "$@"; }

scene words_of_daemons "a daemon that was taken over answers the client with escape sequences"
words_of_daemons() {
	local verb
	R=$T/words
	mkdir -p "$R"
	export HEARTH_RUN=$R
	status b | python3 -c 'import json, sys
s = json.load(sys.stdin)
s["coordinator"].update(connected=False, error="no")
s["problems"] = ["one"]
s["node"]["name"] = "pi3"
s["log"]["problem"] = "torn"
json.dump({"ok": s}, sys.stdout)' | python3 -ISE "$ATTACKER" hostile >"$R/status"
	python3 -ISE "$ATTACKER" hostile >"$R/coord" <<-'X'
		{"ok": {"tokens": [{"id": "1", "role": "worker", "name": "x", "state": "open", "expires": 1, "used_by": ["y", "z"]}],
		 "nodes": [{"id": 1, "name": "x", "role": "worker", "mesh4": "a", "mesh6": "b", "pods4": "c"}],
		 "id": "1", "token": "hearth1.x", "role": "worker", "expires": 1, "name": "x", "changed": true, "labels": {"k": "v"},
		 "settings": {"mesh": "x", "mesh4": "a", "mesh6": "b", "pods4": "c", "pods6": "d", "services4": "e", "services6": "f", "urls": ["u"], "pins": ["p"], "next_pin": "n", "stun": ["s"],
		  "relays": [{"name": "r", "host": "h", "tcp": 1, "pin": "web"}], "virtual": {"api4": "a", "api6": "b", "dns4": "c", "dns6": "d"}},
		 "by_hand": ["u"], "automatic": true, "coordinators": [{"node": 1, "name": "x", "port": 1}]}}
	X
	python3 -ISE "$ATTACKER" hostile <<<'{"error": {"code": "internal", "message": "no"}}' >"$R/error"
	answer() { # SOCKET FILE
		[ -z "${fake:-}" ] || { kill "$fake" && wait "$fake"; } 2>/dev/null
		rm -f "$R/$1"
		python3 -ISE "$ATTACKER" answers "$R/$1" "$R/$2" 2>"$R/fake.log" &
		fake=$!
		until_ok 5 test -S "$R/$1"
	}
	answer hearthd.sock status
	only_read "hearth status" "$B/hearth" status
	only_read "hearth status --verbose" "$B/hearth" status --verbose
	check "hearth status --json: the same words, as JSON" sh -c "'$B/hearth' status --json | LC_ALL=C grep -v '[^ -~]' | python3 -c 'import json, sys; j = json.load(sys.stdin); sys.exit(\"\\u202e\" not in j[\"mesh\"])'"
	answer hearthd.sock error
	for verb in status "ping b" reload; do
		# shellcheck disable=SC2086
		only_read "hearth $verb, refused" "$B/hearth" $verb
	done
	answer coord.sock coord
	for verb in "token list" "node list" "token create" "node label x k=v" "settings get" "settings set --stun none"; do
		# shellcheck disable=SC2086
		only_read "hearth $verb" "$B/hearth" $verb
	done
	answer coord.sock error
	for verb in "token list" "node remove x" "token create" "settings get" "settings set --url automatic"; do
		# shellcheck disable=SC2086
		only_read "hearth $verb, refused" "$B/hearth" $verb
	done
	kill $fake && wait $fake 2>/dev/null
	unset HEARTH_RUN fake
}

scene words_of_coordinators "a coordinator that was taken over gives its reasons in escape sequences"
words_of_coordinators() {
	R=$T/reasons
	mkdir -p "$R"/{etc,state}
	token --role member && cp "$T/token" "$R/token"
	python3 -ISE "$ATTACKER" hostile <<<'{"error": {"code": "removed", "message": "no"}}' | sed 's/"removed[^"]*"/"removed"/' >"$R/error"
	did "its TLS key answers with them" lies_start "$R/error"
	right 20 "hearthd of b heard them" says b "'pwned' in (s['coordinator']['error'] or '')"
	only_read "hearth status on b" ip netns exec "${N}b" env HEARTH_RUN="$T/b/run" "$B/hearth" status
	check "nor is a byte of them in the log of b" sh -c "! tail -n '+${marks[b]}' '$T/b/hearthd.log' | LC_ALL=C.UTF-8 grep -P '[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f]|\\x{202e}'"
	check "nor is there a line of theirs" sh -c "! grep '^problem' '$T/b/hearthd.log'"
	only_read "enroll-node" ip netns exec "${N}b" env HEARTH_ETC="$R/etc" HEARTH_STATE="$R/state" HEARTH_RUN="$R/run" HEARTH_USER=root \
		"$B/enroll-node" --dry-run --token-file "$R/token"
	did "the true one is back" lies_stop
	right 30 "hearthd of b is connected" says b "s['coordinator']['connected']"
	right 30 "the mesh is whole" whole
}
