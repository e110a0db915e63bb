#!/usr/bin/env python3
"""What the scenes of tests/lab/attack do as somebody else. What is refused ends with status 1, and says why.

attacker.py asks SOCKET USER CALL JSON
    one call to a local socket, as a user by name or number: prints the answer
"""
import json, os, pwd, socket, struct, sys


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


if __name__ == "__main__":
    {"asks": asks}[sys.argv[1]](*sys.argv[2:])
