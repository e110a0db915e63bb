"""Every kind of house that the NAT laboratory has, one function each, and what it must be seen to do (prove.py) before it
is used. A house has a board, with or without a router; some pairs of boards share a router, or their routers do.
"""
import os, sys

import router as nat
from router import Router
from space import Space, stop, wait_for

PROXY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "proxy.py")
kinds, pairs = {}, {}

# What a board sees of its way out, unless a kind says otherwise.
#   udp        "independent", "counting" or "random" ports, one for all destinations or not; None: no UDP gets out
#   let_in     by a port that was used: what comes from "anybody", from an "address" or a "port" that was sent something
#   routers    that take one from the TTL
#   translated  whether servers see another address than the board's own
#   carrier    whether the second router's inside is in 100.64.0.0/10
#   tcp        the ports that it reaches directly
#   proxy      whether one lets it reach port 443
#   ipv6       "open", "stateful" (only answers come in), or None
#   has_ipv4   it has an address and a default route
#   hairpin    whether its outside port can be used from inside
#   steals     whether what comes unasked takes away the outside port
#   maps       protocols by which the router maps a port
USUAL = {"udp": "independent", "let_in": "port", "routers": 1, "translated": True, "carrier": False, "tcp": (80, 443), "proxy": False,
         "ipv6": None, "has_ipv4": True, "hairpin": False, "steals": False, "maps": ()}
NO_UDP = {"udp": None, "let_in": None, "routers": None, "translated": None, "hairpin": None, "steals": None}
PUBLIC = {"routers": 0, "translated": False, "hairpin": None}


class House:
    def __init__(self, board, four, six, routers, env=None, also=(), running=()):
        self.board, self.four, self.six, self.routers = board, four, six, routers
        self.env, self.also, self.running = env or {}, also, running

    def close(self):
        for p in self.running:
            stop(p)
        for s in (self.board, *self.also):
            s.close()
        for r in self.routers:
            r.close()


class Kind:
    def __init__(self, name, title, build, facts):
        self.name, self.title, self.build, self.facts = name, title, build, facts


def kind(name, title, **facts):
    def take(build):
        kinds[name] = Kind(name, title, build, {**USUAL, **facts})
        return build
    return take


def pair(name, title, hears, hairpin, routers=1):
    """Two boards of one place: whether they hear each other by their own addresses, and by their outside ones; the routers
    before each of them, of which the last is the same
    """
    def take(build):
        pairs[name] = Kind(name, title, build, {"hears": hears, "hairpin": hairpin, "routers": routers})
        return build
    return take


def behind(net, name, *routers, apart=False, **more):
    """A house whose board is in the LAN of the first of @routers"""
    board = Space("%s-%s" % (net.name, name))
    four, six = routers[0].plug(board, apart=apart)
    return House(board, four, six, routers, **more)


def simple(net, name, **options):
    return behind(net, name, Router(net, name + "-router", **options))


def double(net, name, outer):
    """@outer: three bytes of the addresses between the routers"""
    far = Router(net, name + "-outer", lan=outer)
    return behind(net, name, Router(net, name + "-router", up=far), far)


# --- no router

@kind("public", "public address", let_in="anybody", ipv6="open", **PUBLIC)
def public(net, name):
    board = Space("%s-%s" % (net.name, name))
    return House(board, *net.plug(board, "eth0", net.number()), ())


@kind("hostfw", "host firewall", ipv6="stateful", **PUBLIC)
def host_firewall(net, name):
    house = public(net, name)
    house.board.nft("""table inet ufw { chain input { type filter hook input priority 0
        iifname "eth0" meta l4proto ipv6-icmp accept
        iifname "eth0" ct state { new, invalid } drop
    }
}""")
    return house


# --- one router

@kind("easy", "easy NAT")
def easy(net, name):
    return simple(net, name)


@kind("full", "full cone", let_in="anybody")
def full(net, name):
    return simple(net, name, nat=nat.full_cone)


@kind("addr", "address-restricted", let_in="address")
def addr(net, name):
    return simple(net, name, nat=nat.address_restricted)


@kind("hard", "hard NAT", udp="random", steals=None)
def hard(net, name):
    return simple(net, name, nat=nat.random)


@kind("count", "hard, counting up", udp="counting", steals=None)
def count(net, name):
    return simple(net, name, nat=nat.counting)


# A way of some length: both sides' first packets are under way when they pass each other, as they are in the world.
@kind("openin", "open input chain", steals=True)
def open_input(net, name):
    return simple(net, name, nat=nat.kept, open_input=True, away_ms=10)


# --- two

@kind("double", "double NAT", routers=2)
def double_nat(net, name):
    return double(net, name, "192.168.0")


@kind("cgnat", "CGNAT", routers=2, carrier=True)
def cgnat(net, name):
    return double(net, name, "100.64.7")


# --- a hard router that maps ports if it is asked

