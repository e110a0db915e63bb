#!/usr/bin/env python3
"""A join bundle (PROTOCOL.md section 8), signed with the identity key of a board.

bundle.py ETC STATE [FIELD=VALUE...]     prints the one that this board would publish, with these fields
of the cluster document (mesh, node, seq, endpoint, version, root) or of the secret (token, expires)."""
import base64, json, os, subprocess, sys, tempfile, time

CA = "sha256:" + "ab" * 32


def b64(data):
    return base64.b64encode(data).decode()


def sign(seed, data):
    with tempfile.TemporaryDirectory() as where:
        for name, content in (("key", bytes.fromhex("302e020100300506032b657004220420") + seed), ("data", data)):
            with open(f"{where}/{name}", "wb") as f:
                f.write(content)
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-keyform", "DER", "-inkey", where + "/key", "-rawin", "-in", where + "/data"],
                              check=True, stdout=subprocess.PIPE).stdout


def bundle(seed, cluster, secret=None):
    payload = json.dumps(cluster).encode()
    sig = sign(seed, b"hearth-cluster-1" + payload) if seed else bytes(64)
    return {"id": os.urandom(8).hex(), "cluster": {"payload": b64(payload), "sig": b64(sig)},
            "secret": {"token": "abcdef.0123456789abcdef", "expires": int(time.time()) + 900, "certificate_key": None, **(secret or {})}}


def of_board(etc, state, **fields):
    """etc/hearthd.yaml as enroll-node or enrol.py writes it: a key a line, or JSON."""
    text = open(etc + "/hearthd.yaml").read()
    try:
        config = json.loads(text)
    except ValueError:
        config = dict((line.split(":", 1)[0], line.split(":", 1)[1].strip().strip('"')) for line in text.splitlines() if ": " in line and line[0] != "#")
    cluster = {"root": config["root"], "mesh": config["mesh"], "node": int(config["node"]), "seq": int(time.time()),
               "endpoint": f"api.{config['mesh']}.internal:6443", "ca": [CA], "version": "v1.37.2"}
    secret = {k: fields.pop(k) for k in ("token", "expires") if k in fields}
    cluster.update(fields)
    return bundle(base64.b64decode(open(state + "/identity.key").read()), cluster, secret)


if __name__ == "__main__":
    given = dict(a.split("=", 1) for a in sys.argv[3:])
    print(json.dumps(of_board(sys.argv[1], sys.argv[2], **{k: int(v) if k in ("node", "seq", "expires") else v for k, v in given.items()})))
