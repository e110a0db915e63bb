#!/usr/bin/env python3
"""leases.py FILE... - were addresses of pods lost or held twice?

Lines of the files, in any order: "+ SECONDS BOARD POD ADDRESS..." (ADD has returned) and
"- SECONDS BOARD POD" (DEL begins). In between the pod surely holds its addresses, and nobody else may.
Prints how many there were. Exit status 1: an address was held twice, or a pod got none.
"""
import sys

held, ended, bad = {}, {}, 0
for name in sys.argv[1:]:
    with open(name) as f:
        for line in f:
            sign, at, board, pod, *addresses = line.split()
            if sign == "+":
                held[board, pod] = (float(at), addresses)
            else:
                ended[board, pod] = float(at)

by_address = {}
for owner, (start, addresses) in held.items():
    if len(addresses) != 2:
        print("%s on %s got %s" % (owner[1], owner[0], addresses))
        bad = 1
    for address in addresses:
        by_address.setdefault(address, []).append((start, ended.get(owner, float("inf")), owner))
for address, owners in by_address.items():
    owners.sort()
    for one, other in zip(owners, owners[1:]):
        if other[0] < one[1]:
            print("%s: given to %s of %s while %s of %s held it" % (address, *reversed(other[2]), *reversed(one[2])))
            bad = 1
print("%d pods, %d addresses, %d deleted" % (len(held), len(by_address), len(ended)))
sys.exit(bad or not held)
