#!/usr/bin/env python3
"""Prints beacon-vectors.h: a mesh's beacon, computed from the words of PROTOCOL.md section 15 with Python's hashlib and cryptography,
independently of daemon/wire. Run by hand; the result is committed."""
import contextlib
import hashlib
import importlib.util
import io
import pathlib

spec = importlib.util.spec_from_file_location("wg", pathlib.Path(__file__).parents[1] / "wg/wg-vectors.py")
wg = importlib.util.module_from_spec(spec)
with contextlib.redirect_stdout(io.StringIO()):  # its own vectors
    spec.loader.exec_module(wg)


def show(name, data):
    print(f"static const uint8_t {name}[{len(data)}] = {{ " + ", ".join(f"0x{b:02x}" for b in data) + " };")


if __name__ == "__main__":
    root = bytes(range(50, 82))
    both = hashlib.blake2b(b"hearth-beacon1".ljust(16, b"\0") + root, digest_size=40).digest()
    key, hint = both[:32], both[32:]
    nonce = bytes(range(200, 224))
    sig = bytes(range(64))
    payload = b'{"counter":17,"endpoints":["192.168.50.11:41741"],"node":1}'
    head = b"\xf0HB1" + hint
    body = bytes([2, 0, 0, 0]) + sig + payload
    print("/* Made by beacon-vectors.py; not edited by hand. */\n#pragma once\n\n#include <stdint.h>\n")
    for name, data in (("root_hash", root), ("beacon_key", key), ("beacon_hint", hint), ("nonce_a", nonce), ("sig_a", sig),
                       ("payload_a", payload), ("ask_a", head + nonce + wg.xaead(key, nonce, body, head))):
        show(name, data)
