"""idle.py mesh N | board WHAT PID NAMESPACE STATE N SETTLE JUDGED...: what hearthd with N peers costs where nothing happens, and
whether that is within the budgets: of a mesh made here what it writes, or what is JUDGED of a board that runs, after SETTLE
seconds."""
import os
import sys
import time

import lab
from budgets import budget

SECONDS = int(os.environ["SECONDS_IDLE"])
SETTLE = 75  # of a mesh made here
DEVICE = "eth0"


class Files:
    """Bytes written in a directory, looked at each second: a file that changed was written whole, one that only grew by so much."""

    def __init__(self, path):
        self.path, self.seen, self.bytes = path, {}, 0

    def look(self):
        now = {}
        for entry in os.scandir(self.path):
            try:
                st = entry.stat()
            except FileNotFoundError:
                continue
            now[entry.name] = st.st_ino, st.st_mtime_ns, st.st_size
            old = self.seen.get(entry.name)
            if old != now[entry.name]:
                grew = old and old[0] == st.st_ino and st.st_size > old[2]
                self.bytes += st.st_size - old[2] if grew else st.st_size
        self.seen = now


def counters(pid, namespace):
    files = (f"/sys/class/net/{DEVICE}/statistics/{way}_packets" for way in ("rx", "tx"))
    packets = lab.run("ip", "netns", "exec", namespace, "cat", *files)
    return sum(map(int, packets.split())), lab.cpu_seconds(pid), lab.wakeups(pid)


def figures(pid, namespace, state, settle):
    """Packets an hour, CPU ms a minute, wakeups a minute, bytes a day."""
    files = Files(state)
    time.sleep(settle)
    files.look()
    files.bytes = 0
    before, began = counters(pid, namespace), time.monotonic()
    while time.monotonic() < began + SECONDS:
        time.sleep(1)
        files.look()
    took = time.monotonic() - began
    packets, cpu, wakeups = (now - then for now, then in zip(counters(pid, namespace), before))
    return packets * 3600 / took, cpu * 1000 * 60 / took, wakeups * 60 / took, files.bytes * 86400 / took


def judge(what, n, judged, packets, cpu, wakeups, written):
    missed = 0
    print(f"idle, {what}: {packets:.0f} packets an hour ({packets / n:.0f} for each)", flush=True)
    for name, value, limit, unit in (("CPU", cpu, budget("idle-cpu"), "ms a minute"),
                                     ("woken", wakeups, budget("idle-wakeups"), "times a minute"),
                                     ("written", written / 1000, budget("idle-written"), "kB a day")):
        bad = name in judged and value > limit
        missed += bad
        print(f"idle, {what}: {name} {value:.1f} {unit}" + (f", at most {limit:g}: {'MISSED' if bad else 'ok'}" if name in judged else ""), flush=True)
    return 1 if missed else 0


def mesh(n):
    import measure  # of bench/hearthd
    tmp, build = os.environ["HEARTH_TMP"], os.environ["HEARTH_BUILD"]
    with open(f"{tmp}/processes.log", "w", encoding="utf-8") as log:
        made = measure.Mesh(f"{build}/bench", f"{build}/bin", n, f"{tmp}/mesh", log)
        cost = figures(made.pid, made.b.name, f"{tmp}/mesh/state", SETTLE)
        if made.reachable() != n:
            raise lab.Failed(f"not all of {n} boards are reached at the end")
        made.stop()
    return judge(f"{n} peers", n, ["written"], *cost)


def main():
    try:
        if sys.argv[1] == "mesh":
            return mesh(int(sys.argv[2]))
        what, pid, namespace, state, n, settle, *judged = sys.argv[2:]
        return judge(what, int(n), judged, *figures(int(pid), namespace, state, int(settle)))
    except lab.Failed as error:
        print(f"FAIL: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
