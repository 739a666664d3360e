"""A wire: two network namespaces joined by a veth pair, the daemon on AF_XDP at one end.

Events come at a rate, not when they are asked for; the kernel delivers them, in copy mode. So
figures made with it compare what the daemon does with them, and say nothing of a NIC.
"""

import atexit

from harness import *

MEMORY_MIB = 512
NEAR, FAR = f"{PREFIX}-a", f"{PREFIX}-b"
ADDRESS = "10.77.9.2"

PROFILE = """\
name: perf-wire
data: {{dir: {work}/data, retain-bytes: 4G}}
cores: {{main: 0, rx: [1], writers: [0]}}
memory: {{size: {memory}M, no-huge: {no_huge}}}
ports:
  - {{name: wire, interface: vb, checksum: local}}
listeners:
  - {{name: lines, addresses: [{address}], port: 9000, framing: lines, stream: events}}
streams:
  - {{name: events}}
batch: {{age: {batch_age}}}
flush: {{bytes: {flush_bytes}, age: {flush_age}}}
telemetry: {{prefix: {prefix}}}
metrics: {{port: 0}}
"""


def take_down():
    for name in (NEAR, FAR):
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


def put_up():
    take_down()
    atexit.register(take_down)
    for name in (NEAR, FAR):
        out_of("ip", "netns", "add", name)
    out_of(
        *["ip", "link", "add", "va", "netns", NEAR, "numtxqueues", "1", "numrxqueues", "1"],
        *["type", "veth", "peer", "name", "vb", "netns", FAR],
        *["numtxqueues", "1", "numrxqueues", "1"],
    )
    for name, device, address in ((NEAR, "va", "10.77.9.1"), (FAR, "vb", ADDRESS)):
        for command in (
            ["ip", "link", "set", "lo", "up"],
            ["ip", "addr", "add", f"{address}/24", "dev", device],
            ["ip", "link", "set", device, "up"],
        ):
            out_of("ip", "netns", "exec", name, *command)


def daemon(batch_age, flush_age, flush_bytes):
    no_huge = not reserve_hugepages(MEMORY_MIB)
    text = PROFILE.format(
        work=WORK,
        prefix=PREFIX,
        memory=MEMORY_MIB,
        no_huge=str(no_huge).lower(),
        address=ADDRESS,
        batch_age=batch_age,
        flush_age=flush_age,
        flush_bytes=flush_bytes,
    )
    return Daemon(text, within=["ip", "netns", "exec", FAR])


def send(rate, seconds):
    """The report of penstock-load: log lines, ten a datagram, on an absolute schedule."""
    text = out_of(
        *["ip", "netns", "exec", NEAR, tool("penstock-load"), "--json"],
        *["--to", f"{ADDRESS}:9000", "--framing", "lines", "--size", "126"],
        *["--events-per-frame", "10", "--rate", str(rate), "--count", str(round(rate * seconds))],
    )
    return json.loads(text)


def settle(daemon, frames):
    """The status once that many frames are polled, or lost, and nothing is in flight."""
    for _ in range(100):
        _, status = daemon.status()
        if status["frames"]["polled"] >= frames and status["events"]["in_flight"] == 0:
            return status
        time.sleep(0.1)
    return status
