"""What test programs share: test cases, their verdicts (as suites.py counts them), commands, a
directory."""

import atexit
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

TOP = pathlib.Path(os.environ.get("PST_TOP", pathlib.Path(__file__).resolve().parent.parent))
BUILD = pathlib.Path(os.environ.get("PST_BUILD", TOP / "run" / "build"))
FULL = os.environ.get("PST_FULL") == "1"
SEED = int(os.environ.get("PST_SEED", "1"))

PENSTOCKD = BUILD / "app/penstockd/penstockd"
PENSTOCK = BUILD / "app/penstock/penstock"
LOAD = BUILD / "app/penstock-load/penstock-load"

# Nothing here is timed: this is how long a thing may take before it counts as hanging.
PATIENCE_S = 120


class Failed(Exception):
    """A test case did not come out as it should."""


class Skipped(Exception):
    """This machine cannot run a test case."""


def check(condition, why):
    if not condition:
        raise Failed(why)


def check_equal(got, wanted, what):
    if got != wanted:
        raise Failed(f"{what}: {short(got)}, not {short(wanted)}")


def short(value, limit=200):
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."


def check_same(got, wanted, what):
    """Two lists are equal; the message says where they part."""
    for index, (one, other) in enumerate(zip(got, wanted)):
        if one != other:
            raise Failed(f"{what}: entry {index} is {short(one)}, not {short(other)}")
    check_equal(len(got), len(wanted), f"number of {what}")


def check_notices(function, why, *arguments):
    """A check is itself checked: it must fail on what it is given here."""
    try:
        function(*arguments)
    except Failed as failure:
        print(f"as it should: {str(failure).splitlines()[0]}")
        return
    raise Failed(f"went unnoticed: {why}")


def run(command, **options):
    """Runs a command that must succeed; returns its standard output as bytes."""
    options.setdefault("timeout", PATIENCE_S)
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    except subprocess.TimeoutExpired:
        raise Failed(f"{words[0]} hangs: {' '.join(words)[:300]}")
    if done.returncode != 0:
        text = done.stderr.decode(errors="replace").strip() or f"exit {done.returncode}"
        raise Failed(f"{words[0]}: {text}\n{' '.join(words)[:1000]}")
    return done.stdout


def start(command, log, **options):
    """Starts a process that does not outlive this one, however this one ends."""

    def follow():
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    with open(log, "ab") as out:
        words = [str(word) for word in command]
        process = subprocess.Popen(words, stdout=out, stderr=out, preexec_fn=follow, **options)
    atexit.register(end, process)
    return process


def end(process):
    process.kill()
    process.wait()


def stop(process, what, log):
    """SIGTERM; returns the exit status."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        end(process)
        raise Failed(f"{what} does not end on SIGTERM\n{end_of(log)}")


def end_of(log, limit=4000):
    return log.read_text(errors="replace")[-limit:]


def wait_until(condition, what, process=None, log=None):
    """Waits for condition() to become true (while the process lives, if one is given); returns what
    it returned."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        if process and process.poll() is not None:
            raise Failed(f"{what}: ended with status {process.returncode}\n{end_of(log)}")
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {PATIENCE_S} s\n{end_of(log) if log else ''}")
        time.sleep(0.05)


def scratch():
    """A directory of this process under run/, gone with it; what a killed one left goes, too."""
    home = TOP / "run"
    home.mkdir(exist_ok=True)
    for left in home.glob("cases-*"):
        pid = left.name.split("-")[1]
        if pid.isdigit() and not pathlib.Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"cases-{os.getpid()}-", dir=home))
    if not os.environ.get("PST_KEEP"):
        atexit.register(shutil.rmtree, path, True)
    return path


CASES = []
AFTER_CASE = []  # called after each case, however it ended


def case(function):
    """Marks a test case. It takes what the program's prepare() returned; it may return a line of
    text that tells what was done."""
    CASES.append(function)
    return function


def chosen():
    return [c for c in CASES if not sys.argv[1:] or c.__name__ in sys.argv[1:]]


def main(prepare):
    """Runs the cases (all, or those named on the command line); skips all if prepare() does."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    prepared, verdict = [], None
    try:
        prepared.append(prepare())
    except Skipped as skip:
        verdict = ("skip", str(skip))
    except Exception as error:
        verdict = ("not ok", told(error))
    failed = 0
    for function in chosen():
        word, why = verdict or attempt(function, prepared[0])
        failed += word == "not ok"
        print(f"{word} {function.__name__}" + (f": {why}" if why else ""), flush=True)
    return 1 if failed else 0


def attempt(function, prepared):
    try:
        said = function(prepared)
    except Skipped as skip:
        return "skip", str(skip)
    except Exception as error:
        return "not ok", told(error)
    finally:
        for clean in AFTER_CASE:
            clean()
    return "ok", said


def told(error):
    """First line of a failure; the rest is printed, in front of the verdict."""
    if not isinstance(error, Failed):
        traceback.print_exception(error, file=sys.stdout)
    first, *rest = str(error).splitlines() or [type(error).__name__]
    print("\n".join(rest))
    return first
