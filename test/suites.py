"""The test runner behind scripts/test: builds what the chosen suites need, runs them, counts.

A suite that is made of programs runs every executable file of its directory. Such a program
prints one line per test case and nothing else on standard output that begins like one:

    ok NAME, or ok NAME: what was done
    not ok NAME: why
    skip NAME: why

It finds in its environment: PST_TOP (the checkout), PST_BUILD (a build directory with the
programs), PST_FULL (1 with --full, else 0) and PST_SEED.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
RUN = TOP / "run"
CPUS = os.cpu_count() or 2
JOBS = str(CPUS)
TAIL_LINES = 60
PLANTED_SAMPLE = 6  # of a run at CI size

# Build directories: name -> (compiler, meson options).
BUILDS = {
    # The same as scripts/run's: what users get.
    "build": ("gcc", []),
    # Sanitized code makes gcc warn of what cannot happen; "build" has its warnings as errors. Less
    # optimized it is compiled in half of the time.
    "build-asan": (
        "gcc",
        ["-Db_sanitize=address,undefined", "-Dwerror=false", "-Doptimization=1"],
    ),
    "build-fuzz": (
        "clang",
        ["-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false"],
    ),
}

SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=0:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}
# Leaks of Criterion's programs are judged by product_leaks(), not by their exit status.
UNIT_ENV = {**SANITIZER_ENV, "LSAN_OPTIONS": "exitcode=0"}


class Count:
    """What was run. Each case is printed when it is worth a line, and counted in any case."""

    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def ok(self, number=1):
        self.passed += number

    def fail(self, name, why, log=""):
        self.failed.append(name)
        print(f"  FAILED {name}: {why}", flush=True)
        # Of a sanitizer's report the first lines tell, of other logs the last.
        report = re.search(r"^.*ERROR: (Address|Undefined)\w*Sanitizer", log, re.MULTILINE)
        lines = log[report.start() :].splitlines()[:TAIL_LINES] if report else log.splitlines()
        for line in lines[-TAIL_LINES:]:
            print("    | " + line)

    def skip(self, name, why):
        self.skipped.append((name, why))


class Context:
    def __init__(self, args):
        self.full = args.full
        self.seed = args.seed
        self.chosen = args.suite
        self.count = Count()
        self.built = {}

    def build(self, name):
        """Builds a directory once; returns its path, or None after having counted a failure."""
        if name not in self.built:
            self.built[name] = self._build(name)
        return self.built[name]

    def _build(self, name):
        compiler, options = BUILDS[name]
        path = RUN / name
        log = RUN / "log" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with open(log, "w") as out:
            rc = 0
            # Made anew when the options above have changed since.
            wanted = " ".join([compiler] + options)
            stamp = path / "made-with"
            made = (path / "build.ninja").exists()
            if made and name != "build" and not (stamp.exists() and stamp.read_text() == wanted):
                made = False
            if not made:
                shutil.rmtree(path, ignore_errors=True)
                rc = subprocess.call(
                    ["meson", "setup", str(path), str(TOP)] + options,
                    stdout=out,
                    stderr=out,
                    env={**os.environ, "CC": compiler},
                )
                if rc == 0:
                    stamp.write_text(wanted)
            if rc == 0:
                rc = subprocess.call(
                    ["ninja", "-C", str(path), "-j", JOBS], stdout=out, stderr=out
                )
        text = log.read_text(errors="replace")
        if rc != 0:
            at = text.find("FAILED: ")
            text = text[at:] if at >= 0 else text
            self.count.fail(f"build {name} ({compiler})", f"exit {rc}, see {log}", text)
            return None
        print(f"  built run/{name} with {compiler} in {time.monotonic() - started:.0f} s")
        return path

    def environment(self, build):
        return {
            **os.environ,
            "PST_TOP": str(TOP),
            "PST_BUILD": str(build),
            "PST_FULL": "1" if self.full else "0",
            "PST_SEED": str(self.seed),
        }


def criterion_counts(log):
    """(tested, [(name, why skipped)]) of Criterion's own report, or None if it is not one."""
    found = re.findall(r"Synthesis: .*?Tested: .*?(\d+).*? \| Passing: .*?(\d+)", plain(log))
    if not found:
        return None
    skipped = re.findall(r"\[SKIP\] (\S+?): (.*)", plain(log))
    return sum(int(tested) for tested, _ in found), sum(int(p) for _, p in found), skipped


