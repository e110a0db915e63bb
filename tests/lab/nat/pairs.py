"""Pairs of houses, one after another in each of some lanes: both boards start at the same time, and reach each other by
the way that table.py has for them, and both say why as reasons.py has it, or the pair has failed. No pair is without a way.
"""
import queue, threading, time

import houses, prove, reasons, table
from internet import Internet
from lane import Lane, Pings

WAY_SECONDS = 15      # to the first answer, and until both say by which way
DIRECT_SECONDS = 10   # to the direct way, where addresses are known ...
GUESS_SECONDS = 20    # ... or have to be predicted or guessed
STAYS_SECONDS = 3     # so long a relayed pair has to stay that, and be answered
EVERY_SECONDS = 0.05


class Result:
    def __init__(self, name, letter):
        self.name, self.letter, self.first, self.direct, self.why, self.ways = name, letter, None, None, [], ("?", "?")
        self.is_direct, self.cause = False, "?"

    def line(self):
        return "%-4s %-18s %s  first answer %5s s  direct %5s s  %s  %s%s" % (
            "FAIL" if self.why else "ok", self.name, self.letter, table.figure(self.first), table.figure(self.direct), " | ".join(self.ways),
            self.cause, "".join("\n       " + w for w in self.why))


def way_of(peer):
    if peer.get("relay"):
        return "%s by %s (%s)" % (peer["state"], peer["relay"], peer["relay_way"])
    return "%s %s" % (peer.get("state"), peer.get("endpoint"))


def measure(x, y, result, wanted_direct, limit):
    """Until the pair is as it is to be, or too late"""
    pings, begin = Pings(x, y), time.monotonic()
    stays = None
    while True:
        pings.send()
        time.sleep(EVERY_SECONDS)
        now = time.monotonic() - begin
        answered = pings.answered()
        if answered and result.first is None:
            result.first = now
        seen = x.sees(y), y.sees(x)
        direct = all(p.get("state") == "direct" for p in seen)
        if direct and result.direct is None:
            result.direct = now
        both = all(p.get("state") in ("direct", "relayed") for p in seen) and result.first is not None
        if both and stays is None and not wanted_direct:
            stays = now
        if (wanted_direct and both and direct) or (stays is not None and answered and now - stays > STAYS_SECONDS):
            break
        if now > (limit if result.first is not None else WAY_SECONDS):
            break
    result.ways, result.is_direct = tuple(way_of(p) for p in seen), direct
    pings.close()


def judge(result, wanted_direct, limit):
    if result.first is None:
        result.why.append("no way: nothing was answered within %d s" % WAY_SECONDS)
    if wanted_direct and not result.is_direct:
        result.why.append("not direct within %d s" % limit)
    if not wanted_direct and result.is_direct:
        result.why.append("direct, though there is said to be no such way: see nat/table.py")


def ask(x, y, true):
    """What both ends say of why, and what is wrong with it"""
    both = x.call("why", peer=y.name), y.call("why", peer=x.name)
    return reasons.told(both[0]), reasons.judge(both, (x.name, y.name), true)


def explain(x, y, result, true, idle):
    """Until both ends say why as it is true, or too late; who asks so many @idle seconds later is told the same at once"""
    end = time.monotonic() + reasons.PATIENCE[true[0].way]
    result.cause, wrong = ask(x, y, true)
    while wrong and time.monotonic() < end:
        time.sleep(6 * EVERY_SECONDS)
        result.cause, wrong = ask(x, y, true)
    if idle and not wrong:
        time.sleep(idle)
        result.cause, wrong = ask(x, y, true)
    result.why += wrong


def run(lane, name, letter, true, a, b, idle):
    """The boards x and y of the lane, in these houses; what is @true of why they are reached so"""
    result, wanted = Result(name, letter), table.is_direct(letter)
    limit = (GUESS_SECONDS if letter in "GP" else DIRECT_SECONDS) if wanted else WAY_SECONDS + STAYS_SECONDS
    lane.x.start(a.board, a.env)
    lane.y.start(b.board, b.env)
    try:
        measure(lane.x, lane.y, result, wanted, limit)
        judge(result, wanted, limit)
        if not result.why:
            explain(lane.x, lane.y, result, true, idle)
    finally:
        for board in lane.x, lane.y:
            status = board.stop()
            if status:
                result.why.append("hearthd of %s ended with %s" % (board.name, status))
    if result.why:
        result.why += ["%s: %s" % (board.name, line) for board in (lane.x, lane.y) for line in board.said(6)]
    return result


def build(lane, a, b):
    """The two houses of kinds @a and @b, or of the pair @a"""
    name = "p%d" % lane.net.number()
    if not b:
        return houses.pairs[a].build(lane.net, name)
    return houses.kinds[a].build(lane.net, name + "x"), houses.kinds[b].build(lane.net, name + "y")


def one(lane, a, b, idle):
    x, y = build(lane, a, b)
    try:
        return run(lane, a + (" x " + b if b else ""), table.expected(a, b), reasons.expected(a, b), x, y, idle)
    finally:
        y.close()
        x.close()


def in_turns(n, work, each):
    """@work's items by @each, in @n threads; what one of them died of"""
    left, wrong, threads = queue.SimpleQueue(), [], []
    for item in work:
        left.put(item)

    def serve():
        try:
            each(left)
        except Exception as e:  # told by whoever asked for it
            wrong.append(e)
    threads = [threading.Thread(target=serve, daemon=True) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        while t.is_alive():
            t.join(0.2)  # so that a signal is heard
    return wrong


def rest(left):
    while True:
        try:
            yield left.get_nowait()
        except queue.Empty:
            return


def play(work, n_lanes, tell, idle=0):
    """[(a, b)] in so many lanes. Returns the results, in the order in which they came"""
    results = []

    def each(left):
        lane = Lane("lane%d" % threading.get_native_id())
        for a, b in rest(left):
            result = one(lane, a, b, idle)
            results.append(((a, b), result))
            tell(result.line())
        lane.check()
    wrong = in_turns(min(n_lanes, len(work)), work, each)
    return results, wrong


def prove_all(n, tell):
    """Every kind and pair of houses. Returns what is not as they are called"""
    net, bad = Internet("prove"), []

    def each(left):
        for kind in rest(left):
            try:
                wrong = (prove.prove_pair if kind.name in houses.pairs else prove.prove)(net, kind)
            except Exception as e:  # it does not even answer as the programs expect
                wrong = ["%s: %s" % (type(e).__name__, e)]
            tell("%s %-9s %s%s" % ("FAIL" if wrong else "ok  ", kind.name, kind.title, "".join("\n       " + w for w in wrong)))
            bad.extend(wrong)
    wrong = in_turns(n, list(houses.kinds.values()) + list(houses.pairs.values()), each)
    return bad, wrong
