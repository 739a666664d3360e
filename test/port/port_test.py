#!/usr/bin/env python3
"""Ports against real devices: port_test.py CASE, or --list. Exit status 77: skipped.

Environment: PST_PORT_SINK, the sink program; PST_SEED."""

import inspect
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from bench import (Net, Sink, Traffic, WAIT_S, QUIET_S, require_root, run, skip, udp_frame,
                   wait_until, write_pcap)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))
from hugepages import HUGEPAGES

PORT = 5514
FRAME_MAX = 3520
FAMILIES = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../drivers-config")
SIZES = (list(range(1, 40)) + [100, 576, 1000, 1400, 1451, 1452, 1453, 1454, 1471, 1472, 1473, 1474]
         + [1480, 2000, 2960, 3000, 3456, 3457, 3458, 3459, 3477, 3478, 3479, 3480, 3520, 4000]
         + [4096, 8192, 8952, 8953, 8972, 8973, 9000, 16384, 30000, 59999, 60000, 65000])
UDP4, UDP6 = (socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_INET6, socket.SOCK_DGRAM)


def all_sizes(net, sink, namespace, ipv4, ipv6):
    """Every size, both families; returns what came by which path: {(path, is_ipv6): sizes}."""
    traffic = Traffic()
    for family, address in ((UDP4, ipv4), (UDP6, ipv6)):
        sock = net.socket(namespace, *family)
        for size in SIZES:
            traffic.send(sock, address, PORT, [size])
            # In step with the receiver: what a full ring loses is not the question here.
            sent = sum(traffic.sent.values())
            wait_until(f"datagram of {size} bytes to {address}", lambda: len(sink.got) >= sent)
    traffic.arrived(sink)
    paths = {}
    for path, _, size, _, source in sink.got:
        paths.setdefault((path, ":" in source), set()).add(size)
    return paths


def split_at(paths, ipv4_max, ipv6_max):
    for is_ipv6, longest in ((False, ipv4_max), (True, ipv6_max)):
        assert max(paths["port", is_ipv6]) == longest, max(paths["port", is_ipv6])
        assert min(paths["kernel", is_ipv6]) == longest + 1, min(paths["kernel", is_ipv6])


def lo_every_size_once(net):
    ours = net.namespace()
    sink = Sink(net, ours, "af_xdp", "lo", f"127.0.0.1/{PORT}", f"::1/{PORT}").ready()
    assert f"generic mode, frames up to {FRAME_MAX} bytes" in sink.text(), sink.text()
    split_at(all_sizes(net, sink, ours, "127.0.0.1", "::1"), FRAME_MAX - 42, FRAME_MAX - 62)
    stats = sink.stop()
    assert stats["redirected"] == stats["rx_packets"] == sum(1 for g in sink.got if g[0] == "port")
    assert stats["pass_large"] == stats["k_received"], stats
    assert stats["mbuf_unusable_cnt"] == 0


def veth_every_size_once(net):
    ours, theirs = net.veth()
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}", f"fd07::1/{PORT}").ready()
    assert "native" in sink.text(), sink.text()
    split_at(all_sizes(net, sink, theirs, "10.7.0.1", "fd07::1"), 1472, 1452)
    assert sink.stop()["pass_fragment"] > 0


def veth_jumbo_every_size_once(net):
    ours, theirs = net.veth(mtu=9000)
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}", f"fd07::1/{PORT}").ready()
    paths = all_sizes(net, sink, theirs, "10.7.0.1", "fd07::1")
    split_at(paths, FRAME_MAX - 42, FRAME_MAX - 62)
    stats = sink.stop()
    assert stats["pass_large"] > 0 and stats["pass_fragment"] > 0, stats
    assert any("MTU 9000" in line for line in sink.said("finding notice")), sink.text()


def buffers_outlast_the_pool(net, env=None):
    """More frames than buffers, several times over: none is lost on the way round."""
    ours = net.namespace()
    sink = Sink(net, ours, "af_xdp", "lo", f"127.0.0.1/{PORT}", env=env).ready()
    sock, traffic = net.socket(ours, *UDP4), Traffic()
    for _ in range(100):
        traffic.send(sock, "127.0.0.1", PORT, [200] * 200)
        sent = sum(traffic.sent.values())
        wait_until(f"{sent} datagrams", lambda: len(sink.got) >= sent)
    traffic.arrived(sink)
    assert sink.stop()["mbuf_cnt"] * 4 < len(sink.got)


