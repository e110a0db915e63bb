# shellcheck shell=bash disable=SC2154
# Boards that leave, that are removed, and that come back.

left() { tree b6 | grep -v ' host/resolv.conf$'; }

scene leaving "leaving, and coming back in one's own place"
leaving() {
	local before address
	need b6
	address=$(node laptop mesh4)
	before=$(tree b6)
	on b6 enroll-node --leave --dry-run >"$W/out" 2>&1 && [ "$(tree b6)" = "$before" ] && passed "leaving, dry" || failed "leaving, dry"
	mkdir -p "$W/b6/host/kubernetes" && touch "$W/b6/host/kubernetes/kubelet.conf"
	ends 1 "a board of a cluster does not leave" on b6 enroll-node --leave
	has "before kubeadm reset" "kubeadm reset"
	rm -r "$W/b6/host/kubernetes"
	mkdir -p "$W/b6/host/NetworkManager/conf.d"
	printf '# Written by enroll-node for the interface of %s/hearthd.yaml\n' "$W/b6/etc" >"$W/b6/host/NetworkManager/conf.d/90-hearth-mesh7.conf"
	ends 0 "a member leaves" on b6 enroll-node --leave
	[ ! -e "$W/b6/host/NetworkManager/conf.d/90-hearth-mesh7.conf" ] && passed "and NetworkManager's file for its interface goes" || failed "90-hearth-mesh7.conf is left"
	rm -r "$W/b6/host/NetworkManager"
	[ -z "$(left)" ] && empty b6 && ! on b6 ip link show hearth0 >/dev/null 2>&1 && passed "and nothing is left of it" || { failed "left behind: $(left)"; on b6 ip link | sed 's/^/      | /'; ip netns pids "$N-b6" | xargs -r ps -fp; }
	on b6 nft list tables | holds hearth && failed "nftables tables are left"
	runs on b6 enroll-node --leave
	has "a second time there is nothing to do" "Nothing to do"
	enrolls "it comes back in its own place" b6 "$(token --replace laptop)"
	has "with its own address" "laptop, member of mesh home: $address"
}

machine_is() { # everything of b10's namespace and its /etc
	on b10 sysctl -a 2>/dev/null | grep '^net\.ipv[46]\.\(conf\.\|ip_forward\)'
	on b10 ip -d addr; on b10 ip route show table all; on b10 ip -6 route show table all; on b10 ip rule; on b10 nft list ruleset
	on b10 ls /var/run/wireguard
	(cd "$W/b10" && find etc host state run -printf '%p %M %u\n' | sort; md5sum host/hosts)
} 2>/dev/null
stays() { sed 's/ valid_lft [0-9a-z]* / /; /[0-9a-f:]*\/64 .*cache/d'; }
settled() { ! on b10 ip addr | holds tentative; }

scene hardened "a board with pods leaves a machine that somebody hardened, and leaves it as it was; once more beside Docker"
hardened() {
	board b10
	on b10 sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.default.accept_redirects=0 \
		net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.all.log_martians=1 net.ipv4.conf.lo.forwarding=1 net.ipv6.conf.lo.forwarding=1
	ip -n "$N-b10" -6 addr add fd4d::10/64 dev eth0 nodad
	ip -n "$N-b10" -6 route add default via fd4d::1
	ip -n "$N-b10" link add link eth0 name eth0.7 type macvlan	# an uplink that leads nowhere yet
	mkdir "$W/b10/state"; chown nobody "$W/b10/state"; chmod 700 "$W/b10/state"
	until_ok 5 settled
	machine_is | stays >"$W/machine.before"
	enrolls "a worker on a hardened machine" b10 "$(token --role worker)"
	[ "$(on b10 cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/{eth0,eth0.7}/accept_ra | xargs)" = "1 2 2" ] && passed "forwards, and keeps its router" || failed "the worker does not forward"
	runs on b10 enroll-node --leave --dry-run
	has "a dry run says what would be as before" "would forwarding .*net/ipv4/ip_forward 0"
	ends 0 "the worker leaves" on b10 enroll-node --leave
	has "and says what is as before" "done  forwarding .*net/ipv4/ip_forward 0"
	machine_is | stays >"$W/machine.after"
	ends 0 "the machine is as it was" diff "$W/machine.before" "$W/machine.after"
	enrolls "it comes back" b10 "$(token --replace b10)"
	ip -n "$N-b10" link add docker0 type bridge
	on b10 sysctl -qw net.ipv6.conf.all.forwarding=0
	runs on b10 enroll-node --leave
	[ "$(on b10 cat /proc/sys/net/ipv4/ip_forward)" = 1 ] && passed "beside a docker0 that came meanwhile, forwarding stays" || failed "docker0 lost its forwarding"
	has "and it says who needs it" "docker0 came after enrolment"
	[ "$(on b10 cat /proc/sys/net/ipv6/conf/all/forwarding)" = 0 ] && passed "what somebody turned off stays off" || failed "IPv6 forwarding"
	gone b10
}

told() { on b2 hearth status --json | holds '"code":"removed"\|"state":"removed"'; }

scene removed "a removed board"
removed() {
	local old last address
	need b2
	last=$(nodes "max(x['id'] for x in n)")
	runs on coord hearth node remove b2
	until_ok 10 told || failed "b2 does not hear that it was removed"
	ends 3 "a removed board" on b2 enroll-node
	has "is told to bring a new token" "removed from mesh home, and needs a new token"
	old=$(cat "$W/b2/state/identity.key")
	enrolls "a removed board enrols anew" b2 "$(token --role worker --name b2)"
	has "puts its old keys away" "removed from mesh home"
	[ "$(cat "$W/b2/state/identity.key")" != "$old" ] && passed "and has new keys" || failed "the keys of a removed board are used again"
	address=$(nodes "next(x['mesh4'] for x in n if x['name'] == 'b2' and x['id'] > $last)")
	on b2 ip -4 addr show hearth0 | holds "inet ${address//./\\.}/32" && passed "and a new address" || { failed "b2's address"; on b2 ip -4 addr show hearth0 | sed 's/^/      | /'; }
}
