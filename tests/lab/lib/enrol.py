#!/usr/bin/env python3
"""Enrols a board by the API alone, and plays a coordinator that lies. For test-mesh.

enrol.py enrol TOKEN-FILE STATE-DIR ETC-DIR NAME [PORT]
    makes keys, redeems the token, writes log, presence and hearthd.yaml; with $HEARTH_VIA=HOST:PORT by that relay
enrol.py lie COORD-STATE PORT REPLY-FILE ADDRESS
    serves REPLY-FILE to every poll and enrolment, with the coordinator's own TLS key
enrol.py edit IN OUT WHAT
    a poll's reply out of a log file: WHAT is gap, signature, or garbage
"""
import base64, http.server, json, os, socket, socketserver, ssl, subprocess, sys, tempfile, urllib.request


def pem_of_seed(seed):  # RFC 8410
    der = bytes.fromhex("302e020100300506032b657004220420") + seed
    return "-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n" % base64.b64encode(der).decode()


def write(path, text, mode=0o600):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as f:
        f.write(text)


def client_files(seed, where):
    key, cert = where + "/key.pem", where + "/cert.pem"
    write(key, pem_of_seed(seed))
    subprocess.run(["openssl", "req", "-new", "-x509", "-key", key, "-subj", "/CN=test", "-days", "9999",
                    "-out", cert], check=True, stderr=subprocess.DEVNULL)
    return key, cert


def context_of(key, cert):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(cert, key)
    return context


def by_relay(pin, via):  # the coordinator's URL there (PROTOCOL.md section 14)
    host, port = via.rsplit(":", 1)
    name = "c-" + base64.b32encode(base64.b64decode(pin)).decode().rstrip("=").lower() + ".hearth.internal"
    find = socket.getaddrinfo
    socket.getaddrinfo = lambda at, *more, **other: find(host if at == name else at, *more, **other)
    return "https://%s:%s" % (name, port)


def enrol(token_file, state, etc, name, port="41741"):
    text = open(token_file).read().strip().split(".", 1)[1]
    token = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    seed, private = os.urandom(32), os.urandom(32)
    public = subprocess.run(["wg", "pubkey"], input=base64.b64encode(private), stdout=subprocess.PIPE,
                            check=True).stdout.decode().strip()
    os.makedirs(state, exist_ok=True)
    os.makedirs(etc, exist_ok=True)
    with tempfile.TemporaryDirectory() as where:
        key, cert = client_files(seed, where)
        body = {"token": {"id": token["id"], "secret": token["secret"]}, "wg": public, "name": name,
                "board": {"hostname": name}}
        via = os.environ.get("HEARTH_VIA")
        url = by_relay(token["pins"][0], via) if via else token["urls"][0]
        request = urllib.request.Request(url + "/v1/enroll", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"}, method="POST")
        reply = json.load(urllib.request.urlopen(request, context=context_of(key, cert), timeout=60))
    write(state + "/identity.key", base64.b64encode(seed).decode() + "\n")
    write(state + "/wireguard.key", base64.b64encode(private).decode() + "\n")
    write(state + "/log", "".join(json.dumps(r) + "\n" for r in reply["records"]))
    write(state + "/presence", json.dumps(reply["presence"]) + "\n")
    write(etc + "/hearthd.yaml", json.dumps({
        "mesh": token["mesh"], "node": reply["node"]["id"], "root": token["root"], "urls": token["urls"],
        "pins": token["pins"], "interface": "hearth0", "port": int(port)}) + "\n", 0o644)
    print(reply["node"]["mesh4"], reply["node"]["mesh6"], reply["node"]["id"])


def lie(coord_state, port, reply_file, address):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            print(self.path, flush=True)  # before the reply, which not everybody hears to its end
            body = open(reply_file, "rb").read() if "/v1/presence" not in self.path else b'{"cursor":"0123456789abcdef-1"}'
            self.send_response(403 if body.startswith(b'{"error"') else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = answer

        def log_message(self, *args):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def server_bind(self):  # HTTPServer's asks for a name, for which a namespace without DNS waits long
            socketserver.TCPServer.server_bind(self)
            self.server_name, self.server_port = self.server_address

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as where:
        seed = base64.b64decode(open(coord_state + "/tls.key").read())
        context.load_cert_chain(*reversed(client_files(seed, where)))
    server = Server((address, int(port)), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


def edit(source, out, what):
    records = [json.loads(line) for line in open(source)]
    last = dict(records[-1])
    reply = {"records": [], "presence": [], "cursor": "0123456789abcdef-1", "kube": None}
    if what == "gap":
        last["seq"] += 2
        reply["records"] = [last]
    elif what == "signature":
        last["seq"] += 1
        last["prev"] = base64.b64encode(os.urandom(32)).decode()
        reply["records"] = [last]
    elif what == "other-key":
        last["by"] = base64.b64encode(os.urandom(32)).decode()
        last["seq"] += 1
        reply["records"] = [last]
    write(out, "[" * 100000 if what == "garbage" else json.dumps(reply), 0o644)


if __name__ == "__main__":
    {"enrol": enrol, "lie": lie, "edit": edit}[sys.argv[1]](*sys.argv[2:])
