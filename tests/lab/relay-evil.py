#!/usr/bin/env python3
"""A relay that means ill, with the keys of a real one: relay-evil.py KEYS PORT MODE VICTIM LOG

KEYS is hearth-relay's state directory. Boards that dial PORT are let in as DERP says (PROTOCOL.md section 13), and then:

    useless   get frames of a type that nobody knows, without end
    pings     get pings without end
    gone      are told without end that the board of the key VICTIM (base64) is gone
    packets   get packets of VICTIM without end, which hold nothing
    frames    get frames that are longer than any may be
    restarts  are told to come back at once, and are hung up on
    stalls    get half a frame
    silent    get no answer at all
    key       are told another key

Each connection is a line in LOG: when it was let in, and how many bytes it has got, once it has ended."""
import base64
import ctypes
import ctypes.util
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

keys, port, mode, victim, log = sys.argv[1:]
sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
victim = base64.b64decode(victim)
SERVER_KEY, SERVER_INFO, RECV, GONE, PING, RESTARTING = 1, 3, 5, 8, 0x12, 0x15


def read_key(name):
    with open(f"{keys}/{name}.key", encoding="ascii") as f:
        return base64.b64decode(f.read())


def frame(kind, payload):
    return bytes([kind]) + len(payload).to_bytes(4, "big") + payload


def public_of(secret):
    out = ctypes.create_string_buffer(32)
    assert sodium.crypto_scalarmult_base(out, secret) == 0
    return out.raw


def seal(text, to, secret):
    nonce, out = os.urandom(24), ctypes.create_string_buffer(len(text) + 16)
    assert sodium.crypto_box_easy(out, text, ctypes.c_ulonglong(len(text)), nonce, to, secret) == 0
    return nonce + out.raw


def certificate():
    """A file with the key and its certificate. RFC 8410, section 7: what is before the seed of an Ed25519 key."""
    der = bytes.fromhex("302e020100300506032b657004220420") + read_key("tls")
    with tempfile.TemporaryDirectory() as d:
        path = f"{d}/key"
        with open(path, "w", encoding="ascii") as f:
            f.write(f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END PRIVATE KEY-----\n")
        made = subprocess.run(["openssl", "req", "-x509", "-key", path, "-subj", "/CN=relay", "-days", "30"],
                              check=True, capture_output=True, text=True).stdout
        with open(path, "a", encoding="ascii") as f:
            f.write(made)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(path)
    return context


def client_key(connection):
    """Reads the request and the client's information behind it."""
    data = b""
    while b"\r\n\r\n" not in data or len(data.split(b"\r\n\r\n", 1)[1]) < 37:
        more = connection.recv(4096)
        assert more
        data += more
    return data.split(b"\r\n\r\n", 1)[1][5:37]


FLOODS = {
    "useless": frame(0x77, bytes(60000)),
    "pings": frame(PING, b"12345678") * 4096,
    "gone": frame(GONE, victim + b"\1") * 1024,
    "packets": frame(RECV, victim + b"\4\0\0\0" + bytes(1396)) * 40,
}


def treat(connection):
    """How many bytes it has got."""
    if mode == "silent":
        connection.recv(1 << 20)
        while connection.recv(4096):
            pass
        return 0
    client, secret = client_key(connection), read_key("relay")
    if mode == "key":
        secret = bytes(31) + b"\x42"
    sent = frame(SERVER_KEY, b"DERP\xf0\x9f\x94\x91" + public_of(secret))
    sent += frame(SERVER_INFO, seal(b'{"version":2}', client, secret))
    if mode == "restarts":
        sent += frame(RESTARTING, bytes(8))
    elif mode == "stalls":
        sent += frame(RECV, victim + bytes(1400))[:700]
    elif mode == "frames":
        sent += bytes([RECV]) + b"\xff\xff\xff\xff"
    connection.sendall(sent)
    n = len(sent)
    try:
        while mode in FLOODS:
            connection.sendall(FLOODS[mode])
            n += len(FLOODS[mode])
        while mode != "restarts" and connection.recv(4096):
            pass
    except OSError:
        pass
    return n


def serve(context, plain):
    began, n = time.monotonic(), 0
    try:
        with context.wrap_socket(plain, server_side=True) as connection:
            n = treat(connection)
    except (OSError, AssertionError):
        pass
    with open(log, "a", encoding="ascii") as f:
        f.write(json.dumps({"at": began, "bytes": n}) + "\n")


def main():
    context = certificate()
    with socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        while True:
            plain, _ = server.accept()
            threading.Thread(target=serve, args=(context, plain), daemon=True).start()


main()
