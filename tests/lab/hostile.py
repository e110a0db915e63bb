#!/usr/bin/env python3
"""Hostile datagrams against a live tunnel.

    hostile.py IF ADDRESS PORT COUNT TYPE

Prints "ready", listens on IF (AF_PACKET) for COUNT datagrams that really go to ADDRESS:PORT, then sends to that port, from
another source port: everything captured again (three times), cut at every length, lengthened, with a bit
flipped in every byte, with other types and reserved bytes, and noise. Prints what was captured and sent;
status 1 if they do not come within a minute, or no message of TYPE or no data was among them."""
import os
import random
import select
import socket
import struct
import sys
import time


def capture(interface, port, count):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    s.bind((interface, 0))
    print("ready", flush=True)
    end, seen = time.monotonic() + 60, []
    while len(seen) < count and time.monotonic() < end:
        if not select.select([s], [], [], 0.1)[0]:
            continue
        packet, origin = s.recvfrom(65536)
        if origin[1] != 0x0800 or packet[9] != 17:
            continue
        udp = packet[(packet[0] & 15) * 4:]
        if struct.unpack(">H", udp[2:4])[0] == port:
            seen.append(udp[8:])
    return seen


def variants(m):
    yield from (m, m, m)
    for n in range(len(m)):
        yield m[:n]
    for n in (1, 15, 16, 1000):
        yield m + os.urandom(n)
    for i in range(len(m)):
        yield m[:i] + bytes([m[i] ^ (1 << random.randrange(8))]) + m[i + 1:]
    for kind in (0, 1, 2, 3, 4, 5, 255):
        yield bytes([kind]) + m[1:]
        yield bytes([kind, 0, 0, 1]) + m[4:]


def noise():
    for n in (0, 1, 31, 32, 64, 92, 148, 1420, 9000, 65507):
        for kind in (0, 1, 2, 3, 4, 255):
            yield (bytes([kind, 0, 0, 0]) + os.urandom(n))[:n]
    for n in range(300):
        yield b"\x01\0\0\0" + os.urandom(144)  # initiations with a bad MAC


def main():
    interface, address, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    random.seed(1)
    seen = capture(interface, port, count)
    kinds = {}
    for m in seen:
        kinds.setdefault(m[0] if m else -1, m)
    print("captured", {k: sum(1 for m in seen if m and m[0] == k) for k in kinds})
    if len(seen) < count or int(sys.argv[5]) not in kinds or 4 not in kinds:
        return 1
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    sent = 0
    for source in (seen[-200:], *(variants(m) for m in kinds.values()), noise()):
        for m in source:
            s.sendto(m, (address, port))
            sent += 1
            if sent % 64 == 0:
                time.sleep(0.002)
    print("sent", sent)
    return 0


sys.exit(main())
