"""What penstock itself says of its log, and how others print the same records."""

import base64
import json
import struct

from cases import *


class Record:
    __slots__ = ("offset", "timestamp", "key", "headers", "value")

    def __init__(self, line):
        told = json.loads(line)
        self.offset, self.timestamp = told["offset"], told["timestamp"]
        self.key, self.value = raw(told, "key"), raw(told, "value")
        # (name, bytes), in the record's order.
        self.headers = list(headers(told["headers"]))

    def __repr__(self):
        return f"offset {self.offset} key {self.key} {self.headers} value {short(self.value)}"


def raw(told, name):
    if name + "_base64" in told:
        return base64.b64decode(told[name + "_base64"], validate=True)
    value = told[name]
    return None if value is None else value.encode()


def headers(told):
    for name, value in told.items():
        if name in ("seq", "ts_ns"):
            yield name, struct.pack(">Q", value)
        elif name == "rules":
            yield name, struct.pack(f">{len(value)}I", *value)
        else:
            name = name.removesuffix("_base64")
            yield name, raw(told, name)


def cat(data, topic):
    """All records of partition 0, as `penstock cat` returns them."""
    command = [PENSTOCK, "cat", "-d", data, topic, "-p", "0", "-o", "earliest", "--format", "json"]
    # By lines of LF alone: JSON leaves U+2028 as it is.
    return [Record(line) for line in run(command).split(b"\n")[:-1]]


def check_sent(records, expected):
    """The log holds what was sent, each event once, in the order of its source."""
    got = [(r.key, without_time(r.headers), r.value) for r in records]
    wanted = [(key, list(headers(told)), value) for key, told, value in expected]
    # Sorting is stable: what has one key stays in order.
    check_same(sorted(got, key=by_key), sorted(wanted, key=by_key), "events")
    check_same([r.offset for r in records], list(range(len(records))), "offsets")
    for record in records:
        for name, value in record.headers:
            if name == "ts_ns":
                arrival_ms = int.from_bytes(value, "big") // 1000000
                check_equal(record.timestamp, arrival_ms, f"timestamp of {record.offset}")
    times = [r.timestamp for r in records]
    check_same(times, sorted(times), "timestamps")


def by_key(event):
    return event[0]


def without_time(headers):
    return [h for h in headers if h[0] != "ts_ns"]


class Printed:
    """Output of a foreign program, compared from front to back with what it must be.

    Nothing is parsed, so that an event may hold any byte.
    """

    def __init__(self, data, what):
        self.data, self.at, self.what = data, 0, what

    def expect_all(self, lines, records):
        for text, record in zip(lines, records):
            self.expect(text, record)
        self.expect_end()

    def expect(self, text, record):
        if not self.data.startswith(text, self.at):
            got = self.data[self.at : self.at + len(text) + 20] or b"nothing more"
            raise Failed(f"{self.what}, offset {record.offset}: {short(got)}, not {short(text)}")
        self.at += len(text)

    def line(self):
        """The next line, without its end; None at the end."""
        if self.at == len(self.data):
            return None
        end = self.data.find(b"\n", self.at)
        end = len(self.data) if end < 0 else end
        line, self.at = self.data[self.at : end], end + 1
        return line

    def expect_end(self):
        if self.at != len(self.data):
            rest = self.data[self.at :]
            raise Failed(f"{self.what}: {len(rest)} bytes too many: {short(rest)}")
