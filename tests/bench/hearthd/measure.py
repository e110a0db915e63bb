"""measure.py BENCH NAME=BIN...: what one change in a large mesh costs hearthd.

    a: the other boards, the coordinator  sw0 ------------ eth0  b: hearthd (node 1, a control plane), its helper
       192.0.2.1, 198.18.0.0/15                                     192.0.2.11

BENCH has hearthd-mesh, which is all of a (its boards answer handshakes and pings), and hearthd-calls, which counts
system calls. BIN has the hearthd and hearth-helper to measure; the first is judged.

An event's CPU time is that of hearthd's threads from the event until its loop has nothing more to do. The loop's
own timer wakes it each five seconds, and then it tells "systemd" so: an event is begun where none comes meanwhile,
or (a flap lasts longer) what a tick costs is taken off. What the tunnel's thread does without any event comes in
bursts (keepalives of all at once, new sessions after two minutes), so the median does without it. System calls are counted in rounds of their own, for counting slows hearthd down."""
import collections
import glob
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time

import lab
from budgets import budget

SIZES = tuple(int(n) for n in os.environ.get("SIZES", "5 1000").split())
LIMIT = budget("hearthd-presence")
ROUNDS = int(os.environ.get("ROUNDS", "7"))
TICK_S = 5
QUIET_S = 0.4  # longer than what hearthd puts off: 200 ms after names were written, it looks at the hosts file
FLAP_QUIET_S = 1.3  # a second after an address has changed it looks who has answered
LISTS = ("dump:addresses", "dump:routes")
missed = []


def holds(condition, what):
    print(f"  {what}: {'ok' if condition else 'MISSED'}", flush=True)
    if not condition:
        missed.append(what)


class Lines:
    """The lines that a program says."""

    def __init__(self, process):
        self.process, self.queue = process, collections.deque()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.queue.append(line.split())

    def next(self, what):
        lab.until(60, lambda: self.queue or self.process.poll() is not None, what)
        if not self.queue:
            raise lab.Failed(f"{what}: it ended with {self.process.returncode}")
        return self.queue.popleft()


class Systemd:
    """What hearthd tells of itself: when it is ready, and when its tick was."""

    def __init__(self, path):
        self.ready, self.ticks, self.last = False, 0, 0.0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            text = self.socket.recv(4096).decode()
            if "READY=1" in text:
                self.ready = True
            if "WATCHDOG=1" in text:
                self.last = time.monotonic()
                self.ticks += 1


