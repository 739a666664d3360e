"""what the daemon takes when nothing comes, or little: CPU time by thread, and memory; one queue of an
AF_XDP port, everything else at its defaults"""

import re
import statistics

from harness import *
from sets import wire

RATES = (0, 1_000, 100_000)  # events/s, ten a datagram
RX_LCORE, WRITER_LCORE = 1, 2

PROFILE = """\
name: perf-idle
data: {{dir: {work}/data}}
memory: {{no-huge: {no_huge}}}
ports:
  - {{name: wire, interface: vb}}
listeners:
  - {{name: lines, addresses: [{address}], port: 9000, framing: lines, stream: events}}
streams:
  - {{name: events}}
telemetry: {{prefix: {prefix}}}
metrics: {{port: 0}}
"""


def profile():
    no_huge = not reserve_hugepages(wire.MEMORY_MIB)
    return PROFILE.format(
        work=WORK, prefix=PREFIX, address=wire.ADDRESS, no_huge=str(no_huge).lower()
    )


def planned_mib():
    file = WORK / "plan.yaml"
    file.write_text(profile())
    text = out_of(
        *["ip", "netns", "exec", wire.FAR, tool("penstockd"), "--check", "--profile", str(file)]
    )
    return float(re.search(r"([\d.]+) MiB  of the process", text).group(1))


def used_mib(daemon):
    """The most that the process has held until now, hugepages included."""
    text = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M))
    return (int(found["VmHWM"]) + int(found["HugetlbPages"])) / 1024


def cpu_ns(daemon):
    rx, writer = daemon.cpu_ns(RX_LCORE), daemon.cpu_ns(WRITER_LCORE)
    return {"rx": rx, "writer": writer, "rest": daemon.cpu_ns_all() - rx - writer}


def one(daemon, rate, seconds):
    """The share of a CPU by role while so many events a second come."""
    began, before = time.monotonic(), cpu_ns(daemon)
    if rate:
        wire.send(rate, seconds)
    else:
        time.sleep(seconds)
    passed, after = time.monotonic() - began, cpu_ns(daemon)
    return {role: (after[role] - before[role]) / 1e9 / passed for role in after}


def a_round(seconds):
    text = profile()
    with Daemon(text, within=["ip", "netns", "exec", wire.FAR]) as daemon:
        time.sleep(2)  # it polls at once for a while before it sleeps
        started = used_mib(daemon)
        shares = {rate: one(daemon, rate, seconds) for rate in RATES}
        ended = used_mib(daemon)
    idle = shares[0]
    return {
        "idle_share": sum(idle.values()),
        "shares": shares,
        "started_mib": started,
        "ended_mib": ended,
        "of_plan": ended / planned_mib(),
    }


def run(args):
    wire.put_up()
    rounds = args.rounds.take(lambda _: a_round(args.seconds))

    def median(get):
        return statistics.median(get(r) for r in rounds)

    return {
        "planned_mib": planned_mib(),
        "memory_mib": max(r["ended_mib"] for r in rounds),
        "idle_share": round(median(lambda r: r["idle_share"]), 4),
        "shares": {
            rate: {role: round(median(lambda r: r["shares"][rate][role]), 4) for role in ("rx", "writer", "rest")}
            for rate in RATES
        },
        "rounds": rounds,
    }


def say(r):
    for rate, roles in r["shares"].items():
        yield f"{rate:,} events/s: {100 * sum(roles.values()):.2f} % of a CPU: " + ", ".join(
            f"{role} {100 * share:.2f}" for role, share in roles.items()
        )
    yield f"memory {r['memory_mib']:.1f} MiB at the most, {r['planned_mib']:.1f} planned by --check"


FIGURES = {
    "idle_share": ("absolute", "less"),
    "ended_mib": ("ratio", "less"),
    "of_plan": ("ratio", "less"),
}

ANSWERS = {
    "memory": lambda r: r["memory_mib"],
    "idle-cpu": lambda r: r["idle_share"],
}
