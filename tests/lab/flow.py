#!/usr/bin/env python3
"""Numbered UDP datagrams, and a receiver that notices whatever happened to them.

    flow.py send ADDRESS PORT COUNT PER_SECOND
    flow.py receive ADDRESS PORT COUNT      prints "received N duplicates N corrupt N reordered N"

A datagram is its number (8 bytes), its filling (0 to 1192 bytes made from the number) and the CRC-32 of
both. The receiver prints "ready" first and ends 2 s after one of the last thousand, or 10 s after any.
A sender that was kept waiting by a busy machine goes on at its rate; it never makes up for it in a burst."""
import socket
import struct
import sys
import time
import zlib


def datagram(number):
    head = struct.pack(">Q", number)
    fill = (head * 150)[: (number * 7919) % 1193]
    return head + fill + struct.pack(">I", zlib.crc32(head + fill))


def open_socket(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    return s


def send(address, port, count, rate):
    s = open_socket(address)
    s.connect((address, port))
    start = time.monotonic()
    for number in range(count):
        ahead = start + number / rate - time.monotonic()
        if ahead > 0.002:
            time.sleep(ahead)
        elif ahead < -0.02:
            start -= ahead
        while True:
            try:
                s.send(datagram(number))
                break
            except (ConnectionRefusedError, BlockingIOError):
                time.sleep(0.001)
            except OSError as e:
                if e.errno != 105:  # ENOBUFS: the device's queue is full
                    raise
                time.sleep(0.001)


def receive(address, port, count):
    s = open_socket(address)
    s.bind((address, port))
    s.settimeout(30)
    print("ready", flush=True)
    seen, duplicates, corrupt, reordered, highest = set(), 0, 0, 0, -1
    while True:
        try:
            data = s.recv(65536)
        except socket.timeout:
            break
        s.settimeout(2 if highest >= count - 1000 else 10)
        number = struct.unpack(">Q", data[:8])[0] if len(data) >= 12 else count
        if number >= count or data != datagram(number):
            corrupt += 1
            continue
        if number in seen:
            duplicates += 1
        seen.add(number)
        if number < highest:
            reordered += 1
        highest = max(highest, number)
    print(f"received {len(seen)} duplicates {duplicates} corrupt {corrupt} reordered {reordered}")


if sys.argv[1] == "send":
    send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
else:
    receive(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