def buffers_outlast_the_pool_in_hugepages(net):
    if not HUGEPAGES.reserve(100):
        skip("no 200 MiB of hugepages can be had")
    buffers_outlast_the_pool(net, {"SINK_HUGE": "1"})


def vlan_tags_are_skipped(net):
    ours, theirs = net.veth()
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}", f"fd07::1/{PORT}").ready()
    macs = net.mac(ours, "in"), net.mac(theirs, "out")
    raw, traffic = net.socket(theirs, socket.AF_PACKET, socket.SOCK_RAW), Traffic()
    raw.bind(("out", 0))
    for tags in ((), (0x8100,), (0x88A8, 0x8100), (0x9100, 0x8100), (0x8100, 0x8100)):
        for source, target in (("10.7.0.2", "10.7.0.1"), ("fd07::2", "fd07::1")):
            raw.send(udp_frame(macs, source, target, PORT, traffic.payload(300), tags))
    traffic.arrived(sink)
    # Three tags are nobody's.
    raw.send(udp_frame(macs, "10.7.0.2", "10.7.0.1", PORT, b"x" * 300, (0x88A8, 0x8100, 0x8100)))
    time.sleep(QUIET_S)
    traffic.compare(sink)
    assert all(path == "port" for path, *_ in sink.got), sink.got
    assert sink.stop()["redirected"] == 10


def ip_options_take_the_kernel_path(net):
    ours, theirs = net.veth()
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}").ready()
    macs = net.mac(ours, "in"), net.mac(theirs, "out")
    raw, traffic = net.socket(theirs, socket.AF_PACKET, socket.SOCK_RAW), Traffic()
    raw.bind(("out", 0))
    raw.send(udp_frame(macs, "10.7.0.2", "10.7.0.1", PORT, traffic.payload(99), options=b"\1" * 8))
    traffic.arrived(sink)
    assert sink.got[0][0] == "kernel"
    stats = sink.stop()
    assert stats["pass_options"] == 1 and stats["passed"] == 1, stats


