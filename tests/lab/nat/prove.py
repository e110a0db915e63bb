"""Plain UDP programs that show what a house really does, from both of its sides, before it is used: how its ports are
mapped and what is let in, hairpin, what gets out at all, IPv6, port mapping. They know nothing of how it was built.

That something does not come is seen without waiting where something else surely comes, which is sent after it on the same
way. Elsewhere what should come has seconds for it, on a machine that has other work, and what should not has a moment.
"""
import contextlib, os, select, socket, struct, time

import mapping
from internet import SERVERS4, SERVERS6

IP_RECVERR, IP_TTL, IP_RECVTTL = 11, 2, 12
SURELY, BRIEF = 5, 0.3  # seconds


def patience(wanted):
    return SURELY if wanted else BRIEF


def receive(s, seconds=SURELY):
    """What comes within that time and from where; None"""
    return s.recvfrom(2048) if select.select([s], [], [], seconds)[0] else (None, None)


class Talk:
    """A socket of a board, four in the internet (two servers, two ports each), and where the first saw the board"""
    def __init__(self, net, board, family=socket.AF_INET):
        self.servers = SERVERS6 if family == socket.AF_INET6 else SERVERS4
        self.far = [net.space.socket(family, at=(address, 0)) for address in self.servers for _ in "ab"]
        self.board = board.socket(family, at=("", 0))
        for s in self.far + [self.board]:
            s.setblocking(False)
        self.seen = None

    def out(self, n, seconds=SURELY):
        """A word to one of the four, which says from where it came, or None"""
        word = os.urandom(8)
        try:
            self.board.sendto(word, self.far[n].getsockname()[:2])
        except OSError:
            return None
        while True:
            data, source = receive(self.far[n], seconds)
            if data in (None, word):
                return source and source[:2]

    def comes_in(self, *tried):
        """Which of those (n, at) get through to the board, if what the first sends where it saw it does; None: not even that"""
        words = {os.urandom(8): n for n, _ in tried}
        last = os.urandom(8)
        for word, (n, at) in zip(words, tried):
            self.far[n].sendto(word, at)
        self.far[0].sendto(last, self.seen)
        came = set()
        while True:
            data, _ = receive(self.board)
            if data in (None, last):
                return came if data else None
            came.add(words.get(data))

    def close(self):
        for s in self.far + [self.board]:
            s.close()


@contextlib.contextmanager
def talk(*args, **options):
    t = Talk(*args, **options)
    try:
        yield t
    finally:
        t.close()


def port_law(ports):
    steps = {b - a for a, b in zip(ports, ports[1:])}
    if steps == {0}:
        return "independent"
    return "counting" if len(steps) == 1 and abs(steps.pop()) < 16 else "random"


def let_in(t):
    """Of what comes to a port that has been used for the first of the four alone"""
    came = t.comes_in((1, t.seen), (2, t.seen))
    if came is None:
        return None
    return "anybody" if 2 in came else "address" if 1 in came else "port"


def count_routers(net, board):
    """By what is left of the TTL; and whether the second is in a carrier's range, by its complaint about a TTL of 2"""
    s, far = board.socket(at=("", 0)), net.space.socket(at=(SERVERS4[0], 0))
    far.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    s.sendto(b"x", far.getsockname())
    select.select([far], [], [], SURELY)
    far.setblocking(False)
    ttl = struct.unpack("i", far.recvmsg(16, 64)[1][0][2])[0]
    s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    s.setsockopt(socket.IPPROTO_IP, IP_TTL, 2)
    s.sendto(b"x", far.getsockname())
    carrier = False
    if 64 - ttl == 2 and select.select([s], [], [], SURELY)[0]:  # an error waits, too
        told = s.recvmsg(64, 256, socket.MSG_ERRQUEUE)[1][0][2]  # a sock_extended_err, and the offender
        carrier = socket.inet_ntoa(told[20:24]).startswith("100.64.")
    s.close()
    far.close()
    return 64 - ttl, carrier


def steals(net, board):
    """Whether what a stranger sends to our outside port changes it for what we send to him"""
    with talk(net, board) as t:
        t.seen = t.out(0)
        t.far[2].sendto(b"unasked", t.seen)
        t.comes_in()
        return t.out(2) != t.seen


def hairpin(from_board, t, seconds):
    """Whether a word from @from_board to where the first of the four sees t's board comes there"""
    s, word = from_board.socket(), os.urandom(8)
    s.sendto(word, t.seen)
    data, _ = receive(t.board, seconds)
    s.close()
    return data == word


def is_connected(s):
    try:
        s.getpeername()
        return True
    except OSError:
        return False


def reaches_tcp(board, wanted, ports=(80, 443)):
    """Those of them that the board reaches at the first server"""
    here = [board.socket(kind=socket.SOCK_STREAM) for _ in ports]
    for s, port in zip(here, ports):
        s.setblocking(False)
        s.connect_ex((SERVERS4[0], port))  # what is wrong is seen below
    reached = tuple(port for s, port in zip(here, ports) if select.select([], [s], [], patience(port in wanted))[1] and is_connected(s))
    for s in here:
        s.close()
    return reached


