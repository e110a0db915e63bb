"""bench.py BUILD SOURCE DERPER PEER-RELAY OUTPUT.json: measures, prints and judges; PEER-RELAY may be empty. CASES names
parts: derp udp loss idle peers, (a) to (e) of the issue."""
import json
import os
import subprocess
import sys
import time

import boards
import derp
import idle
import lab
import net as network
import peers
import report
import servers
from budgets import budget

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = int(os.environ.get("SECONDS_PER_SAMPLE", "4"))
FEWER = min(ROUNDS, 3)  # for what is only printed, or does not scatter
TRIPS_MS = (0, 20, 50)
CAP_KBIT = 200000
LOSS_MS, LOSS_PERMILLE, MANY = 50, 10, 4


class Bench:
    def __init__(self, build, source, derper, peer_relay, log, tmp):
        self.build, self.source, self.log, self.tmp = build, source, log, tmp
        self.derper, self.peer_relay = derper, peer_relay
        self.derpload = f"{build}/lab/derpload"
        self.results = {"machine": lab.machine(), "rounds": ROUNDS, "seconds": SECONDS}
        self.net = network.Net(f"{build}/lab/delaylink", log)
        self._boards = None

    @property
    def boards(self):
        self._boards = self._boards or boards.Boards(self.build, self.source, self.log)
        return self._boards

    def stop(self):
        if self._boards:
            self._boards.stop()

    def keys(self, count):
        text = lab.run(self.derpload, "keys", "1", str(count))
        return [line.split() for line in text.splitlines()]

    def servers(self, members):
        """Ours and theirs, the names by which results know them."""
        yield "ours", lambda: servers.Ours(self.net.r, f"{self.build}/bin/hearth-relay", self.keys(members), self.log, self.tmp)
        yield "theirs", lambda: servers.Derper(self.net.r, self.derper, self.log, self.tmp)


def over_derp(bench, start, **options):
    server = start()
    tunnel = derp.Tunnel(bench.net, server, bench.derpload, bench.log)
    try:
        got = derp.sample(tunnel, bench.log, **options)
        server.alive()
        return got
    finally:
        tunnel.stop()
        server.stop()


def figures(got):
    return "   ".join(f"{name} {s['mbit']:5.1f} Mbit/s {s['cpu']:.3f} s" for name, s in got.items()) + f"   {report.load()}"


def print_medians(what, rows):
    for name in rows[0]:
        report.say(f"       {what:<13}{name:<8} {report.told([r[name]['mbit'] for r in rows])} Mbit/s, "
                   f"{report.told([r[name]['cpu'] for r in rows], '{:.3f}')} CPU s/Gbit")


def ratio(rows, field, of, by):
    return report.median([r[of][field] / r[by][field] for r in rows])


def run_derp(bench):
    """(a)"""
    report.title("DERP, one TCP stream: Mbit/s, and the server's CPU seconds for each Gbit")
    rows = bench.results["derp"] = {ms: [] for ms in TRIPS_MS}
    both = list(bench.servers(2))
    for number in range(ROUNDS):
        for ms in TRIPS_MS:
            if number >= FEWER and ms != TRIPS_MS[-1]:
                continue
            bench.net.round_trip(ms)
            order = both[::-1] if number % 2 else both
            got = {name: over_derp(bench, start, seconds=SECONDS) for name, start in order}
            rows[ms].append({name: got[name] for name, _ in both})
            report.say(f"round {number + 1}  {ms:>2} ms   {figures(rows[ms][-1])}")
    for ms in TRIPS_MS:
        print_medians(f"{ms} ms", rows[ms])
    far = rows[TRIPS_MS[-1]]
    report.judge("DERP, one stream, 50 ms", report.median([r["ours"]["mbit"] for r in far]), budget("relay-stream"), "Mbit/s")
    report.judge("the same, times derper's", ratio(far, "mbit", "ours", "theirs"), budget("relay-derp"), "times")
    report.judge("its CPU for each Gbit", ratio(far, "cpu", "ours", "theirs"), budget("relay-derp-cpu"), "of derper's", least=False)


def run_udp(bench):
    """(b)"""
    report.title(f"UDP relay beside the direct tunnel, cables of {CAP_KBIT // 1000} Mbit/s, one stream")
    results = bench.results["udp"] = {}
    for ms in TRIPS_MS:
        for house in "bc":
            bench.boards.tell("leg", house, ms / 4, 0, CAP_KBIT)
        results[ms] = two_ways(bench, f"{ms} ms")
        report.judge(f"UDP relay, {ms} ms", ratio(results[ms], "mbit", "relayed", "direct"), budget("relay-udp"), "of the direct tunnel")
    report.title("UDP relay, cables without a limit")
    for house in "bc":
        bench.boards.tell("leg", house)
    for word, what in (("on", "default veth"), ("off", "plain wire")):
        for place in "abc":
            bench.boards.tell("frames", place, word)
        results[what] = two_ways(bench, what)


def two_ways(bench, what):
    rows, ways = [], ("direct", "relayed")
    for number in range(FEWER):
        got = {}
        for way in ways[::-1] if number % 2 else ways:
            bench.boards.tell("way", way)
            got[way] = bench.boards.sample(seconds=SECONDS)
        rows.append({way: got[way] for way in ways})
        report.say(f"round {number + 1}  {what:<12} {figures(rows[-1])}")
    print_medians(what, rows)
    return rows


def run_loss(bench):
    """(c): on b's cable alone; b sends."""
    report.title(f"{LOSS_MS} ms and {LOSS_PERMILLE / 10:g} % loss on one cable: by UDP, and over our DERP")
    bench.net.legs[0].cable(delay_ms=LOSS_MS / 2, loss_permille=LOSS_PERMILLE, whole=False)
    bench.net.legs[1].cable(whole=False)
    bench.boards.tell("leg", "b", LOSS_MS / 2, LOSS_PERMILLE, 0)
    bench.boards.tell("leg", "c", 0, 0, 0)
    bench.boards.tell("way", "relayed")
    ours = dict(bench.servers(2))["ours"]
    results = bench.results["loss"] = {1: [], MANY: []}
    for number in range(FEWER):
        for streams, rows in results.items():
            rows.append({"UDP": bench.boards.sample(seconds=2 * SECONDS, streams=streams),
                         "DERP": over_derp(bench, ours, seconds=2 * SECONDS, streams=streams)})
            report.say(f"round {number + 1}  streams: {streams}  {figures(rows[-1])}")
    for streams, rows in results.items():
        print_medians(f"{streams} streams" if streams > 1 else "1 stream", rows)
    report.judge(f"{MANY} streams by UDP", ratio(results[MANY], "mbit", "UDP", "DERP"), budget("relay-loss"), "times our DERP")


def run_idle(bench):
    """(d)"""
    report.title("DERP, memory of idle clients")
    for leg in bench.net.legs:
        leg.cable()
    bench.net.b.ip("route", "replace", "local", idle.SOURCES, "dev", "lo")
    bench.net.r.ip("route", "replace", idle.SOURCES, "via", bench.net.legs[0].address)
    rows = bench.results["idle"] = {}
    for name, start in bench.servers(max(idle.COUNTS)):
        server = start()
        time.sleep(1)  # it has begun, and knows its members: nothing tells that from outside
        try:
            rows[name] = idle.measure(bench.net, server, bench.derpload, bench.log)
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
    bench.results["peers"] = peers.measure(bench, FEWER, SECONDS)


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
