"""kinds of input in turn: lines and random bytes of which 0, 1 and 50 % match a rule, ten a frame
and one a datagram, and real lines (--lines); what an event costs the rx core beside its floor, and
how much of it is left on disk"""

import random
import statistics

from harness import *
from rounds import turned
from sets import source

# kind -> what its events are, the share of them that a rule matches, events a frame
KINDS = {
    "compressible_0": ("compressible", 0, 10),
    "compressible_1": ("compressible", 0.01, 10),
    "compressible_50": ("compressible", 0.5, 10),
    "compressible_1_single": ("compressible", 0.01, 1),
    "random_0": ("random", 0, 10),
    "random_1": ("random", 0.01, 10),
    "random_50": ("random", 0.5, 10),
    "random_1_single": ("random", 0.01, 1),
}
BRIEF = ("compressible_1", "random_1_single")  # what a smoke run takes of them
REAL = {"real": 10, "real_single": 1}  # kind -> events a frame; the lines of --lines

UNMATCHED = (2, 3, 7, 8, 9)  # of source.LINES, by perf/rules-100.pat
# With 18 digits behind it rule 6 matches. The shortest text of all the rules: a hit changes next to
# nothing but that it is one.
MARK = "blk_"

PLAIN_S = 0.5

# figure of a row -> where a round has it, digits that are told
COLUMNS = {
    "floor_ns": ("floor", "floor_ns", 1),
    "gross_ns": ("run", "ns_per_event", 1),
    "gross_ratio": (None, "gross_ratio", 3),
    "events_per_s": ("run", "events_per_s", None),
    "stored_of_plain": (None, "stored_of_plain", 3),
    "uncompressed": (None, "uncompressed", 3),
    "hit_rate": ("run", "hit_rate", 4),
}


def line(_, number, hit):
    template = source.LINES[UNMATCHED[number % len(UNMATCHED)]]
    t = 1_700_000_000_000_000_000 + 7919 * number
    return template.format(seq=number, t=f"{MARK}{t}" if hit else t).encode()


def random_bytes(dice, _, hit):
    """Of any value but those that end a line."""
    event = dice.randbytes(2 * source.EVENT_BYTES).translate(None, b"\r\n")[: source.EVENT_BYTES]
    if not hit:
        return event
    mark = f"{MARK}{dice.randrange(10**18):018}".encode()
    at = dice.randrange(len(event) - len(mark))
    return event[:at] + mark + event[at + len(mark) :]


def events(what, rate):
    """The same each time. Exactly that share of them hits, here and there."""
    dice = random.Random(1)
    hits = set(dice.sample(range(source.EVENTS), round(rate * source.EVENTS)))
    make = {"compressible": line, "random": random_bytes}[what]
    return [make(dice, number, number in hits) for number in range(source.EVENTS)]


def make(kinds, lines):
    """Kind -> its pcap file."""
    pcaps, text = {}, WORK / "inputs.txt"
    for kind in kinds:
        what, rate, per_frame = KINDS[kind]
        pcaps[kind] = WORK / f"inputs-{kind}.pcap"
        text.write_bytes(b"".join(event + b"\n" for event in events(what, rate)))
        source.make([text], per_frame, pcaps[kind])
    for kind, per_frame in REAL.items() if lines else ():
        pcaps[kind] = WORK / f"inputs-{kind}.pcap"
        source.make(lines, per_frame, pcaps[kind], size=None)
    return pcaps


def plain_bytes(pcaps):
    """Kind -> what an event of it takes in the log without LZ4, as the daemon itself writes it. One
    run for all that are made up, which are equally long, and so are their records; one for the real."""
    found = {}
    for alike in (KINDS, REAL):
        kinds = [kind for kind in pcaps if kind in alike]
        if kinds:
            run = source.run(source.profile(lz4=0), PLAIN_S, pcap=pcaps[kinds[0]])
            found |= dict.fromkeys(kinds, run["wire_bytes_per_event"])
    return found


def one(kind, profile, pcap, plain, seconds):
    found = source.beside_floor(profile, seconds, pcap)
    run = found["run"]
    if run["not_carried"]:
        give_up(f"{kind}: {run['not_carried']} frames or events were refused")
    found["stored_of_plain"] = run["wire_bytes_per_event"] / plain
    found["uncompressed"] = run["uncompressed_bytes_per_event"] / plain
    return found


def row(rounds, kind):
    found = {}
    for name, (part, figure, digits) in COLUMNS.items():
        values = [(r[kind][part] if part else r[kind])[figure] for r in rounds]
        found[name] = round(statistics.median(values), digits)
        found[f"{name}_range"] = [round(min(values), digits), round(max(values), digits)]
    found["bytes_per_event"] = rounds[0][kind]["floor"]["bytes_per_event"]
    for name in ("found", "shed"):
        found[name] = sum(r[kind]["run"][name] for r in rounds)
    return found


def run(args):
    profile = source.profile()
    pcaps = make(BRIEF if args.brief else KINDS, args.lines)
    plain = plain_bytes(pcaps)

    def in_turn(number):
        return {
            kind: one(kind, profile, pcaps[kind], plain[kind], args.seconds)
            for kind in turned(pcaps, number)
        }

    rounds = args.rounds.take(in_turn)
    return {
        "rows": {kind: row(rounds, kind) for kind in pcaps},
        "plain_bytes_per_event": {kind: round(size, 1) for kind, size in plain.items()},
        "rounds": rounds,
    }


def say(r):
    for kind, row in r["rows"].items():
        low, high = row["gross_ratio_range"]
        lost = row["shed"] / row["found"]
        yield (
            f"{kind}: {row['gross_ns']:.0f} ns/event, floor {row['floor_ns']:.0f} ns, ratio "
            f"{row['gross_ratio']} ({low} to {high}); {row['events_per_s']:,} events/s stored, "
            f"{row['stored_of_plain']} of their plain bytes, {100 * row['uncompressed']:.0f} % not "
            f"compressed; {100 * row['hit_rate']:.2f} % hit, "
            + (f"{100 * lost:.1f} % shed, so that gross is too low" if lost else "0 shed")
        )


def plot(r):
    return [
        {
            "title": "CPU time of the rx lcore for each event, floor = 1",
            "x": "round",
            "y": "",
            "series": {
                kind: [(n, round_[kind]["gross_ratio"]) for n, round_ in enumerate(r["rounds"], 1)]
                for kind in r["rows"]
            },
        }
    ]


FIGURES = {
    **{f"{kind}.gross_ratio": ("ratio", "less") for kind in (*KINDS, *REAL)},
    **{f"{kind}.stored_of_plain": ("ratio", "less") for kind in (*KINDS, *REAL)},
    **{f"{kind}.run.ns_per_event": ("absolute", "less") for kind in (*KINDS, *REAL)},
}
