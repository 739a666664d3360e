"""instructions an event of the pure parts of the path (parse, admit, scan, pack with LZ4, pack
without), counted by callgrind over a fixed input: the same from run to run, however busy the
machine is"""

import re
import statistics

from harness import *
from sets import source

# part -> the function whose instructions count, with all that it calls
PARTS = {
    "parse": "part_parse",
    "admit": "part_admit",
    "scan": "part_scan",
    "pack": "part_pack",
    "plain": "part_pack",
}


def fixed_lines():
    """The lines that the other sets send, with numbers in the place of the time."""
    path = WORK / "fixed-lines.txt"
    made = [
        source.LINES[seq % len(source.LINES)].format(seq=seq, t=1_700_000_000_000_000_000 + 7919 * seq)
        for seq in range(1, source.EVENTS + 1)
    ]
    path.write_text("\n".join(made) + "\n")
    return path


def count(part):
    """Instructions an event."""
    out = WORK / "callgrind.out"
    valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
    valgrind += [f"--toggle-collect={PARTS[part]}"]
    events = int(
        out_of(
            *valgrind,
            *(tool("parts"), part, str(source.PCAP)),
            *(str(ROOT / "perf/rules-100.yaml"), str(WORK / "rules-cache")),
        )
    )
    total = int(re.search(r"^totals: (\d+)$", out.read_text(), re.M).group(1))
    out.unlink()
    return total / events


def run(args):
    if not shutil.which("valgrind"):
        give_up("valgrind is not there: scripts/install-deps --test")
    build("parts")
    source.make(args.lines or [fixed_lines()])
    (WORK / "rules-cache").mkdir(exist_ok=True)
    count("scan")  # the rules are compiled for the CPU that valgrind shows, and kept
    # Not judged by how busy others are: that is the point.
    rounds = [{part: count(part) for part in PARTS} for _ in range(args.repeat)]

    def spread(part):
        found = [r[part] for r in rounds]
        return round(max(found) / min(found) - 1, 6)

    return {
        **{f"{part}_ir": round(statistics.median(r[part] for r in rounds), 2) for part in PARTS},
        "spread": {part: spread(part) for part in PARTS},
        "rounds": rounds,
    }


def say(r):
    return [
        ", ".join(f"{part} {r[f'{part}_ir']:.1f}" for part in PARTS)
        + f" instructions/event; rounds differ by up to {100 * max(r['spread'].values()):.3f} %"
    ]


FIGURES = {part: ("ratio", "less") for part in PARTS}
