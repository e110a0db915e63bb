#!/usr/bin/env python3
"""probe.py - who reaches whom, packet by packet.

  probe.py serve PORT LOG    answers TCP and UDP at PORT of every address, both families; each datagram, connection
                             and ping of `ask` that arrives is a line of LOG: its number and where it came from.
                             Says "ready"
  probe.py ask FILE          asks all at once and waits for the answers. FILE holds lines
                                 NUMBER yes|no PROTOCOL ADDRESS PORT [SOURCE]
                             yes: an answer is waited for, 10 s at most; what should not be answered has the time of
                             the others, and half a second. Prints NUMBER and the source that the other end saw
                             ("pong" of a ping) of each that was answered

  probe.py odd MINE TO OTHER sends from MINE what connection tracking makes nothing of: TCP with flags that do not belong
                             together or a wrong checksum, an ICMP error about a packet to OTHER that nobody sent
  probe.py hop TTL ADDRESS PORT     a datagram that may go so far; prints who says that it went no further, and why
  probe.py hear LINK                prints what is heard there of DHCP and mDNS, and from whom. Says "ready"
  probe.py cast LINK                asks for an address by DHCP, and all by mDNS, both families

PROTOCOL: tcp, udp, icmp; conn: TCP, where the other end is not `serve` ("connected"); frag: a datagram in several fragments; ext: behind an IPv6 destination options header.
SOURCE: an address that need not be ours (IP_TRANSPARENT).
"""
import select, socket, struct, sys, threading, time

TAG = b"hearth-probe "
AGAIN, GRACE, LIMIT, LARGE = 0.4, 0.5, 10, 3300


def family(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


def tagged(number, size=0):
    text = TAG + str(number).encode() + b" "
    return text + b"." * (size - len(text))


def number_of(data):
    at = data.find(TAG)
    return data[at + len(TAG):].split(b" ")[0].decode() if at >= 0 else None


def serve(port, path):
    log = open(path, "a", buffering=1)

    def note(data, addr):
        number = number_of(data)
        if number:
            log.write("%s %s\n" % (number, addr[0].removeprefix("::ffff:")))

    def tcp():
        s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=200)
        while True:
            c, addr = s.accept()
            threading.Thread(target=tcp_one, args=(c, addr), daemon=True).start()

    def tcp_one(c, addr):
        c.settimeout(LIMIT)
        try:
            note(c.recv(200), addr)
            c.sendall(addr[0].removeprefix("::ffff:").encode())
        except OSError:
            pass
        c.close()

    def udp():
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.bind(("::", port))
        # answers leave by the address that was asked
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        while True:
            data, anc, _, addr = s.recvmsg(65536, 512)
            note(data, addr)
            info = [(l, t, d) for l, t, d in anc if t == socket.IPV6_PKTINFO]
            info = [(l, t, d[:16] + bytes(4)) for l, t, d in info]
            try:
                s.sendmsg([tagged(number_of(data)) + addr[0].removeprefix("::ffff:").encode()], info, 0, addr)
            except OSError as e:
                log.write("# answer to %s: %s\n" % (addr[0], e))

    def ping(f, proto):
        s = socket.socket(f, socket.SOCK_RAW, proto)
        while True:
            data, addr = s.recvfrom(65536)
            if f == socket.AF_INET:
                data = data[(data[0] & 15) * 4:]
            if data[0] == (8 if f == socket.AF_INET else 128):
                note(data, addr)

    for job in (tcp,), (udp,), (ping, socket.AF_INET, 1), (ping, socket.AF_INET6, 58):
        threading.Thread(target=job[0], args=job[1:], daemon=True).start()
    while True:  # until it is there
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.02)
    print("ready", flush=True)
    threading.Event().wait()


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total >> 16) + (total & 0xffff)
    return ~total & 0xffff