def others_traffic_stays_with_the_kernel(net):
    ours, theirs = net.veth()
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}", f"fd07::1/{PORT}").ready()
    # ARP and neighbour discovery anew, ICMP, TCP, and UDP to another port.
    net.ip(theirs, "neigh", "flush", "dev", "out")
    net.execute(theirs, "ping", "-c2", "-W5", "10.7.0.1")
    net.execute(theirs, "ping", "-c2", "-W5", "fd07::1")
    server = net.socket(ours, socket.AF_INET, socket.SOCK_STREAM)
    server.bind(("10.7.0.1", PORT))
    server.listen()
    client = net.socket(theirs, socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(WAIT_S)
    client.connect(("10.7.0.1", PORT))
    peer, _ = server.accept()
    client.sendall(b"y" * 100000)
    assert len(peer.recv(100000, socket.MSG_WAITALL)) == 100000
    other = net.socket(ours, *UDP4)
    other.bind(("10.7.0.1", PORT + 1))
    other.settimeout(WAIT_S)
    net.socket(theirs, *UDP4).sendto(b"hello", ("10.7.0.1", PORT + 1))
    assert other.recv(100) == b"hello"
    stats = sink.stop()
    assert not sink.got and stats["redirected"] == 0 and stats["passed"] == 0, stats
    assert stats["pass_other"] > 0


def wildcard_means_local_addresses(net):
    ours, theirs = net.veth()
    sink = Sink(net, ours, "af_xdp", "in", f"0.0.0.0/{PORT}", f"::/{PORT}").ready()
    traffic, sock = Traffic(), net.socket(theirs, *UDP4)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    traffic.send(sock, "10.7.0.1", PORT, [100, 5000])
    traffic.send(net.socket(theirs, *UDP6), "fd07::1", PORT, [100, 5000])
    traffic.arrived(sink)
    assert [g[0] for g in sink.got if g[2] == 100] == ["port", "port"], sink.got
    traffic.send(sock, "10.7.0.255", PORT, [101])
    # An address that the host got later is found by the kernel's socket.
    net.ip(ours, "addr", "add", "10.7.0.9/24", "dev", "in")
    traffic.send(sock, "10.7.0.9", PORT, [102])
    traffic.arrived(sink)
    assert all(g[0] == "kernel" for g in sink.got if g[2] in (101, 102)), sink.got
    assert sink.stop()["pass_address"] == 2


def multicast_groups_are_joined(net):
    ours, theirs = net.veth()
    sink = Sink(net, ours, "af_xdp", "in", f"239.7.7.7/{PORT}", f"ff02::7777/{PORT}").ready()
    shown = net.ip(ours, "maddr", "show", "dev", "in")
    assert "239.7.7.7" in shown and "ff02::7777" in shown, shown
    traffic = Traffic()
    index = int(net.execute(theirs, "cat", "/sys/class/net/out/ifindex"))
    sock = net.socket(theirs, *UDP4)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                    struct.pack("4s4si", b"\0" * 4, b"\0" * 4, index))
    traffic.send(sock, "239.7.7.7", PORT, [100, 1400, 5000])
    sock = net.socket(theirs, *UDP6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    for size in (100, 1400, 5000):
        sock.sendto(traffic.payload(size), ("ff02::7777", PORT, 0, index))
    traffic.arrived(sink)
    assert sorted(g[0] for g in sink.got) == ["kernel"] * 2 + ["port"] * 4, sink.got
    sink.stop()
    shown = net.ip(ours, "maddr", "show", "dev", "in")
    assert "239.7.7.7" not in shown, shown


def link_local_listener(net):
    ours, theirs = net.veth()
    address = net.link_local(ours, "in")
    sink = Sink(net, ours, "af_xdp", "in", f"{address}/{PORT}").ready()
    traffic, sock = Traffic(), net.socket(theirs, *UDP6)
    index = int(net.execute(theirs, "cat", "/sys/class/net/out/ifindex"))
    for size in (100, 1000, 5000):
        sock.sendto(traffic.payload(size), (address, PORT, 0, index))
    traffic.arrived(sink)
    sink.stop()


def two_queues_on_veth(net):
    ours, theirs = net.veth(queues=(2, 2))
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}", queues=2).ready()
    traffic = Traffic()
    for _ in range(64):
        traffic.send(net.socket(theirs, *UDP4), "10.7.0.1", PORT, [100, 200, 3000])
    traffic.arrived(sink)
    queues = {queue for path, queue, *_ in sink.got if path == "port"}
    assert queues == {0, 1}, queues
    stats = sink.stop()
    assert stats["pass_no_socket"] == 0
    assert stats["x_queue0_rx_good_packets"] + stats["x_queue1_rx_good_packets"] == 128, stats


def queue_without_socket_takes_the_kernel_path(net):
    ours, theirs = net.veth(queues=(2, 2))
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}").ready()
    assert any("2 rx queues" in line for line in sink.said("finding notice")), sink.text()
    traffic = Traffic()
    for _ in range(64):
        traffic.send(net.socket(theirs, *UDP4), "10.7.0.1", PORT, [100])
    traffic.arrived(sink)
    stats = sink.stop()
    assert stats["pass_no_socket"] > 0 and stats["pass_no_socket"] == stats["k_received"], stats


def too_few_queues_are_fatal(net):
    ours, _ = net.veth()
    Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}", queues=2).refused(
        "finding fatal", "1 rx queues, the profile wants 2", "ethtool -L in rx 2")


def generic_mode_where_veth_refuses(net):
    """More tx queues on the other side than rx queues here: the driver refuses."""
    ours, theirs = net.veth(queues=(1, 2))
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}").ready()
    assert "generic mode" in sink.text(), sink.text()
    traffic = Traffic()
    traffic.send(net.socket(theirs, *UDP4), "10.7.0.1", PORT, SIZES)
    traffic.arrived(sink)
    sink.stop()


def kill_9_leaves_nothing(net):
    ours, theirs = net.veth()
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}").ready()
    assert net.has_xdp(ours, "in")
    pid = sink.pid()
    os.kill(pid, signal.SIGKILL)
    sink.process.wait(WAIT_S)
    wait_until("the program is gone", lambda: not net.has_xdp(ours, "in"))
    # The traffic is the kernel's again ...
    plain = net.socket(ours, *UDP4)
    plain.bind(("10.7.0.1", PORT))
    plain.settimeout(WAIT_S)
    net.socket(theirs, *UDP4).sendto(b"hello", ("10.7.0.1", PORT))
    assert plain.recv(100) == b"hello"
    plain.close()
    # ... and a start right after finds nothing in its way.
    again = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}").ready()
    traffic = Traffic()
    traffic.send(net.socket(theirs, *UDP4), "10.7.0.1", PORT, [100, 1000, 3000])
    traffic.arrived(again)
    again.stop()
    assert not net.has_xdp(ours, "in")


