#!/usr/bin/env python3
"""Somebody at the tunnel's port of boards whose keys he does not have (run in the LAN's namespace).

    sidedoor.py catch FROM TO FILE             disco datagrams from one address to another, off the wire: some, for they
                                               may be pings or pongs, which nobody can see
    sidedoor.py again FILE TO N [FROM]         sends them N times within two seconds, FROM: with another source
    sidedoor.py noise TO SECONDS               as much as goes of what is nothing, and of what is nearly something
    sidedoor.py ask TO                         a call that boards answer: prints how many records came
    sidedoor.py knock TO SECONDS               calls that they do not answer, frames that are none, and as many connections as are taken
Addresses are IPV4:PORT. Prints what it sent and what came back: datagrams and bytes.
"""
import json
import os
import random
import select
import socket
import struct
import sys
import time

MAGIC = b"\xf0HD1"


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def catch(source, to, file):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    (shost, sport), (dhost, dport) = address(source), address(to)
    want = socket.inet_aton(shost) + socket.inet_aton(dhost)
    end, caught = time.monotonic() + 30, []
    print("ready", flush=True)
    while time.monotonic() < end and len(caught) < 6:
        if not select.select([s], [], [], 0.2)[0]:
            continue
        p = s.recv(65536)
        head = (p[0] & 15) * 4
        if p[0] >> 4 != 4 or p[9] != 17 or p[12:20] != want or struct.unpack("!HH", p[head:head + 4]) != (sport, dport):
            continue
        data = p[head + 8:head + struct.unpack("!H", p[head + 4:head + 6])[0]]
        if data.startswith(MAGIC):
            end = min(end, time.monotonic() + 1.5) if not caught else end
            caught.append(data.hex())
    with open(file, "w") as f:
        print(*caught, sep="\n", file=f)
    return 0 if caught else "nothing was caught"


def forged(source, to, data):
    """A UDP datagram with a source of our choice."""
    (shost, sport), (dhost, dport) = address(source), address(to)
    udp = struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + socket.inet_aton(shost) + socket.inet_aton(dhost)
    s.sendto(head + udp, (dhost, 0))


def again(file, to, n, source=None):
    with open(file) as f:
        caught = [bytes.fromhex(line) for line in f]
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.bind(("", 0))
    begin, sent = time.monotonic(), 0
    for i in range(int(n)):
        data = caught[i % len(caught)]
        sent += len(data)
        if source:
            forged(source, to, data)
        else:
            s.sendto(data, address(to))
        time.sleep(max(0, begin + 2 * i / int(n) - time.monotonic()))
    got = length = 0
    while select.select([s], [], [], 1)[0]:
        length += len(s.recv(65536))
        got += 1
    print(f"sent {n} {sent} got {got} {length}")
    return 0


def noise(to, seconds):
    random.seed(1)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", 0))
    kinds = [b"", b"\0", b"x" * 3, MAGIC, MAGIC + os.urandom(88), MAGIC + os.urandom(1400), os.urandom(92), os.urandom(1400), b"\0\1\0\0\x21\x12\xa4\x42" + os.urandom(12),
             b"TS\xf0\x9f\x92\xac" + os.urandom(80), os.urandom(8192)]
    end, n = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        for _ in range(100):
            try:
                s.sendto(random.choice(kinds), address(to))
            except OSError:
                time.sleep(0.001)
            n += 1
    got = 0
    while select.select([s], [], [], 0.5)[0]:
        s.recv(65536)
        got += 1
    print(f"sent {n} got {got}")
    return 0


def take(s, n):  # all of it: MSG_WAITALL gives less where a timeout is set
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            break
        data += more
    return data


def call(s, message):
    data = json.dumps(message).encode()
    s.sendall(struct.pack("!I", len(data)) + data)
    head = take(s, 4)
    return json.loads(take(s, struct.unpack("!I", head)[0])) if len(head) == 4 else None


def ask(to):
    with socket.create_connection(address(to), timeout=3) as s:
        print(len(call(s, {"call": "records", "args": {"from": 1}})["ok"]["records"]))
    return 0


def knock(to, seconds):
    wrong = [{"call": "status"}, {"call": "kube.publish", "args": {"bundle": {}}}, {"call": "reload"}, {"call": "records"},
             {"call": "records", "args": {"from": "1"}}, {"call": "records", "args": {"from": -1}}, {"call": "records", "args": {"from": 1 << 70}}]
    for message in wrong:
        with socket.create_connection(address(to), timeout=3) as s:
            reply = call(s, message)
            if not reply or "error" not in reply:
                return f"answered: {message} {reply}"
    for frame in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\4nope", b"\0\0\0\2[]", os.urandom(4096), b"\0\0\1\0" + b"{" * 256):
        with socket.create_connection(address(to), timeout=3) as s:
            try:
                s.sendall(frame)
                s.recv(65536)
            except OSError:
                pass
    held, end, n = [], time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        try:
            s = socket.create_connection(address(to), timeout=1)
            s.sendall(b"\0\0\1\0{")  # a call that does not end
            held.append(s)
            n += 1
        except OSError:
            time.sleep(0.01)
        if len(held) > 500:
            held.pop(0).close()
    print(f"opened {n}")
    return 0


if __name__ == "__main__":
    sys.exit({"catch": catch, "again": again, "noise": noise, "ask": ask, "knock": knock}[sys.argv[1]](*sys.argv[2:]))
