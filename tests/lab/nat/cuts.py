"""Two boards behind easy NATs, one TCP connection of iperf3 between them, and what befalls their ways. It lives through all
of it; how long it stood still is the longest time in which nothing came out of the mesh.
"""
import contextlib, json, os, re, signal, threading, time

import houses, pairs, prove, report
from lane import Lane, Pings
from space import stop

SAMPLE_SECONDS = 0.02
CALM_SECONDS = 3  # before anything befalls: a doubt that was without reason puts off the next one for 2.2 s
LITTLE = 3000  # bytes in a sample: no more than keeps a way open
scenes = {}


class Scene:
    def __init__(self, play, long, silent):
        self.play, self.long, self.silent = play, long, silent


def scene(long=False, silent=False):
    """@silent: without the connection"""
    def take(play):
        scenes[play.__name__] = Scene(play, long, silent)
        return play
    return take


class Flow:
    """What comes out of the mesh at a board, for as long as it is watched"""
    def __init__(self, space):
        self.space, self.last, self.longest, self.ended = space, 0, 0, False
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def bytes(self):
        with open("/proc/thread-self/net/dev") as f:
            found = re.search(r"hearth0: *(\d+)", f.read())
        return int(found[1]) if found else 0

    def watch(self):
        with self.space.inside():
            before = self.bytes()
            while not self.ended:
                time.sleep(SAMPLE_SECONDS)
                now, at = self.bytes(), time.monotonic()
                if now - before > LITTLE:
                    self.longest, self.last = max(self.longest, at - self.last), at
                before = now

    def mark(self):
        self.longest = 0

    def stood_still(self):
        """The longest time since the mark, that of this moment included"""
        return max(self.longest, time.monotonic() - self.last)

    def flows(self):
        return time.monotonic() - self.last < 5 * SAMPLE_SECONDS

    def end(self):
        self.ended = True
        self.thread.join()


class Connection:
    """A TCP connection from x to y, 20 Mbit/s until its end"""
    def __init__(self, x, y, said):
        self.said = said
        self.server = y.space.start("iperf3", "-s", "-1")
        until(5, lambda: y.space.has_port("tcp", 5201))
        with contextlib.suppress(FileNotFoundError):
            os.remove(said)
        self.client = x.space.start("iperf3", "-J", "-c", y.mesh4, "-b", "20M", "-t", "900", log=self.said)

    def end(self):
        """What was wrong with it, None: nothing"""
        alive = self.client.poll() is None
        stop(self.client, signal.SIGINT)
        stop(self.server)
        said = json.load(open(self.said))
        if not alive or not said.get("error", "").startswith("interrupt") or len(said["start"].get("connected", ())) != 1:
            return said.get("error", "it ended by itself")
        return None


def until(seconds, condition):
    """How long it took; None: not within that time"""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            return None
        time.sleep(SAMPLE_SECONDS)
    return time.monotonic() - begin


class Stage:
    def __init__(self):
        self.lane, self.bad = Lane("cuts"), 0
        self.a, self.b = (houses.easy(self.lane.net, n) for n in "ab")
        self.x, self.y = self.lane.x, self.lane.y
        self.x.start(self.a.board)
        self.y.start(self.b.board)
        pings = Pings(self.x, self.y)
        self.check("they reach each other", pings.once(15))
        pings.close()
        self.within(10, "they are direct", self.direct)

    # --- what is seen

    def state(self, state):
        return self.x.sees(self.y).get("state") == state and self.y.sees(self.x).get("state") == state

    def direct(self):
        return self.state("direct")

    def relayed(self):
        return self.state("relayed")

    def ends(self):
        """Where each is seen by the other"""
        return self.y.sees(self.x).get("endpoint"), self.x.sees(self.y).get("endpoint")

    def direct_anew(self, x=None, y=None):
        """... and they are not where they were (None: it does not matter)"""
        now = self.ends()
        return self.direct() and now[0] != x and now[1] != y and None not in now

    # --- what is told

    def check(self, what, good):
        self.bad += not good
        report.tell("%s %s" % ("ok  " if good else "FAIL", what))

    def within(self, seconds, what, condition):
        took = until(seconds, condition)
        self.check("%s: %s" % (what, "not within %g s" % seconds if took is None else "after %.2f s" % took), took is not None)
        for board, other in ((self.x, self.y), (self.y, self.x)) if took is None else ():
            report.tell("     %s: %s" % (board.name, pairs.way_of(board.sees(other))))

    def still(self, seconds, what):
        """The connection flows again, and did not stand still for longer than that"""
        until(seconds + 5, self.flow.flows)
        longest = self.flow.stood_still()
        self.check("%s: the connection stood still for %.2f s" % (what, longest), longest <= seconds)

    # --- what is done

    def cut(self):
        """Dropped on input at both ends: nobody who sends is told. The relay's way stays"""
        for house in self.a, self.b:
            house.board.nft('table inet cut { chain in { type filter hook prerouting priority -400; '
                            'iifname "eth0" ip saddr != %s meta l4proto udp drop; }\n}' % self.lane.four)

    def mend(self):
        for house in self.a, self.b:
            house.board.nft("delete table inet cut")

    def play(self, name):
        report.tell("---- " + name)
        if scenes[name].silent:
            scenes[name].play(self)
        else:
            self.with_connection(name)
        self.within(30, "they are direct", self.direct)

    def with_connection(self, name):
        said = os.path.join(self.lane.where, name + ".json")
        self.flow, connection = Flow(self.y.space), Connection(self.x, self.y, said)
        self.check("a TCP connection flows", until(5, self.flow.flows) is not None)
        time.sleep(CALM_SECONDS)
        self.flow.mark()
        scenes[name].play(self)
        until(5, self.flow.flows)
        why = connection.end()
        self.check("the connection was not lost%s" % (": " + why if why else ""), not why)
        self.flow.end()


