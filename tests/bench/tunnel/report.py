"""What the samples mean: medians, ratios of pairs, the limits that must hold, and README's table.

Raw and projection: beside the measured Gbit/s stands what two free cores would carry at the CPU time that was
used (both tunnel processes and both iperf3). Where the measured rounds of a row scatter by more than 20 %,
(largest - smallest) / median, the machine was not quiet and the ratio of the projections decides. So it does for UDP
where iperf3 itself takes most of the CPU time, for then its speed is what was measured; CPU time and projection of UDP
are those of samples at a rate that is carried without loss."""
import os

from budgets import budget
from sample import Sample, median, scatter

PEERS = {"hearth": "Hearth", "libcrypto": "Hearth, vectors off", "go": "wireguard-go", "nebula": "nebula", "raw": "raw veth"}
CASE_TITLES = {
    "1280": "TCP, MTU 1280, default veth", "1280-plain": "TCP, MTU 1280, plain wire",
    "1420": "TCP, MTU 1420, default veth", "1420-plain": "TCP, MTU 1420, plain wire",
    "ipv6": "TCP over IPv6, MTU 1280, default veth", "ipv6-plain": "TCP over IPv6, MTU 1280, plain wire",
    "udp": "UDP of 1200 bytes, default veth", "udp-plain": "UDP of 1200 bytes, plain wire"}
# times wireguard-go: must, aim. What must hold was set for machines with AVX-512, and is asserted in full wherever Hearth
# has vector code of its own for it (IN_FULL, whether that code was chosen or not); OTHERS is the part of it that must
# hold on the rest, for a cipher as fast as wireguard-go's or slower.
IN_FULL = {"avx512f", "avx2"}
OTHERS = 0.85
THROUGHPUT = {"1280": (budget("tunnel-veth"), 2.5), "1280-plain": (budget("tunnel-plain"), 3.0)}
OTHER_THROUGHPUT = (budget("tunnel-other"), None)
VECTORS_OFF_AIM = {"1280": budget("tunnel-vectors-off"), "1280-plain": 2.0}
CPU_MUST, CPU_AIM = budget("tunnel-cpu"), 0.4
RSS_MUST_MB, RSS_AIM_MB = budget("tunnel-memory"), 8
RTT_MUST, RTT_AIM = budget("tunnel-rtt"), 0.5
SCATTER_MAX = 0.2
GENERATOR_MAX = 0.4


class Row:
    """One case and number of streams, both directions together."""

    def __init__(self, samples, case, streams, peer="hearth"):
        here = [s for s in samples if s.case == case and s.streams == streams]
        self.case, self.streams, self.peer = case, streams, peer
        self.by = self.sort(here, False)
        self.cost = self.sort(here, True) if any(s.paced for s in here) else self.by
        self.pairs = self.pair(self.by)

    @staticmethod
    def sort(samples, paced):
        return {name: {(s.round, s.reverse): s for s in samples if s.peer == name and s.paced == paced} for name in PEERS}

    def pair(self, by):
        return [(s, by["go"][k]) for k, s in by[self.peer].items() if k in by["go"]]

    def ratio(self, of, by):
        return median([of(ours) / of(theirs) for ours, theirs in self.pair(by)])

    @property
    def measured(self):
        return self.ratio(lambda s: s.rate, self.by)

    @property
    def projected(self):
        return self.ratio(lambda s: s.projection, self.cost)

    @property
    def cpu(self):
        return self.ratio(lambda s: s.cpu_per_gbit, self.cost)

    @property
    def scatter(self):
        """The worst of any direction and of the two peers."""
        series = [[s.rate for k, s in self.by[name].items() if k[1] == way]
                  for name in (self.peer, "go") for way in (False, True)]
        return max(scatter(rates) for rates in series if rates)

    @property
    def generator(self):
        """iperf3's share of all CPU time, in Hearth's samples."""
        return median([s.iperf / (s.iperf + s.cpu) for s in self.by[self.peer].values()])

    @property
    def by_projection(self):
        return self.scatter > SCATTER_MAX or (self.cost is not self.by and self.generator > GENERATOR_MAX)

    @property
    def decided(self):
        return self.projected if self.by_projection else self.measured

    def median_of(self, name, of, way=None):
        return median([of(s) for k, s in self.by[name].items() if way is None or k[1] == way])

    def cost_of(self, name, of):
        return median([of(s) for s in self.cost[name].values()])


