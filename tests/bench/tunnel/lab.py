"""Two namespaces joined by a cable and a tunnel between them, for the benches of the tunnel.

    a (client)  va ------------- vb  b (server)
       192.0.2.1                   192.0.2.2        outside
       10.20.0.1, fd20::1          10.20.0.2, fd20::2   inside, on a device whose name is unique on the
                                                        machine (all control sockets lie in one directory)

What is started here is ended here, by process id. CPU time is that of a process with all its threads,
ended ones too, in nanoseconds (the clock of clock_getcpuclockid)."""
import atexit
import itertools
import os
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
_serial = itertools.count()
_namespaces = []
_processes = []


class Failed(Exception):
    """Something of the lab did not work: nothing was measured."""


def run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def until(seconds, condition, what):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def start(command, log, stdin=subprocess.DEVNULL, **more):
    process = subprocess.Popen(command, stdin=stdin, stderr=log, **more)
    _processes.append(process)
    return process


def stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process in _processes:
        _processes.remove(process)


def cleanup():
    for process in list(_processes):
        stop(process)
    for name in _namespaces:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    _namespaces.clear()


atexit.register(cleanup)
for _number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(_number, lambda *_: exit(130))


def cpu_seconds(pid):
    """User and system time of a process that lives."""
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e9


def cpu_user_system(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def peak_reset(pid):
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
        f.write("5")


def status_kb(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    raise Failed(f"no {field} of process {pid}")


def wakeups(pid):
    """How often any thread slept and was woken, so far: timers and input alike."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
    return total


class Netns:
    def __init__(self, suffix):
        self.name = f"hbt-{os.getpid()}-{next(_serial)}{suffix}"
        run("ip", "netns", "add", self.name)
        _namespaces.append(self.name)
        self.ip("link", "set", "lo", "up")
        self.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv6.conf.all.accept_dad=0",
                 "net.ipv6.conf.default.accept_dad=0")

    def ip(self, *arguments):
        return run("ip", "-n", self.name, *arguments)

    def run(self, *command, text=None):
        return run("ip", "netns", "exec", self.name, *command, text=text)

    def start(self, command, log, **more):
        """The process is the command itself: ip replaces itself by it."""
        return start(["ip", "netns", "exec", self.name, *command], log, **more)

    def statistic(self, device, which):
        return int(self.run("cat", f"/sys/class/net/{device}/statistics/{which}"))


class Cable:
    """Two namespaces and the veth between them."""

    def __init__(self):
        self.a, self.b = Netns("a"), Netns("b")
        run("ip", "link", "add", "va", "netns", self.a.name, "type", "veth", "peer", "name", "vb",
            "netns", self.b.name)
        for ns, device, address in ((self.a, "va", "192.0.2.1"), (self.b, "vb", "192.0.2.2")):
            ns.ip("addr", "add", f"{address}/24", "dev", device)
            ns.ip("link", "set", device, "up")
        self.ends = ((self.a, "va"), (self.b, "vb"))

    def segmentation(self, on):
        """Whether a UDP send of many segments crosses as one frame (no real link does that)."""
        word = "on" if on else "off"
        for ns, device in self.ends:
            ns.run("ethtool", "-K", device, "tx-udp-segmentation", word)
            if f"tx-udp-segmentation: {word}" not in ns.run("ethtool", "-k", device):
                raise Failed(f"{device}: tx-udp-segmentation does not go {word}")


class Raw:
    """No tunnel: what the cable itself costs."""

    kind = "raw veth"
    pids = ()
    inside4 = "192.0.2.2"

    def __init__(self, log, tmp):
        self.cable = Cable()


class WireGuard:
    """hearth-wg or wireguard-go at both ends, driven by wg(8)."""

    ends = (0, 1)

    def __init__(self, kind, program, log, tmp, environment=None):
        self.kind = kind
        self.cable = Cable()
        self.inside4, self.inside6 = "10.20.0.2", "fd20::2"
        self.keys = [run("wg", "genkey").strip() for _ in "ab"]
        self.publics = [run("wg", "pubkey", text=k).strip() for k in self.keys]
        self.tmp, self.processes, self.devices = tmp, [], {}
        for n in self.ends:
            self.start_end(n, program, log, environment or {})
        self.pids = tuple(p.pid for p in self.processes)

    def command(self, n, program, device):
        return [program, "-f", device]

    def start_end(self, n, program, log, environment):
        ns = self.cable.ends[n][0]
        device = self.devices[n] = f"h{os.getpid()}n{next(_serial)}"
        process = ns.start(self.command(n, program, device), log, stdout=log,
                           env={**os.environ, "LOG_LEVEL": "error", **environment})
        self.processes.append(process)
        until(20, lambda: process.poll() is not None or os.path.exists(f"/var/run/wireguard/{device}.sock"),
              f"{program} {device}")
        if process.poll() is not None:
            raise Failed(f"{program} {device} ended with {process.returncode}")
        self.setconf(n, f"[Interface]\nPrivateKey = {self.keys[n]}\nListenPort = {7001 + n}\n" + self.others(n))
        ns.ip("addr", "add", f"10.20.0.{n + 1}/24", "dev", device)
        ns.ip("addr", "add", f"fd20::{n + 1}/64", "dev", device, "nodad")
        ns.ip("link", "set", device, "mtu", "1280", "up")

    def others(self, n):
        return self.peer_conf(self.publics[1 - n], 1 - n)

    @staticmethod
    def peer_conf(public, n):
        return (f"[Peer]\nPublicKey = {public}\nAllowedIPs = 10.20.0.{n + 1}/32, fd20::{n + 1}/128\n"
                f"Endpoint = 192.0.2.{n + 1}:{7001 + n}\n")

    def setconf(self, n, text, how="setconf"):
        path = os.path.join(self.tmp, f"conf-{os.getpid()}-{next(_serial)}")
        with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(text)
        self.cable.ends[n][0].run("wg", how, self.devices[n], path)
        os.unlink(path)

    def mtu(self, mtu):
        for n, device in self.devices.items():
            self.cable.ends[n][0].ip("link", "set", device, "mtu", str(mtu))

    def ready(self):
        until(15, lambda: subprocess.run(
            ["ip", "netns", "exec", self.cable.a.name, "ping", "-q", "-c", "1", "-W", "1", self.inside4],
            capture_output=True, check=False).returncode == 0, f"{self.kind}: an answer through it")

    def stop(self):
        for process in self.processes:
            stop(process)


class OneEnd(WireGuard):
    """Only end b, without peers; at end a 10.128.0.0/16 is local, for programs that play many of them."""

    ends = (1,)

    def __init__(self, kind, program, log, tmp):
        super().__init__(kind, program, log, tmp)
        self.cable.a.ip("route", "add", "local", "10.128.0.0/16", "dev", "lo")
        self.cable.b.ip("route", "add", "10.128.0.0/16", "via", "192.0.2.1")

    def others(self, n):
        return ""


NEBULA = """pki: {{ca: {tmp}/neb-ca.crt, cert: {tmp}/neb-{n}.crt, key: {tmp}/neb-{n}.key}}
static_host_map: {{"10.20.0.{other}": ["192.0.2.{other}:4242"]}}
lighthouse: {{am_lighthouse: false}}
listen: {{host: 0.0.0.0, port: 4242, batch: 64, read_buffer: 4194304, write_buffer: 4194304}}
tun: {{dev: {device}, mtu: 1280}}
logging: {{level: error}}
punchy: {{punch: false}}
firewall:
  outbound: [{{port: any, proto: any, host: any}}]
  inbound: [{{port: any, proto: any, host: any}}]
"""


class Nebula:
    """Nebula with its default cipher (AES-GCM), one routine, 4 MB socket buffers."""

    def __init__(self, program, log, tmp):
        self.kind = "nebula"
        self.cable = Cable()
        self.inside4 = "10.20.0.2"
        cert = os.path.join(os.path.dirname(program), "nebula-cert")
        run(cert, "ca", "-name", "bench", "-out-crt", f"{tmp}/neb-ca.crt", "-out-key", f"{tmp}/neb-ca.key")
        self.processes, self.devices = [], []
        for n, (ns, _) in enumerate(self.cable.ends, 1):
            run(cert, "sign", "-ca-crt", f"{tmp}/neb-ca.crt", "-ca-key", f"{tmp}/neb-ca.key", "-name", f"n{n}",
                "-ip", f"10.20.0.{n}/24", "-out-crt", f"{tmp}/neb-{n}.crt", "-out-key", f"{tmp}/neb-{n}.key")
            device = f"h{os.getpid()}n{next(_serial)}"
            with open(f"{tmp}/neb-{n}.yml", "w", encoding="ascii") as f:
                f.write(NEBULA.format(tmp=tmp, n=n, other=3 - n, device=device))
            self.processes.append(ns.start([program, "-config", f"{tmp}/neb-{n}.yml"], log, stdout=log))
            self.devices.append(device)
        self.pids = tuple(p.pid for p in self.processes)

    def mtu(self, mtu):
        for (ns, _), device in zip(self.cable.ends, self.devices):
            ns.ip("link", "set", device, "mtu", str(mtu))

    ready = WireGuard.ready


def vector_unit():
    """What the CPU offers to the cipher."""
    machine = os.uname().machine
    if machine == "aarch64":
        return "neon"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        flags = next((line.split(":")[1].split() for line in f if line.startswith("flags")), [])
    names = [name for name in ("avx512f", "avx512ifma", "avx2", "vaes") if name in flags]
    return " ".join(names) or "none"


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        for line in f:
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    return os.uname().machine


def machine():
    return (f"{os.cpu_count()} x {cpu_model()} ({vector_unit()}), Linux {os.uname().release.split('-')[0]}, "
            f"{time.strftime('%d %B %Y').lstrip('0')}")


def listening(ns, port):
    return f":{port} " in ns.run("ss", "-Hltn", f"sport = :{port}")
