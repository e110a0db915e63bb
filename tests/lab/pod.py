#!/usr/bin/env python3
"""pod.py - a pod without a runtime: a network namespace, given to the CNI plugins as containerd does.

  pod.py add NAME       make namespace NAME and ADD it; prints its addresses, one a line
  pod.py del NAME       DEL and remove it
  pod.py check NAME     CHECK with the result of ADD

Reads the first conflist of /etc/cni/net.d and runs its plugins from /opt/cni/bin in turn.
"""
import glob, json, os, subprocess, sys

verb, name = sys.argv[1:3]
keep = "/run/lab-pod-%s.json" % name
with open(sorted(glob.glob("/etc/cni/net.d/*.conflist"))[0]) as f:
    conflist = json.load(f)


def run(command, plugin, result, netns):
    conf = {"cniVersion": conflist["cniVersion"], "name": conflist["name"], **plugin}
    if result is not None:
        conf["prevResult"] = result
    env = {"CNI_COMMAND": command, "CNI_CONTAINERID": "lab-" + name, "CNI_NETNS": netns, "CNI_IFNAME": "eth0",
           "CNI_PATH": "/opt/cni/bin", "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=" + name}
    out = subprocess.run(["/opt/cni/bin/" + plugin["type"]], input=json.dumps(conf), env={**os.environ, **env},
                         capture_output=True, text=True)
    if out.returncode:
        sys.exit("%s of %s failed: %s%s" % (command, plugin["type"], out.stdout, out.stderr))
    return json.loads(out.stdout) if out.stdout.strip() else None


netns = "/run/netns/" + name
if verb == "add":
    subprocess.run(["ip", "netns", "add", name], check=True)
    result = None
    for plugin in conflist["plugins"]:
        result = run("ADD", plugin, result, netns)
    with open(keep, "w") as f:
        json.dump(result, f)
    for ip in result["ips"]:
        print(ip["address"].split("/")[0])
else:
    result = None
    if os.path.exists(keep):
        with open(keep) as f:
            result = json.load(f)
    if verb == "check":
        for plugin in conflist["plugins"]:
            run("CHECK", plugin, result, netns)
    else:
        # as after a crash of the runtime: the namespace may be gone before DEL
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
        for plugin in reversed(conflist["plugins"]):
            run("DEL", plugin, result, "")
        if os.path.exists(keep):
            os.unlink(keep)
