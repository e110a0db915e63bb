#!/usr/bin/env python3
"""matrix.py - the table of who may ask what.

  matrix.py plan WANTED TARGETS DIR      writes DIR/ask.SOURCE for each row of the table WANTED (`probe.py ask`)
  matrix.py judge WANTED TARGETS DIR     prints the table as it was found: of DIR/said.SOURCE (what `probe.py ask`
                                         printed) and DIR/arrived.* (what `probe.py serve` heard). What arrived but was not
                                         answered is a capital letter. Ends with 1 where a cell is not as wanted,
                                         and says which

  matrix.py seen WANTED TARGETS DIR      what the other ends saw: lines FAMILY SOURCE TARGET ADDRESS

WANTED: lines; "IPv4 TARGET..." and "IPv6 TARGET..." begin a part, "SOURCE CELL..." is a row. A cell is a letter for each
way through: t TCP, c a TCP connection, u UDP, i ICMP, f UDP in fragments, x UDP behind an extension header; - none; . not asked.
TARGETS: lines "TARGET ADDRESS PORT LETTERS", the ways in which it can be asked at all.
"""
import sys

NAMES = {"t": "tcp", "c": "conn", "u": "udp", "i": "icmp", "f": "frag", "x": "ext"}


def read_table(path):
    """[(family, source, target, cell)], in order"""
    cells, family, targets = [], None, []
    with open(path) as f:
        for line in f:
            first, *rest = line.split()
            if first in ("IPv4", "IPv6"):
                family, targets = first[-1], rest
                continue
            assert len(rest) == len(targets), line
            cells += [(family, first, target, cell) for target, cell in zip(targets, rest)]
    return cells


def read_targets(path):
    targets = {}
    with open(path) as f:
        for name, address, port, letters in map(str.split, f):
            targets[name, "6" if ":" in address else "4"] = address, port, letters
    return targets


def probes(wanted, targets):
    """(number, source, family, target, letter, cell)"""
    number = 1000
    for family, source, target, cell in wanted:
        for letter in targets[target, family][2] if cell != "." else "":
            number += 1
            yield number, source, family, target, letter, cell


def plan(wanted, targets, where):
    asked = {}
    for number, source, family, target, letter, cell in probes(wanted, targets):
        address, port, _ = targets[target, family]
        asked.setdefault(source, []).append("%d %s %s %s %s\n" % (
            number, "yes" if letter in cell else "no", NAMES[letter], address, port))
    for source, lines in asked.items():
        with open("%s/ask.%s" % (where, source), "w") as f:
            f.writelines(lines)
    print(sum(map(len, asked.values())))


def read_numbers(paths):
    found = set()
    for path in paths:
        with open(path) as f:
            found |= {int(line.split()[0]) for line in f if line[0].isdigit()}
    return found


def judge(wanted, targets, where):
    import glob
    answered = read_numbers(glob.glob(where + "/said.*"))
    arrived = read_numbers(glob.glob(where + "/arrived.*"))
    found, wrong = {}, []
    for number, source, family, target, letter, cell in probes(wanted, targets):
        got = letter if number in answered else letter.upper() if number in arrived else ""
        found[family, source, target] = found.get((family, source, target), "") + got
    last = None
    for family, source, target, cell in wanted:
        if (family, source) != last:
            print(end="\n" if last else "")
            if not last or family != last[0]:
                print("%-10s" % ("IPv" + family), *[t for f, s, t, _ in wanted if f == family and s == source])
            print("%-10s" % source, end="")
            last = family, source
        got = found.get((family, source, target)) or ("." if cell == "." else "-")
        print("", got.ljust(len(target)), end="")
        if got != cell:
            wrong.append("IPv%s from %s to %s: %s, not %s" % (family, source, target, got, cell))
    print()
    for line in wrong:
        print("WRONG", line)
    return 1 if wrong else 0


def seen(wanted, targets, where):
    import glob
    by = {}
    for path in glob.glob(where + "/said.*"):
        with open(path) as f:
            by.update(line.split() for line in f)
    lines = {"%s %s %s %s" % (family, source, target, by[str(number)])
             for number, source, family, target, letter, _ in probes(wanted, targets) if str(number) in by and letter not in "ic"}
    print(*sorted(lines), sep="\n")
    return 0


verb, table, addresses, directory = sys.argv[1:]
act = {"plan": plan, "judge": judge, "seen": seen}[verb]
sys.exit(act(read_table(table), read_targets(addresses), directory))
