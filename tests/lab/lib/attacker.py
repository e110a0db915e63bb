#!/usr/bin/env python3
"""What the scenes of tests/lab/attack do as somebody else. What is refused ends with status 1, and says why.

attacker.py asks SOCKET USER CALL JSON
    one call to a local socket, as a user by name or number: prints the answer
attacker.py cry USER DIR
    says READY=1 wherever a `hearthd --background` of DIR listens for it; writes what came of it to DIR/crying
"""
import json, os, pwd, socket, struct, sys, time


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


if __name__ == "__main__":
    {"asks": asks, "cry": cry}[sys.argv[1]](*sys.argv[2:])
