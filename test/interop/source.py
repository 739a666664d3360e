"""Segments to show to others: made by the real daemon from pcap files of penstock-load.

Three runs on one data directory. The first has few large batches of many LZ4 blocks; the second,
which continues the same segments, many small ones: some are passed over by the index rule. It
is killed and its indexes are spoilt, so that the third goes on with what recovery makes of them.
"""

import collections
import json
import os
import random
import re
import struct

from cases import *

SENDER, RECEIVER = "10.9.9.8", "10.9.9.9"
# Stream -> (port, framing).
STREAMS = {
    "lines": (9000, "lines"),
    "noise": (9001, "datagram"),
    "sizes": (9002, "datagram"),
    "feed": (26400, "mold64"),
}
QUARANTINE, LEDGER = "penstock.quarantine", "penstock.ledger"
TOPICS = list(STREAMS) + [QUARANTINE, LEDGER]
EVENT_MAX = 60000
SMALL_BATCH = 60

PROFILE = """\
name: interop
data: {{dir: {dir}/data}}
cores: {{main: {first_cpu}, rx: [{last_cpu}], writers: [{first_cpu}]}}
memory: {{no-huge: true, size: 512M}}
ports:
  - {{name: file, vdev: "net_pcap0,rx_pcap={pcap}"}}
streams:
  - {{name: lines, segment-bytes: 1M, headers: [rules]}}
  - {{name: noise, segment-bytes: 1M}}
  - {{name: sizes, segment-bytes: 1M, headers: [ts-ns]}}
  - {{name: feed, segment-bytes: 1M, headers: [ts-ns, rules]}}
listeners:
{listeners}
rules: {{file: {dir}/rules.yaml}}
sessions: {{gaps: 4096}}
batch: {{bytes: 1M, records: {records}, age: 100ms, buffers: 256}}
quarantine: {{rate: 1M}}
telemetry: {{prefix: {prefix}}}
metrics: {{port: 0}}
"""

RULES = """\
rules:
  - {id: 7, name: even, pattern: 'seq=\\d*[02468] ', action: keep}
  - {id: 70000, name: hundreds, pattern: 'seq=\\d*00 ', action: keep}
  - {id: 4000000000, name: suspect, pattern: 'seq=\\d*5000 ', action: quarantine, priority: 1}
"""


class Sent:
    """What one run of the daemon was given. An event is (key, headers, value)."""

    serial = 0

    def __init__(self, directory):
        self.dir = directory
        self.reports = []
        self.events = collections.defaultdict(list)
        self.suspects = []
        self.files = []

    def load(self, stream, *arguments):
        port, framing = STREAMS[stream]
        pcap = self.new_pcap()
        record = self.dir / "record"
        out = run(
            [LOAD, "--json", "--pcap", pcap, "--record", record, "--framing", framing]
            + ["--to", f"{RECEIVER}:{port}", "--from", f"{SENDER}:40000"]
            + list(arguments)
        )
        self.reports.append(json.loads(out))
        session = "PENSTOCK" if framing == "mold64" else None
        for value in record.read_bytes().split(b"\n")[:-1]:
            self.add(stream, value, session)

    def new_pcap(self):
        Sent.serial += 1
        self.files.append(self.dir / f"{Sent.serial}.pcap")
        return self.files[-1]

    def add(self, stream, value, session=None, seq=None):
        """Books an event as the daemon should hold it."""
        number = re.match(rb"seq=(\d+) ", value)
        number = int(number.group(1)) if number else None
        headers, rules = {}, []
        if session:
            headers["seq"] = seq if seq is not None else number
        if number is not None:
            every = ((7, 2), (70000, 100))
            rules = [rule for rule, n in every if number % n == 0]
        if number is not None and number % 10000 == 5000:
            self.suspects.append(value)
            return
        if rules and stream in ("lines", "feed"):
            headers["rules"] = rules
        self.events[stream].append(((session or SENDER).encode("latin-1"), headers, value))

    def add_empty_messages(self):
        """A session of its own, mostly of messages without a byte: penstock-load makes none."""
        frames, seq = [], 1
        for count in (1, 3, 2, 500, 1):
            payload = b"EMPTY \0\xff  " + struct.pack(">QH", seq, count)
            for i in range(count):
                message = b"" if i % 3 else b"\0\x7f"
                payload += struct.pack(">H", len(message)) + message
                self.add("feed", message, "EMPTY \0\xff", seq + i)
            frames.append(udp_frame(STREAMS["feed"][0], payload))
            seq += count
        path = self.new_pcap()
        head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
        packets = (struct.pack("<IIII", 1, n, len(f), len(f)) + f for n, f in enumerate(frames))
        path.write_bytes(head + b"".join(packets))
        self.reports.append({"frames": {"sent": len(frames), "rejected": {}}})

    def merged(self):
        """One pcap in which the files' packets lie between each other."""
        packets, head = [], None
        for path in self.files:
            data = path.read_bytes()
            head, at, own = data[:24], 24, []
            while at < len(data):
                (length,) = struct.unpack_from("<I", data, at + 8)
                own.append(data[at : at + 16 + length])
                at += 16 + length
            packets += [((n + 0.5) / len(own), p) for n, p in enumerate(own)]
        packets.sort(key=lambda pair: pair[0])
        path = self.dir / "merged.pcap"
        path.write_bytes(head + b"".join(p for _, p in packets))
        return path, len(packets)

    def rejected(self):
        sums = collections.Counter()
        for report in self.reports:
            sums.update(report["frames"]["rejected"])
        return sums


