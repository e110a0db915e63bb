"""scale.py HEARTH-WG WIREGUARD-GO RTT HANDSHAKES OUTPUT.json: what many peers cost.

  packets     instructions of one end per packet (callgrind, no noise) and CPU per Gbit of both, with 10, 1,000
              and 10,000 peers of ten allowed IPs each; one of them is busy
  handshakes  answered per CPU second of the responder, at 500 a second and as fast as it answers
  idle        CPU time and wakeups of one end in a minute with 5 and 1,000 idle peers, never heard of and after
              a handshake"""
import base64
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time

import lab
import sample
from budgets import budget

PEERS = (10, 1000, 10000)
PREFIXES_PER_PEER = 10
LIMIT = budget("tunnel-10000-peers")
ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = int(os.environ.get("SECONDS_PER_SAMPLE", "3"))
IDLE_SECONDS = int(os.environ.get("IDLE_SECONDS", "60"))
PINGS, BATCHES = 500, 3
BUSY = 3000  # initiators in the test of speed
missed = []


def holds(condition, what):
    print(f"  {what}: {'ok' if condition else 'MISSED'}", flush=True)
    if not condition:
        missed.append(what)


def strangers(count):
    """@count peers with ten allowed IPs each, of both families and several lengths, many of them neighbours of the
    busy peer's 10.20.0.N and fd20::N and around them. The same in every run."""
    chance = random.Random(count)
    out = []
    for i in range(count):
        # a field element of Curve25519, which is all that a public key has to be
        public = base64.b64encode(chance.randbytes(31) + b"\x01").decode()
        n = (i * 7919 + 5120) % 10007  # each number once, the first in the middle: 10.20.0.0/24
        high, low = n >> 8, n & 255
        near = n + 4  # not one of the busy ones
        prefixes = (f"10.{high}.{low}.0/24", f"10.20.{near >> 8}.{near & 255}/32", f"100.{64 + high}.{low}.7/32",
                    f"172.{16 + (n >> 12)}.{n >> 4 & 255}.{(n & 15) * 16}/28", f"100.{64 + high}.{low}.128/25",
                    f"fd20::{near:x}/128", f"fd20:0:0:{n + 1:x}::/64", f"fd30:{n:x}::/48", f"fd31:{n:x}:1::/64",
                    f"2001:db8:{n:x}::/56")
        assert len(prefixes) == PREFIXES_PER_PEER
        out.append(f"[Peer]\nPublicKey = {public}\nAllowedIPs = {', '.join(prefixes)}\n")
    return "".join(out)


def crowd(tunnel, count):
    """@count peers at each end, the one at the other end among them."""
    conf = strangers(count - 1)
    start = time.monotonic()
    for n in range(2):
        tunnel.setconf(n, conf, "addconf")
    return (time.monotonic() - start) / 2


def instructions(program, rtt, log, tmp, count, size):
    """Of end b, for one packet in and its answer out."""
    tunnel = CountedEnds(program, log, tmp)
    crowd(tunnel, count)
    tunnel.ready()
    sample.round_trip(tunnel, rtt, 50, 200, size)
    pid = tunnel.pids[1]
    totals = []
    for _ in range(BATCHES):  # a handshake, or the end of a large configuration, may fall into one of them
        lab.run("callgrind_control", "-z", str(pid))
        sample.round_trip(tunnel, rtt, PINGS, 200, size)
        lab.run("callgrind_control", "-d", str(pid))
        totals.append(dumped(tunnel.out))
    tunnel.stop()
    return sample.median(totals) / PINGS


def dumped(out):
    directory, name = os.path.split(out)
    total = 0
    for file in os.listdir(directory):
        if re.fullmatch(re.escape(name) + r"\.\d+(-\d+)?", file):
            path = os.path.join(directory, file)
            with open(path, encoding="utf-8", errors="replace") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("summary:"))
            os.unlink(path)
    if not total:
        raise lab.Failed("callgrind wrote no counts")
    return total


class CountedEnds(lab.WireGuard):
    """hearth-wg at both ends, the one at b under callgrind."""

    def __init__(self, program, log, tmp):
        self.out = f"{tmp}/callgrind.out"
        super().__init__("hearth", program, log, tmp)

    def command(self, n, program, device):
        plain = super().command(n, program, device)
        return plain if n == 0 else ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={self.out}", *plain]


