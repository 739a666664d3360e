"""What the sets share: the tools, the daemon under load, the machine's facts, hugepages."""

import atexit
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "test"))
from hugepages import HUGEPAGES

BUILD = pathlib.Path(os.environ.get("PST_BUILD", ROOT / "run/build"))
WORK = ROOT / "run/perf"
PREFIX = f"penstock-perf-{os.getpid()}"
HUGEPAGE_MIB = 2
START_S = 120  # at the most: a daemon under valgrind takes its time
EAL_MIB = 32  # beside what a profile asks for

TOOLS = {
    "penstockd": "app/penstockd/penstockd",
    "penstock": "app/penstock/penstock",
    "penstock-load": "app/penstock-load/penstock-load",
    "floor": "perf/floor",
    "pace": "perf/pace",
    "parts": "perf/parts",
    "readback": "perf/readback",
    "replay": "perf/libreplay.so",
    "sink": "perf/sink",
    "stamps": "perf/stamps",
    "flood": "perf/flood",
    "collect": "perf/collect",
    "numbers": "perf/numbers",
    "bench_segment": "lib/segment/bench_segment",
}


def tool(name, where=BUILD):
    return str(where / TOOLS[name])


def give_up(why):
    sys.exit(f"perf/run: {why}")


def out_of(*command, **kw):
    return subprocess.run(command, check=True, capture_output=True, text=True, **kw).stdout


def build(*names, where=BUILD):
    """Builds what the default build leaves out."""
    subprocess.run(
        ["ninja", "-C", str(where)] + [TOOLS[name] for name in names],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def build_besides(where, *options):
    """A build directory with BUILD's compiler and optimization, and these options of meson's."""
    if (where / "build.ninja").exists():
        return
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    compiler = commands[0]["command"].partition(" -")[0]
    known = json.loads(out_of("meson", "introspect", "--buildoptions", str(BUILD)))
    kept = [f"-D{o['name']}={o['value']}" for o in known if o["name"] in ("debug", "optimization")]
    out_of(
        *["meson", "setup", str(where), str(ROOT), *kept, *options],
        env={**os.environ, "CC": compiler},
    )


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def facts():
    cpu = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if "model name" in l), "")
    flags = next((l for l in open("/proc/cpuinfo") if l.startswith("flags")), "")
    commit = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    return {
        "cpu": cpu,
        "cpus": os.cpu_count(),
        "avx512": "avx512bw" in flags,
        "avx2": " avx2 " in flags,
        "sha_ni": " sha_ni " in flags,
        "kernel": platform.release(),
        "boot": pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "filesystem": out_of("stat", "-f", "-c", "%T", str(WORK)).strip(),
        "commit": commit,
    }


def set_until_end(path, text):
    """A setting of the machine; it gets back what it was when the program ends."""
    atexit.register(path.write_text, path.read_text())
    path.write_text(text)


def set_up_host():
    """What docs/operations.md tells operators to set, as far as this machine has it: the disk's requests
    complete on the CPU that made them, and sessions are no groups of the scheduler."""
    device = os.stat(WORK).st_dev
    at = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    for path in (at / "queue/rq_affinity", at.parent / "queue/rq_affinity"):  # or of a partition's disk
        if path.exists():
            set_until_end(path, "2")
            break
    autogroup = pathlib.Path("/proc/sys/kernel/sched_autogroup_enabled")
    if autogroup.exists():
        set_until_end(autogroup, "0")


def reserve_hugepages(mib):
    """Until the program ends; False if the machine will not."""
    return HUGEPAGES.reserve((mib + EAL_MIB) // HUGEPAGE_MIB)


def forget_prefix():
    """DPDK leaves its runtime directories behind."""
    for path in pathlib.Path(os.environ.get("RUNTIME_DIRECTORY", "/var/run")).glob(
        f"dpdk/{PREFIX}*"
    ):
        shutil.rmtree(path, ignore_errors=True)


atexit.register(forget_prefix)


def process_cpu_ns(pid):
    """CPU time of all threads, those that have ended and the kernel's for its io_uring too."""
    # The clock that clock_getcpuclockid(3) names for the whole of another process.
    return time.clock_gettime_ns(~pid << 3 | 2)


class Daemon:
    """penstockd on a profile, with an empty data directory, which the profile names; ends with the
    with-block, drained, and its log must verify."""

    def __init__(self, profile, within=(), data=WORK / "data", where=BUILD):
        self.data = data
        self.within = list(within)  # a command that runs it elsewhere
        self.where = where  # whose build of it
        self.log = WORK / "penstockd.log"
        self.file = WORK / "profile.yaml"
        self.file.write_text(profile)

    def __enter__(self):
        shutil.rmtree(self.data, ignore_errors=True)
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                self.within + [tool("penstockd", self.where), "--profile", str(self.file)],
                stderr=log,
                stdout=log,
            )
        for _ in range(10 * START_S):
            if self.process.poll() is not None:
                give_up(f"penstockd ended: see {self.log}")
            try:
                self.status()
                return self
            except subprocess.CalledProcessError:
                time.sleep(0.1)
        self.process.kill()
        give_up("penstockd does not answer")

    def __exit__(self, kind, value, trace):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        if kind is None and code != 0:
            give_up(f"penstockd ended with {code}: see {self.log}")
        if kind is None:
            done = subprocess.run(
                [tool("penstock"), "verify", str(self.data)], capture_output=True, text=True
            )
            if done.returncode != 0:
                give_up("the log does not verify:\n" + done.stdout)

    def status(self):
        """(when, what): the time is the middle of the question."""
        start = time.monotonic()
        text = out_of(tool("penstock"), "status", "--json", "--prefix", PREFIX)
        return (start + time.monotonic()) / 2, json.loads(text)

    def cpu_ns(self, lcore):
        """CPU time of an EAL lcore's thread: others on the machine do not count."""
        names = {f"rte-worker-{lcore}", f"lcore-worker-{lcore}", f"dpdk-worker{lcore}"}
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                if (task / "comm").read_text().strip() in names:
                    return int((task / "schedstat").read_text().split()[0])
            except OSError:
                continue  # a thread that has just ended
        give_up(f"the thread of lcore {lcore} is not there")

    def cpu_ns_all(self):
        return process_cpu_ns(self.process.pid)


def shed(status):
    return sum(status["events"]["shed"].values())


def last_words(daemon):
    """What a daemon that has ended counted: it may shed after the last status, and its books come
    out at rest only."""
    said = r"penstockd: events: (\d+) found .* (\d+) shed.* \(residual (-?\d+)\)"
    numbers = re.search(said, daemon.log.read_text()).groups()
    return dict(zip(("found", "shed", "residual"), map(int, numbers)))


def not_carried(status):
    """What the source never sends, counted by the daemon: frames without events, duplicates."""
    frames, events = status["frames"], status["events"]
    sums = (sum(frames[name].values()) for name in ("rejected", "ignored"))
    return sum(sums) + events["duplicate"]
