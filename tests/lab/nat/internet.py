"""The internet of the NAT laboratory: one bridge, to which routers, servers and boards without a router are plugged.

    11.22.0.0/16 (miniupnpd refuses addresses that are kept for documents), 2001:db8:33::/64    bridge br0, .0.1
    two servers, at .0.2 and .0.3: STUN at UDP 3478, TCP 80 and 443 connect; other programs use both addresses as well

Each that is plugged gets an address that nobody has had before. Behind a router there may be an IPv6 prefix of its own.
"""
import itertools, os, select, socket, struct, threading

from space import Space

SERVERS4 = ("11.22.0.2", "11.22.0.3")
SERVERS6 = ("2001:db8:33::2", "2001:db8:33::3")
STUN_PORT = 3478
COOKIE = 0x2112A442
DELAYLINK = os.path.join(os.environ["HEARTH_BUILD"], "lab/delaylink")


class Internet:
    def __init__(self, name):
        self.name = name
        self.space = Space(name + "-inet")
        self.space.bridge("br0", "11.22.0.1/16", "2001:db8:33::1/64", *(a + "/16" for a in SERVERS4), *(a + "/64" for a in SERVERS6))
        self.space.sysctl("ipv4/ip_forward", 1)
        self.space.sysctl("ipv6/conf/all/forwarding", 1)
        self.numbers = itertools.count(20)
        stun = [self.space.socket(socket.AF_INET6 if ":" in a else socket.AF_INET, at=(a, STUN_PORT)) for a in SERVERS4 + SERVERS6]
        tcp = [self.space.socket(kind=socket.SOCK_STREAM, at=(a, port)) for a in SERVERS4 for port in (80, 443)]
        for s in tcp:
            s.listen(16)
        threading.Thread(target=serve, args=(stun, tcp), daemon=True).start()

    def number(self):
        return next(self.numbers)

    def far_away(self, space, ifname, ms):
        """Plugs it by a cable that takes @ms for each way. Returns what is to be stopped, and what then closed"""
        cable = Space(space.name.split("-", 1)[1] + "-cable")
        self.space.plug("br0", cable, "near")
        cable.cable("far", space, ifname)
        return cable.start(DELAYLINK, "-s", "near", "far", str(ms)), cable

    def plug(self, space, ifname, number, v4=True, v6=True, plugged=False):
        """Returns the addresses that it has, None where it has none. @plugged: by far_away()"""
        four = "11.22.%d.%d" % divmod(number, 256) if v4 else None
        six = "2001:db8:33::%x" % number if v6 else None
        if not plugged:
            self.space.plug("br0", space, ifname)
        lines = []
        if four:
            lines += ["addr add %s/16 dev %s" % (four, ifname), "route add default via 11.22.0.1"]
        if six:
            lines += ["addr add %s/64 dev %s nodad" % (six, ifname), "route add default via 2001:db8:33::1"]
        space.ip(*lines)
        return four, six

    def route(self, prefix, via):
        self.space.ip("route add %s via %s" % (prefix, via))


def stun_answer(request, source):
    """What RFC 8489 (5, 14.2) has a server say to a Binding request; None: it is none"""
    if len(request) < 20 or request[:2] != b"\0\1" or struct.unpack(">I", request[4:8])[0] != COOKIE:
        return None
    family = 2 if ":" in source[0] else 1
    address = socket.inet_pton(socket.AF_INET6 if family == 2 else socket.AF_INET, source[0])
    value = struct.pack(">xBH", family, source[1] ^ COOKIE >> 16) + bytes(a ^ b for a, b in zip(address, request[4:20]))
    return struct.pack(">HH", 0x101, len(value) + 4) + request[4:20] + struct.pack(">HH", 0x20, len(value)) + value


def serve(stun, tcp):
    while True:
        for s in select.select(stun + tcp, [], [])[0]:
            if s in tcp:
                s.accept()[0].close()
                continue
            request, source = s.recvfrom(2048)
            answer = stun_answer(request, source)
            if answer:
                s.sendto(answer, source)
