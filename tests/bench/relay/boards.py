"""Three light boards (boards.sh): b and c reach each other directly, or by the relay on a over UDP or TCP (DERP), as is wanted;
what serves at its TCP port may be derper."""
import json
import os
import subprocess

import lab

DEVICE = "hearth0"
PORT = 5201


class Place(lab.Netns):
    """A namespace that others made."""

    def __init__(self, name):  # pylint: disable=super-init-not-called
        self.name = name


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


class Boards:
    def __init__(self, build, source, derper, log):
        self.log = log
        self.process = lab.start(["bash", f"{source}/tests/bench/relay/boards.sh"], log, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, env={**os.environ, "HEARTH_BUILD": build, "HEARTH_SOURCE": source, "DERPER": derper})
        self.answer("three boards and a relay")
        prefix, _, self.inside = self.tell("say").split()
        self.b, self.c = Place(f"{prefix}b"), Place(f"{prefix}c")

    def answer(self, what):
        said = []
        while True:
            line = self.process.stdout.readline()
            if not line or line.startswith("did "):
                break
            said.append(line.strip())
        if line.strip() != "did 0":
            raise lab.Failed(f"boards: {what}: " + ("; ".join(said) or "no"))
        return " ".join(said)

    def round_trip(self, ms, **options):
        """Between b and c, half of it on either cable."""
        for board in "bc":
            self.leg(board, ms / 4, **options)

    def leg(self, board, ms, loss_permille=0, kbit=0, whole=False):
        self.tell("leg", board, ms, loss_permille, kbit, *(["whole"] if whole else []))

    def tell(self, *words):
        line = " ".join(map(str, words))
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer(line)

    def sample(self, **options):
        """Mbit/s from b to c; CPU seconds, for each Gbit, of what serves at the relay."""
        pid = int(self.tell("say").split()[1])
        before, cpu = self.c.statistic(DEVICE, "rx_bytes"), lab.cpu_seconds(pid)
        mbit = iperf(self.b, self.c, self.inside, self.log, **options)
        gbit = (self.c.statistic(DEVICE, "rx_bytes") - before) * 8 / 1e9
        return {"mbit": mbit, "cpu": (lab.cpu_seconds(pid) - cpu) / gbit}

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        lab.stop(self.process)
        self.process.stdout.close()
