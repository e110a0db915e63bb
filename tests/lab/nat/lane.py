"""A mesh of three boards in an internet of its own: `vps`, public, with coordinator and relay (UDP 3478, TCP 443), and two
that are put into one house after another. Several lanes can be used at the same time.
"""
import json, os, signal, socket, struct, subprocess, sys, time

from internet import Internet, SERVERS4, SERVERS6, STUN_PORT
from space import Space, stop, wait_for

BIN = os.path.join(os.environ["HEARTH_BUILD"], "bin")
ENROL = os.path.join(os.environ["HEARTH_SOURCE"], "tests/lab/lib/enrol.py")


class Lost(Exception):
    """What is wrong with the laboratory itself, or a board in it that cannot be asked"""


class Board:
    def __init__(self, where, name):
        self.name, self.where, self.mesh4 = name, os.path.join(where, name), None
        self.space = self.process = None
        for d in "etc", "state", "run", "relay":
            os.makedirs(os.path.join(self.where, d), exist_ok=True)
        self.dirs = {"HEARTH_ETC": self.where + "/etc", "HEARTH_STATE": self.where + "/state", "HEARTH_RUN": self.where + "/run",
                     "HEARTH_RELAY_STATE": self.where + "/relay"}
        self.log = self.where + "/hearthd.log"

    def run(self, *args, **env):
        """A program of ours, as on that board"""
        with self.space.inside():
            done = subprocess.run([os.path.join(BIN, args[0]), *args[1:]], env={**os.environ, **self.dirs, **env}, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            raise Lost("%s: %s: %s%s" % (self.name, " ".join(args), done.stdout, done.stderr))
        return done.stdout

    def start(self, space, env=None):
        self.space = space
        self.process = space.start(BIN + "/hearthd", log=self.log, env={**self.dirs, **(env or {})})

    def stop(self):
        """Returns its status, None if it did not run"""
        p, self.process = self.process, None
        return stop(p) if p else None

    def said(self, n):
        """The last lines of its log"""
        with open(self.log, errors="replace") as f:
            return [line.rstrip()[:200] for line in f.readlines()[-n:]]

    def call(self, name, **args):
        """As the local socket has it (PROTOCOL.md); None while nobody answers"""
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(3)
                s.connect(self.where + "/run/hearthd.sock")
                data = json.dumps({"call": name, "args": args}).encode()
                s.sendall(struct.pack(">I", len(data)) + data)
                body = b""
                while len(body) < 4 or len(body) < 4 + struct.unpack(">I", body[:4])[0]:
                    more = s.recv(65536)
                    if not more:
                        return None
                    body += more
            return json.loads(body[4:]).get("ok")
        except (OSError, ValueError):
            return None

    def status(self):
        return self.call("status") or {"peers": [], "relays": [], "problems": []}

    def sees(self, other):
        """What it says of that peer, {} while it says nothing"""
        return next((p for p in self.status()["peers"] if p["name"] == other.name), {})


class Lane:
    def __init__(self, name):
        self.where = os.path.join(os.environ["HEARTH_TMP"], name)
        self.net = Internet(name)
        self.vps, self.x, self.y = (Board(self.where, n) for n in ("vps", "x", "y"))
        self.vps.space = Space(name + "-vps")
        self.four, self.six = self.net.plug(self.vps.space, "eth0", 10)
        self.coordinator()
        for b in self.vps, self.x, self.y:
            self.enrol(b)
        self.vps.start(self.vps.space)
        self.relay()

    def coordinator(self):
        self.vps.run("hearth-coord", "init", "--state", self.where + "/coord", "--user", "root",
                     "--url", "https://%s:8443" % self.four, "--url", "https://[%s]:8443" % self.six)
        self.coord = self.vps.space.start(BIN + "/hearth-coord", "serve", "--state", self.where + "/coord", "--run",
                                          self.vps.where + "/run", "--user", "root", log=self.where + "/coord.log", env=self.vps.dirs)
        wait_for(20, lambda: os.path.exists(self.vps.where + "/run/coord.sock"), "the coordinator serves")
        self.vps.run("hearth", "settings", "set", *(w for a in SERVERS4 for w in ("--stun", "%s:%d" % (a, STUN_PORT))),
                     *(w for a in SERVERS6 for w in ("--stun", "[%s]:%d" % (a, STUN_PORT))))

    def enrol(self, board):
        token = board.where + "/token"
        with open(token, "w") as f:
            f.write(self.vps.run("hearth", "token", "create", "--role", "member"))
        with self.vps.space.inside():
            said = subprocess.run([sys.executable, ENROL, "enrol", token, board.where + "/state", board.where + "/etc", board.name],
                                  text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if said.returncode:
            raise Lost("%s is not enrolled: %s" % (board.name, said.stderr))
        board.mesh4 = said.stdout.split()[0]

    def relay(self):
        """vps becomes one, as by `hearth relay enable`"""
        made = json.loads(self.vps.run("hearth-relay", "init", "--user", "root"))
        with open(self.vps.where + "/etc/relay.json", "w") as f:
            json.dump({"hosts": [self.four, self.six], "tcp": 443, "udp": 3478, "pin": made["pin"], "key": made["key"]}, f)
        self.relay_start()
        wait_for(10, lambda: self.vps.status().get("state") == "running", "vps runs")
        self.vps.process.send_signal(signal.SIGHUP)
        wait_for(10, lambda: "3478" in self.vps.run("hearth", "relay", "list"), "vps asks to be a relay")
        self.vps.run("hearth", "relay", "allow", "vps")
        wait_for(15, lambda: any(r["state"] == "bound" for r in self.vps.status()["relays"]), "vps is a relay")

    def check(self):
        """That what is to run to the end still does"""
        for name, process in (("hearthd", self.vps.process), ("hearth-relay", self.vps_relay), ("hearth-coord", self.coord)):
            if process.poll() is not None:
                raise Lost("%s of vps ended with %s" % (name, process.returncode))

    def relay_start(self):
        self.vps_relay = self.vps.space.start(BIN + "/hearth-relay", "serve", "--user", "root", log=self.where + "/relay.log",
                                              env=self.vps.dirs)

    def relay_kill(self):
        stop(self.vps_relay, signal.SIGKILL)


class Pings:
    """From one board to another, through the mesh, one at a time"""
    def __init__(self, here, there):
        self.s = here.space.socket(kind=socket.SOCK_RAW, proto=socket.IPPROTO_ICMP)
        self.s.setblocking(False)
        self.to, self.id, self.seq = there.mesh4, os.getpid() & 0xffff, 0

    def send(self):
        self.seq += 1
        head = struct.pack(">BBHHH", 8, 0, 0, self.id, self.seq & 0xffff)
        checksum = 0xffff - sum(struct.unpack(">4H", head)) % 0xffff
        try:
            self.s.sendto(head[:2] + struct.pack(">H", checksum) + head[4:], (self.to, 0))
        except OSError:
            pass  # there is no mesh yet

    def answered(self):
        """Whether one has been since the last call"""
        came = False
        while True:
            try:
                packet, source = self.s.recvfrom(2048)
            except OSError:
                return came
            icmp = packet[(packet[0] & 15) * 4:]
            came |= source[0] == self.to and icmp[0] == 0 and struct.unpack(">H", icmp[4:6])[0] == self.id

    def once(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.send()
            time.sleep(0.05)
            if self.answered():
                return True
        return False

    def close(self):
        self.s.close()