def rows_of(samples, peer="hearth"):
    seen = []
    for s in samples:
        if (s.case, s.streams) not in seen:
            seen.append((s.case, s.streams))
    rows = [Row(samples, case, streams, peer) for case, streams in seen]
    return [r for r in rows if r.pairs]


def samples_of(results):
    return [Sample(**s) for s in results["samples"]]


def added_rtts(results, name):
    return [r[name][0] - r["raw"][0] for r in results["rtt"]]


def rtt_ratio(results):
    return median([o / g for o, g in zip(added_rtts(results, "hearth"), added_rtts(results, "go"))])


def print_medians(samples):
    print(f"\n{'medians':<44}{'peer':<21}{'Gbit/s':>7}{'->':>7}{'<-':>7}{'project.':>9}"
          f"{'CPU s/Gbit':>11}{'iperf3':>7}{'peak MB':>8}{'lost':>7}")
    for row in rows_of(samples):
        for name in PEERS:
            if not row.by[name]:
                continue
            m = lambda of, way=None: row.median_of(name, of, way)
            back = f"{m(lambda s: s.rate, True):7.2f}" if any(k[1] for k in row.by[name]) else f"{'':7}"
            print(f"{CASE_TITLES[row.case] + ', ' + str(row.streams):<44}{PEERS[name]:<21}{m(lambda s: s.rate):7.2f}"
                  f"{m(lambda s: s.rate, False):7.2f}{back}{row.cost_of(name, lambda s: s.projection):9.2f}"
                  f"{row.cost_of(name, lambda s: s.cpu_per_gbit):11.3f}{row.cost_of(name, lambda s: s.iperf / s.gbit):7.3f}"
                  f"{max(s.rss_mb for s in row.by[name].values()):8.1f}{100 * m(lambda s: s.lost):6.1f}%")


def wire_note(samples):
    """The plain wire must carry single datagrams, the default one super-frames: proof that ethtool did it."""
    for plain in (False, True):
        frames = [s.frame for s in samples if s.case.startswith("1280") and s.case.endswith("-plain") == plain
                  and s.peer == "hearth"]
        if frames:
            print(f"Hearth's frames on the {'plain wire' if plain else 'default veth'}: {median(frames):.0f} bytes (median)")


class Verdict:
    def __init__(self, vector_units):
        self.strict = bool(os.environ.get("ASSERT")) or bool(IN_FULL & set(vector_units.split()))
        self.missed = 0

    def say(self, what, value, must, aim, *, at_least, cipher=True, note=""):
        """@cipher: the limit is for machines with AVX2 or AVX-512, which others meet by OTHERS."""
        def holds(limit):
            return value >= limit if at_least else value <= limit

        lower = must if self.strict or not cipher else must * OTHERS if at_least else must / OTHERS
        if aim is not None and holds(aim):
            word = "ok, aim reached"
        elif holds(must):
            word = "ok"
        elif holds(lower):
            word = f"missed, which fails only with AVX2 or AVX-512 (asserted here: {lower:.2f})"
        else:
            word = "MISSED" if lower == must else f"MISSED, also the {lower:.2f} of a machine without AVX2"
            self.missed += 1
        aims = f", aim {aim:g}" if aim is not None else ""
        print(f"  {what:<62}{value:7.2f}  {'>=' if at_least else '<='} {must:g}{aims}: {word}{note}")