class Mesh:
    """A mesh of @n others around the hearthd in @programs, up and quiet."""

    def __init__(self, bench, programs, n, tmp, log):
        self.n, self.dir, self.bench, self.log = n, tmp, bench, log
        self.turn, self.tick_ms = 0, 0.0
        for sub in ("run", "wg", "host"):
            os.makedirs(f"{tmp}/{sub}")
        with open(f"{tmp}/hosts", "w", encoding="ascii") as f:
            f.write("127.0.0.1 localhost\n")
        self.network()
        self.others = self.a.start([f"{bench}/hearthd-mesh", str(n), tmp, "192.0.2.1"], log, stdout=subprocess.PIPE,
                                   text=True, stdin=subprocess.PIPE)
        self.says = Lines(self.others)
        self.seq = self.number = 0  # of the last poll
        self.polls = 0
        self.listen_until("ready")
        self.systemd = Systemd(f"{tmp}/notify")
        environment = {**os.environ, "HEARTH_ETC": f"{tmp}/etc", "HEARTH_STATE": f"{tmp}/state",
                       "HEARTH_RUN": f"{tmp}/run", "HEARTH_HOST_ETC": f"{tmp}/host", "HEARTH_USER": "root",
                       "NOTIFY_SOCKET": f"{tmp}/notify", "WATCHDOG_USEC": "60000000"}
        environment.pop("WATCHDOG_PID", None)
        self.environment = environment
        self.helper = self.b.start([f"{programs}/hearth-helper", "--listen", f"{tmp}/run/helper.sock", "--user", "root",
                                    "--hosts", f"{tmp}/hosts", "--uapi-dir", f"{tmp}/wg", "--idle", "0"], log, env=environment)
        lab.until(10, lambda: os.path.exists(f"{tmp}/run/helper.sock"), "hearth-helper")
        self.hearthd = self.b.start([f"{programs}/hearthd"], log, env=environment)
        self.pid = self.hearthd.pid
        lab.until(60, lambda: self.systemd.ready or self.hearthd.poll() is not None, "hearthd is ready")
        lab.until(60, lambda: self.reachable() == n, f"{n} boards answer")
        lab.until(60, lambda: self.named("node-2"), "names")

    def network(self):
        self.a, self.b = lab.Netns("a"), lab.Netns("b")
        for ns in (self.a, self.b):
            ns.run(f"{os.environ['HEARTH_SOURCE']}/tests/lab/lib/plain", "true")
        lab.run("ip", "link", "add", "sw0", "netns", self.a.name, "type", "veth", "peer", "name", "eth0", "netns", self.b.name)
        self.a.run("sysctl", "-qw", "net.ipv6.conf.sw0.keep_addr_on_down=1")
        for ns, device, number in ((self.a, "sw0", 1), (self.b, "eth0", 11)):
            ns.ip("addr", "add", f"192.0.2.{number}/24", "dev", device)
            ns.ip("addr", "add", f"2001:db8:7::{number}/64", "dev", device, "nodad")
            ns.ip("link", "set", device, "up")
        self.a.ip("route", "add", "local", "198.18.0.0/15", "dev", "lo")
        self.b.ip("route", "add", "default", "via", "192.0.2.1")
        self.b.ip("-6", "route", "add", "default", "via", "2001:db8:7::1")

    def stop(self):
        for process in (self.hearthd, self.helper, self.others):
            lab.stop(process)

    # --- what is there

    def reachable(self):
        done = subprocess.run([f"{os.environ['HEARTH_BUILD']}/bin/hearth", "status", "--json"], env=self.environment,
                              capture_output=True, text=True, check=False)
        return sum(p["state"] in ("direct", "relayed") for p in json.loads(done.stdout)["peers"]) if done.returncode == 0 else -1

    def named(self, name):
        with open(f"{self.dir}/hosts", encoding="utf-8") as f:
            return f" {name}.home.internal" in f.read().replace("\t", " ")

    def take(self, words):
        if words[0] == "poll":
            self.seq, self.number = int(words[1]), int(words[2])
            self.polls += 1

    def listen_until(self, word):
        while True:
            words = self.says.next(f"hearthd-mesh says {word}")
            self.take(words)
            if words[0] == word:
                return words

    def look(self):
        while self.says.queue:
            self.take(self.says.queue.popleft())

    def threads(self):
        """CPU time so far of loop, disk, tunnel and the helper, in ms."""
        times = dict(loop=0.0, disk=0.0, tunnel=0.0, helper=0.0)
        for pid in (self.pid, self.helper.pid):
            for task in glob.glob(f"/proc/{pid}/task/*"):
                with open(f"{task}/schedstat", encoding="ascii") as f:
                    ms = int(f.read().split()[0]) / 1e6
                with open(f"{task}/comm", encoding="ascii") as f:
                    name = f.read().strip()
                role = "helper" if pid != self.pid else "loop" if task.endswith(f"/{pid}") else "disk" if name == "disk" else "tunnel"
                times[role] += ms
        return times

    def settle(self, seconds):
        """Until loop, disk and helper have not run for so long."""
        def work(times):
            return times["loop"] + times["disk"] + times["helper"]

        end = time.monotonic() + 60
        times, since = self.threads(), time.monotonic()
        while time.monotonic() < since + seconds:
            time.sleep(0.01)
            now = self.threads()
            if work(now) != work(times):
                since = time.monotonic()
            times = now
            if since > end:
                raise lab.Failed("hearthd does not come to rest")

    def after_tick(self, seconds):
        """Until there are so many seconds without a tick."""
        if time.monotonic() + seconds < self.systemd.last + TICK_S:
            return
        ticks = self.systemd.ticks
        lab.until(3 * TICK_S, lambda: self.systemd.ticks > ticks, "hearthd's tick")
        self.settle(0.1)

    # --- what happens

    def command(self, *words):
        self.others.stdin.write(" ".join(words) + "\n")
        self.others.stdin.flush()
        _, seq, number, name = self.listen_until("at")
        return int(seq), int(number), name

    def another(self):
        self.turn += 1
        return str(2 + self.turn % self.n)

    def came(self, seq, number):
        self.look()
        return self.seq >= seq and self.number >= number

    def presence(self):
        seq, number, _ = self.command("presence", self.another())
        lab.until(20, lambda: self.came(seq, number), "the presence comes")
        self.settle(QUIET_S)

    def write(self):
        """A presence, and the tick after it."""
        self.presence()
        ticks = self.systemd.ticks
        lab.until(2 * TICK_S, lambda: self.systemd.ticks > ticks, "hearthd's tick")
        self.settle(QUIET_S)

    def record(self, *words):
        seq, number, name = self.command(*words)
        lab.until(20, lambda: self.came(seq, number) and self.named(name), "the record comes")
        self.settle(QUIET_S)

    def rename(self):
        self.record("rename", self.another())

    def add(self):
        self.record("add")

    def carrier(self):
        return "NO-CARRIER" not in self.b.ip("-o", "link", "show", "eth0")

    def flap(self):
        self.a.ip("link", "set", "sw0", "down")
        lab.until(10, lambda: not self.carrier(), "the carrier is lost")
        self.settle(QUIET_S)
        self.look()
        polls = self.polls
        self.a.ip("link", "set", "sw0", "up")
        lab.until(10, self.carrier, "the carrier is back")
        lab.until(60, lambda: self.look() or self.polls > polls, "hearthd polls again")
        self.settle(FLAP_QUIET_S)

    def whole(self):
        lab.until(30, lambda: self.reachable() >= self.n, "all boards answer again")

    # --- measuring

    def idle(self):
        """What a tick costs."""
        self.after_tick(TICK_S)
        before, ticks = self.threads()["loop"], self.systemd.ticks
        lab.until(4 * TICK_S, lambda: self.systemd.ticks >= ticks + 2, "hearthd's ticks")
        self.settle(0.1)
        self.tick_ms = (self.threads()["loop"] - before) / 2

    def cost(self, event, room):
        self.after_tick(room)
        file = os.stat(f"{self.dir}/state/presence").st_mtime_ns
        before, ticks = self.threads(), self.systemd.ticks
        getattr(self, event)()
        after = self.threads()
        cost = {role: after[role] - before[role] for role in after}
        cost["loop"] -= (self.systemd.ticks - ticks) * self.tick_ms
        cost["all"] = cost["loop"] + cost["disk"] + cost["tunnel"]
        cost["written"] = os.stat(f"{self.dir}/state/presence").st_mtime_ns != file
        return cost

    def count(self, event, room, counter):
        """The loop's calls, and the lists that any thread has asked for."""
        self.after_tick(room)
        counter.take()
        ticks = self.systemd.ticks
        getattr(self, event)()
        calls, lists = counter.take()
        for name, n in counter.tick.items():
            calls[name] -= n * (self.systemd.ticks - ticks)
        return +calls, lists