@scene()
def path_cut(s):
    s.cut()
    s.within(5, "relayed", s.relayed)
    s.still(3, "cut")
    s.flow.mark()
    s.mend()
    s.within(1, "mended, direct again", s.direct)
    s.still(0.5, "mended")


@scene()
def wan_swapped(s):
    x, _ = s.ends()
    s.a.routers[0].renumber()
    s.within(10, "another WAN address, direct again", lambda: s.direct_anew(x))
    s.still(10, "another WAN address")


@scene()
def both_rebound(s):
    before = s.ends()
    for house in s.a, s.b:
        house.routers[0].rebind()
    s.within(10, "both routers took other ports, direct again", lambda: s.direct_anew(*before))
    s.still(3, "both routers took other ports")


@scene(long=True)
def router_rebooted(s):
    x, _ = s.ends()
    s.a.routers[0].off()
    time.sleep(3)  # so long a reboot takes
    s.a.routers[0].on()
    s.within(10, "a router rebooted, direct again", lambda: s.direct_anew(x))
    s.still(3 + 10, "a router rebooted")


@scene(long=True)
def relay_killed(s):
    s.lane.relay_kill()
    until(2, lambda: False)  # nothing is to happen for so long
    s.still(0.5, "the relay was killed while they were direct")
    s.lane.relay_start()
    s.within(40, "both are bound to it", lambda: all(r["state"] == "bound" for b in (s.x, s.y) for r in b.status()["relays"]))
    s.cut()
    s.within(5, "relayed", s.relayed)
    until(5, s.flow.flows)
    s.flow.mark()
    s.lane.relay_kill()
    time.sleep(1)  # RestartSec of its unit
    s.lane.relay_start()
    s.still(5, "the relay was killed while it carried, and restarted")
    s.mend()
    s.within(5, "mended, direct again", s.direct)


@scene(long=True)
def all_at_once(s):
    """Both get another WAN address while the relay is away"""
    before = s.ends()
    s.lane.relay_kill()
    for house in s.a, s.b:
        house.routers[0].renumber()
    time.sleep(1)
    s.lane.relay_start()
    s.within(30, "both have another WAN address and the relay was away, direct again", lambda: s.direct_anew(*before))


@scene(long=True, silent=True)
def forgetful(s):
    """Nobody talks for a minute, behind routers that forget what was silent for 20 s"""
    s.a.routers[0].forgets_after(2)
    s.check("a router forgets what was silent", prove.forgets(s.lane.net, s.a, 2))
    for house in s.a, s.b:
        house.routers[0].forgets_after(20)
        house.routers[0].rebind()
    time.sleep(60)
    pings = Pings(s.x, s.y)
    took = until(3, lambda: pings.once(0.1))
    s.check("who then talks is answered: %s" % ("not within 3 s" if took is None else "after %.2f s" % took), took is not None)
    pings.close()
    s.within(3, "and is direct", s.direct)


def play(long):
    wanted = os.environ.get("HEARTH_SCENES", "").split() or [n for n, s in scenes.items() if s.long == long]
    stage = Stage()
    for name in wanted:
        stage.play(name)
    return stage.bad
