"""bench.py HEARTH-WG WIREGUARD-GO NEBULA RTT OUTPUT.json: measures; report.py judges and prints.

Within a round the peers alternate, in the other order every second round, so that every sample of Hearth
(and of Hearth with its vector code off) lies next to one of wireguard-go: those two are a pair."""
import json
import os
import re
import sys
import time

import lab
import report
import sample

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = int(os.environ.get("SECONDS_PER_SAMPLE", "3"))
UDP_RATE = os.environ.get("UDP_RATE", "150M")  # a rate that all of them carry
PINGS = 120
ALL = ("hearth", "go", "libcrypto", "nebula")
TWO = ("hearth", "go")


class Case:
    def __init__(self, name, peers, combos, **options):
        self.name, self.peers, self.combos = name, peers, combos
        self.mtu = options.pop("mtu", 1280)
        self.plain = name.endswith("-plain")
        # UDP: as fast as iperf3 can, which mostly measures iperf3, and at a rate that is carried without loss
        self.loads = (("0", False), (UDP_RATE, True)) if options.pop("udp", False) else ((None, False),)
        self.options = options


FOUR_WAYS = ((1, False), (1, True), (4, False), (4, True))
ONE_WAY = ((1, False), (4, False))
CASES = [
    Case("1280", ALL, FOUR_WAYS), Case("1280-plain", ALL, FOUR_WAYS),
    Case("1420", TWO, ONE_WAY, mtu=1420), Case("1420-plain", TWO, ONE_WAY, mtu=1420),
    Case("ipv6", TWO, ONE_WAY, ipv6=True), Case("ipv6-plain", TWO, ONE_WAY, ipv6=True),
    Case("udp", TWO, ((1, False),), udp=True), Case("udp-plain", TWO, ((1, False),), udp=True),
]


def wanted():
    names = os.environ.get("CASES", "").replace(",", " ").split()
    known = [c.name for c in CASES] + ["rtt"]
    for name in names:
        if name not in known:
            raise lab.Failed(f"CASES: there is no \"{name}\"; there are {' '.join(known)}")
    return names or known


def take(tunnel, log, **options):
    """A sample; iperf3 may fail once."""
    try:
        return sample.iperf(tunnel, log, **options)
    except (lab.Failed, ValueError) as error:
        print(f"      {tunnel.kind}: {error}: once more", flush=True)
        return sample.iperf(tunnel, log, **options)


def run_case(case, tunnels, log, results):
    print(f"\n== {report.CASE_TITLES[case.name]} ==", flush=True)
    for name in case.peers:
        tunnels[name].cable.segmentation(not case.plain)
        tunnels[name].mtu(case.mtu)
        tunnels[name].ready()
    for number in range(ROUNDS):
        order = case.peers if number % 2 == 0 else case.peers[::-1]
        for streams, reverse in case.combos:
            for udp, paced in case.loads:
                for name in order:
                    s = take(tunnels[name], log, seconds=SECONDS, streams=streams, reverse=reverse, udp=udp, **case.options)
                    s.round, s.streams, s.reverse, s.peer, s.case, s.paced = number, streams, reverse, name, case.name, paced
                    results["samples"].append(s)
                    tell(s, udp)


def tell(s, udp):
    load = f", lost {100 * s.lost:.1f} %, offered {'all iperf3 can' if udp == '0' else udp}" if udp else ""
    print(f"round {s.round + 1}  {s.streams} {'<-' if s.reverse else '->'}  {report.PEERS[s.peer]:<22}"
          f"{s.rate:6.2f} Gbit/s  {s.cpu_per_gbit:5.3f} s/Gbit (u {s.user / s.gbit:.2f} s "
          f"{s.system / s.gbit:.2f}) + iperf3 {s.iperf / s.gbit:5.3f}, projection {s.projection:5.2f}, "
          f"peak {s.rss_mb:.1f} MB, frames of {s.frame:.0f}{load}", flush=True)


