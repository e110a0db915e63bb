"""Every command, path and message of README.md (without its chapter on performance) has its proof here: it is
run on a light board (test-readme has started three), or a test that runs it is named, or the program that
says it. What README says and this table does not know fails, and so does what only the table knows."""
import os, re, subprocess, sys

import readme_text

SOURCE, BIN, T, N = (os.environ[k] for k in ("HEARTH_SOURCE", "B", "T", "N"))
ADDRESS = os.environ["ADDRESS"]  # of board b
bad = 0


def read(path):
    with open(os.path.join(SOURCE, path), errors="replace") as f:
        return f.read()


# ---- kinds of proof: each returns nothing, or what is wrong

def on(board, *words, **names):
    """Run on a light board, NAMES of the README replaced by ours; every word must be in what it prints."""
    def proof(text):
        command = re.sub(r"\bsudo ", "", text)
        for name, ours in names.items():
            command = re.sub(rf"\b{name}\b", ours, command)
        env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HEARTH_ETC": f"{T}/{board}/etc",
               "HEARTH_STATE": f"{T}/{board}/state", "HEARTH_RUN": f"{T}/{board}/run"}
        r = subprocess.run(["ip", "netns", "exec", N + board, "sh", "-c", command], env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        if r.returncode:
            return f"exit status {r.returncode}: {r.stdout}{r.stderr}"
        missing = [w for w in words if not re.search(w, r.stdout)]
        return f"prints no {missing}: {r.stdout}" if missing else None
    return proof


def tested(path, words):
    """A test, or what it sources, runs it in these words."""
    return lambda text: None if words in read(path) else f"{path} has no \"{words}\""


def says(program, words=None):
    """The program holds these words."""
    def proof(text):
        with open(os.path.join(BIN, program), "rb") as f:
            return None if (words or text).encode() in f.read() else f"{program} does not say \"{words or text}\""
    return proof


def there(path):
    return lambda text: None if os.path.exists(os.path.join(SOURCE, path)) else f"there is no {path}"


def word(why):
    """Nothing that could be run or be said by a program: why not."""
    return lambda text: None


def all_of(*proofs):
    return lambda text: next((r for r in (p(text) for p in proofs) if r), None)


KUBE = "tests/lab/lib/kube.sh"
UPGRADE = "tests/lab/test-kube-upgrade"
hearthd_unit = there("daemon/node/hearthd.service")
coord_unit = there("daemon/coordinator/hearth-coord.service")
device = on("b", "<POINTOPOINT,MULTICAST,NOARP,UP,LOWER_UP> mtu 1420 ", " state (UNKNOWN|UP) ", "link/none", r"inet 10\.77\.0\.2/32 scope global hearth0",
            r"inet6 fd[0-9a-f:]+::2/128 scope global nodad", "inet6 fe80::[0-9a-f:]+/64 scope link nodad")
shown = lambda pattern: lambda text: on("b", pattern)("ip addr show hearth0")

table = {
    # Two commands
    "sudo ./provision/quickstart": all_of(tested("tests/lab/test-two-commands", "on_first /src/provision/quickstart "), tested("tests/lab/test-evening", '*quickstart) type_in n100')),
    "sudo ./tests/run": all_of(tested("tests/lab/test-clean-run", "in_root all /src/tests/run"), tested("tests/lab/test-two-commands", "on_first /src/tests/run")),
    "sudo ./provision/quickstart --lab": tested("tests/lab/test-quickstart", "/src/provision/quickstart --lab"),
    "sudo ./provision/quickstart --lab --kubernetes": tested("tests/lab/test-quickstart-kubernetes", "/src/provision/quickstart --lab --kubernetes"),
    # An evening with five boards
    "sudo ./provision/quickstart --join": all_of(tested("tests/lab/test-quickstart", "/src/provision/quickstart --join"), tested("tests/lab/test-evening", '*"quickstart --join") join_all')),
    "sudo hearth token create --role worker --name pi3": on("a", r"^hearth1\.", pi3="pi33"),
    "--role member": tested("tests/lab/enroll/50-log.sh", "token --role member"),
    "sudo hearth status": on("a", "10.77.0.1", "direct"),
    "sudo enroll-node": tested("tests/lab/enroll/10-board.sh", "on b1 enroll-node"),
    "sudo kubeadm init --config /etc/hearth/kubeadm/init.yaml": tested(KUBE, "kube_readme >"),
    "sudo hearth kube publish": tested(KUBE, "kube_readme >"),
    "sudo kubeadm join --config /etc/hearth/kubeadm/join.yaml": tested(KUBE, "on_each kube_join"),
    "sudo hearth kube approve --wait": tested(KUBE, "kube_readme >"),
    'mkdir -p ~/.kube && sudo install -b -m 600 -o "$USER" /etc/kubernetes/admin.conf ~/.kube/config':
        tested("tests/lab/test-evening", 'kc() { board_exec n100 kubectl "$@"; }'),
    "sudo kubeadm upgrade apply VERSION --config /etc/hearth/kubeadm/upgrade.yaml": tested(UPGRADE, "readme >"),
    "sudo kubeadm upgrade node --config /etc/hearth/kubeadm/upgrade.yaml": tested(UPGRADE, "readme >"),
    "sudo systemctl restart kubelet": tested(UPGRADE, "readme >"),
    "kubectl uncordon pi3": tested(UPGRADE, "readme >"),
    "--config": tested("tests/lab/test-cluster", "kubeadm upgrade node --config"),
    "kubectl logs": tested("tests/lab/kube-drift/10-hands.sh", "kubectl logs: tls: internal error"),
    "exec": tested("tests/lab/kube-drift/10-hands.sh", "kubectl logs and exec work"),
    "tls: internal error": tested("tests/lab/kube-drift/10-hands.sh", "kubectl logs: tls: internal error"),
    "sudo hearth kube approve": tested("tests/lab/kube-drift/10-hands.sh", "hearth kube approve"),
    "api.home.internal": tested("tests/unit/provision/golden/n100-init.yaml", "controlPlaneEndpoint: api.home.internal:6443"),
    "/etc/hearth/kubeadm.d/*.yaml": all_of(says("enroll-node"), tested("tests/lab/lib/enroll.sh", "etc/kubeadm.d/10-own.yaml")),
    "sudo hearth token create --replace NAME": on("a", r"^hearth1\.", NAME="c"),
    "sudo hearth node list": on("a", "control-plane", "10.77.0.3"),
    "sudo hearth node rename OLD NEW": on("a", OLD="c", NEW="laptop"),
    "sudo hearth node label NAME zone=attic": on("a", "zone=attic", NAME="laptop"),
    # Boards in several houses
    "sudo hearth token create --role member --relay": on("a", r"^hearth1\."),
    "sudo ./provision/quickstart --join --relay": tested("tests/lab/test-quickstart", "/src/provision/quickstart --join --relay"),
    "sudo hearth relay add HOST": tested("tests/lab/enroll/95-relay.sh", "hearth relay add 192.168.77.18"),
    "--relay-port 443": tested("tests/lab/test-usage", "enroll-node --relay-port 443"),
    "HOST:443": tested("tests/unit/provision/test-enroll-relay.c", '"HOST:443"'),
    "--pass-to 127.0.0.1:8443": all_of(says("enroll-node", "such as 127.0.0.1:8443"), tested("tests/lab/enroll/95-relay.sh", "taken --pass-to 127.0.0.1:4445")),
    "sudo hearth relay list": on("a", "NAME +STATE"),
    # Taking a board out
    "kubectl drain pi3 --ignore-daemonsets": all_of(says("enroll-node", "drain it with --ignore-daemonsets"), tested("tests/lab/kube-drift/90-leaving.sh", "kubectl drain pi3 --ignore-daemonsets")),
    "kubectl delete node pi3": all_of(says("enroll-node", "kubectl delete node"), tested("tests/lab/kube-drift/90-leaving.sh", "kubectl delete node pi3")),
    "sudo kubeadm reset": all_of(says("enroll-node", "kubeadm reset"), tested("tests/lab/kube-drift/90-leaving.sh", "kubeadm reset")),
    "sudo enroll-node --leave": all_of(tested("tests/lab/kube-drift/90-leaving.sh", "enroll-node --leave"), tested("tests/lab/enroll/70-leaving.sh", "enroll-node --leave")),
    "sudo hearth node remove pi3": on("a", pi3="laptop"),
    "--leave": tested("tests/lab/enroll/70-leaving.sh", "a board of a cluster does not leave"),
    "hearth": tested("daemon/node/hearthd.sysusers.conf", "u hearth -"),
    "hearth-relay": tested("daemon/relay/hearth-relay.sysusers.conf", "u hearth-relay -"),
    "hearth-coord": tested("daemon/coordinator/hearth-coord.sysusers.conf", "u hearth-coord -"),
    # Reaching a board
    "ssh pi3.home.internal": tested("tests/lab/mesh/10-network.sh", "names in the hosts file"),
    "http://n100.home.internal:3000": tested("tests/lab/mesh/10-network.sh", "names in the hosts file"),
    "n100.home.internal": tested("tests/lab/mesh/10-network.sh", "names in the hosts file"),
    "Remote Login": word("of Ubuntu's settings"),
    # What ip addr show hearth0 prints
    "ip addr show hearth0": device,
    "7: hearth0: <POINTOPOINT,MULTICAST,NOARP,UP,LOWER_UP> mtu 1420 qdisc fq_codel state UNKNOWN group default qlen 500": shown(" qlen 500"),
    "link/none": shown("link/none"),
    "inet 10.77.0.1/32 scope global hearth0": shown(r"inet 10\.77\.0\.2/32 scope global hearth0"),
    "inet6 fd1e:5cb5:8c33::1/128 scope global nodad": shown("/128 scope global nodad"),
    "inet6 fe80::4f6e:1c55:90aa:31d2/64 scope link nodad": shown("/64 scope link nodad"),
    "POINTOPOINT": shown("POINTOPOINT"), "NOARP": shown("NOARP"), "nodad": shown("nodad"), "mtu 1420": shown(" mtu 1420 "),
    "/32": shown("/32 "), "/128": shown("/128 "),
    "ip route show dev hearth0": on("b", r"^10\.77\.0\.1 .* src 10\.77\.0\.2 mtu 1(28|42)0"),
    "| outer IP 20 or 40 | UDP 8 | type, receiver, counter 16 | your packet, encrypted, at most 1420 | tag 16 |": word("a drawing"),
    "mtu": lambda text: on("b", " mtu 1(28|42)0")("ip route show dev hearth0"),
    "state UNKNOWN": shown(" state (UNKNOWN|UP) "), "state UP": shown(" state (UNKNOWN|UP) "),
    # asked of board c, whose hearthd test-readme has ended
    "NO-CARRIER": lambda text: on("c", "NO-CARRIER")("ip addr show hearth0"),
    "state DOWN": lambda text: on("c", " state DOWN ")("ip addr show hearth0"),
    # When something does not work
    "hearth status": on("a", "10.77.0.1"),
    "hearth netcheck": on("a", "IPv4 +", "\nport mapping "),
    "hearth why PEER": on("a", "^b is direct at ", PEER="b"),
    "sudo hearth status --verbose": on("a", "eth0 +uplink +yes "),
    "no link of this board has an address that others could try": all_of(says("hearthd"), tested("tests/lab/drift/40-uplinks.sh", "no link of this board has an address")),
    "connecting": says("hearthd"), "unreachable": says("hearthd"), "direct": says("hearthd"),
    "relayed by": all_of(says("hearth", "relayed"), tested("tests/lab/relay/10-ways.sh", "relayed by a")),
    "no relay answers, and no direct way leads to": all_of(says("hearthd"), tested("tests/unit/node/test-relays.c", "no relay answers, and no direct way leads to")),
    "Not heard from": all_of(says("hearth"), tested("tests/lab/test-cli", "Not heard from: pi4 (connecting for 5 min), laptop (unreachable for 3 h)")),
    "systemctl status hearthd": hearthd_unit, "systemctl status hearth-coord": coord_unit, "journalctl -u hearthd": hearthd_unit,
    "not reached since": all_of(says("hearth"), tested("tests/lab/test-cli", "not reached since the start")),
    "The token expired": says("hearth-coord"), "The token was used": says("hearth-coord"),
    "sudo hearth token create": on("a", r"^hearth1\."),
    "key is none of the pinned ones": all_of(says("enroll-node"), says("hearthd")),
    "overlaps": all_of(says("enroll-node"), tested("tests/lab/enroll/90-ground.sh", "a LAN inside the mesh's range")),
    "hearth-coord init": tested("tests/lab/test-coordinator", "\"$coord\" init"),
    "Kubernetes knows this board as": all_of(says("hearthd"), says("enroll-node"), tested("tests/lab/enroll/60-publish.sh", "problem .*Kubernetes knows this board as b3x")),
    "this board is part of a Kubernetes cluster": says("enroll-node"),
    "with what /etc/hearth/kubeadm.d adds": all_of(says("enroll-node", "with what %s adds"), tested("tests/lab/enroll/40-cut.sh", "with what .*/etc/kubeadm.d adds")),
    "man enroll-node": tested("provision/enroll-node.8", "SETTINGS OF YOUR OWN"),
    "the files are for": all_of(says("enroll-node"), tested("tests/unit/provision/test-kubefiles.c", "the files are for ")),
    "the mesh interface hearth0 does not exist": says("cni/hearth", "the mesh interface %s does not exist"),
    "nobody serves the mesh interface hearth0": says("cni/hearth", "nobody serves the mesh interface %s"),
    "no IPv4 address for pods is left on this board": all_of(says("cni/hearth", "no IPv%d address for pods is left on this board"), tested("tests/lab/cni/40-leases.sh", 'says "253 pods that live"')),
    "maxPods": all_of(says("cni/hearth", "maxPods of kubelet"), says("hearthd", "maxPods of kubelet")),
    "hostPort": word("a field of Kubernetes"), "portmap": tested("tests/lab/cni/30-changes.sh", 'behind portmap "$ports"'),
    "man hearth-cni": tested("cni/hearth-cni.8", '"type": "portmap"'),
    "kubectl describe node": word("shows the condition that kubelet makes of the plugin's word: reference of Kubernetes"),
    "sudo nft list table inet hearth": on("b", "masquerade"), "masquerade": lambda text: on("b", "masquerade")("nft list table inet hearth"),
    "sudo enroll-node --fix": tested("tests/lab/enroll/80-pods.sh", "b12 enroll-node --wait 0 --fix"),
    "pods of this board": all_of(says("hearthd"), says("enroll-node"), tested("tests/lab/enroll/10-board.sh", "note  pods .*99-hardening.conf")),
    "kubectl logs and exec": says("hearthd", "kubectl logs and exec, and whatever else"),
    "member": tested("tests/lab/enroll/50-log.sh", "a member"), "man hearthd": tested("daemon/node/hearthd.8", ".SH WHAT MAY COME IN"),
    "What may come in": tested("daemon/node/hearthd.8", ".SH WHAT MAY COME IN"),
    "sysctl net.ipv4.ip_forward": all_of(on("b", "net.ipv4.ip_forward = [01]"), tested("tests/lab/enroll/50-log.sh", "/proc/sys/net/ipv4/ip_forward")),
    "ip route get ADDRESS": on("a", "hearth0", "mtu 1(28|42)0", ADDRESS=ADDRESS),
    "HEARTH_LOG=debug": all_of(says("hearthd", "HEARTH_LOG"), tested("daemon/node/hearthd.8", "HEARTH_LOG")),
    # How it is built
    "daemon/": there("daemon"), "provision/": there("provision"), "cni/": there("cni"), "manifests/": there("manifests/connectivity"),
    "ansible/": there("ansible/site.yml"), "tests/": there("tests"),
    "daemon/PROTOCOL.md": there("daemon/PROTOCOL.md"), "daemon/SECURITY.md": there("daemon/SECURITY.md"), "daemon/home.svg": there("daemon/home.svg"),
    "daemon/ARCHITECTURE.md": there("daemon/ARCHITECTURE.md"),
    "cmake -S . -B build -G Ninja && ninja -C build": tested("tests/run", "cmake -S . -B \"$dir\" -G Ninja"),
    "sudo tests/lab/home up": tested("tests/lab/lib/test.sh", "home up"),
    "sudo tests/lab/home exec pi3 hearth status": all_of(tested("tests/lab/home", "exec) need_board"), tested("tests/lab/test-home", "hearth status")),
    "sudo tests/run unit | lab | interop | fuzz | arm64 [NAME]": all_of(*(tested("tests/run", f"#   tests/run {part}") for part in ("unit|lab|interop", "fuzz [NAME...]", "arm64"))),
    "sudo tests/run quick": tested("tests/run", "quick) quick;"),
}

# ---- what README says


def fail(what):
    global bad
    bad += 1
    print("FAIL  " + what)


def help_of(words):
    """What the program of a command says of itself, or nothing if it is not ours."""
    words = [w for w in words if w != "sudo"]
    programs = {"hearth": BIN + "/hearth", "enroll-node": BIN + "/enroll-node", "hearth-coord": BIN + "/hearth-coord",
                "./provision/quickstart": SOURCE + "/provision/quickstart", "./tests/run": SOURCE + "/tests/run", "tests/run": SOURCE + "/tests/run"}
    if not words or words[0] not in programs:
        return None
    verbs = [w for w in words[1:3] if re.fullmatch("[a-z]+", w)] if words[0].startswith("hearth") else []
    for n in range(len(verbs), -1, -1):
        r = subprocess.run([programs[words[0]], *verbs[:n], "--help"], capture_output=True, text=True, timeout=30)
        if r.returncode == 0:
            return r.stdout
    return ""


def check(path):
    known = set()
    for line, text, _ in readme_text.lines(os.path.join(SOURCE, path)):
        known.add(text)
        if text not in table:
            fail(f"{path}:{line}: nobody has tried `{text}`: put it into the table of lib/readme.py, with its proof")
    for text in table:
        if text not in known:
            fail(f"lib/readme.py has `{text}`, which {path} does not say any more")
    for text in [t for t in table if t in known]:
        wrong = table[text](text)
        usage = help_of(text.split())
        missing = [] if usage is None else [o for o in re.findall(r"(?<=\s)--[a-z0-9-]+", text) if o not in usage]
        if wrong or missing:
            fail(f"`{text}`: {wrong or 'its --help knows no ' + ', '.join(missing)}")
        else:
            print("ok    " + text)


check("README.md")
sys.exit(bad > 0)
