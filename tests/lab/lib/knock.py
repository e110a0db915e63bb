#!/usr/bin/env python3
"""Hosts that mean harm to a coordinator's or a board's network, for tests/lab/attack.

knock.py crowd HOST PORT ADDRESS...    opens connections from each address as fast as they are taken, and says nothing
knock.py bodies HOST PORT N            N connections with a made-up key, each with a body of 60 kB that never ends
knock.py polls HOST PORT STATE SECONDS asks as the board whose keys lie in STATE, without pause, on four connections
knock.py advertise LINK SECONDS PAUSE  router advertisements on LINK, each of another prefix

The first two write a line when they have begun, and go on until they are killed.
"""
import base64, ipaddress, os, socket, ssl, struct, sys, tempfile, threading, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import enrol


def crowd(host, port, *addresses):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = {a: [] for a in addresses}
    tried, end = 0, time.monotonic() + 120
    while time.monotonic() < end:
        for address in addresses:
            s = socket.socket(family)
            s.settimeout(2)
            try:
                s.bind((address, 0))
                s.connect((host, int(port)))
                held[address].append(s)
            except OSError:
                s.close()
            tried += 1
            del held[address][:-400]
        if tried == 200 * len(addresses):
            print("begun", flush=True)


def bodies(host, port, n):
    with tempfile.TemporaryDirectory() as where:
        context = enrol.context_of(*enrol.client_files(os.urandom(32), where))
    held, sent = [], 0
    for i in range(int(n)):
        try:
            s = context.wrap_socket(socket.create_connection((host, int(port)), timeout=5))
            s.sendall(b"PUT /v1/presence HTTP/1.1\r\nHost: x\r\nContent-Length: 65000\r\n\r\n" + b"{" * 60000)
            held.append(s)
            sent += 1
        except OSError:
            time.sleep(0.05)
    print("begun", sent, flush=True)
    time.sleep(120)


def polls(host, port, state, seconds):
    with tempfile.TemporaryDirectory() as where:
        context = enrol.context_of(*enrol.client_files(base64.b64decode(open(state + "/identity.key").read()), where))
    answers, end = [], time.monotonic() + float(seconds)

    def ask():
        while time.monotonic() < end:
            try:
                s = context.wrap_socket(socket.create_connection((host, int(port)), timeout=5))
                while time.monotonic() < end:
                    s.sendall(b"GET /v1/poll?seq=0&wait=0 HTTP/1.1\r\nHost: x\r\n\r\n")
                    data = b""
                    while b"\r\n\r\n" not in data:
                        data += s.recv(65536) or exit()
                    head, body = data.split(b"\r\n\r\n", 1)
                    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    while len(body) < length:
                        body += s.recv(65536) or exit()
                    if b" 200 " in head.split(b"\r\n")[0]:
                        answers.append(time.monotonic())
            except (OSError, SystemExit):
                time.sleep(0.05)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    late = [a for a in answers if a > end - float(seconds) / 2]
    print(len(answers), "%.0f" % (len(late) / (float(seconds) / 2)))


def advertise(link, seconds, pause):
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
    end, n = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        n += 1
        prefix = ipaddress.ip_address("2001:db8:bad:%x::" % (n & 0xffff)).packed
        # valid for 20 s: so many at a time as the kernel takes, and ever new ones
        option = struct.pack("!BBBBIII", 3, 4, 64, 0xc0, 20, 20, 0) + prefix
        s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0) + option, ("ff02::1", 0, 0, socket.if_nametoindex(link)))
        time.sleep(float(pause))
    print(n)


if __name__ == "__main__":
    {"crowd": crowd, "bodies": bodies, "polls": polls, "advertise": advertise}[sys.argv[1]](*sys.argv[2:])
