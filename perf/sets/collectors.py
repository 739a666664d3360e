"""Who is measured on the wire of class K (perf/sets/veth.py): how each is started, how what it stored
is read back, and which losses it owns up to. Here ourselves and the best socket program; programs of
others are in perf/sets/others.py."""

from harness import *
from sets import veth, wire

DIR = WORK / "peers"
READY_S = 20
MEMORY_MIB = 512

# What every program gets: the longest wait for a sync, and the most bytes before one.
FLUSH_AGE, FLUSH_BYTES = "5ms", "8M"

PENSTOCK = """\
name: perf-peers
data: {{dir: {data}}}
cores: {{main: {cpu}, rx: [{cpu}], writers: [{cpu}]}}
memory: {{size: {memory}M, no-huge: {no_huge}}}
ports:
  - {{name: wire, interface: vb, checksum: local}}
listeners:
  - {{name: lines, addresses: [{address}], port: {port}, framing: datagram, stream: events}}
streams:
  - {{name: events, {stream}}}
{rules}
batch: {{age: {age}, lz4-acceleration: {lz4}}}
flush: {{bytes: {bytes}, age: {age}}}
telemetry: {{prefix: {prefix}}}
metrics: {{port: 0}}
"""
RULES = "rules: {{file: {root}/perf/rules-100.yaml, cache: {work}/rules-cache}}"


class NotRun(Exception):
    """It cannot run here, and why."""


class Collector:
    """A program that runs while the with-block does. It reads what a socket on veth.PORT gets, and
    leaves files under DIR; a subclass says otherwise."""

    by_socket = True  # else by frames
    stored = "{dir}/out*"  # what is read back
    decoder = "cat"
    stop, stop_s = signal.SIGTERM, 30
    polls = False  # without end, whether something comes or not
    hangs = False  # when told to end, with all of it stored

    def command(self):
        """Words, and what the environment has besides; NotRun."""
        raise NotImplementedError

    def __enter__(self):
        shutil.rmtree(DIR, ignore_errors=True)
        DIR.mkdir(parents=True)
        words, besides = self.command()
        self.log = WORK / "peer.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                veth.far("taskset", "-c", str(veth.RECEIVER_CPU), "env", "-C", str(DIR))
                + [f"{name}={value}" for name, value in besides.items()]
                + words,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_S
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                said = self.log.read_text(errors="replace").strip().splitlines()[-1:]
                raise NotRun("it did not start: " + " ".join(said))
            time.sleep(0.05)
        time.sleep(0.3)
        return self

    def __exit__(self, kind, value, trace):
        self.process.send_signal(self.stop)
        try:
            self.process.wait(self.stop_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            if kind is None and not self.hangs:
                give_up(f"{type(self).__name__} does not end: see {self.log}")

    def ready(self):
        table = pathlib.Path(f"/proc/{self.process.pid}/net/{'udp' if self.by_socket else 'packet'}")
        rows = table.read_text().splitlines()[1:] if table.exists() else []
        return any(not self.by_socket or f":{veth.PORT:04X} " in row for row in rows)

    def cpu_ns(self):
        if self.process.poll() is not None:
            give_up(f"{type(self).__name__} ended by itself: see {self.log}")
        return process_cpu_ns(self.process.pid)

    def rests(self):
        """Whether it has taken all that the kernel has for it."""
        return not veth.waiting()

    def lost(self):
        """What it says, after its end, that it lost itself; the kernel's losses are counted there."""
        return 0

    def held(self, pcap):
        """What is there after its end, read back."""
        pipe = f"{self.decoder} {self.stored.format(dir=DIR)} | {tool('numbers')} {pcap}"
        return json.loads(out_of("bash", "-o", "pipefail", "-c", pipe))


class Socket(Collector):
    """perf/collect.c."""

    stored, decoder = "{dir}/out", "lz4 -dc"

    def __init__(self, *options, on=True):
        self.options = options
        self.on = on

    def command(self):
        out, rules = (str(DIR / "out"), str(ROOT / "perf/rules-100.pat")) if self.on else ("-", "-")
        return [tool("collect"), str(veth.PORT), out, rules, *self.options], {}

    def held(self, pcap):
        if self.on:
            return super().held(pcap)
        return {"said": json.loads(self.log.read_text())["datagrams"]}


class Penstock:
    """The daemon on AF_XDP; everything off: no rules, no LZ4, no seal, and the log in memory."""

    by_socket, polls = True, False

    def __init__(self, on=True):
        self.on = on

    def __enter__(self):
        data = WORK / "data" if self.on else pathlib.Path("/dev/shm/penstock-perf")
        text = PENSTOCK.format(
            data=data,
            cpu=veth.RECEIVER_CPU,
            memory=MEMORY_MIB,
            no_huge=str(not reserve_hugepages(MEMORY_MIB)).lower(),
            address=wire.ADDRESS,
            port=veth.PORT,
            stream="seal: sha256" if self.on else "seal: none",
            rules=RULES.format(root=ROOT, work=WORK) if self.on else "",
            lz4=int(self.on),
            age=FLUSH_AGE,
            bytes=FLUSH_BYTES,
            prefix=PREFIX,
        )
        self.daemon = Daemon(text, veth.far(), data)
        self.daemon.__enter__()
        self.polled = None
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            _, self.status = self.daemon.status()
        self.daemon.__exit__(kind, value, trace)

    def cpu_ns(self):
        return self.daemon.cpu_ns_all()

    def rests(self):
        before, polled = self.polled, self.daemon.status()[1]["frames"]["polled"]
        self.polled = polled
        return polled == before

    def lost(self):
        port = self.status["ports"][0]
        return shed(self.status) + port["imissed"] + port.get("xdp_rx_ring_full", 0)

    def held(self, pcap):
        pipe = f"{tool('penstock')} cat -d {self.daemon.data} events | {tool('numbers')} {pcap}"
        held = json.loads(out_of("bash", "-o", "pipefail", "-c", pipe))
        shutil.rmtree(self.daemon.data)
        return held
