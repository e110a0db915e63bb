#!/usr/bin/env python3
"""The userspace API by hand: what wg(8) does not send, or not any more.

    uapi.py PATH ask          one request from stdin, the reply to stdout
    uapi.py PATH garbage      floods the socket with requests that are cut, wrong, endless or never read,
                              and checks in between that a right one is answered at once"""
import os
import socket
import sys
import time

REQUEST_MAX = 64 << 20  # UAPI_REQUEST_MAX
UNREAD_MAX = 4 << 20  # what a socket holds at most, and more


def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(path)  # waits while the backlog is full
    s.settimeout(5)
    return s


def ask(path, text):
    s = connect(path)
    s.sendall(text)
    reply = b""
    while not reply.endswith(b"\n\n"):
        part = s.recv(65536)
        if not part:
            break
        reply += part
    return reply


def check(path, what):
    start = time.monotonic()
    reply = ask(path, b"get=1\n\n")
    took = time.monotonic() - start
    if not reply.endswith(b"errno=0\n\n") or took > 2:
        sys.exit(f"after {what}: {took:.2f} s, {reply[-40:]!r}")


def garbage(path):
    held = []
    for bad in (b"", b"\n", b"\n\n", b"\0" * 4096 + b"\n\n", b"get=1\nset=1\n\n", b"set=1\n" + b"x" * 5000 + b"=1\n\n",
                b"set=1\nprivate_key=zz\n\n", b"set=1\npublic_key=" + b"0" * 64 + b"\nallowed_ip=10.0.0.0/99\n\n"):
        s = connect(path)
        s.sendall(bad)
        held.append(s)
    check(path, "garbage")
    for _ in range(64):  # more than there are places, each in the middle of a request
        s = connect(path)
        s.sendall(b"set=1\nlisten_port=")
        held.append(s)
    check(path, "64 unfinished requests")
    s = connect(path)
    s.settimeout(60)  # for each piece: what is counted is bytes, however fast the machine is
    sent = 0
    try:
        while sent < REQUEST_MAX + UNREAD_MAX:  # a request without an end
            sent += s.send(b"set=1\n" + b"allowed_ip=10.0.0.0/8\n" * 1000)
        sys.exit(f"took {sent} bytes of one request")
    except TimeoutError:
        sys.exit(f"neither read on nor cut off after {sent} bytes of one request")
    except OSError:
        pass
    if sent < REQUEST_MAX:
        sys.exit(f"cut a request off after {sent} bytes")
    check(path, "an endless request")
    for _ in range(8):  # replies that nobody reads
        s = connect(path)
        s.setblocking(False)
        try:
            while True:
                s.send(b"get=1\n\n" * 100)
        except OSError:
            pass
        held.append(s)
    check(path, "replies not read")
    for _ in range(200):
        s = connect(path)
        s.send(os.urandom(2000))
        s.close()
    check(path, "200 short visits")


if sys.argv[2] == "ask":
    sys.stdout.buffer.write(ask(sys.argv[1], sys.stdin.buffer.read()))
else:
    garbage(sys.argv[1])
