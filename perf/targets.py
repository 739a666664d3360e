"""The targets: each once, here. docs/performance.md shows them as a table (table()), sets name the
figures that answer them, perf/run prints each beside its figure."""

MOST, LEAST = "most", "least"

# name -> (what is measured, MOST or LEAST, the bound, its unit)
TARGETS = {
    "pipeline-ratio": (
        "pipeline ns/event ÷ floor of the same run, same bytes, source included",
        MOST,
        1.10,
        "",
    ),
    "rx-core-rate": (
        "events/s of one rx core, 126-byte log lines, 100 rules, LZ4, synced",
        LEAST,
        4_000_000,
        "events/s",
    ),
    "machine-rate": (
        "events/s of a whole two-core machine, MoldUDP64 frames of 40 to 64-byte events, filter, "
        "LZ4, synced, from the in-process source",
        LEAST,
        12_000_000,
        "events/s",
    ),
    "durable-p50": ("arrival → durable at 80 % of the zero-loss rate, p50", MOST, 1, "ms"),
    "durable-p99": ("the same, p99", MOST, 5, "ms"),
    "durable-p999": ("the same, p99.9", MOST, 10, "ms"),
    "disk-ratio": (
        "bytes/s written with LZ4 off ÷ fio, same block size, same run",
        LEAST,
        0.95,
        "",
    ),
    "rsyslog-ratio": (
        "class B, events per CPU-second ÷ rsyslog's process alone on the socket feed",
        LEAST,
        10,
        "",
    ),
    "socket-ratio": (
        "class K, one event a datagram, kernel's receive included: events per CPU-second ÷ the "
        "best socket program doing the same work",
        LEAST,
        1.5,
        "",
    ),
    "re-match-ratio": ("the same ÷ rsyslog with one `re_match`", LEAST, 3, ""),
    "overload-kept": (
        "events kept at twice the zero-loss rate ÷ events kept at the zero-loss rate",
        LEAST,
        0.95,
        "",
    ),
    "memory": ("memory of one queue at defaults, fixed after start", MOST, 1024, "MiB"),
    "idle-cpu": ("CPU of an idle daemon, adaptive poll, share of a core", MOST, 0.05, ""),
}


def number(value):
    """As a person writes it: 12,000,000; 45.2; 0.95."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def bound(name):
    _, side, wanted, unit = TARGETS[name]
    return f"{'≤' if side == MOST else '≥'} {number(wanted)} {unit}".rstrip()


def verdict(name, figure):
    """Whether a figure meets its target, in a line; a miss says by how much."""
    _, side, wanted, unit = TARGETS[name]
    met = figure <= wanted if side == MOST else figure >= wanted
    text = f"{name}: {number(figure)} {unit}".rstrip() + f", target {bound(name)}: "
    return text + ("met" if met else f"missed by {100 * abs(figure / wanted - 1):.3g} %")


def table(sets):
    """Rows of the table in docs/performance.md; sets: name of a set -> its module."""
    rows = ["| target | figure | bound | measured by |", "| --- | --- | --- | --- |"]
    for name, (what, _, _, _) in TARGETS.items():
        by = [f"`{s}`" for s, module in sets.items() if name in getattr(module, "ANSWERS", {})]
        rows.append(f"| `{name}` | {what} | {bound(name)} | {', '.join(by) or 'no set yet'} |")
    return rows