def udp_frame(port, payload):
    """Ethernet, IPv4, UDP without a checksum."""
    addresses = [bytes(map(int, text.split("."))) for text in (SENDER, RECEIVER)]
    length = 28 + len(payload)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, 1, 0, 64, 17, 0, *addresses)
    total = sum(struct.unpack(">10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack(">H", 0xFFFF ^ total) + ip[12:]
    ethernet = bytes.fromhex("020000000002 020000000001 0800")
    return ethernet + ip + struct.pack(">HHHH", 40000, port, 8 + len(payload), 0) + payload


def noise_lines(directory, count, size):
    """Lines that nothing compresses."""
    source = random.Random(1)
    # LF ends a line; here it becomes another byte.
    swap = bytes.maketrans(b"\n", b"\0")
    path = directory / "noise.lines"
    with open(path, "wb") as out:
        for _ in range(count):
            out.write(source.randbytes(size).translate(swap) + b"\n")
    return path


def sizes_lines(directory):
    """Text of many sizes and scripts, from one byte to 60,000."""
    path = directory / "sizes.lines"
    text = "naïve ΣΩ 流水 🌊 \u2028 \"quoted\\\" tab\t bell\a ".encode() * 2000
    sizes = [1, 2, 3, 63, 64, 65, 127, 128, 8191, 8192, 8193, 16383, 16384, EVENT_MAX]
    with open(path, "wb") as out:
        for n in range(300):
            # A cut may fall into a character: then the value is not UTF-8.
            out.write(text[: sizes[n % len(sizes)] if n % 2 else n + 1] + b"\n")
    return path


def first_input(directory):
    sent = Sent(directory)
    scale = 4 if FULL else 1
    sent.load("lines", "--count", 300000 * scale, "--size", "126", "--events-per-frame", "20")
    sent.load("noise", "--lines", noise_lines(directory, 3000 * scale, 1000))
    sent.load("sizes", "--lines", sizes_lines(directory), "--count", "300")
    sent.load(
        *("feed", "--count", 60000 * scale, "--gap", "97", "--duplicate", "31", "--reorder", "17"),
        *("--malformed", "13", "--heartbeat=50", "--end-of-session"),
    )
    sent.add_empty_messages()
    return sent


def second_input(directory):
    """Batches of SMALL_BATCH events; no more of them than there are buffers, so that a writer that
    gets no CPU for a while costs no event."""
    sent = Sent(directory)
    sent.load("lines", "--count", "10k", "--first-seq", "1001", "--size", "200")
    sent.load("noise", "--lines", directory / "noise.lines", "--count", "200")
    sent.load("sizes", "--lines", directory / "sizes.lines", "--count", "100")
    sent.load("feed", "--count", "1k", "--first-seq", "7000001", "--malformed", "20")
    return sent


def third_input(directory):
    sent = Sent(directory)
    sent.load("lines", "--count", "1k", "--first-seq", "900001", "--size", "200")
    sent.load("sizes", "--lines", directory / "sizes.lines", "--count", "30")
    sent.load("feed", "--count", "300", "--first-seq", "8000001", "--malformed", "3")
    return sent


def feed(directory, sent, records, prefix, killed=False):
    """One run of the daemon, from start until all is durable; then it is stopped or killed."""
    pcap, frame_cnt = sent.merged()
    listeners = "".join(
        f"  - {{name: {name}, addresses: [{RECEIVER}], port: {port}, framing: {framing}, "
        f"stream: {name}}}\n"
        for name, (port, framing) in STREAMS.items()
    )
    cpus = sorted(os.sched_getaffinity(0))
    profile = directory / "profile.yaml"
    values = dict(dir=directory, pcap=pcap, records=records, prefix=prefix, listeners=listeners)
    profile.write_text(PROFILE.format(first_cpu=cpus[0], last_cpu=cpus[-1], **values))
    (directory / "rules.yaml").write_text(RULES)
    log = directory / "penstockd.log"
    daemon = start([PENSTOCKD, "--profile", profile], log)
    try:
        books = wait_until(lambda: settled(prefix, frame_cnt), "penstockd", daemon, log)
        code = 0 if killed else stop(daemon, "penstockd", log)
    finally:
        end(daemon)
        shutil.rmtree(f"/var/run/dpdk/{prefix}", ignore_errors=True)
    check(code == 0, f"exit status of penstockd: {code}\n{end_of(log)}")
    check_books(books, sent, frame_cnt)


def settled(prefix, frame_cnt):
    """The books, once all frames were taken and their events came to rest."""
    try:
        books = json.loads(run([PENSTOCK, "status", "--json", "--prefix", prefix]))
    except Failed:
        return None  # not up yet
    resting = books["frames"]["polled"] >= frame_cnt and books["events"]["in_flight"] == 0
    return books if resting else None


def check_books(books, sent, frame_cnt):
    """Nothing was shed: else what is compared later would not be all."""
    frames, events = books["frames"], books["events"]
    check_equal(frames["polled"], frame_cnt, "frames polled")
    rejected = {k: n for k, n in frames["rejected"].items() if n}
    check_equal(rejected, dict(sent.rejected()), "frames rejected")
    check_equal(sum(events["shed"].values()), 0, "events shed")
    stored = sum(len(e) for e in sent.events.values())
    check_equal(events["stored"], stored, "events stored")
    check_equal(events["quarantined"], len(sent.suspects), "events quarantined")


def spoil_indexes(directory):
    """Of each partition one is lost and one is shorter than it was."""
    for topic in TOPICS:
        place = directory / "data" / f"{topic}-0"
        min(place.glob("*.index")).unlink()
        last = max(place.glob("*.timeindex"))
        os.truncate(last, max(0, last.stat().st_size - 5))


def make(directory):
    """Returns what all of the log must hold: topic -> [(key, headers, value)] as far as known."""
    prefix = f"pst-interop-{os.getpid()}"
    directory.mkdir()
    runs = [first_input(directory), second_input(directory), third_input(directory)]
    feed(directory, runs[0], 65536, prefix)
    feed(directory, runs[1], SMALL_BATCH, prefix, killed=True)
    spoil_indexes(directory)
    feed(directory, runs[2], SMALL_BATCH, prefix)
    for path in directory.glob("*.pcap"):
        path.unlink()
    expected = {topic: sum((sent.events[topic] for sent in runs), []) for topic in STREAMS}
    suspects = sum((sent.suspects for sent in runs), [])
    return expected, suspects, sum((sent.rejected() for sent in runs), collections.Counter())
