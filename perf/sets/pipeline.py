"""events/s of one rx core through the whole pipeline from the pull source, 126-byte lines ten a
frame, 100 rules, LZ4, synced; beside its floor"""

import statistics

from harness import *
from sets import source


def run(args):
    profile = source.profile()
    source.make(args.lines)
    rounds = args.rounds.take(lambda _: source.beside_floor(profile, args.seconds))
    source_ns = source.frame_ns(source.PCAP, 1) / source.EVENTS_PER_FRAME

    def median(part, name):
        return statistics.median(r[part][name] for r in rounds)

    floor, gross = median("floor", "floor_ns"), median("run", "ns_per_event")
    return {
        "floor_ns": floor,
        "gross_ns": gross,
        "source_ns": round(source_ns, 2),
        "gross_ratio": round(statistics.median(r["gross_ratio"] for r in rounds), 3),
        "net_ratio": round((gross - source_ns) / floor, 3),
        "events_per_s": round(median("run", "events_per_s")),
        "shed": sum(r["run"]["shed"] for r in rounds),
        "hugepages": "no-huge: false" in profile,
        "rounds": rounds,
    }


def say(r):
    return [
        f"{r['gross_ns']:.0f} ns/event, floor {r['floor_ns']:.0f} ns, ratio {r['gross_ratio']} "
        f"gross, {r['net_ratio']} net of the source; "
        f"{r['events_per_s']:,} events/s stored, {r['shed']} shed"
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
