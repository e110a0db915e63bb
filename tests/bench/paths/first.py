"""first.py lan|nat: seconds from the moment in which two boards start to the first packet that is answered, on one LAN or
through the NATs of two homes; coordinator and relay run. The median of $ROUNDS starts is judged."""
import os
import statistics
import sys

import pairs
import report
import space
from budgets import budget

ROUNDS = int(os.environ["ROUNDS"])
CASES = {"lan": ("on a LAN", "lan", budget("first-packet")),
         "nat": ("through NATs", "easy:easy", budget("first-packet-nat"))}


def main():
    where, pair, limit = CASES[sys.argv[1]]
    report.need()
    space.begin()
    results, wrong = pairs.play(report.named(pair) * ROUNDS, 1, report.tell)
    firsts = [result.first for _, result in results]
    if report.died(wrong) or len(firsts) < ROUNDS or None in firsts:
        print(f"first packet {where}: not each time: MISSED")
        return 1
    median, worst = statistics.median(firsts), max(firsts)
    bad = median > limit
    print(f"first packet {where}: {median:.2f} s (median of {ROUNDS}, worst {worst:.2f}), at most {limit:g}: {'MISSED' if bad else 'ok'}")
    return 1 if bad else 0


sys.exit(main())
