# shellcheck shell=bash disable=SC2154
# What a board's pods need of the machine: a name server, and firewalls of others that let them through.

pods_ask() { [ "$(grep '^nameserver' "$W/b5/etc/kubeadm/resolv.conf")" = "nameserver $1" ]; }
follows() { # WHAT SERVER
	runs on b5 hearth reload
	until_ok 10 pods_ask "$2" && passed "$1" || { failed "$1"; show "$W/b5/etc/kubeadm/resolv.conf"; }
}

scene name_servers "the name servers of pods"
name_servers() {
	need b5
	runs on b5 enroll-node # behind one that hearthd may have begun, for a join bundle
	echo "nameserver 192.168.77.9" >"$W/b5/host/resolv.conf"
	follows "new pods ask the name server that the router hands out now" 192.168.77.9
	check "and what becomes of running ones is said" until_ok 5 grep -q "new pods ask the name server 192.168.77.9 now; those that run, CoreDNS among them" "$W/b5/run/hearthd.log"
	printf 'nameserver 127.0.0.53\nsearch lan\n' >"$W/b5/host/resolv.conf"
	follows "with none but a stub, the router" 192.168.77.254
	on b5 ip route del default
	: >"$W/b5/host/resolv.conf"
	runs on b5 enroll-node
	pods_ask 192.168.77.254 && passed "with neither, the one of before" || { failed "a good file was emptied"; show "$W/b5/etc/kubeadm/resolv.conf"; }
	has "and says so" "pods keep asking"
	rm "$W/b5/etc/kubeadm/resolv.conf"
	runs on b5 enroll-node
	pods_ask "$(node b5 mesh4)" && passed "if there never was one, the board itself: CoreDNS starts" || { failed "no name server at all"; show "$W/b5/etc/kubeadm/resolv.conf"; }
	has "and says so" "no names outside the cluster"
	on b5 ip route add default via 192.168.77.254
	echo "nameserver 192.168.77.254" >"$W/b5/host/resolv.conf"
	follows "and it ends by itself" 192.168.77.254
	runs on b5 enroll-node # what it wrote while there was no router
}

# Of iptables and ufw only what is asked for here, by nft.
firewall_tools() {
	mkdir -p "$W/fw"
	cat >"$W/fw/ip6tables" <<'X'
#!/bin/sh
[ "$1" = -w ] && shift
case ${0##*/} in *6*) f=ip6 ;; *) f=ip ;; esac
case $3 in -i) dir=iifname ;; *) dir=oifname ;; esac
case $1 in
-nL) nft list chain $f filter "$2" ;;
-C) nft list chain $f filter "$2" | grep "$dir \"hth\*\" accept" >/dev/null ;;
-I) nft insert rule $f filter "$2" $dir '"hth*"' accept ;;
-D) nft delete rule $f filter "$2" handle "$(nft -a list chain $f filter "$2" | sed -n "s/.*$dir \"hth\*\" accept # handle //p")" ;;
esac
X
	cat >"$W/fw/ufw" <<'X'
