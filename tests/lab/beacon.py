#!/usr/bin/env python3
"""Beacons on a LAN as somebody else makes them (PROTOCOL.md section 15); run in a namespace of that LAN.

beacon.py catch LINK FILE ETC...      the next beacon that another board than that of ETC/hearthd.yaml sends: prints "ready", then node and counter
beacon.py again LINK FILE             sends it again
beacon.py say LINK ETC STATE COUNTER HOPS ENDPOINT...
                                      one as the board with these directories would say it, with these endpoints
beacon.py flood LINK FILE SECONDS RATE KIND
                                      as many as asked: KIND is same (the one in FILE), spoilt (its seal is wrong), or other (of another
                                      mesh). Prints how many a second it was
beacon.py count LINK ADDRESS,... SECONDS
                                      UDP to these that passes there: prints "ready", then how many datagrams, and the longest one
"""
import base64
import ctypes
import ctypes.util
import hashlib
import json
import os
import select
import socket
import struct
import sys
import time

GROUP, PORT = "239.255.163.15", 41743
HEAD, TAG, SIG = 36, 16, 64
sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")


def read_key(path):
    with open(path, encoding="ascii") as f:
        return base64.b64decode(f.read())


def mesh_of(etc):
    with open(etc + "/hearthd.yaml", encoding="utf-8") as f:
        config = json.load(f)  # the labs write JSON
    both = hashlib.blake2b(b"hearth-beacon1".ljust(16, b"\0") + base64.b64decode(config["root"]), digest_size=40).digest()
    return both[:32], both[32:], config["node"]


def sealed(key, hint, body):
    head, nonce = b"\xf0HB1" + hint, os.urandom(24)
    out = ctypes.create_string_buffer(len(body) + TAG)
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(out, None, body, ctypes.c_ulonglong(len(body)), head, ctypes.c_ulonglong(len(head)), None, nonce, key)
    return head + nonce + out.raw


def opened(key, data):
    out = ctypes.create_string_buffer(len(data) - HEAD - TAG)
    bad = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(out, None, None, data[HEAD:], ctypes.c_ulonglong(len(data) - HEAD), data[:12], ctypes.c_ulonglong(12),
                                                            data[12:HEAD], key)
    return None if bad else out.raw


def signed(seed, payload):
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    sig, text = ctypes.create_string_buffer(SIG), b"hearth-presence1" + payload
    sodium.crypto_sign_seed_keypair(public, secret, seed)
    sodium.crypto_sign_detached(sig, None, text, ctypes.c_ulonglong(len(text)), secret)
    return sig.raw


def speaker(link, hops=255):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hops)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), socket.if_nametoindex(link)))
    s.connect((GROUP, PORT))
    return s


def catch(link, file, etc):
    key, _, own = mesh_of(etc)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((GROUP, PORT))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4si", socket.inet_aton(GROUP), bytes(4), socket.if_nametoindex(link)))
    print("ready", flush=True)
    s.settimeout(20)
    said = {"node": own}
    while said["node"] == own:
        data = s.recv(65536)
        said = json.loads(opened(key, data)[4 + SIG:])
    with open(file, "wb") as f:
        f.write(data)
    print(said["node"], said["counter"])


def again(link, file):
    with open(file, "rb") as f:
        speaker(link).send(f.read())


def say(link, etc, state, counter, hops, *endpoints):
    key, hint, node = mesh_of(etc)
    payload = json.dumps({"counter": int(counter), "disco": None, "endpoints": endpoints, "node": node, "relay": None}, separators=(",", ":")).encode()
    sig = signed(read_key(state + "/identity.key"), payload)
    speaker(link, int(hops)).send(sealed(key, hint, b"\2\0\0\0" + sig + payload))


def flood(link, file, seconds, rate, kind):
    with open(file, "rb") as f:
        data = bytearray(f.read())
    if kind == "spoilt":
        data[-1] ^= 1
    elif kind == "other":
        data[5] ^= 1
    s = speaker(link)
    begin, n = time.monotonic(), 0
    while (now := time.monotonic() - begin) < float(seconds):
        while n < now * int(rate):
            for _ in range(64):
                try:
                    s.send(data)
                except OSError:
                    pass
            n += 64
        time.sleep(0.0005)
    print(int(n / now))


def count(link, addresses, seconds):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    s.bind((link, 0x0800))
    print("ready", flush=True)
    wanted = {socket.inet_aton(a) for a in addresses.split(",")}
    end, n, longest = time.monotonic() + float(seconds), 0, 0
    while (left := end - time.monotonic()) > 0:
        if not select.select([s], [], [], left)[0]:
            break
        p = s.recv(65536)
        if p[9] == socket.IPPROTO_UDP and p[16:20] in wanted:
            n, longest = n + 1, max(longest, struct.unpack("!H", p[2:4])[0] - (p[0] & 15) * 4 - 8)
    print(n, longest)


if __name__ == "__main__":
    {"catch": catch, "again": again, "say": say, "flood": flood, "count": count}[sys.argv[1]](*sys.argv[2:])
