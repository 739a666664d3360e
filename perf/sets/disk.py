"""bytes/s that the log writes with LZ4 off, beside fio with the same block size on the same
filesystem; with and without the seal"""

import shutil
import statistics

from harness import *

BLOCK, DEPTH = "1M", 8


def fio(mib, every):
    """MB/s; a sync every so many blocks, or (0) at the end alone."""
    sync = [f"--fdatasync={every}"] if every else ["--end_fsync=1"]
    text = out_of(
        *["fio", "--name=floor", f"--directory={WORK}", "--rw=write", f"--bs={BLOCK}"],
        *[f"--size={mib}M", "--direct=1", "--ioengine=io_uring", f"--iodepth={DEPTH}"],
        *["--fallocate=posix", "--output-format=json"],
        *sync,
    )
    (WORK / "floor.0.0").unlink()
    return json.loads(text)["jobs"][0]["write"]["bw_bytes"] / 1e6


def one(mib):
    speeds = {"fio": fio(mib, 0), "fio_synced": fio(mib, 16)}
    speeds |= json.loads(out_of(tool("bench_segment"), "--json", str(WORK), str(mib)))
    return {"mb_per_s": speeds, "ratio": {n: s / speeds["fio"] for n, s in speeds.items()}}


def run(args):
    if not shutil.which("fio"):
        give_up("fio is not there: apt-get install fio")
    build("bench_segment")
    mib = round(512 * args.seconds)
    rounds = args.rounds.take(lambda _: one(mib))
    names = list(rounds[0]["ratio"])

    def median(part, name):
        return statistics.median(r[part][name] for r in rounds)

    return {
        "mb_per_s": {name: round(median("mb_per_s", name)) for name in names},
        "ratio": {name: round(median("ratio", name), 3) for name in names},
        "spread": {name: [round(r["ratio"][name], 3) for r in rounds] for name in names},
        "mib": mib,
        "rounds": rounds,
    }


def say(r):
    return [
        f"{name}: {r['mb_per_s'][name]} MB/s, {r['ratio'][name]} of fio "
        f"({min(r['spread'][name])} to {max(r['spread'][name])})"
        for name in r["mb_per_s"]
    ]


FIGURES = {
    **{f"ratio.{n}": ("ratio", "more") for n in ("log_large", "log_small", "sealed_large")},
    "mb_per_s.log_large": ("absolute", "more"),
    "mb_per_s.fio": ("absolute", "more"),
}

ANSWERS = {"disk-ratio": lambda r: r["ratio"]["log_large"]}