def second_start_is_refused(net):
    ours, theirs = net.veth()
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}").ready()
    pid = str(sink.pid())
    Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT + 1}").refused(
        "error", "interface in is in use", pid, "(sink)")
    traffic = Traffic()
    traffic.send(net.socket(theirs, *UDP4), "10.7.0.1", PORT, [100, 1000])
    traffic.arrived(sink)
    sink.stop()


def testpmd(net, namespace, *arguments):
    """Another DPDK program, from its start to its end."""
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci",
         "--no-telemetry", "-l", "0,1", f"--file-prefix={net.foreign_prefix}", *arguments, "--",
         "--total-num-mbufs=8192", "--mbuf-size=2176", "--stats-period=0", "-i"],
        input="quit\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=WAIT_S * 2)
    return done.stdout


def others_cannot_detach_us(net):
    ours, theirs = net.veth()
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}").ready()
    traffic, sock = Traffic(), net.socket(theirs, *UDP4)
    traffic.send(sock, "10.7.0.1", PORT, [100])
    said = testpmd(net, ours, "--vdev=net_af_xdp0,iface=in")
    assert "Can't replace active BPF XDP link" in said, said
    run("ip", "-n", ours, "link", "set", "dev", "in", "xdp", "off", ok=False)
    assert net.has_xdp(ours, "in")
    traffic.send(sock, "10.7.0.1", PORT, [200, 1400])
    traffic.arrived(sink)
    assert all(g[0] == "port" for g in sink.got), sink.got
    sink.stop()


class Sender:
    """testpmd that sends, until it is left. UDP to port 9."""

    def __init__(self, net, namespace, device, *arguments):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, "dpdk-testpmd", "--no-huge", "-m", "256",
             "--no-pci", "--no-telemetry", "-l", "0,1", f"--file-prefix={net.foreign_prefix}",
             f"--vdev={device}", "--", "--total-num-mbufs=8192", "--forward-mode=txonly",
             "--stats-period=1", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def others_program_is_named(net):
    ours, _ = net.veth()
    other = subprocess.Popen(
        ["ip", "netns", "exec", ours, "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci",
         "--no-telemetry", "-l", "0,1", f"--file-prefix={net.foreign_prefix}", "--vdev=net_af_xdp0,iface=in",
         "--", "--total-num-mbufs=8192", "--mbuf-size=2176", "-i"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until("testpmd's program", lambda: net.has_xdp(ours, "in"))
        Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}").refused(
            "finding fatal", "somebody else's XDP program", "ip link set dev in xdp off")
        Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}", env={"SINK_DESPITE": "1"}).refused(
            "error in: an XDP program is attached already")
    finally:
        other.kill()
        other.wait()


def interface_down_is_fatal(net):
    ours, _ = net.veth()
    net.ip(ours, "link", "set", "in", "down")
    Sink(net, ours, "af_xdp", "in", f"0.0.0.0/{PORT}").refused(
        "finding fatal", "in is down", "ip link set dev in up")
    Sink(net, ours, "af_xdp", "missing", f"0.0.0.0/{PORT}").refused("no interface missing")


def merged_datagrams_are_found(net):
    """UDP_SEGMENT on lo: named while it merges, exact once the named cure is applied."""
    ours = net.namespace()
    sink = Sink(net, ours, "af_xdp", "lo", f"127.0.0.1/{PORT}").ready()
    cures = [line.split(" | ")[1] for line in sink.said("finding notice")]
    assert cures == ["ethtool -K lo tx-udp-segmentation off"], sink.text()
    sink.stop()
    net.execute(ours, *cures[0].split())
    sink = Sink(net, ours, "af_xdp", "lo", f"127.0.0.1/{PORT}").ready()
    assert not sink.said("finding"), sink.text()
    traffic, sock = Traffic(), net.socket(ours, *UDP4)
    sock.connect(("127.0.0.1", PORT))
    sock.setsockopt(17, 103, 500)  # SOL_UDP, UDP_SEGMENT
    for count in (3, 6, 40):
        sock.send(b"".join(traffic.payload(500) for _ in range(count)) + traffic.payload(200))
    traffic.arrived(sink)
    sink.stop()


