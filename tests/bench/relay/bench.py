"""bench.py BUILD SOURCE DERPER PEER-RELAY OUTPUT.json: measures, prints and judges; PEER-RELAY may be empty. CASES names
parts: derp udp loss idle peers, (a) to (e) of the issue."""
import json
import os
import subprocess
import sys
import time

import boards
import idle
import lab
import peers
import report
import servers
from budgets import budget

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = int(os.environ.get("SECONDS_PER_SAMPLE", "3"))
FEWER = min(ROUNDS, 3)  # for what scatters little
FEWEST = min(ROUNDS, 2)  # for what is only printed, or hardly scatters
TRIPS_MS = (0, 20, 50)
SERVERS = ("ours", "theirs")
CAP_KBIT = 200000
LOSS_MS, LOSS_PERMILLE, MANY = 50, 10, 4


class Bench:
    def __init__(self, build, source, derper, peer_relay, log, tmp):
        self.build, self.source, self.log, self.tmp = build, source, log, tmp
        self.derper, self.peer_relay = derper, peer_relay
        self.derp_load = f"{build}/lab/derp-load"
        self.results = {"machine": lab.machine(), "rounds": ROUNDS, "seconds": SECONDS}
        self._boards = self._cable = None

    @property
    def boards(self):
        self._boards = self._boards or boards.Boards(self.build, self.source, self.derper, self.log)
        return self._boards

    @property
    def cable(self):
        """For what needs no boards: clients in a, a server in b."""
        self._cable = self._cable or lab.Cable()
        return self._cable

    def stop(self):
        if self._boards:
            self._boards.stop()

    def keys(self, count):
        text = lab.run(self.derp_load, "keys", "1", str(count))
        return [line.split() for line in text.splitlines()]

    def servers(self, members):
        """Ours and theirs, the names by which results know them."""
        yield "ours", lambda: servers.Ours(self.cable.b, f"{self.build}/bin/hearth-relay", self.keys(members), self.log, self.tmp)
        yield "theirs", lambda: servers.Derper(self.cable.b, self.derper, self.log, self.tmp)


def figures(got):
    return "   ".join(f"{name} {s['mbit']:5.1f} Mbit/s {s['cpu']:.3f} s" for name, s in got.items()) + f"   {report.load()}"


def print_medians(what, rows):
    for name in rows[0]:
        report.say(f"       {what:<13}{name:<8} {report.told([r[name]['mbit'] for r in rows])} Mbit/s, "
                   f"{report.told([r[name]['cpu'] for r in rows], '{:.3f}')} CPU s/Gbit")


def ratio(rows, field, of, by):
    return report.median([r[of][field] / r[by][field] for r in rows])


def over_derp(bench, server, ms):
    """Of two streams one after the other the second; the first still meets TCP connections to the relay that are new, and
    slow down with it: TCP inside sees that as a line that is full (HyStart), and then grows slowly."""
    bench.boards.round_trip(ms, whole=True)
    bench.boards.tell("serve", server)  # so connections know nothing of the cables before
    bench.boards.tell("way", "tcp")
    first = bench.boards.sample(seconds=SECONDS)["mbit"]
    return {**bench.boards.sample(seconds=SECONDS), "first": first}


def run_derp(bench):
    """(a)"""
    report.title("DERP, one TCP stream between two boards: Mbit/s, and the server's CPU seconds for each Gbit")
    rows = bench.results["derp"] = {ms: [] for ms in TRIPS_MS}
    for number in range(ROUNDS):
        for ms in TRIPS_MS:
            if number >= FEWEST and ms != TRIPS_MS[-1]:
                continue
            got = {server: over_derp(bench, server, ms) for server in SERVERS[::-1 if number % 2 else 1]}
            rows[ms].append({server: got[server] for server in SERVERS})
            report.say(f"round {number + 1}  {ms:>2} ms   {figures(rows[ms][-1])}")
    bench.boards.tell("serve", "ours")
    for ms in TRIPS_MS:
        print_medians(f"{ms} ms", rows[ms])
        report.say("       over new connections: " + "   ".join(
            f"{server} {report.told([r[server]['first'] for r in rows[ms]])} Mbit/s" for server in SERVERS))
    far = rows[TRIPS_MS[-1]]
    report.judge("DERP, one stream, 50 ms", report.median([r["ours"]["mbit"] for r in far]), budget("relay-stream"), "Mbit/s")
    report.judge("the same, times derper's", ratio(far, "mbit", "ours", "theirs"), budget("relay-derp"), "times")
    report.judge("its CPU for each Gbit", ratio(far, "cpu", "ours", "theirs"), budget("relay-derp-cpu"), "of derper's", least=False)


