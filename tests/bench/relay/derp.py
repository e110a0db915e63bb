"""TCP over DERP: derpload joins a TUN device in either house to the other over one server, and iperf3 runs between them.
The ends cost the same whichever server it is."""
import itertools
import json
import subprocess

import lab

MTU = 1280
PORT = 5201
_serial = itertools.count()


class Tunnel:
    """Clients @numbers of @server, as 10.20.0.1 in b and 10.20.0.2 in c."""

    inside = "10.20.0.2"

    def __init__(self, net, server, derpload, log):
        self.net, self.server, self.log, self.processes = net, server, log, []
        self.devices = []
        for n, (ns, leg) in enumerate(zip((net.b, net.c), net.legs), 1):
            device = f"d{next(_serial)}"
            process = ns.start([derpload, "tun", f"{leg.relay_address}:{server.port}", device, str(n), str(3 - n)], log,
                               stdout=subprocess.PIPE, text=True)
            self.processes.append(process)
            self.devices.append(device)
            if process.stdout.readline().strip() != "ready":
                raise lab.Failed(f"{server.name}: derpload does not get in")
            ns.ip("addr", "add", f"10.20.0.{n}/24", "dev", device)
            ns.ip("link", "set", device, "mtu", str(MTU), "up")
        lab.until(10, self.answers, f"{server.name}: an answer through it")

    def answers(self):
        return subprocess.run(["ip", "netns", "exec", self.net.b.name, "ping", "-q", "-c", "1", "-W", "1", self.inside],
                              capture_output=True, check=False).returncode == 0

    def stop(self):
        for process in self.processes:
            lab.stop(process)
            process.stdout.close()


def iperf(b, c, address, log, *, seconds, streams=1):
    """Mbit/s that c received from b, without the first second, in which TCP finds out what the line takes."""
    server = c.start(["iperf3", "-s", "-1", "-p", str(PORT)], log, stdout=subprocess.DEVNULL)
    lab.until(5, lambda: lab.listening(c, PORT), "iperf3 -s")
    text = subprocess.run(
        ["ip", "netns", "exec", b.name, "iperf3", "-c", address, "-p", str(PORT), "-t", str(seconds), "-O", "1", "-J",
         "-P", str(streams), "-C", "cubic", "--connect-timeout", "5000"], stdout=subprocess.PIPE, stderr=log, text=True, check=False).stdout
    try:
        server.wait(5)  # it ends by itself
    except subprocess.TimeoutExpired:
        pass
    lab.stop(server)
    result = json.loads(text)
    if "error" in result:
        raise lab.Failed(f"iperf3: {result['error']}")
    return result["end"]["sum_received"]["bits_per_second"] / 1e6


def sample(tunnel, log, **options):
    """One sample: mbit, and CPU seconds of the server for each Gbit that it carried."""
    c, device = tunnel.net.c, tunnel.devices[1]
    before, cpu = c.statistic(device, "rx_bytes"), tunnel.server.cpu()
    mbit = iperf(tunnel.net.b, c, tunnel.inside, log, **options)
    gbit = (c.statistic(device, "rx_bytes") - before) * 8 / 1e9
    return {"mbit": mbit, "cpu": (tunnel.server.cpu() - cpu) / gbit}
