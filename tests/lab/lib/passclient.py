#!/usr/bin/env python3
"""Whoever comes to a relay's TCP port. For test-pass. RELAY is HOST:PORT, PIN the coordinator's.

passclient.py ask RELAY PIN [SOURCE]     one request to the coordinator by the relay: prints the status
passclient.py crowd RELAY PIN N SOURCE   N connections that say their ClientHello and stay, until the input ends
                                         (PIN may be a server's name)
passclient.py silent RELAY N             N connections that say nothing and stay, until the input ends
passclient.py endless RELAY              a ClientHello without an end: succeeds when it is cut off
passclient.py other RELAY NAME           asks for another server in TLS: succeeds when it is cut off
passclient.py park RELAY KEY CERT        wants to be parked with this key: succeeds when it is cut off
passclient.py web PORT KEY CERT          is a web server at 127.0.0.1
"""
import base64, http.server, socket, ssl, sys


def name_of(pin):
    if "." in pin:
        return pin
    return "c-" + base64.b32encode(base64.b64decode(pin)).decode().rstrip("=").lower() + ".hearth.internal"


def connect(relay, source=None):
    host, port = relay.rsplit(":", 1)
    s = socket.create_connection((host, int(port)), 20, (source, 0) if source else None)
    s.settimeout(20)
    return s


def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    return c


def ask(relay, pin, source=None):
    with context().wrap_socket(connect(relay, source), server_hostname=name_of(pin)) as s:
        s.sendall(b"GET /v1/poll HTTP/1.1\r\nHost: x\r\n\r\n")
        print(s.recv(4096).split(b"\r\n")[0].decode())


def hello(pin):
    out = ssl.MemoryBIO()
    tls = context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name_of(pin))
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def stay(connections):
    print(len(connections), flush=True)
    sys.stdin.read()


def crowd(relay, pin, n, source):
    first, all_of_them = hello(pin), []
    for _ in range(int(n)):
        s = connect(relay, source)
        try:
            s.sendall(first)
        except OSError:
            pass  # cut off already
        all_of_them.append(s)
    stay(all_of_them)


def silent(relay, n):
    stay([connect(relay) for _ in range(int(n))])


def is_cut_off(s):
    try:
        return s.recv(1) == b""
    except (ConnectionError, ssl.SSLError):
        return True


def endless(relay):
    s = connect(relay)
    try:
        s.sendall(bytes([22, 3, 1, 0, 4, 1, 0, 0x3F, 0xFF]))
        for _ in range(100000):
            s.sendall(bytes([22, 3, 1, 0, 1, 0]))
    except ConnectionError:
        return
    sys.exit(not is_cut_off(s))


def other(relay, name):
    try:
        context().wrap_socket(connect(relay), server_hostname=name)
    except (ConnectionError, ssl.SSLError):
        return
    sys.exit("somebody speaks TLS there")


def park(relay, key, cert):
    c = context()
    c.load_cert_chain(cert, key)
    try:
        with c.wrap_socket(connect(relay), server_hostname="park.hearth.internal") as s:
            s.sendall(bytes([0xF2, 0x48, 1, 1]) + bytes(20))
            sys.exit(not is_cut_off(s))
    except (ConnectionError, ssl.SSLError):
        pass


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        self.answer("the page of the web server\n")

    def do_POST(self):
        self.answer("%d bytes, thank you\n" % len(self.rfile.read(int(self.headers["Content-Length"]))))


def web(port, key, cert):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Page)
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(cert, key)
    # the handshake is each connection's own thread's
    server.socket = c.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    server.serve_forever()


dict(web=web, ask=ask, crowd=crowd, silent=silent, endless=endless, other=other, park=park)[sys.argv[1]](*sys.argv[2:])
