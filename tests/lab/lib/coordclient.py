"""Clients of hearth-coord for coordinator.py: boards with keys of their own over HTTPS and an
administrator over the local socket; and the server itself, started and ended. Each check is one line
of output; the first that does not hold ends the test."""
import base64, http.client, itertools, json, os, signal, socket, ssl, struct, subprocess, sys, threading, time

TMP, STATE, RUN = os.environ["HEARTH_TMP"], os.environ["HEARTH_COORD_STATE"], os.environ["HEARTH_RUN"]
BUILD, SOURCE = os.environ["HEARTH_BUILD"], os.environ["HEARTH_SOURCE"]
server_pid = int(sys.argv[1])
ours = None  # a server started here
serial = iter(range(1, 1 << 30))


def check(what, good, seen=""):
    print(("ok    " if good else "FAIL  ") + what, flush=True)
    if not good:
        print(f"      seen: {str(seen)[:2000]}")
        sys.exit(1)


def b64(data):
    return base64.b64encode(data).decode()


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, check=True, capture_output=True).stdout


class Board:
    def __init__(self, name=None):
        n = next(serial)
        self.name = name or f"board{n}"
        self.key, self.crt = f"{TMP}/id{n}.pem", f"{TMP}/id{n}.crt"
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.key)
        openssl("req", "-new", "-x509", "-key", self.key, "-subj", "/CN=board", "-days", "10", "-out", self.crt)
        self.wg = b64(os.urandom(32))
        self.node, self.counter = None, 0

    def sign(self, data):
        path = f"{TMP}/sign{threading.get_ident()}"
        open(path, "wb").write(data)
        return openssl("pkeyutl", "-sign", "-inkey", self.key, "-rawin", "-in", path)

    def presence(self, endpoints, counter=None, node=None):
        self.counter = counter or self.counter + 1
        payload = json.dumps({"node": node or self.node["id"], "counter": self.counter, "endpoints": endpoints, "disco": None, "relay": None}).encode()
        return {"payload": b64(payload), "sig": b64(self.sign(b"hearth-presence1" + payload))}


def context(board=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if board:
        c.load_cert_chain(board.crt, board.key)
    return c


class Answer:
    def __init__(self, status, data):
        self.status, self.data = status, data
        try:
            self.json = json.loads(data)
        except ValueError:
            self.json = None
        self.code = (self.json or {}).get("error", {}).get("code") if isinstance(self.json, dict) else None

    def __repr__(self):
        return f"{self.status} {self.data[:1500]!r}"


asked = itertools.count()


def somewhere():
    """Another address now and then: the coordinator lets strangers in so many at a time of each."""
    n = next(asked) // 20
    return f"127.20.{n // 250 % 250}.{n % 250 + 1}"


def ask(method, path, board=None, body=None, source=None, timeout=70, raw=None):
    source = source or somewhere()
    c = http.client.HTTPSConnection("127.0.0.1", 8443, context=context(board), timeout=timeout, source_address=(source, 0))
    try:
        c.request(method, path, body=raw if raw is not None else None if body is None else json.dumps(body), headers={"Content-Type": "application/json"})
        r = c.getresponse()
        return Answer(r.status, r.read())
    finally:
        c.close()


class Refused(Exception):
    pass


def admin(call, **args):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(f"{RUN}/coord.sock")
    body = json.dumps({"call": call, "args": args}).encode()
    s.sendall(struct.pack(">I", len(body)) + body)
    head = s.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        raise ConnectionResetError("no answer")
    data = s.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL)
    s.close()
    reply = json.loads(data)
    if "error" in reply:
        raise Refused(reply["error"]["code"] + ": " + reply["error"]["message"])
    return reply["ok"]


def refused(call, **args):
    try:
        return "no: " + json.dumps(admin(call, **args))
    except Refused as e:
        return str(e)


def token(**args):
    text = admin("token.create", **args)["token"]
    data = text.removeprefix("hearth1.")
    return json.loads(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)))


def request(who, t, **more):
    return {"token": {"id": t["id"], "secret": t["secret"]}, "wg": who.wg, "name": who.name, "board": {}, **more}


def enroll(who, t, source=None, path="/v1/enroll", **more):
    body = {k: v for k, v in request(who, t, **more).items() if v is not None}
    a = ask("POST", path, who, body, source)
    if a.status == 200 and "node" in a.json:
        who.node = a.json["node"]
    return a


def poll(board, seq=0, cursor="", wait=0, **more):
    query = f"/v1/poll?seq={seq}&cursor={cursor}&wait={wait}" + "".join(f"&{k}={v}" for k, v in more.items())
    return ask("GET", query, board)


def records_of(board):
    """The whole log, however many replies it takes."""
    records = []
    while True:
        a = poll(board, seq=len(records))
        records += a.json["records"]
        if not a.json["records"] or len(records) >= a.json["head"]["seq"]:
            return records


def payload(record):
    return json.loads(base64.b64decode(record["payload"]))


def until(seconds, condition):
    end = time.time() + seconds
    while time.time() < end:
        try:
            if condition():
                return True
        except (OSError, http.client.HTTPException, Refused):
            pass
        time.sleep(0.03)
    return False


def unread(port):
    """Bytes and connections at the server's port that it has not taken yet."""
    out = subprocess.run(["ss", "-tanH", "sport", "=", f":{port}"], capture_output=True, text=True, check=True).stdout
    return sum(int(line.split()[1]) for line in out.splitlines())


def cpu_seconds():
    fields = open(f"/proc/{ours.pid if ours else server_pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(*options, wait=True):
    global ours
    log = open(f"{TMP}/log", "a")
    ours = subprocess.Popen([f"{BUILD}/bin/hearth-coord", "serve", "--user", "root", *options], stdout=log, stderr=log)
    if wait:
        check("it answers again", until(30, lambda: admin("status")), ours.poll())


def stop(sig=signal.SIGTERM):
    global server_pid, ours
    if ours:
        ours.send_signal(sig)
        status = ours.wait(20)
        ours = None
        return status
    os.kill(server_pid, sig)
    check("it ends", until(20, lambda: not os.path.exists(f"/proc/{server_pid}") or open(f"/proc/{server_pid}/stat").read().split()[2] == "Z"))