def run_rtt(tunnels, program, results):
    print("\n== idle round trip ==", flush=True)
    peers = ["raw", "go", "hearth", "nebula"]
    for name in peers:
        tunnels[name].cable.segmentation(True)
    for number in range(3 * max(ROUNDS, 5)):
        got = {}
        for name in peers if number % 2 == 0 else peers[::-1]:
            got[name] = sample.round_trip(tunnels[name], program, PINGS, 3000)
        results["rtt"].append(got)
        print(f"round {number + 1}  " + "   ".join(f"{report.PEERS[n]} {got[n][0]:.0f} us" for n in peers), flush=True)


def said_at_start(program, tmp, environment=None):
    """What hearth-wg says of its cipher and of the kernel's offloads: (name, line)."""
    with open(f"{tmp}/start.log", "w+", encoding="utf-8", errors="replace") as log:
        ns = lab.Netns("v")
        environ = {**os.environ, "LOG_LEVEL": "verbose", **(environment or {})}
        device = f"h{os.getpid()}v"
        process = ns.start([program, "-f", device], log, stdout=log, env=environ)
        lab.until(10, lambda: os.path.exists(f"/var/run/wireguard/{device}.sock"), program)
        lab.stop(process)
        log.seek(0)
        found = re.search(r"(\S+) cipher; (.*)", log.read())
    if not found:
        raise lab.Failed(f"{program} does not say which cipher code it uses")
    return found.group(1), found.group(2)


def main():
    hearth, go, nebula, rtt, output = sys.argv[1:6]
    tmp = os.environ["HEARTH_TMP"]
    names = wanted()
    off = {"HEARTH_AEAD": "libcrypto"}
    try:
        aead, offloads = said_at_start(hearth, tmp)
        without, _ = said_at_start(hearth, tmp, off)
    except lab.Failed as error:
        print(f"FAIL: {error}")
        return 1
    results = dict(samples=[], rtt=[], machine=lab.machine(), vector=lab.vector_unit(), aead=aead,
                   go=os.environ.get("GO_VERSION", ""), nebula=os.environ.get("NEBULA_VERSION", ""), seconds=SECONDS, rounds=ROUNDS)
    print(f"machine: {results['machine']}\nHearth seals with {aead}, with its vector code off with {without}; {offloads}\n"
          f"against {results['go']} and {results['nebula']}\n{ROUNDS} rounds of {SECONDS} s; -> and <- are the directions", flush=True)
    if without != "libcrypto":
        print("FAIL: HEARTH_AEAD=libcrypto does not turn the vector code off")
        return 1
    with open(f"{tmp}/processes.log", "w", encoding="utf-8") as log:
        try:
            tunnels = dict(hearth=lab.WireGuard("hearth", hearth, log, tmp),
                           go=lab.WireGuard("go", go, log, tmp),
                           libcrypto=lab.WireGuard("libcrypto", hearth, log, tmp, off),
                           nebula=lab.Nebula(nebula, log, tmp), raw=lab.Raw(log, tmp))
            start = time.monotonic()
            for case in CASES:
                if case.name in names:
                    run_case(case, tunnels, log, results)
            if "rtt" in names:
                for name in ("hearth", "go", "nebula"):
                    tunnels[name].mtu(1280)
                    tunnels[name].ready()
                run_rtt(tunnels, rtt, results)
            print(f"\nmeasured in {time.monotonic() - start:.0f} s", flush=True)
            for tunnel in tunnels.values():
                for process in getattr(tunnel, "processes", ()):
                    if process.poll() is not None:
                        raise lab.Failed(f"{tunnel.kind} ended with {process.returncode}")
        except lab.Failed as error:
            print(f"FAIL: {error}")
            log.flush()
            with open(f"{tmp}/processes.log", encoding="utf-8", errors="replace") as f:
                print("".join(f.readlines()[-20:]))
            return 1
    results["samples"] = [s.__dict__ for s in results["samples"]]
    with open(output, "w", encoding="utf-8") as f:
        json.dump(results, f)
    return report.judge(results)


if __name__ == "__main__":
    sys.exit(main())
