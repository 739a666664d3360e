"""throughput against rx lcores and writers, and what an event of each size costs each of them: what
perf/sizing reckons cores, memory and drives from"""

import itertools
import re
import statistics

from harness import *
from rounds import turned
from sets import capacity, source
from sets.capacity import ALL_ON, ROLES

SIZES = (48, 126, 512, 1400)  # bytes of an event
PAYLOAD_BYTES = 1472  # of a frame of 1,500 bytes, filled
FRAME_BYTES_BESIDE = 14 + 20 + 8  # Ethernet, IPv4, UDP
EVENTS = 20_000

# name -> CPUs of the rx lcores and of the writers, with events of the first size. An rx lcore that
# shares its CPU with a writer has what that leaves.
LAYOUTS = {
    "1_rx_1_writer": ([1], [0]),
    "1_rx_1_writer_one_cpu": ([1], [1]),
    "2_rx_1_writer": ([0, 1], [0]),
    "2_rx_2_writers": ([0, 1], [0, 1]),
}
BY_SIZE = LAYOUTS["1_rx_1_writer"]
BRIEF = ("1_rx_1_writer", "2_rx_2_writers")  # what a smoke run takes


def texts(size):
    """Events of that many bytes: lines of an order book's feed, one behind the other."""
    lines = itertools.cycle(capacity.feed())
    for _ in range(EVENTS):
        text = next(lines)
        while len(text) < size:
            text += ";" + next(lines)
        yield text[:size] + "\n"


def make(size):
    """A file for each of two queues, with a session that the queue's own lcore keeps; what a frame of
    them is on average."""
    text = WORK / f"events-{size}.txt"
    text.write_text("".join(texts(size)))
    pcaps = [WORK / f"events-{size}-{queue}.pcap" for queue in range(2)]
    for queue, pcap in enumerate(pcaps):
        sent = capacity.make_pcap(pcap, text, queue, EVENTS, PAYLOAD_BYTES)
    per_frame = EVENTS / sent["frames"]["sent"]
    return pcaps, {
        "events_per_frame": per_frame,
        "frame_bytes": FRAME_BYTES_BESIDE + 20 + per_frame * (2 + size),
    }


def planned_mib(rx, writers):
    """What --check says that is needed, whatever memory.size takes."""
    file = WORK / "plan.yaml"
    file.write_text(capacity.profile(rx, writers, ALL_ON))
    text = out_of(*source.replaying(), tool("penstockd"), "--check", "--profile", str(file))
    parts = {what: float(mib) for mib, what in re.findall(r"^ +([\d.]+) MiB  (.+)$", text, re.M)}
    return parts["needed in all"] + parts["in all"]


def memory():
    """MiB for each rx lcore with its queue, for each writer, and beside them."""
    one, two_rx = planned_mib([1], [0]), planned_mib([0, 1], [0])
    rx, writer = two_rx - one, planned_mib([0, 1], [0, 1]) - two_rx
    return {
        "rx_lcore": round(rx, 1),
        "writer": round(writer, 1),
        "beside": round(one - rx - writer, 1),
    }


def in_turn(runs, number, seconds):
    figures = {}
    for name in turned(runs, number):
        pcaps, layout = runs[name]
        figures[name] = capacity.run_one(pcaps, seconds, *layout, ALL_ON)
        capacity.judge(name, figures[name])
    first = figures[next(iter(LAYOUTS))]
    for name in figures.keys() & LAYOUTS.keys():
        figures[name]["of_one"] = figures[name]["events_per_s"] / first["events_per_s"]
    return figures


def row(rounds, name, runs):
    def median(key):
        return statistics.median(r[name][key] for r in rounds)

    keys = ["events_per_s", "cpu_ns_per_event", "disk_bytes_per_event", "cpu_share"]
    keys += [f"{role}_ns_per_event" for role in ROLES] + (["of_one"] if name in LAYOUTS else [])
    return {
        **{key: round(median(key), 3) for key in keys},
        "rx_lcores": len(runs[name][1][0]),
        "writers": len(runs[name][1][1]),
        "shed": sum(r[name]["shed"] for r in rounds),
    }


def run(args):
    build("readback", "replay")
    sizes = SIZES[:1] if args.brief else SIZES
    made = {size: make(size) for size in sizes}
    layouts = BRIEF if args.brief else LAYOUTS
    runs = {name: (made[SIZES[0]][0], LAYOUTS[name]) for name in layouts}
    runs |= {f"{size}_bytes": (made[size][0], BY_SIZE) for size in sizes[1:]}
    frames = {size: frame for size, (_, frame) in made.items()}
    for size, (pcaps, _) in made.items():
        frames[size]["source_ns"] = round(source.frame_ns(pcaps[0], 1), 2)
    rounds = args.rounds.take(lambda number: in_turn(runs, number, args.seconds))
    rows = {name: row(rounds, name, runs) for name in runs}
    return {
        "rows": rows,
        "sizes": {
            size: {**frames[size], **rows[f"{size}_bytes" if size in sizes[1:] else next(iter(LAYOUTS))]}
            for size in sizes
        },
        "memory_mib": memory(),
        "rounds": rounds,
    }


def say(r):
    for name, row in r["rows"].items():
        if name not in LAYOUTS:
            continue
        yield (
            f"{name}: {row['events_per_s']:,.0f} events/s, {row['of_one']:.2f} of one rx lcore's; an "
            f"event takes its rx lcore {row['rx_ns_per_event']:.1f} ns, its writer "
            f"{row['writer_ns_per_event']:.1f}, the rest {row['rest_ns_per_event']:.1f}; CPUs "
            f"{100 * row['cpu_share']:.0f} % busy, {row['shed']} shed"
        )
    for size, row in r["sizes"].items():
        yield (
            f"events of {size} bytes, {row['events_per_frame']:.1f} a frame: rx "
            f"{row['rx_ns_per_event']:.1f} ns, writer {row['writer_ns_per_event']:.1f} ns, "
            f"{row['disk_bytes_per_event']:.0f} bytes on disk, {row['shed']} shed"
        )
    yield "what a host needs for a rate of its own: perf/sizing RESULT"


def plot(r):
    if len(r["sizes"]) < 2:
        return []
    return [
        {
            "title": "CPU time for each event, by its size",
            "x": "bytes",
            "y": "ns",
            "logx": True,
            "series": {
                role: [(int(s), row[f"{role}_ns_per_event"]) for s, row in r["sizes"].items()]
                for role in ROLES
            },
        }
    ]


FIGURES = {
    "2_rx_1_writer.of_one": ("ratio", "more"),
    "2_rx_2_writers.of_one": ("ratio", "more"),
    "1_rx_1_writer_one_cpu.of_one": ("ratio", "more"),
}
