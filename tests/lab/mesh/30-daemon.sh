# shellcheck shell=bash disable=SC2154
# hearthd begins and ends: what systemd hears of it, by its own launcher, killed, without the coordinator, and what
# it does not begin with.

heard_of() { until_ok 10 grep -qE "$1" "$T/told" || { cat "$T/told"; return 1; }; } # PATTERN

scene systemd "what systemd is told, and when"
systemd() {
	python3 -u - "$T/notify" "${N}b" "${ip4[a]} dev hearth0" >"$T/told" 2>&1 <<'P' &
import os, signal, socket, struct, subprocess, sys
path, ns, route = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind(path)
os.chmod(path, 0o666)
print("bound")
while True:
    data, extra, _, _ = s.recvmsg(65536, socket.CMSG_SPACE(12) + socket.CMSG_SPACE(64))
    lines = data.decode().split("\n")
    if "READY=1" in lines:  # nothing is done after it that should have been done before
        pid = [struct.unpack("3i", d)[0] for _, kind, d in extra if kind == socket.SCM_CREDENTIALS][0]
        os.kill(pid, signal.SIGSTOP)
        there = subprocess.run(["ip", "-n", ns, "route"], capture_output=True, text=True).stdout
        rules = subprocess.run(["ip", "netns", "exec", ns, "nft", "list", "chain", "inet", "hearth", "postrouting"], capture_output=True).returncode
        print("ready, and " + ("all is there" if route in there and rules == 0 else "only there: " + there))
        os.kill(pid, signal.SIGCONT)
    print(data.decode())
P
	echo $! >"$T/notify.pid"
	until_ok 60 grep -q bound "$T/told"
	stop b
	ip -n "${N}b" link del hearth0 2>/dev/null
	in_ns b nft delete table inet hearth
	start b NOTIFY_SOCKET="$T/notify" WATCHDOG_USEC=2000000
	check "systemd hears READY when interface, routes and firewall are there" heard_of '^ready, and all is there'
	check "and never before" sh -c "! grep -q '^ready, and only' $T/told"
	check "STATUS in words" heard_of '^STATUS=.*[a-z]+ .*[a-z]'
	check "WATCHDOG" heard_of '^WATCHDOG=1'
	kill -HUP "${pid[b]}"
	check "RELOADING, with the time" heard_of '^RELOADING=1'
	check "of it" heard_of '^MONOTONIC_USEC=[1-9]'
	check "and READY again" until_ok 10 sh -c "[ \$(grep -c '^READY=1' $T/told) -ge 2 ]"
	stop b
	check "STOPPING" heard_of '^STOPPING=1'
	kill_by "$T/notify.pid"
	rm "$T/notify" "$T/told"
	start b
	check "the mesh after that" mesh_whole 10
}

scene no_coordinator "all daemons begin without the coordinator, once after a power cut"
no_coordinator() {
	local b
	coord_stop
	for b in "${boards[@]}"; do stop "$b"; done
	for b in "${boards[@]}"; do start "$b"; done
	check "coordinator dead, all daemons restarted: whole from the cache" mesh_whole 10
	check "status says that the coordinator does not answer" until_ok 5 says c "not s['coordinator']['connected'] and bool(s['coordinator']['error'])"
	for b in "${boards[@]}"; do stop "$b" KILL; ip -n "$N$b" link del hearth0; done
	for b in "${boards[@]}"; do start "$b"; done
	check "the same after a power cut" mesh_whole 10
	coord_start
	check "coordinator is back" until_ok 30 says b "s['coordinator']['connected']"
}

keys() { sha256sum "$T/c/state/identity.key" "$T/c/state/wireguard.key" "$T/c/state/log"; }

scene killed "kill -9 at random moments"
killed() {
	local keys_before
	RANDOM=${HEARTH_SEED:-$$}
	keys_before=$(keys)
	for _ in 1 2 3 4 5 6 7 8; do
		sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
		stop c KILL
		start c
	done
	check "killed eight times: back" mesh_whole 10
	check "no key, no record lost" [ "$keys_before" = "$(keys)" ]
}

scene not_begun "what must stop it: its interface's name is somebody's, no TUN, a configuration, a key"
not_begun() {
	stop c
	printf 'mesh: [\n' >"$T/c/etc/broken.yaml"
	STATUS=78 check "a broken configuration is refused with the file's name" ends_saying broken.yaml env_of c "$B/hearthd" --config "$T/c/etc/broken.yaml"
	rm "$T/c/etc/broken.yaml"
	chmod 644 "$T/c/state/identity.key"
	STATUS=78 check "a key that others may read is refused" ends_saying "read by others" env_of c "$B/hearthd"
	chmod 600 "$T/c/state/identity.key"
	start c
	stop b
	ip -n "${N}b" link del hearth0 2>/dev/null
	ip -n "${N}b" link add hearth0 type veth peer name hearth0p
	check "the interface's name is in use: it says so and ends" ends_saying "hearth0 exists already" env_of b "$B/hearthd"
	ip -n "${N}b" link del hearth0
	check "no TUN: it says so and ends" ends_saying /dev/net/tun env_of b unshare -m sh -c "mount -t tmpfs none /dev && exec $B/hearthd"
	start b
	check "the mesh after that" mesh_whole 10
}

helpers_end() { # of b: --background has begun one, which would wait for more
	local p
	for p in $(ip netns pids "${N}b"); do
		[ "$(cat "/proc/$p/comm")" != hearth-helper ] || { kill "$p"; until_ok 5 ended "$p"; }
	done
	rm -f "$T/b/run/helper.sock"
}

scene background "unprivileged, by its own launcher"
background() {
	id nobody >/dev/null 2>&1 || return 0
	stop b
	helper_stop b
	ip -n "${N}b" link del hearth0 2>/dev/null
	check "--background for another user than the files' says what to do" ends_saying "chown -R" env_of b "$B/hearthd" --background --user nobody --hosts "$T/b/hosts"
	chown -R nobody "$T/b/state"
	check "--background returns when hearthd is ready" env_of b "$B/hearthd" --background --user nobody --hosts "$T/b/hosts"
	check "the mesh is whole" mesh_whole 10
	check "it is not root and has two capabilities" sh -c "grep -q '^Uid:.*65534' /proc/\$(cat $T/b/run/hearthd.pid)/status && grep -q '^CapEff:.*0000000000003000' /proc/\$(cat $T/b/run/hearthd.pid)/status"
	check "firewall by nobody" in_ns b nft list table inet hearth
	check "a second one says that it runs already" sh -c "HEARTH_ETC=$T/b/etc HEARTH_STATE=$T/b/state HEARTH_RUN=$T/b/run ip netns exec ${N}b $B/hearthd --background --user nobody | grep -q already"
	kill "$(cat "$T/b/run/hearthd.pid")"
	until_ok 5 sh -c "! kill -0 $(cat "$T/b/run/hearthd.pid") 2>/dev/null"
	check "interface and firewall stay when it ends" sh -c "ip -n ${N}b link show hearth0 && ip netns exec ${N}b nft list table inet hearth"
	check "--down takes them away" env_of b "$B/hearthd" --down
	check "all of it" sh -c "! ip -n ${N}b link show hearth0 2>/dev/null && ! ip netns exec ${N}b nft list table inet hearth 2>/dev/null && cmp $T/b/hosts $T/b/hosts.old"
	helpers_end
	chown -R root "$T/b/state"
	helper_start b
	start b
	check "the mesh after that" mesh_whole 10
}
