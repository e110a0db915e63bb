"""Which way each pair of houses is to have, in one place, and how that is told.

    D  direct by the boards' own addresses        S  ... by those that STUN finds, both sides at the same time
    M  ... by a port that a router was asked for  P  ... by the next ports of a router that counts
    G  ... by guessing a port                     T  not soon: the first ping made the router take its port
    r  by the relay: nothing else is possible
"""
PARTS = "DSMPG"

COLUMNS = "public hostfw full addr easy openin double cgnat count hard v6fw pcp natpmp upnp v6only v4broken noudp https proxy".split()
CELLS = """
public    D
hostfw    D D
full      D S S
addr      D S S S
easy      D S S S S
openin    D S S S S S
double    D S S S S S S
cgnat     D S S S S S S S
count     D P S S P T P P P
hard      D G S S G G G G r r
v6fw      D D S S G G G G r r D
pcp       D M S S M M M M M M M M
natpmp    D M S S M M M M M M M M M
upnp      D M S S M M M M M M M M M M
v6only    D D r r r r r r r r D r r r D
v4broken  D D r r r r r r r r D r r r D D
noudp     r r r r r r r r r r r r r r r r r
https     r r r r r r r r r r r r r r r r r r
proxy     r r r r r r r r r r r r r r r r r r r
"""
PAIRS = {"lan": "D", "guest+": "S", "guest-": "r", "cgn+": "S", "cgn-": "r"}


def read_cells():
    cells = {}
    for line in CELLS.split("\n"):
        name, *row = line.split() or [None]
        for other, way in zip(COLUMNS, row):
            cells[name, other] = cells[other, name] = way
    return cells


cells = read_cells()


def expected(a, b=None):
    """The letter of a pair of kinds, or of one in PAIRS"""
    return cells[a, b] if b else PAIRS[a]


def is_direct(letter):
    return letter in PARTS


def figure(seconds):
    return "-" if seconds is None else "%.1f" % seconds


def both_figures(result):
    return "%s / %s" % (figure(result.first), figure(result.direct) if result.is_direct else "relay")


def way(result):
    return figure(result.direct) + " s" if result.is_direct else "relay"


README = {"public": "public address", "easy": "home router", "double": "two home routers, one behind the other",
          "cgnat": "provider's NAT", "count": "router that takes the next port for each destination", "hard": "router that takes any port for each destination",
          "pcp": "the same with PCP or NAT-PMP", "upnp": "the same with UPnP", "v6fw": "the same with IPv6 and its firewall", "v6only": "IPv6 only",
          "noudp": "no UDP gets out", "https": "only TCP 443 gets out", "proxy": "only an HTTP proxy"}


def markdown(results, names, titles, cell):
    """The triangle of those kinds"""
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for i, a in enumerate(names):
        row = [results.get((a, b)) or results.get((b, a)) for b in names[:i + 1]]
        lines.append("| **%s** %s | %s |" % (a, titles[a], " | ".join([cell(r) if r else "" for r in row] + [""] * (len(names) - i - 1))))
    return "\n".join(lines)
