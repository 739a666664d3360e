"""Runs crash_log (see there) and judges what it left."""

import hashlib
import random
import re
import signal
import struct

from disks import *

CRASH_LOG = BUILD / "test/crash/crash_log"
ACK = struct.Struct("<QqIB?H")  # number, base offset, records, partition, log failed, status
DURABLE, WRITE_FAILED, SYNC_FAILED, DISK_FULL = range(4)
RUN_NUMBERS = 1 << 32  # each run numbers its events from a multiple of this on


class Log:
    """A data directory over its restarts, and all that was ever acknowledged of it."""

    def __init__(self, home, data, seed):
        self.data, self.seed = data, seed
        self.acks = pathlib.Path(home) / f"acks-{os.getpid()}"
        self.said = pathlib.Path(home) / f"said-{os.getpid()}"
        self.acks.write_bytes(b"")
        self.runs = 0
        self.process = None

    def start(self, flush_bytes, flush_us):
        """Recovers and appends until it is killed."""
        self.runs += 1
        self.begin = self.acks.stat().st_size
        self.said.write_bytes(b"")
        with open(self.acks, "ab") as out, open(self.said, "wb") as err:
            words = ["write", self.data, self.seed, self.runs * RUN_NUMBERS, flush_bytes, flush_us]
            self.process = subprocess.Popen(
                [str(CRASH_LOG)] + [str(word) for word in words],
                stdout=out,
                stderr=err,
                preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL),
            )
        atexit.register(self.kill)

    def ready(self):
        wait_until(lambda: "ready" in self.said.read_text(), "crash_log", self.process, self.said)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            atexit.unregister(self.kill)

    def wait(self):
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"crash_log does not end\n{end_of(self.said)}")

    def last_run(self):
        """(status, whether its log had failed before) of each batch that the last run gave back,
        in order."""
        whole = self.acks.read_bytes()
        cut = len(whole) - len(whole) % ACK.size
        return [(a[5], a[4]) for a in ACK.iter_unpack(whole[self.begin : cut])]

    def trim(self):
        """A kill may leave part of an acknowledgement: nobody has got it."""
        size = self.acks.stat().st_size
        os.truncate(self.acks, size - size % ACK.size)

    def forget_memory(self):
        """The live marks, which lie in memory: a power loss takes them, a kill does not."""
        try:
            stat = self.data.stat()
        except FileNotFoundError:
            return
        pathlib.Path(f"/dev/shm/penstock-{stat.st_dev}-{stat.st_ino}").unlink(missing_ok=True)

    def check(self, when, acknowledged=True):
        """Every event is there at most once and byte-exact, offsets follow each other, and all
        that was acknowledged is there."""
        with open(self.acks if acknowledged else os.devnull, "rb") as acks:
            done = subprocess.run(
                [str(CRASH_LOG), "check", str(self.data), str(self.seed)],
                stdin=acks,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=PATIENCE_S,
            )
        check(done.returncode == 0, f"{when}: {done.stdout.strip()}")
        return sum(int(line.split()[1]) for line in done.stdout.splitlines())

    def verify(self, when, without_indexes=False):
        """penstock verify finds no damage; or none but indexes that could not be written."""
        done = subprocess.run(
            [str(PENSTOCK), "verify", str(self.data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
        )
        findings = re.findall(r"^/.*:\d+: (?!note: ).*$", done.stdout, re.M)
        if without_indexes:
            findings = [f for f in findings if not re.search(r"index:0: missing$", f)]
        elif done.returncode != 0:
            findings.append(f"exit status {done.returncode}")
        check(not findings, f"{when}: penstock verify:\n{done.stdout.strip()}")

    def recover(self):
        run([CRASH_LOG, "recover", self.data])

    def digest(self):
        """Of every segment file, by name."""
        return {
            str(p.relative_to(self.data)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(self.data.glob("*/*"))
        }

    def judge(self, when, powered_off, without_indexes=False):
        """As it was found, after recovery, after another one. Returns the number of events that
        were acknowledged."""
        self.trim()
        if powered_off:
            self.forget_memory()
        if (self.data / "penstock.lock").exists():
            # Without the live marks a reader stops at the mark on disk, which lags behind.
            self.check(f"{when}, as found", acknowledged=not powered_off)
            self.verify(f"{when}, as found", without_indexes)
        self.recover()
        acked = self.check(f"{when}, recovered")
        self.verify(f"{when}, recovered")
        once = self.digest()
        self.recover()
        check_equal(self.digest(), once, f"{when}: files after the second recovery")
        return acked
