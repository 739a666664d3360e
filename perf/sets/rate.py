"""what is kept at a rate: paced events through memif, generator on one CPU, the whole daemon on the
other; the highest rate without loss, latency from scheduled send to durable below it, and overload at
twice of it; counted by reading back"""

import statistics

from harness import *
from rounds import NoRound, Rounds
from sets import source

MEMORY_MIB = 512
GENERATOR_CPU, DAEMON_CPU = 1, 0
FRAMES, EVENTS_PER_FRAME, EVENT_BYTES = 2000, 10, 126
LINES_MAX = 5000  # of files: they go by the command line
RING_LOG2 = 11  # frames that wait for the daemon, as in a NIC's ring
POLICY = ("500us", "500us", "1M")  # batch.age, flush.age, flush.bytes
FIRST_RATE, GROWTH, WIDTH = 500_000, 1.5, 0.005  # of the search
SEARCH_S = 900  # for all of it
HOLD, PACED, OVERLOAD = 0.9, 0.8, 2  # of the zero-loss rate
FULL_HOLD_S = 600
TRIES, HOLD_TRIES = 5, 2  # of a run that others disturb

PROFILE = """\
name: perf-rate
data: {{dir: {work}/data}}
cores: {{main: {cpu}, rx: [{cpu}], writers: [{cpu}]}}
memory: {{size: {memory}M, no-huge: {no_huge}}}
ports:
  - {{name: memif, vdev: "net_memif0,role=server,socket={work}/memif.sock,socket-abstract=no"}}
listeners:
  - {{name: feed, addresses: [10.9.9.9], port: 26400, framing: mold64, stream: events}}
streams:
  - {{name: events, headers: [ts-ns]}}
rules: {{file: {root}/perf/rules-100.yaml, cache: {work}/rules-cache}}
batch: {{age: {batch_age}}}
flush: {{age: {flush_age}, bytes: {flush_bytes}}}
telemetry: {{prefix: {prefix}}}
metrics: {{port: 0}}
"""


def profile():
    return PROFILE.format(
        work=WORK,
        root=ROOT,
        cpu=DAEMON_CPU,
        memory=MEMORY_MIB,
        no_huge=str(not reserve_hugepages(MEMORY_MIB)).lower(),
        batch_age=POLICY[0],
        flush_age=POLICY[1],
        flush_bytes=POLICY[2],
        prefix=PREFIX,
    )