#!/bin/sh
case $* in
"route allow in on hth+") nft add rule ip filter ufw-user-forward iifname '"hth*"' accept ;;
"route allow out on hth+") nft add rule ip filter ufw-user-forward oifname '"hth*"' accept ;;
"route delete allow in on hth+") nft flush chain ip filter ufw-user-forward ;;
"route delete allow out on hth+") ;;
"allow in on hearth0") nft list chain ip filter ufw-user-input >/dev/null 2>&1 && nft add rule ip filter ufw-user-input iifname hearth0 accept; exit 0 ;;
"delete allow in on hearth0") nft list chain ip filter ufw-user-input >/dev/null 2>&1 && nft flush chain ip filter ufw-user-input; exit 0 ;;
"allow in on hth+" | "delete allow in on hth+") ;;
*) exit 9 ;;
esac
X
	chmod 755 "$W"/fw/*
	cp "$W/fw/ip6tables" "$W/fw/iptables"
}
b12() { on b12 env PATH="$W/fw:$PATH" "$@"; }
dropping() { # CHAIN: as a tool leaves it that drops what is passed on
	on b12 nft -f - <<-X
		table ip filter
		delete table ip filter
		table ip filter {
			chain $1 { }
			chain FORWARD { type filter hook forward priority filter; policy drop; jump $1; }
		}
	X
}
passes() { [ "$(on b12 nft list chain ip filter "$1" | grep -c '[io]ifname "hth\*" accept')" -eq 2 ]; }

scene docker "Docker's firewall drops what is passed on"
docker() {
	local unit=$W/b12/host/systemd/system/docker.service.d/10-hearth.conf
	firewall_tools
	board b12
	dropping DOCKER-USER
	enrolls "a board where Docker drops what is passed on" b12 "$(token)"
	has "is told so, and what mends it" "note  pods .*Docker's firewall drops .*(IPv4, .*enroll-node --fix"
	runs b12 enroll-node --fix --dry-run
	has "a dry run only says it" "would firewall .*docker"
	passes DOCKER-USER && failed "a dry run changed Docker's rules"
	printf '#!/bin/sh\n' >"$W/fw/iptables"
	b12 enroll-node --wait 0 --fix >"$W/out" 2>&1 && failed "rules that do not help, and enroll-node says nothing" || has "rules that do not help are an error" "firewall of docker drops .* still does"
	cp "$W/fw/ip6tables" "$W/fw/iptables"
	ends 0 "enroll-node --fix" b12 enroll-node --wait 0 --fix
	has "says what it did" "done  firewall .*docker"
	passes DOCKER-USER && passed "pods are let through" || { failed "Docker's rules"; on b12 nft list ruleset; }
	lacks "and it complains all the same" "note  pods"
	runs b12 enroll-node --wait 0 --fix
	has "once is enough" "Nothing to do"
	on b12 nft flush chain ip filter DOCKER-USER
	sed -n 's/^ExecStartPost=-//p' "$unit" | sed 's/\$\$/$/g' >"$W/post.sh"
	runs b12 sh "$W/post.sh" && passes DOCKER-USER && passed "Docker's unit does it anew at its next start" || { failed "the drop-in's command"; cat "$unit"; }
	ends 0 "--leave" b12 enroll-node --leave
	passes DOCKER-USER && failed "--leave leaves Docker's rules" || passed "takes the rules back"
	[ ! -e "$W/b12/host/systemd" ] && passed "and the drop-in" || { failed "left:"; find "$W/b12/host"; }
	gone b12
}

lets_in() { on b12 nft list chain ip filter ufw-user-input | holds 'iifname "hearth0" accept'; }

scene ufw "ufw's does, and then it also drops what comes in"
ufw() {
	firewall_tools
	board b12
	dropping ufw-user-forward
	enrolls "a board where ufw does" b12 "$(token)"
	has "is told so" "note  pods .*ufw drops what is passed on"
	runs b12 enroll-node --wait 0 --fix && passes ufw-user-forward && passed "--fix adds ufw's route rules" || failed "--fix beside ufw"
	on b12 nft -f - <<-X
		add chain ip filter ufw-user-input
		add chain ip filter INPUT { type filter hook input priority filter; policy drop; }
		add rule ip filter INPUT iifname { "eth0", "lo" } accept
	X
	runs b12 enroll-node --wait 0
	has "ufw that drops what comes in alone is told" "note  pods .*kubectl logs and exec.*enroll-node --fix"
	runs b12 enroll-node --wait 0 --fix && lets_in && passed "--fix lets the mesh in" || failed "--fix beside ufw's INPUT"
	runs b12 enroll-node --leave && ! passes ufw-user-forward && ! lets_in && passed "--leave takes them away" || failed "--leave beside ufw"
	gone b12
}
