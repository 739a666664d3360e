"""The pull source (perf/replay.c), what it costs, and its log lines with the profile that reads them.

The source hands out a frame whenever it is asked: a figure made with it is one of capacity, and
says nothing about loss at a rate.
"""

import contextlib
import pathlib

from harness import *

MEMORY_MIB = 768
EVENTS, EVENT_BYTES, EVENTS_PER_FRAME = 20_000, 126, 10
PCAP = WORK / "events.pcap"

# Lines of the kind that hosts send; each event is one of them with its number, cut or padded.
LINES = (
    "<38>Nov 21 10:04:11 gate-{seq} sshd[2417]: Failed password for invalid user oracle from 198.51.100.{seq} port 52114 ssh2 {t}",
    "<86>Nov 21 10:04:12 db-07 sshd[{seq}]: pam_unix(sshd:session): session opened for user root by (uid=0) tty=ssh {t}",
    "<134>Nov 21 10:04:12 web-{seq} nginx: 203.0.113.9 GET /api/v2/orders/{seq} 200 {t} 0.012 Mozilla/5.0 (X11; Linux x86_64)",
    "<4>Nov 21 10:04:13 node-3 kernel: [{t}] eth0: link is down, carrier lost {seq} times since boot, last on queue 2",
    "<30>Nov 21 10:04:13 store-2 dfs.DataNode: PacketResponder 1 for block blk_{t} terminating after {seq} packets",
    "<27>Nov 21 10:04:14 cron-1 logrotate: ALERT exited abnormally with [1], {seq} files left, next try at {t}",
    "<38>Nov 21 10:04:15 gate-2 sshd[{seq}]: Received disconnect from 198.51.100.77: 11: disconnected by user {t}",
    "<13>Nov 21 10:04:15 app-{seq} worker: job {seq} of queue mail finished in {t} ns, 3 retries, 0 errors, 17 left",
    "<134>Nov 21 10:04:16 lb-1 haproxy[811]: 192.0.2.{seq}:40122 https~ api/app-4 0/0/1/9/10 200 1532 {t} GET /health",
    "<46>Nov 21 10:04:16 dns-1 named[700]: client 192.0.2.41#{seq}: query: mail.example.net IN A +E(0)K {t}",
)

PROFILE = """\
name: perf
data: {{dir: {work}/data, retain-bytes: 4G}}
cores: {{main: 0, rx: [1], writers: [0]}}
idle: spin
memory: {{size: {memory}M, no-huge: {no_huge}}}
ports:
  - {{name: source, vdev: net_ring0, checksum: nic}}
listeners:
  - {{name: lines, addresses: [10.9.9.9], port: 9000, framing: lines, stream: events}}
streams:
  - {{name: events, segment-bytes: 1G, retain-bytes: 2G}}
rules: {{file: {root}/perf/rules-100.yaml, cache: {work}/rules-cache}}
batch: {{bytes: 1M, records: 65536, age: {batch_age}, buffers: 256, lz4-acceleration: {lz4}}}
flush: {{bytes: {flush_bytes}, age: {flush_age}}}
telemetry: {{prefix: {prefix}}}
metrics: {{port: 0}}
"""


def replaying(*pcaps):
    """The command that runs a DPDK program on the pull source: a file for each rx queue."""
    files = ":".join(str(pcap) for pcap in pcaps)
    return ["env", f"LD_PRELOAD={tool('replay')}", f"PENSTOCK_REPLAY={files}"]


def frame_ns(pcap, seconds):
    """CPU time of the source alone for each frame, polled on CPU 1 and freed."""
    build("replay", "sink")
    eal = ["--lcores", "0@1", "--no-pci", "--no-telemetry", "--file-prefix", PREFIX + "-sink"]
    eal += ["-m", "256", "--log-level", "warning", "--vdev", "net_ring0"]
    eal += ["--in-memory" if reserve_hugepages(256) else "--no-huge"]
    sink = [tool("sink"), str(seconds)]
    return json.loads(out_of(*replaying(pcap), *sink, *eal))["ns_per_frame"]


