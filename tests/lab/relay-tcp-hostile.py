#!/usr/bin/env python3
"""Hostile neighbours of a relay's TCP port (PROTOCOL.md sections 13 and 14), while two members talk through it. In a network
namespace of its own, as root:

    unshare -n relay-tcp-hostile.py HEARTH-RELAY DERP-LOAD DIR [SCENE...]

HEARTH-RELAY is the real one, with its real limits; hearthd, which tells it who the members are, is played here. All of 198.18.0.0/15
is on the loopback, so that connections can come from anywhere. Prints a line for each scene: what was done, how many descriptors the
relay had at most, by how much its memory grew, and how long a round trip of the two members took; status 1 if one fails."""
import base64
import ctypes
import json
import os
import re
import resource
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.request

RELAY_PROGRAM, LOAD, DIR = sys.argv[1:4] if len(sys.argv) > 3 else ("", "", "")
HERE, THERE, PORT, METRICS = "198.18.0.1", "198.18.0.2", 3340, 9340
MEMBERS = 64
CROWD = 10000
TALK_S = 0.5  # at least, beside each scene

# What is promised. relay/front.h, relay/derp.h: 1024 that have not said whom they want, 512 strangers at DERP, and a few of its own.
FDS_MAX = 1024 + 512 + 128
GROWTH_MAX_KIB = 64 * 1024
MEDIAN_MAX = lambda base: 4 * base + 5000  # us
LONGEST_MAX = 1_000_000


def load(*args):
    return subprocess.run([LOAD, *map(str, args)], check=True, capture_output=True, text=True).stdout.strip()


KEYS = [line.split() for line in load("keys", 1, MEMBERS).splitlines()] if LOAD else []


class Hearthd(threading.Thread):
    """Says who the members are; holds the call when that is known already."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.members = [{"id": n, "name": f"member-{n}", "wg": wg, "identity": identity} for n, (wg, identity) in enumerate(KEYS, 1)]
        self.pins = [base64.b64encode(bytes([7] * 32)).decode()]
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen(8)
        self.held = []
        self.start()

    def run(self):
        while True:
            s = self.socket.accept()[0]
            n = struct.unpack(">I", s.recv(4, socket.MSG_WAITALL))[0]
            call = json.loads(s.recv(n, socket.MSG_WAITALL))
            if call.get("args", {}).get("seq") == 1:
                self.held.append(s)  # for 25 s, which are longer than a scene
                continue
            answer = {"seq": 1, "self": 1, "members": self.members, "ranges": ["10.77.0.0/16"], "pins": self.pins}
            data = json.dumps({"ok": answer}).encode()
            s.sendall(struct.pack(">I", len(data)) + data)
            s.close()


class Relay:
    def __init__(self):
        self.env = dict(os.environ, **{f"HEARTH_{k}": f"{DIR}/{k.lower()}" for k in ("ETC", "RUN", "RELAY_STATE")})
        for name in ("etc", "run", "relay_state"):
            os.makedirs(f"{DIR}/{name}", exist_ok=True)
        made = json.loads(subprocess.run([RELAY_PROGRAM, "init", "--user", "root"], env=self.env, check=True, capture_output=True).stdout)
        self.key = base64.b64decode(made["key"]).hex()
        with open(f"{DIR}/etc/relay.json", "w") as f:
            json.dump(dict(made, hosts=[HERE], tcp=PORT, udp=3478, metrics=METRICS), f)
        self.hearthd = Hearthd(f"{DIR}/run/hearthd.sock")
        self.log = open(f"{DIR}/relay.log", "w")
        self.process = subprocess.Popen([RELAY_PROGRAM, "serve", "--user", "root"], env=self.env, stderr=self.log, stdout=self.log)
        self.until(lambda: self.metrics()["members"] == MEMBERS)

    def until(self, condition, patience=20.0):
        end = time.monotonic() + patience
        while True:
            try:
                if condition():
                    return
            except OSError:
                pass
            assert time.monotonic() < end and self.process.poll() is None, "not in time"
            time.sleep(0.02)

    def metrics(self):
        """hearth_relay_X{reason="Y"} N as {"X.Y": N}."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{METRICS}/metrics", timeout=5).read().decode()
        found = re.findall(r'^hearth_relay_(\w+)(?:\{\w+="(\w+)"\})? (\S+)$', text, re.M)
        return {name + ("." + label if label else ""): float(value) for name, label, value in found}

    def status(self, field):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(rf"^{field}:\s+(\d+)", f.read(), re.M).group(1))

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Watch:
    """What the relay holds at most, what it counts, and two members that talk beside."""

    def __init__(self, relay):
        self.relay, self.fds, self.on = relay, 0, True
        self.before = relay.metrics()
        with open(f"/proc/{relay.process.pid}/clear_refs", "w") as f:
            f.write("5")  # the peak is from now on
        self.memory = relay.status("VmRSS")
        self.talk = begin("talk", THERE, 1, 2, nice=0)
        self.since = time.monotonic()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while self.on:
            self.fds = max(self.fds, self.relay.fds())
            time.sleep(0.02)

    def end(self):
        time.sleep(max(0, self.since + TALK_S - time.monotonic()))
        self.on = False
        self.thread.join()
        self.trips = end(self.talk)
        self.grew = max(0, self.relay.status("VmHWM") - self.memory)

    def counted(self, name):
        """How much a counter has grown."""
        return self.relay.metrics()[name] - self.before[name]

    def check(self, base):
        t = self.trips
        assert t["sent"] > 50 and t["answered"] == t["sent"], f"the two that talk lost something: {t}"
        assert t["median_us"] <= MEDIAN_MAX(base["median_us"]) and t["longest_us"] <= LONGEST_MAX, f"{t} beside {base}"
        assert self.fds <= FDS_MAX, f"{self.fds} descriptors"
        assert self.grew <= GROWTH_MAX_KIB, f"{self.grew} KiB more"

    def told(self):
        t = self.trips
        return (f"{self.fds} descriptors, +{self.grew / 1024:.1f} MiB; {t['answered']} round trips beside: median {t['median_us'] / 1000:.2f}, "
                f"99 % within {t['p99_us'] / 1000:.1f}, longest {t['longest_us'] / 1000:.1f} ms")


