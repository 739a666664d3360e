"""Programs of others on the wire of class K, with the settings that their manuals advise."""

import re

from harness import *
from sets import veth
from sets.collectors import DIR, READY_S, Collector, NotRun

UNPACKED = ROOT / "run/peers"  # by scripts/install-deps --peers
TESTPMD_MIB = 384
STENOTYPE_BLOCK = 1 << 20

RSYSLOG = """\
global(workDirectory="{dir}" parser.escapeControlCharactersOnReceive="off")
module(load="imudp" batchSize="1024" timeRequery="8")
template(name="raw" type="string" string="%rawmsg%\\n")
input(type="imudp" port="{port}" rcvbufSize="64m" ruleset="store")
ruleset(name="store" queue.type="direct") {{
{filter}
  action(type="omfile" file="{dir}/out" template="raw" ioBufferSize="256k" asyncWriting="on"
    flushOnTXEnd="off" flushInterval="1")
}}
"""
# A rule of the hundred, in the form of expressions that it takes; like ours it keeps what it hits.
RE_MATCH = """\
  if re_match($rawmsg, "authentication failure.*rhost=[0-9]+\\\\.[0-9]+\\\\.[0-9]+\\\\.[0-9]+") then
    set $.hit = "1";"""

SYSLOG_NG = """\
@version: 3.38
options {{ stats-freq(0); keep-hostname(yes); use-dns(no); dns-cache(no); threaded(yes); }};
source s {{ network(ip(0.0.0.0) port({port}) transport("udp") so-rcvbuf(67108864)
  log-fetch-limit(1000) log-iw-size(10000) flags(no-parse)); }};
destination d {{ file("{dir}/out" template("$MSG\\n") flush-lines(1000) log-fifo-size(200000)); }};
log {{ source(s); destination(d); flags(flow-control); }};
"""


def program(name):
    """Where it is, and the environment that it needs."""
    for directory in ("usr/sbin", "usr/bin"):
        path = UNPACKED / directory / name
        if path.exists():
            library = [*UNPACKED.glob("usr/lib/*-linux-gnu"), *UNPACKED.glob("lib/*-linux-gnu")]
            library += [UNPACKED / "usr/lib/syslog-ng"]
            return str(path), {"LD_LIBRARY_PATH": ":".join(map(str, library))}
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not path:
        raise NotRun("not installed: scripts/install-deps --peers")
    return path, {}


def modules(pattern):
    """A directory of plugins, where they were unpacked or installed."""
    found = [*UNPACKED.glob(pattern), *pathlib.Path("/").glob(pattern)]
    return str(found[0]) if found else ""


def said_number(log, pattern):
    """The last number that a log says in this way; None: it does not."""
    found = re.findall(pattern, log.read_text(errors="replace"))
    return int(found[-1]) if found else None


class Rsyslog(Collector):
    def __init__(self, rule=""):
        self.rule = rule

    def command(self):
        path, besides = program("rsyslogd")
        file = WORK / "rsyslog.conf"
        file.write_text(RSYSLOG.format(dir=DIR, port=veth.PORT, filter=self.rule))
        words = [path, "-n", "-i", str(DIR / "pid"), "-f", str(file)]
        return words + ["-M", modules("usr/lib/*-linux-gnu/rsyslog")], besides


class SyslogNg(Collector):
    def command(self):
        path, besides = program("syslog-ng")
        file = WORK / "syslog-ng.conf"
        file.write_text(SYSLOG_NG.format(dir=DIR, port=veth.PORT))
        words = [path, "-F", "--no-caps", "-f", str(file), "-p", str(DIR / "pid")]
        words += ["-c", str(DIR / "ctl"), "-R", str(DIR / "persist")]
        return words + ["--module-path", modules("usr/lib/syslog-ng/3.*")], besides


class NetsniffNg(Collector):
    by_socket, stop = False, signal.SIGINT

    def command(self):
        path, besides = program("netsniff-ng")
        words = [path, "--in", "vb", "--out", str(DIR / "out.pcap"), "--silent", "--no-promisc"]
        return words + ["--ring-size", "64MiB", "--no-sock-mem", "--notouch-irq"], besides

    def lost(self):
        return said_number(self.log, r"(\d+)\s+packets failed filter \(out of space\)")