def proxy_lets(house):
    """To port 443 of the first server"""
    if "https_proxy" not in house.env:
        return False
    user, at = house.env["https_proxy"].split("//")[1].split("@")
    host, port = at.split(":")
    s = house.board.socket(kind=socket.SOCK_STREAM)
    s.settimeout(SURELY)
    s.connect((host, int(port)))
    s.sendall(mapping.connect_request(SERVERS4[0], 443, user))
    answer = s.recv(4096)
    s.close()
    return b" 200 " in answer


def ipv6(net, board, wanted):
    """None; or, of what was not asked for, "open" or "stateful"; the address is never translated"""
    with talk(net, board, family=socket.AF_INET6) as t:
        t.seen = t.out(0, patience(wanted))
        if not t.seen:
            return None
        own = t.board.getsockname()[1]
        if t.seen[1] != own:
            return "translated"
        return "open" if t.comes_in((2, t.seen)) == {2} else "stateful"


def has_ipv4(board):
    with board.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.connect((SERVERS4[0], 9))
            return True
        except OSError:
            return False
        finally:
            s.close()


def measure_udp(net, house, wanted):
    """What is true of a board that gets UDP out; {} if it does not"""
    board, facts = house.board, {}
    with talk(net, board) as t:
        t.seen = t.out(0, patience(wanted["udp"]))
        if not t.seen:
            return facts
        facts["let_in"] = let_in(t)
        facts["translated"] = t.seen[0] != house.four
        facts["hairpin"] = hairpin(board, t, patience(wanted["hairpin"])) if facts["translated"] else None
    with talk(net, board) as t:  # anew: what came unasked has left traces
        facts["udp"] = port_law([(t.out(n) or (None, 0))[1] for n in range(4)])
    facts["routers"], facts["carrier"] = count_routers(net, board)
    facts["steals"] = (facts["translated"] and steals(net, board)) if facts["udp"] == "independent" else None
    return facts


def measure(net, house, wanted):
    """All that houses.USUAL names, of which it is @wanted"""
    board = house.board
    return {"udp": None, "let_in": None, "routers": None, "translated": None, "carrier": False, "hairpin": None, "steals": None,
            **measure_udp(net, house, wanted), "tcp": reaches_tcp(board, wanted["tcp"]), "proxy": proxy_lets(house),
            "ipv6": ipv6(net, board, wanted["ipv6"]), "has_ipv4": has_ipv4(board),
            "maps": mapping.offered(net, board) if house.running and "https_proxy" not in house.env else ()}


def hears(a, b, seconds):
    """Whether a word comes from one board to the other's own address"""
    s, there, word = a.board.socket(), b.board.socket(at=(b.four, 0)), os.urandom(8)
    with contextlib.suppress(OSError):
        s.sendto(word, there.getsockname())
    came = receive(there, seconds)[0] == word
    s.close()
    there.close()
    return came


def meet(t, u, seconds):
    """Whether a word comes from one board to where servers see the other, which has sent to where they see the first"""
    word = os.urandom(8)
    t.board.sendto(b"opens", u.seen)
    u.board.sendto(word, t.seen)
    while True:
        data, source = receive(t.board, seconds)
        if data in (None, word):
            return data == word and source[:2] == u.seen


def measure_pair(net, a, b, wanted):
    with talk(net, a.board) as t, talk(net, b.board) as u:
        t.seen, u.seen = t.out(0), u.out(0)
        if not t.seen or not u.seen or t.seen[0] != u.seen[0]:
            return {"seen": (t.seen, u.seen)}
        return {"hears": hears(a, b, patience(wanted["hears"])), "hairpin": meet(t, u, patience(wanted["hairpin"])),
                "routers": count_routers(net, a.board)[0]}


def forgets(net, house, seconds):
    """Whether what the first server sends comes until so long after what the board last sent it, and not later"""
    with talk(net, house.board) as t:
        t.seen = t.out(0)
        soon = t.comes_in() == set()
        time.sleep(seconds + 0.5)  # of the router's clock, which nothing tells
        t.far[0].sendto(b"late", t.seen)
        return soon and receive(t.board, BRIEF)[0] is None


def differences(wanted, seen):
    return ["%s is %r, not %r" % (name, seen.get(name), value) for name, value in wanted.items() if seen.get(name) != value]


def prove(net, kind):
    """Builds one, measures it, takes it away. Returns what is not as it should be"""
    house = kind.build(net, "prove-" + kind.name)
    try:
        return differences(kind.facts, measure(net, house, kind.facts))
    finally:
        house.close()


def prove_pair(net, kind):
    a, b = kind.build(net, "prove-" + kind.name)
    try:
        return differences(kind.facts, measure_pair(net, a, b, kind.facts))
    finally:
        b.close()
        a.close()
