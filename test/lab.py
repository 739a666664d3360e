"""A laboratory for tests that run the appliance: two network namespaces joined by a veth pair,
penstockd in one of them, senders in the other, and the means to compare what went in with what
came out. Everything it makes goes away when the process ends, however it ends; what an earlier
one could not take away (kill -9) goes when the next one starts.

    a (sender)  va 10.77.0.1 fd77::1  ----  vb 10.77.0.2 fd77::2  b (appliance)
"""

import atexit
import collections
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import cases
from cases import *
from hugepages import HUGEPAGES

IPV4_A, IPV4_B = "10.77.0.1", "10.77.0.2"
IPV6_A, IPV6_B = "fd77::1", "fd77::2"
PREFIX = "pst-lab"


def remove_namespace(name):
    pids = subprocess.run(["ip", "netns", "pids", name], stdout=subprocess.PIPE, text=True)
    for pid in pids.stdout.split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


def remove_leftovers():
    """Namespaces of laboratories whose process is gone."""
    listing = subprocess.run(["ip", "netns", "list"], stdout=subprocess.PIPE, text=True)
    for line in listing.stdout.splitlines():
        found = re.match(rf"({PREFIX}-(\d+)-[ab])\b", line)
        if found and not pathlib.Path(f"/proc/{found.group(2)}").exists():
            remove_namespace(found.group(1))


class Lab:
    """The two namespaces. One a process."""

    def __init__(self):
        if os.geteuid() != 0:
            raise Skipped("network namespaces need root")
        remove_leftovers()
        self.a = f"{PREFIX}-{os.getpid()}-a"
        self.b = f"{PREFIX}-{os.getpid()}-b"
        atexit.register(self.close)
        for name in (self.a, self.b):
            try:
                run(["ip", "netns", "add", name])
            except Failed as failure:
                raise Skipped(f"no network namespaces here: {failure}")
        # One queue each way: a sender with more of them than the receiver has sockets would
        # put flows where no socket listens.
        run(
            ["ip", "link", "add", "va", "netns", self.a, "numtxqueues", "1", "numrxqueues", "1"]
            + ["type", "veth", "peer", "name", "vb", "netns", self.b]
            + ["numtxqueues", "1", "numrxqueues", "1"]
        )
        for name, device, ipv4, ipv6 in (
            (self.a, "va", IPV4_A, IPV6_A),
            (self.b, "vb", IPV4_B, IPV6_B),
        ):
            self.run(name, ["ip", "link", "set", "lo", "up"])
            self.run(name, ["ip", "addr", "add", f"{ipv4}/24", "dev", device])
            self.run(name, ["ip", "addr", "add", f"{ipv6}/64", "dev", device, "nodad"])
            self.run(name, ["ip", "link", "set", device, "up"])
        # Tags must be in the bytes, not beside them.
        self.run(self.a, ["ethtool", "-K", "va", "txvlan", "off"])
        self.mac_b = self.mac(self.b, "vb")
        self.mac_a = self.mac(self.a, "va")

    def close(self):
        for name in (self.a, self.b):
            remove_namespace(name)

    def run(self, namespace, command, **options):
        return run(["ip", "netns", "exec", namespace] + command, **options)

    def popen(self, namespace, command, **options):
        return subprocess.Popen(
            ["ip", "netns", "exec", namespace] + [str(c) for c in command], **options
        )

    def mac(self, namespace, device):
        out = self.run(namespace, ["ip", "-j", "link", "show", device])
        return json.loads(out)[0]["address"]

    def socket(self, namespace, family, kind):
        """A socket of that namespace, for use by this process."""
        made = []

        def make():
            # A namespace is a thread's: this one enters it and ends.
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/var/run/netns/{namespace}") as f:
                if libc.setns(f.fileno(), 0x40000000) != 0:
                    made.append(OSError(ctypes.get_errno(), "setns"))
                    return
            made.append(socket.socket(family, kind))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def sender(self, to=IPV4_B):
        """A UDP socket of namespace a."""
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        return self.socket(self.a, family, socket.SOCK_DGRAM)

    def load(self, *arguments, namespace=None):
        """Runs penstock-load in namespace a; returns its report."""
        out = self.run(namespace or self.a, [LOAD, "--json", *arguments])
        return json.loads(out)

    def load_start(self, *arguments):
        load = self.popen(self.a, [LOAD, "--json", *arguments], stdout=subprocess.PIPE)
        # From here on SIGINT ends it with a report.
        wait_until(lambda: load.poll() is not None or catches(load, signal.SIGINT), "penstock-load")
        return load


def threads_of(pid):
    """Where the threads of a process that hangs are, in the kernel's words, and in gdb's if it is
    there: one that spins is in no system call."""
    lines = []
    for task in sorted(pathlib.Path(f"/proc/{pid}/task").iterdir()):
        name, state, call = ((task / f).read_text().strip() for f in ("comm", "wchan", "syscall"))
        stack = "".join(f"\n    {line}" for line in (task / "stack").read_text().splitlines())
        lines.append(f"{task.name} {name}: {state}, system call {call}{stack}")
    if shutil.which("gdb"):
        words = ["gdb", "-p", str(pid), "-batch", "-ex", "thread apply all bt 12"]
        try:
            lines.append(run(words).decode(errors="replace"))
        except Failed as failure:
            lines.append(str(failure))
    return "\n".join(lines)