def plain(log):
    return re.sub(r"\x1b\[[0-9;]*m", "", log)


def of_interest(log):
    return "\n".join(
        line for line in plain(log).splitlines() if not re.match(r"\[(RUN |PASS)\]", line)
    )


def sanitizer_reports(log):
    return re.findall(r"ERROR: (?:Address|Undefined)\w*Sanitizer: .*|runtime error: .*", log)


def product_leaks(log):
    """Leaks of memory that our code allocated. What a test allocates itself, or Criterion, may
    end with the test's process."""
    leaks = []
    for size, stack in re.findall(r"Direct leak of (\d+) .*\n((?:    #\d+ .*\n)+)", plain(log)):
        ours = re.findall(r" in (\w+) \S*\.\./((?:lib|app)/\S+)", stack)
        if ours and not ours[0][1].split("/")[-1].startswith(("test_", "fake")):
            leaks.append(f"{size} bytes leaked by {ours[0][0]} ({ours[0][1]})")
    return leaks


def count_meson(count, test):
    """Counts one line of testlog.json. Criterion's programs count with each of their tests."""
    name = test["name"].split(" / ")[-1]
    log = (test.get("stdout") or "") + (test.get("stderr") or "")
    result = test["result"]
    cases = criterion_counts(log)
    if result == "OK":
        # Criterion looks at what a test says, not at how its process ends.
        why = sanitizer_reports(log) or product_leaks(log)
        if why:
            count.fail(name, why[0], of_interest(log))
            return
    if result == "SKIP":
        lines = log.strip().splitlines()
        count.skip(name, lines[-1] if lines else "does not say why")
        return
    if result not in ("OK", "EXPECTEDFAIL"):
        if cases:
            count.ok(cases[1])
        bad = cases[0] - cases[1] if cases else 0
        count.fail(name, f"{result}, {bad} of {cases[0]} cases" if bad else result, of_interest(log))
        for _ in range(bad - 1):
            count.failed.append(name)
        return
    if cases is None:
        count.ok()
        return
    tested, passing, skipped = cases
    count.ok(passing)
    for case, why in skipped:
        count.skip(f"{name} {case}", why)