def ip_packet(mine, to, proto, body):
    pack = [socket.inet_pton(family(to), a) for a in (mine, to)]
    if family(to) == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, len(body), proto, 64) + b"".join(pack) + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, 64, proto, 0) + b"".join(pack)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def odd(mine, to, other):
    six = family(to) == socket.AF_INET6
    s = socket.socket(family(to), socket.SOCK_RAW, socket.IPPROTO_RAW)
    ends = socket.inet_pton(family(to), mine) + socket.inet_pton(family(to), to)
    bodies = []
    for flags, wrong in (0x03, 0), (0x00, 0), (0x3f, 0), (0x02, 1):  # SYN and FIN, none, all; a wrong checksum
        tcp = struct.pack("!HHIIBBHHH", 4000 + flags, 7777, 1, 1, 0x50, flags, 1000, 0, 0)
        right = checksum(ends + struct.pack("!IxxxB", len(tcp), 6) + tcp)
        bodies.append((6, tcp[:16] + struct.pack("!H", right ^ wrong) + tcp[18:]))
    icmp = struct.pack("!BBHI", *((1, 4) if six else (3, 3)), 0, 0) + ip_packet(to, other, 17, struct.pack("!HHHH", 1, 2, 8, 0))
    right = checksum((ends + struct.pack("!IxxxB", len(icmp), 58) if six else b"") + icmp)
    bodies.append((58 if six else 1, icmp[:2] + struct.pack("!H", right) + icmp[4:]))
    for proto, body in bodies:
        s.sendto(ip_packet(mine, to, proto, body), (to, 0))


class Probe:
    def __init__(self, line):
        self.number, want, self.proto, self.addr, port, *rest = line.split()
        self.want, self.port = want == "yes", int(port)
        self.answer = None
        f = family(self.addr)
        self.stream = self.proto in ("tcp", "conn")
        kind = socket.SOCK_STREAM if self.stream else socket.SOCK_RAW if self.proto == "icmp" else socket.SOCK_DGRAM
        proto = 0 if self.proto != "icmp" else 1 if f == socket.AF_INET else 58
        self.s = socket.socket(f, kind, proto)
        self.s.setblocking(False)
        if rest:
            self.s.setsockopt(*((41, 75, 1) if f == socket.AF_INET6 else (0, 19, 1)))
            self.s.bind((rest[0], 0))
        if self.proto == "frag" and f == socket.AF_INET:
            self.s.setsockopt(0, 10, 0)  # IP_MTU_DISCOVER: routers may cut it, too
        if self.proto == "ext":
            self.s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0]))
        self.said = False

    def send(self):
        try:
            if self.stream:
                if not self.said:
                    self.said = True
                    self.s.connect((self.addr, self.port))
            elif self.proto == "icmp":
                data = tagged(self.number, 64)
                six = family(self.addr) == socket.AF_INET6
                head = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 4711, int(self.number) & 0xffff)
                if not six:
                    head = head[:2] + struct.pack("!H", checksum(head + data)) + head[4:]
                self.s.sendto(head + data, (self.addr, 0))
            else:
                self.s.sendto(tagged(self.number, LARGE if self.proto == "frag" else 0), (self.addr, self.port))
        except BlockingIOError:
            pass
        except OSError:
            pass  # refused on the way out, or told by ICMP: no answer

    def receive(self):
        try:
            if self.stream:
                if self.s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    return
                if self.proto == "conn":
                    self.answer = "connected"
                    return
                self.s.sendall(tagged(self.number))
                self.s.setblocking(True)
                self.s.settimeout(LIMIT)
                self.answer = self.s.recv(200).decode() or None
                return
            data, addr = self.s.recvfrom(65536)
            if self.proto != "icmp":
                if number_of(data) == self.number:
                    self.answer = data[len(tagged(self.number)):].decode()
                return
            if family(self.addr) == socket.AF_INET:
                data = data[(data[0] & 15) * 4:]
            if data[0] in (0, 129) and number_of(data) == self.number:
                self.answer = "pong"
        except OSError:
            pass


