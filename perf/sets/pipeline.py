"""events/s of one rx core through the whole pipeline from a pcap source, 126-byte lines ten a
frame, 100 rules, LZ4, synced; beside its floor"""

import shutil
import statistics

from harness import *
from sets import source


def rxonly(seconds):
    """Frames a second of the bare source: what the pull device itself costs."""
    text = subprocess.run(
        ["timeout", "-s", "INT", str(seconds), "dpdk-testpmd", "--no-huge", "-m", "512"]
        + ["--lcores", "0@0,1@1", "--no-pci", "--no-telemetry"]
        + ["--file-prefix", PREFIX + "-rxonly"]
        + ["--vdev", f"net_pcap0,rx_pcap={WORK}/events.pcap,infinite_rx=1", "--"]
        + ["--forward-mode=rxonly", "--stats-period", "1", "--no-mlockall"]
        + ["--total-num-mbufs=8192"],
        capture_output=True,
        text=True,
    ).stdout
    rates = [int(l.split()[1]) for l in text.splitlines() if l.strip().startswith("Rx-pps:")]
    return max(rates) if rates else None


def one(floor_command, profile, seconds):
    floor = json.loads(out_of(*floor_command))
    run = source.run(profile, seconds)
    return {"gross_ratio": run["ns_per_event"] / floor["floor_ns"], "floor": floor, "run": run}


def run(args):
    build("floor")
    profile = source.profile()
    source.make(args.lines)
    floor_command = ["taskset", "-c", "1", tool("floor")]
    floor_command += [str(WORK / "events.pcap"), str(ROOT / "perf/rules-100.pat")]
    rounds = args.rounds.take(lambda _: one(floor_command, profile, args.seconds))
    frames = rxonly(min(args.seconds, 5)) if shutil.which("dpdk-testpmd") else None

    def median(part, name):
        return statistics.median(r[part][name] for r in rounds)

    floor, gross = median("floor", "floor_ns"), median("run", "ns_per_event")
    result = {
        "floor_ns": floor,
        "gross_ns": gross,
        "gross_ratio": round(statistics.median(r["gross_ratio"] for r in rounds), 3),
        "events_per_s": round(median("run", "events_per_s")),
        "shed": sum(r["run"]["shed"] for r in rounds),
        "hugepages": "no-huge: false" in profile,
        "rounds": rounds,
    }
    if frames:
        of_source = 1e9 / frames / source.EVENTS_PER_FRAME
        result["source_ns"] = round(of_source, 2)
        result["net_ratio"] = round((gross - of_source) / floor, 3)
    return result


def say(r):
    net = f", {r['net_ratio']} net of the source" if "net_ratio" in r else ""
    return [
        f"{r['gross_ns']:.0f} ns/event, floor {r['floor_ns']:.0f} ns, ratio {r['gross_ratio']} "
        f"gross{net}; {r['events_per_s']:,} events/s stored, {r['shed']} shed"
    ]


FIGURES = {
    "gross_ratio": ("ratio", "less"),
    "run.ns_per_event": ("absolute", "less"),
    "run.events_per_s": ("absolute", "more"),
    "floor.floor_ns": ("absolute", "less"),
}

ANSWERS = {
    "pipeline-ratio": lambda r: r["gross_ratio"],
    "rx-core-rate": lambda r: r["events_per_s"],
}
