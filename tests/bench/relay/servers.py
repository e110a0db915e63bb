"""Servers of DERP by themselves, in a namespace: hearth-relay, with a hearthd that only knows who the members are, and
Tailscale's derper."""
import json
import os
import socket
import struct
import subprocess
import threading

import lab


class Members:
    """What hearth-relay asks of hearthd (PROTOCOL.md section 9): `members`, at once if it does not have them yet."""

    def __init__(self, path, keys):
        members = [{"id": n, "name": f"n{n}", "wg": wg, "identity": identity} for n, (wg, identity) in enumerate(keys, 1)]
        body = json.dumps({"ok": {"seq": 1, "self": 1, "members": members, "ranges": [], "pins": []}}).encode()
        self.reply = struct.pack(">I", len(body)) + body
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen(8)
        self.held = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        try:
            while True:
                head = self.exactly(connection, 4)
                asked = json.loads(self.exactly(connection, struct.unpack(">I", head)[0]))
                if asked.get("args", {}).get("seq") != 1:
                    connection.sendall(self.reply)
                else:
                    self.held.append(connection)
        except (OSError, EOFError):
            connection.close()

    @staticmethod
    def exactly(connection, n):
        data = b""
        while len(data) < n:
            more = connection.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def close(self):
        self.socket.close()


class Server:
    """@port: where it listens, on all addresses."""

    def rss_kb(self):
        return lab.status_kb(self.process.pid, "VmRSS")

    def alive(self):
        if self.process.poll() is not None:
            raise lab.Failed(f"{self.name} ended with {self.process.returncode}")

    def stop(self):
        lab.stop(self.process)

    def wait(self, ns):
        lab.until(20, lambda: self.process.poll() is not None or lab.listening(ns, self.port), f"{self.name} listens")
        self.alive()


class Ours(Server):
    name, port = "hearth-relay", 3340

    def __init__(self, ns, program, keys, log, tmp):
        home = f"{tmp}/relay"
        dirs = {"HEARTH_ETC": f"{home}/etc", "HEARTH_RUN": f"{home}/run", "HEARTH_RELAY_STATE": f"{home}/state"}
        environment = {**os.environ, **dirs}
        for path in (dirs["HEARTH_ETC"], dirs["HEARTH_RUN"]):
            os.makedirs(path, exist_ok=True)
        if os.path.exists(f"{dirs['HEARTH_RUN']}/hearthd.sock"):
            os.unlink(f"{dirs['HEARTH_RUN']}/hearthd.sock")
        made = json.loads(subprocess.run([program, "init", "--user", "root"], env=environment, check=True, capture_output=True).stdout)
        with open(f"{dirs['HEARTH_ETC']}/relay.json", "w", encoding="ascii") as f:
            json.dump({"hosts": "automatic", "tcp": self.port, "udp": 3478, **made}, f)
        self.members = Members(f"{dirs['HEARTH_RUN']}/hearthd.sock", keys)
        self.process = ns.start([program, "serve", "--user", "root"], log, stdout=log, env=environment)
        self.wait(ns)

    def stop(self):
        super().stop()
        self.members.close()


class Derper(Server):
    name, port = "derper", 443

    def __init__(self, ns, program, log, tmp):
        home = f"{tmp}/derper"
        os.makedirs(f"{home}/certs", exist_ok=True)
        self.process = ns.start(
            [program, "-c", f"{home}/derper.json", "-a", f":{self.port}", "-http-port", "-1", "-stun=false",
             "-certmode", "manual", "-certdir", f"{home}/certs", "-hostname", "192.0.2.2"], log, stdout=log)
        self.wait(ns)