def run_meson(ctx, build, suite, environment, timeout=4):
    path = ctx.build(build)
    if path is None:
        return
    listing = json.loads(
        subprocess.check_output(["meson", "introspect", "--tests", str(path)], text=True)
    )
    names = [t["name"] for t in listing if any(s.split(":")[-1] == suite for s in t["suite"])]
    if not names:
        ctx.count.skip(suite, f"no test of this suite in run/{build}")
        return
    results = path / "meson-logs" / "testlog.json"
    results.unlink(missing_ok=True)
    # With DPDK in the programs one at a time: they share hugepages and runtime directories.
    jobs = "1" if suite == "port" else JOBS
    out = subprocess.run(
        ["meson", "test", "-C", str(path), "--no-rebuild", "--suite", suite]
        + ["--num-processes", jobs, "--timeout-multiplier", str(timeout)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # With verbosity 1 Criterion names the tests that skip themselves.
        env={**ctx.environment(path), **environment, "CRITERION_VERBOSITY_LEVEL": "1"},
    )
    ran = set()
    if results.exists():
        for line in results.read_text(errors="replace").splitlines():
            test = json.loads(line)
            ran.add(test["name"])
            count_meson(ctx.count, test)
    for name in names:
        if not any(r.split(" / ")[-1] == name for r in ran):
            ctx.count.fail(name, "did not run", out.stdout)


def suite_unit(ctx):
    """unit tests of every library with ASan and UBSan; gcc and clang have nothing to warn of"""
    run_meson(ctx, "build-asan", "unit", UNIT_ENV)
    for compiler in ("build", "build-fuzz"):
        if ctx.build(compiler):
            ctx.count.ok()


def suite_fuzz(ctx):
    """fuzz targets: corpus replay under ASan and UBSan, then libFuzzer for a while"""
    run_meson(ctx, "build-asan", "fuzz", SANITIZER_ENV)
    path = ctx.build("build-fuzz")
    if path is None:
        return
    tests = json.loads(
        subprocess.check_output(["meson", "introspect", "--tests", str(path)], text=True)
    )
    targets = [t for t in tests if any(s.split(":")[-1] == "fuzz" for s in t["suite"])]
    seconds = 600 if ctx.full else 10
    # Each has a CPU to itself: what it gets through in its time is what it would alone.
    with concurrent.futures.ThreadPoolExecutor(CPUS) as side_by_side:
        runs = side_by_side.map(lambda target: fuzz_target(ctx, target, seconds), targets)
        for target, done in zip(targets, runs):
            if done.returncode == 0:
                ctx.count.ok()
            else:
                ctx.count.fail(
                    f"{target['name']} for {seconds} s", f"exit {done.returncode}", done.stdout
                )


def fuzz_target(ctx, test, seconds):
    name, program = test["name"], test["cmd"][0]
    seeds = [a for a in test["cmd"][1:] if not a.startswith("-")]
    # New inputs are found into a corpus of this checkout's; the kept one stays as it is.
    found = RUN / "fuzz" / name
    found.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [program, f"-max_total_time={seconds}", f"-seed={ctx.seed & 0xFFFFFFFF or 1}"]
        + ["-rss_limit_mb=2048", "-timeout=10", f"-artifact_prefix={found}/"]
        + [str(found)]
        + seeds,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=found,
        env={**os.environ, **SANITIZER_ENV},
    )


def suite_port(ctx):
    """ports, steering and kernel sockets against real devices, as far as this machine lets us"""
    run_meson(ctx, "build", "port", {})


def is_program(path):
    return path.is_file() and os.access(path, os.X_OK)


def run_programs(ctx, suite):
    directory = TOP / "test" / suite
    programs = [p for p in sorted(directory.glob("*")) if is_program(p)]
    if ctx.chosen and suite not in ctx.chosen:
        programs = [p for p in programs if f"{suite}/{p.name}" in ctx.chosen]
    if not programs:
        ctx.count.skip(suite, f"test/{suite} holds no program")
        return
    path = ctx.build("build")
    if path is None:
        return
    for program in programs:
        run_program(ctx, [str(program)], f"{suite}/{program.name}", ctx.environment(path))


def run_program(ctx, command, title, environment):
    log = RUN / "log" / (title.replace("/", "-") + ".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    count, said, bad, since = ctx.count, 0, 0, []
    started = time.monotonic()
    with open(log, "w") as kept:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env=environment,
        )
        for line in process.stdout:
            kept.write(line)
            case = re.match(r"(ok|not ok|skip) ([^:]+)(?:: (.*))?$", line.rstrip("\n"))
            if not case:
                since.append(line)
                continue
            said += 1
            verdict, name, why = case.groups()
            name = f"{title} {name}"
            if verdict == "ok":
                count.ok()
                if why:
                    print(f"  {name}: {why}", flush=True)
            elif verdict == "skip":
                count.skip(name, why or "does not say why")
            else:
                bad += 1
                count.fail(name, why or "does not say why", "".join(since))
            since = []
        rc = process.wait()
    if rc != 0 and bad == 0:
        count.fail(title, f"exit {rc}", "".join(since))
    elif said == 0:
        count.fail(title, "ran no test case", "".join(since))
    print(f"  {title}: {said} cases in {time.monotonic() - started:.0f} s", flush=True)


