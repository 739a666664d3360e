"""Kafka's DumpLogSegments on copies of our segments.

It ends with status 0 whatever it finds, so every line that it prints is judged, and any line on
stderr is a finding. It creates indexes that are missing: it is shown copies alone.
"""

import re

import jars
from cases import *
from records import Printed

BATCH = re.compile(
    rb"baseOffset: (\d+) lastOffset: (\d+) count: (\d+) baseSequence: -1 lastSequence: -1 "
    rb"producerId: -1 producerEpoch: -1 partitionLeaderEpoch: (-?\d+) isTransactional: false "
    rb"isControl: false deleteHorizonMs: OptionalLong.empty position: (\d+) CreateTime: (\d+) "
    rb"size: (\d+) magic: 2 compresscodec: lz4 crc: \d+ isvalid: true"
)
INDEX = re.compile(rb"offset: (\d+) position: (\d+)")
# Kafka's index.interval.bytes.
INDEX_INTERVAL_BYTES = 4096
TIME_INDEX = re.compile(rb"timestamp: (\d+) offset: (\d+)")


def dump(files, *options):
    """Runs it over files; returns what it prints."""
    names = ",".join(str(f) for f in files)
    command = jars.java("kafka.tools.DumpLogSegments", *options, "--files", names)
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, timeout=PATIENCE_S)
    findings = done.stderr.decode(errors="replace")
    check(not findings, f"DumpLogSegments says {findings}")
    check_equal(done.returncode, 0, "exit status of DumpLogSegments")
    return done.stdout


def in_order(directory):
    """Kafka's files of a partition directory, each log behind its indexes; seals are ours."""
    order = {".index": 0, ".timeindex": 1, ".log": 2}
    files = [p for p in directory.iterdir() if p.suffix != ".seal"]
    return sorted(files, key=lambda p: (p.stem, order[p.suffix]))


class Segment:
    """What was printed of a segment."""

    def __init__(self):
        self.batches = []  # (position, last offset, largest timestamp)
        self.index, self.time_index = [], []

    def check(self, base):
        """The entries are those that the rule makes of the batches, no more and no less."""
        index, times, best, indexed_at = [], [], (-1, base), 0
        for position, last, newest in self.batches:
            best = max(best, (newest, last), key=lambda pair: pair[0])
            if position - indexed_at > INDEX_INTERVAL_BYTES:
                index.append((last, position))
                indexed_at = position
                self.note(times, best)
        self.note(times, best)
        check_same(self.index, index, f"index entries of segment {base}")
        check_same(self.time_index, times, f"time entries of segment {base}")

    @staticmethod
    def note(times, best):
        if best[0] > (times[-1][0] if times else -1):
            times.append(best)


def print_of(directory):
    text = dump(in_order(directory), "--deep-iteration", "--print-data-log")
    return one_for_all(text)


def check_partition(directory, records):
    """Every record, batch and index entry of a copied partition directory."""
    return check_print(print_of(directory), directory, records)


def check_print(text, directory, records):
    out = Printed(text, "dump")
    segments, waiting, path = {}, iter(records), None
    while (line := out.line()) is not None:
        if line.startswith(b"Dumping "):
            path = pathlib.Path(line.removeprefix(b"Dumping ").decode())
            segment = segments.setdefault(int(path.stem), Segment())
            position = 0
        elif line == f"{path} is empty.".encode():
            check_equal(path.stat().st_size, 0, f"bytes of {path.name}")
        elif path.suffix == ".log" and line.startswith(b"Log starting offset: "):
            check_equal(int(line.split()[-1]), int(path.stem), f"{path.name}: starting offset")
        elif path.suffix == ".log":
            position = check_batch(out, line, path, position, waiting, segment)
            size = path.stat().st_size
            check(position <= size, f"{path.name}: a batch ends at {position} of {size}")
        else:
            pattern, kept = entries_of(path, segment)
            entry = pattern.fullmatch(line)
            check(entry, f"{path.name}: {line}")
            kept.append(tuple(map(int, entry.groups())))
    check(next(waiting, None) is None, f"dump: not all of {len(records)} records")
    logs = [p for p in directory.iterdir() if p.suffix == ".log"]
    check_equal(len(segments), len(logs), "segments dumped")
    for base, segment in segments.items():
        segment.check(base)
    return segments


def entries_of(path, segment):
    return (INDEX, segment.index) if path.suffix == ".index" else (TIME_INDEX, segment.time_index)


def check_batch(out, line, path, position, waiting, segment):
    """One batch's line and its records; returns where the next batch must begin."""
    batch = BATCH.fullmatch(line)
    check(batch, f"{path.name}: {line.decode(errors='replace')}")
    first, last, count, epoch, at, newest, size = map(int, batch.groups())
    where = f"{path.name}, batch {first}"
    check_equal(at, position, f"{where}: position")
    check_equal(last, first + count - 1, f"{where}: last offset")
    check_equal(epoch, 0, f"{where}: leader epoch")
    held = []
    for _ in range(count):
        record = next(waiting, None)
        check(record is not None, f"{where}: more records than the log has")
        out.expect(dumped(record), record)
        held.append(record)
    check_equal(held[0].offset, first, f"{where}: first record")
    check_equal(newest, max(r.timestamp for r in held), f"{where}: largest timestamp")
    segment.batches.append((at, last, newest))
    return position + size


def dumped(record):
    """How it prints a record. It decodes keys and values as UTF-8; what is none, it shows only in
    part, and who prints bytes must show the rest."""
    names = ",".join(name for name, _ in record.headers)
    key_size = -1 if record.key is None else len(record.key)
    line = f"| offset: {record.offset} CreateTime: {record.timestamp} keySize: {key_size} "
    line += f"valueSize: {len(record.value)} sequence: -1 headerKeys: [{names}]"
    if record.key is not None:
        line += " key: " + record.key.decode(errors="replace")
    line += " payload: " + record.value.decode(errors="replace") + "\n"
    return one_for_all(line.encode())


def one_for_all(text):
    """Java and Python differ in how many replacements stand for bytes that are not UTF-8."""
    return re.sub(b"(?:\xef\xbf\xbd)+", b"\xef\xbf\xbd", text)
