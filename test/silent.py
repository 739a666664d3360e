#!/usr/bin/env python3
"""No log line from the data path: silent.py BUILD_DIRECTORY

The objects that run on rx and writer lcores must not refer to anything that writes lines. (A failed
assertion does, and ends the process.)
"""

import pathlib
import subprocess
import sys

WHOLE = ["frame", "session", "source", "batch", "listener", "ledger"]
PARTS = {
    "pipeline": "handoff rx_frame rx_loop rx_pack rx_quarantine writer_loop",
    "rules": "eval combination",
    "segment": "appender close disk_posix disk_uring durable failure index live log piece "
    "retention roll",
}
WRITERS = {
    "pst_log_from", "pst_log_diag", "pst_diag_print", "printf", "fprintf", "puts", "fputs",
    "fputc", "putchar", "vprintf", "vfprintf", "syslog", "perror", "rte_log", "stderr", "stdout",
    "__printf_chk", "__fprintf_chk", "__vfprintf_chk", "dprintf",
}  # fmt: skip


def wanted_by(path):
    out = subprocess.run(["nm", "-u", path], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].split("@")[0] for line in out.splitlines() if line.strip()}


def main():
    build = pathlib.Path(sys.argv[1])
    paths = []
    for library in WHOLE:
        paths += (build / "lib" / library / f"libpst_{library}.a.p").glob("*.o")
    for library, names in PARTS.items():
        directory = build / "lib" / library / f"libpst_{library}.a.p"
        paths += [directory / f"{name}.c.o" for name in names.split()]
    faults = [f"{path.relative_to(build)}: {name}" for path in paths for name in wanted_by(path) & WRITERS]
    # What logs is found to log: else this test would see nothing anywhere.
    control = build / "app" / "penstockd" / "penstockd.p" / "main.c.o"
    if "pst_log_from" not in wanted_by(control):
        faults.append("main.c.o of the daemon does not log: the test is blind")
    print("\n".join(faults) or f"{len(paths)} objects write no lines")
    return 1 if faults or len(paths) < 25 else 0


sys.exit(main())