def cures_of_findings_work(net):
    """What is found on a real interface is found no more once the command that it names was run."""
    ours, _ = net.veth(mtu=9000, queues=(2, 2))
    for feature in ("rx-udp-gro-forwarding", "rx-gro-list"):
        net.execute(ours, "ethtool", "-K", "in", feature, "on")
    net.ip(ours, "link", "set", "in", "down")
    sink = Sink(net, ours, "af_xdp", "in", f"0.0.0.0/{PORT}")
    sink.refused("finding fatal")
    cures = [line.split(" | ")[1] for line in sink.said("finding")]
    assert cures[0] == "ip link set dev in up" and len(cures) == 5, sink.text()
    for command in cures:
        net.execute(ours, *command.split())
    wait_until("carrier", lambda: "LOWER_UP" in net.ip(ours, "link", "show", "dev", "in"))
    sink = Sink(net, ours, "af_xdp", "in", f"0.0.0.0/{PORT}").ready()
    assert not sink.said("finding"), sink.text()
    sink.stop()


def documented_capabilities_suffice(net):
    ours = net.namespace()
    kept = "+net_raw,+net_admin,+bpf,+perfmon,+ipc_lock,+sys_admin"
    sink = Sink(net, ours, "af_xdp", "lo", f"127.0.0.1/{PORT}", wrap=(
        "setpriv", f"--bounding-set=-all,{kept}", "--inh-caps=-all")).ready()
    traffic = Traffic()
    traffic.send(net.socket(ours, *UDP4), "127.0.0.1", PORT, [100, 5000])
    traffic.arrived(sink)
    sink.stop()


def what_a_full_ring_loses_is_counted(net):
    ours = net.namespace()
    sink = Sink(net, ours, "af_xdp", "lo", f"127.0.0.1/{PORT}").ready()
    sock = net.socket(ours, *UDP4)
    sink.pause()
    for _ in range(10000):
        sock.sendto(b"z" * 100, ("127.0.0.1", PORT))
    sink.resume()
    wait_until("what fitted", lambda: len(sink.got) >= 2048)
    stats = sink.stop()
    assert len(sink.got) == 2048, len(sink.got)
    assert stats["imissed"] == 10000 - 2048, stats
    assert stats["xdp_rx_dropped"] == stats["xdp_fill_ring_empty"] == stats["imissed"], stats
    assert stats["redirected"] == 10000, stats


def what_a_full_socket_loses_is_counted(net):
    ours = net.namespace()
    sink = Sink(net, ours, "af_xdp", "lo", f"127.0.0.1/{PORT}").ready()
    sock = net.socket(ours, *UDP4)
    sink.pause()
    for _ in range(600):
        sock.sendto(b"z" * 60000, ("127.0.0.1", PORT))
    sink.resume()
    wait_until("all accounted for", lambda: (
        lambda s: s["k_received"] + s["k_dropped"] == 600)(sink.stats()))
    stats = sink.stop()
    assert stats["k_rcvbuf"] >= 16 << 20, stats
    assert stats["k_dropped"] > 0 and stats["k_received"] > 100, stats
    assert stats["k_received"] == len(sink.got), stats
    assert stats["k_bytes"] == 60000 * len(sink.got), stats


def stop_drains_both_paths(net):
    ours = net.namespace()
    sink = Sink(net, ours, "af_xdp", "lo", f"127.0.0.1/{PORT}").ready()
    traffic, sock = Traffic(), net.socket(ours, *UDP4)
    sink.pause()
    traffic.send(sock, "127.0.0.1", PORT, [100] * 1000 + [5000] * 100)
    sink.process.terminate()
    sink.resume()
    sink.stop()
    traffic.compare(sink)