def catches(process, number):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s*(\w+)$", status, re.M)
    return bool(int(caught[1], 16) >> (number - 1) & 1)


def added(one, other):
    """The sum of two reports of penstock-load, key by key."""
    if isinstance(one, dict) or isinstance(other, dict):
        one, other = one or {}, other or {}
        return {key: added(one.get(key, 0), other.get(key, 0)) for key in one | other}
    return other if isinstance(other, str) else one + other


def load_report(process):
    """The report of a penstock-load that was started, once it has ended."""
    out, _ = process.communicate(timeout=PATIENCE_S)
    check_equal(process.returncode, 0, "exit status of penstock-load")
    return json.loads(out)


PROFILE = """\
name: {name}
data:
  dir: {data}
cores:
  main: 0
  rx: [{core_rx}]
  writers: [0]
memory:
  size: {memory}
  no-huge: {no_huge}
ports:
  - name: wire
    interface: {interface}
    checksum: local
listeners:
  - name: syslog
    addresses: [{addresses}]
    port: 5514
    framing: datagram
    stream: syslog
  - name: metrics
    addresses: [{addresses}]
    port: 8125
    framing: lines
    stream: metrics
  - name: feed
    addresses: [{addresses}]
    port: 26400
    framing: mold64
    stream: feed
streams:
  - name: syslog
  - name: metrics
  - name: feed
  - name: alerts
{rules}
telemetry:
  prefix: {name}
metrics:
  port: {metrics_port}
"""

RULES_SECTION = """\
rules:
  file: {file}
  cache: {cache}
"""


PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000


def thread_of(box, number):
    """The thread of EAL lcore number: 1 is the first rx lcore, writers come behind."""
    for task in pathlib.Path(f"/proc/{box.process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == f"rte-worker-{number}":
            return int(task.name)
    raise Failed(f"no thread of lcore {number}")


class Held:
    """One thread stopped, as a debugger does; all others go on."""

    libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self, tid):
        self.tid = tid

    def trace(self, request):
        none = ctypes.c_void_p(None)
        if self.libc.ptrace(ctypes.c_long(request), ctypes.c_long(self.tid), none, none) != 0:
            raise Skipped(f"ptrace: {os.strerror(ctypes.get_errno())}")

    def __enter__(self):
        self.trace(PTRACE_SEIZE)
        self.trace(PTRACE_INTERRUPT)
        os.waitpid(self.tid, WALL)

    def __exit__(self, *_):
        self.trace(PTRACE_DETACH)


