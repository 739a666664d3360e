"""ns an event by stage of the rx core and the writer, counted by the pipeline itself in a build for
it (-Dstages=true), at capacity: the set pipeline's lines as MoldUDP64; what the counting takes is
subtracted and told"""

import contextlib
import socket
import statistics

import harness
from harness import *
from sets import instructions, source

STAGES_BUILD = ROOT / "run/build-stages"
# rx lcore, then writer
STAGES = ("rx", "parse", "admit", "scan", "pack", "compress", "checksum", "handoff", "other")
WRITER_STAGES = ("write", "handoff")


def build_daemon():
    """The daemon that counts; the others of the harness's tools stay those of the usual build."""
    path = STAGES_BUILD / TOOLS["penstockd"]
    if not (STAGES_BUILD / "build.ninja").exists():
        setup = ["meson", "setup", str(STAGES_BUILD), str(ROOT), "-Dstages=true"]
        out_of(*setup, env={**os.environ, "CC": "gcc"})
    out_of("ninja", "-C", str(STAGES_BUILD), TOOLS["penstockd"])
    return str(path)


@contextlib.contextmanager
def counting(found):
    """The counters of each lcore over what is run within."""

    def ask():
        path = f"{os.environ.get('RUNTIME_DIRECTORY', '/var/run')}/dpdk/{PREFIX}/dpdk_telemetry.v2"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
            link.connect(path)
            link.recv(16384)
            link.send(b"/penstock/stages")
            items = json.loads(link.recv(16384))["/penstock/stages"]["items"]
        return {item["kind"]: {k: v for k, v in item.items() if k != "kind"} for item in items.values()}

    before = ask()
    yield
    after = ask()
    for kind, row in after.items():
        delta = {name: int(value) - int(before[kind][name]) for name, value in row.items()}
        found[kind] = {**delta, "switch_ns": int(row["switches_1000_ns"]) / 1000}


def one(profile, seconds):
    found = {}
    run = source.run(profile, seconds, lambda: counting(found))

    def of_event(kind, stage):
        row = found[kind]
        net = row[f"{stage}_ns"] - row["switch_ns"] * row[f"{stage}_cnt"]
        return max(0, net) / run["found"]

    rx = {stage: of_event("rx", stage) for stage in STAGES}
    switches = sum(found["rx"][f"{stage}_cnt"] for stage in STAGES)
    return {
        "rx": rx,
        "share": {stage: ns / sum(rx.values()) for stage, ns in rx.items()},
        "writer": {stage: of_event("writer", stage) for stage in WRITER_STAGES},
        "counting_ns": found["rx"]["switch_ns"] * switches / run["found"],
        "switch_ns": found["rx"]["switch_ns"],
        "run": run,
    }


def run(args):
    usual, harness.TOOLS["penstockd"] = TOOLS["penstockd"], build_daemon()
    try:
        profile = source.profile().replace("framing: lines", "framing: mold64")
        source.make(args.lines or [instructions.fixed_lines()], framing="mold64")
        rounds = args.rounds.take(lambda _: one(profile, args.seconds))
    finally:
        harness.TOOLS["penstockd"] = usual

    def medians(part):
        return {s: round(statistics.median(r[part][s] for r in rounds), 4) for s in rounds[0][part]}

    return {
        "rx_ns": medians("rx"),
        "rx_share": medians("share"),
        "writer_ns": medians("writer"),
        "counting_ns": round(statistics.median(r["counting_ns"] for r in rounds), 2),
        "shed": sum(r["run"]["shed"] for r in rounds),
        "rounds": rounds,
    }


def say(r):
    def told(ns, share=None):
        for stage, value in ns.items():
            yield f"{stage} {value:.1f}" + (f" ({100 * share[stage]:.0f} %)" if share else "")

    return [
        f"rx core, ns/event: {', '.join(told(r['rx_ns'], r['rx_share']))}",
        f"writer, ns/event: {', '.join(told(r['writer_ns']))}; counting took {r['counting_ns']:.1f} "
        f"ns/event of the rx core, subtracted; {r['shed']} shed",
    ]


FIGURES = {f"share.{s}": ("ratio", "less") for s in STAGES if s != "handoff"}
