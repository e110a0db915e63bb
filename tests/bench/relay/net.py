"""A relay between two houses, each at the end of a cable of its own:

    b (house)  eth0 ---- cable ---- rb  r (relay)  rc ---- cable ---- eth0  c (house)
      10.1.1.2                10.1.1.1             10.1.2.1                10.1.2.2

A cable is tests/lab/delaylink between two veth pairs. "whole" ones let super-frames pass as they are, so that the cable
costs little of the processor that all share; on the others each frame crosses by itself, as on a real link.

TCP is as on a board that nobody has tuned (Debian 12, Ubuntu 22.04, Raspberry Pi OS): cubic, buffers up to 6 and 4 MB,
whatever this machine has."""
import subprocess

import lab

CONGESTION = "cubic"
RMEM, WMEM = "4096 131072 6291456", "4096 16384 4194304"


def untuned(ns):
    ns.run("sysctl", "-qw", f"net.ipv4.tcp_rmem={RMEM}", f"net.ipv4.tcp_wmem={WMEM}")


class Leg:
    """One house's cable. @house: its namespace, @relay: the relay's."""

    def __init__(self, program, log, house, relay, number):
        self.program, self.log, self.process = program, log, None
        self.house, self.relay, self.device = house, relay, f"r{number}"
        self.wire = lab.Netns("w")
        net = f"10.1.{number}"
        self.address, self.relay_address = f"{net}.2", f"{net}.1"
        for ns, device, wire, address in ((house, "eth0", "w0", self.address), (relay, self.device, "w1", self.relay_address)):
            lab.run("ip", "link", "add", device, "netns", ns.name, "type", "veth", "peer", "name", wire, "netns", self.wire.name)
            self.wire.ip("link", "set", wire, "up")
            ns.ip("addr", "add", f"{address}/24", "dev", device)
            ns.ip("link", "set", device, "up")
            ns.ip("route", "replace", f"{net}.0/24", "dev", device, "src", address, "congctl", CONGESTION)

    def cable(self, delay_ms=0, loss_permille=0, kbit=0, whole=True):
        """Puts in another cable."""
        self.cut()
        for ns, device in ((self.house, "eth0"), (self.relay, self.device)):
            word = "on" if whole else "off"
            ns.run("ethtool", "-K", device, "tx", word, "tso", word, "gso", word, "gro", word)
        options = ["-s"] if whole else []
        self.process = self.wire.start([self.program, *options, "w0", "w1", str(delay_ms), "0", str(loss_permille), "0", str(kbit)],
                                       self.log, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise lab.Failed("delaylink does not start")

    def cut(self):
        if self.process:
            lab.stop(self.process)
            self.process.stdout.close()
            self.process = None


class Net:
    def __init__(self, delaylink, log):
        self.r, self.b, self.c = (lab.Netns(s) for s in "rbc")
        for ns in (self.r, self.b, self.c):
            untuned(ns)
        self.legs = [Leg(delaylink, log, house, self.r, n) for n, house in enumerate((self.b, self.c), 1)]

    def round_trip(self, ms):
        """Between the houses, half of it on either cable."""
        for leg in self.legs:
            leg.cable(delay_ms=ms / 4)