def gateway(net, name, config, port, rules=""):
    router = Router(net, name + "-router", nat=nat.random)
    where = os.path.join(os.environ["HEARTH_TMP"], router.space.name)
    # what comes to its doors from inside; those that a protocol is not to have are shut by @rules
    router.space.nft("""table inet upnp {
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
    chain forward { type filter hook forward priority 0; jump miniupnpd; }
    chain prerouting { type nat hook prerouting priority dstnat; jump prerouting_miniupnpd; }
    chain postrouting { type nat hook postrouting priority srcnat - 1; jump postrouting_miniupnpd; }
    chain doors { type filter hook input priority -10; %s
    }
}""" % rules)
    with open(where + ".conf", "w") as f:
        f.write("""ext_ifname=wan
listening_ip=lan
http_port=5000
secure_mode=yes
system_uptime=yes
min_lifetime=20
max_lifetime=86400
uuid=00000000-0000-4000-8000-000000000001
lease_file=%s.leases
upnp_table_name=upnp
upnp_nat_table_name=upnp
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
allow 1024-65535 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
%s""" % (where, config))
    daemon = router.space.start("miniupnpd", "-d", "-f", where + ".conf", "-P", where + ".pid", log=where + ".log")
    wait_for(10, lambda: router.space.has_port("udp", port), "miniupnpd: " + where + ".log")
    return behind(net, name, router, running=(daemon,))


@kind("pcp", "gateway with PCP", udp="random", steals=None, maps=("pcp", "natpmp"))
def gateway_pcp(net, name):
    return gateway(net, name, "enable_natpmp=yes\nenable_upnp=no\n", 5351)


@kind("natpmp", "gateway with NAT-PMP", udp="random", steals=None, maps=("natpmp",))
def gateway_natpmp(net, name):
    return gateway(net, name, "enable_natpmp=yes\nenable_upnp=no\n", 5351, "udp dport 5351 @th,64,8 2 reject")


@kind("upnp", "gateway with UPnP", udp="random", steals=None, maps=("upnp",))
def gateway_upnp(net, name):
    return gateway(net, name, "enable_natpmp=no\nenable_upnp=yes\n", 1900)


# --- not all gets out

@kind("noudp", "UDP blocked", **NO_UDP)
def no_udp(net, name):
    return simple(net, name, out="meta l4proto udp drop")


@kind("https", "only TCP 443", tcp=(443,), **NO_UDP)
def https(net, name):
    return simple(net, name, out="tcp dport 443 accept; drop")


@kind("proxy", "only an HTTP proxy", tcp=(), proxy=True, **NO_UDP)
def http_proxy(net, name):
    router = Router(net, name + "-router", out="ip saddr 192.168.1.10 tcp dport 443 accept; drop")
    host = Space("%s-%s-proxy" % (net.name, name))
    four, _ = router.plug(host)
    log = os.path.join(os.environ["HEARTH_TMP"], host.name + ".log")
    daemon = host.start(sys.executable, PROXY, four, "3128", "anna", "open-sesame", log=log)
    wait_for(10, lambda: "ready" in open(log).read(), "the proxy: " + log)
    return behind(net, name, router, env={"https_proxy": "http://anna:open-sesame@%s:3128" % four}, also=(host,), running=(daemon,))


# --- IPv6

@kind("v6only", "IPv6 only", tcp=(), ipv6="open", has_ipv4=False, **NO_UDP)
def ipv6_only(net, name):
    return simple(net, name, lan=None, ipv6="open")


@kind("v4broken", "broken IPv4", tcp=(), ipv6="open", **NO_UDP)
def ipv4_broken(net, name):
    return simple(net, name, ipv6="open", out="meta nfproto ipv4 drop")


@kind("v6fw", "hard NAT, IPv6 firewall", udp="random", steals=None, ipv6="stateful")
def ipv6_firewall(net, name):
    return simple(net, name, nat=nat.random, ipv6="stateful")


# --- two boards of one place

def two(net, name, apart, **options):
    router = Router(net, name + "-router", **options)
    a, b = (behind(net, name + n, router, apart=apart) for n in "ab")
    b.routers = ()
    return a, b


def two_behind_carrier(net, name, kind_of_nat):
    far = Router(net, name + "-carrier", lan="100.64.7", nat=kind_of_nat)
    a, b = (behind(net, name + n, Router(net, name + n + "-router", up=far), far) for n in "ab")
    b.routers = b.routers[:1]
    return a, b


@pair("lan", "one LAN", hears=True, hairpin=False)
def lan(net, name):
    return two(net, name, apart=False)


@pair("guest+", "one router, apart; hairpin", hears=False, hairpin=True)
def guest_hairpin(net, name):
    return two(net, name, apart=True, nat=nat.hairpin)


@pair("guest-", "one router, apart; no hairpin", hears=False, hairpin=False)
def guest(net, name):
    return two(net, name, apart=True)


@pair("cgn+", "one CGNAT; hairpin", hears=False, hairpin=True, routers=2)
def carrier_hairpin(net, name):
    return two_behind_carrier(net, name, nat.hairpin)


@pair("cgn-", "one CGNAT; no hairpin", hears=False, hairpin=False, routers=2)
def carrier(net, name):
    return two_behind_carrier(net, name, nat.independent)
