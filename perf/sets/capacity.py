"""events/s of the whole machine: MoldUDP64 frames of 40 to 64-byte events from the pull source, 100
rules, LZ4, synced, counted by reading back; beside the floor on all CPUs at once"""

import random
import shutil
import statistics

from harness import *
from rounds import turned
from sets import source

MEMORY_MIB = 1024
EVENTS, PAYLOAD_BYTES = 60_000, 1400  # of a queue's file; of a frame, as feeds fill them

PROFILE = """\
name: perf-capacity
data: {{dir: {data}}}
cores: {{main: 0, rx: {rx}, writers: {writers}}}
memory: {{size: {memory}M, no-huge: {no_huge}}}
ports:
  - {{name: source, vdev: net_ring0, checksum: {checksum}, queues: {queues}}}
listeners:
  - {{name: feed, addresses: [10.9.9.9], port: 26400, framing: mold64, stream: events}}
streams:
  - {{name: events, {stream}}}
{rules}
batch: {{bytes: 1M, records: 65536, age: 50ms, buffers: 256, lz4-acceleration: {lz4}}}
flush: {{bytes: 16M, age: 20ms}}
telemetry: {{prefix: {prefix}}}
metrics: {{port: 0}}
"""
RULES = "rules: {{file: {root}/perf/rules-100.yaml, cache: {work}/rules-cache}}"
ALL_ON = {
    "data": WORK / "data",
    "stream": "segment-bytes: 1G, seal: sha256",
    "rules": RULES,
    "checksum": "nic",
    "lz4": 1,
}
# On memory, as nothing is synced there; it holds only the last of it.
ALL_OFF = {
    **ALL_ON,
    "data": pathlib.Path("/dev/shm/penstock-perf"),
    "stream": "segment-bytes: 256M, retain-bytes: 1G, seal: none",
    "rules": "",
    "lz4": 0,
}

ROLES = ("rx", "writer", "rest")

# name -> CPUs of the rx lcores, of the writers, and what is on
RUNS = {
    "one_rx": ([1], [0], ALL_ON),
    "two_rx": ([0, 1], [0], ALL_ON),
    "two_rx_unsealed": ([0, 1], [0], {**ALL_ON, "stream": "segment-bytes: 1G, seal: none"}),
    "two_rx_strict": ([0, 1], [0], {**ALL_ON, "checksum": "strict"}),
    "all_off": ([1], [0], ALL_OFF),
}


def feed():
    """Events of an order book's feed as text, 40 to 64 bytes; one in a hundred is a line's state,
    which a rule looks for."""
    rng = random.Random(1)
    symbols = ["".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=4)) for _ in range(200)]
    now, order, match = 34_200_000_000_000, 100_000_000, 500_000_000
    for number in range(EVENTS):
        now += rng.randrange(200, 90_000)
        known = order - rng.randrange(1, 5000)
        shares = rng.randrange(1, 100) * 100
        kind = "S" if number % 100 == 99 else rng.choice("AAAAUUXXXEP")
        head = f"{kind},{now:015d}"
        if kind in "AP":
            order += 1
            price = f"{rng.choice('BS')},{rng.choice(symbols)},{rng.randrange(10_000, 4_000_000) / 1e4:.4f}"
            yield f"{head},{order},{price},{shares}"
        elif kind == "U":
            yield f"{head},{known},{order},{rng.randrange(10_000, 4_000_000) / 1e4:.4f},{shares}"
        elif kind == "X":
            yield f"{head},{known},{shares},cancelled"
        elif kind == "E":
            match += 1
            yield f"{head},{known},{match},{shares}"
        else:
            yield f"{head},line {rng.randrange(8)}: kernel timeout after {rng.randrange(90) + 10} ms"


def owner(session, rx_cnt):
    """Which rx lcore keeps the session (session_owner of lib/pipeline/rx_frame.c; listener 0)."""
    name, mask = session.ljust(10).encode(), (1 << 64) - 1
    mixed = int.from_bytes(name[:8], "little") ^ int.from_bytes(name[8:], "little") << 24
    product = mixed * 0x9E3779B97F4A7C15
    mixed = (product ^ product >> 64) & mask
    return (mixed ^ mixed >> 32) % rx_cnt


