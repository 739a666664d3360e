"""The wire of class K: what the kernel pays to receive is a thread of its own.

Frames enter past the sender's queueing discipline (perf/flood.c), wait in the ring of the receiving
end, and are taken out by its NAPI thread, which shares CPU 1 with whatever receives them. The sender
has CPU 0.
"""

import rounds
from harness import *
from sets import wire

SENDER_CPU, RECEIVER_CPU = 0, 1
FAR_MAC = "02:00:00:00:00:02"  # what penstock-load's frames are for
PORT = 9000
RMEM_MAX = pathlib.Path("/proc/sys/net/core/rmem_max")
RCVBUF_BYTES = 64 << 20
SETTLE_S, QUIET_S = 20, 0.3


def far(*command):
    return ["ip", "netns", "exec", wire.FAR, *command]


def near(*command):
    return ["ip", "netns", "exec", wire.NEAR, *command]


def allow_large_buffers():
    """Sockets that ask for RCVBUF_BYTES get them, whoever asks, until the program ends."""
    if int(RMEM_MAX.read_text()) < RCVBUF_BYTES:
        set_until_end(RMEM_MAX, str(RCVBUF_BYTES))


def put_up():
    wire.put_up()
    allow_large_buffers()
    out_of(*far("ip", "link", "set", "vb", "address", FAR_MAC))
    # No words of the kernel's own between the frames.
    for inside in (near, far):
        out_of(*inside("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"))
    # NAPI receives, also without an XDP program: veth wants both for that.
    out_of(*near("ethtool", "-K", "va", "tso", "off"))
    out_of(*far("ethtool", "-K", "vb", "gro", "on"))
    out_of(*far("sh", "-c", "echo 1 > /sys/class/net/vb/threaded"))
    pin()


def address(wanted):
    """A recorder of frames has no socket: without an address the kernel drops them behind it, else
    it would answer."""
    out_of(*far("ip", "addr", "flush", "dev", "vb"))
    if wanted:
        out_of(*far("ip", "addr", "add", f"{wire.ADDRESS}/24", "dev", "vb"))


def threads(prefix):
    """Of the kernel, by the beginning of their names."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().startswith(prefix):
                found.append(int(path.parent.name))
        except OSError:
            continue  # one that has just ended
    return found


def pin():
    """The NAPI thread, which is a new one whenever the interface's NAPI is switched on."""
    napi = threads("napi/vb-")
    if len(napi) != 1:
        give_up(f"{len(napi)} threads receive from an interface vb, not 1; see ip netns")
    os.sched_setaffinity(napi[0], {RECEIVER_CPU})
    return napi[0]


def thread_ns(pid):
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0])


class Kernel:
    """CPU time of the kernel's own threads that receive: NAPI's, and ksoftirqd of its CPU."""

    def __init__(self):
        self.napi = pin()
        self.ksoftirqd = threads(f"ksoftirqd/{RECEIVER_CPU}\n")[0]
        self.began = self.now()

    def now(self):
        return {"napi": thread_ns(self.napi), "ksoftirqd": thread_ns(self.ksoftirqd)}

    def spent(self):
        now = self.now()
        return {name: now[name] - self.began[name] for name in now}


class Foreign(rounds.Foreign):
    """What receives for us is not foreign, though it is no child of ours."""

    spent_ns = 0  # by kernel threads, in all measured runs

    def now(self):
        now = super().now()
        now["own"] += Foreign.spent_ns / 1e9
        return now


def snmp():
    """Of UDP in the receiver's namespace."""
    text = out_of(*far("cat", "/proc/net/snmp"))
    names, values = [l.split()[1:] for l in text.splitlines() if l.startswith("Udp: ")]
    return dict(zip(names, map(int, values)))


def received():
    """Frames that came out of the ring, to whomever they went."""
    link = json.loads(out_of(*far("ip", "-j", "-s", "link", "show", "vb")))[0]
    return link["stats64"]["rx"]["packets"]


def waiting():
    """Whether a socket still holds datagrams that nobody has read."""
    rows = out_of(*far("cat", "/proc/net/udp")).splitlines()[1:]
    return any(int(row.split()[4].split(":")[1], 16) for row in rows)


def flood(pcap, rate, seconds):
    """The sender's report."""
    command = ["taskset", "-c", str(SENDER_CPU), tool("flood"), str(pcap), "va"]
    return json.loads(out_of(*near(*command, str(rate), str(seconds))))


def settle(collector, kernel, entered):
    """Until so many frames came out of the ring, none is received any more, and the collector has
    taken what was. A busy machine may leave each of them waiting for long."""
    before, deadline = None, time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        now = kernel.now()["napi"]
        if now == before and received() >= entered and collector.rests():
            break
        before = now
        time.sleep(0.1)
    # If not, judging finds out what is missing.
    time.sleep(QUIET_S)
