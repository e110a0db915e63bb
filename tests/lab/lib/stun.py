#!/usr/bin/env python3
"""stun.py ADDRESS...: a STUN server (RFC 8489) at UDP port 3478 of each, which says where a Binding request came from."""
import selectors, socket, struct, sys

COOKIE = 0x2112A442
waits = selectors.DefaultSelector()
for address in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 3478))
    waits.register(s, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in waits.select():
        data, who = key.fileobj.recvfrom(2048)
        if len(data) < 20 or struct.unpack_from(">HHI", data)[::2] != (1, COOKIE):
            continue
        packed = socket.inet_pton(key.fileobj.family, who[0])
        mask = struct.pack(">I", COOKIE) + data[8:20]
        value = struct.pack(">BBH", 0, 1 if len(packed) == 4 else 2, who[1] ^ COOKIE >> 16) + bytes(a ^ b for a, b in zip(packed, mask))
        attribute = struct.pack(">HH", 0x0020, len(value)) + value
        key.fileobj.sendto(struct.pack(">HHI", 0x0101, len(attribute), COOKIE) + data[8:20] + attribute, who)