def begin(verb, source, *args, nice=10):
    p = subprocess.Popen([LOAD, verb, "-s", f"{source}/32", f"{HERE}:{PORT}", *map(str, args)], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.setpriority(os.PRIO_PROCESS, 0, nice))
    line = p.stdout.readline()
    assert line == "ready\n", line
    return p


def end(p):
    p.stdin.close()
    text = p.stdout.read()
    assert p.wait(20) == 0, text
    return json.loads(text)


# --- strangers and members


def source(n):
    """The address of stranger @n: 198.18.1.0 and up."""
    return socket.inet_ntoa(struct.pack(">I", 0xC6120100 + n))


def connect(n=0, patience=20):
    s = socket.socket()
    s.settimeout(patience)
    s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    s.bind((source(n), 0))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.connect((HERE, PORT))
    return s


def context(version=ssl.TLSVersion.TLSv1_3):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    c.minimum_version = c.maximum_version = version
    return c


def hello(name="relay", version=ssl.TLSVersion.TLSv1_3):
    out = ssl.MemoryBIO()
    try:
        context(version).wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def forged_name(name, template=[None]):
    """A ClientHello that names this server (bytes, as long as may be)."""
    if not template[0]:
        template[0] = hello("x" * 16)
    data, at = template[0], template[0].index(b"x" * 16)
    grow = len(name) - 16
    out = bytearray(data[:at] + name + data[at + 16:])
    def add(where, size):
        value = int.from_bytes(out[where:where + size], "big") + grow
        out[where:where + size] = value.to_bytes(size, "big")
    add(3, 2), add(6, 3)                           # record, handshake
    add(at - 2, 2), add(at - 5, 2), add(at - 7, 2)  # name, list, extension
    extensions = 5 + 4 + 2 + 32
    extensions += 1 + out[extensions]
    extensions += 2 + int.from_bytes(out[extensions:extensions + 2], "big")
    extensions += 1 + out[extensions]
    add(extensions, 2)
    return bytes(out)


