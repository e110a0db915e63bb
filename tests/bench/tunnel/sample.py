"""One sample: a few seconds of iperf3, or of pings, through one tunnel; and the arithmetic of pairs."""
import json
import os
import statistics
import subprocess
import time

import lab

CORES_OF_THE_PROJECTION = 2
PORT = 5201


class Sample:
    """gbit: received; cpu: seconds of both tunnel processes; user, system: their parts (coarser);
    iperf: seconds of both iperf3; rss_kb: peak of the larger end; frame: mean bytes of a frame outside."""

    def __init__(self, **values):
        self.__dict__.update(values)

    @property
    def rate(self):
        return self.gbit / self.seconds

    @property
    def cpu_per_gbit(self):
        return self.cpu / self.gbit

    @property
    def all_per_gbit(self):
        return (self.cpu + self.iperf) / self.gbit

    @property
    def rss_mb(self):
        return self.rss_kb * 1024 / 1e6

    @property
    def projection(self):
        """Gbit/s that two free cores would carry."""
        return CORES_OF_THE_PROJECTION / self.all_per_gbit


def _rusage(process, seconds):
    """Waits for a child; its user and system time."""
    end = time.monotonic() + seconds
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_utime + usage.ru_stime
        if time.monotonic() > end:
            lab.stop(process)
            raise lab.Failed("iperf3 does not end")
        time.sleep(0.01)


def udp_buffer():
    """What iperf3 may ask for without more rights: it insists on getting it."""
    with open("/proc/sys/net/core/rmem_max", encoding="ascii") as r, open("/proc/sys/net/core/wmem_max", encoding="ascii") as w:
        return min(int(r.read()), int(w.read()), 4 << 20)


def iperf(tunnel, log, *, seconds, streams=1, reverse=False, udp=None, ipv6=False):
    """@udp: datagrams of 1200 bytes at so many bits a second, "0": as fast as iperf3 can."""
    cable = tunnel.cable
    address = tunnel.inside6 if ipv6 else tunnel.inside4
    server = cable.b.start(["iperf3", "-s", "-1", "-p", str(PORT)], log, stdout=subprocess.DEVNULL)
    lab.until(5, lambda: lab.listening(cable.b, PORT), "iperf3 -s")
    command = ["iperf3", "-c", address, "-p", str(PORT), "-t", str(seconds), "-J", "-P", str(streams),
               "--connect-timeout", "5000"]
    command += ["-R"] if reverse else []
    # a receiver with the default buffer would lose most of what comes in bursts: that is iperf3's limit, not a tunnel's
    command += ["-u", "-l", "1200", "-b", udp, "-w", str(udp_buffer())] if udp else []
    for pid in tunnel.pids:
        lab.peak_reset(pid)
    sender, device = cable.ends[1 if reverse else 0]
    frames = sender.statistic(device, "tx_packets"), sender.statistic(device, "tx_bytes")
    parts = [lab.cpu_user_system(pid) for pid in tunnel.pids]
    before = [lab.cpu_seconds(pid) for pid in tunnel.pids]
    client = cable.a.start(command, log, stdout=subprocess.PIPE, text=True)
    text = client.stdout.read()
    used = _rusage(client, 5)
    cpu = sum(lab.cpu_seconds(pid) for pid in tunnel.pids) - sum(before)
    after = [lab.cpu_user_system(pid) for pid in tunnel.pids]
    used += _rusage(server, 5)
    result = json.loads(text)
    if client.returncode or "error" in result:
        raise lab.Failed(f"{tunnel.kind}: iperf3: {result.get('error', client.returncode)}")
    values = dict(
        cpu=cpu, iperf=used, kind=tunnel.kind,
        user=sum(n[0] - o[0] for n, o in zip(after, parts)),
        system=sum(n[1] - o[1] for n, o in zip(after, parts)),
        rss_kb=max((lab.status_kb(pid, "VmHWM") for pid in tunnel.pids), default=0))
    received = result["end"]["sum_received"]
    values["seconds"] = received["seconds"]
    values["gbit"] = received["bytes"] * 8 / 1e9
    values["lost"] = received.get("lost_percent", 0) / 100
    n = sender.statistic(device, "tx_packets") - frames[0]
    values["frame"] = (sender.statistic(device, "tx_bytes") - frames[1]) / max(n, 1)
    if values["gbit"] <= 0:
        raise lab.Failed(f"{tunnel.kind}: nothing was received")
    return Sample(**values)


def round_trip(tunnel, program, count, pause_us, size=56):
    """Median and 5th percentile of @count idle pings of @size bytes, microseconds."""
    text = lab.run("ip", "netns", "exec", tunnel.cable.a.name, program, tunnel.inside4, str(count), str(pause_us),
                   str(size))
    median, low, answered = text.split()
    if int(answered) < count * 0.95:
        raise lab.Failed(f"{tunnel.kind}: {answered} of {count} pings were answered")
    return float(median), float(low)


def median(values):
    return statistics.median(values) if values else float("nan")


def scatter(values):
    """(Largest - smallest) / median."""
    return (max(values) - min(values)) / median(values)
