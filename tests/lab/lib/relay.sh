# shellcheck shell=bash disable=SC2154
# Relays on light boards (lib/light.sh), for test-relay.

relay_serve() { # BOARD
	HEARTH_ETC=$T/$1/etc HEARTH_STATE=$T/$1/state HEARTH_RUN=$T/$1/run HEARTH_RELAY_STATE=$T/$1/relay \
		ip netns exec "$N$1" "$B/hearth-relay" serve --user root >>"$T/$1/relay.log" 2>&1 &
	echo $! >"$T/$1.relay.pid"
}
relay_stop() { # BOARD [SIGNAL]
	kill "-${2:-TERM}" "$(cat "$T/$1.relay.pid")" && wait "$(cat "$T/$1.relay.pid")"
	rm -f "$T/$1.relay.pid"
} 2>/dev/null
asks() { env_of a "$B/hearth" relay list | grep "^$1 .*3478" >/dev/null; }
relay_up() { # BOARD: it becomes a relay, as with `hearth relay enable`, and serves
	HEARTH_RELAY_STATE=$T/$1/relay env_of "$1" "$B/hearth-relay" init --user root >"$T/$1/relay.keys" || return 1
	python3 - "$T/$1/relay.keys" >"$T/$1/etc/relay.json" <<-X || return 1
		import json, sys
		made = json.load(open(sys.argv[1]))
		print(json.dumps({"hosts": "automatic", "tcp": 3340, "udp": 3478, "pin": made["pin"], "key": made["key"]}))
	X
	relay_serve "$1"
	kill -HUP "${pid[$1]}"
	until_ok 10 asks "$1" && env_of a "$B/hearth" relay allow "$1" >/dev/null
}
# BOARD...: each is bound to every relay there is
bound() {
	local b
	for b in "$@"; do says "$b" "s['relays'] and all(r['state']=='bound' for r in s['relays'])" || return 1; done
}
relay_down() { # BOARD: it is none any more, as with `hearth relay disable`
	rm "$T/$1/etc/relay.json" && relay_stop "$1" && kill -HUP "${pid[$1]}"
}
home_is() { says "$1" "[r['name'] for r in s['relays'] if r['home']]==['$2']"; } # BOARD RELAY

# How b and c hear of each other on their LAN: not at all, or as others do.
apart() { in_ns sw sh -c 'bridge link set dev pb isolated on; bridge link set dev pc isolated on'; }
together() { in_ns sw sh -c 'bridge link set dev pb isolated off; bridge link set dev pc isolated off'; }

# A cable between b and c, which makes a way that nobody knew of; somebody treads on it, and it only looks whole.
cable_in() {
	in_ns b ip link add cable type veth peer name cable netns "${N}c"
	in_ns b sh -c 'ip addr add 198.51.100.2/24 dev cable; ip link set cable up'
	in_ns c sh -c 'ip addr add 198.51.100.3/24 dev cable; ip link set cable up'
}
cable_out() { in_ns b ip link del cable; }
cable_dead() {
	local b
	for b in b c; do
		in_ns $b nft 'table inet tread { chain in { type filter hook prerouting priority -400; iifname "cable" drop; }; }'
	done
}
cable_alive() { in_ns b nft delete table inet tread; in_ns c nft delete table inet tread; }

reached() { says "$1" "[p['state'] for p in s['peers'] if p['name']=='$2']==['$3']"; } # BOARD PEER STATE
carried_by() { says b "[p['relay'] for p in s['peers'] if p['name']=='c']==['$1']"; }
both() { reached b c "$1" && reached c b "$1"; } # STATE

# Pings of b to c, twenty a second, until talk_end; the longest time without an answer among them
talk() { # [ADDRESS]
	ip netns exec "${N}b" stdbuf -oL ping -n -D -i 0.05 "${1:-${ip4[c]}}" >"$T/talk" &
	echo $! >"$T/talk.pid" # no function in between: the ping itself
}
talk_end() { kill "$(cat "$T/talk.pid")" && wait "$(cat "$T/talk.pid")"; rm "$T/talk.pid"; } 2>/dev/null
gap() { # SECONDS: no longer one than that
	python3 - "$T/talk" "$1" <<-'X'
		import re, sys
		at = [float(m) for m in re.findall(r"^\[([\d.]+)\] \d+ bytes from .* time=", open(sys.argv[1]).read(), re.M)]
		gap = max([b - a for a, b in zip(at, at[1:])], default=1e9)
		print("%d answers; the longest time without one: %.2f s" % (len(at), gap))
		sys.exit(gap > float(sys.argv[2]))
	X
}

# A TCP connection from c to b through the tunnel, 20 Mbit/s until stream_end, and how much came each tenth of a second.
stream() {
	ip netns exec "${N}c" iperf3 -s -1 >"$T/stream.server" 2>&1 & echo $! >"$T/stream.server.pid"
	until_ok 5 eval 'in_ns c ss -tln | holds :5201'
	ip netns exec "${N}b" iperf3 -J -R -c "${ip4[c]}" -b 20M -t 600 -i 0.1 >"$T/stream" 2>&1 & echo $! >"$T/stream.pid"
	streamed=0
	until_ok 5 goes_on || failed "iperf3: $(cat "$T/stream" "$T/stream.server")"
}
stream_mark() { streamed=$(stream_bytes); }
stream_bytes() { in_ns b ss -tinH "dst ${ip4[c]} and dport = 5201" | sed -n 's/.* bytes_received:\([0-9]*\).*/\1/p' | sort -n | tail -1; }
# 250 kB more than at stream_mark, which is more than was on its way
goes_on() { [ "$(($(stream_bytes) - streamed))" -gt 250000 ]; }
stream_end() {
	kill -INT "$(cat "$T/stream.pid")" && wait "$(cat "$T/stream.pid")"
	kill "$(cat "$T/stream.server.pid")"
	rm "$T"/stream{,.server}.pid
} 2>/dev/null
stalled() { # SECONDS: nothing went wrong but that we ended it, and no longer without a byte than that
	python3 - "$T/stream" "$1" <<-'X'
		import json, sys
		said = json.load(open(sys.argv[1]))
		error, parts = said.get("error", "it ended by itself"), [i["sum"] for i in said["intervals"]]
		longest = since = 0.0
		for i in parts: since = 0.0 if i["bytes"] else since + i["seconds"]; longest = max(longest, since)
		print("%.1f MB in %.0f s; the longest time without a byte: %.1f s" % (sum(i["bytes"] for i in parts) / 1e6, parts[-1]["end"], longest))
		sys.exit("iperf3: " + error if error.split(" - ")[0] != "interrupt" or len(said["start"]["connected"]) != 1 else longest > float(sys.argv[2]))
	X
}
no_stall() { # SECONDS WHAT: of the stream that ends now
	local said
	stream_end
	said=$(stalled "$1" 2>&1) && passed "$2: $said" || failed "$2: $said"
}
# SECONDS WHAT: of the talk that ends now
no_gap() {
	local said
	talk_end
	said=$(gap "$1") && passed "$2: $said" || failed "$2: $said"
}