def is_cut_off(s, patience=5.0):
    """Whether the relay hangs up; what it says before is read."""
    s.settimeout(patience)
    try:
        while s.recv(65536):
            pass
        return True
    except TimeoutError:
        return False
    except (ConnectionError, ssl.SSLError):
        return True


def frame(kind, data=b"", length=None):
    return struct.pack(">BI", kind, len(data) if length is None else length) + data


UPGRADE = b"GET /derp HTTP/1.1\r\nUpgrade: DERP\r\nDerp-Fast-Start: 1\r\n\r\n"
SEND, RECV, PEER_GONE, PING, SERVER_INFO, HEALTH = 4, 5, 8, 0x12, 3, 0x14


class Member:
    """A connection on which member @number logs in, or wants to."""

    def __init__(self, relay, number, n=0, info=None):
        self.tls = context().wrap_socket(connect(n), server_hostname="relay")
        self.data = b""
        self.tls.sendall(UPGRADE + (info or bytes.fromhex(load("info", relay.key, number))))

    def read(self, patience=5.0):
        """The next frame, None at the end."""
        self.tls.settimeout(patience)
        while len(self.data) < 5 or len(self.data) < 5 + int.from_bytes(self.data[1:5], "big"):
            try:
                more = self.tls.recv(65536)
            except (ConnectionError, ssl.SSLError):
                more = b""
            if not more:
                return None
            self.data += more
        n = 5 + int.from_bytes(self.data[1:5], "big")
        got, self.data = self.data[:n], self.data[n:]
        return got[0], got[5:]

    def until(self, kind):
        while True:
            got = self.read()
            if got is None or got[0] == kind:
                return got and got[1]

    def logged_in(self):
        return self.until(SERVER_INFO) is not None

    def is_served(self):
        self.tls.sendall(frame(PING, b"are you?"))
        return self.until(PING + 1) == b"are you?"


def member(relay, number, n=0):
    m = Member(relay, number, n)
    assert m.logged_in(), f"member {number} is not let in"
    return m


def key_of(number):
    return base64.b64decode(KEYS[number - 1][0])


# --- scenes; each returns what was done


def scene_foreign_keys(relay, watch):
    """Frames for keys that are not here, in another's name, and as servers among themselves send them; a stranger's key."""
    a, b = member(relay, 3), member(relay, 4)
    a.tls.sendall(b"".join(frame(SEND, os.urandom(32) + bytes(100)) for _ in range(2000)))
    relay.until(lambda: watch.counted("derp_drops_total.not_here") == 2000)
    a.tls.sendall(frame(PING, b"and now?"))
    told = 0
    while (got := a.read()) and got[0] != PING + 1:
        told += got[0] == PEER_GONE
    assert got and 3 <= told <= 3 + 20, told  # three at once, then one a second
    stolen = bytearray(bytes.fromhex(load("info", relay.key, 3)))
    stolen[5:37] = key_of(4)  # sealed by 3, in the name of 4
    assert not Member(relay, 4, info=bytes(stolen)).logged_in() and b.is_served()
    assert watch.counted("derp_ended_total.bad_login") == 1
    for kind in (0x0A, 0x10, 0x11, 1, 2, SERVER_INFO, RECV):
        c = member(relay, 5)
        c.tls.sendall(frame(kind, key_of(4) + key_of(1) + b"from a server"))
        assert is_cut_off(c.tls), kind
    relay.until(lambda: watch.counted("derp_ended_total.bad_frame") == 7)
    for kind in (PEER_GONE, 9, HEALTH):
        a.tls.sendall(frame(kind, key_of(4) + key_of(1) + b"from a server"))
    assert a.is_served()  # passed over, and nobody gets it
    assert not Member(relay, MEMBERS + 1).logged_in()
    relay.until(lambda: watch.counted("derp_ended_total.stranger") == 1)
    assert b.is_served()
    return "2000 packets for nobody, a login in another's name, ten kinds of frames that servers send, a stranger's key"


