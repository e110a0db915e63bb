"""What idle clients of DERP cost a server in memory."""
import subprocess

import lab
import report

COUNTS = (200, 5000)
SOURCES = "10.9.0.0/22"  # where they come from


class Crowd:
    def __init__(self, cable, server, derp_load, first, count, log):
        self.process = cable.a.start([derp_load, "idle", "-s", SOURCES, f"192.0.2.2:{server.port}", str(first), str(count)],
                                     log, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = ""
        while said.split()[:1] != ["in"]:
            said = self.process.stdout.readline()
            if not said:
                raise lab.Failed(f"{server.name}: derp-load ended")
        self.number = int(said.split()[1])

    def stop(self):
        lab.stop(self.process)
        self.process.stdin.close()
        self.process.stdout.close()


def connect(cable):
    cable.a.ip("route", "add", "local", SOURCES, "dev", "lo")
    cable.b.ip("route", "add", SOURCES, "via", "192.0.2.1")


def measure(cable, server, derp_load, log):
    """For each of COUNTS: clients that are in, and kB a client beside none."""
    before, rows, crowds, first = server.rss_kb(), {}, [], 1
    try:
        for count in COUNTS:
            crowds.append(Crowd(cable, server, derp_load, first, count - first + 1, log))
            first = count + 1
            n = sum(c.number for c in crowds)
            server.alive()
            rss = server.rss_kb()
            rows[count] = {"in": n, "rss_kb": rss, "each_kb": (rss - before) / max(n, 1)}
            report.say(f"       {server.name:<13}{n:>6} clients: {rss / 1024:.1f} MB, {rows[count]['each_kb']:.1f} kB each "
                       f"({before / 1024:.1f} MB without)")
    finally:
        for crowd in crowds:
            crowd.stop()
    return rows