def judge(results):
    """Prints everything; the exit status."""
    samples = samples_of(results)
    verdict = Verdict(results["vector"])
    print_medians(samples)
    print()
    wire_note(samples)
    print(f"\nagainst wireguard-go, medians of the ratios of pairs; machine: {results['machine']}; "
          f"Hearth seals with {results['aead']}")
    for row in rows_of(samples):
        must, aim = THROUGHPUT.get(row.case, OTHER_THROUGHPUT)
        title = f"{CASE_TITLES[row.case]}, {row.streams} stream{'s' if row.streams > 1 else ''}"
        note = (f"  [measured {row.measured:.2f}, projection {row.projected:.2f}, scatter {100 * row.scatter:.0f} %: the "
                f"{'projection' if row.by_projection else 'measured one'} decides; {len(row.pairs)} pairs]")
        if row.case.startswith("udp"):
            note += f"  (iperf3 itself takes {100 * row.generator:.0f} % of the CPU time)"
        verdict.say(title, row.decided, must, aim, at_least=True, note=note)
        if row.case in THROUGHPUT:
            verdict.say(title + ": CPU per Gbit", row.cpu, CPU_MUST, CPU_AIM, at_least=False)
        else:
            print(f"  {title + ': CPU per Gbit':<62}{row.cpu:7.2f}")
    for row in rows_of(samples, "libcrypto"):
        print(f"  {CASE_TITLES[row.case]}, {row.streams}: vector code off{'':<6}{row.decided:7.2f}  aim {VECTORS_OFF_AIM[row.case]:g} (printed only)  "
              f"[measured {row.measured:.2f}, projection {row.projected:.2f}; CPU per Gbit {row.cpu:.2f}]")
    peaks = [s.rss_mb for s in samples if s.peer == "hearth"]
    if peaks:
        verdict.say("peak RSS under load, larger end, MB", max(peaks), RSS_MUST_MB, RSS_AIM_MB, at_least=False, cipher=False)
    if results["rtt"]:
        verdict.say("added idle round trip", rtt_ratio(results), RTT_MUST, RTT_AIM, at_least=False, cipher=False,
                    note="  [added " + ", ".join(f"{PEERS[n]} {median(added_rtts(results, n)):.0f} us"
                                                 for n in ("hearth", "go", "nebula")) + "]")
    if not verdict.strict:
        print(f"  neither AVX-512 nor AVX2 here: limits of throughput and CPU are asserted at {OTHERS:g} of what is said (ASSERT=1: in full)")
    print(f"\n{verdict.missed} missed" if verdict.missed else "\nnothing asserted was missed")
    return 1 if verdict.missed else 0


def markdown(results, scale=None):
    """README's table."""
    samples = samples_of(results)
    out = [f"Measured on {results['machine']}; Hearth's cipher code: {results['aead']}; against "
           f"{results['go'].replace('@', ' ')} and {results['nebula'].replace('@', ' ')}. Medians of {results['rounds']} rounds of "
           f"{results['seconds']} s. \"Times\" is Hearth over wireguard-go, the median of the ratios of neighbouring samples; "
           "\"(p)\": the rounds scattered by more than 20 %, or iperf3 itself took most of the time, and the ratio is that of "
           "what two cores would carry at the CPU time used.",
           "", "| | streams | Hearth Gbit/s | wireguard-go | nebula | times | times, vector code off | CPU s per Gbit: Hearth | wireguard-go |",
           "|---|---|---|---|---|---|---|---|---|"]
    off = {(r.case, r.streams): r for r in rows_of(samples, "libcrypto")}
    times = lambda row: f"{row.decided:.2f}{' (p)' if row.by_projection else ''}"
    for row in rows_of(samples):
        rate = lambda name: f"{row.median_of(name, lambda s: s.rate):.2f}" if row.by[name] else ""
        cpu = lambda name: f"{row.cost_of(name, lambda s: s.cpu_per_gbit):.2f}"
        without = off.get((row.case, row.streams))
        out.append(f"| {CASE_TITLES[row.case]} | {row.streams} | {rate('hearth')} | {rate('go')} | {rate('nebula')} | "
                   f"{times(row)} | {times(without) if without else ''} | "
                   f"{cpu('hearth')} | {cpu('go')} |")
    out += ["", "| | Hearth | wireguard-go | nebula |", "|---|---|---|---|"]
    peak = lambda name: max((s.rss_mb for s in samples if s.peer == name), default=float("nan"))
    out.append(f"| peak memory under load, larger end | {peak('hearth'):.1f} MB | {peak('go'):.0f} MB | {peak('nebula'):.0f} MB |")
    if results["rtt"]:
        out.append("| added round trip, idle | " + " | ".join(
            f"{median(added_rtts(results, n)):.0f} us" for n in ("hearth", "go", "nebula")) + " |")
    for what, ours, theirs in (scale or {}).get("table", []):
        out.append(f"| {what} | {ours} | {theirs} | |")
    return "\n".join(out)
