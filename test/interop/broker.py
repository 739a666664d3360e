"""A Kafka broker of one node on loopback, and the stock consumers that ask it.

A partition directory is adopted by putting its files in the place of a topic's own while the
broker is stopped. Without its checkpoints and its mark of a clean stop the broker believes
nothing: it checks every batch of every segment and builds both indexes anew.
"""

import json
import re
import shutil
import socket

import jars
from cases import *
from records import Printed

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={logs}
metadata.log.dir={metadata}
num.partitions=1
auto.create.topics.enable=true
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
log.cleaner.enable=false
log.retention.ms=-1
"""
CLUSTER_ID = "cGVuc3RvY2stdGVzdC0wMQ"
BELIEFS = [
    "recovery-point-offset-checkpoint",
    "log-start-offset-checkpoint",
    "replication-offset-checkpoint",
    ".kafka_cleanshutdown",
]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Broker:
    def __init__(self, directory):
        directory.mkdir()
        self.port, controller = free_ports(2)
        self.address = f"127.0.0.1:{self.port}"
        self.logs, self.log = directory / "logs", directory / "server.log"
        self.config = directory / "server.properties"
        metadata = directory / "metadata"
        values = dict(port=self.port, controller=controller, logs=self.logs, metadata=metadata)
        self.config.write_text(PROPERTIES.format(**values))
        tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", self.config]
        run(jars.java(*tool))

    def start(self):
        command = jars.java("kafka.Kafka", self.config, heap="1g")
        self.process = start(command, self.log)

    def stop(self):
        stop(self.process, "the broker", self.log)

    def leads(self, topics):
        """Waits until it serves these topics, creating those that are not there."""
        self.wanted = topics
        wait_until(self._leads, f"broker with {', '.join(topics)}", self.process, self.log)

    def _leads(self):
        led = 0
        for topic in self.wanted:
            command = ["kcat", "-b", self.address, "-L", "-J", "-t", topic, "-m", "2"]
            try:
                told = json.loads(run(command + ["-X", "allow.auto.create.topics=true"]))
            except Failed:
                return False  # not up yet
            partitions = told["topics"][0]["partitions"]
            led += len(partitions) == 1 and partitions[0]["leader"] == 1
        return led == len(self.wanted)

    def adopt(self, topic, files):
        """Takes files in the place of the topic's own. The broker is stopped."""
        place = self.logs / f"{topic}-0"
        for path in place.iterdir():
            if path.name != "partition.metadata":
                path.unlink()
        for path in files:
            shutil.copy(path, place)

    def forget(self):
        for name in BELIEFS:
            (self.logs / name).unlink(missing_ok=True)

    def complaints(self, topic):
        """Lines of its own log, warnings and worse, that name a topic's partition."""
        lines = self.log.read_text(errors="replace").splitlines()
        name = re.compile(rf"(?<![\w-]){re.escape(topic)}-0\b")
        return [line for line in lines if name.search(line)]


# What cannot come about in an event by chance.
FIELD_END, RECORD_END, HEADER_END = (f"\x1f{name}\x1e" for name in "FRH")


def check_kcat(broker, topic, records, *more):
    """librdkafka's consumer, with checksums verified."""
    out = run(
        ["kcat", "-b", broker.address, "-C", "-q", "-t", topic, "-p", "0", "-e"]
        + ["-X", "check.crcs=true", "-f", "%T %o %K %k %S %s\n"]
        + (list(more) or ["-o", "beginning"])
    )
    Printed(out, f"kcat {topic}").expect_all(map(by_kcat, records), records)


def by_kcat(record):
    key = record.key or b""
    key_size = -1 if record.key is None else len(key)
    head = f"{record.timestamp} {record.offset} {key_size} ".encode()
    return head + key + f" {len(record.value)} ".encode() + record.value + b"\n"


def check_console(broker, topic, records):
    """The Java client, by Kafka's console consumer: bytes as they are, headers included."""
    command = jars.java("org.apache.kafka.tools.consumer.ConsoleConsumer")
    command += ["--bootstrap-server", broker.address, "--topic", topic, "--partition", "0"]
    command += ["--offset", "earliest", "--max-messages", len(records), "--timeout-ms", "30000"]
    for what in ("timestamp", "offset", "headers", "key"):
        command += ["--property", f"print.{what}=true"]
    command += ["--property", f"key.separator={FIELD_END}"]
    command += ["--property", f"line.separator={RECORD_END}"]
    command += ["--property", f"headers.separator={HEADER_END}"]
    out = run(command)
    Printed(out, f"console consumer {topic}").expect_all(map(by_console, records), records)


def by_console(record):
    headers = [name.encode() + b":" + value for name, value in record.headers]
    fields = [f"CreateTime:{record.timestamp}".encode(), f"Offset:{record.offset}".encode()]
    fields.append(HEADER_END.encode().join(headers) or b"NO_HEADERS")
    fields += [b"null" if record.key is None else record.key, record.value]
    return FIELD_END.encode().join(fields) + RECORD_END.encode()
