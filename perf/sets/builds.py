"""builds in turn: CPU time of the rx lcore for each event of the set pipeline's run, of each directory
that --build names, of the default build without hugepages, and of itself again, which is the noise"""

import statistics

from harness import *
from rounds import turned
from sets import source


def kinds(args):
    """Name -> build directory and profile; all stand beside the first."""
    text = source.profile()
    found = {
        "default": (BUILD, text),
        "again": (BUILD, text),
        "no_huge": (BUILD, text.replace("no-huge: false", "no-huge: true")),
    }
    for path in args.build or []:
        found[pathlib.Path(path).resolve().name] = (pathlib.Path(path), text)
    return found


def in_turn(found, number, seconds):
    figures = {}
    for name in turned(found, number):
        where, text = found[name]
        figures[name] = source.run(text, seconds, where=where)
    for run in figures.values():
        run["ratio"] = run["ns_per_event"] / figures["default"]["ns_per_event"]
    return figures


def run(args):
    source.make(args.lines)
    found = kinds(args)
    rounds = args.rounds.take(lambda number: in_turn(found, number, args.seconds))

    def row(name):
        ratios = [r[name]["ratio"] for r in rounds]
        return {
            "ns_per_event": round(statistics.median(r[name]["ns_per_event"] for r in rounds), 1),
            "ratio": round(statistics.median(ratios), 3),
            "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
            "shed": sum(r[name]["shed"] for r in rounds),
        }

    return {"rows": {name: row(name) for name in found}, "rounds": rounds}


def say(r):
    for name, row in r["rows"].items():
        low, high = row["ratio_range"]
        yield (
            f"{name}: {row['ns_per_event']} ns/event, {row['ratio']} of default "
            f"({low} to {high}), {row['shed']} shed"
        )


def plot(r):
    return [
        {
            "title": "CPU time of the rx lcore for each event, default = 1",
            "x": "round",
            "y": "",
            "series": {
                name: [(n, round_[name]["ratio"]) for n, round_ in enumerate(r["rounds"], 1)]
                for name in r["rows"]
            },
        }
    ]