def packets(hearth, rtt, log, tmp, results):
    print("\n== cost of a packet with many peers, one busy ==", flush=True)
    counted = {}
    if shutil.which("valgrind"):
        for size in (1200, 56):
            counted[size] = {n: instructions(hearth, rtt, log, tmp, n, size) for n in PEERS}
            print(f"instructions per ping of {size} bytes and its answer: " +
                  ", ".join(f"{n} peers {counted[size][n]:.0f}" for n in PEERS), flush=True)
    tunnels = {n: lab.WireGuard("hearth", hearth, log, tmp) for n in PEERS}
    for n, tunnel in tunnels.items():
        seconds = crowd(tunnel, n)
        print(f"{n} peers, {n * PREFIXES_PER_PEER} allowed IPs: wg addconf took {seconds:.2f} s, "
              f"{lab.status_kb(tunnel.pids[0], 'VmRSS') * 1024 / 1e6:.1f} MB", flush=True)
        tunnel.cable.segmentation(False)
        tunnel.ready()
    costs = {n: [] for n in PEERS}
    for number in range(ROUNDS):
        for n in PEERS if number % 2 == 0 else PEERS[::-1]:
            costs[n].append(sample.iperf(tunnels[n], log, seconds=SECONDS).cpu_per_gbit)
    for tunnel in tunnels.values():
        tunnel.stop()
    cpu = {n: sample.median([c / base for c, base in zip(costs[n], costs[PEERS[0]])]) for n in PEERS}
    print("CPU seconds per Gbit on the plain wire: " +
          ", ".join(f"{n} peers {sample.median(costs[n]):.3f} ({cpu[n]:.3f})" for n in PEERS), flush=True)
    for n in PEERS[1:]:
        for size, count in counted.items():
            holds(count[n] / count[PEERS[0]] <= LIMIT,
                  f"{n} peers cost {count[n] / count[PEERS[0]]:.3f} times the instructions of {PEERS[0]} ({size} bytes), at most {LIMIT}")
        if not counted:
            holds(cpu[n] <= LIMIT, f"{n} peers cost {cpu[n]:.3f} times the CPU of {PEERS[0]}, at most {LIMIT}")
    for size, count in counted.items():
        results["table"].append((f"instructions of one end per ping of {size} bytes: {', '.join(f'{n:,}' for n in PEERS)} peers",
                                 ", ".join(f"{count[n]:.0f}" for n in PEERS), ""))
    results["packets"] = dict(instructions={str(k): v for k, v in counted.items()}, cpu=cpu)


class Responder:
    """One tunnel process that @initiators know; they sit at the other end of the cable."""

    def __init__(self, kind, program, log, tmp, keys):
        self.kind, self.tunnel = kind, lab.OneEnd(kind, program, log, tmp)
        self.tunnel.setconf(1, "".join(f"[Peer]\nPublicKey = {key}\nAllowedIPs = 10.128.{i >> 8}.{i & 255}/32\n"
                                       for i, key in enumerate(keys)), "addconf")
        self.count, self.pid = len(keys), self.tunnel.pids[0]

    def attack(self, program, rate, seconds, every):
        before = lab.cpu_seconds(self.pid)
        text = lab.run("ip", "netns", "exec", self.tunnel.cable.a.name, program, "run", "192.0.2.2", "7002",
                       self.tunnel.publics[1], str(self.count), str(rate), str(seconds), "1" if every else "0")
        names = ("sent", "answered", "verified", "wrong", "cookies", "seconds")
        got = dict(zip(names, map(float, text.split())))
        got["cpu"] = lab.cpu_seconds(self.pid) - before
        if not got["answered"] or got["wrong"] > got["answered"] / 100:
            raise lab.Failed(f"{self.kind}: handshakes: {text}")
        return got


