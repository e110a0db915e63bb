"""Three light boards (boards.sh): b and c reach each other directly or by the relay on a, over UDP, whichever is wanted."""
import os
import subprocess

import derp
import lab

DEVICE = "hearth0"


class Place(lab.Netns):
    """A namespace that others made."""

    def __init__(self, name):  # pylint: disable=super-init-not-called
        self.name = name


class Boards:
    def __init__(self, build, source, log):
        self.log = log
        self.process = lab.start(["bash", f"{source}/tests/bench/relay/boards.sh"], log, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, env={**os.environ, "HEARTH_BUILD": build, "HEARTH_SOURCE": source})
        self.answer("three boards and a relay")
        prefix, pid, self.inside = self.tell("say").split()
        self.b, self.c, self.relay_pid = Place(f"{prefix}b"), Place(f"{prefix}c"), int(pid)

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

    def tell(self, *words):
        line = " ".join(map(str, words))
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer(line)

    def sample(self, **options):
        """Mbit/s from b to c; CPU seconds of the relay for each Gbit."""
        before, cpu = self.c.statistic(DEVICE, "rx_bytes"), lab.cpu_seconds(self.relay_pid)
        mbit = derp.iperf(self.b, self.c, self.inside, self.log, **options)
        gbit = (self.c.statistic(DEVICE, "rx_bytes") - before) * 8 / 1e9
        return {"mbit": mbit, "cpu": (lab.cpu_seconds(self.relay_pid) - cpu) / gbit}

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        lab.stop(self.process)
        self.process.stdout.close()
