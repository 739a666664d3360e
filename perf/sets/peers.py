"""who else does this work, in turn on one wire: class K over veth, one 126-byte line a datagram, CPU
of the kernel's receive thread included: we on AF_XDP, the best socket program, rsyslog, syslog-ng and
frame recorders; and class B against rsyslog's process alone; counted by reading back"""

import re
import statistics

from harness import *
from rounds import turned
from sets import collectors, others, source, veth, wire
from sets.collectors import NotRun

FRAMES = 2000
LINES_MAX = 2000  # of files: they go by the command line
PACED = 0.9  # of what was kept when flooded

# name -> how it is started, what it does
ROWS = {
    "penstock": (collectors.Penstock, "AF_XDP, 100 rules, LZ4, sealed, synced"),
    "penstock_off": (lambda: collectors.Penstock(on=False), "AF_XDP, all off, log in memory"),
    "socket": (collectors.Socket, "recvmmsg, 100 rules, LZ4, synced"),
    "socket_gro": (lambda: collectors.Socket("gro"), "the same with UDP_GRO"),
    "socket_gro_busy": (lambda: collectors.Socket("gro", "busy"), "and SO_BUSY_POLL"),
    "socket_off": (lambda: collectors.Socket(on=False), "recvmmsg, nothing else"),
    "socket_gro_off": (lambda: collectors.Socket("gro", on=False), "the same with UDP_GRO"),
    "rsyslog": (others.Rsyslog, "imudp, omfile, not synced"),
    "rsyslog_re_match": (
        lambda: others.Rsyslog(others.RE_MATCH),
        "the same with one re_match, not synced",
    ),
    "syslog_ng": (others.SyslogNg, "network(udp), file, not parsed, not synced"),
    "netsniff_ng": (others.NetsniffNg, "records frames, not synced"),
    "stenotype": (others.Stenotype, "records frames, O_DIRECT, not indexed"),
    "testpmd": (others.Testpmd, "rxonly on net_af_xdp, nothing else"),
    "dumpcap": (others.Dumpcap, "records testpmd's frames, not synced"),
}
BRIEF = ("penstock", "socket", "socket_gro", "rsyslog")  # what a smoke run takes
SOCKETS = ("socket", "socket_gro", "socket_gro_busy")  # the best of them is the peer
NEEDED = ("penstock", *SOCKETS, "rsyslog", "rsyslog_re_match")  # void: so is all; else its row
KINDS = ("flood", "paced")
RATES = ("kept_per_s", "per_process_cpu_s", "per_cpu_s")
COUNTS = ("sent", "kept", "lost_in_kernel", "lost_by_itself")


