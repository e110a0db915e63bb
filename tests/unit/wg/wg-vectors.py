#!/usr/bin/env python3
"""Prints wg-vectors.h: one WireGuard handshake with fixed keys, computed from the paper's equations
with Python's hashlib, hmac and cryptography, independently of daemon/mesh. Run by hand; the result
is committed."""
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def hash_(data):
    return hashlib.blake2s(data).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def hmac_(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()


def kdf(n, key, data):
    secret, out, t = hmac_(key, data), [], b""
    for i in range(n):
        t = hmac_(secret, t + bytes([i + 1]))
        out.append(t)
    return out


def aead(key, counter, data, aad):
    return ChaCha20Poly1305(key).encrypt(bytes(4) + struct.pack("<Q", counter), data, aad)


def hchacha(key, nonce16):
    """draft-irtf-cfrg-xchacha, section 2.2"""
    s = list(struct.unpack("<4I8I4I", b"expand 32-byte k" + key + nonce16))

    def rotate(v, n):
        return (v << n | v >> (32 - n)) & 0xFFFFFFFF

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] = rotate(s[z] ^ s[x], n)

    for _ in range(10):
        for q in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                  (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(*q)
    return struct.pack("<8I", *(s[:4] + s[12:]))


def xaead(key, nonce24, data, aad):
    return ChaCha20Poly1305(hchacha(key, nonce24[:16])).encrypt(bytes(4) + nonce24[16:], data, aad)


def clamp(label):
    key = bytearray(hashlib.sha256(label).digest())
    key[0] &= 248
    key[31] = key[31] & 127 | 64
    return bytes(key)


def public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(
        Encoding.Raw, PublicFormat.Raw)


def dh(private, other):
    return X25519PrivateKey.from_private_bytes(private).exchange(
        X25519PublicKey.from_public_bytes(other))


vectors = {}
si, sr, ei, er = (clamp(x) for x in (b"si", b"sr", b"ei", b"er"))
pi, pr, qi, qr = (public(x) for x in (si, sr, ei, er))
psk = hashlib.sha256(b"psk").digest()
cookie = hashlib.sha256(b"cookie").digest()[:16]
nonce = hashlib.sha256(b"nonce").digest()[:24]
index_i, index_r = 0x11223344, 0xA1B2C3D4
timestamp = struct.pack(">QI", 2**62 + 10 + 1700000000, 0x1B000000)

chain = hash_(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
h = hash_(chain + b"WireGuard v1 zx2c4 Jason@zx2c4.com")
vectors |= {"START_CHAIN": chain, "START_HASH": h}

h = hash_(h + pr)
h = hash_(h + qi)
(chain,) = kdf(1, chain, qi)
chain, key = kdf(2, chain, dh(ei, pr))
static = aead(key, 0, pi, h)
h = hash_(h + static)
chain, key = kdf(2, chain, dh(si, pr))
stamp = aead(key, 0, timestamp, h)
h = hash_(h + stamp)
initiation = struct.pack("<II", 1, index_i) + qi + static + stamp
mac1_i = mac(hash_(b"mac1----" + pr), initiation)
initiation += mac1_i
with_cookie = initiation + mac(cookie, initiation)
initiation += bytes(16)

h = hash_(h + qr)
(chain,) = kdf(1, chain, qr)
(chain,) = kdf(1, chain, dh(er, qi))
(chain,) = kdf(1, chain, dh(er, pi))
chain, t, key = kdf(3, chain, psk)
h = hash_(h + t)
nothing = aead(key, 0, b"", h)
response = struct.pack("<III", 2, index_r, index_i) + qr + nothing
response += mac(hash_(b"mac1----" + pi), response) + bytes(16)
send, receive = kdf(2, chain, b"")
keepalive = struct.pack("<IIQ", 4, index_r, 7) + aead(send, 7, b"", b"")
reply = struct.pack("<II", 3, index_i) + nonce + xaead(hash_(b"cookie--" + pr), nonce, cookie, mac1_i)

vectors |= {
    "PRIVATE_I": si, "PRIVATE_R": sr, "PUBLIC_I": pi, "PUBLIC_R": pr, "EPHEMERAL_I": ei,
    "EPHEMERAL_R": er, "PSK": psk, "TIMESTAMP": timestamp, "COOKIE": cookie,
    "INITIATION": initiation, "INITIATION_MAC2": with_cookie, "RESPONSE": response,
    "SEND_I": send, "RECEIVE_I": receive, "KEEPALIVE_7": keepalive, "COOKIE_REPLY": reply,
    "KDF1": b"".join(kdf(3, bytes(range(32)), b"input")),
    "KDF_EMPTY": b"".join(kdf(3, bytes(range(32)), b"")),
    "MAC_SHORT_KEY": mac(bytes(range(16)), b"abc"), "MAC_LONG_KEY": mac(bytes(range(32)), b"abc"),
}
print("/* Made by wg-vectors.py; not edited by hand. */\n#pragma once\n")
print(f"#define INDEX_I UINT32_C(0x{index_i:08x})\n#define INDEX_R UINT32_C(0x{index_r:08x})\n")
for name, value in vectors.items():
    lines = [value[i:i + 12] for i in range(0, len(value), 12)]
    body = ",\n\t".join(", ".join(f"0x{b:02x}" for b in line) for line in lines)
    print(f"static const unsigned char {name}[{len(value)}] = {{\n\t{body}\n}};\n")