def steering_off_leaves_it_to_the_kernel(net):
    ours, theirs = net.veth()
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}").ready()
    traffic, sock = Traffic(), net.socket(theirs, *UDP4)
    traffic.send(sock, "10.7.0.1", PORT, [100] * 50)
    sink.process.send_signal(signal.SIGUSR2)
    wait_until("steering is off", lambda: sink.said("off"))
    assert not net.has_xdp(ours, "in")
    traffic.send(sock, "10.7.0.1", PORT, [101] * 50)
    traffic.arrived(sink)
    assert {(path, size) for path, _, size, *_ in sink.got} == {("port", 100), ("kernel", 101)}
    assert sink.stop()["redirected"] == 50


def address_in_use_names_the_holder(net):
    ours = net.namespace()
    holder = subprocess.Popen(
        ["ip", "netns", "exec", ours, "socat", "-u", f"UDP4-LISTEN:{PORT},bind=127.0.0.1", "-"],
        stdout=subprocess.DEVNULL)
    try:
        wait_until("socat listens", lambda: str(PORT) in net.execute(ours, "ss", "-Hlnu"))
        Sink(net, ours, "af_xdp", "lo", f"127.0.0.1/{PORT}").refused(
            f"port {PORT} is in use by process {holder.pid} (socat)")
    finally:
        holder.kill()
        holder.wait()
    Sink(net, ours, "af_xdp", "lo", f"192.0.2.9/{PORT}").refused(
        "192.0.2.9 is not an address of this host")


def without_privilege_it_says_so(net):
    ours = net.namespace()
    Sink(net, ours, "af_xdp", "lo", f"127.0.0.1/{PORT}", wrap=(
        "setpriv", "--bounding-set=-bpf,-sys_admin", "--inh-caps=-all",
        "--ambient-caps=-all")).refused("error", "CAP_BPF")


def promiscuous_only_when_asked(net):
    def promiscuous(namespace):
        return "promiscuity 0" not in net.ip(namespace, "-d", "link", "show", "dev", "in")

    ours, _ = net.veth()
    sink = Sink(net, ours, "af_xdp", "in", f"10.7.0.1/{PORT}").ready()
    assert not promiscuous(ours)
    sink.stop()
    sink = Sink(net, ours, "af_xdp_promisc", "in", f"10.7.0.1/{PORT}").ready()
    assert promiscuous(ours)
    sink.stop()
    assert not promiscuous(ours)


def deleted_interface_shows(net):
    ours, _ = net.veth()
    sink = Sink(net, ours, "af_xdp", "in", f"0.0.0.0/{PORT}").ready()
    assert sink.stats()["link_up"] == 1
    net.ip(ours, "link", "del", "in")
    assert sink.stats()["link_up"] == 0
    sink.stop()


def pcap_replay(net):
    ours, traffic = net.namespace(), Traffic()
    macs = b"\2" * 6, b"\2" * 5 + b"\3"
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/frames.pcap"
        # Frames beyond one buffer arrive in chained ones.
        write_pcap(path, [udp_frame(macs, "192.0.2.1", "192.0.2.2", PORT, traffic.payload(size))
                          for size in (1, 100, 1472, 2000, 2140, 5000, 8900)])
        sink = Sink(net, ours, "vdev", f"net_pcap0,rx_pcap={path}").ready()
        traffic.arrived(sink)
        assert sink.stop()["rx_packets"] == 7
        Sink(net, ours, "vdev", f"net_pcap0,rx_pcap={path}", queues=2).refused(
            "2 rx queues asked for, the device has 1")
        Sink(net, ours, "vdev", f"net_pcap0,rx_pcap={directory}/none.pcap").refused(
            "error port p: DPDK could not use device net_pcap0")


def tap_receives(net):
    ours, traffic = net.namespace(), Traffic()
    sink = Sink(net, ours, "vdev", "net_tap0,iface=tap0").ready()
    net.ip(ours, "addr", "add", "10.8.0.1/24", "dev", "tap0")
    net.ip(ours, "neigh", "add", "10.8.0.2", "lladdr", "02:00:00:00:00:02", "dev", "tap0")
    traffic.send(net.socket(ours, *UDP4), "10.8.0.2", PORT, [1, 100, 1472])
    wait_until("three datagrams", lambda: len(sink.got) >= 3)
    assert {(size, crc) for _, _, size, crc, _ in sink.got} == set(traffic.sent)
    sink.stop()


