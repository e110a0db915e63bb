"""Who asks a router for a port, by plain UDP and a little HTTP: PCP, NAT-PMP and UPnP; and a proxy for a connection."""
import base64, os, re, select, socket, struct

from internet import SERVERS4

GATEWAY = "192.168.1.1"
IGD = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
WAIT = 5  # seconds; nobody there is told at once
UDP = 17


def connect_request(host, port, user):
    return ("CONNECT %s:%d HTTP/1.1\r\nHost: %s:%d\r\nProxy-Authorization: Basic %s\r\n\r\n" % (
        host, port, host, port, base64.b64encode(user.encode()).decode())).encode()


def ask(board, request):
    """The router's answer at the port of PCP and NAT-PMP, b"" for none"""
    s = board.socket()
    s.connect((GATEWAY, 5351))
    try:
        s.send(request)
        return s.recv(1100) if select.select([s], [], [], WAIT)[0] else b""
    except ConnectionRefusedError:
        return b""
    finally:
        s.close()


# Each returns the outside port for the inside one, None if there is none.

def natpmp(board, address, port):  # RFC 6886, 3.3
    answer = ask(board, struct.pack(">BBxxHHI", 0, 1, port, 0, 120))
    if len(answer) != 16 or answer[:4] != bytes((0, 129, 0, 0)):
        return None
    return struct.unpack(">H", answer[10:12])[0]


def pcp(board, address, port):  # RFC 6887, 7.1 and 11.1
    mapped = b"\0" * 10 + b"\xff" * 2
    request = struct.pack(">BBxxI", 2, 1, 120) + mapped + socket.inet_aton(address)
    answer = ask(board, request + os.urandom(12) + struct.pack(">BxxxHH", UDP, port, 0) + mapped + b"\0" * 4)
    if len(answer) < 60 or answer[:2] != bytes((2, 129)) or answer[3]:
        return None
    return struct.unpack(">H", answer[42:44])[0]


def http(board, request, at):
    s = board.socket(kind=socket.SOCK_STREAM)
    s.settimeout(WAIT)
    s.connect(at)
    s.sendall(request)
    answer = b""
    while True:
        more = s.recv(65536)
        answer += more
        if not more:
            s.close()
            return answer.decode()


def refuses(board, port):
    """Whether the router says that nobody is there"""
    s = board.socket()
    s.connect((GATEWAY, port))
    try:
        s.send(b"")
        select.select([s], [], [], 0.3)
        s.send(b"")
        return False
    except ConnectionRefusedError:
        return True
    finally:
        s.close()


def find_igd(board):
    if refuses(board, 1900):
        return None
    s = board.socket()
    s.sendto(("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: %s\r\n\r\n" % IGD).encode(),
             ("239.255.255.250", 1900))
    answer = s.recv(2048).decode() if select.select([s], [], [], WAIT)[0] else ""
    s.close()
    return re.search(r"(?im)^location: *http://([\d.]+):(\d+)(\S+)", answer)


def upnp(board, address, port):
    found = find_igd(board)
    if not found:
        return None
    at = (found[1], int(found[2]))
    text = http(board, ("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" % (found[3], found[1])).encode(), at)
    service = re.search(r"(?s)(urn:schemas-upnp-org:service:WANIPConnection:\d).*?<controlURL>(.*?)</controlURL>", text)
    if not service:
        return None
    arguments = "".join("<%s>%s</%s>" % (n, v, n) for n, v in (
        ("NewRemoteHost", ""), ("NewExternalPort", port), ("NewProtocol", "UDP"), ("NewInternalPort", port), ("NewInternalClient", address),
        ("NewEnabled", 1), ("NewPortMappingDescription", "lab"), ("NewLeaseDuration", 120)))
    body = ('<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:AddPortMapping xmlns:u="%s">%s</u:AddPortMapping>'
            '</s:Body></s:Envelope>' % (service[1], arguments))
    answer = http(board, ('POST %s HTTP/1.0\r\nHost: %s\r\nContent-Type: text/xml\r\nSOAPAction: "%s#AddPortMapping"\r\n'
                          'Content-Length: %d\r\n\r\n%s' % (service[2], found[1], service[1], len(body), body)).encode(), at)
    return port if " 200 " in answer.split("\r\n")[0] else None


def works(net, board, protocol):
    """Whether it maps a port at which a stranger's word then comes in"""
    s, far, word = board.socket(at=("", 0)), net.space.socket(at=(SERVERS4[1], 0)), os.urandom(8)
    with board.inside():
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.connect((GATEWAY, 9))
    outside = protocol(board, probe.getsockname()[0], s.getsockname()[1])
    came = None
    if outside:
        s2 = board.socket()  # says which outside address we have
        s2.sendto(b"x", far.getsockname())
        if select.select([far], [], [], WAIT)[0]:
            far.sendto(word, (far.recvfrom(16)[1][0], outside))
        s2.close()
        if select.select([s], [], [], WAIT)[0]:
            came = s.recv(16)
    for each in s, far, probe:
        each.close()
    return came == word


def offered(net, board):
    return tuple(p.__name__ for p in (pcp, natpmp, upnp) if works(net, board, p))
