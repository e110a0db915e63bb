# shellcheck shell=bash disable=SC2154
# A board that nothing lets out but an HTTP proxy, on a machine of its own, that wants a user and a password.

proxy_secret='p@ss:w0rd' proxy_encoded=p%40ss%3Aw0rd proxy_at=192.168.77.5
proxy_up() { # basic|digest
	! is_machine proxy || ip netns pids "$N-proxy" | xargs -r kill -9 2>/dev/null
	is_machine proxy || machine proxy $proxy_at
	until_ok 10 empty proxy
	: >"$W/proxy.log"
	on proxy python3 "$HEARTH_SOURCE/tests/lab/lib/proxy.py" 0.0.0.0 3128 ann "$proxy_secret" "$1" >>"$W/proxy.log" 2>&1 &
	until_ok 10 grep -q ready "$W/proxy.log" || failed "the proxy does not start"
}
behind_proxy() { # BOARD
	fresh "$1"
	on "$1" nft -f - <<-X
		table inet no_way_out {
			chain output {
				type filter hook output priority 10; policy drop;
				oifname { "lo", "hearth0" } accept
				ip daddr $proxy_at tcp dport 3128 accept
				ip6 nexthdr icmpv6 accept
			}
		}
	X
}
proxy_carried() { grep -qx "CONNECT 192.168.77.1:8443 200" "$W/proxy.log"; }
connects() { status_says "$1" "coordinator  connected to https://192.168.77.1:8443"; } # BOARD
no_secret() { # BOARD: in no file of it but the one that is for it, nor in what it said
	! grep -rlF -e "$proxy_secret" -e "$proxy_encoded" "$W/$1" "$W/$1.said" --exclude=proxy --exclude-dir=net
}

scene proxied "a board that nothing lets out but a proxy with a password"
proxied() {
	local t
	proxy_up basic
	behind_proxy b20
	t=$(token --role member --name b20)
	ends 1 "another password" on b20 env "https_proxy=http://ann:wr%6fngpass@$proxy_at:3128" enroll-node <<<"$t"
	has "is told as such" "the proxy $proxy_at:3128 wants another user or password"
	has "and what to do" "percent-encoded"
	lacks "and not shown" "wr.*ngpass"
	check "nothing came by" sh -c "! grep -q ' 200' $W/proxy.log"
	printf 'http://ann:%s@%s:3128\n' $proxy_encoded $proxy_at >"$W/b20.proxy"
	enrolls "the right one, from a file" b20 "$t" --proxy-file "$W/b20.proxy" --wait 0
	has "names the proxy" "note  proxy  *$proxy_at:3128, from "
	check "it came by the proxy" proxy_carried
	check "hearthd alone may read the URL" test "$(stat -c '%a %U:%G' "$W/b20/etc/proxy")" = "640 root:nogroup"
	check "and is told of it" grep -qx "proxy_file: $W/b20/etc/proxy" "$W/b20/etc/hearthd.yaml"
	until_ok 10 connects b20 && passed "hearthd polls" || { failed "hearthd does not poll"; show "$W/out"; }
	stop_hearthd b20 || failed "hearthd does not end"
	proxy_up digest
	runs on b20 hearthd --background --user nobody --hosts "$W/b20/host/hosts"
	until_ok 10 connects b20 && passed "again when it starts anew, by Digest" || { failed "hearthd does not poll"; show "$W/out"; }
	check "by the proxy" proxy_carried
	check "the password is nowhere else" no_secret b20
	chmod 644 "$W/b20/etc/proxy"
	runs on b20 hearth reload
	until_ok 10 status_says b20 "everybody on this machine can read it" && passed "a file that all may read is not used, and that is said" || { failed "nothing is said"; show "$W/out"; }
	until_ok 10 connects b20 && passed "the proxy of before is kept meanwhile" || { failed "hearthd does not poll"; show "$W/out"; }
	chmod 640 "$W/b20/etc/proxy"
	runs on b20 hearth reload
	until_ok 10 connects b20 && passed "and used again" || { failed "hearthd does not poll"; show "$W/out"; }
	ends 0 "it leaves" on b20 enroll-node --leave
	check "and the URL goes with it" test ! -e "$W/b20/etc/proxy"
}

scene proxied_by_environment "the environment names the proxy, and what is reached without it"
proxied_by_environment() {
	local t
	proxy_up digest
	behind_proxy b21
	t=$(token --role member --name b21)
	on b21 env "https_proxy=http://ann:$proxy_encoded@$proxy_at:3128" NO_PROXY=example.org,10.0.0.0/8 \
		enroll-node --wait 0 <<<"$t" >"$W/out" 2>&1 && passed "a board with https_proxy" || { failed "it does not enrol"; show "$W/out"; }
	has "says where it is from" "note  proxy  *$proxy_at:3128, from https_proxy"
	check "it came by the proxy" proxy_carried
	cp "$W/out" "$W/b21.said"
	until_ok 10 connects b21 && passed "hearthd polls" || { failed "hearthd does not poll"; show "$W/out"; }
	check "what needs none is kept" sh -c "grep -A2 '^no_proxy:' $W/b21/etc/hearthd.yaml | grep -q example.org"
	check "the password is nowhere else" no_secret b21
	unenrolled
	check "another board, which is told that the coordinator needs none" on b0 env https_proxy=http://192.0.2.9:1 no_proxy=192.168.77.0/24 \
		enroll-node --dry-run --token-file "$(printf '%s\n' "$good" >"$W/b0.token"; echo "$W/b0.token")"
}
