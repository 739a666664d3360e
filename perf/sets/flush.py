"""what each flush policy costs: events/s of one rx core at capacity, and arrival to durable at a
fixed rate over veth"""

import statistics

from harness import *
from sets import source, wire

RATE = 200_000  # events a second: far below capacity, so that the policy is what is measured

# (batch.age, flush.age, flush.bytes)
POLICIES = (
    ("500us", "500us", "64K"),
    ("1ms", "1ms", "1M"),
    ("5ms", "5ms", "8M"),
    ("20ms", "20ms", "16M"),
    ("100ms", "100ms", "64M"),
)
DEFAULT = POLICIES[2]


def latency(policy, seconds):
    with wire.daemon(*policy) as daemon:
        sent = wire.send(RATE, seconds)
        status = wire.settle(daemon, sent["frames"]["sent"])
    durable = status["latency"]["all"]["durable"]
    return {
        "sent": sent["events"]["sent"],
        "stored": status["events"]["stored"],
        **{name: durable[f"ns_{name}"] / 1e6 for name in ("p50", "p99", "p999", "max")},
        "syncs": sum(w["sync_cnt"] for w in status["writers"]),
    }


def run(args):
    wire.put_up()
    source.make(args.lines)
    policies = [DEFAULT] if args.brief else POLICIES

    def one(policy):
        return {
            "capacity": source.run(source.profile(*policy), args.seconds),
            "paced": latency(policy, args.seconds),
        }

    # Of a policy by its batch.age.
    rounds = args.rounds.take(lambda _: {policy[0]: one(policy) for policy in policies})

    def median(policy, kind, name):
        return statistics.median(r[policy[0]][kind][name] for r in rounds)

    rows = [
        {
            "batch_age": policy[0],
            "flush_age": policy[1],
            "flush_bytes": policy[2],
            "events_per_s": round(median(policy, "capacity", "events_per_s")),
            "ns_per_event": round(median(policy, "capacity", "ns_per_event"), 1),
            "shed": sum(r[policy[0]]["capacity"]["shed"] for r in rounds),
            "lost": sum(
                r[policy[0]]["paced"]["sent"] - r[policy[0]]["paced"]["stored"] for r in rounds
            ),
            **{
                f"ms_{name}": round(median(policy, "paced", name), 3)
                for name in ("p50", "p99", "p999", "max")
            },
            "syncs": median(policy, "paced", "syncs"),
        }
        for policy in policies
    ]
    return {"rate": RATE, "policies": rows, "rounds": rounds}


def say(r):
    return [
        f"batch.age {row['batch_age']}, flush.age {row['flush_age']}, flush.bytes "
        f"{row['flush_bytes']}: {row['events_per_s']:,} events/s at capacity, {row['shed']} shed; at "
        f"{r['rate']:,} events/s p50 {row['ms_p50']} ms, p99 {row['ms_p99']} ms, p99.9 "
        f"{row['ms_p999']} ms, {row['lost']} lost"
        for row in r["policies"]
    ]


FIGURES = {
    f"{DEFAULT[0]}.capacity.events_per_s": ("absolute", "more"),
    f"{DEFAULT[0]}.paced.p50": ("absolute", "less"),
    f"{DEFAULT[0]}.paced.p99": ("absolute", "less"),
    f"{DEFAULT[0]}.paced.p999": ("absolute", "less"),
}
