"""What tests/lab/test-coordinator asks of hearth-coord: boards, an administrator and attackers, the
clients of coordclient.py."""
import base64, concurrent.futures, glob, http.client, json, os, random, re, shutil, signal, socket, sqlite3, ssl, struct, subprocess, threading, time
import yaml

from coordclient import *


# ---- the contract

def resolve(doc, schema):
    while "$ref" in schema:
        at = doc
        for part in schema["$ref"].removeprefix("#/").split("/"):
            at = at[part]
        schema = at
    return schema


def conforms(doc, schema, value, where="reply"):
    """A problem as text, or None. Unknown fields are a problem: the file must name all that is served."""
    schema = resolve(doc, schema)
    if "oneOf" in schema:
        problems = [conforms(doc, s, value, where) for s in schema["oneOf"]]
        return None if None in problems else "; ".join(problems)
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None)}
    kind = schema.get("type")
    if kind and not isinstance(value, kinds[kind]):
        return f"{where}: {value!r} is no {kind}"
    if "enum" in schema and value not in schema["enum"] or "const" in schema and value != schema["const"]:
        return f"{where}: {value!r} is not allowed"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return f"{where}: {value!r} does not match {schema['pattern']}"
    if "minimum" in schema and value < schema["minimum"] or "maxItems" in schema and len(value) > schema["maxItems"]:
        return f"{where}: {value!r} is out of bounds"
    if kind == "array":
        for i, item in enumerate(value):
            problem = conforms(doc, schema["items"], item, f"{where}[{i}]")
            if problem:
                return problem
    if kind == "object" and "properties" in schema:
        for name in schema.get("required", []):
            if name not in value:
                return f"{where}: {name} is missing"
        for name, item in value.items():
            if name not in schema["properties"]:
                return f"{where}: {name} is not described"
            problem = conforms(doc, schema["properties"][name], item, f"{where}.{name}")
            if problem:
                return problem
    return None


api = yaml.safe_load(open(f"{SOURCE}/daemon/coordinator/openapi.yaml"))


def described(method, path, answer):
    operation = api["paths"][path][method.lower()]["responses"]
    response = resolve(api, operation.get(str(answer.status), operation["default"]))
    schema = response["content"]["application/json"]["schema"]
    problem = conforms(api, schema, answer.json)
    check(f"{method} {path} answers {answer.status} as described", problem is None, problem)


def test_contract():
    print("== openapi.yaml against what is served")
    for path, operations in api["paths"].items():
        for method in ("get", "put", "post", "delete", "patch", "options"):
            a = ask(method.upper(), path, body=None)
            if method in operations:
                check(f"{method.upper()} {path} is served", a.status not in (404, 405), a)
            else:
                check(f"{method.upper()} {path} is refused", (a.status, a.code) == (405, "bad_method"), a)
    for path in ("/", "/v1", "/v1/", "/v1/health/", "/V1/health", "/v2/health", "/v1/poll/x", "/v1/%68ealth%00", "//v1/health", "/" + "a" * 3000):
        a = ask("GET", path)
        check(f"GET {path[:20]} is not found", a.code == "not_found" or path == "/v1/%68ealth%00", a)
    described("GET", "/v1/health", ask("GET", "/v1/health"))
    for method, path in (("POST", "/v1/enroll"), ("POST", "/v1/enroll/check"), ("GET", "/v1/poll"), ("PUT", "/v1/presence"), ("PUT", "/v1/relay"), ("PUT", "/v1/kube")):
        a = ask(method, path, body={} if method != "GET" else None)
        check(f"{method} {path} wants a client key", (a.status, a.code) == (401, "unauthorized"), a)
        described(method, path, a)
    rsa = Board()
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-x509", "-keyout", rsa.key, "-subj", "/CN=x", "-days", "10", "-out", rsa.crt)
    check("an RSA key is none", ask("GET", "/v1/poll", rsa).code == "unauthorized")
    stranger = Board()
    for method, path in (("GET", "/v1/poll"), ("PUT", "/v1/presence"), ("PUT", "/v1/relay"), ("PUT", "/v1/kube")):
        a = ask(method, path, stranger, body={} if method != "GET" else None)
        check(f"{method} {path} does not know a stranger", (a.status, a.code) == (403, "unknown_node"), a)


# ---- enrolment