def suite_smoke(ctx):
    """the appliance on veth between namespaces: real senders, every event compared"""
    run_programs(ctx, "smoke")


def suite_interop(ctx):
    """programs that others wrote read what ours wrote: Kafka, tshark"""
    run_programs(ctx, "interop")


def suite_crash(ctx):
    """killed, powered off and out of space in mid-write: what was acknowledged is there once"""
    run_programs(ctx, "crash")


def suite_faults(ctx):
    """starved, stalled and full: only named losses, and it recovers by itself"""
    run_programs(ctx, "faults")


def suite_soak(ctx):
    """steady traffic with random kills: books balance all the time, memory and files stay flat"""
    run_programs(ctx, "soak")


def suite_planted(ctx):
    """bugs put in on purpose: each turns a named test red (some; all when named, or with --full)"""
    os.environ.pop("PST_SAMPLE", None)
    if not ctx.full and not ctx.chosen:
        os.environ["PST_SAMPLE"] = str(PLANTED_SAMPLE)
        print(f"  {PLANTED_SAMPLE} of them, chosen by the seed; scripts/test planted takes all")
    run_programs(ctx, "planted")


def suite_perf(ctx):
    """the benches run and agree with themselves (no figure is judged); their judging is tested"""
    path = ctx.build("build")
    if path is None:
        return
    for command in (["test_harness"], ["run", "--smoke"]):
        program = TOP / "perf" / command[0]
        run_program(
            ctx, [str(program), *command[1:]], f"perf/{command[0]}", ctx.environment(path)
        )


def tracked(pattern):
    out = subprocess.check_output(["git", "-C", str(TOP), "ls-files", "-z", "--"] + pattern)
    names = [TOP / n for n in out.decode().split("\0") if n]
    return [n for n in names if n.is_file()]


def first_line(path):
    with open(path, "rb") as f:
        return f.readline()


def suite_lint(ctx):
    """format, shell and Python syntax, no unfinished work, no dead paths in documents"""
    count = ctx.count
    if not (TOP / ".git").exists():
        count.skip("lint", "this is not a git checkout: its files cannot be told from others")
        return
    lint_format(count)
    for path in tracked([]):
        name = str(path.relative_to(TOP))
        opening = first_line(path)
        if opening.startswith(b"#!") and b"sh" in opening.split(b"/")[-1]:
            shell = "bash" if b"bash" in opening else "sh"
            done = subprocess.run([shell, "-n", path], stderr=subprocess.PIPE, text=True)
            count.fail(f"syntax {name}", "shell", done.stderr) if done.returncode else count.ok()
        elif path.suffix == ".py" or (opening.startswith(b"#!") and b"python" in opening):
            try:
                compile(path.read_text(), name, "exec")
                count.ok()
            except SyntaxError as error:
                count.fail(f"syntax {name}", str(error))
    lint_words(count)
    lint_paths(count)
    lint_metrics(count)


def lint_format(count):
    sources = tracked(["*.c", "*.h"])
    # One process for them all: most of its time is its start.
    done = subprocess.run(
        ["clang-format", "--dry-run", "-Werror", *sources], stderr=subprocess.PIPE, text=True
    )
    wrong = set(re.findall(r"^(.+?):\d+:\d+: error: ", done.stderr, re.MULTILINE))
    if done.returncode and not wrong:
        count.fail("format", f"clang-format: exit {done.returncode}", done.stderr)
    for source in sources:
        if str(source) in wrong:
            count.fail(f"format {source.relative_to(TOP)}", "run clang-format -i on it")
        else:
            count.ok()


