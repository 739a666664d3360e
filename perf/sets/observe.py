"""what it costs the data path that the daemon tells of itself: beside a build that keeps its books
alone, the daemon unasked, and with metrics and telemetry asked once and ten times a second; by CPU
time for each event, in turn, and by instructions"""

import contextlib
import re
import shutil
import socket
import statistics
import threading
import urllib.request

from harness import *
from rounds import turned
from sets import source

PORT = 19464
COMMANDS = (b"/penstock/ledger", b"/penstock/queues", b"/penstock/streams", b"/penstock/rx")
COMMANDS += (b"/penstock/writers", b"/penstock/ports", b"/penstock/sessions", b"/penstock/rules")
WITHOUT = WORK / "build-without"
# name -> whose build, times a second that it is asked; 0: nobody asks, and there is no endpoint
KINDS = {"without": (WITHOUT, 0), "alone": (BUILD, 0), "1_hz": (BUILD, 1), "10_hz": (BUILD, 10)}
# Instructions are counted with so many events a frame, over so many events at least.
COUNTED_FRAMES, COUNTED_EVENTS, COUNTED_S = (10, 1), 200000, 300


def telemetry_path():
    return f"{os.environ.get('RUNTIME_DIRECTORY', '/var/run')}/dpdk/{PREFIX}/dpdk_telemetry.v2"


def ask_all():
    """What Prometheus and a console that asks for everything ask for at one time."""
    url = f"http://127.0.0.1:{PORT}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        size = len(answer.read())
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.connect(telemetry_path())
        link.recv(16384)
        for command in COMMANDS:
            link.send(command)
            link.recv(16384)
    return size


@contextlib.contextmanager
def watching(hz, seen):
    """Asks so often while the block runs; counts into seen."""
    over = threading.Event()

    def watch():
        due = time.monotonic()
        while not over.wait(max(0, due - time.monotonic())):
            seen["bytes"] = ask_all()
            seen["times"] += 1
            due += 1 / hz

    thread = threading.Thread(target=watch)
    if hz:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if hz:
            thread.join()


def one(text, kind, seconds):
    where, hz = KINDS[kind]
    port = PORT if hz else 0
    seen = {"times": 0, "bytes": 0}
    result = source.run(
        text.replace("metrics: {port: 0}", f"metrics: {{port: {port}}}"),
        seconds,
        lambda: watching(hz, seen),
        where,
    )
    return {**result, "asked": seen["times"], "exposition_bytes": seen["bytes"]}


def in_turn(text, number, seconds):
    found = {name: one(text, name, seconds) for name in turned(KINDS, number)}
    without = found["without"]["ns_per_event"]
    ratios = {f"{name}_ratio": found[name]["ns_per_event"] / without for name in list(KINDS)[1:]}
    return {**ratios, **{name: found[name] for name in KINDS}}


def timed(args):
    source.make(args.lines)
    # A writer that sleeps when there is nothing to do pays for its work alone.
    text = source.profile().replace("idle: spin", "idle: adaptive")
    rounds = args.rounds.take(lambda number: in_turn(text, number, args.seconds))
    result = {"rounds": rounds, "shed": sum(r[name]["shed"] for r in rounds for name in KINDS)}
    for name in KINDS:
        for who in ("ns", "others_ns"):
            costs = [r[name][f"{who}_per_event"] for r in rounds]
            result[f"{name}_{who}"] = round(statistics.median(costs), 2)
        if name != "without":
            costs = [r[f"{name}_ratio"] - 1 for r in rounds]
            result[f"{name}_cost"] = round(statistics.median(costs), 4)
            result[f"{name}_cost_range"] = [round(min(costs), 4), round(max(costs), 4)]
    return result


def rx_instructions(text, where):
    """Instructions of the rx lcore's thread for each event, from its first to its last, by
    callgrind. Batches end by their size: no clock is in this figure, but for what the control
    thread asks for each second, of which fewer events pass here."""
    counts = WORK / "callgrind"
    for old in WORK.glob("callgrind*"):
        old.unlink()
    valgrind = ["valgrind", "--tool=callgrind", "--separate-threads=yes", "--fair-sched=yes"]
    valgrind += [f"--callgrind-out-file={counts}"]
    with Daemon(text, source.replaying(source.PCAP) + valgrind, where=where) as daemon:
        end = time.monotonic() + COUNTED_S
        while daemon.status()[1]["events"]["found"] < COUNTED_EVENTS:
            if time.monotonic() > end:
                give_up("valgrind counts too slowly")
            time.sleep(0.2)
    words = last_words(daemon)
    if words["shed"] or words["residual"]:
        give_up("events were shed while instructions were counted")
    # The rx lcore's is the thread that polls the source.
    for path in WORK.glob("callgrind-*"):
        profile = path.read_text()
        if "pst_rx_frame" in profile and "pst_rx_loop" in profile:
            return int(re.search(r"^totals: (\d+)", profile, re.MULTILINE)[1]) / words["found"]
    give_up("callgrind did not see the rx lcore")


def counted(args):
    """By events a frame: instructions for each event without and with, and what is added."""
    found = {}
    # Hugepages want more address space than valgrind has.
    text = source.profile(batch_age="5s").replace("no-huge: false", "no-huge: true")
    for per_frame in COUNTED_FRAMES:
        source.make(args.lines, per_frame)
        figures = {name: rx_instructions(text, KINDS[name][0]) for name in ("without", "alone")}
        cost = figures["alone"] / figures["without"] - 1
        found[per_frame] = {name: round(n, 1) for name, n in figures.items()}
        found[per_frame]["cost"] = round(cost, 4)
    return found


def run(args):
    if not shutil.which("valgrind"):
        give_up("valgrind is not there: apt-get install valgrind")
    build_besides(WITHOUT, "-Dobservation=false")
    build("penstockd", where=WITHOUT)
    result = timed(args)
    return {**result, "instructions": counted(args)}


def say(r):
    lines = [
        f"without {r['without_ns']:.1f} ns/event on the rx lcore, {r['without_others_ns']:.1f} on "
        f"all other threads; {r['shed']} shed"
    ]
    for name in list(KINDS)[1:]:
        low, high = r[f"{name}_cost_range"]
        said = name if KINDS[name][1] == 0 else f"watched at {name.replace('_', ' ')}"
        lines.append(
            f"{said} {r[f'{name}_ns']:.1f} ns/event: {100 * r[f'{name}_cost']:+.2f} % "
            f"({100 * low:+.2f} to {100 * high:+.2f}); others {r[f'{name}_others_ns']:.1f}"
        )
    for per_frame, count in r["instructions"].items():
        lines.append(
            f"{per_frame} events a frame: {count['without']:.0f} instructions an event without, "
            f"{count['alone']:.0f} alone: {100 * count['cost']:+.2f} %"
        )
    return lines


FIGURES = {
    "alone_ratio": ("ratio", "less"),
    "1_hz_ratio": ("ratio", "less"),
    "10_hz_ratio": ("ratio", "less"),
    "without.ns_per_event": ("absolute", "less"),
}