def run_udp(bench):
    """(b)"""
    report.title(f"UDP relay beside the direct tunnel, cables of {CAP_KBIT // 1000} Mbit/s, one stream")
    results = bench.results["udp"] = {}
    for ms in TRIPS_MS:
        bench.boards.round_trip(ms, kbit=CAP_KBIT)
        results[ms] = two_ways(bench, f"{ms} ms", FEWER)
        report.judge(f"UDP relay, {ms} ms", ratio(results[ms], "mbit", "udp", "direct"), budget("relay-udp"), "of the direct tunnel")
    report.title("UDP relay, cables without a limit")
    for house in "bc":
        bench.boards.tell("leg", house)
    for word, what in (("on", "default veth"), ("off", "plain wire")):
        for place in "abc":
            bench.boards.tell("frames", place, word)
        results[what] = two_ways(bench, what, FEWEST)


def two_ways(bench, what, rounds, ways=("direct", "udp"), **options):
    rows = []
    for number in range(rounds):
        got = {}
        for way in ways[::-1 if number % 2 else 1]:
            bench.boards.tell("way", way)
            got[way] = bench.boards.sample(seconds=SECONDS, **options)
        rows.append({way: got[way] for way in ways})
        report.say(f"round {number + 1}  {what:<12} {figures(rows[-1])}")
    print_medians(what, rows)
    return rows


def run_loss(bench):
    """(c): on b's cable alone; b sends."""
    report.title(f"{LOSS_MS} ms and {LOSS_PERMILLE / 10:g} % loss on one cable: by UDP, and over our DERP")
    bench.boards.leg("b", LOSS_MS / 2, loss_permille=LOSS_PERMILLE)
    bench.boards.tell("leg", "c")
    results = bench.results["loss"] = {
        streams: two_ways(bench, f"streams: {streams}", FEWER, ("udp", "tcp"), streams=streams) for streams in (1, MANY)}
    report.judge(f"{MANY} streams by UDP", ratio(results[MANY], "mbit", "udp", "tcp"), budget("relay-loss"), "times our DERP")


def run_idle(bench):
    """(d)"""
    report.title("DERP, memory of idle clients")
    idle.connect(bench.cable)
    rows = bench.results["idle"] = {}
    for name, start in bench.servers(max(idle.COUNTS)):
        server = start()
        time.sleep(1)  # it has begun, and knows its members: nothing tells that from outside
        try:
            rows[name] = idle.measure(bench.cable, server, bench.derp_load, bench.log)
        finally:
            server.stop()
    for count in idle.COUNTS:
        report.judge(f"{count} clients are in", rows["ours"][count]["in"], count, "clients")


def run_peers(bench):
    """(e)"""
    report.title("UDP relay beside Tailscale's for peers: datagrams of 1,280 bytes in trains, as many as go, and at 1 Gbit/s")
    if not bench.peer_relay:
        report.say("       not built: nothing to compare with")
        return
    bench.results["peers"] = peers.measure(bench, FEWEST, SECONDS)


PARTS = {"derp": run_derp, "udp": run_udp, "loss": run_loss, "idle": run_idle, "peers": run_peers}


def main():
    build, source, derper, peer_relay, output = sys.argv[1:6]
    tmp = os.environ["HEARTH_TMP"]
    names = os.environ.get("CASES", "").replace(",", " ").split() or list(PARTS)
    with open(f"{tmp}/processes.log", "w", encoding="utf-8") as log:
        try:
            bench = Bench(build, source, derper, peer_relay, log, tmp)
            report.say(f"machine: {bench.results['machine']}\n{ROUNDS} rounds of {SECONDS} s; {report.load()}")
            start = time.monotonic()
            for name in names:
                PARTS[name](bench)
            bench.stop()
            report.say(f"\nmeasured in {time.monotonic() - start:.0f} s")
        except (lab.Failed, OSError, subprocess.SubprocessError) as error:
            print(f"FAIL: {error}")
            log.flush()
            with open(f"{tmp}/processes.log", encoding="utf-8", errors="replace") as f:
                print("".join(f.readlines()[-20:]))
            return 1
    with open(output, "w", encoding="utf-8") as f:
        json.dump(bench.results, f)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