class Appliance:
    """One penstockd with a directory of its own under the laboratory."""

    serial = 0
    made = []  # to be closed when the case ends, however it ends

    def __init__(self, lab, rules=None, no_huge=False, directory=None, interface="vb", metrics_port=0):
        Appliance.serial += 1
        self.lab = lab
        self.name = f"{PREFIX}-{os.getpid()}-{Appliance.serial}"
        self.own = directory is None
        self.dir = pathlib.Path(directory or tempfile.mkdtemp(prefix=f"{PREFIX}-"))
        self.data = self.dir / "data"
        self.profile = self.dir / f"{self.name}.yaml"
        self.rules = self.dir / "rules.yaml"
        self.log = self.dir / f"{self.name}.log"
        self.process = None
        self.memory_mib = 256
        # Ordinary memory is slower, and nothing here is timed.
        no_huge = no_huge or not HUGEPAGES.reserve(self.memory_mib // 2)
        section = ""
        if rules is not None:
            self.rules.write_text(rules)
            section = RULES_SECTION.format(file=self.rules, cache=self.dir / "cache")
        self.profile.write_text(
            PROFILE.format(
                name=self.name,
                data=self.data,
                core_rx=min(1, (os.cpu_count() or 1) - 1),
                memory=f"{self.memory_mib}M",
                no_huge="true" if no_huge else "false",
                interface=interface,
                addresses=f"{IPV4_B}, '{IPV6_B}'",
                rules=section,
                metrics_port=metrics_port,
            )
        )
        atexit.register(self.close)
        Appliance.made.append(self)

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(f"/var/run/dpdk/{self.name}", ignore_errors=True)
        if self.data.is_dir():
            # The live marks of one that was killed.
            stat = self.data.stat()
            marks = pathlib.Path(f"/dev/shm/penstock-{stat.st_dev}-{stat.st_ino}")
            marks.unlink(missing_ok=True)
        if self.own:
            shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        """Starts it and waits until it answers on its telemetry socket."""
        self.spawn()
        wait_until(self._answers, "penstockd answers")
        return self

    def spawn(self):
        with open(self.log, "ab") as log:
            self.process = self.lab.popen(
                self.lab.b, [PENSTOCKD, "--profile", self.profile], stdout=log, stderr=log
            )

    def _answers(self):
        if self.process.poll() is not None:
            raise Failed(f"penstockd ended with status {self.process.returncode}:\n{self.said()}")
        try:
            self.status()
        except (Failed, ValueError):
            return False
        return True

    def said(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def status(self):
        out = run([PENSTOCK, "status", "--json", "--prefix", self.name])
        return json.loads(out)

    def rest(self, polled):
        """Waits until that many frames were polled and all of their events are settled."""

        def settled():
            status = self.status()
            if status["frames"]["polled"] > polled:
                raise Failed(f"polled {status['frames']['polled']} frames of {polled}")
            done = status["frames"]["polled"] == polled and status["events"]["in_flight"] == 0
            return status if done else None

        try:
            return wait_until(settled, f"{polled} frames polled and settled")
        except Failed as failure:
            raise Failed(f"{failure}: {json.dumps(self.status()['frames'])}")

    def signal(self, number):
        os.kill(self.process.pid, number)

    def terminate(self):
        """SIGTERM; must drain and exit 0."""
        self.signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"penstockd does not end on SIGTERM:\n{self.said()}")
        if status != 0:
            raise Failed(f"penstockd ended with status {status}:\n{self.said()}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def feed(self, *arguments, count, chunk=400, record=None, first=1):
        """Sends count events with penstock-load, in pieces, each after the one before was taken
        in: how fast the machine happens to be must not decide whether a ring runs over. Returns
        the sum of the reports; the events go into the list record."""
        kept = self.dir / f"sent-{threading.get_ident()}"
        polled = self.status()["frames"]["polled"]
        total = None
        for seq in range(first, first + count, chunk):
            report = self.lab.load(
                *("--rate", "20k", "--first-seq", str(seq), "--record", kept),
                *("--count", str(min(chunk, first + count - seq)), *arguments),
            )
            total = added(total, report)
            wanted = polled + total["frames"]["sent"]
            wait_until(lambda: self.status()["frames"]["polled"] >= wanted, f"{wanted} frames")
            if record is not None:
                record += recorded(kept)
        return total

    def cat(self, topic, *arguments):
        """The events of a stream, as bytes, partition by partition."""
        out = run([PENSTOCK, "cat", "-d", self.data, topic, "-o", "earliest"] + list(arguments))
        return out.split(b"\n")[:-1]

    def records(self, topic):
        """The records of a stream as dictionaries; values as bytes."""
        out = run([PENSTOCK, "cat", "-d", self.data, topic, "-o", "earliest", "--format", "json"])
        return [json.loads(line) for line in out.splitlines()]

    def verify(self):
        run([PENSTOCK, "verify", self.data])


def check_books(status, found=None, stored=None):
    """Both books balance; and hold these numbers."""
    frames, events = status["frames"], status["events"]
    check_equal(frames["residual"], 0, "residual of frames")
    check_equal(events["residual"], 0, "residual of events")
    check_equal(
        frames["carried"] + sum(frames["rejected"].values()) + sum(frames["ignored"].values()),
        frames["polled"],
        "carried + rejected + ignored",
    )
    if found is not None:
        check_equal(events["found"], found, "events found")
    if stored is not None:
        check_equal(events["stored"], stored, "events stored")


def check_frames(status, *reports):
    """The frames' book equals the sum of what penstock-load says."""
    frames = status["frames"]
    wanted = {"rejected": collections.Counter(), "ignored": collections.Counter()}
    for report in reports:
        for kind in wanted:
            wanted[kind].update(report["frames"][kind])
    for kind, reasons in wanted.items():
        got = {reason: n for reason, n in frames[kind].items() if n}
        check_equal(got, dict(reasons), f"frames {kind}")
    check_equal(frames["carried"], sum(r["frames"]["carried"] for r in reports), "frames carried")
    check_equal(frames["polled"], sum(r["frames"]["sent"] for r in reports), "frames polled")


def check_same_events(got, wanted, what):
    """Each event as often as it was sent, whatever the order."""
    lost = collections.Counter(wanted)
    lost.subtract(collections.Counter(got))
    missing = {e: n for e, n in lost.items() if n > 0}
    extra = {e: -n for e, n in lost.items() if n < 0}
    if missing or extra:
        example = repr(next(iter(missing or extra))[:80])
        raise Failed(
            f"{what}: {sum(missing.values())} events missing, {sum(extra.values())} too many, "
            f"such as {example}"
        )


def recorded(path):
    """The events of a file that penstock-load --record wrote."""
    return pathlib.Path(path).read_bytes().split(b"\n")[:-1]


def close_appliances():
    while Appliance.made:
        Appliance.made.pop().close()


cases.AFTER_CASE.append(close_appliances)


def main():
    """Runs the cases of the program, each a function of the laboratory."""
    return cases.main(Lab)
