# shellcheck shell=bash disable=SC2154,SC2317
# A coordinator with its signing key may give any node other keys, and so become it: that is what `hearth token create
# --replace` does. It cannot be done unseen: every board's log of records has it, and every board's journal says it.

record_rekey() { # BOARD: the record shows on it, and says whose keys changed
	env_of "$1" "$B/hearth" log --json | python3 -c '
import json, sys
log = json.load(sys.stdin)
mine = [r for r in log["records"] if r["rekeys"] and r["name"] == "victim"]
print(log["rekeys"], mine)
sys.exit(not (log["rekeys"] >= 1 and len(mine) == 1 and "OTHER KEYS: identity " in mine[0]["text"]))'
}

scene rekeyed "a coordinator with its signing key gives a board the keys of another machine"
rekeyed() {
	local b
	mkdir -p "$T/victim" "$T/thief"
	token --role worker
	check "a fourth board" in_ns c python3 "$TOOL" enrol "$T/token" "$T/victim/state" "$T/victim/etc" victim
	token --replace victim
	did "it is re-keyed" in_ns c python3 "$TOOL" enrol "$T/token" "$T/thief/state" "$T/thief/etc" victim >/dev/null
	for b in "${boards[@]}"; do
		right 10 "hearth log on $b shows it" record_rekey "$b"
		check "and says so at its end" holds "A board was given other keys by record" < <(env_of "$b" "$B/hearth" log)
		logged "$b" 1 "warning: record [0-9]+: victim \(node [0-9]+\) is given OTHER KEYS: identity .*the coordinator was taken over"
	done
	check "hearth log victim is its story" [ "$(env_of a "$B/hearth" log victim | grep -c victim)" -eq 2 ]
	env_of a "$B/hearth" node rename victim.home.internal victim2 >/dev/null
	story() { # WHO: how many records tell it
		env_of a "$B/hearth" log "$1" | grep -c victim
	}
	check "hearth log victim2.home.internal has what it did under its old name" [ "$(story victim2.home.internal)" -eq 3 ]
	check "everybody on a board may look" env_of b setpriv --reuid 54322 --clear-groups "$B/hearth" log
	env_of a "$B/hearth" node remove VICTIM2 >/dev/null
	right 10 "and after it was removed it still shows it" record_rekey b
	check "all of it, by its last name and by the one before" [ "$(story victim2) $(story victim)" = "4 4" ]
	check "hearth log of nobody says so" holds 'no board is or was "nobody"' < <(env_of a "$B/hearth" log nobody 2>&1)
}

scene forged_log "hearthd that was taken over, or somebody with its files, shows another log"
forged_log() {
	local fake
	R=$T/forged
	mkdir -p "$R"
	forge() { # PYTHON: changes the list `records`
		env_of b python3 -ISE "$ATTACKER" asks "$T/b/run/hearthd.sock" root log '{}' | python3 -c '
import base64, json, sys
reply = json.load(sys.stdin)
records = reply["records"]
exec(sys.argv[1])
reply["seq"] = len(records)
json.dump({"ok": reply}, open(sys.argv[2], "w"))' "$1" "$R/log"
	}
	shows() { HEARTH_ETC=$T/b/etc HEARTH_RUN=$R timeout 10 "$B/hearth" log; }
	forge "pass"
	python3 -ISE "$ATTACKER" answers "$R/hearthd.sock" "$R/log" 2>"$R/fake.log" &
	fake=$!
	until_ok 5 test -S "$R/hearthd.sock"
	check "(the true one is shown)" shows
	forge "records[-1]['payload'] = base64.b64encode(base64.b64decode(records[-1]['payload']).replace(b'{', b'{ ', 1)).decode()"
	refused "a record that was changed" "is not this mesh's log, from record" shows
	forge "del records[2]"
	refused "a record that is left out" "is not this mesh's log, from record 3" shows
	forge "del records[0]; records[0]['seq'] = 1"
	refused "another beginning" "is not this mesh's log, from record 1" shows
	kill $fake && wait $fake 2>/dev/null
}
