#!/usr/bin/env python3
"""Talks all the time, and says how long it once had no answer. For the network namespace of a pod.

    talk.py PORT [KIND:ADDRESS]...

Answers on PORT what other talkers send, and asks, 10 times a second or as often as it is answered:
    talk:ADDRESS           another talker, on a TCP connection that stays
    http:ADDRESS:PORT      a web server, on a new connection each time
    dns:ADDRESS            a name server for kubernetes.default.svc.cluster.local, over UDP
An answer that takes more than a second is asked for again on a new connection; a connection of a talker is given
up after 20. At SIGUSR1 it asks no more, but still answers, and prints a line for each: what it asked, the answers,
how often it had to begin again, the longest time without an answer, and when that ended (seconds since the epoch)."""
import asyncio
import signal
import struct
import sys
import time

PAUSE = 0.1
QUESTION = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + b"".join(
    bytes([len(label)]) + label.encode() for label in "kubernetes.default.svc.cluster.local".split(".")
) + b"\0" + struct.pack(">2H", 1, 1)


class Asked:
    def __init__(self, name):
        self.name, self.answers, self.again = name, 0, 0
        self.last, self.longest, self.until = None, 0.0, time.time()

    def answered(self):
        self.look()
        self.last = time.monotonic()
        self.answers += 1

    def look(self):
        gap = time.monotonic() - self.last if self.last else 0
        if gap > self.longest:
            self.longest, self.until = gap, time.time()


async def serve(reader, writer):
    try:
        while True:
            writer.write(await reader.readexactly(8))
    except (OSError, asyncio.IncompleteReadError):
        writer.close()


async def talk(asked, address, port):
    reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 1)
    try:
        while True:
            writer.write(struct.pack(">Q", asked.answers))
            if struct.unpack(">Q", await asyncio.wait_for(reader.readexactly(8), 20))[0] != asked.answers:
                raise OSError("an answer to another question")
            asked.answered()
            await asyncio.sleep(PAUSE)
    finally:
        writer.close()


async def http(asked, address, port):
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        if b" 200 " not in await reader.readline():
            raise OSError("not found")
        asked.answered()
    finally:
        writer.close()


async def dns(asked, address):
    answer = asyncio.get_running_loop().create_future()

    class Socket(asyncio.DatagramProtocol):
        def datagram_received(self, data, _):
            if not answer.done():
                answer.set_result(data)

        def error_received(self, error):
            if not answer.done():
                answer.set_exception(error)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Socket, remote_addr=(address, 53))
    try:
        transport.sendto(QUESTION)
        if b"\x0a\x60\x00\x01" in await answer:  # 10.96.0.1
            asked.answered()
    finally:
        transport.close()


async def ask(asked, own_port):
    kind, address = asked.name.split(":", 1)
    while True:
        try:
            if kind == "talk":
                await talk(asked, address, own_port)
            elif kind == "http":
                await asyncio.wait_for(http(asked, *address.rsplit(":", 1)), 1)
            else:
                await asyncio.wait_for(dns(asked, address), 1)
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            asked.again += asked.answers > 0
        await asyncio.sleep(PAUSE)


async def main(port, names):
    enough = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, enough.set)
    server = await asyncio.start_server(serve, None, port)
    asked = [Asked(name) for name in names]
    asking = [asyncio.create_task(ask(one, port)) for one in asked]
    await enough.wait()
    for task in asking:
        task.cancel()
    for one in asked:
        one.look()
        print(one.name, one.answers, one.again, f"{one.longest:.2f} {one.until:.2f}", flush=True)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
