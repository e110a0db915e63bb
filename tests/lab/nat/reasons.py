"""What `hearth why` has to say of each pair of houses, from what the houses are (houses.py) and nothing else: the cause,
whose it is, and what a person can do about it. Both boards are asked, and have to say the same.

A house in which somebody did what helps is another kind of house: that the pair is direct then is looked up in table.py.
"""
import houses, table

PATIENCE = {"direct": 5, "relayed": 30}  # seconds; a port is guessed for 20, and until then a way is looked for


class Reason:
    """@at: whose it is, of "x" and "y". @helps: words of the advice. @mended: [{end: the kind that it becomes}], each enough"""
    def __init__(self, cause, at=(), helps=(), mended=()):
        self.cause, self.at, self.helps, self.mended = cause, frozenset(at), helps, mended
        self.way = "direct" if cause.startswith("direct_") else "relayed"


def ends(of, test):
    return frozenset(n for n in "xy" if test(of[n]))


# --- direct: each of these is true, and two boards may send by different ways

def can_open(a, b):
    """Both routers let in what was sent something, if only one can know from which port the other will come"""
    return all(one["udp"] != "random" or other["let_in"] != "port" for one, other in ((a, b), (b, a)))


def direct(of, letter):
    x, y = of["x"], of["y"]
    public, mapped = ends(of, lambda f: not f["translated"]), ends(of, lambda f: f["maps"])
    if x["ipv6"] and y["ipv6"]:
        yield Reason("direct_ipv6")
    if x["routers"] == 0 and y["routers"] == 0:  # both in the same network of the internet
        yield Reason("direct_lan")
    if not x["udp"] or not y["udp"]:
        return
    if public:
        yield Reason("direct_public", public)
    if mapped:
        yield Reason("direct_mapped", mapped)
    if not public and (can_open(x, y) or letter == "G"):
        yield Reason("direct_nat")


# --- relayed: the one that is most in the way

def give_ipv6(of, at):
    lack = ends(of, lambda f: not f["ipv6"])
    if len(lack) == 2:
        return "give both boards IPv6"
    return "give %s IPv6" % ("".join(lack) if lack <= at else "the other board")


def blocked(of):
    """No UDP at all gets out of one"""
    at = ends(of, lambda f: not f["udp"] and not f["ipv6"])
    only_ipv6 = any(not of[n]["udp"] for n in "xy" if n not in at)
    cause = "only_proxy" if all(of[n]["proxy"] for n in at) else "udp_blocked"
    words = "let UDP out there" + (" by IPv6" if only_ipv6 else "")
    return at and Reason(cause, at, (words, "port 3478 of vps"), [dict.fromkeys(at, "v6fw" if only_ipv6 else "easy")])


def no_common_family(of):
    """One has only IPv6 that works, the other only IPv4"""
    without4 = ends(of, lambda f: not f["udp"])
    if not without4:
        return None
    without6 = ends(of, lambda f: not f["ipv6"])
    if any(of[n]["has_ipv4"] for n in without4):
        return Reason("ipv4_blocked", without4, ("mend IPv4 at the router of " + "".join(without4), "the other board IPv6"),
                      [dict.fromkeys(without4, "easy"), dict.fromkeys(without6, "v6fw")])
    return Reason("no_common_family", without6, (give_ipv6(of, without6),), [dict.fromkeys(without6, "v6fw")])


def firewall(of):
    """It has a public address, and is deaf to what comes unasked"""
    at = ends(of, lambda f: not f["translated"] and f["let_in"] != "anybody")
    return at and Reason("firewall", at, ("in at " + "".join(at),), [dict.fromkeys(at, "public")])


def hard(of):
    """Where a port is another one for each destination, and none is mapped"""
    at = ends(of, lambda f: f["udp"] in ("random", "counting") and not f["maps"])
    asked = [{n: "upnp"} for n in sorted(at)]
    ipv6 = [dict.fromkeys(ends(of, lambda f: not f["ipv6"]), "v6fw")]
    if len(at) == 2:
        return Reason("hard_both", at, ("UPnP at one of the two routers", give_ipv6(of, at)), asked + ipv6)
    return Reason("hard_nat", at, ("UPnP at the router of " + "".join(at), give_ipv6(of, at)), asked + ipv6)


def of_one_place(facts):
    if facts["hears"]:
        return Reason("direct_lan")
    if facts["hairpin"]:
        return Reason("direct_hairpin")
    if facts["routers"] == 1:
        return Reason("isolated", "xy", ("isolation", "cable"))
    return Reason("no_hairpin", "xy", ("hairpin", "give both boards IPv6"))


def expected(a, b=None):
    """The reasons of which one is to be told, of a pair of kinds or of one of table.PAIRS"""
    if not b:
        return [of_one_place(houses.pairs[a].facts)]
    of, letter = {"x": houses.kinds[a].facts, "y": houses.kinds[b].facts}, table.expected(a, b)
    if table.is_direct(letter):
        return list(direct(of, letter))
    return [blocked(of) or no_common_family(of) or firewall(of) or hard(of)]


def check():
    """That each pair has a reason for the way that it has, and that what helps does. Returns what is wrong"""
    wrong = []
    for (a, b), letter in table.cells.items():
        for reason in expected(a, b):
            for changed in reason.mended:
                after = table.expected(changed.get("x", a), changed.get("y", b))
                if after == "r":
                    wrong.append("%s x %s: %s: %r would not help" % (a, b, reason.cause, changed))
        if not expected(a, b) or any(table.is_direct(letter) != (r.way == "direct") for r in expected(a, b)):
            wrong.append("%s x %s: there is no reason for %s" % (a, b, letter))
    return wrong


# --- what is said

def fits(said, reason):
    at = frozenset(said["at"])
    if said["cause"] != reason.cause or said["way"] != reason.way:
        return False
    if reason.way == "direct":
        return at <= reason.at and bool(at) == bool(reason.at) and not said["fix"]
    return at == reason.at and all(words in (said["fix"] or "") for words in reason.helps)


def is_ipv6(said):
    return (said["here"]["endpoint"] or "").startswith("[")


def told(said):
    return said["cause"] + (" at " + " and ".join(sorted(said["at"])) if said["at"] else "") if said else "nothing"


def judge(both, names, reasons):
    """What is wrong with what the two ends say: each of the other, in this order"""
    wrong = []
    for said, other in zip(both, reversed(names)):
        if not said:
            wrong.append("hearth why %s says nothing" % other)
        elif not any(fits(said, r) for r in reasons) or not said["sentence"].startswith("%s is %s" % (other, said["way"])):
            wrong.append("hearth why %s says %s: %s. %s" % (other, told(said), said["sentence"], said["fix"]))
            wrong += ["    " + line for line in said["evidence"]]
    if not wrong and told(both[0]) != told(both[1]) and is_ipv6(both[0]) == is_ipv6(both[1]):
        wrong.append("hearth why says %s at one end and %s at the other" % tuple(map(told, both)))
    if wrong:
        wrong.append("true is " + ", or ".join("%s%s" % (r.cause, " at " + " and ".join(sorted(r.at)) if r.at else "") for r in reasons))
        wrong += ["what helps: " + "; ".join(r.helps) for r in reasons if r.helps]
    return wrong
