"""Network namespaces of the NAT laboratory: made, entered, and taken away again.

A namespace is called hnPID-NAME after the process that made it, so that the next run sweeps what a killed one has left.
A thread is inside one for as long as a `with` lasts; sockets and processes made there stay there.
"""
import atexit, contextlib, ctypes, os, re, signal, socket, struct, subprocess, threading, time

PLAIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "plain")
CLONE_NEWNET = 0x40000000
NETLINK_NETFILTER = 12
libc = ctypes.CDLL(None, use_errno=True)
home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
processes = set()
guard = threading.Lock()
over = threading.Event()


def run(*args, text=None):
    done = subprocess.run(args, input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise RuntimeError("%s: %s%s" % (" ".join(args), done.stdout, "\n" + text if text else ""))
    return done.stdout


def enter(fd):
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def wait_for(seconds, condition, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("not within %d s: %s" % (seconds, what))
        time.sleep(0.02)


class Space:
    def __init__(self, name):
        self.name = "hn%d-%s" % (os.getpid(), name)
        if over.is_set():
            raise RuntimeError("the test is over")
        run("ip", "netns", "add", self.name)
        self.fd = os.open("/run/netns/" + self.name, os.O_RDONLY)
        with self.inside():
            run(PLAIN, "true")
        # an address counts from the moment it is given
        self.sysctl("ipv6/conf/all/accept_dad", 0)
        self.sysctl("ipv6/conf/default/accept_dad", 0)
        self.sysctl("ipv6/conf/default/dad_transmits", 0)
        self.ip("link set lo up")

    @contextlib.contextmanager
    def inside(self):
        enter(self.fd)
        try:
            yield
        finally:
            enter(home)

    def ip(self, *lines):
        run("ip", "-n", self.name, "-batch", "-", text="\n".join(lines) + "\n")

    def nft(self, text):
        with self.inside():
            run("nft", "-f", "-", text=text)

    def sysctl(self, path, value):
        with self.inside(), open("/proc/sys/net/" + path, "w") as f:
            f.write(str(value))

    def bridge(self, name, *addresses):
        # with an address of its own: else it is that of a port, and changes when one comes or goes
        self.ip("link add %s address 02:00:%s type bridge mcast_snooping 0" % (name, os.urandom(4).hex(":")), *("addr add %s dev %s%s" % (a, name, " nodad" if ":" in a else "") for a in addresses),
                "link set %s up" % name)
        with contextlib.suppress(FileNotFoundError):  # what is bridged is not routed
            self.sysctl("bridge/bridge-nf-call-iptables", 0)
            self.sysctl("bridge/bridge-nf-call-ip6tables", 0)

    def cable(self, port, other, ifname):
        """From our new interface to the other's"""
        run("ip", "link", "add", port, "netns", self.name, "type", "veth", "peer", "name", ifname, "netns", other.name)
        self.ip("link set %s up" % port)
        other.ip("link set %s up" % ifname)

    def plug(self, bridge, other, ifname):
        """A cable from our bridge to the other's new interface; returns our end's name"""
        port = "p%x" % (abs(hash(other.name + ifname)) % 16 ** 12)
        self.cable(port, other, ifname)
        self.ip("link set %s master %s" % (port, bridge))
        return port

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_DGRAM, proto=0, at=None):
        with self.inside():
            s = socket.socket(family, kind, proto)
        if at:
            s.bind(at)
        return s

    def has_port(self, protocol, port):
        """Whether somebody has bound it here"""
        found = False
        with self.inside():
            for table in protocol, protocol + "6":
                with open("/proc/thread-self/net/" + table) as f:
                    found |= any(line.split()[1].endswith(":%04X" % port) for line in f.readlines()[1:])
        return found

    def forget_flows(self):
        """Deletes all that connection tracking knows here"""
        s = self.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        s.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 1, 1, 0, 0, 0, 0))
        s.close()

    def start(self, *args, log=os.devnull, env=None):
        with open(log, "ab") as out:
            p = subprocess.Popen(["ip", "netns", "exec", self.name, *args], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                 env={**os.environ, **(env or {})})
        with guard:
            processes.add(p)
        return p

    def close(self):
        os.close(self.fd)
        subprocess.run(["ip", "netns", "del", self.name], stderr=subprocess.DEVNULL)


def stop(process, sig=signal.SIGTERM, seconds=3):
    """Ends it, and returns its status"""
    process.send_signal(sig)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with guard:
        processes.discard(process)
    return process.returncode


def is_alive(pid):
    try:
        with open("/proc/%s/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def remove(of_whom):
    """The namespaces of that process, with all that runs in them; True: there were some"""
    names = [n for n in os.listdir("/run/netns") if n.startswith("hn%s-" % of_whom)] if os.path.isdir("/run/netns") else []
    for name in names:
        pids = subprocess.run(["ip", "netns", "pids", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        for pid in pids.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
    return bool(names)


def clean():
    """Threads may be at work still: none begins another namespace, and what was begun is found"""
    over.set()
    for _ in range(20):
        if not remove(os.getpid()):
            break
        time.sleep(0.1)
    with guard:
        left = list(processes)
    for p in left:
        p.kill()
        p.wait()


def sweep():
    """What runs before this one have left, whose processes are gone"""
    names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    for owner in {m[1] for m in map(re.compile(r"hn(\d+)-").match, names) if m}:
        if not is_alive(owner):
            remove(owner)


def end(*_):
    raise SystemExit(130)


def begin():
    """To be called once, by the main thread"""
    for sig in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, end)
    sweep()
    atexit.register(clean)
