#!/bin/bash
# boards.sh DERPER: light boards whose relay is Tailscale's derper, with the keys that hearth-relay made, so that
# records and boards know no difference. There is nothing at the relay's UDP port, and b and c hear each other by no
# other way (the drawing is in tests/lab/test-relay).
# shellcheck disable=SC2154
set -uo pipefail
derper=$1
lib=${HEARTH_SOURCE:?}/tests/lab/lib
. "$lib/light.sh"
. "$lib/drift.sh"
. "$lib/relay.sh"
[ -x "$B/hearth-relay" ] || { echo "hearth-relay is not built"; exit 1; }

derper_keys() { # of hearth-relay, as derper takes them
	local d=$T/a/derper
	mkdir -p "$d" || return
	python3 - "$T/a/relay" "$d" "${wan[a]}" <<-'X' || return
		import base64, json, sys
		relay, to, host = sys.argv[1:]
		key = lambda name: base64.b64decode(open(f"{relay}/{name}.key").read())
		json.dump({"PrivateKey": "privkey:" + key("relay").hex()}, open(f"{to}/derper.json", "w"))
		# RFC 8410, section 7: what is before the seed of an Ed25519 key
		der = bytes.fromhex("302e020100300506032b657004220420") + key("tls")
		print("-----BEGIN PRIVATE KEY-----", base64.b64encode(der).decode(), "-----END PRIVATE KEY-----",
		      sep="\n", file=open(f"{to}/{host}.key", "w"))
	X
	openssl req -x509 -key "$d/${wan[a]}.key" -subj /CN=relay -addext "subjectAltName=IP:${wan[a]}" -days 30 -out "$d/${wan[a]}.crt"
}
derper_start() {
	ip netns exec "${N}a" "$derper" -c "$T/a/derper/derper.json" -a ":3340" -http-port -1 -stun=false -certmode manual -certdir "$T/a/derper" -hostname "${wan[a]}" >>"$T/a/derper.log" 2>&1 &
	echo $! >"$T/derper.pid"
}
derper_stop() { kill "-$1" "$(cat "$T/derper.pid")" && wait "$(cat "$T/derper.pid")"; rm -f "$T/derper.pid"; } 2>/dev/null
by_tcp() { says "$1" "[p['relay_way'] for p in s['peers'] if p['name']=='$2']==['tcp']"; } # BOARD PEER
gone() { grep -c "relay 1 says that board 3 is not there" "$T/b/hearthd.log"; }
measured() { says "$1" "[r['rtt_us'] for r in s['relays'] if r['way']=='tcp' and r['rtt_us']]!=[]"; } # BOARD

export HEARTH_LOG=debug
light_up --url https://192.0.2.11:8443
check "the mesh is whole" mesh_whole 15
check "a is a relay" relay_up a
relay_stop a
check "derper has its keys" derper_keys
apart
did "derper serves in its place" derper_start
right 15 "b reaches c" ping_to b "${ip4[c]}"
right 5 "by TCP" by_tcp b c
right 5 "and c reaches b" by_tcp c b
check "by IPv6, too" ping_to c "${ip6[b]}"
check "a packet of the size that routes allow" in_ns b ping -n -q -c 1 -W 1 -M "do" -s 1252 "${ip4[c]}"
check "a thousand, one behind the other" in_ns b ping -n -q -f -c 1000 -W 1 "${ip4[c]}"
right 5 "it answers pings" measured b
talk
until_ok 5 ping_to b "${ip4[c]}"
did "derper is killed, and starts again" derper_stop KILL
derper_start
right 5 "b reaches c" ping_to b "${ip4[c]}"
no_gap 4 "it was a short silence"
# shellcheck disable=SC2034  # below
had=$(gone)
did "c goes: derper says so" stop c
right 30 "b has heard it" eval '[ "$(gone)" -gt "$had" ]'
did "c comes back" start c
right 15 "b reaches c" ping_to b "${ip4[c]}"
together
light_finish