def scene_bad_frames(relay, watch):
    """Frames that are too long, too short, and cut off anywhere."""
    bad = [frame(SEND, b"", 65536 + 33), frame(SEND, bytes(31)), frame(PING, bytes(7)), frame(7, b""),
           frame(SEND, b"", 0xFFFFFFFF), frame(0x77, b"", 65569), frame(0x77, b"", 0x80000000), frame(2, bytes(100)), b"\xff" * 100]
    for n, data in enumerate(bad):
        m = member(relay, 6, n)
        m.tls.sendall(data)
        assert is_cut_off(m.tls), data[:8]
    relay.until(lambda: watch.counted("derp_ended_total.bad_frame") == len(bad))
    info = bytes.fromhex(load("info", relay.key, 7))
    logins = [frame(2, b"", 4097 + 72), frame(2, bytes(71)), info[:-1] + bytes([info[-1] ^ 1]), frame(SEND, key_of(1) + b"first"), frame(PING, bytes(8))]
    for n, data in enumerate(logins):
        assert not Member(relay, 7, 20 + n, info=data).logged_in(), data[:8]
    whole = frame(SEND, key_of(1) + b"whole") + frame(PING, bytes(8))
    for cut in range(1, len(whole), 3):
        m = member(relay, 8, 40)
        m.tls.sendall(whole[:cut])
        m.tls.close()
    for cut in range(0, len(info), 9):
        Member(relay, 9, 41 + cut % 20, info=info[:cut] or b"\2").tls.close()
    relay.until(lambda: relay.metrics()["derp_strangers"] == 0)
    return f"{len(bad)} frames, {len(logins)} logins, {len(range(1, len(whole), 3)) + len(range(0, len(info), 9))} cut off"


class Trickle(threading.Thread):
    """Sends each a byte now and then, and notes how long it could."""

    def __init__(self):
        super().__init__(daemon=True)
        self.streams, self.took = [], []

    def add(self, s, data):
        self.streams.append((s, data, time.monotonic()))
        self.took.append(None)

    def run(self):
        at = 0
        while None in self.took:
            for i, (s, data, since) in enumerate(self.streams):
                try:
                    if self.took[i] is None:
                        s.send(data[at:at + 1] or b"x")
                except OSError:
                    self.took[i] = time.monotonic() - since
            at += 1
            time.sleep(0.25)


def begin_slow_loris(relay):
    """They go on beside the other scenes. Strangers first, then ten members."""
    trickle, first = Trickle(), hello()
    for i in range(20):
        trickle.add(connect(420 + i), first)
    for i in range(20):
        trickle.add(context().wrap_socket(connect(440 + i), server_hostname="relay"), b"GET /derp HTTP/1.1\r\nX: ")
    for i in range(10):
        trickle.add(Member(relay, 20, 460 + i, info=frame(2, b"", 200)).tls, bytes(190))
    for i in range(10):
        m = member(relay, 20 + i, 470 + i)
        m.tls.sendall(frame(SEND, key_of(1), 60000))
        trickle.add(m.tls, bytes(400))
    trickle.start()
    return trickle, relay.metrics()


def scene_garbage(relay, watch):
    """What is no TLS, no TLS 1.3, or stops being it."""
    first = hello()
    kinds = [os.urandom(300), b"\x16\x03\x01" + os.urandom(500), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-2.0-x\r\n", hello(version=ssl.TLSVersion.TLSv1_2),
             b"\x16\x03\x01\x00\x00" * 100, b"\x16\x03\x01\xff\xff" + bytes(70000), b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc" + bytes(16380) + b"\x16\x03\x01\x40\x00" * 4,
             first + os.urandom(200), first + first, first[:60] + bytes(len(first) - 60), b"\x15\x03\x03\x00\x02\x02\x28", b"\x80\x2e\x01\x00\x02" + bytes(50)]
    rest = []
    for i in range(20 * len(kinds)):
        s = connect(12000 + i % 200)
        try:
            s.sendall(kinds[i % len(kinds)])
        except OSError:
            pass
        rest.append(s)
    cut = sum(is_cut_off(s, 0.5) for s in rest[:len(kinds)])
    for s in rest:
        s.close()
    names = ("derp_ended_total.bad_tls", "derp_ended_total.closed", "tcp_lost_total.closed", "tcp_lost_total.too_long", "derp_turned_away_total")
    relay.until(lambda: sum(watch.counted(name) for name in names) >= len(rest))
    assert watch.counted("derp_ended_total.bad_tls") >= 10
    return f"{len(rest)} connections, {int(watch.counted('derp_ended_total.bad_tls'))} of them no TLS; {cut} of {len(kinds)} kinds are cut off at once"


