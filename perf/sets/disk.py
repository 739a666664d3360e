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


def run(args):
    if not shutil.which("fio"):
        give_up("fio is not there: apt-get install fio")
    build("bench_segment")
    mib = round(512 * args.seconds)
    rounds = []
    for _ in range(args.repeat):
        figures = {"fio": fio(mib, 0), "fio_synced": fio(mib, 16)}
        figures |= json.loads(out_of(tool("bench_segment"), "--json", str(WORK), str(mib)))
        rounds.append(figures)
    names = list(rounds[0])
    median = {name: round(statistics.median(r[name] for r in rounds)) for name in names}
    return {
        "mb_per_s": median,
        "ratio": {
            name: round(statistics.median(r[name] / r["fio"] for r in rounds), 3)
            for name in names
        },
        "spread": {
            name: [round(r[name] / r["fio"], 3) for r in rounds] for name in names
        },
        "mib": mib,
        "rounds": rounds,
    }


def say(r):
    return [
        f"{name}: {r['mb_per_s'][name]} MB/s, {r['ratio'][name]} of fio "
        f"({min(r['spread'][name])} to {max(r['spread'][name])})"
        for name in r["mb_per_s"]
    ]
