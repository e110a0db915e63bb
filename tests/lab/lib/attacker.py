#!/usr/bin/env python3
"""What the scenes of tests/lab/attack do as somebody else. What is refused ends with status 1, and says why.

attacker.py asks SOCKET USER CALL JSON
    one call to a local socket, as a user by name or number: prints the answer
attacker.py dumps DIR READY COMMAND...
    starts it with no limit on core files, in DIR, waits until the shell command READY succeeds, has it end by SIGSEGV;
    status 1 if the kernel wrote a core file (or gave it to a program), and its size
attacker.py hogs SOCKET USER SECONDS KIND
    asks hearthd as fast as it can, in one of several ways: prints how often
attacker.py cry USER DIR
    says READY=1 wherever a `hearthd --background` of DIR listens for it; writes what came of it to DIR/crying
attacker.py answers SOCKET FILE
    a daemon that answers every call with what the file holds
attacker.py hostile
    of the JSON on standard input, with every text changed into one that does things to a terminal
attacker.py shown COMMAND...
    runs it on a terminal of its own; status 1 and its output as Python has it if a byte of that could do anything
    but be read
"""
import json, os, pty, pwd, re, resource, signal, socket, struct, subprocess, sys, time


def become(user):
    uid, gid = (int(user), int(user)) if user.isdigit() else pwd.getpwnam(user)[2:4]
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def message(call, args):
    body = json.dumps({"call": call, "args": args}).encode()
    return struct.pack(">I", len(body)) + body


def exactly(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            sys.exit("the connection was closed")
        data += more
    return data


def asks(path, user, call, args):
    become(user)
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(path)
        s.sendall(message(call, json.loads(args)))
        reply = json.loads(exactly(s, struct.unpack(">I", exactly(s, 4))[0]))
    if "error" in reply:
        sys.exit("%s: %s" % (reply["error"]["code"], reply["error"]["message"]))
    print(json.dumps(reply["ok"]))


def cry(user, run):
    said = open(run + "/crying", "w")
    become(user)
    end = time.time() + 15
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    while time.time() < end:
        names = [line.split()[-1] for line in open("/proc/net/unix") if "launch-" in line]
        for name in names:
            try:
                s.sendto(b"READY=1", name.replace("@", "\0", 1))
            except PermissionError as why:
                return said.write("%s: %s\n" % (name, why))
            except OSError:  # it is over
                continue
            return said.write("%s: taken\n" % name)
    said.write("nobody listened\n")


def hogs(path, user, seconds, kind):
    def connect():
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.settimeout(60)
        return s

    def answer(s):
        return exactly(s, struct.unpack(">I", exactly(s, 4))[0])

    def calls(name, args, n):
        crowd = [connect() for _ in range(n)]
        while True:
            for s in crowd:
                s.sendall(message(name, args))
            for s in crowd:
                answer(s)
                yield

    def connects():
        while True:
            connect().close()
            yield

    def asks_and_leaves():
        while True:
            with connect() as s:
                s.sendall(message("status", {}))
            yield

    def trickles():
        s = connect()
        while True:
            for byte in struct.pack(">I", 20000) + b" " * 20000:
                s.sendall(bytes([byte]))
                yield
            answer(s)

    def large():
        s, body = connect(), b" " * (1 << 20)
        while True:
            s.sendall(struct.pack(">I", len(body)) + body)
            answer(s)
            yield

    become(user)
    ways = {"one": calls("status", {}, 1), "crowd": calls("status", {}, 24), "unknown": calls("x", {}, 8),
            "waits": calls("wait", {"peers": 9, "timeout_ms": 0}, 8), "pings": calls("ping", {"peer": "a", "timeout_ms": 1000}, 8),
            "logs": calls("log", {}, 8), "connects": connects(), "asks": asks_and_leaves(), "trickles": trickles(), "large": large()}
    end, n = time.time() + float(seconds), 0
    for _ in ways[kind]:
        n += 1
        if time.time() > end:
            break
    print(n)


def dumps(where, ready, *command):
    pid = os.fork()
    if pid == 0:
        os.chdir(where)
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
        os.execvp(command[0], command)
    end = time.time() + 20
    while subprocess.run(["sh", "-c", ready], stdout=-3, stderr=-3, env=dict(os.environ, PID=str(pid))).returncode:
        if time.time() > end:
            sys.exit("it was never ready")
        time.sleep(0.05)
    os.kill(pid, signal.SIGSEGV)
    status = os.waitpid(pid, 0)[1]
    if not os.WIFSIGNALED(status):
        sys.exit("it did not end by the signal: %x" % status)
    if os.WCOREDUMP(status):
        sys.exit("dumped: %s" % [(f.name, f.stat().st_size) for f in os.scandir(where) if "core" in f.name])
    print("no core file")


def answers(path, file):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen(16)
        while True:
            c, _ = s.accept()
            with c:
                exactly(c, struct.unpack(">I", exactly(c, 4))[0])
                body = open(file, "rb").read()
                c.sendall(struct.pack(">I", len(body)) + body)


# Clears the screen, sets the title, hides; CSI of C1; a line that looks like ours; what turns around, what is not seen.
EVIL = "\x1b[2J\x1b]0;pwned\x07\x1b[8m\x9b31m\r\nproblem      none\b\t\u202egnp\u2066\u200b\u2028\U000e0041\x7f"


def hostile():
    def spoil(x):
        if isinstance(x, str):
            return x + EVIL
        if isinstance(x, list):
            return [spoil(y) for y in x]
        if isinstance(x, dict):
            return {k: spoil(v) for k, v in x.items()}
        return x

    json.dump(spoil(json.load(sys.stdin)), sys.stdout)


def shown(*command):
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    said = b""
    try:
        while True:
            more = os.read(fd, 4096)
            if not more:
                break
            said += more
    except OSError:  # the terminal's other end is closed
        pass
    os.waitpid(pid, 0)
    text = said.replace(b"\r\n", b"\n").replace(b"\r\x1b[K", b"")  # a line of enroll-node's that is written over
    try:
        bad = re.search("[\0-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]", text.decode())
    except UnicodeDecodeError as why:
        bad = why
    forged = re.search(b"^problem      none", text, re.M)
    if bad or forged:
        sys.exit("%s in %r" % (bad or forged, said))
    print(text.decode())


if __name__ == "__main__":
    {"asks": asks, "cry": cry, "dumps": dumps, "hogs": hogs, "answers": answers, "hostile": hostile, "shown": shown}[sys.argv[1]](*sys.argv[2:])
