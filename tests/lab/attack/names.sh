# shellcheck shell=bash disable=SC2154
# What was granted for one node, by its name, is tried on the node that is called so now.

new_board() { # NAME: keys of a fourth board, which runs nothing; $T/NAME is its directory
	mkdir -p "$T/$1"
	in_ns c python3 "$TOOL" enrol "$T/token" "$T/$1/state" "$T/$1/etc" "$1"
}
nodes() { env_of a "$B/hearth" node list --json | python3 -c "import json,sys; n={x['name']: x for x in json.load(sys.stdin)['nodes']}; print($1)"; }
rename() { env_of a "$B/hearth" node rename "$1" "$2" >/dev/null; }

scene renamed "a token to replace one board is redeemed when another, more powerful one is called so"
renamed() {
	local plane late
	token --role worker && new_board spare >/dev/null || failed "a fourth board"
	plane=$(nodes "n['a']['identity']")
	token --replace spare && mv "$T/token" "$T/token.late"
	token --replace spare
	did "spare becomes spare-old, and the control plane spare" rename spare spare-old
	rename a spare
	check "the token replaces the node it was made for" [ "$(new_board thief | cut -d' ' -f3)" = "$(nodes "n['spare-old']['id']")" ]
	unharmed "the control plane has its key" [ "$(nodes "n['spare']['identity']")" = "$plane" ]
	rename spare a
	mv "$T/token.late" "$T/token"
	late=$(nodes "n['spare-old']['identity']")
	refused "another token for the node, after it was replaced" "HTTP Error 403" new_board thief2
	unharmed "it has the key it was given" [ "$(nodes "n['spare-old']['identity']")" = "$late" ]
	env_of a "$B/hearth" node remove spare-old >/dev/null
	check "the coordinator's log says why" grep -q "(replace_mismatch): Node 4, which the token was made to replace, was removed or replaced since" "$T/coord.log"
	right 10 "the mesh is whole" whole
}
