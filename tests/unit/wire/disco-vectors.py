#!/usr/bin/env python3
"""Prints disco-vectors.h: the key of two nodes, a pong and a call between them, computed from the words of PROTOCOL.md section 10
with Python's hashlib and cryptography, independently of daemon/wire. Run by hand; the result is committed."""
import contextlib
import hashlib
import importlib.util
import io
import pathlib
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

P = 2**255 - 19
spec = importlib.util.spec_from_file_location("wg", pathlib.Path(__file__).parents[1] / "wg/wg-vectors.py")
wg = importlib.util.module_from_spec(spec)
with contextlib.redirect_stdout(io.StringIO()):  # its own vectors
    spec.loader.exec_module(wg)


def identity_of(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def to_x25519(identity):
    """RFC 7748, section 4.1: u = (1 + y) / (1 - y)"""
    y = int.from_bytes(identity, "little") & ((1 << 255) - 1)
    return ((1 + y) * pow(1 - y, -1, P) % P).to_bytes(32, "little")


def pair_key(seed, other, label):
    secret = X25519PrivateKey.from_private_bytes(hashlib.sha512(seed).digest()[:32])
    shared = secret.exchange(X25519PublicKey.from_public_bytes(to_x25519(other)))
    both = sorted([identity_of(seed), other])
    return hashlib.blake2b(label.ljust(16, b"\0") + shared + both[0] + both[1], digest_size=32).digest()


def show(name, data):
    print(f"static const uint8_t {name}[{len(data)}] = {{ " + ", ".join(f"0x{b:02x}" for b in data) + " };")


if __name__ == "__main__":
    seeds = [bytes(range(32)), bytes(range(100, 132))]
    ids = [identity_of(s) for s in seeds]
    key = pair_key(seeds[0], ids[1], b"hearth-disco1")
    assert key == pair_key(seeds[1], ids[0], b"hearth-disco1")
    hint = hashlib.blake2b(ids[0], key=key, digest_size=16).digest()[:8]
    nonce = bytes(range(200, 224))
    body = (struct.pack(">BBHIQQ", 2, 0, 41741, 0, 0x0102030405060708, 0xf1f2f3f4f5f6f7f8) + bytes(10) + b"\xff\xff"
            + bytes([192, 0, 2, 7]) + bytes(60))
    call = (struct.pack(">BBHhBBQQ", 3, 2, 40001, -2, 2, 0, 0x0102030405060708, 0xf1f2f3f4f5f6f7f8)
            + bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 7])
            + struct.pack(">H", 41741) + bytes(10) + b"\xff\xff" + bytes([192, 168, 1, 5])
            + struct.pack(">H", 41742) + bytes.fromhex("20010db8" + 22 * "0" + "01"))
    head = b"\xf0HD1" + hint
    print("/* Made by disco-vectors.py; not edited by hand. */\n#pragma once\n\n#include <stdint.h>\n")
    for name, data in (("seed_a", seeds[0]), ("seed_b", seeds[1]), ("identity_a", ids[0]), ("identity_b", ids[1]),
                       ("disco_key", key), ("hint_a", hint), ("nonce_a", nonce),
                       ("pong_a", head + nonce + wg.xaead(key, nonce, body, head)),
                       ("call_a", head + nonce + wg.xaead(key, nonce, call, head))):
        show(name, data)
