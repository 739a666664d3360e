"""What the port tests stand on: namespaces of their own, senders in them, and the sink program."""

import collections
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

SKIP = 77
WAIT_S = 30  # for what must come; nothing is judged by its speed
QUIET_S = 0.5  # for what must not come
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def run(*command, ok=True):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ok and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(SKIP)


def require_root():
    if os.geteuid() != 0:
        skip("needs root: network namespaces and AF_XDP")
    probe = f"pstprobe{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if done.returncode != 0:
        skip(f"no network namespaces here: {done.stderr.strip()}")
    run("ip", "netns", "del", probe)


def wait_until(what, condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {WAIT_S} s for: {what}")
        time.sleep(0.01)


class Net:
    """Namespaces of this test alone, gone when it ends."""

    def __init__(self):
        self.names = []
        self.sinks = []
        self.prefix = f"pstport{os.getpid()}"
        self.foreign_prefix = f"{self.prefix}t"  # of testpmd

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sink in self.sinks:
            sink.kill()
        for name in self.names:
            run("ip", "netns", "del", name, ok=False)
        for root in ("/var/run/dpdk", "/run/dpdk"):
            for prefix in [sink.prefix for sink in self.sinks] + [self.foreign_prefix]:
                shutil.rmtree(f"{root}/{prefix}", ignore_errors=True)

    def namespace(self):
        name = f"{self.prefix}n{len(self.names)}"
        run("ip", "netns", "add", name)
        self.names.append(name)
        self.ip(name, "link", "set", "lo", "up")
        return name

    def ip(self, namespace, *words):
        return run("ip", "-n", namespace, *words)

    def link_local(self, namespace, ifname):
        """None: not yet past duplicate detection."""
        shown = self.ip(namespace, "-6", "-o", "addr", "show", "dev", ifname, "scope", "link")
        if "inet6" not in shown or "tentative" in shown:
            return None
        return shown.split("inet6 ")[1].split("/")[0]

    def execute(self, namespace, *command, ok=True):
        return run("ip", "netns", "exec", namespace, *command, ok=ok)

    def veth(self, mtu=1500, queues=(1, 1)):
        """(ours, theirs): namespaces joined by veth "in" (10.7.0.1, fd07::1) and "out" (.2, ::2).
        queues: rx queues of "in", tx queues of "out"."""
        ours, theirs = self.namespace(), self.namespace()
        rx, tx = queues
        command = ["link", "add", "in", "mtu", str(mtu), "numrxqueues", str(rx), "numtxqueues",
                   str(rx), "type", "veth", "peer", "name", "out", "mtu", str(mtu), "numrxqueues",
                   str(tx), "numtxqueues", str(tx), "netns", theirs]
        self.ip(ours, *command)
        for namespace, name, host in ((ours, "in", 1), (theirs, "out", 2)):
            # Without duplicate detection it is there as soon as the carrier is.
            self.execute(namespace, "sysctl", "-qw", f"net.ipv6.conf.{name}.accept_dad=0")
            self.ip(namespace, "addr", "add", f"10.7.0.{host}/24", "brd", "+", "dev", name)
            self.ip(namespace, "addr", "add", f"fd07::{host}/64", "dev", name, "nodad")
            self.ip(namespace, "link", "set", name, "up")
        for namespace, name in ((ours, "in"), (theirs, "out")):
            wait_until(f"link-local address of {name}",
                       lambda: self.link_local(namespace, name) is not None)
        # Neighbours are learned before anything is counted.
        self.execute(theirs, "ping", "-c1", "-W5", "10.7.0.1")
        self.execute(theirs, "ping", "-c1", "-W5", "fd07::1")
        return ours, theirs

    def socket(self, namespace, *args):
        """A socket that lives in the namespace."""
        made = []

        def make():
            fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
            if LIBC.setns(fd, CLONE_NEWNET) == 0:
                made.append(socket.socket(*args))
            os.close(fd)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        assert made, f"setns {namespace}"
        return made[0]

    def has_xdp(self, namespace, ifname):
        shown = run("ip", "-n", namespace, "-d", "-j", "link", "show", "dev", ifname)
        return "xdp" in json.loads(shown)[0]

    def mac(self, namespace, ifname):
        shown = run("ip", "-n", namespace, "-j", "link", "show", "dev", ifname)
        return bytes.fromhex(json.loads(shown)[0]["address"].replace(":", ""))


class Sink:
    """The sink program, and what it received."""

    def __init__(self, net, namespace, kind, device, *listeners, queues=1, env=None, wrap=(),
                 cwd=None):
        self.prefix = f"{net.prefix}s{len(net.sinks)}"
        command = [os.environ["PST_PORT_SINK"], self.prefix, "160", kind, device, str(queues)]
        self.log = []
        self.got = []
        self.stats_lines = []
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *wrap, *command, *listeners],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=cwd, env={**os.environ, **(env or {})})
        net.sinks.append(self)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            words = line.split()
            if words and words[0] == "got":
                self.got.append((words[1], int(words[2]), int(words[3]), words[5], words[6]))
            elif words and words[0] == "stats":
                self.stats_lines.append(json.loads(line[6:]))
            else:
                self.log.append(line.rstrip("\n"))

    def pid(self):
        """Of the program itself: ip and setpriv become it."""
        return self.process.pid

    def pause(self):
        """Returns once it polls no more."""
        self.process.send_signal(signal.SIGSTOP)

        def state():
            with open(f"/proc/{self.pid()}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0]

        wait_until("the sink stands still", lambda: state() == "T")

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def said(self, start):
        return [line for line in self.log if line.startswith(start)]

    def ready(self):
        wait_until(f"ready\n{self.text()}",
                   lambda: self.said("ready") or self.process.poll() is not None)
        assert self.said("ready"), f"the sink did not start:\n{self.text()}"
        return self

    def refused(self, *words):
        """It must have ended with a message that has all the words."""
        self.process.wait(WAIT_S)
        self.thread.join()
        assert self.process.returncode == 1, f"exit {self.process.returncode}\n{self.text()}"
        for word in words:
            assert word in self.text(), f'no "{word}" in\n{self.text()}'

    def text(self):
        return "\n".join(self.log)

    def stats(self):
        seen = len(self.stats_lines)
        self.process.send_signal(signal.SIGUSR1)
        wait_until("statistics", lambda: len(self.stats_lines) > seen)
        return self.stats_lines[-1]

    def stop(self):
        """SIGTERM; the last statistics. Every buffer must be home."""
        self.process.terminate()
        self.process.wait(WAIT_S)
        self.thread.join()
        assert self.process.returncode == 0, f"exit {self.process.returncode}\n{self.text()}"
        assert self.said("done home"), f"buffers are missing\n{self.text()}"
        return self.stats_lines[-1]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Traffic:
    """Datagrams that can be told apart, and the comparison with what arrived."""

    def __init__(self, seed=None):
        self.random = random.Random(seed or int(os.environ.get("PST_SEED", "1")))
        self.sequence = 0
        self.sent = collections.Counter()

    def payload(self, size):
        self.sequence += 1
        body = struct.pack(">Q", self.sequence)[-size:] if size < 8 else (
            struct.pack(">Q", self.sequence) + self.random.randbytes(size - 8))
        self.sent[size, f"{zlib.crc32(body):08x}"] += 1
        return body

    def send(self, sock, address, port, sizes):
        for size in sizes:
            sock.sendto(self.payload(size), (address, port))

    def arrived(self, sink):
        """Waits until as much has arrived as was sent, and a little longer for what must not."""
        wanted = sum(self.sent.values())
        wait_until(f"{wanted} datagrams, {len(sink.got)} came", lambda: len(sink.got) >= wanted)
        time.sleep(QUIET_S)
        self.compare(sink)

    def compare(self, sink):
        came = collections.Counter((size, crc) for _, _, size, crc, _ in sink.got)
        lost, extra = self.sent - came, came - self.sent
        assert not lost and not extra, (
            f"{sum(lost.values())} lost: {list(lost)[:5]}, "
            f"{sum(extra.values())} too many or changed: {list(extra)[:5]}\n{sink.text()}")
        assert not sink.said("bad"), sink.said("bad")[:5]


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[: len(data) & ~1]))
    if len(data) & 1:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_frame(macs, source, target, port, payload, tags=(), options=b""):
    """A whole Ethernet frame with right checksums. macs: (to, from); tags: TPIDs."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    src, dst = (socket.inet_pton(family, a) for a in (source, target))
    length = 8 + len(payload)
    udp = struct.pack(">HHHH", 1234, port, length, 0) + payload
    total = checksum(src + dst + struct.pack(">IxxxB", length, 17) + udp) or 0xFFFF
    udp = udp[:6] + struct.pack(">H", total) + udp[8:]
    if family == socket.AF_INET:
        words = 5 + len(options) // 4
        ip = struct.pack(">BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + length, 1, 0x4000, 64, 17,
                         0, src, dst) + options
        ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    else:
        ip = struct.pack(">IHBB16s16s", 0x60000000, length, 17, 64, src, dst)
    vlan = b"".join(struct.pack(">HH", tpid, 100 + i) for i, tpid in enumerate(tags))
    kind = struct.pack(">H", 0x86DD if family == socket.AF_INET6 else 0x0800)
    return macs[0] + macs[1] + vlan + kind + ip + udp


def write_pcap(path, frames):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            f.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