def scene_forged_names(relay, watch):
    """Coordinators that there are not, a park without a coordinator's key, and names that are none."""
    label = lambda data: base64.b32encode(data).rstrip(b"=").lower()
    wrong = b"c-" + label(os.urandom(32)) + b".hearth.internal"
    for i in range(200):
        s = connect(13000 + i)
        s.sendall(forged_name(wrong))
        assert is_cut_off(s)
    assert watch.counted("pass_lost_total.unknown") == 200
    known = b"c-" + label(bytes([7] * 32)) + b".hearth.internal"  # a coordinator of the mesh, who keeps no connection here
    waiting = [connect(13300 + i % 4) for i in range(200)]
    for s in waiting:
        s.sendall(forged_name(known))
    relay.until(lambda: watch.counted("pass_clients_total") >= 200)
    assert relay.metrics()["pass_waiting"] <= 200
    for s in waiting:
        s.close()
    for i in range(50):
        s = connect(13400 + i)
        s.sendall(forged_name(b"park.hearth.internal"))
        s.close()
    others = [b"c-.hearth.internal", b"c-" + b"a" * 52, b"c-" + b"!" * 52 + b".hearth.internal", known[:-1] + b"\0", b"\0" * 20, b"a" * 255, known.upper(),
              b"c-" + b"a" * 51 + b".hearth.internal", b"park.hearth.internal.", b"*.hearth.internal", b"198.18.0.1", b"\xff" * 64]
    for i, name in enumerate(others):
        s = connect(13500 + i)
        s.sendall(forged_name(name))
        s.close()
    relay.until(lambda: relay.metrics()["pass_waiting"] == 0 and relay.metrics()["derp_strangers"] == 0)
    assert watch.counted("pass_parks_total") == 0 and watch.counted("pass_taken_total") == 0
    return f"200 unknown coordinators, 200 for one that keeps no connection, 50 that would be one, {len(others)} names that are none"


def scene_slow_reader(relay, watch):
    """A member floods one who reads nothing."""
    flood = begin("flood", source(14000), 11, 12)
    peak, until = 0, time.monotonic() + 3
    while time.monotonic() < until:
        peak = max(peak, relay.metrics()["derp_waiting_bytes"])
    sent = end(flood)["sent"]
    dropped = watch.counted("derp_drops_total.full")
    assert 1 << 20 < peak <= 4 << 20, peak
    assert dropped > sent / 4, (dropped, sent)
    relay.until(lambda: relay.metrics()["derp_waiting_bytes"] < 65536)
    return f"{sent} packets, {dropped:.0f} dropped, at most {peak / 1e6:.1f} MB waited"


def scene_udp_flood(relay, watch):
    """The same process has a UDP port, too: BINDs of nobody, as fast as they go, in trains from 64 ports."""
    pids = []
    for n in range(2):
        pids.append(os.fork())
        if not pids[-1]:
            ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG
            sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(32)]
            for s in sockets:
                s.bind((source(15000 + n), 0))
                s.connect((HERE, 3478))
                s.setsockopt(socket.SOL_UDP, 103, 108)  # UDP_SEGMENT
            data = (b"\xf1H\x01\x01" + os.urandom(104)) * 64
            while True:
                for s in sockets:
                    try:
                        s.send(data)
                    except OSError:
                        pass
    try:
        time.sleep(2)
        paced = watch.counted("udp_datagrams_total.paced")
        back = member(relay, 13, 401)  # and one who comes now comes in
        assert back.is_served()
    finally:
        for pid in pids:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
    assert paced > 100000, paced
    return f"{paced / 2e6:.1f} million BINDs a second read"


def scene_slow_loris(relay, watch):
    """A byte now and then: in the ClientHello, in the request, in the login. It began before the other scenes."""
    trickle, before = LORIS
    relay.until(lambda: None not in trickle.took[:50])
    assert 9 < min(trickle.took[:50]) and max(trickle.took[:50]) < 13, trickle.took
    grown = lambda name: relay.metrics()[name] - before[name]
    assert grown("tcp_lost_total.slow") >= 20 and grown("derp_ended_total.slow_login") >= 30
    return f"20 in the ClientHello, 20 in the request, 10 in the login: all out after at most {max(trickle.took[:50]):.1f} s"


