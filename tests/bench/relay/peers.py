"""Our UDP relay beside Tailscale's for peers, each with two members that are bound to it, on one default veth. The same
program makes the load: trains of datagrams, whose head alone differs."""
import itertools
import json
import subprocess

import lab
import report

PAYLOAD = 1280
STEADY_MBIT = 1000
ADDRESS = "192.0.2.2"
_ports = itertools.count(20000)


class Ours:
    name, port = "ours", 3478

    def __init__(self, bench):
        self.program = f"{bench.build}/lab/relay-udp"
        self.bench = bench
        self.process = bench.cable.b.start([self.program, "serve", str(self.port)], bench.log, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        if not self.process.stdout.readline().startswith("port"):
            raise lab.Failed("relay-udp does not serve")

    def load(self, seconds, mbit):
        return [self.program, "speed", ADDRESS, str(self.port), str(seconds), str(PAYLOAD), str(mbit), "1", "2"]


class Theirs:
    name, port = "theirs", 3479

    def __init__(self, bench):
        self.program, self.bench = bench.peer_relay, bench
        self.process = bench.cable.b.start([self.program, "serve", f"{ADDRESS}:{self.port}"], bench.log, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        if len(words) != 2:
            raise lab.Failed("peer-relay does not serve")
        self.ports = [next(_ports) for _ in "ab"]
        heads = [bench.cable.a.run(self.program, "bind", f"{ADDRESS}:{self.port}", *words, str(n), str(port)).strip()
                 for n, port in enumerate(self.ports)]
        self.head = heads[0]

    def load(self, seconds, mbit):
        return [f"{self.bench.build}/lab/relay-udp", "pump", ADDRESS, str(self.port), str(seconds), str(PAYLOAD), str(mbit),
                *map(str, self.ports), self.head]


def sample(bench, kind, seconds, mbit):
    relay = kind(bench)
    try:
        cpu = lab.cpu_seconds(relay.process.pid)
        said = json.loads(bench.cable.a.run(*relay.load(seconds, mbit)))
        cpu = lab.cpu_seconds(relay.process.pid) - cpu
    finally:
        lab.stop(relay.process)
        relay.process.stdin.close()
        relay.process.stdout.close()
    gbit = said["came_bytes"] * 8 / 1e9
    if gbit == 0:
        raise lab.Failed(f"{kind.name}: nothing came through")
    return {"mbit": said["came_mbit"], "cpu": cpu / gbit, "lost": 1 - said["came_bytes"] / said["sent_bytes"]}


def measure(bench, rounds, seconds):
    results = {}
    for mbit in (0, STEADY_MBIT):
        rows = results[mbit] = []
        for number in range(rounds):
            kinds = (Theirs, Ours) if number % 2 else (Ours, Theirs)
            rows.append({kind.name: sample(bench, kind, seconds, mbit) for kind in kinds})
        for name in ("ours", "theirs"):
            report.say(f"       {f'{mbit} Mbit/s' if mbit else 'all that go':<12}{name:<7} {report.told([r[name]['mbit'] for r in rows])} Mbit/s, "
                       f"{report.told([r[name]['cpu'] for r in rows], '{:.3f}')} CPU s/Gbit, "
                       f"lost {100 * report.median([r[name]['lost'] for r in rows]):.1f} %")
    return results