class Counter:
    """hearthd-calls on @mesh's hearthd."""

    def __init__(self, mesh):
        self.process = lab.start([f"{mesh.bench}/hearthd-calls", str(mesh.pid)], mesh.log, stdout=subprocess.PIPE, text=True,
                                 stdin=subprocess.PIPE)
        self.says, self.tick = Lines(self.process), {}
        if self.says.next("hearthd-calls") != ["ready"]:
            raise lab.Failed("hearthd-calls does not begin")
        mesh.after_tick(TICK_S)
        self.take()
        ticks = mesh.systemd.ticks
        lab.until(4 * TICK_S, lambda: mesh.systemd.ticks > ticks, "hearthd's tick")
        mesh.settle(0.1)
        self.tick, _ = self.take()

    def take(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        calls, lists = collections.Counter(), collections.Counter()
        while True:
            words = self.says.next("hearthd-calls")
            if words == ["end"]:
                return calls, lists
            thread, name, n = words
            if name.startswith("dump:"):
                lists[name] += int(n)
            elif thread == "loop":
                calls[name] += int(n)

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


# How often, and for how many seconds no tick shall come. A flap lasts longer.
EVENTS = (
    ("one presence", "presence", ROUNDS, 2),
    ("one record: another name", "rename", ROUNDS, 4),
    ("one record: a new board", "add", ROUNDS, 4),
    ("one link flap", "flap", max(1, ROUNDS // 2), TICK_S - 0.5),
)
WRITE = "one presence, and the tick that writes the file of all"


def middle(rounds):
    return {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}


def measure_time(meshes, results):
    for title, event, rounds, room in EVENTS:
        for number in range(rounds):
            for key in list(meshes)[:: 1 if number % 2 == 0 else -1]:
                results[key].setdefault(title, dict(cpu=[]))["cpu"].append(meshes[key].cost(event, room))
                if event == "flap":
                    meshes[key].whole()


def measure_calls(mesh, results):
    counter = Counter(mesh)
    for title, event, _, room in EVENTS:
        counts = []
        for _ in range(1 if event == "flap" else 3):
            counts.append(mesh.count(event, room, counter))
            if event == "flap":
                mesh.whole()
        calls, _ = sorted(counts, key=lambda c: sum(c[0].values()))[len(counts) // 2]
        results[title]["calls"] = dict(calls.most_common())
        results[title]["lists"] = {key: max(lists[key] for _, lists in counts) for key in ("dump:links", *LISTS)}
    counter.stop()


def measure(bench, programs, tmp, log):
    """{(name, n): {event: what it costs}}. Round by round in turn: what else the machine does meets all alike."""
    meshes, results = {}, {}
    for n in SIZES:
        for name, where in programs.items():
            mesh = meshes[name, n] = Mesh(bench, where, n, f"{tmp}/{name}-{n}", log)
            mesh.idle()
            # Presences are hints: the first few are written soon, later ones after minutes.
            results[name, n] = {WRITE: dict(cpu=[c for c in (mesh.cost("write", 2) for _ in range(4)) if c["written"]])}
            print(f"{name}, {n:,} others: up; a tick costs {mesh.tick_ms:.2f} ms", flush=True)
    measure_time(meshes, results)
    for key, mesh in meshes.items():
        measure_calls(mesh, results[key])
        mesh.stop()
    return results


def table(results):
    print(f"\n{'':<34}{'CPU ms: loop':>13}{'disk':>8}{'tunnel':>8}{'all':>9}{'(from - to)':>20}{'helper':>9}{'calls':>8}  "
          "lists of links, addresses, routes")
    for title in (*(e[0] for e in EVENTS), WRITE):
        print(title)
        for (name, n), rows in results.items():
            row = rows[title]
            if not row["cpu"]:
                continue
            cpu, calls, lists = middle(row["cpu"]), row.get("calls"), row.get("lists")
            spread = [c["all"] for c in row["cpu"]]
            print(f"    {name + ', ' + format(n, ',') + ' others':<30}{cpu['loop']:13.2f}{cpu['disk']:8.2f}{cpu['tunnel']:8.2f}"
                  f"{cpu['all']:9.2f}{f'({min(spread):.2f} - {max(spread):.2f})':>20}{cpu['helper']:9.2f}" +
                  (f"{sum(calls.values()):8}  {lists['dump:links']}, {lists['dump:addresses']}, {lists['dump:routes']}" if calls else ""))
    print("\nthe loop's system calls:")
    for title, *_ in EVENTS:
        for (name, n), rows in results.items():
            calls = rows[title]["calls"]
            print(f"  {title}, {name}, {n:,} others: " + ", ".join(f"{c} {k}" for k, c in calls.items()))


def judge(results, name):
    for n in SIZES:
        lists = results[name, n]["one presence"]["lists"]
        holds(not any(lists[key] for key in LISTS), f"{n:,} others: one changed presence asks for no list of addresses or routes")
    few, many = ([c["all"] for c in results[name, n]["one presence"]["cpu"]] for n in SIZES)
    times = statistics.median(m / f for m, f in zip(many, few))
    holds(times <= LIMIT, f"one changed presence costs {times:.2f} times the CPU with {SIZES[1]:,} others that it costs with {SIZES[0]}, "
          f"at most {LIMIT:g}")


def main():
    bench, tmp = sys.argv[1], os.environ["HEARTH_TMP"]
    programs = dict(word.split("=", 1) for word in sys.argv[2:])
    print(f"machine: {lab.machine()}", flush=True)
    with open(f"{tmp}/processes.log", "w", encoding="utf-8") as log:
        try:
            results = measure(bench, programs, tmp, log)
            table(results)
            judge(results, next(iter(programs)))
        except (lab.Failed, subprocess.SubprocessError) as error:
            print(f"FAIL: {error}")
            log.flush()
            with open(f"{tmp}/processes.log", encoding="utf-8", errors="replace") as f:
                print("".join(f.readlines()[-20:]))
            return 1
    print(f"\n{len(missed)} missed" if missed else "\nnothing was missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
