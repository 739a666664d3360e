#!/usr/bin/env python3
"""Rude clients of the appliance's two sockets, until SIGTERM: they are slow, many, half there, send
too much or nonsense, never read. Run in the appliance's namespace. Prints on SIGTERM what it did.

    rude.py HTTP-PORT TELEMETRY-SOCKET
"""

import collections
import json
import os
import random
import signal
import socket
import sys
import threading
import time

PATIENCE_S = 5  # of one rude act; then it begins anew
done = collections.Counter()
over = threading.Event()


def http():
    link = socket.create_connection(("127.0.0.1", int(sys.argv[1])), PATIENCE_S)
    link.settimeout(PATIENCE_S)
    return link


def telemetry():
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.settimeout(PATIENCE_S)
    link.connect(sys.argv[2])
    return link


def drip():
    """A header that never ends, a byte at a time."""
    with http() as link:
        link.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        while not over.wait(0.2):
            link.sendall(b"x")


def hold():
    """Many connections without a word."""
    links = [http() for _ in range(50)]
    over.wait(1)
    for link in links:
        link.close()


def half():
    """Half a request, then gone."""
    with http() as link:
        link.sendall(b"GET /metr")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    over.wait(0.02)


def huge():
    with http() as link:
        link.sendall(b"GET /metrics HTTP/1.1\r\nX-Huge: " + b"x" * 4_000_000)


def body():
    with http() as link:
        link.sendall(b"POST /metrics HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 1_000_000)


def garbage():
    with http() as link:
        link.sendall(random.randbytes(3000) + b"\r\n\r\n")
    over.wait(0.02)


def pipeline():
    """Asks a thousand times and takes nothing."""
    with http() as link:
        link.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        over.wait(1)


def flood():
    """As fast as it goes, and takes all of it."""
    with http() as link:
        for _ in range(100):
            link.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            if not link.recv(65536):
                return
            done["flood_answers"] += 1


def t_hold():
    """As many connections as there are places, and more."""
    links = [telemetry() for _ in range(20)]
    over.wait(0.5)
    for link in links:
        link.close()


def t_flood():
    """Everything that there is, as fast as it goes."""
    with telemetry() as link:
        link.recv(16384)
        for command in (b"/penstock/ledger", b"/penstock/sessions", b"/penstock/xstats", b"/") * 25:
            link.send(command)
            if not link.recv(16384):
                return
            done["telemetry_answers"] += 1


def t_deaf():
    """Asks and does not listen, until nothing fits any more."""
    with telemetry() as link:
        for _ in range(1000):
            link.send(b"/penstock/ledger")


def t_huge():
    with telemetry() as link:
        link.send(b"/penstock/ledger," + b"9" * 100_000)


def t_garbage():
    with telemetry() as link:
        link.recv(16384)
        for _ in range(20):
            link.send(random.randbytes(random.randrange(1, 1024)))
            link.recv(16384)


ACTS = (drip, drip, hold, half, huge, body, garbage, pipeline, flood)
ACTS += (t_hold, t_flood, t_deaf, t_huge, t_garbage)


def repeat(act):
    while not over.is_set():
        try:
            act()
        except OSError:
            pass  # the other side has had enough
        done[act.__name__] += 1
        over.wait(0.01)


def main():
    random.seed(int(os.environ.get("PST_SEED", "1")))
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    threads = [threading.Thread(target=repeat, args=(act,)) for act in ACTS]
    for thread in threads:
        thread.start()
    while not over.is_set():
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    print(json.dumps(done))


if __name__ == "__main__":
    main()
