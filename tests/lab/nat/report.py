"""What the tests of the NAT laboratory have in common: what they need, what they ask for, and how they tell it."""
import os, shutil, statistics, sys, threading, time

import houses, pairs, reasons, table

MEDIAN_SECONDS, WORST_SECONDS = 1, 5  # easy NATs: until they are direct
OFTEN = 0.9                           # of more than one run in which a port is to be guessed
began = time.monotonic()
mouth = threading.Lock()


def tell(line):
    with mouth:
        print("%6.1f s  %s" % (time.monotonic() - began, line), flush=True)


def need():
    def skip(why):
        print(why)
        sys.exit(77)
    if os.getuid():
        skip("needs root")
    if not os.path.exists("/dev/net/tun"):
        skip("needs /dev/net/tun")
    for program in "ip", "bridge", "nft", "wg", "openssl", "miniupnpd":
        shutil.which(program) or skip("needs " + program)
    for program in "hearthd", "hearth-coord", "hearth-relay", "hearth":
        if not os.access(os.path.join(os.environ["HEARTH_BUILD"], "bin", program), os.X_OK):
            print(program + " is not built")
            sys.exit(1)


def named(text):
    """[(a, b)] of words KIND:KIND, KIND:KIND:TIMES or PAIR"""
    work = []
    for word in text.split():
        a, b, times = (word.split(":") + [None, None])[:3]
        if (a not in houses.kinds if b else a not in houses.pairs) or (b and b not in houses.kinds):
            sys.exit("there is no %s; there are %s, and %s" % (word, " ".join(houses.kinds), " ".join(houses.pairs)))
        work += [(a, b)] * int(times or 1)
    return work


def died(wrong):
    """What a thread of the test itself died of"""
    for e in wrong:
        tell("FAIL %s: %s" % (type(e).__name__, e))
    return len(wrong)


def prove_houses(n):
    """Ends the test if one is not what it is called: what is seen from it means nothing"""
    bad, wrong = reasons.check(), []
    for each in bad:
        tell("FAIL " + each)
    if not bad:
        bad, wrong = pairs.prove_all(n, tell)
    if bad or wrong:
        sys.exit(finish(len(bad) + died(wrong)))


def judge(name, results):
    """The runs of one pair: 0 if they are as they should be"""
    failures = [r for r in results if r.why]
    if len(results) == 1:
        return len(failures)
    times = sorted(r.direct for r in results if r.is_direct)
    tell("     %s: %d of %d direct%s" % (name, len(times), len(results), "; after %.1f s (median), %.1f s (worst)" % (
        statistics.median(times), times[-1]) if times else ""))
    if results[0].letter == "G" and table.is_direct("G"):
        return any(r.first is None for r in failures) or len(failures) > (1 - OFTEN) * len(results) + 1e-9
    if times and name == "easy x easy" and (statistics.median(times) > MEDIAN_SECONDS or times[-1] > WORST_SECONDS):
        tell("FAIL %s: wanted are %d s and %d s" % (name, MEDIAN_SECONDS, WORST_SECONDS))
        return 1
    return len(failures)


def say_table(by_pair):
    middle = {pair: sorted(same, key=lambda r: (r.direct is None, r.direct))[len(same) // 2] for pair, same in by_pair.items()}
    titles = {k.name: k.title for k in houses.kinds.values()}
    print("\nSeconds to the first answer / to the direct way, from the moment in which both boards start:\n")
    print(table.markdown(middle, table.COLUMNS, titles, table.both_figures))
    for name in table.PAIRS:
        if (name, None) in middle:
            print("%s: %s" % (houses.pairs[name].title, table.both_figures(middle[name, None])))
    print("\nWhat `hearth why` says there:\n")
    print(table.markdown(middle, table.COLUMNS, titles, lambda result: result.cause))
    firsts = sorted(r.first for r in middle.values() if r.first is not None)
    print("\n%d pairs, %d of them direct; first answer after %.1f s (median), %.1f s (worst)" % (
        len(middle), sum(r.is_direct for r in middle.values()), statistics.median(firsts), firsts[-1]))
    print("\nFor README.md, until they are direct:\n")
    print(table.markdown(middle, list(table.README), table.README, table.way))


def play(work, n_lanes, with_table=False, idle=0):
    """Plays [(a, b)], and tells how many of them are not as they should be"""
    results, wrong = pairs.play(work, n_lanes, tell, idle)
    bad, by_pair = died(wrong) + (len(results) < len(work)), {}
    for pair, result in results:
        by_pair.setdefault(pair, []).append(result)
    for same in by_pair.values():
        bad += judge(same[0].name, same)
    if with_table:
        say_table(by_pair)
    return bad


def finish(bad):
    print("all checks passed" if not bad else "%d checks failed" % bad)
    return 1 if bad else 0