def tap_counts_what_its_queue_cannot_hold(net):
    """The reader stands still: the kernel's queue for us fills, and drops what comes then."""
    ours, traffic = net.namespace(), Traffic()
    sink = Sink(net, ours, "vdev", "net_tap0,iface=tap0").ready()
    net.ip(ours, "addr", "add", "10.8.0.1/24", "dev", "tap0")
    net.ip(ours, "neigh", "add", "10.8.0.2", "lladdr", "02:00:00:00:00:02", "dev", "tap0")
    sock, before = net.socket(ours, *UDP4), sink.stats()
    os.kill(sink.pid(), signal.SIGSTOP)
    try:
        for _ in range(30):
            traffic.send(sock, "10.8.0.2", PORT, [100] * 100)
    finally:
        os.kill(sink.pid(), signal.SIGCONT)
    dropped = int(json.loads(net.ip(ours, "-j", "-s", "link", "show", "dev", "tap0"))[0]["stats64"]
                  ["tx"]["dropped"])
    assert dropped > 0, "the queue held all"
    wait_until("the rest", lambda: sum(size == 100 for _, _, size, *_ in sink.got) >= 3000 - dropped)
    stats = sink.stop()
    assert before["tap_dropped"] == 0 and stats["tap_dropped"] == dropped, (before, stats, dropped)
    assert sum(size == 100 for _, _, size, *_ in sink.got) == 3000 - dropped


def tap_filter_opens_for_groups(net):
    for listener, count in (("10.8.0.2", "0"), ("239.7.7.7", "1"), ("ff05::7", "1")):
        ours = net.namespace()
        sink = Sink(net, ours, "vdev", "net_tap0,iface=tap0", f"{listener}/{PORT}").ready()
        assert f"allmulti {count}" in net.ip(ours, "-d", "link", "show", "dev", "tap0"), listener
        sink.stop()


def memif_receives(net):
    ours = net.namespace()
    with tempfile.TemporaryDirectory() as directory:
        address = f"socket={directory}/memif.sock,socket-abstract=no"
        sink = Sink(net, ours, "vdev", f"net_memif0,role=server,{address}").ready()
        # A peer goes, another comes.
        for _ in range(2):
            seen = len(sink.got)
            with Sender(net, ours, f"net_memif0,role=client,{address}"):
                wait_until("testpmd's frames", lambda: len(sink.got) >= seen + 1000)
                # While it is connected: the driver forgets its counters with its peer.
                assert sink.stats()["rx_packets"] >= seen + 1000
            wait_until("the peer's end", lambda: sink.stats()["link_up"] == 0)
        sink.stop()


def memif_restarts_after_a_kill(net):
    ours = net.namespace()
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/memif.sock"
        device = f"net_memif0,role=server,socket={path},socket-abstract=no"
        sink = Sink(net, ours, "vdev", device).ready()
        os.kill(sink.pid(), signal.SIGKILL)
        sink.process.wait(WAIT_S)
        Sink(net, ours, "vdev", device).refused("finding fatal", "left over", f"rm {path}")
        os.unlink(path)
        Sink(net, ours, "vdev", device).ready().stop()


def virtio_user_receives(net):
    """A virtio device whose other end is testpmd, as a virtual switch would be; the other end
    goes first."""
    ours = net.namespace()
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/vhost.sock"
        with Sender(net, ours, f"net_vhost0,iface={path}", "--txpkts=1400"):
            wait_until("testpmd's socket", lambda: os.path.exists(path))
            sink = Sink(net, ours, "vdev", f"net_virtio_user0,path={path}").ready()
            wait_until("testpmd's frames", lambda: len(sink.got) >= 1000)
        wait_until("the peer's end", lambda: sink.stats()["link_up"] == 0)
        stats = sink.stop()
        assert stats["rx_packets"] == len(sink.got), stats


def ring_starts_and_stops(net):
    sink = Sink(net, net.namespace(), "vdev", "net_ring0").ready()
    assert sink.stop()["rx_packets"] == 0


class Shipped:
    """A profile of drivers-config, run in an empty directory as its first lines say."""

    def __init__(self, net, namespace, name):
        self.directory = tempfile.TemporaryDirectory()
        self.cwd = self.directory.name
        os.mkdir(f"{self.cwd}/run")
        copy = f"{self.cwd}/{name}.yaml"
        with open(os.path.join(FAMILIES, f"{name}.yaml")) as f, open(copy, "w") as g:
            # What must be an absolute path lies in the directory, too.
            g.write(f.read().replace("=/run/", f"={self.cwd}/run/"))
        self.arguments = (net, namespace, "profile", copy)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.directory.cleanup()

    def start(self):
        return Sink(*self.arguments, queues=0, cwd=self.cwd).ready()


