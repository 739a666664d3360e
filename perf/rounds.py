"""Rounds of a measurement, and the foreign CPU that voids them: what others on this machine, or
under the same hypervisor, took while one ran."""

import os
import resource
import time

TICKS = os.sysconf("SC_CLK_TCK")
FOREIGN_MAX = 0.1  # of the machine's CPU time


class NoRound(Exception):
    """Every round was disturbed."""


def turned(kinds, number):
    """The kinds of run, in the order of round number: what drifts meets each of them at each place."""
    kinds = list(kinds)
    first = number % len(kinds)
    return kinds[first:] + kinds[:first]


class Foreign:
    """What share of the machine's CPU time went to others since this object was made.

    Others are: stolen time, and the user and system time of /proc/stat that is not of this process
    or of the children it has waited for. Time in interrupts is nobody's: most of it is ours.
    """

    def __init__(self, stat="/proc/stat"):
        self.stat = stat
        self.began = self.now()

    def now(self):
        with open(self.stat) as lines:
            fields = [int(field) / TICKS for field in lines.readline().split()[1:9]]
        user, nice, system, steal = fields[0], fields[1], fields[2], fields[7]
        own = 0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            own += usage.ru_utime + usage.ru_stime
        return {
            "at": time.monotonic(),
            "busy": user + nice + system,
            "steal": steal,
            "own": own,
        }

    def share(self):
        now = self.now()
        passed = {name: now[name] - self.began[name] for name in now}
        others = max(0, passed["busy"] - passed["own"]) + passed["steal"]
        return others / (passed["at"] * os.cpu_count())


class Rounds:
    """Takes rounds until there are enough undisturbed ones. One that was disturbed is set aside
    before anyone has looked at it, and repeated, at most extra times (as often as rounds were asked
    for)."""

    def __init__(self, wanted, foreign_max=FOREIGN_MAX, seconds=None, watch=Foreign, extra=None):
        self.wanted = wanted
        self.extra = wanted if extra is None else extra
        self.foreign_max = foreign_max
        self.seconds = seconds  # no round begins that would end after so many; None: no limit
        self.watch = watch
        self.kept, self.aside = [], []  # foreign CPU of each

    def take(self, one):
        """[one(number), ...] of the rounds that count; NoRound if none does."""
        began, longest, results = time.monotonic(), 0, []
        while len(results) < self.wanted and len(self.aside) < self.extra:
            spent = time.monotonic() - began
            if results and self.seconds and spent + longest > self.seconds:
                break
            watch = self.watch()
            result = one(len(results))
            foreign = watch.share()
            longest = max(longest, time.monotonic() - began - spent)
            if foreign > self.foreign_max:
                self.aside.append(round(foreign, 3))
            else:
                self.kept.append(round(foreign, 3))
                results.append(result)
        if not results:
            raise NoRound(self.say())
        return results

    def facts(self):
        return {
            "wanted": self.wanted,
            "kept": len(self.kept),
            "set_aside": len(self.aside),
            "foreign_max": self.foreign_max,
            "foreign_kept": self.kept,
            "foreign_set_aside": self.aside,
        }

    def say(self):
        text = f"{len(self.kept)} of {self.wanted} rounds"
        if self.aside:
            text += (
                f"; {len(self.aside)} set aside unseen: foreign CPU {100 * min(self.aside):.0f} to "
                f"{100 * max(self.aside):.0f} % (at most {100 * self.foreign_max:.0f} % may be)"
            )
        return text