def make_pcap(pcap, text, queue, event_cnt, payload_bytes):
    """The lines of a file as events, in frames filled up to payload_bytes, in a session that the
    queue's own lcore keeps, of two. The generator's report."""
    session = next(s for s in (f"FEED-{n}" for n in range(99)) if owner(s, 2) == queue)
    return json.loads(
        out_of(
            *[tool("penstock-load"), "--pcap", str(pcap), "--to", "10.9.9.9:26400"],
            *["--from", "10.9.9.8:40000", "--framing", "mold64", "--session", session],
            *["--lines", str(text), "--count", str(event_cnt), "--events-per-frame", "100"],
            *["--payload-max", str(payload_bytes), "--json"],
        )
    )


def make(lines):
    """A file for each of two queues, with a session that the queue's own lcore keeps; frames of
    one file."""
    text = WORK / "feed.txt"
    if lines:
        text.write_bytes(b"".join(pathlib.Path(f).read_bytes().rstrip(b"\n") + b"\n" for f in lines))
    else:
        text.write_text("".join(event + "\n" for event in feed()))
    pcaps = [WORK / f"feed-{queue}.pcap" for queue in range(2)]
    for queue, pcap in enumerate(pcaps):
        sent = make_pcap(pcap, text, queue, EVENTS, PAYLOAD_BYTES)
    return pcaps, sent["frames"]["sent"]


def floor(pcap):
    """On all CPUs at once, as the pipeline has them: events/s of all, and one of them in detail."""
    command = [tool("floor"), "--mold64", str(pcap), str(ROOT / "perf/rules-100.pat"), "3"]
    running = [
        subprocess.Popen(["taskset", "-c", str(cpu)] + command, stdout=subprocess.PIPE, text=True)
        for cpu in range(2)
    ]
    found = [json.loads(process.communicate()[0]) for process in running]
    return {**found[1], "machine_events_per_s": sum(1e9 / f["floor_ns"] for f in found)}


def cpu_ns(daemon, rx_cnt, writer_cnt):
    """CPU time of the rx lcores, the writers, and the rest: control thread, kernel's helpers."""
    rx = sum(daemon.cpu_ns(1 + lcore) for lcore in range(rx_cnt))
    writer = sum(daemon.cpu_ns(1 + rx_cnt + lcore) for lcore in range(writer_cnt))
    return {"rx": rx, "writer": writer, "rest": daemon.cpu_ns_all() - rx - writer}


def profile(rx, writers, on):
    return PROFILE.format(
        work=WORK,
        prefix=PREFIX,
        memory=MEMORY_MIB,
        no_huge=str(not reserve_hugepages(MEMORY_MIB)).lower(),
        rx=rx,
        writers=writers,
        queues=len(rx),
        **{**on, "rules": on["rules"].format(root=ROOT, work=WORK)},
    )


def run_one(pcaps, seconds, rx, writers, on):
    with Daemon(profile(rx, writers, on), source.replaying(*pcaps[: len(rx)]), on["data"]) as daemon:
        time.sleep(min(1, seconds))
        t0, before = daemon.status()
        cpu0 = cpu_ns(daemon, len(rx), len(writers))
        time.sleep(seconds)
        t1, after = daemon.status()
        cpu1 = cpu_ns(daemon, len(rx), len(writers))
    size = sum(f.stat().st_size for f in on["data"].rglob("*.log"))
    held = json.loads(out_of(tool("readback"), str(daemon.data), "events"))
    shutil.rmtree(daemon.data)
    found = after["events"]["found"] - before["events"]["found"]
    stored = after["events"]["stored"] - before["events"]["stored"]
    cpu = {role: cpu1[role] - cpu0[role] for role in cpu1}
    return {
        "events_per_s": stored / (t1 - t0),
        "cpu_ns_per_event": sum(cpu.values()) / found,
        **{f"{role}_ns_per_event": ns / found for role, ns in cpu.items()},
        "cpu_share": sum(cpu.values()) / 1e9 / (t1 - t0) / os.cpu_count(),
        "stored": stored,
        "disk_bytes_per_event": size / held["unique"],
        "shed": last_words(daemon)["shed"],
        "not_carried": not_carried(after),
        "read_back": held,
    }


