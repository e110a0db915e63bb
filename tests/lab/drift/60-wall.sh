# shellcheck shell=bash disable=SC2034,SC2154
# The firewall's rules: where they cannot be put in place, nothing that comes by the tunnel is passed on.

behind_up() { # b has a pod, and a and c the way to it; its pod answers
	local net
	forwarding 1
	net=$(field b "s['node']['pods6'].split('::')[0]")
	behind4=10.244.2.9 behind6=$net::9
	extra=(behind)
	netns_add "${N}behind"
	ip -n "${N}b" link add hth0000000009 type veth peer name eth0 netns "${N}behind"
	in_ns b sh -c "ip link set hth0000000009 up; ip addr add 169.254.1.1/32 dev hth0000000009; ip addr add fe80::1/64 dev hth0000000009 nodad
		ip route add $behind4 dev hth0000000009; ip -6 route add $behind6 dev hth0000000009"
	in_ns behind sh -c "ip link set lo up; ip link set eth0 up; ip addr add $behind4/32 dev eth0; ip addr add $behind6/128 dev eth0 nodad
		ip route add 169.254.1.1 dev eth0; ip route add default via 169.254.1.1; ip -6 route add default via fe80::1 dev eth0"
}
behind_down() { ip netns del "${N}behind"; ip -n "${N}b" link del hth0000000009 2>/dev/null; }
behind_answers() { ping_to a $behind4 && ping_to a "$behind6"; }
is_shut() { [ "$(in_ns b ip rule | grep -c 'from all iif hearth0 prohibit')" = 1 ] && [ "$(in_ns b ip -6 rule | grep -c 'from all iif hearth0 prohibit')" = 1 ]; }
is_open() { ! in_ns b sh -c 'ip rule; ip -6 rule' | holds prohibit; }
prohibited() { # and it is told so, by the board
	local said
	said=$(in_ns a ping -n -c 1 -W 1 $behind4; in_ns a ping -n -c 1 -W 1 "$behind6")
	holds "From ${ip4[b]} .*filtered" <<<"$said" && holds "From ${ip6[b]} .*prohibited" <<<"$said" || { echo "$said"; return 1; }
}
rule_seen() { in_ns b sh -c 'ip rule add pref 4711 lookup main; ip rule del pref 4711'; grep -q 4711 "$T/rules"; }
own_nft() { # SCRIPT: what nft is for the next hearthd of b
	mkdir -p "$T/b/bin"
	printf '#!/bin/sh\n%s\n' "$1" >"$T/b/bin/nft"
	chmod 755 "$T/b/bin/nft"
}
again() { # as after a boot: neither rules nor interface are from before
	stop b
	in_ns b sh -c 'nft delete table inet hearth; ip link del hearth0'
	start b "PATH=$T/b/bin:$PATH"
}
seen_by() { # TYPE...: what the kernel says of these in b is in $T/rules, from now on
	ip -n "${N}b" -o monitor "$@" >"$T/rules" 2>&1 &
	echo $! >"$T/monitor.pid"
	check "somebody watches $*" until_ok 10 rule_seen
}
seen_end() {
	kill "$(cat "$T/monitor.pid")"
	wait "$(cat "$T/monitor.pid")" 2>/dev/null
	rm "$T/monitor.pid"
}
shut_first() { # of the new interface's news, behind those of the old one
	awk '/^Deleted .*hearth0/ { gone = 1 } /prohibit/ { shut++ } gone && /^[0-9]+: hearth0:/ { new = 1; exit } END { exit !new || shut < 2 }' "$T/rules" || { cat "$T/rules"; return 1; }
}

scene rules_late "hearthd starts on a board without rules, and nft takes its time"
rules_late() {
	behind_up
	right 5 "its pod is reached" behind_answers
	mkfifo "$T/b/go"
	own_nft "read -r _ <$T/b/go; exec $(command -v nft) \"\$@\""
	seen_by link rule
	did "b: a new start" again
	right 10 "nothing is passed on" is_shut
	right 10 "the board itself is reached" ping_to a "${ip4[b]}"
	check "both families' rules were there before the interface" shut_first
	seen_end
	right 5 "its pod is not, and the other end is told" prohibited
	check "there are no rules yet, and it is not ready" sh -c "! ip netns exec ${N}b nft list table inet hearth && ! tail -n 3 $T/b/hearthd.log | grep ready"
	did "b: nft goes on" sh -c "echo go >$T/b/go"
	right 5 "the rules are there" in_ns b nft list chain inet hearth guard
	right 5 "and the pod is reached" behind_answers
	check "no rule is left" is_open
	check "and no problem" says b "s['problems']==[]"
	rm "$T/b/go"
	seen_by rule
	did "b: a start with the rules of before"
	stop b
	own_nft "exec $(command -v nft) \"\$@\""
	start b "PATH=$T/b/bin:$PATH"
	right 10 "the mesh is whole" whole
	right 5 "ready" says b "s['problems']==[]"
	check "it was never shut" sh -c "! grep prohibit $T/rules"
	seen_end
	behind_down
}

scene no_rules "nft fails on a board without rules"
no_rules() {
	behind_up
	own_nft 'echo "Error: no such thing in this kernel" >&2; exit 1'
	did "b: a new start" again
	right 10 "a problem says what that means" says b "any('not in place' in p and 'no such thing in this kernel' in p and 'nothing from the mesh is passed on' in p for p in s['problems'])"
	check "nothing is passed on" is_shut
	right 10 "the board itself is reached" ping_to a "${ip4[b]}"
	right 5 "its pod is not, and the other end is told" prohibited
	did "b: somebody removes the routing rules" in_ns b sh -c 'ip rule del pref 77; ip -6 rule del pref 77'
	right 5 "they are back" is_shut
	did "b: nft works" own_nft "exec $(command -v nft) \"\$@\""
	kill -HUP "${pid[b]}"
	right 10 "the pod is reached" behind_answers
	right 5 "and no problem" says b "s['problems']==[]"
	check "no rule is left" is_open
	logged b 1 "warning: the firewall's rules are not in place"
	logged b 1 "no longer so, .*the firewall's rules are not in place"
	behind_down
}

scene rules_fight "another program removes the rules again and again"
rules_fight() {
	behind_up
	did "b: five times a second"
	ip netns exec "${N}b" sh -c 'while sleep 0.2; do nft flush chain inet hearth guard; done' 2>/dev/null &
	echo $! >"$T/fight.pid"
	right 20 "a problem says so, and what it means" says b "any('keeps removing rules' in p and 'nothing from the mesh is passed on' in p for p in s['problems'])"
	right 10 "while they are missing nothing is passed on" is_shut
	right 5 "the pod is cut off" prohibited
	kill "$(cat "$T/fight.pid")"
	wait "$(cat "$T/fight.pid")" 2>/dev/null
	rm -f "$T/fight.pid"
	did "b: it ends"
	right 20 "the rules are there" sh -c "ip netns exec ${N}b nft list chain inet hearth guard | grep -q from_mesh"
	right 5 "the pod is reached" behind_answers
	check "no rule is left" is_open
	stop b	# which forgets the fight
	start b
	right 10 "the mesh is whole" whole
	behind_down
}
