#!/usr/bin/env python3
"""Packets with virtio headers that make no sense, into a TUN device from the kernel's side.

    virtio.py IF SOURCE DESTINATION COUNT [SEED]

What the tunnel reads has the header that the kernel makes of them: sizes of 1, checksums that start
anywhere, types that do not fit the packet. Prints how many the kernel took."""
import random
import socket
import struct
import sys

interface, source, destination, count = sys.argv[1:4] + [int(sys.argv[4])]
random.seed(int(sys.argv[5]) if len(sys.argv) > 5 else 1)
family = socket.AF_INET6 if ":" in source else socket.AF_INET
src, dst = socket.inet_pton(family, source), socket.inet_pton(family, destination)
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
s.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
taken = 0
for _ in range(count):
    tcp = random.random() < 0.7
    payload = random.choice((0, 1, 8, 100, 1200, 5000, 30000, 60000, random.randrange(65000)))
    if tcp:
        offset = random.choice((5, 5, 5, 8, 15, 0))
        head = struct.pack(">HHIIBBHHH", 7, 7, random.getrandbits(32), 1, offset << 4, random.getrandbits(8), 99, 0, 0)
    else:
        head = struct.pack(">HHHH", 9, 9, random.choice((8 + payload, 8, 0, 65535)) & 65535, 0)
    protocol = 6 if tcp else 17
    total = len(head) + payload
    if family == socket.AF_INET:
        at = 20
        ip = struct.pack(">BBHHHBBH", random.choice((0x45, 0x45, 0x45, 0x46, 0x44, 0x4F)), 0, random.choice((at + total, at + total, at, 40)) & 65535,
                         1, random.choice((0x4000, 0, 0x2000, 5)), 64, protocol, 0) + src + dst
    else:
        at = 40
        ip = struct.pack(">IHBB", 6 << 28, random.choice((total, total, 0, 20)) & 65535, random.choice((protocol, protocol, 44, 0)), 64) + src + dst
    packet = (ip + head + bytes(payload))[:65535]
    kind = random.choice((0, 1, 4, 5, 1 | 0x80, 4 | 0x80, 5 | 0x80, 3, 255))
    fits = random.random() < 0.7
    start = at if fits else random.choice((0, 1, at + 3, len(packet), 65535, random.randrange(65536)))
    size = random.choice((1, 2, 8, 9, 100, 1220, 1400, 60000, 65535, 0))
    header = struct.pack("<BBHHHH", random.choice((1, 1, 1, 0, 2, 3)), kind, random.choice((0, 1, at + len(head), 65535, random.randrange(65536))),
                         size, start, random.choice((16 if tcp else 6, 6, 16, 0, 65535)))
    try:
        s.sendto(header + packet, (interface, 0x0800 if family == socket.AF_INET else 0x86DD))
        taken += 1
    except OSError:
        pass
print("taken", taken, "of", count)