def crowd(sources, first):
    """CROWD connections, every other one says its ClientHello. Those that the relay has not hung up on are open still."""
    found = []
    for i in range(CROWD):
        s = connect(first + i % sources)
        try:
            if i % 2:
                s.send(HELLO)
        except OSError:
            pass  # cut off already
        s.setblocking(False)
        found.append(s)
    return found


def count_lost(watch):
    names = ("tcp_lost_total.crowded", "tcp_lost_total.slow", "tcp_lost_total.closed", "derp_turned_away_total", "derp_ended_total.crowded",
             "derp_ended_total.slow_login", "derp_ended_total.closed", "derp_ended_total.bad_tls")
    return {name: int(watch.counted(name)) for name in names if watch.counted(name)}


def in_a_crowd(relay, watch, sources, first):
    old = member(relay, 10, 400)
    all_of_them = crowd(sources, first)
    relay.until(lambda: watch.counted("tcp_accepted_total") >= CROWD)
    assert old.is_served()
    back = member(relay, 10, 400)  # from where a member was before
    assert back.is_served()
    relay.until(lambda: relay.metrics()["tcp_waiting"] <= 1024 and relay.metrics()["derp_strangers"] <= 512)
    lost = count_lost(watch)
    assert sum(lost.values()) >= CROWD - 1024 - 512, lost
    for s in all_of_them:
        s.close()
    relay.until(lambda: relay.metrics()["tcp_waiting"] == 0 and relay.fds() < 200)
    return lost


def scene_one_address(relay, watch):
    """10,000 connections from one address: half say nothing, half begin TLS; none goes."""
    return f"{CROWD} connections: {in_a_crowd(relay, watch, 1, 500)}"


def scene_many_addresses(relay, watch):
    """The same from 10,000 addresses."""
    return f"{CROWD} connections: {in_a_crowd(relay, watch, CROWD, 1000)}"


def scene_slow_frame(relay, watch):
    """The same in a frame."""
    trickle, before = LORIS
    relay.until(lambda: None not in trickle.took, 40)
    assert 29 < min(trickle.took[50:]) and max(trickle.took[50:]) < 33, trickle.took
    assert relay.metrics()["derp_ended_total.slow_frame"] - before["derp_ended_total.slow_frame"] == 10
    return f"10 in a frame: all out after at most {max(trickle.took[50:]):.1f} s"


HELLO, LORIS = b"", None


def run(relay, name, scene, base):
    watch = Watch(relay)
    try:
        did = scene(relay, watch)
        watch.end()
        watch.check(base)
        print(f"ok {name}: {did}; {watch.told()}", flush=True)
        return 0
    except (AssertionError, OSError) as e:
        frames = [str(t.tb_lineno) for t in traceback_of(e)]
        print(f"FAILED {name} (lines {', '.join(frames)}): {type(e).__name__} {e}", flush=True)
        return 1
    finally:
        watch.on = False
        watch.talk.kill()


def traceback_of(e):
    t = e.__traceback__
    while t:
        yield t
        t = t.tb_next


def main():
    global HELLO, LORIS
    if not DIR:
        sys.exit(__doc__)
    for command in ("ip link set lo up", f"ip addr add {HERE}/15 dev lo"):
        subprocess.run(command.split(), check=True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    HELLO = hello()
    scenes = {name[6:]: value for name, value in globals().items() if name.startswith("scene_")}
    wanted = [name for name in scenes if name in sys.argv[4:] or not sys.argv[4:]]
    if not wanted:
        return 0
    relay = Relay()
    os.nice(10)  # who is hostile has machines of his own; here he gets what the others leave
    if "slow_loris" in wanted or "slow_frame" in wanted:
        LORIS = begin_slow_loris(relay)
    watch = Watch(relay)
    watch.end()
    print(f"   nothing: {watch.told()}", flush=True)
    failed = sum([run(relay, name, scenes[name], watch.trips) for name in wanted])
    relay.process.terminate()
    failed += relay.process.wait(20) != 0
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
