#!/usr/bin/env python3
"""Prints udprelay-vectors.h: the key of a member and a relay, a BIND and the BOUND that answers it, computed from the words of PROTOCOL.md
section 12 with Python's hashlib and cryptography, independently of daemon/wire. Run by hand; the result is committed."""
import hashlib
import importlib.util
import pathlib
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

spec = importlib.util.spec_from_file_location("disco", pathlib.Path(__file__).with_name("disco-vectors.py"))
disco = importlib.util.module_from_spec(spec)
spec.loader.exec_module(disco)


def public_of(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def relay_key(shared, member, relay):
    return hashlib.blake2b(b"hearth-relay1".ljust(16, b"\0") + shared + member + relay, digest_size=32).digest()


def key_of_member(seed, relay):
    secret = X25519PrivateKey.from_private_bytes(hashlib.sha512(seed).digest()[:32])
    return relay_key(secret.exchange(X25519PublicKey.from_public_bytes(relay)), disco.identity_of(seed), relay)


def key_of_relay(secret, member):
    point = X25519PublicKey.from_public_bytes(disco.to_x25519(member))
    return relay_key(X25519PrivateKey.from_private_bytes(secret).exchange(point), member, public_of(secret))


def hint_of(key, sender):
    return hashlib.blake2b(sender, key=key, digest_size=16).digest()[:8]


def head(kind):
    return b"\xf1H\x01" + bytes([kind])


def sealed(key, before, nonce, body):
    return before + nonce + disco.wg.xaead(key, nonce, body, before)


if __name__ == "__main__":
    seed, secret = bytes(range(32)), bytes(range(50, 82))
    member, relay = disco.identity_of(seed), public_of(secret)
    key = key_of_member(seed, relay)
    assert key == key_of_relay(secret, member)
    cookie, nonce = bytes(range(16, 32)), bytes(range(200, 224))
    bind = sealed(key, head(1) + hint_of(key, member) + cookie, nonce, struct.pack(">QI", 0x0102030405060708, 70000) + bytes(28))
    bound = sealed(key, head(3) + hint_of(key, relay), nonce, struct.pack(">QIHH", 0x0102030405060708, 0xf1f2f3f4, 60, 41741)
                   + bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 7]) + cookie + bytes(8))
    print("/* Made by udprelay-vectors.py; not edited by hand. */\n#pragma once\n\n#include <stdint.h>\n")
    for name, data in (("member_seed", seed), ("member_identity", member), ("relay_secret", secret), ("relay_public", relay),
                       ("relay_key", key), ("member_hint", hint_of(key, member)), ("relay_hint", hint_of(key, relay)),
                       ("bind_cookie", cookie), ("bind_nonce", nonce), ("bind_vector", bind), ("bound_vector", bound)):
        disco.show(name, data)
