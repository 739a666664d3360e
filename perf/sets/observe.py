"""what watching costs the data path: the metrics scraped and the telemetry socket asked, once and
ten times a second, beside the same daemon unwatched, in turn; by CPU time for each event"""

import contextlib
import socket
import statistics
import threading
import urllib.request

from harness import *
from sets import source

PORT = 19464
COMMANDS = (b"/penstock/ledger", b"/penstock/queues", b"/penstock/streams", b"/penstock/rx")
COMMANDS += (b"/penstock/writers", b"/penstock/ports", b"/penstock/sessions", b"/penstock/rules")
# name -> times a second; 0: nobody asks, and there is no endpoint
WATCHED = {"alone": 0, "1_hz": 1, "10_hz": 10}


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


def one(text, hz, seconds):
    port = PORT if hz else 0
    seen = {"times": 0, "bytes": 0}
    result = source.run(
        text.replace("metrics: {port: 0}", f"metrics: {{port: {port}}}"),
        seconds,
        lambda: watching(hz, seen),
    )
    return {**result, "asked": seen["times"], "exposition_bytes": seen["bytes"]}


def in_turn(text, number, seconds):
    # Whatever drifts meets each of them at each place.
    names = list(WATCHED)
    names = names[number % 3 :] + names[: number % 3]
    found = {name: one(text, WATCHED[name], seconds) for name in names}
    alone = found["alone"]["ns_per_event"]
    ratios = {f"{name}_ratio": found[name]["ns_per_event"] / alone for name in list(WATCHED)[1:]}
    return {**ratios, **{name: found[name] for name in WATCHED}}


def run(args):
    text = source.profile()
    source.make(args.lines)
    rounds = args.rounds.take(lambda number: in_turn(text, number, args.seconds))
    result = {"rounds": rounds, "shed": sum(r[name]["shed"] for r in rounds for name in WATCHED)}
    for name in WATCHED:
        costs = [r[name]["ns_per_event"] for r in rounds]
        result[f"{name}_ns"] = round(statistics.median(costs), 2)
        if name != "alone":
            ratios = [r[f"{name}_ratio"] - 1 for r in rounds]
            result[f"{name}_cost"] = round(statistics.median(ratios), 4)
            result[f"{name}_cost_range"] = [round(min(ratios), 4), round(max(ratios), 4)]
    return result


def say(r):
    lines = [f"alone {r['alone_ns']:.1f} ns/event, {r['shed']} shed"]
    for name in list(WATCHED)[1:]:
        low, high = r[f"{name}_cost_range"]
        lines.append(
            f"watched at {name.replace('_', ' ')} {r[f'{name}_ns']:.1f} ns/event: "
            f"{100 * r[f'{name}_cost']:+.2f} % ({100 * low:+.2f} to {100 * high:+.2f})"
        )
    return lines


FIGURES = {
    "1_hz_ratio": ("ratio", "less"),
    "10_hz_ratio": ("ratio", "less"),
    "alone.ns_per_event": ("absolute", "less"),
}