def test_enrolment():
    global n100, pi3, laptop
    print("== enrolment")
    n100, pi3, laptop = Board("n100"), Board("pi3"), Board("laptop")
    a = enroll(n100, token(role="control-plane", labels={"a/b": "c"}, tags=["edge"]), board={"board": "n100", "memory_kb": 1})
    check("a control plane", a.status == 200 and a.json["node"]["id"] == 1 and a.json["node"]["role"] == "control-plane", a)
    check("tags, labels and the board's label", (n100.node["tags"], n100.node["labels"]) == (["edge"], {"a/b": "c", "hearth.internal/board": "n100"}), n100.node)
    check("addresses", (n100.node["mesh4"], n100.node["pods4"]) == ("10.77.0.1", "10.200.1.0/24"), n100.node)
    described("POST", "/v1/enroll", a)
    check("all records come along", [r["seq"] for r in a.json["records"]] == [1, 2, 3] and a.json["records"][0]["type"] == "key", a)
    t = token(role="worker", name="pi3")
    head = a.json["head"]
    for _ in range(2):
        a = enroll(Board("other"), t, path="/v1/enroll/check", name=None)
        check("what a board would become is told to any key, and nothing is used up", a.status == 200 and a.json == {"mesh": "testmesh", "name": "pi3", "role": "worker"}, a)
    described("POST", "/v1/enroll/check", a)
    check("and the log stays as it is", poll(n100).json["head"] == head)
    a = enroll(pi3, t)
    check("a worker", a.status == 200 and pi3.node["id"] == 2, a)
    head = a.json["head"]
    a = enroll(pi3, t)
    check("asked again, the same node and no second record", a.status == 200 and a.json["node"]["id"] == 2 and a.json["head"] == head, a)
    a = enroll(pi3, t, name="other", source="127.0.0.2")
    check("whatever name is said then", a.status == 200 and a.json["node"]["name"] == "pi3", a)
    thief = Board("pi3")
    a = enroll(thief, t, source="127.0.0.2")
    check("another key is refused: token_used", (a.status, a.code) == (403, "token_used"), a)
    other = Board("pi3")
    other.key, other.crt, other.wg = pi3.key, pi3.crt, b64(os.urandom(32))
    check("the same board with another WireGuard key: key_taken", enroll(other, t, source="127.0.0.2").code == "key_taken")
    check("an enrolled board with a second token: key_taken", enroll(pi3, token(), source="127.0.0.2").code == "key_taken")

    a = enroll(laptop, token(role="member"), name=None, board={"hostname": "laptop"})
    check("a member, named by its host name, without pods", a.status == 200 and laptop.node["name"] == "laptop" and "pods4" not in laptop.node, a)

    def code(what, wanted, t, source, **more):
        who = Board()
        for path in ("/v1/enroll/check", "/v1/enroll"):
            a = enroll(who, t, source, path, **more)
            check(f"{what}: {path} refuses it: {wanted}", a.code == wanted and a.json["error"]["message"], a)
            described("POST", path, a)
    src = "127.0.0.3"
    code("a wrong secret", "token_unknown", {**token(), "secret": b64(os.urandom(32))}, src)
    code("an unknown id", "token_unknown", {**token(), "id": "0" * 16}, src)
    code("worker's token for a control plane", "role_mismatch", token(), src, role="control-plane")
    code("worker's token for another's name", "name_taken", token(), src, name="n100")
    code("token for a name, another asked", "name_mismatch", token(name="spare"), src, name="spare2")
    code("another's WireGuard key", "key_taken", token(), src, wg=n100.wg)
    code("replacing with a worker's token", "replace_mismatch", token(), src, replace="n100")
    code("replacing another than allowed", "replace_mismatch", token(replace="pi3"), src, replace="n100")
    code("the name api", "bad_request", token(), src, name="api")
    code("no name at all", "bad_request", token(), src, name=None)
    code("the name localhost", "bad_request", token(), src, name=None, board={"hostname": "localhost"})
    code("a host name that is none", "bad_request", token(), src, name=None, board={"hostname": "My_Laptop"})
    code("a zero key", "bad_request", token(), src, wg=b64(bytes(32)))
    code("a low-order key", "bad_request", token(), src, wg=b64(bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")))
    t = token(ttl_s=1)
    check("a token expires", until(5, lambda: {x["id"]: x["state"] for x in admin("token.list")["tokens"]}[t["id"]] == "expired"))
    code("an expired token", "token_expired", t, "127.0.0.4")
    t = token()
    admin("token.revoke", id=t["id"][:10])
    code("a revoked token", "token_revoked", t, "127.0.0.5")
    check("a redeemed one that is revoked later still gives its board the same answer", lost_reply_after_revoke())

    print("== two boards, one token, at once")
    for round in range(5):
        t = token()
        boards = [Board(f"race{round}-{i}") for i in range(2)]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            got = list(pool.map(lambda b: enroll(b, t, f"127.1.{round}.{1 + boards.index(b)}"), boards))
        check("exactly one wins", sorted(a.status for a in got) == [200, 403] and {a.code for a in got} == {None, "token_used"}, got)
    t = token(reusable=True)
    boards = [Board("same-name") for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda b: enroll(b, t, f"127.2.0.{1 + boards.index(b)}"), boards))
    check("four boards want one name: one gets it", sorted(str(a.code) for a in got) == ["None"] + ["name_taken"] * 3, got)
    t, twin = token(), Board("twin")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda i: enroll(twin, t, f"127.3.0.{i}"), range(1, 5)))
    check("one board four times at once is one node", {a.status for a in got} == {200} and len({a.json["node"]["id"] for a in got}) == 1, got)
    t, wg = token(reusable=True), b64(os.urandom(32))
    boards = [Board() for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        got = list(pool.map(lambda b: enroll(b, t, f"127.4.0.{1 + boards.index(b)}", wg=wg), boards))
    check("three boards with one WireGuard key: one gets in", sorted(str(a.code) for a in got) == ["None", "key_taken", "key_taken"], got)

    print("== replacing")
    old = dict(pi3.node)
    check("a board has announced itself often", ask("PUT", "/v1/presence", pi3, pi3.presence(["192.0.2.77:1"], counter=900)).status == 200)
    t = token(replace="pi3")
    new = Board("fresh-host-name")
    a = enroll(new, t)
    check("a wiped board takes its place", a.status == 200 and all(new.node[k] == old[k] for k in ("id", "name", "mesh4", "mesh6", "pods4", "pods6", "role")), a)
    check("the old key is revoked in the same record", new.node["revoked"] == [old["identity"]] and payload(records_of(n100)[-1])["identity"] == new.node["identity"], new.node)
    check("the old board is told", poll(pi3).code == "removed")
    check("and cannot come back with that key", enroll(pi3, token(), "127.0.0.6").code == "key_taken")
    code("nor can its WireGuard key be had", "key_taken", token(), "127.0.0.6", wg=pi3.wg)
    check("what it announced is forgotten", not [p for p in poll(n100).json["presence"] if json.loads(base64.b64decode(p["payload"]))["node"] == old["id"]])
    ask("PUT", "/v1/presence", new, new.presence(["192.0.2.78:1"], counter=1))
    listed = [n["endpoints"] for n in admin("node.list")["nodes"] if n["name"] == "pi3"]
    check("and the new board is heard, though it counts from 1", listed == [["192.0.2.78:1"]], listed)
    ask("PUT", "/v1/presence", new, new.presence([]))
    pi3 = new

    print("== limits")
    nobody, statuses = Board("x"), []
    while len(statuses) < 200 and "too_many" not in statuses:
        statuses.append(enroll(nobody, {"id": "0" * 16, "secret": b64(bytes(32))}, "127.0.0.66").code)
    check("failed enrolments of one address are slowed down: too_many", len(statuses) > 30 and statuses[0] == "token_unknown" and statuses[-1] == "too_many", statuses)
    check("others are not", enroll(Board(), token(), "127.0.0.67").status == 200)
    t = token(reusable=True)
    answers = [enroll(Board(), t, "127.0.0.68") for _ in range(16)]
    check("a full pod range: range_full", (answers[-1].status, answers[-1].code) == (507, "range_full"), answers[-1])
    described("POST", "/v1/enroll", answers[-1])
    check("and no token that could not be redeemed", refused("token.create").startswith("range_full"))
    a = Board()
    check("a member still fits", enroll(a, token(role="member"), "127.0.0.69").status == 200)


def lost_reply_after_revoke():
    t, b = token(), Board()
    if enroll(b, t, "127.0.0.7").status != 200:
        return False
    admin("token.revoke", id=t["id"])
    return enroll(b, t, "127.0.0.7").status == 200


# ---- polls, presence, bundles

def test_feed():
    print("== polls and presence")
    a = poll(n100)
    described("GET", "/v1/poll", a)
    head, cursor = a.json["head"]["seq"], a.json["cursor"]
    check("everything from the beginning", [r["seq"] for r in records_of(n100)] == list(range(1, head + 1)), a)
    check("nothing is new", poll(n100, head, cursor).json["records"] == [])
    for bad in ("seq=-1", "seq=x", "seq=", "seq=99999999999999999999", "wait=56", "wait=1e3", "cursor=" + "a" * 60, "kube=zz", "kube=" + "0" * 15):
        a = ask("GET", "/v1/poll?" + bad, n100)
        check(f"{bad[:24]}: bad_request", a.code == "bad_request", a)
    begun = time.time()
    poll(n100, head, cursor, wait=2)
    check("a poll waits", 0.8 < time.time() - begun < 10, time.time() - begun)
    begun = time.time()
    a = poll(n100, head + 7, cursor, wait=20)
    check("whoever knows more than the coordinator is answered at once", time.time() - begun < 10 and a.json["head"]["seq"] == head and a.json["records"] == [], a)
    for t in (n100, pi3, laptop):
        t.counter = 100
    waiting = concurrent.futures.ThreadPoolExecutor(8)

    def wakes(what, board, action, wanted, **args):
        future = waiting.submit(poll, board, **args)
        check("polling", until(5, lambda: any(n["name"] == board.node["name"] and n["connected"] for n in admin("node.list")["nodes"])))
        begun = time.time()
        result = action()
        a = future.result()
        check(f"{what} in {time.time() - begun:.2f} s", time.time() - begun < 10 and wanted(a), a)
        return result, a
    put, a = wakes("a presence wakes the others", n100, lambda: ask("PUT", "/v1/presence", pi3, pi3.presence(["192.0.2.33:41741"])),
                   lambda a: [p for p in a.json["presence"] if json.loads(base64.b64decode(p["payload"]))["node"] == pi3.node["id"]], seq=head, cursor=cursor, wait=30)
    described("PUT", "/v1/presence", put)
    cursor = a.json["cursor"]
    begun = time.time()
    ask("PUT", "/v1/presence", n100, n100.presence(["192.0.2.10:41741"]))
    check("one's own does not wake", poll(n100, head, cursor, wait=1).json["presence"] == [] and time.time() - begun < 10)
    for what, doc in (("an old counter", pi3.presence(["192.0.2.34:1"], counter=1)),):
        a = ask("PUT", "/v1/presence", pi3, doc)
        listed = [n["endpoints"] for n in admin("node.list")["nodes"] if n["name"] == "pi3"]
        check(f"{what} is ignored", a.status == 200 and listed == [["192.0.2.33:41741"]], (a, listed))
    for what, doc in (("another's signature", n100.presence(["192.0.2.34:1"], counter=50, node=pi3.node["id"])),
                      ("another's id", pi3.presence(["192.0.2.34:1"], counter=50, node=n100.node["id"])),
                      ("loopback", pi3.presence(["127.0.0.1:1"], counter=51)),
                      ("33 endpoints", pi3.presence([f"192.0.2.34:{i}" for i in range(1, 34)], counter=52)),
                      ("a cut signature", {**pi3.presence(["192.0.2.34:1"], counter=53), "sig": "AAAA"})):
        check(f"{what}: bad_request", ask("PUT", "/v1/presence", pi3, doc).code == "bad_request")
    pi3.counter = 100
    codes, doc = [], laptop.presence(["192.0.2.50:1"])
    while len(codes) < 200 and "too_many" not in codes:
        codes.append(ask("PUT", "/v1/presence", laptop, doc).code)
    check("a node that never stops talking: too_many", len(codes) > 20 and codes[0] is None and codes[-1] == "too_many", codes)
    check("a foreign cursor means from the beginning", len(poll(pi3, head, "0123456789abcdef-1").json["presence"]) == 3)

    print("== the join bundle")
    cluster, secret = {"payload": b64(b"{}"), "sig": b64(bytes(64))}, {"token": "abcdef.0123456789abcdef", "expires": int(time.time()) + 900, "certificate_key": "cd" * 32}
    bundle = {"id": "00112233aabbccdd", "cluster": cluster, "secret": secret}  # the former is the boards' to judge
    check("a worker may not publish: forbidden", ask("PUT", "/v1/kube", pi3, bundle).code == "forbidden")
    check("a member may not: forbidden", ask("PUT", "/v1/kube", laptop, bundle).code == "forbidden")
    for change in ({"secret": {**secret, "expires": int(time.time()) - 5}}, {"secret": {**secret, "expires": int(time.time()) + 10 ** 8}}, {"secret": {**secret, "token": "x"}}, {"secret": None}, {"cluster": {**cluster, "sig": ""}}, {"cluster": {}}, {"id": "x"}):
        check(f"{change}: bad_request", ask("PUT", "/v1/kube", n100, {**bundle, **change}).code == "bad_request")
    put, a = wakes("a bundle wakes a worker", pi3, lambda: ask("PUT", "/v1/kube", n100, bundle), lambda a: a.json["kube"] and a.json["kube"]["secret"]["token"] == secret["token"],
                   seq=head, cursor=poll(pi3, head).json["cursor"], wait=30, kube="")
    described("PUT", "/v1/kube", put)
    described("GET", "/v1/poll", a)
    check("without the certificate key", a.json["kube"]["secret"]["certificate_key"] is None and a.json["kube"]["cluster"] == cluster)
    check("a control plane gets it whole", poll(n100, kube="").json["kube"] == bundle)
    check("who has it does not get it again", poll(pi3, kube=bundle["id"]).json["kube"] is None)
    check("a member never", poll(laptop, kube="").json["kube"] is None)
    brief = {**bundle, "id": "0011223344556677", "secret": {**secret, "expires": int(time.time()) + 2}}
    ask("PUT", "/v1/kube", n100, brief)
    check("it is gone when it expires", until(8, lambda: poll(pi3, kube="").json["kube"] is None and admin("status")["kube"] is None))
    ask("PUT", "/v1/kube", n100, bundle)

    print("== administration")
    listed = {n["name"]: n for n in admin("node.list")["nodes"]}
    check("node.list", listed["pi3"]["endpoints"] == ["192.0.2.33:41741"] and listed["pi3"]["last_seen"] > 0, listed["pi3"])
    check("rename to a taken name: name_taken", refused("node.rename", node="pi3", name="n100").startswith("name_taken"))
    check("rename to api", refused("node.rename", node="pi3", name="api").startswith("bad_request"))
    check("rename of nobody", refused("node.rename", node="nobody", name="x").startswith("unknown_node"))
    head = poll(pi3).json["head"]["seq"]
    _, a = wakes("a rename wakes", laptop, lambda: admin("node.rename", node="pi3", name="pi3-kitchen"), lambda a: payload(a.json["records"][-1])["name"] == "pi3-kitchen",
                 seq=head, cursor=poll(laptop, head).json["cursor"], wait=30)
    admin("node.rename", node="pi3-kitchen", name="pi3")
    worker = "node-role.kubernetes.io/worker"
    a = admin("node.label", node="pi3", set={"zone": "attic", "node.kubernetes.io/disk": "sd"})
    check("labels are set", a["changed"] and a["labels"] == {**pi3.node["labels"], "zone": "attic", "node.kubernetes.io/disk": "sd"}, a)
    head = poll(pi3).json["head"]["seq"]
    check("the same again changes nothing", not admin("node.label", node="pi3", set={"zone": "attic"}, remove=["never"])["changed"] and poll(pi3).json["head"]["seq"] == head)
    _, a = wakes("a label taken away wakes", laptop, lambda: admin("node.label", node="pi3", remove=["zone", "node.kubernetes.io/disk"]),
                 lambda a: payload(a.json["records"][-1])["labels"] == pi3.node["labels"], seq=head, cursor=poll(laptop, head).json["cursor"], wait=30)
    said = refused("node.label", node="pi3", set={worker: ""})
    check("a label that kubelet may not set is refused, with what would do", said.startswith("bad_request") and f"kubectl label node NAME {worker}=" in said and "node.kubernetes.io/worker" in said, said)
    check("by tokens, too", refused("token.create", labels={worker: ""}).startswith("bad_request"))
    check("to be set and taken away at once", refused("node.label", node="pi3", set={"a": ""}, remove=["a"]).startswith("bad_request"))
    check("more than 64 labels", refused("node.label", node="pi3", set={f"k{i}": "" for i in range(65)}).startswith("bad_request"))
    check("labels of nobody", refused("node.label", node="nobody", set={}).startswith("unknown_node"))
    victim = Board("victim")
    check("another board", enroll(victim, token(role="member")).status == 200)
    meant = ("VICTIM", "victim.testmesh.internal", "Victim.Testmesh.Internal.", str(victim.node["id"]), victim.node["mesh4"], victim.node["mesh6"])
    check("whatever it is called by, it is found", all(admin("node.label", node=text, set={})["id"] == victim.node["id"] and admin("node.rename", node=text, name="victim")["id"] == victim.node["id"]
                                                      and admin("token.create", replace=text)["replace"] == "victim" for text in meant))
    check("and only it", all(refused("node.remove", node=text).startswith("unknown_node") for text in ("victim.other.internal", "victi", "10.77.200.200", "99999")))
    a = poll(victim)
    _, a = wakes("a removed node is told", victim, lambda: admin("node.remove", node=victim.node["mesh6"]), lambda a: a.code == "removed",
                 seq=a.json["head"]["seq"], cursor=a.json["cursor"], wait=30)
    last = records_of(n100)[-1]
    check("by a tombstone", last["type"] == "tombstone" and payload(last) == {"id": victim.node["id"], "reason": "removed"}, last)
    check("it stays removed", poll(victim).code == "removed" and ask("PUT", "/v1/presence", victim, {}).code == "removed")
    again = Board("victim")
    check("its name may be had again, its id and addresses not", enroll(again, token(role="member")).status == 200 and again.node["id"] > victim.node["id"] and again.node["mesh4"] != victim.node["mesh4"])
    for call, args, code in (("token.create", {"role": "king"}, "bad_request"), ("token.create", {"ttl_s": 0}, "bad_request"), ("token.create", {"tags": ["UPPER"]}, "bad_request"),
                             ("token.create", {"labels": {"a b": "c"}}, "bad_request"), ("token.create", {"replace": "nobody"}, "not_found"), ("token.create", {"name": "n100"}, "name_taken"),
                             ("token.create", {"reusable": True, "name": "x"}, "bad_request"), ("token.create", {"replace": "n100", "role": "worker"}, "role_mismatch"),
                             ("token.revoke", {"id": "zz"}, "unknown_token"), ("token.revoke", {}, "bad_request"), ("node.remove", {}, "bad_request"),
                             ("node.remove", {"node": 99999}, "unknown_node"), ("nonsense", {}, "unknown_call")):
        if "range_full" in refused(call, **args):
            continue
        check(f"{call} {args}: {code}", refused(call, **args).startswith(code), refused(call, **args))
    states = {t["state"] for t in admin("token.list")["tokens"]}
    check("token.list knows all states", states >= {"valid", "used", "revoked", "expired"}, states)
    text = json.dumps(admin("token.list")) + open(f"{TMP}/log").read()
    check("no secret in lists or logs", "secret" not in text and "hearth1." not in text)


def test_relays():
    print("== relays")
    vps, other = Board("vps"), Board("other")
    for b in (vps, other):
        check("a member", enroll(b, token(role="member")).status == 200)
    where = lambda *hosts, **more: {"hosts": list(hosts) or ["203.0.113.5"], "tcp": 443, "udp": 3478, "pin": b64(b"p" * 32), "key": b64(b"k" * 32), **more}
    put = lambda b, relay: ask("PUT", "/v1/relay", b, {"relay": relay})
    state = lambda b, relay: (put(b, relay).json or {}).get("state")
    listed = lambda: {r["name"]: (r["state"], r["relay"]) for r in admin("relay.list")["relays"]}
    record = lambda b: [payload(r) for r in records_of(n100) if r["type"] == "node" and payload(r)["id"] == b.node["id"]][-1].get("relay")
    check("there is none yet", listed() == {})
    before = poll(n100).json["head"]["seq"]
    a = put(vps, where())
    check("a board that asks is none by that", a.status == 200 and a.json == {"state": "asked"} and record(vps) is None, a)
    described("PUT", "/v1/relay", a)
    check("it may change its mind", state(vps, None) == "none" and listed() == {} and state(vps, where("vps.example.org")) == "asked")
    check("an administrator sees who asks", listed() == {"vps": ("asked", where("vps.example.org"))}, listed())
    check("nothing of this is in the log", poll(n100).json["head"]["seq"] == before)
    for what, relay in (("an address of the mesh", where(n100.node["mesh4"])), ("of a pod", where("10.200.1.5")), ("loopback", where("203.0.113.5", "127.0.0.1")), ("loopback in disguise", where("::ffff:127.0.0.1")),
                        ("link-local", where("fe80::1")), ("multicast", where("224.0.0.1")), ("no address", where("0.0.0.0")), ("the mesh's own name", where("n100.testmesh.internal")), ("localhost", where("localhost")),
                        ("no host", {**where(), "hosts": []}), ("five hosts", where(*(f"203.0.113.{i}" for i in range(5)))), ("one twice", where("203.0.113.5", "203.0.113.5")), ("port 0", where(tcp=0)),
                        ("a key of low order", where(key=b64(b"\x01" + bytes(31)))), ("no pin", where(pin=None)), ("a word", "vps")):
        a = put(vps, relay)
        check(f"{what}: bad_request: {(a.json or {}).get('error', {}).get('message')}", a.code == "bad_request", a)
    said = refused("relay.allow", node="vsp")
    check("whoever is meant is said", said.startswith("unknown_node") and "did you mean vps?" in said, said)
    check("who does not ask is none", refused("relay.allow", node="other").startswith("not_found"))
    a = admin("relay.allow", node="VPS.testmesh.internal")
    check("relay.allow", a == {"id": vps.node["id"], "name": "vps", "changed": True, "relay": where("vps.example.org")}, a)
    check("each board hears of it by a record", record(vps) == where("vps.example.org") and listed() == {"vps": ("serving", where("vps.example.org"))}, record(vps))
    check("node.list says it", [n["relay"] for n in admin("node.list")["nodes"] if n["name"] == "vps"] == [where("vps.example.org")])
    check("twice is once", not admin("relay.allow", node="vps")["changed"])
    a = admin("relay.deny", node="vps")
    check("relay.deny", a["changed"] and a["relay"] is None and record(vps) is None and listed() == {}, a)
    check("twice is once", not admin("relay.deny", node="vps")["changed"])

    print("== relays that were added")
    added = lambda: [(a["host"], a["port"], a["state"]) for a in admin("relay.list")["added"]]
    a = admin("relay.add", host="192.0.2.77", port=3340)
    check("relay.add", a == {"host": "192.0.2.77", "port": 3340, "changed": True} and added() == [("192.0.2.77", 3340, "trying")], (a, added()))
    for host in ("127.0.0.1", n100.node["mesh4"], "10.200.1.5", "n100.testmesh.internal", "localhost", "VPS"):
        said = refused("relay.add", host=host, port=3340)
        check(f"at {host}: {said}", said.startswith("bad_request"), said)
    check("what was not added is not forgotten", refused("relay.remove", host="192.0.2.78").startswith("not_found"))
    a = admin("relay.remove", host="192.0.2.77")
    check("relay.remove", a == {"host": "192.0.2.77", "node": None, "relay": None} and added() == [], a)

    print("== tokens for relays")
    third = Board("third")
    for path in ("/v1/enroll/check", "/v1/enroll"):
        a = enroll(third, token(role="member"), path=path, relay=where())
        check(f"{path}: without one, a board that would be a relay is refused: forbidden", a.code == "forbidden" and "--relay" in a.json["error"]["message"], a)
        described("POST", path, a)
        a = enroll(third, token(role="member", relay=True), path=path, relay=where("127.0.0.1"))
        check(f"{path}: with one, at loopback: bad_request", a.code == "bad_request", a)
    t = token(role="member", relay=True)
    a = enroll(third, t, path="/v1/enroll/check", relay=where())
    check("it would be let in", a.status == 200, a)
    a = enroll(third, t, relay=where())
    check("and is a relay at once", a.status == 200 and third.node["relay"] == where() and record(third) == where(), a)
    described("POST", "/v1/enroll", a)
    check("which may move", state(third, where("203.0.113.9")) == "listed" and record(third) == where("203.0.113.9"))
    fourth = Board("fourth")
    a = enroll(fourth, token(replace="third"))
    check("who replaces it is none", a.status == 200 and fourth.node["id"] == third.node["id"] and fourth.node.get("relay") is None and record(fourth) is None, a)
    check("the one that was replaced says nothing any more", put(third, where()).code == "removed")
    check("and the new one must ask", state(fourth, where()) == "asked")
    fifth = Board("fifth")
    a = enroll(fifth, token(replace="third"))
    check("what was asked by one is not by the next", a.status == 200 and "third" not in listed(), listed())
    sixth = Board("sixth")
    a = enroll(sixth, token(replace="third", relay=True), relay=where("203.0.113.6"))
    check("unless its own token lets it", a.status == 200 and listed()["third"] == ("serving", where("203.0.113.6")), listed())

    print("== relays that never stop talking")
    codes = []
    while len(codes) < 60 and "too_many" not in codes:
        codes.append(put(sixth, where(f"203.0.113.{len(codes) + 10}")).code)
    moved = sum(c is None for c in codes)
    check(f"one that moves on and on: too_many after {moved}", 2 <= moved < 20 and codes[-1] == "too_many" and [r for r in records_of(n100) if r["type"] == "node"][-1]["seq"] == poll(n100).json["head"]["seq"], codes)
    check("it may end all the same", state(sixth, None) == "none" and record(sixth) is None)
    codes = []
    while len(codes) < 60 and "too_many" not in codes:
        codes.append(put(other, where()).code)
    check("one that asks on and on: too_many", len(codes) > 10 and codes[0] is None and codes[-1] == "too_many", codes)
    check("others are heard", state(n100, None) == "none")
    admin("node.remove", node="other")
    check("what a removed one asked is forgotten", "other" not in listed(), listed())
    check("and it asks nothing any more", put(other, where()).code == "removed")


def test_pages():
    print("== a log of more records than one reply holds")
    most = api["components"]["schemas"]["News"]["properties"]["records"]["maxItems"]
    head = poll(n100).json["head"]["seq"]
    for i in range(most // 2 + 5):
        admin("node.rename", node="laptop", name="laptop2")
        admin("node.rename", node="laptop2", name="laptop")
    records = records_of(n100)
    check(f"all {len(records)} of it, in order", [r["seq"] for r in records] == list(range(1, head + 2 * (most // 2 + 5) + 1)), [r["seq"] for r in records])
    begun = time.time()
    a = poll(n100, wait=30)
    check("a poll for what is far behind is answered at once, with a part", time.time() - begun < 10 and 0 < len(a.json["records"]) <= most, len(a.json["records"]))
    check("which says how far it goes", a.json["head"]["seq"] == len(records))
    a = poll(n100, seq=len(records) - 3)
    check("the end of it", [r["seq"] for r in a.json["records"]] == list(range(len(records) - 2, len(records) + 1)), a)
    board = Board()
    a = enroll(board, token(role="member"), "127.0.0.70")
    described("POST", "/v1/enroll", a)
    check("a new board gets a part", a.status == 200 and 0 < len(a.json["records"]) <= most and a.json["head"]["seq"] == len(records) + 1, a)
    check("and may ask for the rest, in which it is", payload(records_of(board)[-1])["identity"] == board.node["identity"])
    admin("node.remove", node=board.node["id"])
    said = len(a.json["records"])
    a = poll(board, seq=said)
    check("removed while far behind: it is refused, with a part", a.code == "removed" and a.json["records"][0]["seq"] == said + 1, a)
    gone = lambda r: r["type"] == "tombstone" and payload(r)["id"] == board.node["id"]
    while a.code == "removed" and a.json["records"] and not gone(a.json["records"][-1]):
        said = a.json["records"][-1]["seq"]
        a = poll(board, seq=said)
    check("and finds the record that says so at the end of it", a.json["records"] and gone(a.json["records"][-1]), a)


# ---- settings

def test_settings():
    print("== settings")
    was = admin("settings.get")
    mine = ["https://192.0.2.10:8443", "https://[2001:db8:10::10]:8443"]
    check("found by itself, and none by hand", was["automatic"] and was["by_hand"] == [] and was["settings"]["urls"] == mine, was)
    schema = api["components"]["schemas"]["Settings"]
    problem = conforms(api, schema, was["settings"])
    check("as described", problem is None, problem)
    head = poll(n100).json["head"]["seq"]
    relay = {"name": "fra", "host": "derp.example.org", "tcp": 443, "stun": 3478, "pin": "web"}
    own = {"name": "own", "host": "2001:db8:99::1", "tcp": 8443, "pin": b64(os.urandom(32))}
    hand = "https://home.example.org:8443"
    a = admin("settings.set", urls=["https://Home.example.org:8443/", "automatic"], stun=["stun.example.org:3478", "[2001:db8:99::2]:3478"], relays=[relay, own])
    check("all at once", a["changed"] and a["automatic"] and a["by_hand"] == [hand] and a["settings"]["urls"] == [hand, *mine], a)
    news = poll(n100, head).json["records"]
    check("is one record, which boards get", len(news) == 1 and news[0]["type"] == "settings" and payload(news[0]) == a["settings"], news)
    check("by hand, servers and relays are signed", (payload(news[0])["urls_by_hand"], payload(news[0])["stun"], payload(news[0])["relays"]) == ([hand], ["stun.example.org:3478", "[2001:db8:99::2]:3478"], [relay, own]), news)
    problem = conforms(api, schema, payload(news[0]))
    check("as described, too", problem is None, problem)
    said = [line for line in open(f"{TMP}/log") if "settings.set by uid 0" in line]
    check("and one line in the log says who", len(said) == 1 and hand in said[0] and "fra=derp.example.org:443" in said[0], said)
    check("the same again changes nothing", not admin("settings.set", urls=[hand, "automatic"])["changed"] and poll(n100).json["head"]["seq"] == head + 1)
    check("a token leads there, too", token(role="member")["urls"] == [hand, *mine])
    urls = lambda: admin("settings.get")["settings"]["urls"]
    change = lambda what, addr: subprocess.run(["ip", "addr", what, addr, "dev", "lan0"], check=True)
    change("add", "192.0.2.11/24")
    check("a new address comes behind it", until(90, lambda: urls() == [hand, "https://192.0.2.11:8443", *mine]), urls())
    a = admin("settings.set", urls=["https://a.example.org", hand])
    check("by hand alone", not a["automatic"] and a["settings"]["urls"] == a["by_hand"] == ["https://a.example.org", hand], a)
    change("add", "192.0.2.12/24")
    check("no other is looked for, not even for a token", token(role="member")["urls"] == ["https://a.example.org", hand])
    stop()
    start()
    a = admin("settings.get")
    check("nor after a restart", not a["automatic"] and a["settings"]["urls"] == ["https://a.example.org", hand], a)
    change("del", "192.0.2.11/24")
    change("del", "192.0.2.12/24")
    a = admin("settings.set", urls=["automatic"], stun=[], relays=[])
    check("as it was before", {**a, "changed": None} == {**was, "changed": None}, a)
    for args, words in (({}, "nothing is to be set"), ({"urls": []}, "automatic"), ({"urls": ["http://x"]}, "https://x"), ({"urls": ["https://u:geheim@x"]}, "password"),
                        ({"urls": ["https://10.77.0.1:8443"]}, "10.77.0.0/16"), ({"urls": ["https://n100.testmesh.internal"]}, "name of this mesh"), ({"urls": [f"https://h{i}" for i in range(17)]}, "urls"),
                        ({"stun": ["10.200.1.1:3478"]}, "10.200.0.0/20"), ({"stun": ["127.0.0.1:3478"]}, "stun"), ({"stun": [f"a:{i}" for i in range(1, 10)]}, "stun"),
                        ({"relays": [relay, {**relay, "host": "b"}]}, "called fra"), ({"relays": [{**relay, "host": "10.96.0.1"}]}, "10.96.0.0/16")):
        said = refused("settings.set", **args)
        check(f"settings.set {args}: {said}", said.startswith("bad_request") and words in said and "geheim" not in said, said)
    check("nothing was changed by these", admin("settings.get")["settings"] == was["settings"])


# ---- hostile input

def test_hostile_admin():
    def code_of(data):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect(f"{RUN}/coord.sock")
        try:
            s.sendall(data)
            head = s.recv(4, socket.MSG_WAITALL)
            reply = json.loads(s.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL)) if len(head) == 4 else {}
        finally:
            s.close()
        return "ok" if "ok" in reply else reply.get("error", {}).get("code")

    def frame(text):
        data = text if isinstance(text, bytes) else text.encode()
        return struct.pack(">I", len(data)) + data

    print("== bad JSON at every call of the local socket")
    before = admin("status")["records"]
    deep = "[" * 7000 + "]" * 7000
    for body in ("x", "[]", "1", "null", '"status"', deep, '{"a":' * 2500 + "1" + "}" * 2500, '{"call":1}', '{"call":null}', '{"call":"status","call":"status"}',
                 b'{"call":"\xff"}', '{"call":"status","args":[]}', '{"call":"status","args":' + deep + "}", "{}{}", " " * (1 << 20)):
        code = code_of(frame(body))
        check(f"{body[:24]!r}: {code}", code == "bad_request", code)
    for data in (b"\xff\xff\xff\xff{}", b"\0\0\0\0", struct.pack(">I", 1 << 21)):
        code = code_of(data)
        check(f"length {data[:4].hex()}: {code}", code == "too_large", code)
    values = (None, True, -1, 1 << 62, 1.5, "", "x" * 5000, "\u0000", "../x", "-", [], {}, [[]], [1], {"a": {}}, {"": ""})
    for call, args, fields in (("token.create", {"role": "member"}, ("role", "name", "ttl_s", "tags", "labels", "reusable", "relay", "replace")), ("token.revoke", {}, ("id",)),
                               ("node.remove", {}, ("node",)), ("node.rename", {"node": "laptop", "name": "laptop3"}, ("node", "name")),
                               ("node.label", {"node": "laptop"}, ("node", "set", "remove")), ("relay.allow", {}, ("node",)), ("relay.deny", {}, ("node",)),
                               ("relay.add", {"host": "vps.example.org", "port": 3340}, ("host", "port")), ("relay.remove", {}, ("host",)),
                               ("settings.set", {"urls": ["automatic"]}, ("urls", "stun", "relays"))):
        for field in fields:
            for value in values:
                code = code_of(frame(json.dumps({"call": call, "args": {**args, field: value}})))
                absent = value is None and field != "node" or (field, value) in (("tags", []), ("labels", {}), ("reusable", True), ("relay", True), ("set", {}), ("remove", []), ("stun", []), ("relays", []))
                absent = absent and (call, field) != ("settings.set", "urls")
                good = code in ("ok", "range_full") if absent and call in ("token.create", "node.label", "settings.set") else code in ("bad_request", "unknown_node", "unknown_token", "not_found", "range_full")
                check(f"{call} {field} {str(value)[:12]!r}: {code}", good, code)
    check("nothing was changed by it", admin("status")["records"] == before)


def test_hostile():
    check("the local socket is its user's and group's alone", os.stat(f"{RUN}/coord.sock").st_mode & 0o777 == 0o660)
    print("== hostile bodies at every call")
    deep = "[" * 20000 + "]" * 20000
    bodies = {"empty": "", "garbage": "\x00\x01\xff", "no JSON": "hello", "a list": "[]", "a number": "1", "null": "null", "deep": deep, "deep object": '{"a":' * 5000 + "1" + "}" * 5000,
              "duplicate keys": '{"token":1,"token":2}', "bad UTF-8": b'{"a":"\xff"}', "trailing": "{}{}", "long string": '{"name":"' + "a" * 60000 + '"}',
              "wrong types": '{"token":[],"wg":{},"name":1,"payload":{},"sig":[],"id":null}', "many keys": "{" + ",".join(f'"k{i}":{i}' for i in range(4000)) + "}"}
    for method, path, board in (("POST", "/v1/enroll", Board()), ("POST", "/v1/enroll/check", Board()), ("PUT", "/v1/presence", n100), ("PUT", "/v1/relay", n100), ("PUT", "/v1/kube", n100)):
        most = {"/v1/enroll": 16384, "/v1/enroll/check": 16384, "/v1/relay": 4096}.get(path, 65536)
        for i, (what, body) in enumerate(bodies.items()):
            source = f"127.5.{['POST', 'PUT'].index(method)}.{i + 1}"
            for _ in range(8):
                a = ask(method, path, board, source=source, raw=body if isinstance(body, bytes) else body.encode("latin-1"))
                if a.code != "too_many":
                    break
                time.sleep(1)
            right = (413, "too_large") if len(body) > most else (400, "bad_request")
            check(f"{method} {path}: {what}: {right[1]}", (a.status, a.code) == right, a)
        a = ask(method, path, board, source="127.5.9.9", raw=b"{" + b" " * 70000 + b"}")
        check(f"{method} {path}: more than 64 KiB: too_large", (a.status, a.code) == (413, "too_large"), a)

    def chunks():
        for _ in range(40):
            yield b" " * 4096
    c = http.client.HTTPSConnection("127.0.0.1", 8443, context=context(n100))
    c.request("PUT", "/v1/presence", body=chunks(), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    check("chunks of more than 64 KiB: too_large", c.getresponse().status == 413)
    for what, data in (("plain HTTP", b"GET / HTTP/1.0\r\n\r\n"), ("noise", os.urandom(4000)), ("half a hello", b"\x16\x03\x01\x02\x00\x01\x00")):
        s = socket.create_connection(("127.0.0.1", 8443))
        s.sendall(data)
        s.close()
    for what, data in (("a head without end", b"GET /v1/health HTTP/1.1\r\n" + b"X: " + b"a" * 40000), ("no HTTP", b"\x00" * 500 + b"\r\n\r\n"), ("negative length", b"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"),
                       ("two lengths", b"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello"), ("huge length", b"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n")):
        with context(n100).wrap_socket(socket.create_connection(("127.0.0.1", 8443), timeout=30)) as s:
            try:
                s.sendall(data)
                first = s.recv(64)
            except OSError:
                first = b"(closed)"
            check(f"{what}: refused ({first[:20]!r})", b" 200 " not in first)
    check("it still answers", ask("GET", "/v1/health").status == 200)

    print("== slow clients")
    s, out = socket.create_connection(("127.0.0.1", 8443)), ssl.MemoryBIO()
    try:
        context().wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        s.sendall(out.read())  # the first flight, and nothing after it
    check("its first words are read", until(5, lambda: unread(8443) == 0))
    begun, before = time.time(), cpu_seconds()
    admin("status")
    took = time.time() - begun
    time.sleep(2)
    check(f"a client that leaves its handshake half done costs nobody anything ({took * 1000:.0f} ms, {cpu_seconds() - before:.2f} s of CPU)", took < 5 and cpu_seconds() - before < 0.4, (took, cpu_seconds() - before))
    s.settimeout(60)
    begun = time.time()
    while s.recv(65536):
        pass
    check(f"and is put out after {time.time() - begun:.0f} s", time.time() - begun < 45)
    slow = []
    for i in range(60):
        s = socket.create_connection(("127.0.0.1", 8443), source_address=(f"127.6.0.{i + 1}", 0), timeout=5)
        if i % 3 == 1:
            s = context().wrap_socket(s)
            s.sendall(b"GET /v1/health HTTP/1.1\r\nX: ")
        elif i % 3 == 2:
            s = context(n100).wrap_socket(s)
            s.sendall(b"PUT /v1/presence HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{")
        slow.append(s)
    end, open_ones, worst = time.time() + 60, len(slow), 0
    cpu, began = cpu_seconds(), time.time()
    while open_ones and time.time() < end:
        time.sleep(1)
        begun = time.time()
        check_answer = ask("GET", "/v1/health")
        worst = max(worst, time.time() - begun)
        open_ones = 0
        for i, s in enumerate(slow):
            if s is None:
                continue
            try:
                s.send(b"a" if i % 3 else b"\x16")
                open_ones += 1
            except OSError:
                slow[i] = None
        if check_answer.status != 200:
            check("it answers meanwhile", False, check_answer)
    cpu, wall = cpu_seconds() - cpu, time.time() - began
    check(f"they cost {cpu * 100 / wall:.1f} % of one core", cpu < wall * 0.15, cpu)
    check(f"60 clients that trickle are all put out; others wait {worst * 1000:.0f} ms at most", open_ones == 0 and worst < 5, open_ones)
    hold = [socket.create_connection(("127.0.0.1", 8443), source_address=("127.7.0.1", 0)) for _ in range(600)]
    check("600 connections from one address leave room for others", ask("GET", "/v1/health", source="127.7.0.2").status == 200)
    for s in hold:
        s.close()
    print("== many polls")
    boards = [n100, pi3, laptop]
    head = poll(n100).json
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        polls = [pool.submit(poll, boards[i % 3], head["head"]["seq"], head["cursor"], wait=20) for i in range(40)]
        few = lambda: sum(p.done() for p in polls) >= 28 and admin("status")["connected"] == 3
        check("few stay open per node", until(10, few), sum(not p.done() for p in polls))
        admin("node.rename", node="laptop", name="laptop2")
        admin("node.rename", node="laptop2", name="laptop")
        check("all are answered", {p.result().status for p in polls} == {200})


# ---- what survives

def log_of(board):
    return [(r["seq"], r["sig"]) for r in records_of(board)]


def test_restart():
    print("== restart")
    before, instance = log_of(n100), poll(n100).json["cursor"].split("-")[0]
    kube = poll(n100, kube="").json["kube"]
    old = token(role="member", labels={"worker": ""})
    tokens_before = {(t["id"], t["state"]) for t in admin("token.list")["tokens"]}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        head = poll(n100).json
        waiting = pool.submit(poll, n100, head["head"]["seq"], head["cursor"], wait=40)
        check("a poll is open", until(10, lambda: admin("status")["connected"] == 1))
        begun = time.time()
        stop()
        check("an orderly end answers open polls", waiting.result().status == 200 and time.time() - begun < 10)
    db = sqlite3.connect(f"{STATE}/coord.db")
    with db:
        check("a token of an older coordinator is put there", db.execute("UPDATE tokens SET value = replace(value, '\"worker\":\"\"', '\"node-role.kubernetes.io/worker\":\"\"') WHERE key = ?", (old["id"],)).rowcount == 1)
    db.close()
    start()
    a = enroll(Board("old"), old)
    check("its label is refused when a board comes with it", a.code == "bad_request" and "node-role.kubernetes.io/worker" in a.json["error"]["message"], a)
    check("the log is the same", log_of(n100) == before)
    check("the instance is another", poll(n100).json["cursor"].split("-")[0] != instance)
    check("tokens are the same", {(t["id"], t["state"]) for t in admin("token.list")["tokens"]} == tokens_before)
    check("presences were kept", [n["endpoints"] for n in admin("node.list")["nodes"] if n["name"] == "pi3"] == [["192.0.2.33:41741"]])
    check("the bundle was kept", poll(n100, kube="").json["kube"] == kube)


def test_kill():
    print("== kill -9 at 20 random moments, under load")
    told_tokens, told_nodes, told_log, lock = {}, {}, dict(log_of(n100)), threading.Lock()
    redeem = []
    done = threading.Event()

    def work(number):
        rng = random.Random(number)
        while not done.is_set():
            try:
                t = token(role="member")
                with lock:
                    told_tokens[t["id"]] = t
                board = Board(f"k{next(serial)}")
                redeem.append((board, t))
                a = enroll(board, t, f"127.8.{number}.{rng.randint(1, 250)}")
                if a.status == 200:
                    with lock:
                        told_nodes[board.name] = board
                        told_log.update({r["seq"]: r["sig"] for r in a.json["records"]})
                if rng.random() < 0.2 and a.status == 200:
                    admin("node.rename", node=board.node["id"], name=board.name + "-x")
            except (OSError, http.client.HTTPException, Refused, ValueError):
                time.sleep(0.02)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    rng = random.Random(7)
    for _ in range(20):
        time.sleep(0.1 + rng.random() * 0.5)
        stop(signal.SIGKILL)
        start(wait=False)
        if not until(30, lambda: admin("status")):
            check("it starts again", False, open(f"{TMP}/log").read()[-600:])
    done.set()
    for t in threads:
        t.join()
    now = dict(log_of(n100))
    check(f"no record that anybody saw was lost or changed ({len(told_log)} seen)", all(now.get(s) == sig for s, sig in told_log.items()))
    known = {t["id"] for t in admin("token.list")["tokens"]}
    check(f"no token was lost ({len(told_tokens)})", set(told_tokens) <= known)
    ids = {n["id"] for n in admin("node.list")["nodes"]}
    check(f"no node was lost ({len(told_nodes)})", all(b.node["id"] in ids for b in told_nodes.values()))
    check("ids and addresses are unique", len(ids) == len(admin("node.list")["nodes"]) == len({n["mesh4"] for n in admin("node.list")["nodes"]}))
    # Whoever got no answer asks again: one node each, none twice.
    by_identity = {}
    for i, (board, t) in enumerate(redeem):
        a = enroll(board, t, f"127.9.{i // 200}.{i % 200 + 1}")
        check("", a.status == 200, a) if a.status != 200 else None
        by_identity.setdefault(a.json["node"]["identity"], set()).add(a.json["node"]["id"])
    check(f"every board that asks again is one node ({len(redeem)})", len(by_identity) == len(redeem) and all(len(v) == 1 for v in by_identity.values()))
    copy = sqlite3.connect(f"{STATE}/coord.db")
    check("the database is whole", copy.execute("pragma integrity_check").fetchone() == ("ok",))
    copy.close()


def test_full_disk():
    print("== full disk")
    small = f"{TMP}/small"
    os.mkdir(small)
    stop()
    size = sum(os.path.getsize(f"{STATE}/{f}") for f in os.listdir(STATE)) // (1 << 20) + 8  # MiB; a fast machine has enrolled many
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=700", "tmpfs", small], check=True)
    for f in os.listdir(STATE):
        shutil.copy2(f"{STATE}/{f}", small)
    start("--state", small)
    before = log_of(n100)
    spare = [(Board(f"full{i}"), token(role="member")) for i in range(3)]
    f = os.open(f"{small}/ballast", os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(f, bytes(4096))
    except OSError:
        os.close(f)
    codes = set()
    for _ in range(1500):
        answer = refused("token.create", role="member")
        codes.add(answer.split(":")[0])
        if answer.startswith("storage"):
            break
    check("a token cannot be made: storage", "storage" in codes, codes)
    a = enroll(*spare[0], source="127.10.0.1")
    check("an enrolment: 507 storage", (a.status, a.code) == (507, "storage"), a)
    described("POST", "/v1/enroll", a)
    check("reading goes on", log_of(n100) == before)
    os.unlink(f"{small}/ballast")
    for board, t in spare:
        check("with room again it goes on where it was", enroll(board, t, "127.10.0.2").status == 200)
    stop(signal.SIGKILL)
    start("--state", small)
    check("and nothing was lost", set(before) < set(log_of(n100)) and [enroll(b, t, "127.10.0.3").status for b, t in spare] == [200] * 3)
    stop()
    subprocess.run(["umount", small])


def test_damaged():
    print("== damaged state")

    def refuses(what, change, *words):
        d = f"{TMP}/damaged"
        shutil.rmtree(d, ignore_errors=True)
        shutil.copytree(STATE, d)
        change(d)
        r = subprocess.run([f"{BUILD}/bin/hearth-coord", "serve", "--user", "root", "--state", d, "--listen", "9443", "--run", d], capture_output=True, text=True, timeout=20)
        check(f"{what}: {r.stderr.strip()[:150]}", r.returncode == 1 and all(w in r.stderr for w in words), r)

    def sql(text):
        def change(d):
            db = sqlite3.connect(f"{d}/coord.db")
            db.executescript(text)
            db.close()
        return change

    def write(name, data):
        return lambda d: open(f"{d}/{name}", "wb").write(data)

    def corrupt(d):
        with open(f"{d}/coord.db", "r+b") as f:
            size = f.seek(0, 2)
            for at in range(4096, size, 4096):
                f.seek(at)
                f.write(os.urandom(2048))
    for f in glob.glob(f"{STATE}/coord.db-*"):
        check("the last writer left no journal behind", False, f)
    refuses("a database with noise in it", corrupt, "damaged", "restore")
    refuses("a cut database", lambda d: os.truncate(f"{d}/coord.db", 5000), "damaged")
    refuses("no database", lambda d: os.unlink(f"{d}/coord.db"), "init")
    refuses("an empty one", write("coord.db", b""), "init")
    refuses("a newer one", sql("pragma user_version=99"), "newer program")
    refuses("another program's", sql("pragma application_id=77"), "not the coordinator's database")
    refuses("a record taken out", sql("delete from log where key=3"), "damaged at record 3")
    refuses("a record changed", sql("update log set value=replace(value, '\"type\":\"node\"', '\"type\":\"nodf\"') where key=3"), "damaged at record 3")
    refuses("a node added by hand", sql("insert into log select (select max(key)+1 from log), replace(value, '\"seq\":3,', '\"seq\":'||(select max(key)+1 from log)||',') from log where key=3"), "damaged at record")
    refuses("another mesh's root", sql("update meta set value='" + b64(bytes(32)) + "' where key='root'"), "damaged at record 1")
    refuses("a token's row garbled", sql("update tokens set value='{}'"), "tokens")
    refuses("a foreign signing key", write("signing.key", b64(os.urandom(32)).encode() + b"\n"), "signing.key", "certified")
    refuses("half a signing key", write("signing.key", b"AAAA"), "signing.key", "damaged")
    refuses("a TLS key that all may read", lambda d: os.chmod(f"{d}/tls.key", 0o644), "chmod 600")
    start()
    check("what was only copied is well", len(log_of(n100)) > 10)
    db = f"{STATE}/coord.db"
    stop(signal.SIGKILL)
    with open(f"{db}-wal", "ab") as f:  # a torn frame at the end of the journal
        f.write(os.urandom(3000))
    start()
    check("a torn journal costs nothing", len(log_of(n100)) > 10)
    check("SIGTERM ends it with status 0", stop() == 0)


test_contract()
test_enrolment()
test_feed()
test_relays()
test_pages()
test_settings()
test_hostile_admin()
test_hostile()
test_restart()
test_kill()
test_full_disk()
test_damaged()