def ask(path):
    with open(path) as f:
        probes = [Probe(line) for line in f]
    poll = select.epoll()
    by_fd = {}
    end, grace, again = time.monotonic() + LIMIT, None, 0
    for p in probes:
        by_fd[p.s.fileno()] = p
    for p in probes:
        p.send()
        poll.register(p.s.fileno(), select.EPOLLOUT if p.stream else select.EPOLLIN)
    again = time.monotonic() + AGAIN
    while True:
        now = time.monotonic()
        if grace is None and (now >= end or all(p.answer for p in probes if p.want)):
            grace = now + GRACE
        if grace is not None and now >= grace:
            break
        if now >= again:
            for p in probes:
                if not p.answer:
                    p.send()
            again = now + AGAIN
        for fd, events in poll.poll(0.05):
            p = by_fd[fd]
            p.receive()
            if p.answer or (p.stream and events & (select.EPOLLERR | select.EPOLLHUP)):
                poll.unregister(fd)
    for p in probes:
        if p.answer:
            print(p.number, p.answer)


def hop(ttl, addr, port):
    six = family(addr) == socket.AF_INET6
    s = socket.socket(family(addr), socket.SOCK_DGRAM)
    s.setsockopt(*((41, socket.IPV6_UNICAST_HOPS, ttl) if six else (0, socket.IP_TTL, ttl)))
    s.setsockopt(*((41, 25, 1) if six else (0, 11, 1)))  # RECVERR
    for _ in range(10):
        try:
            s.sendto(b"hop", (addr, port))
        except OSError:
            pass  # the last one's error
        poll = select.poll()
        poll.register(s, 0)  # errors alone
        if not poll.poll(300):
            continue
        _, anc, _, _ = s.recvmsg(100, 500, socket.MSG_ERRQUEUE)
        kind = anc[0][2][5]
        end = anc[0][2][16:]  # behind sock_extended_err: who
        print(socket.inet_ntop(family(addr), end[8:24] if six else end[4:8]),
              {3: "exceeded" if six else "unreachable", 11: "exceeded", 1: "unreachable"}[kind])
        return
    print("nobody")


def multicast(link, f):
    s = socket.socket(f, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    i = socket.if_nametoindex(link)
    if f == socket.AF_INET:
        s.setsockopt(0, socket.IP_MULTICAST_IF, struct.pack("4s4si", bytes(4), bytes(4), i))
    else:
        s.setsockopt(41, socket.IPV6_MULTICAST_IF, i)
    return s, i


def hear(link):
    four, i = multicast(link, socket.AF_INET)
    four.bind(("", 5353))
    four.setsockopt(0, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4si", socket.inet_aton("224.0.0.251"), bytes(4), i))
    six, i = multicast(link, socket.AF_INET6)
    six.setsockopt(41, socket.IPV6_V6ONLY, 1)
    six.bind(("::", 5353))
    six.setsockopt(41, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, "ff02::fb") + struct.pack("I", i))
    dhcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dhcp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
    dhcp.bind(("", 67))
    print("ready", flush=True)
    while True:
        for s in select.select([four, six, dhcp], [], [])[0]:
            _, addr = s.recvfrom(1000)
            print({four: "mdns4", six: "mdns6", dhcp: "dhcp"}[s], addr[0].split("%")[0], flush=True)


def cast(link):
    multicast(link, socket.AF_INET)[0].sendto(b"who", ("224.0.0.251", 5353))
    multicast(link, socket.AF_INET6)[0].sendto(b"who", ("ff02::fb", 5353))
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((link, 0))
    s.send(b"\xff" * 6 + s.getsockname()[4] + b"\x08\x00" + ip_packet(
        "0.0.0.0", "255.255.255.255", 17, struct.pack("!HHHH", 68, 67, 8 + 240, 0) + bytes(240)))


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]), sys.argv[3])
elif sys.argv[1] == "odd":
    odd(*sys.argv[2:])
elif sys.argv[1] == "hop":
    hop(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
elif sys.argv[1] in ("hear", "cast"):
    {"hear": hear, "cast": cast}[sys.argv[1]](sys.argv[2])
else:
    ask(sys.argv[2])
