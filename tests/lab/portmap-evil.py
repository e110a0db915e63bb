#!/usr/bin/env python3
"""A gateway that lies to who asks for a port: portmap-evil.py LIE, at 192.168.50.1.

Of PCP: loopback, mesh, nowhere (addresses that nobody could be at), cgnat (a carrier's), third (its own answer,
from another port), nonce (of somebody else's mapping), short (for a second), clock (its seconds go back each time), flood.
Of UPnP: permanent (error 725), noleases (402), taken (718), elsewhere (calls are to go to another machine),
description (so is the description), endless, slow, deep (XML without end).
"""
import itertools
import socket
import struct
import sys
import threading
import time

LIE = sys.argv[1]
GATEWAY, OTHER = "192.168.50.1", "192.168.50.9"
OUTSIDE = {"loopback": "127.0.0.1", "mesh": "10.77.0.9", "nowhere": "0.0.0.0", "cgnat": "100.64.9.9"}.get(LIE, "11.22.33.2")
PMP = ("loopback", "mesh", "nowhere", "cgnat", "third", "nonce", "short", "clock", "flood")
clock = itertools.count(100000, -1000)


def pcp(request):
    """The answer to a MAP."""
    life = 1 if LIE == "short" else 7200
    epoch = next(clock) if LIE == "clock" else int(time.monotonic())
    nonce = bytes(12) if LIE in ("nonce", "flood") else request[24:36]
    return (struct.pack("!BBBBII12x", 2, 0x81, 0, 0, life, epoch & 0xffffffff) + nonce + request[36:42] + request[40:42]
            + bytes(10) + b"\xff\xff" + socket.inet_aton(OUTSIDE))


def pmp():
    """PCP and NAT-PMP; who lies by UPnP is silent here."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((GATEWAY, 5351))
    elsewhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    elsewhere.bind((GATEWAY, 0))
    while True:
        data, who = s.recvfrom(2048)
        print(time.monotonic(), "asked", data[:2].hex(), flush=True)
        if LIE not in PMP or data[0] != 2 or who[0] != "192.168.50.5":
            continue
        if LIE == "flood":
            for i in range(200000):
                s.sendto(pcp(data)[:24 + i % 40], who)
            continue
        (elsewhere if LIE == "third" else s).sendto(pcp(data), who)


def ssdp():
    """Answers each search."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", 1900))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.255.250") + socket.inet_aton(GATEWAY))
    host = OTHER if LIE == "description" else GATEWAY
    while True:
        _, who = s.recvfrom(2048)
        s.sendto((f"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
                  f"USN: uuid:1::x\r\nEXT:\r\nSERVER: x\r\nLOCATION: http://{host}:5000/desc.xml\r\n\r\n").encode(), who)


DESC = """<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList><device>
<deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><deviceList><device>
<deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><serviceId>x</serviceId>
<controlURL>%s</controlURL><eventSubURL>/e</eventSubURL><SCPDURL>/s</SCPDURL></service></serviceList>
</device></deviceList></device></deviceList></device></root>"""


def envelope(body):
    return f'<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{body}</s:Body></s:Envelope>'


def fault(code):
    return envelope(f"<s:Fault><detail><UPnPError><errorCode>{code}</errorCode></UPnPError></detail></s:Fault>")


def body_of(request):
    """What is answered to a call."""
    if b"GetExternalIPAddress" in request:
        return envelope(f"<u:GetExternalIPAddressResponse><NewExternalIPAddress>{OUTSIDE}</NewExternalIPAddress></u:GetExternalIPAddressResponse>")
    lease = b"<NewLeaseDuration>0<" in request
    print(time.monotonic(), "asked to map", "for ever" if lease else "for a time", flush=True)
    if LIE == "taken" or (not lease and LIE in ("permanent", "noleases")):
        return fault({"taken": 718, "permanent": 725, "noleases": 402}[LIE])
    return envelope("<u:AddPortMappingResponse/>")


def talk(c):
    """One HTTP connection."""
    request = b""
    while b"\r\n\r\n" not in request or (request.startswith(b"POST") and b"Envelope>" not in request.split(b"\r\n\r\n", 1)[1]):
        more = c.recv(4096)
        if not more:
            return
        request += more
    if LIE in ("endless", "slow", "deep"):
        c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        piece = {"endless": b"<a>" + b"x" * 65536, "slow": b"<", "deep": b"<a>" * 16384}[LIE]
        while True:
            c.sendall(piece)
            if LIE == "slow":
                time.sleep(1)
    if request.startswith(b"GET"):
        text = DESC % (f"http://{OTHER}:5000/c" if LIE == "elsewhere" else "/c")
    else:
        text = body_of(request)
    code = "500 Internal Server Error" if "Fault" in text else "200 OK"
    c.sendall(f"HTTP/1.1 {code}\r\nContent-Type: text/xml\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())


def serve(c):
    """Until the other has enough."""
    try:
        talk(c)
    except OSError:
        pass
    c.close()


def http():
    """The description, and calls."""
    s = socket.create_server((GATEWAY, 5000))
    while True:
        c, _ = s.accept()
        threading.Thread(target=serve, args=(c,), daemon=True).start()


for f in () if LIE in PMP else (ssdp, http):
    threading.Thread(target=f, daemon=True).start()
pmp()