def handshakes(hearth, go, generator, log, tmp, results):
    print("\n== handshakes answered ==", flush=True)
    keys = lab.run(generator, "keys", str(BUSY)).split()
    both = {"hearth": Responder("hearth", hearth, log, tmp, keys), "go": Responder("go", go, log, tmp, keys)}
    table = results["table"]
    for rate, title in ((500, "500 a second"), (0, "as fast as answered")):
        per_cpu = {"hearth": [], "go": []}
        answered = {"hearth": [], "go": []}
        cookies = {"hearth": 0, "go": 0}
        for number in range(3):
            for name in list(both)[::1 if number % 2 == 0 else -1]:
                got = both[name].attack(generator, rate, SECONDS, False)
                per_cpu[name].append(got["answered"] / got["cpu"])
                answered[name].append(got["answered"] / got["seconds"])
                cookies[name] += got["cookies"]
                time.sleep(1.2)  # a second without load, so that no cookies are asked of the next
        ratio = sample.median([h / g for h, g in zip(per_cpu["hearth"], per_cpu["go"])])
        for name in both:
            print(f"{title}: {name:<7} {sample.median(per_cpu[name]):7.0f} answered per CPU second, "
                  f"{sample.median(answered[name]):6.0f} a second, {cookies[name]:.0f} cookies", flush=True)
        print(f"  Hearth answers {ratio:.2f} times as many per CPU second (printed only)", flush=True)
        table.append((f"handshakes answered per CPU second, {title}",
                      *(f"{sample.median(per_cpu[name]):.0f}" for name in ("hearth", "go"))))
    for responder in both.values():
        responder.tunnel.stop()


def idle(hearth, go, generator, log, tmp, results):
    print(f"\n== idle for {IDLE_SECONDS} s ==", flush=True)
    subjects = {}
    for name, program in (("hearth", hearth), ("go", go)):
        for count in (5, 1000):
            keys = lab.run(generator, "keys", str(count)).split()
            for known in (False, True):
                subjects[name, count, known] = Responder(name, program, log, tmp, keys)
    for (_, count, known), subject in subjects.items():
        if known:
            got = subject.attack(generator, 300, 0, True)
            if got["verified"] < count:
                raise lab.Failed(f"only {got['verified']:.0f} of {count} handshakes")
    time.sleep(15)  # timers of the handshakes, and the kernel's own packets on new interfaces, are over
    before = {key: (lab.cpu_seconds(s.pid), lab.wakeups(s.pid)) for key, s in subjects.items()}
    start = time.monotonic()
    time.sleep(IDLE_SECONDS)
    minute = 60 / (time.monotonic() - start)
    cost = {}
    for key, s in subjects.items():
        name, count, known = key
        cost[key] = ((lab.cpu_seconds(s.pid) - before[key][0]) * 1000 * minute, (lab.wakeups(s.pid) - before[key][1]) * minute)
        print(f"{name:<7} {count:>5} peers{', after a handshake' if known else ', never heard of':<20} "
              f"{cost[key][0]:8.2f} ms of CPU and {cost[key][1]:6.0f} wakeups a minute, "
              f"{lab.status_kb(s.pid, 'VmRSS') * 1024 / 1e6:5.1f} MB", flush=True)
    for known in (False, True):
        few, many = cost["hearth", 5, known], cost["hearth", 1000, known]
        what = "after a handshake" if known else "never heard of"
        holds(many[1] <= few[1] + 5, f"1,000 idle peers ({what}) wake it {many[1]:.0f} times a minute, 5 peers {few[1]:.0f}")
        holds(many[0] <= few[0] + 10, f"1,000 idle peers ({what}) cost {many[0]:.1f} ms of CPU a minute, 5 peers {few[0]:.1f}")
    for count in (5, 1000):
        results["table"].append((f"{count:,} idle peers: CPU ms, wakeups a minute",
                                 *(f"{cost[name, count, True][0]:.1f}, {cost[name, count, True][1]:.0f}" for name in ("hearth", "go"))))
    for s in subjects.values():
        s.tunnel.stop()


def main():
    hearth, go, rtt, generator, output = sys.argv[1:6]
    tmp = os.environ["HEARTH_TMP"]
    parts = os.environ.get("CASES", "").replace(",", " ").split() or ["packets", "handshakes", "idle"]
    results = dict(table=[], machine=lab.machine())
    print(f"machine: {lab.machine()}", flush=True)
    with open(f"{tmp}/processes.log", "w", encoding="utf-8") as log:
        try:
            if "packets" in parts:
                packets(hearth, rtt, log, tmp, results)
            if "handshakes" in parts:
                handshakes(hearth, go, generator, log, tmp, results)
            if "idle" in parts:
                idle(hearth, go, generator, log, tmp, results)
        except (lab.Failed, subprocess.SubprocessError) as error:
            print(f"FAIL: {error}")
            log.flush()
            with open(f"{tmp}/processes.log", encoding="utf-8", errors="replace") as f:
                print("".join(f.readlines()[-20:]))
            return 1
    with open(output, "w", encoding="utf-8") as f:
        json.dump(results, f)
    print(f"\n{len(missed)} missed" if missed else "\nnothing was missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
