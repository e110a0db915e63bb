#!/usr/bin/env python3
"""
circles.py BUILD: which files of daemon/, provision/ and cni/ call each other in a circle, by the symbols of the
object files in BUILD; what hearthd's subjects include; and whether hearthd's and the coordinator's arrows run downward.
Ends with 1 if there is a circle that is not the engine's own, a subject that knows another, or an arrow that does not.
"""
import os
import re
import subprocess
import sys

# One state machine in five files, by its nature (daemon/wg/device.h says how).
ENGINE = {f"daemon/wg/{n}.c" for n in ("device", "handshake", "peer", "session", "timers")}
# hearthd's own files, which make and connect its subjects, from above to below; only they include hearthd.h.
HEARTHD = "daemon tick control reload mesh assist ask status-why status".split()

# The coordinator from above to below: a file includes only what is listed below its own line.
COORDINATOR = (
    "main",
    "init serve",
    "init-options",
    "init-internal",
    "open",
    "api admin",
    "admin-node admin-relay admin-settings admin-token",
    "admin-added",
    "admin-change",
    "meet",
    "added-change",
    "carry enroll poll presence relays kube place urls",
    "carry-link enroll-plan",
    "coord reply",
    "feed",
    "ledger addrs",
    "added tokens keys schema names",
)


def objects(build):
    for part in ("daemon", "provision", "cni"):
        for folder, _, names in os.walk(os.path.join(build, part)):
            for name in names:
                if name.endswith(".c.o"):
                    path = os.path.join(folder, name)
                    yield path, re.sub(r"CMakeFiles/[^/]*\.dir/", "", os.path.relpath(path, build))[:-2]


def graph(build):
    """File -> files whose functions or data it uses."""
    where, uses = {}, {}
    for path, name in objects(build):
        for line in subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in "TDBR":
                where[words[2]] = name
            elif len(words) == 2 and words[0] == "U":
                uses.setdefault(name, set()).add(words[1])
    return {n: sorted({where[s] for s in u if where.get(s, n) != n}) for n, u in uses.items()}


def circles(edges):
    """Strongly connected components of more than one file (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in edges.get(v, []):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            part = []
            while not part or part[-1] != v:
                part.append(stack.pop())
            if len(part) > 1:
                found.append(sorted(part))

    sys.setrecursionlimit(10000)
    for v in edges:
        if v not in index:
            visit(v)
    return found


def subjects_that_know_another(node):
    texts = {n: open(os.path.join(node, n)).read() for n in sorted(os.listdir(node)) if n.endswith((".c", ".h"))}
    subjects = {n[:-2] for n, text in texts.items() if n.endswith(".h") and re.search(r"_new\(\s*struct core \*core", text)}
    for name, text in texts.items():
        for other in re.findall(r'#include "node/([a-z0-9-]+)\.h"', text):
            if name[:-2] in subjects and other != name[:-2] and (other in subjects or other == "hearthd"):
                yield f"daemon/node/{name} includes node/{other}.h: a subject knows no other; what it needs comes as argument or hook"


def hearthd_not_downward(edges, node):
    for name in sorted(os.listdir(node)):
        text = open(os.path.join(node, name)).read() if name.endswith((".c", ".h")) else ""
        if '#include "node/hearthd.h"' in text and name[:-2] not in HEARTHD + ["main"]:
            yield f"daemon/node/{name} includes node/hearthd.h, and is none of hearthd's own files (HEARTHD in tests/lib/circles.py)"
    for above, name in enumerate(HEARTHD):
        for used in edges[f"daemon/node/{name}.c"]:
            other = os.path.basename(used)[:-2]
            if used.startswith("daemon/node/") and other in HEARTHD and HEARTHD.index(other) <= above:
                yield f"daemon/node/{name}.c uses {other}.c, which is not below it (HEARTHD in tests/lib/circles.py)"


def arrows_not_downward(folder):
    level = {name: i for i, line in enumerate(COORDINATOR) for name in line.split()}
    for name in sorted(os.listdir(folder)):
        own = name[:-2]
        if not name.endswith((".c", ".h")):
            continue
        if own not in level:
            yield f"{folder}/{name} has no place yet: say in COORDINATOR of tests/lib/circles.py what it stands on"
            continue
        for other in re.findall(r'#include "coordinator/([a-z0-9-]+)\.h"', open(os.path.join(folder, name)).read()):
            if other != own and level.get(other, -1) <= level[own]:
                yield f"{folder}/{name} includes coordinator/{other}.h, which is not below it (COORDINATOR in tests/lib/circles.py)"


def main():
    edges, bad = graph(sys.argv[1]), 0
    if len(edges) < 100:
        sys.exit(f"only {len(edges)} object files in {sys.argv[1]}: is it built?")
    for part in circles(edges):
        if set(part) <= ENGINE:
            continue
        bad = 1
        print("a circle:")
        for v in part:
            print(f"  {v} uses {', '.join(w for w in edges[v] if w in part)}")
    for line in (*subjects_that_know_another("daemon/node"), *hearthd_not_downward(edges, "daemon/node"), *arrows_not_downward("daemon/coordinator")):
        bad = 1
        print(line)
    sys.exit(bad)


main()