def lint_metrics(count):
    """docs/metrics.md and the tables of lib/metrics name the same metrics, each once."""
    told = re.findall(r"^\| `(penstock_\w+)`", (TOP / "docs/metrics.md").read_text(), re.MULTILINE)
    made = []
    for path in tracked(["lib/metrics/*.c"]):
        if not path.name.startswith("test_"):
            made += re.findall(r'"(penstock_\w+)"', path.read_text())
    for name in sorted(set(told) | set(made)):
        if told.count(name) == 1 and made.count(name) == 1:
            count.ok()
        else:
            count.fail(
                f"metric {name}",
                f"{told.count(name)} times in docs/metrics.md, {made.count(name)} in lib/metrics",
            )


def lint_words(count):
    words = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
    found = []
    for path in tracked(["*.c", "*.h", "*.py", "*.md", "*.build", "*.yaml", "scripts", "test"]):
        if "corpus" in path.parts:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if words.search(line):
                found.append(f"{path.relative_to(TOP)}:{number}: {line.strip()}")
    if found:
        count.fail("unfinished work", f"{len(found)} marks", "\n".join(found))
    else:
        count.ok()


def lint_paths(count):
    dead = []
    areas = r"`((?:app|lib|scripts|test|perf|docs|drivers-config)/[\w./-]+)`"
    for path in tracked(["*.md"]):
        for name in sorted(set(re.findall(areas, path.read_text(errors="replace")))):
            if not (TOP / name.rstrip("./")).exists():
                dead.append(f"{path.relative_to(TOP)}: {name}")
    if dead:
        count.fail("paths in documents", f"{len(dead)} do not exist", "\n".join(dead))
    else:
        count.ok()


SUITES = {
    "lint": suite_lint,
    "unit": suite_unit,
    "fuzz": suite_fuzz,
    "port": suite_port,
    "smoke": suite_smoke,
    "interop": suite_interop,
    "crash": suite_crash,
    "faults": suite_faults,
    "soak": suite_soak,
    "planted": suite_planted,
    "perf": suite_perf,
}

def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/test",
        description="Installs what is missing, builds, and runs the tests. All suites at CI "
        "size, unless some are named, or programs of them, as in crash/kill. Ends with a line "
        "'N passed, N failed, N skipped'; exit status 0 if something passed and nothing failed.",
    )
    parser.add_argument("suite", nargs="*", metavar="SUITE", help="see --list")
    parser.add_argument("--list", action="store_true", help="name the suites")
    parser.add_argument("--full", action="store_true", help="at full size: hours, not minutes")
    parser.add_argument("--seed", type=int, help="of what is random (default: a new one)")
    args = parser.parse_args()
    for suite in args.suite:
        name, slash, program = suite.partition("/")
        if name not in SUITES:
            parser.error(f"{suite}: no such suite; there are {' '.join(SUITES)}")
        if slash and not is_program(TOP / "test" / name / program):
            parser.error(f"{suite}: no such program in test/{name}")
    if args.seed is None:
        args.seed = random.randrange(1, 1 << 31)
    return args


def main():
    args = arguments()
    if args.list:
        for name, run in SUITES.items():
            print(f"{name:8} {run.__doc__}")
        return 0
    ctx = Context(args)
    count = ctx.count
    print(f"seed {args.seed}", flush=True)
    for name, run in SUITES.items():
        if args.suite and name not in (suite.partition("/")[0] for suite in args.suite):
            continue
        before = (count.passed, len(count.failed), len(count.skipped))
        started = time.monotonic()
        print(f"{name}: {run.__doc__}", flush=True)
        run(ctx)
        print(
            f"  {count.passed - before[0]} passed, {len(count.failed) - before[1]} failed, "
            f"{len(count.skipped) - before[2]} skipped in {time.monotonic() - started:.0f} s",
            flush=True,
        )
    for name, why in count.skipped:
        print(f"skipped {name}: {why}")
    for name in count.failed:
        print(f"failed {name}")
    print(f"{count.passed} passed, {len(count.failed)} failed, {len(count.skipped)} skipped")
    return 1 if count.failed or count.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