def make(lines):
    """paced.pcap: events with room for their time in front."""
    texts = source.LINES
    if lines:
        kept = [pathlib.Path(f).read_text(errors="replace").splitlines() for f in lines]
        kept = [[l.strip()[:EVENT_BYTES] for l in file if l.strip()] for file in kept]
        texts = [l for file in kept for l in file[: LINES_MAX // len(lines)]]
    out_of(
        *[tool("penstock-load"), "--pcap", str(WORK / "paced.pcap"), "--to", "10.9.9.9:26400"],
        *["--from", "10.9.9.8:40000", "--framing", "mold64", "--stamp", "none"],
        *["--size", str(EVENT_BYTES), "--events-per-frame", str(EVENTS_PER_FRAME)],
        *["--count", str(FRAMES * EVENTS_PER_FRAME)],
        *[word for text in texts for word in ("--template", "t={t} " + text)],
    )


def offer(rate, seconds):
    """The generator's own report."""
    memif = f"net_memif0,role=client,socket={WORK}/memif.sock,socket-abstract=no,rsize={RING_LOG2}"
    return json.loads(
        out_of(
            *[tool("pace"), str(WORK / "paced.pcap"), str(rate), str(seconds)],
            *[str(WORK / "data"), "events", str(WORK / "marks")],
            *["--lcores", f"0@{GENERATOR_CPU}", "--no-pci", "--no-telemetry", "--no-huge"],
            *["-m", "64", "--file-prefix", PREFIX + "-pace", "--log-level", "warning"],
            *["--vdev", memif],
        )
    )


def settle(daemon):
    """The status once nothing is in flight."""
    for _ in range(100):
        _, status = daemon.status()
        if status["events"]["in_flight"] == 0:
            break
        time.sleep(0.1)
    return status


def trial(rate, seconds):
    """One run at a rate. What is missing must be what the ring or the daemon says it dropped."""
    rate = round(rate)
    (WORK / "memif.sock").unlink(missing_ok=True)
    with Daemon(profile()) as daemon:
        cpu0 = daemon.cpu_ns_all()
        sent = offer(rate, seconds)
        status = settle(daemon)
        cpu1 = daemon.cpu_ns_all()
    held = json.loads(out_of(tool("readback"), str(WORK / "data"), "events"))
    times = json.loads(out_of(tool("stamps"), str(WORK / "data"), "events", str(WORK / "marks")))
    size = sum(f.stat().st_blocks * 512 for f in (WORK / "data").rglob("*.log"))
    shutil.rmtree(WORK / "data")
    lost = sent["events"] - held["unique"]
    explained = sent["events_dropped"] + shed(status)
    if held["duplicated"] or held["unnumbered"] or lost != explained or times["unseen"]:
        give_up(f"at {rate:,} events/s: {sent}, {held}, {shed(status)} shed, {times['unseen']} unseen")
    return {
        "rate": rate,
        "seconds": seconds,
        "offered": sent["events"],
        "kept": held["unique"],
        "lost_in_ring": sent["events_dropped"],
        "shed": shed(status),
        "disk_bytes_per_event": size / held["unique"],
        "events_per_cpu_s": held["unique"] / (cpu1 - cpu0) * 1e9,
        "late_ns": sent["late"],
        "send_to_arrival_ns": times["arrival"],
        "send_to_durable_ns": times["durable"],
        "arrival_to_durable_ns": times["stored"],
        "daemon_says_ns": status["latency"]["all"]["durable"],
    }


def lossless(run):
    return run["kept"] == run["offered"]


def late(run):
    """Whether the generator itself was late enough to have filled the ring by catching up."""
    return run["late_ns"]["max"] > (1 << RING_LOG2) / 2 * EVENTS_PER_FRAME / run["rate"] * 1e9


def undisturbed(args, one, tries):
    rounds = Rounds(1, args.rounds.foreign_max, extra=tries)
    run = rounds.take(one)[0]
    return {**run, "foreign": rounds.kept[0], "set_aside": rounds.aside}


def probe(args, rate):
    """One run of the search; a loss that may be the generator's is tried again."""

    def one(_):
        run = trial(rate, args.seconds)
        for _ in range(TRIES):
            if lossless(run) or not late(run):
                break
            run = {**trial(rate, args.seconds), "generator_late": run.get("generator_late", 0) + 1}
        return run

    return undisturbed(args, one, TRIES)


def search(args):
    """The highest rate without loss, by halving, once a rate with loss is known."""
    began, low, high, rate, trials = time.monotonic(), 0, None, FIRST_RATE, []
    enough_s = 10 if args.smoke else SEARCH_S
    while high is None or (high - low) / high > WIDTH:
        if trials and time.monotonic() - began > enough_s:
            break
        run = probe(args, rate)
        trials.append(run)
        if lossless(run):
            low = run["rate"]
        else:
            high = run["rate"]
        rate = low * GROWTH if high is None else (low + high) / 2
    return {
        "rate": low or trials[-1]["rate"],
        "found": low > 0,
        "width": round((high - low) / high, 4) if high else None,
        "trials": trials,
    }


def hold_s(args, rate, run):
    """As long as is wanted, and as the disk has room for what run shows that it takes."""
    room_s = 0.8 * shutil.disk_usage(WORK).free / (rate * run["disk_bytes_per_event"])
    return round(min(FULL_HOLD_S if args.full else args.seconds, room_s), 1)


def run(args):
    build("pace", "readback", "stamps")
    make(args.lines)
    found = search(args)
    zero = found["rate"]

    def one(_):
        figures = {
            "at_80": trial(PACED * zero, args.seconds),
            "at_100": trial(zero, args.seconds),
            "overload": trial(OVERLOAD * zero, args.seconds),
        }
        return {"overload_kept": figures["overload"]["kept"] / figures["at_100"]["kept"], **figures}

    rounds = args.rounds.take(one)
    # Minutes long, it is one run: whose the loss is, if there is one, the lateness beside it tells.
    seconds = hold_s(args, HOLD * zero, rounds[-1]["at_80"])
    hold = undisturbed(args, lambda _: trial(HOLD * zero, seconds), HOLD_TRIES)

    def median(name):
        return statistics.median(r["at_80"]["send_to_durable_ns"][name] for r in rounds) / 1e6

    return {
        "zero_loss_rate": zero,
        "policy": dict(zip(("batch.age", "flush.age", "flush.bytes"), POLICY)),
        "search": found,
        "hold": hold,
        "events_per_cpu_s": round(statistics.median(r["at_100"]["events_per_cpu_s"] for r in rounds)),
        "at_80_ms": {n: round(median(n), 3) for n in ("p50", "p90", "p99", "p999", "p9999", "max")},
        "overload_kept": round(statistics.median(r["overload_kept"] for r in rounds), 4),
        "rounds": rounds,
    }


def say(r):
    hold, width = r["hold"], r["search"]["width"]
    searched = (
        f"found to {100 * width:.2g} %" if r["search"]["found"] and width else "the search ended early"
    )
    aside = sum(len(t["set_aside"]) for t in r["search"]["trials"])
    held_ms = {n: v / 1e6 for n, v in hold["send_to_durable_ns"].items()}
    return [
        f"no loss up to {r['zero_loss_rate']:,} events/s ({searched}, "
        f"{len(r['search']['trials'])} runs, {aside} set aside), on one CPU; "
        f"{r['events_per_cpu_s']:,} for each CPU-second that the daemon was busy",
        f"{hold['seconds']:.0f} s at {hold['rate']:,} events/s: {hold['offered'] - hold['kept']:,} of "
        f"{hold['offered']:,} lost; scheduled send to durable "
        + ", ".join(f"{n} {held_ms[n]:.2f}" for n in held_ms)
        + f" ms; the generator was late by {hold['late_ns']['p9999'] / 1e6:.2f} ms at p99.99",
        "at 80 % of the zero-loss rate, scheduled send to durable: "
        + ", ".join(f"{n} {v:.2f}" for n, v in r["at_80_ms"].items())
        + " ms",
        f"at twice the zero-loss rate {r['overload_kept']} of what is kept at it",
    ]


def plot(r):
    shares = (("p50", 50), ("p90", 90), ("p99", 99), ("p999", 99.9), ("p9999", 99.99))

    def curve(run):
        # 1 / (1 - share): 99 % at 100, 99.9 % at 1,000.
        return [(100 / (100 - s), run["send_to_durable_ns"][n] / 1e6) for n, s in shares]

    trials = sorted(r["search"]["trials"], key=lambda t: t["rate"])
    return [
        {
            "title": "search: events kept at the rates that were tried",
            "x": "events/s offered",
            "y": "share kept",
            "series": {"runs": [(t["rate"], t["kept"] / t["offered"]) for t in trials]},
        },
        {
            "title": "scheduled send to durable, one event in so many takes longer",
            "x": "one in",
            "y": "ms",
            "logx": True,
            "log": True,
            "series": {
                "at 90 %": curve(r["hold"]),
                "at 80 %": curve(r["rounds"][0]["at_80"]),
                "overload": curve(r["rounds"][0]["overload"]),
            },
        },
    ]


FIGURES = {
    "overload_kept": ("ratio", "more"),
    "at_100.events_per_cpu_s": ("absolute", "more"),
    "at_80.send_to_durable_ns.p50": ("absolute", "less"),
    "at_80.send_to_durable_ns.p99": ("absolute", "less"),
    "at_80.send_to_durable_ns.p999": ("absolute", "less"),
}

ANSWERS = {
    "durable-p50": lambda r: r["at_80_ms"]["p50"],
    "durable-p99": lambda r: r["at_80_ms"]["p99"],
    "durable-p999": lambda r: r["at_80_ms"]["p999"],
    "overload-kept": lambda r: r["overload_kept"],
}
