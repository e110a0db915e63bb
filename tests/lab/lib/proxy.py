#!/usr/bin/env python3
"""An HTTP proxy that knows CONNECT alone, and a user. For scenes in which a board has no other way out.

proxy.py ADDRESS PORT USER PASSWORD [basic|digest]
    one line for each request: "CONNECT HOST:PORT" and 200, 407, 502 or 400; never what came as a password
"""
import base64, hashlib, re, select, socket, sys, threading, urllib.request


def head_of(client):
    data = b""
    while not data.endswith(b"\r\n\r\n") and len(data) < 16384:
        byte = client.recv(1)
        if not byte:
            return None
        data += byte
    return data.decode("latin-1")


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def may(header, target, user, password, kind):
    if kind == "basic":
        return header == "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()
    said = dict(urllib.request.parse_keqv_list(urllib.request.parse_http_list(header[7:]))) if header.startswith("Digest ") else {}
    wanted = md5(":".join([md5("%s:home:%s" % (user, password)), "abc", said.get("nc", ""), said.get("cnonce", ""), "auth",
                           md5("CONNECT:" + target)]))
    return said.get("nonce") == "abc" and said.get("response") == wanted


def carry(a, b):
    while True:
        for ready in select.select([a, b], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            (b if ready is a else a).sendall(data)


def answer(client, user, password, kind):  # False: it is over
    head = head_of(client)
    asked = re.match(r"CONNECT (\S+) HTTP/1\.[01]\r\n", head or "")
    if not asked:
        if head:
            print("no CONNECT 400", flush=True)
        return False
    target = asked[1]
    header = re.search(r"(?im)^proxy-authorization: (.*?)\r$", head)
    if not may(header[1] if header else "", target, user, password, kind):
        print("CONNECT %s 407" % target, flush=True)
        offer = 'Basic realm="home"' if kind == "basic" else 'Digest realm="home", nonce="abc", qop="auth"'
        client.sendall(("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: %s\r\nContent-Length: 0\r\n\r\n" % offer).encode())
        return True
    host, port = target.rsplit(":", 1)
    try:
        server = socket.create_connection((host.strip("[]"), int(port)), timeout=10)
    except OSError:
        print("CONNECT %s 502" % target, flush=True)
        client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        return True
    server.settimeout(None)
    print("CONNECT %s 200" % target, flush=True)
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    with server:
        carry(client, server)
    return False


def serve(client, *what):
    with client:
        try:
            while answer(client, *what):
                pass
        except OSError:
            pass


def main(address, port, user, password, kind="basic"):
    server = socket.create_server((address, int(port)))
    print("ready", flush=True)
    while True:
        client, _ = server.accept()
        threading.Thread(target=serve, args=(client, user, password, kind), daemon=True).start()


main(*sys.argv[1:])
