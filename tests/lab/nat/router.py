"""A router of the NAT laboratory: interfaces `wan` and `lan` (a bridge), and nftables rules that make its kind.

What comes unasked is dropped in its input chain, before it makes a flow: else the first packet of a peer that opens a
way would be one to the router itself, and take away the port that ours is to come from (router.open_input is that).
"""
from space import Space, run, stop

WIDE = "20000-29999"  # outside the ephemeral ports, else one "in range" would be kept
OTHER = "30000-31999"


# --- what is in `table ip nat`, of a router whose outside address is WAN

def kept(wan, ports):
    """As Linux has it: one port for all destinations, the inside one if it is free"""
    return 'chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }'


def independent(wan, ports):
    """One port for all destinations, another than inside"""
    return """chain post { type nat hook postrouting priority srcnat
        oifname "wan" meta l4proto { tcp, udp } snat to %s:%s
        oifname "wan" masquerade
    }""" % (wan, ports)


def random(wan, ports):
    """A new port for each destination, any"""
    return 'chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade random,fully-random; }'


def counting(wan, ports):
    """A new port for each destination, the next (numgen itself as a port would come out byte-swapped: hence the map)"""
    return """chain post { type nat hook postrouting priority srcnat
        oifname "wan" meta l4proto udp snat to %s : numgen inc mod 512 map { %s }
        oifname "wan" masquerade
    }""" % (wan, ", ".join("%d : %d" % (i, 40000 + i) for i in range(512)))


# The map learns after the translation: udp sport is the outside port then. What it has comes in again.
LEARNT = """map learnt { type %(key)s : ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; size 65535; }
    chain pre { type nat hook prerouting priority dstnat; %(coming)s meta l4proto udp dnat ip to %(come)s map @learnt; }
    chain learn { type filter hook postrouting priority srcnat + 50
        oifname "wan" meta l4proto udp update @learnt { %(go)s : ct original ip saddr . ct original proto-src }
    }
"""


def full_cone(wan, ports):
    """As `independent`; anybody may use the port"""
    return LEARNT % {"key": "inet_service", "coming": 'iifname "wan"', "come": "udp dport", "go": "udp sport"} + independent(wan, ports)


def address_restricted(wan, ports):
    """As `independent`; whoever was sent something may use the port, from any of his"""
    return LEARNT % {"key": "inet_service . ipv4_addr", "coming": 'iifname "wan"', "come": "udp dport . ip saddr",
                     "go": "udp sport . ip daddr"} + independent(wan, ports)


def hairpin(wan, ports):
    """As `full_cone`, also from inside: a neighbour is seen at its outside port (RFC 4787, 6)"""
    return LEARNT % {"key": "inet_service", "coming": "ip daddr " + wan, "come": "udp dport", "go": "udp sport"} + """
    chain post { type nat hook postrouting priority srcnat
        oifname "wan" meta l4proto { tcp, udp } snat to %s:%s
        iifname "lan" oifname "lan" ct status dnat meta l4proto udp snat to %s:%s
        oifname "wan" masquerade
    }""" % (wan, ports, wan, ports)


class Router:
    """
    @up: the router whose LAN is its outside, None: the internet. @lan: three bytes of its LAN's addresses, None: no IPv4.
    @out: nftables rules of what goes out, all does. @ipv6: "none", "open", or "stateful" (only answers come in).
    @away_ms: how long what goes out is under way to the internet, and what comes in.
    """
    def __init__(self, net, name, nat=independent, lan="192.168.1", up=None, out="", ipv6="none", open_input=False, away_ms=0):
        self.net, self.nat, self.out, self.ipv6, self.open_input = net, nat, out, ipv6, open_input
        self.number, self.lan, self.up, self.ports, self.hosts = net.number(), lan, up, WIDE, 0
        self.space = Space("%s-%s" % (net.name, name))
        self.lan6 = "2001:db8:%x:" % (0x1000 + self.number) if ipv6 != "none" else None
        self.space.bridge("lan", *(["%s.1/24" % lan] if lan else []), *([self.lan6 + ":1/64"] if self.lan6 else []))
        self.space.sysctl("ipv4/ip_forward", 1)
        self.space.sysctl("ipv6/conf/all/forwarding", 1)
        for conf in "all", "default", "lan":  # hosts that may not hear each other are not told to
            self.space.sysctl("ipv4/conf/%s/send_redirects" % conf, 0)
        self.cable = net.far_away(self.space, "wan", away_ms) if away_ms else None
        if up:
            self.wan4, _ = up.plug(self.space, "wan")
        else:
            self.wan4, wan6 = net.plug(self.space, "wan", self.number, v4=bool(lan), v6=ipv6 != "none", plugged=bool(away_ms))
            if self.lan6:
                net.route(self.lan6 + ":/64", wan6)
        self.apply()

    def plug(self, space, ifname="eth0", apart=False):
        """A host of the LAN; @apart: it does not hear the others there. Returns its addresses"""
        host = 10 + self.hosts
        self.hosts += 1
        four = "%s.%d" % (self.lan, host) if self.lan else None
        six = "%s:%x" % (self.lan6, host) if self.lan6 else None
        port = self.space.plug("lan", space, ifname)
        if apart:
            with self.space.inside():
                run("bridge", "link", "set", "dev", port, "isolated", "on")
        lines = []
        if four:
            lines += ["addr add %s/24 dev %s" % (four, ifname), "route add default via %s.1" % self.lan]
        if six:
            lines += ["addr add %s/64 dev %s nodad" % (six, ifname), "route add default via %s:1" % self.lan6]
        space.ip(*lines)
        return four, six

    def apply(self):
        """The rules; every flow and mapping is forgotten"""
        guard = 'iifname "wan" ct state { new, invalid } drop'
        back = "" if self.nat is hairpin or not self.wan4 else 'iifname "lan" ip daddr %s meta l4proto udp drop' % self.wan4
        self.space.nft("""flush ruleset
table inet lab {
    chain input { type filter hook input priority 0
        iifname "wan" meta l4proto ipv6-icmp accept
        %s
        %s
    }
    chain forward { type filter hook forward priority 0
        ct state established,related accept
        iifname "wan" ct status dnat accept
        %s
        %s
        %s
    }
}
table ip nat {
    %s
}
""" % ("" if self.open_input else guard, back, 'iifname "wan" meta nfproto ipv6 accept' if self.ipv6 == "open" else "", guard,
            self.out, self.nat(self.wan4, self.ports) if self.wan4 else ""))
        self.space.forget_flows()

    # --- what befalls it

    def rebind(self):
        """Every flow gets another port"""
        self.ports = OTHER if self.ports == WIDE else WIDE
        self.apply()

    def renumber(self):
        """Its provider gives it another address"""
        old, self.number = self.wan4, self.net.number()
        self.wan4 = "11.22.%d.%d" % divmod(self.number, 256)
        self.space.ip("addr del %s/16 dev wan" % old, "addr add %s/16 dev wan" % self.wan4, "route replace default via 11.22.0.1")
        self.apply()

    def off(self):
        self.space.ip("link set wan down", "link set lan down")

    def on(self):
        self.space.ip("link set lan up", "link set wan up", "route replace default via 11.22.0.1")
        self.rebind()

    def forgets_after(self, seconds):
        """UDP of which nothing was heard"""
        self.space.sysctl("netfilter/nf_conntrack_udp_timeout", seconds)
        self.space.sysctl("netfilter/nf_conntrack_udp_timeout_stream", seconds)

    def close(self):
        if self.cable:
            stop(self.cable[0])
            self.cable[1].close()
        self.space.close()
