"""What changed between two results of one set, and whether it is more than noise.

Rounds of two runs are no pairs: each figure's rounds of one side stand against all of the other
(Mann-Whitney, exact: every way to deal the values out is counted). Five rounds against five can
just show a change at this level; fewer cannot, however far apart they are.
"""

import bisect
import datetime
import itertools
import math
import random
import statistics

CHANCE = 0.01  # that noise alone is called a change
EXACT_MAX = 200_000  # ways to deal out; beyond, as many are drawn
APART_H = 1  # runs further apart than this are two sessions
SAME_MACHINE = ("cpu", "cpus", "avx512", "avx2", "sha_ni", "kernel", "filesystem", "boot")


class Incomparable(Exception):
    """The two results have nothing to say about each other."""


def values(rounds, figure):
    """A figure of each round: "a.b" is round["a"]["b"]."""
    found = []
    for value in rounds:
        for key in figure.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            found.append(value)
    return found


def ranks(numbers):
    """Of each number, from 1; equal ones share theirs."""
    order = sorted(numbers)
    return [
        (bisect.bisect_left(order, n) + bisect.bisect_right(order, n) + 1) / 2 for n in numbers
    ]


def chance(a, b):
    """That values dealt out blindly would be at least as far apart as these are."""
    ranked = ranks(list(a) + list(b))
    middle = len(a) * (len(ranked) + 1) / 2
    distance = abs(sum(ranked[: len(a)]) - middle) - 1e-9
    if math.comb(len(ranked), len(a)) <= EXACT_MAX:
        deals = itertools.combinations(ranked, len(a))
    else:
        dice = random.Random(1)
        deals = (dice.sample(ranked, len(a)) for _ in range(EXACT_MAX))
    far = total = 0
    for deal in deals:
        total += 1
        far += abs(sum(deal) - middle) >= distance
    return far / total


def rounds_missing(a_cnt, b_cnt):
    """How many more rounds each side needs before any change could show."""
    missing = 0
    while 2 / math.comb(a_cnt + b_cnt, a_cnt) > CHANCE:
        missing, a_cnt, b_cnt = missing + 1, a_cnt + 1, b_cnt + 1
    return missing


def compare_figure(a, b, better):
    """One figure's rounds of both sides: what is to be said, and the word for it."""
    one, other = statistics.median(a), statistics.median(b)
    change = other / one - 1 if one else math.inf if other else 0
    found = {
        "a": one,
        "b": other,
        "a_range": (min(a), max(a)),
        "b_range": (min(b), max(b)),
        "change": change,
        "missing": rounds_missing(len(a), len(b)),
        "chance": chance(a, b),
    }
    if found["missing"]:
        found["word"] = f"{found['missing']} round{'s' * (found['missing'] > 1)} too few"
    elif found["chance"] > CHANCE or change == 0:
        found["word"] = "noise"
    else:
        found["word"] = "better" if (change < 0) == (better == "less") else "worse"
    return found


def why_not_one_session(a, b):
    """Why absolute figures do not compare; None if they do."""
    for name in SAME_MACHINE:
        if a["machine"].get(name) != b["machine"].get(name):
            return f"{name}: {a['machine'].get(name)} and {b['machine'].get(name)}"
    first, last = sorted((a, b), key=lambda side: side["began"])
    times = [datetime.datetime.fromisoformat(t) for t in (first["ended"], last["began"])]
    apart = times[1] - times[0]
    if apart > datetime.timedelta(hours=APART_H):
        return f"{apart} lie between them"
    return None


def compare(a, b):
    """{figure: what compare_figure says}, [figures left out], why they were left out."""
    for name in ("set", "lines", "seconds"):
        if a.get(name) != b.get(name):
            raise Incomparable(f"{name}: {a.get(name)} and {b.get(name)}")
    if not (a.get("figures") and a["figures"] == b.get("figures")):
        raise Incomparable("they do not declare the same figures")
    why = why_not_one_session(a, b)
    found, left = {}, []
    for name, (kind, better) in a["figures"].items():
        if why and kind != "ratio":
            left.append(name)
            continue
        sides = [values(side["result"]["rounds"], name) for side in (a, b)]
        if all(sides):
            found[name] = compare_figure(*sides, better)
    return found, left, why