class Stenotype(Collector):
    # It writes the last block a second after the frame that it ends with. Told to end, it does not.
    by_socket, stop, stop_s, hangs = False, signal.SIGINT, 3, True

    def command(self):
        path, besides = program("stenotype")
        for name in ("PKT0", "IDX0"):
            (DIR / name).mkdir()
            shutil.chown(DIR / name, "nobody", "nogroup")  # whom it becomes
        words = [path, "--iface=vb", f"--dir={DIR}", "--threads=1", "--blocks=64", "--aiops=16"]
        words += ["--blockage_sec=1", "--no_index", "--filesize_mb=4096", "--fileage_sec=600"]
        return words + ["--seccomp=none", "-v", "--stats_sec=1"], besides

    def lost(self):
        return said_number(self.log, r"drops=(\d+)") or 0

    def held(self, pcap):
        # The kernel's blocks (struct tpacket_block_desc), as they are: behind their length (blk_len)
        # lies what they held the time before.
        with open(DIR / "out", "wb") as out:
            for path in (DIR / "PKT0").iterdir():
                with open(path, "rb") as file:
                    while block := file.read(STENOTYPE_BLOCK):
                        out.write(block[: int.from_bytes(block[20:24], "little")])
        return super().held(pcap)


class Testpmd(Collector):
    by_socket, stop, polls = False, signal.SIGINT, True
    prefix = f"{PREFIX}-testpmd"
    memory = ("--in-memory",)

    def command(self):
        if not reserve_hugepages(TESTPMD_MIB):
            raise NotRun("needs hugepages: without them net_af_xdp stops receiving")
        words = [program("dpdk-testpmd")[0], "--lcores", f"0@{veth.RECEIVER_CPU},1@{veth.RECEIVER_CPU}"]
        words += ["-m", "256", *self.memory, "--no-pci", "--no-telemetry"]
        words += ["--file-prefix", self.prefix, "--vdev", "net_af_xdp0,iface=vb", "--"]
        return words + ["--forward-mode=rxonly", "--rxd=2048", "--total-num-mbufs=32768"], {}

    def ready(self):
        # What it says lies in its buffer until it ends.
        return '"xdp"' in out_of(*veth.far("ip", "-j", "link", "show", "vb"))

    def lost(self):
        return said_number(self.log, r"RX-dropped: (\d+)")

    def held(self, pcap):
        return {"said": said_number(self.log, r"RX-packets: (\d+)")}


class Dumpcap(Testpmd):
    """Beside testpmd, which polls; the time of both. They share memory, so it must lie in files."""

    huge = WORK / "huge"
    memory = ("--huge-dir", str(huge))

    def command(self):
        words, besides = super().command()
        self.path = program("dpdk-dumpcap")[0]
        self.huge.mkdir(exist_ok=True)
        # Seen by the two alone: ip netns exec gives each command mounts of its own.
        mount = f'mount -t hugetlbfs none {self.huge} && exec "$@"'
        return ["bash", "-c", mount, "testpmd", *words], besides

    def __enter__(self):
        super().__enter__()
        # testpmd is linked with a mempool driver that this is not, and both number the drivers in
        # the order in which they meet them: without the same one in front no buffer is to be had.
        driver = next(iter(pathlib.Path("/usr/lib").glob("*/dpdk/pmds-*/librte_mempool_dpaa.so")), "")
        self.dumper_log = WORK / "dumpcap.log"
        with open(self.dumper_log, "w") as log:
            self.dumper = subprocess.Popen(
                ["nsenter", "-t", str(self.process.pid), "-m", "-n", "env", f"LD_PRELOAD={driver}"]
                + ["taskset", "-c", str(veth.RECEIVER_CPU), self.path, "-q", "-p", "-P"]
                + ["--file-prefix", self.prefix, "-i", "net_af_xdp0", "-w", str(DIR / "out.pcap")],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_S
        while not (DIR / "out.pcap").exists():
            if self.dumper.poll() is not None or time.monotonic() > deadline:
                self.__exit__(NotRun, None, None)
                raise NotRun("dpdk-dumpcap does not start beside testpmd")
            time.sleep(0.05)
        time.sleep(0.3)
        return self

    def __exit__(self, kind, value, trace):
        self.dumper.send_signal(signal.SIGINT)
        try:
            self.dumper.wait(self.stop_s)
        finally:
            self.dumper.kill()
            super().__exit__(kind, value, trace)

    def cpu_ns(self):
        return super().cpu_ns() + process_cpu_ns(self.dumper.pid)

    def lost(self):
        return super().lost() + said_number(self.dumper_log, r"received/dropped on .*: \d+/(\d+)")

    def held(self, pcap):
        return Collector.held(self, pcap)