def shipped_profile_af_xdp(net):
    ours, theirs = net.veth(queues=(2, 2))
    net.ip(ours, "link", "set", "in", "down")
    net.ip(ours, "link", "set", "in", "name", "eth0", "up")
    net.ip(ours, "addr", "add", "fd07::1/64", "dev", "eth0", "nodad")
    traffic = Traffic()
    with Shipped(net, ours, "af_xdp") as shipped:
        sink = shipped.start()
        # Strict, as for a wire: this sender has to compute its checksums.
        net.execute(theirs, "ethtool", "-K", "out", "tx", "off")
        for family, address in ((UDP4, "10.7.0.1"), (UDP6, "fd07::1")):
            for _ in range(16):
                traffic.send(net.socket(theirs, *family), address, PORT, [100, 1400, 5000])
        traffic.arrived(sink)
        assert {q for path, q, *_ in sink.got if path == "port"} == {0, 1}
        sink.stop()


def shipped_profile_tap(net):
    ours, traffic = net.namespace(), Traffic()
    with Shipped(net, ours, "tap") as shipped:
        sink = shipped.start()
        net.ip(ours, "address", "add", "192.0.2.1/24", "dev", "penstock0")
        net.ip(ours, "neighbour", "add", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev",
               "penstock0")
        traffic.send(net.socket(ours, *UDP4), "192.0.2.2", PORT, [1, 100, 1472])
        wait_until("three datagrams", lambda: len(sink.got) >= 3)
        assert {(size, crc) for _, _, size, crc, _ in sink.got} == set(traffic.sent)
        sink.stop()


def shipped_profile_memif(net):
    ours = net.namespace()
    with Shipped(net, ours, "memif") as shipped:
        sink = shipped.start()
        with Sender(net, ours, f"net_memif0,role=client,socket={shipped.cwd}/run/penstock-memif.sock,"
                    "socket-abstract=no,bsize=9216"):
            wait_until("testpmd's frames", lambda: len(sink.got) >= 1000)
        sink.stop()


def shipped_profile_virtio(net):
    ours = net.namespace()
    with Shipped(net, ours, "virtio") as shipped:
        path = f"{shipped.cwd}/run/vhost.sock"
        with Sender(net, ours, f"net_vhost0,iface={path}"):
            wait_until("testpmd's socket", lambda: os.path.exists(path))
            sink = shipped.start()
            wait_until("testpmd's frames", lambda: len(sink.got) >= 1000)
            sink.stop()


def shipped_profile_pcap(net):
    traffic = Traffic()
    macs = b"\2" * 6, b"\2" * 5 + b"\3"
    with Shipped(net, net.namespace(), "pcap") as shipped:
        write_pcap(f"{shipped.cwd}/run/trial.pcap",
                   [udp_frame(macs, "192.0.2.1", "192.0.2.2", port, traffic.payload(100))
                    for port in (5514, 8125, 26400)])
        sink = shipped.start()
        traffic.arrived(sink)
        sink.stop()


def shipped_profile_ring(net):
    with Shipped(net, net.namespace(), "ring") as shipped:
        assert shipped.start().stop()["rx_packets"] == 0


def plain_af_xdp_vdev_is_refused(net):
    Sink(net, net.namespace(), "vdev", "net_af_xdp0,iface=lo").refused(
        "neither steering nor kernel path")
    Sink(net, net.namespace(), "pci", "no-address").refused("is not a PCI address")


CASES = {name: case for name, case in list(globals().items())
         if inspect.isfunction(case) and case.__module__ == __name__
         and case.__code__.co_varnames[:1] == ("net",)
         and case.__code__.co_argcount == 1 + len(case.__defaults__ or ())}


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(CASES))
        return
    if len(sys.argv) != 2 or sys.argv[1] not in CASES:
        sys.exit("usage: port_test.py CASE|--list")
    if "PST_PORT_SINK" not in os.environ:
        sys.exit("PST_PORT_SINK must name the sink program")
    require_root()
    with Net() as net:
        CASES[sys.argv[1]](net)


if __name__ == "__main__":
    main()