def texts(lines):
    """Lines with room for their number, behind the host's name where there is one."""
    found = list(source.LINES)
    if lines:
        kept = [pathlib.Path(f).read_text(errors="replace").splitlines() for f in lines]
        found = [l.strip() for file in kept for l in file[: LINES_MAX // len(lines)] if l.strip()]
    head = re.compile(r"(<\d+>\w{3} [ \d]\d [\d:]{8} \S+ )?")
    return [head.sub(lambda m: (m[0] or "") + "n=000000000000 ", l, count=1) for l in found]


def make(pcap, to, lines):
    out_of(
        *[tool("penstock-load"), "--pcap", str(pcap), "--to", to, "--dst-mac", veth.FAR_MAC],
        *["--from", "10.9.9.8:40000", "--framing", "datagram", "--stamp", "none"],
        *["--size", str(source.EVENT_BYTES), "--count", str(FRAMES)],
        *[word for text in lines for word in ("--template", text)],
    )


class Void(Exception):
    """A run whose figures do not count, and why."""


def judge(run):
    """A peer that got nothing, an event too many or altered, or one that is missing and that nobody
    says was lost: Void."""
    held, sent = run["held"], run["sent"]
    kept = held["said"] if "said" in held else held["unique"]
    lost = run["lost_in_kernel"] + run["lost_by_itself"]
    if run["entered"] != sent:
        raise Void(f"{sent} frames were sent, {run['entered']} came out of the ring: {run}")
    if kept == 0:
        raise Void(f"nothing was kept: {run}")
    if held.get("duplicated") or held.get("damaged"):
        raise Void(f"some were kept twice, or altered: {run}")
    if sent - kept != lost:
        raise Void(f"{sent} sent, {kept} kept, {lost} known to be lost: {run}")


def one_run(name, pcap, rate, seconds):
    collector = ROWS[name][0]()
    veth.address(collector.by_socket)
    with collector:
        kernel, snmp, entered = veth.Kernel(), veth.snmp(), veth.received()
        cpu = collector.cpu_ns()
        sent = veth.flood(pcap, rate, seconds)
        at_end = collector.cpu_ns()
        veth.settle(collector, kernel, entered + sent["frames"])
        # What always polls would be charged for waiting.
        cpu = (at_end if collector.polls else collector.cpu_ns()) - cpu
        spent = kernel.spent()
        entered = veth.received() - entered
        lost = veth.snmp()["RcvbufErrors"] - snmp["RcvbufErrors"]
    veth.Foreign.spent_ns += sum(spent.values())
    run = {
        "sent": sent["frames"],
        "seconds": sent["seconds"],
        "ring_full": sent["ring_full"],
        "entered": entered,
        "held": collector.held(pcap),
        "lost_in_kernel": lost,
        "lost_by_itself": collector.lost(),
        "cpu_ns": {"process": cpu, **spent},
    }
    judge(run)
    kept = run["held"].get("said", run["held"].get("unique"))
    return {
        **run,
        "kept": kept,
        "kept_per_s": kept / run["seconds"],
        "per_process_cpu_s": 1e9 * kept / cpu,
        "per_cpu_s": 1e9 * kept / (cpu + sum(spent.values())),
    }


def bypass(seconds):
    """Class B: the daemon on the pull source, one event a frame, all of its threads."""
    text = source.profile(*(collectors.FLUSH_AGE,) * 2, collectors.FLUSH_BYTES)
    run = source.run(text.replace("idle: spin\n", "idle: adaptive\n"), seconds)
    if run["residual"]:
        give_up(f"bypass: {run['residual']} events are not accounted for: {run}")
    cpu_ns = run["found"] * (run["ns_per_event"] + run["others_ns_per_event"])
    # What was shed cost something, and does not count.
    return {**run, "per_process_cpu_s": 1e9 * run["stored"] / cpu_ns}


def in_turn(names, pcap, number, seconds, without):
    figures = {"bypass": bypass(seconds)}
    for name in turned(names, number):
        if name in without:
            continue
        try:
            flood = one_run(name, pcap, 0, seconds)
            paced = one_run(name, pcap, PACED * flood["kept_per_s"], seconds)
        except NotRun as why:
            without[name] = f"not run: {why}"
            continue
        except Void as why:
            if name in NEEDED:
                give_up(f"{name}: void: {why}")
            without[name] = f"void: {why}"
            continue
        figures[name] = {"flood": flood, "paced": paced}
    return {**figures, **ratios(figures)}


def best(figures, name, key="per_cpu_s"):
    """Of everyone the better of its two runs."""
    return max(figures[name][kind][key] for kind in KINDS)


def ratios(figures):
    """The targets' figures of one round; a peer that did not run leaves its own out."""
    found = {}
    ours = best(figures, "penstock")
    if all(name in figures for name in SOCKETS):
        found["socket_ratio"] = ours / max(best(figures, name) for name in SOCKETS)
    if "rsyslog_re_match" in figures:
        found["re_match_ratio"] = ours / best(figures, "rsyslog_re_match")
    if "rsyslog" in figures:
        alone = best(figures, "rsyslog", "per_process_cpu_s")
        found["rsyslog_ratio"] = figures["bypass"]["per_process_cpu_s"] / alone
    return found


def row(rounds, name):
    """Medians of the runs of one collector, and all that it lost."""
    row = {"does": ROWS[name][1]}
    for kind in KINDS:
        runs = [r[name][kind] for r in rounds if name in r]
        for key in RATES:
            row[f"{kind}_{key}"] = round(statistics.median(run[key] for run in runs))
        for key in COUNTS:
            row[f"{kind}_{key}"] = sum(run[key] for run in runs)
    return row


def run(args):
    build("flood", "collect", "numbers")
    veth.put_up()
    pcap = WORK / "peers.pcap"
    make(pcap, f"{wire.ADDRESS}:{veth.PORT}", texts(args.lines))
    make(source.PCAP, "10.9.9.9:9000", texts(args.lines))
    names, without = list(BRIEF if args.brief else ROWS), {}
    args.rounds.watch = veth.Foreign
    rounds = args.rounds.take(lambda n: in_turn(names, pcap, n, args.seconds, without))
    for figures in rounds:
        for name in without:
            figures.pop(name, None)
    ran = [name for name in names if name not in without]

    def median(name):
        found = [r[name] for r in rounds if name in r]
        return round(statistics.median(found), 3) if found else None

    return {
        "bypass_per_cpu_s": round(
            statistics.median(r["bypass"]["per_process_cpu_s"] for r in rounds)
        ),
        **{name: median(name) for name in ("socket_ratio", "re_match_ratio", "rsyslog_ratio")},
        "rows": {name: row(rounds, name) for name in ran},
        "without": without,
        "rounds": rounds,
    }


def say(r):
    lines = [
        f"bypass: {r['bypass_per_cpu_s']:,} events for each CPU-second of the daemon",
        "events for each CPU-second of the process, and with the kernel's receive:",
    ]
    for name, row in r["rows"].items():
        lines.append(f"{name}: {row['does']}")
        for kind in KINDS:
            figures = {key: row[f"{kind}_{key}"] for key in (*RATES, *COUNTS)}
            lines.append(
                "    {kind:5} {per_process_cpu_s:>10,} {per_cpu_s:>10,}; {kept_per_s:,} events/s kept; "
                "of {sent:,} lost {lost_in_kernel:,} by the socket, {lost_by_itself:,} by "
                "itself".format(kind=kind, **figures)
            )
    return lines + [f"{name}: {why}" for name, why in r["without"].items()]


FIGURES = {
    "socket_ratio": ("ratio", "more"),
    "re_match_ratio": ("ratio", "more"),
    "rsyslog_ratio": ("ratio", "more"),
    "penstock.paced.per_cpu_s": ("absolute", "more"),
    "penstock.flood.per_cpu_s": ("absolute", "more"),
}

ANSWERS = {
    "rsyslog-ratio": lambda r: r["rsyslog_ratio"],
    "socket-ratio": lambda r: r["socket_ratio"],
    "re-match-ratio": lambda r: r["re_match_ratio"],
}
