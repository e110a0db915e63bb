# shellcheck shell=bash disable=SC2154
# What else lives on the machine's network: containers, a router's whole table.

cpu_ms() { awk '{ print ($14 + $15) * 10 }' "/proc/${pid[$1]}/stat"; }	# BOARD: of its hearthd, both threads
connections() { in_ns a ss -Htn state established '( sport = :8443 )' "dst ${wan[b]}" | awk '{ print $4 }' | sort; }
new_connection() { local now; now=$(connections) && [ -n "$now" ] && [ "$now" != "$1" ]; } # OLD
one_is_left() { # OLD: of several (presence has one of its own, and it ends when it was idle) the poll's
	[ -n "$(comm -12 <(echo "$1") <(connections))" ] || { printf 'before: %s\nnow: %s\n' "$1" "$(connections)"; return 1; }
}
container() { # comes and goes
	ip -n "${N}b" link add "veth$1" type veth peer name "vpeer$1" && ip -n "${N}b" link set "veth$1" up &&
		ip -n "${N}b" addr add "172.17.$1.1/24" dev "veth$1" && ip -n "${N}b" link del "veth$1"
}
containers() { local i; for i in {1..15}; do container "$i" || return; sleep 0.3; done; }
ten_links() { local i; for i in {1..10}; do ip -n "${N}b" link add "br$i" type bridge && ip -n "${N}b" link set "br$i" up && sleep 0.3; done; }
no_links() { local i; for i in {1..10}; do ip -n "${N}b" link del "br$i"; done; }
cost_of() { # COMMAND...: CPU of hearthd on b in ms, until a while after it
	local before
	before=$(cpu_ms b)
	"$@" && seconds_pass 1.5 || return
	echo $(($(cpu_ms b) - before))
}
table() { # N of routes, as a routing daemon loads them
	awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "route add 20.%d.%d.%d/32 via 192.0.2.1 proto bird\n", i / 65536, i / 256 % 256, i % 256 }' |
		ip -n "${N}b" -batch -
}

scene containers_come "fifteen containers come and go"
containers_come() {
	local before
	right 10 "b is connected to the coordinator" says b "s['coordinator']['connected']"
	before=$(connections)
	did "b: veth pairs with addresses, one after the other" containers
	seconds_pass 1.5
	check "the connection to the coordinator is the one it was" one_is_left "$before"
	logged b 0 "coordinator"
}

scene full_table "a router's table of 200,000 routes"
full_table() {
	local idle load links took before
	idle=$(cost_of ten_links) && no_links
	passed "ten links come: $idle ms of CPU with 10 routes"
	took=$SECONDS
	did "b: 200,000 routes are loaded" true
	load=$(cost_of table 200000)
	check "it costs hearthd under 500 ms: $load ms, in $((SECONDS - took)) s" test "$load" -lt 500
	links=$(cost_of ten_links) && no_links
	check "ten links come, with 200,000 routes: $links ms of CPU, at most 200 ms more than before" test "$links" -le $((idle + 200))
	did "b: a route of Hearth's is removed" ip -n "${N}b" route del "${ip4[a]}"
	right 5 "it is back" sh -c "ip -n ${N}b route show ${ip4[a]} | grep -q hearth0"
	before=$(connections)
	did "b: the default route is replaced" ip -n "${N}b" route replace default via 192.0.2.13
	right 5 "the connection to the coordinator is a new one" new_connection "$before"
	ip -n "${N}b" route replace default via 192.0.2.1
	ip -n "${N}b" route flush proto bird
	right 15 "the mesh is whole" whole
	logged b 0 "warning"
}
