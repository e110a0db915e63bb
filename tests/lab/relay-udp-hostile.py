#!/usr/bin/env python3
"""Hostile neighbours of the UDP relay (PROTOCOL.md section 12), and its speed. In a network namespace of its own, as root:

    unshare -n relay-udp-hostile.py RELAY-UDP [SCENE...]

RELAY-UDP is the lab program of that name. All addresses of 198.51.100.0/24 are on the loopback, so that a source can be forged and
what its owner is sent can be counted. Prints a line for each scene; status 1 if one fails."""
import ctypes
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else ""
NET = "198.51.100."
RELAY = NET + "1"
MAGIC = b"\xf1H\x01"
BIND, COOKIE, BOUND, DATA, UNKNOWN, ABSENT = range(1, 7)
EACH_BURST, ALL_BURST, ALL_PER_S = 64, 1000, 5000  # relay/strangers.h
UDP_SEGMENT = 103
libc = ctypes.CDLL(None)


def program(*args):
    return subprocess.run([PROGRAM, *args], check=True, capture_output=True, text=True).stdout.strip()


class Relay:
    def __init__(self):
        self.process = subprocess.Popen([PROGRAM, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def settled(self, received):
        """The counters when as many datagrams have come; what they caused has been sent then."""
        end = time.monotonic() + 20
        while True:
            count = self.ask("count")
            if count["received"] >= received or time.monotonic() > end:
                assert count["received"] >= received, count
                return count

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0


class Stranger:
    """A socket at an address of our choice. `out` and `back` count bytes of payload."""

    def __init__(self, relay, host):
        self.relay, self.out, self.back = relay, 0, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((NET + str(host), 0))
        self.socket.connect((RELAY, relay.port))

    def send(self, data):
        self.socket.send(data)
        self.out += len(data)

    def receive(self, patience=0.0):
        if not select.select([self.socket], [], [], patience)[0]:
            return b""
        data = self.socket.recv(65536)
        self.back += len(data)
        return data

    def drain(self):
        n = 0
        while self.receive():
            n += 1
        return n


class Member(Stranger):
    def __init__(self, relay, number, host):
        super().__init__(relay, host)
        self.number, self.node, self.cookie = number, 101 + number, ""
        self.bind()

    def sealed(self):
        return bytes.fromhex(program("bind", str(self.number), *([self.cookie] if self.cookie else [])))

    def bind(self):
        for _ in range(5):
            self.send(self.sealed())
            answer = self.receive(5)
            if answer[3] == COOKIE:
                self.cookie = answer[12:28].hex()
            else:
                bound = json.loads(program("bound", str(self.number), answer.hex()))
                self.session, self.cookie = bound["session"], bound["cookie"]
                return
        raise AssertionError(f"member {self.number} cannot bind")

    def say(self, to, text):
        self.send(head(self.session, to.node) + text)

    def hears(self, source, text):
        data = self.receive(5)
        assert data == head(self.session, source.node) + text, (data[:20], text[:20])


def head(session, node):
    return MAGIC + bytes([DATA]) + struct.pack(">II", session, node)


def talk(a, b, text=b"hello"):
    a.say(b, text)
    b.hears(a, text)
    b.say(a, text[::-1])
    a.hears(b, text[::-1])


def forge(raw, host, relay, data, port=7777):
    udp = struct.pack(">HHHH", port, relay.port, 8 + len(data), 0) + data
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    raw.sendto(ip + socket.inet_aton(NET + str(host)) + socket.inet_aton(RELAY) + udp, (RELAY, 0))


def raw_socket():
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def scene_spoofed_binds(relay):
    """BINDs in the names of 200 addresses: these get fewer bytes than were sent for them, and few altogether."""
    raw, n = raw_socket(), 100
    victims = [Stranger(relay, host) for host in range(50, 250)]
    binds = bytes.fromhex(program("bind", "0"))
    start, before = time.monotonic(), relay.ask("count")
    for i in range(n):
        for victim in victims:
            forge(raw, int(victim.socket.getsockname()[0].split(".")[3]), relay, binds, victim.socket.getsockname()[1])
            victim.out += len(binds)
    count = relay.settled(before["received"] + n * len(victims) - (relay.ask("count")["overruns"] - before["overruns"]))
    took = time.monotonic() - start
    answers = sum(victim.drain() for victim in victims)
    assert 0 < answers <= ALL_BURST + ALL_PER_S * took, (answers, took)
    assert all(victim.back * 3 <= victim.out for victim in victims)
    assert count["bound"] == before["bound"]
    return f"{n * len(victims)} forged in {took:.1f} s, {answers} answers of 28 bytes to {len(victims)} victims"


def scene_replayed_bind(relay):
    """A recorded BIND from elsewhere, at its own address after the member has moved, and after it is gone."""
    a, b = Member(relay, 0, 10), Member(relay, 1, 11)
    talk(a, b)
    recorded, thief = a.sealed(), Stranger(relay, 12)
    thief.send(recorded)
    answer = thief.receive(5)
    assert answer[3] == COOKIE and len(answer) == 28
    again = recorded[:12] + answer[12:28] + recorded[28:]  # with the cookie that is for the thief
    before = relay.ask("count")
    thief.send(again)
    assert relay.settled(before["received"] + 1)["forged"] == before["forged"] + 1 and not thief.receive()
    talk(a, b)
    moved = Member(relay, 0, 13)
    assert moved.session == a.session
    a.send(recorded)
    answer = a.receive(5)
    assert answer[3] == COOKIE
    talk(moved, b)
    return "answered by a cookie only, and the member stays where it is"


def scene_foreign_heads(relay):
    """DATA with another's session, with guessed ones, to oneself and to nobody: none of it reaches anybody."""
    a, b = Member(relay, 0, 10), Member(relay, 1, 11)
    thief = Stranger(relay, 12)
    before = relay.ask("count")
    for session in (a.session, b.session, 0, 1, 0xFFFFFFFF, *(a.session ^ 1 << i for i in range(32))):
        for node in (a.node, b.node):
            thief.send(head(session, node) + b"from the thief")
    a.send(head(b.session, b.node) + b"in the name of b")
    a.send(head(a.session, a.node) + b"to oneself")
    a.send(head(a.session, 16777215) + b"to nobody")
    count = relay.settled(before["received"] + 77)
    assert count["carried"] == before["carried"] and count["to_self"] == before["to_self"] + 1
    assert count["absent"] == before["absent"] + 1 and not b.receive()
    answers = [a.receive(5), a.receive(5)]
    assert sorted(x[3] for x in answers) == [UNKNOWN, ABSENT] and not a.receive()
    hints = thief.drain()
    assert thief.back == 8 * hints and hints <= EACH_BURST + 20, hints
    talk(a, b)
    return f"{hints} hints of 8 bytes to the thief for 74 datagrams"


def scene_reflection(relay):
    """Everything that can be said to a relay, from strangers: none gets back more than it sent, but 24 bytes of STUN."""
    kinds = [MAGIC + bytes([t]) for t in range(256)] + [b"\xf0HD1", b"\xf1H\x02\x01", bytes(4), b"\1\0\0\0", b"\x80\0\0\0"]
    stun = struct.pack(">HHI", 1, 0, 0x2112A442) + os.urandom(12)
    worst = 0
    for i in range(200):
        stranger = Stranger(relay, 50 + i)
        for kind in kinds[i::20]:
            for length in (*range(4, 130, 3), 8, 12, 13, 28, 108, 1400, 9212, 9213):
                before = relay.ask("count")["received"]
                was = (stranger.out, stranger.back)
                stranger.send((kind + os.urandom(length))[:length])
                relay.settled(before + 1)
                stranger.drain()
                assert stranger.back - was[1] <= stranger.out - was[0], (kind, length)
        before = relay.ask("count")["received"]
        stranger.send(stun)
        relay.settled(before + 1)
        answer = stranger.receive()
        worst = max(worst, len(answer) - len(stun))
        if i > 40:
            break
    assert 0 < worst <= 24
    return f"never longer; STUN's shortest request by {worst} bytes"


def scene_removed(relay):
    """A member that is removed is out with the next datagram, also while it sends."""
    a, b, c = Member(relay, 0, 10), Member(relay, 1, 11), Member(relay, 2, 14)
    talk(a, b)
    assert relay.ask("members 1 2") == 0
    before = relay.ask("count")
    a.say(b, b"still there?")
    b.say(a, b"are you?")
    count = relay.settled(before["received"] + 2)
    assert count["carried"] == before["carried"] and count["bound"] == 2
    assert a.receive(5)[3] == UNKNOWN and b.receive(5)[3] == ABSENT and not a.receive() and not b.receive()
    talk(b, c)
    assert relay.ask("members 0 1 2 3 4 5 6 7") == 0
    return "at once"


def speed(relay, seconds, mbit, payload=1400):
    return json.loads(program("speed", RELAY, str(relay.port), str(seconds), str(payload), str(mbit), "6", "7"))


def per_gbit(before, after, bytes_):
    return (after["cpu_us"] - before["cpu_us"]) / 1e6 / (bytes_ * 8 / 1e9)


def scene_speed(relay):
    """What one core carries, in trains of 1,400 bytes, and the relay's processor time for it."""
    lines = []
    for mbit in (200, 1000, 0):
        before = relay.ask("count")
        got = speed(relay, 2, mbit)
        after = relay.ask("count")
        lines.append(f"{mbit or 'all'}: {got['came_mbit']:.0f} Mbit/s, {per_gbit(before, after, got['came_bytes']):.3f} s/Gbit")
        trains = (after["received"] - before["received"]) / (after["messages_in"] - before["messages_in"])
        assert trains > 10, "no trains"
    return "; ".join(lines)


def flood(relay, kind):
    """A process that sends BINDs (or DATA of no session) as fast as it can, from one address in trains or with forged ones."""
    pid = os.fork()
    if pid:
        return pid
    libc.prctl(1, 9)  # PR_SET_PDEATHSIG
    data = bytes.fromhex(program("bind", "0"))
    if kind == "forged binds":
        raw, i = raw_socket(), 0
        while True:
            forge(raw, 50 + i % 200, relay, data)
            i += 1
    strangers = [Stranger(relay, 40) for _ in range(64 if kind == "binds from 64 ports" else 1)]
    if kind == "data":
        data = head(4711, 101) + bytes(96)
    for stranger in strangers:
        stranger.socket.setsockopt(socket.SOL_UDP, UDP_SEGMENT, len(data))
    while True:
        for stranger in strangers:
            stranger.socket.send(data * 64)


def scene_floods(relay):
    """Beside a pair that talks at 50 Mbit/s: it stays bound whatever is flooded. What it loses is printed: all share two cores here."""
    lines, a, b = [], Member(relay, 0, 10), Member(relay, 1, 11)
    for kind in ("nothing", "binds", "binds from 64 ports", "data", "forged binds"):
        pid = flood(relay, kind) if kind != "nothing" else 0
        try:
            before, start = relay.ask("count"), time.monotonic()
            got = speed(relay, 2, 50)
            after, took = relay.ask("count"), time.monotonic() - start
            a.bind()
            b.bind()
        finally:
            if pid:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
        strangers = (after["received"] - before["received"] - (after["carried"] - before["carried"])) / took
        said = (after["said_bytes"] - before["said_bytes"]) / took
        assert said <= 28 * (ALL_PER_S * 2 + ALL_BURST), said
        lost = 100 - 100 * got["came_bytes"] / got["sent_bytes"]
        assert lost < 5 or kind == "data", (kind, lost)  # DATA has receive buffers of its own; of one address, one of them
        lines.append(f"{kind}: {strangers:,.0f}/s, {(after['cpu_us'] - before['cpu_us']) / took / 1e6:.2f} cores, {lost:.1f} % lost")
    talk(a, b)
    return "; ".join(lines)


def main():
    if not PROGRAM:
        sys.exit(__doc__)
    for command in ("ip link set lo up", f"ip addr add {RELAY}/24 dev lo", "sysctl -qw net.ipv4.conf.all.rp_filter=0"):
        subprocess.run(command.split(), check=True)
    scenes = {name[6:]: value for name, value in globals().items() if name.startswith("scene_")}
    failed = 0
    for name in [name for name in scenes if name in sys.argv[2:] or not sys.argv[2:]]:
        relay = Relay()
        try:
            print(f"ok {name}: {scenes[name](relay)}", flush=True)
            relay.close()
        except AssertionError as e:
            failed = 1
            print(f"FAILED {name} (line {e.__traceback__.tb_next.tb_lineno}): {e} {relay.ask('count')}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