def judge(name, run, whole=True):
    """An event too many, or one that is missing and was not counted as shed, voids the figures.
    whole: the log has kept all of it."""
    held = run["read_back"]
    if held["duplicated"] or held["unnumbered"] or run["not_carried"]:
        give_up(f"{name}: {held}, and {run['not_carried']} frames or events refused")
    if whole and held["missing"] and not run["shed"]:
        give_up(f"{name}: {held['missing']} events are missing, and none was shed")
    if whole and held["unique"] < run["stored"]:
        give_up(f"{name}: {run['stored']} stored, but {held['unique']} read back")


def in_turn(pcaps, number, seconds):
    figures = {"floor": floor(pcaps[0])}
    for name in turned(RUNS, number):
        figures[name] = run_one(pcaps, seconds, *RUNS[name])
        judge(name, figures[name], RUNS[name][2] is not ALL_OFF)
        rate = figures["floor"]["machine_events_per_s"]
        figures[name]["of_floor"] = figures[name]["events_per_s"] / rate
    return figures


def row(rounds, name, source_ns):
    def median(key):
        return statistics.median(r[name][key] for r in rounds)

    gross, cpu = median("events_per_s"), median("cpu_ns_per_event")
    return {
        "events_per_s": round(gross),
        "net_events_per_s": round(gross * cpu / (cpu - source_ns)),
        "cpu_ns_per_event": round(cpu, 1),
        **{f"{role}_ns_per_event": round(median(f"{role}_ns_per_event"), 1) for role in ROLES},
        "cpu_share": round(median("cpu_share"), 3),
        "of_floor": round(median("of_floor"), 3),
        "shed": sum(r[name]["shed"] for r in rounds),
        "read_back": sum(r[name]["read_back"]["unique"] for r in rounds),
    }


def run(args):
    build("floor", "readback", "replay")
    pcaps, frames = make(args.lines)
    source_ns = source.frame_ns(pcaps[0], 1) * frames / EVENTS
    rounds = args.rounds.take(lambda number: in_turn(pcaps, number, args.seconds))
    return {
        "source_ns": round(source_ns, 2),
        "floor_ns": statistics.median(r["floor"]["floor_ns"] for r in rounds),
        "floor_events_per_s": round(
            statistics.median(r["floor"]["machine_events_per_s"] for r in rounds)
        ),
        "rows": {name: row(rounds, name, source_ns) for name in RUNS},
        "rounds": rounds,
    }


def say(r):
    lines = [
        f"floor {r['floor_ns']:.0f} ns/event, {r['floor_events_per_s']:,} events/s on all CPUs; "
        f"source {r['source_ns']} ns/event"
    ]
    for name, row in r["rows"].items():
        lines.append(
            f"{name}: {row['events_per_s']:,} events/s, {row['net_events_per_s']:,} net of the "
            f"source, {row['of_floor']} of the floor's; {row['cpu_ns_per_event']} ns of CPU time "
            f"an event (rx {row['rx_ns_per_event']}), CPUs {100 * row['cpu_share']:.0f} % busy; {row['read_back']:,} read back, "
            f"each once, {row['shed']} shed"
        )
    return lines


FIGURES = {
    "one_rx.of_floor": ("ratio", "more"),
    "two_rx.of_floor": ("ratio", "more"),
    "two_rx.events_per_s": ("absolute", "more"),
    "two_rx.cpu_ns_per_event": ("absolute", "less"),
    "floor.floor_ns": ("absolute", "less"),
}

ANSWERS = {
    "machine-rate": lambda r: max(r["rows"][name]["events_per_s"] for name in ("one_rx", "two_rx")),
}
