# shellcheck shell=bash disable=SC2034,SC2154
# The coordinator's machine gets other addresses. That the coordinator finds new ones by itself is one way out;
# here boards must find it with the addresses that they know: through the tunnel, which follows by itself.

connected_to() { # BOARD PATTERN of the URL
	says "$1" "s['coordinator']['connected'] and __import__('re').search(r'$2', s['coordinator']['url']) is not None"
}
knows_place() { # BOARD...: their logs say on which node the coordinator runs
	local b
	for b; do
		python3 - "$T/$b/state/log" <<-'P' || { echo "$b does not know"; return 1; }
			import base64, json, sys
			for line in open(sys.argv[1]):
			    record = json.loads(line)
			    if record["type"] == "settings":
			        last = json.loads(base64.b64decode(record["payload"]))
			sys.exit(last.get("coordinators") != [{"node": 1, "port": 8443}])
		P
	done
}
renumber() { # BOARD LAST-OCTET-OF-OLD LAST-OCTET-OF-NEW
	ip -n "$N$1" addr del "192.0.2.$2/24" dev eth0
	ip -n "$N$1" addr add "192.0.2.$3/24" dev eth0
	ip -n "$N$1" addr del "2001:db8:7::$2/64" dev eth0
	ip -n "$N$1" route replace default via 192.0.2.1
	wan[$1]=192.0.2.$3
}

scene coord_place "the coordinator finds out on which board it runs" long
coord_place() {
	local said
	did "nothing: it has done so since"
	right 10 "all boards have the record" knows_place a b c
	said=$(grep -c "this machine is a: boards now also look" "$T/coord.log")
	check "it said so once" [ "$said" -eq 1 ]
	env_of a "$B/hearth" token create --role member 2>/dev/null >"$T/token.place"
	check "a token has no address in the mesh" sh -c "python3 -c '
import base64, json, sys
t = open(sys.argv[1]).read().strip().split(\".\")[1]
print(json.loads(base64.urlsafe_b64decode(t + \"=\" * (-len(t) % 4)))[\"urls\"])' $T/token.place | tee $T/token.urls && ! grep -qE '10\\.77|\[fd|127\\.0' $T/token.urls"
	check "its own board asks it at home" until_ok 10 connected_to a '127\.0\.0\.1|192\.0\.2'
}

scene coord_by_hand "a person sets where boards find the coordinator" long
log_tells() { # BOARD TEXT: in one of its last two records
	env_of "$1" "$B/hearth" log | tail -2 | holds -F -- "$2"
}
coord_by_hand() {
	local url
	url=$(field b 's["coordinator"]["url"]')
	did "the URL that b uses is set by hand, beside those that are found" env_of a "$B/hearth" settings set --url "$url" --url automatic
	right 10 "b says so" says b "s['coordinator']['by_hand'] and s['coordinator']['url'] == '$url'"
	check "in words, too" sh -c "HEARTH_RUN='$T/b/run' '$B/hearth' status | grep -F 'connected to $url (set by hand)'"
	right 10 "its log, too" log_tells b "found at $url (set by hand)"
	did "STUN servers and relays of others" env_of a "$B/hearth" settings set --stun stun.example.org --relay derp.example.org
	right 10 "the log of c tells them" log_tells c "STUN servers: stun.example.org:3478; foreign relays: derp at derp.example.org:443"
	did "all of it is taken back" env_of a "$B/hearth" settings set --url automatic --stun none --relay none
	right 10 "b says so" says b "not s['coordinator']['by_hand'] and s['coordinator']['connected']"
}

scene coord_renumbered "the coordinator's machine gets another address, and only its tunnel is to be had there" long
coord_renumbered() {
	in_ns a nft 'add table inet lab; add chain inet lab in { type filter hook input priority -300; }; add rule inet lab in iifname eth0 tcp dport 8443 drop'
	did "a: 192.0.2.11 becomes 192.0.2.111" renumber a 11 111
	right 10 "packets flow again" whole
	right 30 "b asks it through the tunnel" connected_to b '10\.77\.0\.1|\[fd'
	right 30 "c, too" connected_to c '10\.77\.0\.1|\[fd'
	right 30 "and its own board asks it at home" connected_to a '127\.0\.0\.1|::1|192\.0\.2\.111'
	in_ns a nft delete table inet lab
	did "b restarts, with the addresses of then" stop b
	start b
	right 30 "b asks it" connected_to b https
}