def floor(pcap=PCAP):
    """What perf/floor.c says of these events with the rules, on the rx lcore's CPU."""
    rules = str(ROOT / "perf/rules-100.pat")
    return json.loads(out_of("taskset", "-c", "1", tool("floor"), str(pcap), rules))


def make(lines, per_frame=EVENTS_PER_FRAME, pcap=PCAP, size=EVENT_BYTES, framing="lines"):
    """Writes a pcap file: the lines of these files in turn, or LINES; so many a frame. size: cut or
    padded to so many bytes; None: as they are. framing: as penstock-load names it."""
    command = [tool("penstock-load"), "--pcap", str(pcap), "--to", "10.9.9.9:9000"]
    command += ["--from", "10.9.9.8:40000", "--framing", framing, "--stamp", "none"]
    command += ["--events-per-frame", str(per_frame), "--count", str(EVENTS)]
    command += ["--size", str(size)] if size else []
    if lines:
        text = b"".join(pathlib.Path(f).read_bytes().rstrip(b"\n") + b"\n" for f in lines)
        (WORK / "lines.txt").write_bytes(text)
        command += ["--lines", str(WORK / "lines.txt")]
    else:
        command += [word for line in LINES for word in ("--template", line)]
    out_of(*command)


def profile(batch_age="50ms", flush_age="20ms", flush_bytes="16M", lz4=1):
    no_huge = not reserve_hugepages(MEMORY_MIB)
    return PROFILE.format(
        work=WORK,
        root=ROOT,
        prefix=PREFIX,
        memory=MEMORY_MIB,
        no_huge=str(no_huge).lower(),
        flush_bytes=flush_bytes,
        flush_age=flush_age,
        batch_age=batch_age,
        lz4=lz4,
    )


def hits(status):
    """Events that a rule decided on, since the start."""
    return sum(rule["decided"] for rule in status["rules"]["items"])


def wire_bytes_per_event(status):
    """Of the log that is kept: of its batches, as they are stored."""
    kept = next(s for s in status["streams"] if s["name"] == "events")["partitions"][0]
    return kept["log_bytes"] / (kept["durable_offset"] - kept["start_offset"])


def run(text, seconds, beside=contextlib.nullcontext, where=BUILD, pcap=PCAP):
    """One run of the daemon at capacity: what it found and stored, and what the rx core paid, and
    all its other threads. beside() is entered for as long as is measured."""
    build("replay")
    with Daemon(text, replaying(pcap), where=where) as daemon:
        time.sleep(min(2, seconds))
        t0, before = daemon.status()
        cpu0, all0 = daemon.cpu_ns(1), daemon.cpu_ns_all()
        with beside():
            time.sleep(seconds)
        t1, after = daemon.status()
        cpu1, all1 = daemon.cpu_ns(1), daemon.cpu_ns_all()
    found = after["events"]["found"] - before["events"]["found"]
    uncompressed = after["rx"][0]["batch_plain_bytes"] - before["rx"][0]["batch_plain_bytes"]
    stored = after["events"]["stored"] - before["events"]["stored"]
    lost = shed(after) - shed(before)
    return {
        "ns_per_event": (cpu1 - cpu0) / found,
        "others_ns_per_event": (all1 - all0 - (cpu1 - cpu0)) / found,
        "events_per_cpu_s": 1e9 * found / (cpu1 - cpu0),
        "events_per_s": stored / (t1 - t0),
        "cpu_share": (cpu1 - cpu0) / 1e9 / (t1 - t0),
        "found": found,
        "stored": stored,
        "hit_rate": (hits(after) - hits(before)) / found,
        "uncompressed_bytes_per_event": uncompressed / (found - lost),
        "wire_bytes_per_event": wire_bytes_per_event(after),
        "shed": lost,
        "not_carried": not_carried(after),
        "residual": last_words(daemon)["residual"],
    }


def beside_floor(text, seconds, pcap=PCAP):
    """One run of the daemon, and the floor of the same events just before it."""
    build("floor")
    below = floor(pcap)
    paid = run(text, seconds, pcap=pcap)
    return {"gross_ratio": paid["ns_per_event"] / below["floor_ns"], "floor": below, "run": paid}
