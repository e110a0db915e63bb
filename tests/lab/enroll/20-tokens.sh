# shellcheck shell=bash disable=SC2154
# What is no token, what is none for this mesh, who only says that he is its coordinator, and how a token comes in.

scene usage "wrong use"
usage() {
	unenrolled
	ends 2 "a token as an argument is wrong use" on b0 enroll-node hearth1.x
	ends 2 "an unknown option is wrong use" on b0 enroll-node --no-such
	ends 2 "a version that is none is wrong use" on b0 enroll-node --kubeadm-version new
}

all_the_same() { # WHAT: after all that, b0 is enrolled
	enrolls "$1" b0 "$good"
	good=
	gone b0
}
expired() { on coord hearth token list | holds "^$1 .* expired "; } # ID

scene wrong_tokens "tokens that are none, of elsewhere, or over"
wrong_tokens() {
	local short
	unenrolled
	refused "nothing on standard input" b0 "" "no token"
	refused "no token at all" b0 "hello" "enrolment token"
	refused "half a token" b0 "${good%????????????????????????????????????????}" "token"
	refused "a wrong secret" b0 "$(retoken "$good" 't["secret"]=base64.b64encode(b"x"*32).decode()')" "does not know"
	refused "a wrong pin" b0 "$(retoken "$good" 't["pins"]=[base64.b64encode(b"x"*32).decode()]')" "not the coordinator"
	refused "nobody answers" b0 "$(retoken "$good" 't["urls"]=["https://192.168.77.1:1"]')" "192.168.77.1:1" "hearth-coord"
	refused "a token that another board used" b0 "$first_token" "was used"
	call '{"call":"token.create","args":{"role":"worker","ttl_s":1}}' >"$W/short.json"
	short=$(grep -o 'hearth1\.[A-Za-z0-9_-]*' "$W/short.json" | head -1)
	until_ok 10 expired "$(grep -o '[0-9a-f]\{16\}' "$W/short.json" | head -1)" || failed "it does not expire"
	refused "an expired token" b0 "$short" "expired"
	refused "another root key" b0 "$(retoken "$good" 't["root"]=base64.b64encode(b"x"*32).decode()')" "cannot be believed"
	all_the_same "the right one is good all the same"
}

scene liar "a coordinator that talks nonsense, under its own key"
liar() {
	local what pid
	unenrolled
	python3 - "$W" <<'P'
import json, sys
def write(name, text):
    with open(f"{sys.argv[1]}/{name}.reply", "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
good = {"node": {"id": 1}, "records": [], "presence": [], "cursor": "0123456789abcdef-1", "head": {"seq": 0, "hash": "A" * 43 + "="}, "kube": None}
write("empty", "")
write("noise", b"\x00\xff\xfe" * 1000)
write("cut", json.dumps(good)[:-20])
write("deep", "[" * 100000 + "]" * 100000)
write("huge", b" " * (17 << 20) + b"{}")
write("list", "[]")
write("twice", '{"node":{},"node":{}}')
write("nothing", "{}")
write("half", json.dumps(good))
write("types", json.dumps({**good, "node": [], "records": {}, "head": 7, "kube": []}))
P
	for what in empty noise cut deep huge list twice nothing half types; do
		ip netns exec "$N-coord" python3 "$HEARTH_SOURCE/tests/lab/lib/enrol.py" lie "$W/coord-state" 9443 "$W/$what.reply" 192.168.77.1 >"$W/lie.log" 2>&1 &
		pid=$!
		until_ok 60 sh -c "ip netns exec $N-coord ss -Htln | grep -q :9443" || failed "no coordinator that lies: $(cat "$W/lie.log")"
		refused "a reply that is no good: $what" b0 "$(retoken "$good" 't["urls"]=["https://192.168.77.1:9443"]')" "192.168.77.1:9443\|coordinator.s answer"
		grep -q /v1/enroll "$W/lie.log" || failed "it was not asked"
		kill $pid && wait $pid 2>/dev/null
	done
	rm "$W"/*.reply
	all_the_same "the coordinator itself is believed all the same"
}

on_terminal() { # WHAT-IS-TYPED: prints what the terminal showed and the exit status
	on b0 python3 - "$1" <<-'P'
		import os, pty, select, sys, termios
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp("enroll-node", ["enroll-node", "--dry-run"])
		shown, typed = b"", False
		while True:
		    try:
		        data = os.read(fd, 4096)
		    except OSError:
		        break
		    if not data: break
		    shown += data
		    if not typed and b"not shown" in shown:
		        while termios.tcgetattr(fd)[3] & termios.ECHO: pass
		        os.write(fd, sys.argv[1].encode().decode("unicode_escape").encode()); typed = True
		print(shown.decode(), "echo back" if termios.tcgetattr(fd)[3] & termios.ECHO else "no echo", "status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	P
}

scene prompt "a terminal gets the token unseen, and its echo back"
prompt() {
	unenrolled
	runs on_terminal "x\\x7f$good\\n"
	has "a prompt takes the token" "status 0"
	has "gives the echo back" "echo back"
	grep -qF "${good:10:40}" "$W/out" && { failed "the prompt shows the token"; show "$W/out"; }
	runs on_terminal "hearth1.abc\\x03"
	has "an interrupted prompt ends" "status 1"
	has "and gives the echo back, too" "echo back"
}
