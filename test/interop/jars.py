"""Apache Kafka's jars, fetched once from Maven Central with Maven into run/kafka-libs."""

import re
import shutil
import subprocess
import time

from cases import *

KAFKA_VERSION = "3.9.1"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
HOME = TOP / "run" / "kafka-libs"
JARS = HOME / KAFKA_VERSION
COMPLETE = JARS / "complete"
# A registry that cannot be reached answers late or never.
FETCH_S = 300

POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>penstock</groupId>
  <artifactId>interop</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>{version}</version>
    </dependency>
  </dependencies>
</project>
"""


def fetch():
    """Makes sure that the jars are there; skips, saying why, if they are not to be had."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            raise Skipped(f"{program} is not installed: scripts/install-deps --test")
    if COMPLETE.exists() and sorted(p.name for p in JARS.glob("*.jar")) == listed():
        return
    shutil.rmtree(HOME, ignore_errors=True)
    JARS.mkdir(parents=True)
    pom, local = HOME / "pom.xml", HOME / "repository"
    pom.write_text(POM.format(version=KAFKA_VERSION))
    command = ["mvn", "-B", "-q", "-f", pom, f"-Dmaven.repo.local={local}"]
    command += ["-Dstyle.color=never", f"{PLUGIN}:copy-dependencies", f"-DoutputDirectory={JARS}"]
    started = time.monotonic()
    failure = failure_of(command)
    if failure:
        shutil.rmtree(HOME, ignore_errors=True)
        raise Skipped(f"Kafka {KAFKA_VERSION} could not be fetched: {failure}")
    COMPLETE.write_text("\n".join(sorted(p.name for p in JARS.glob("*.jar"))))
    shutil.rmtree(local)
    print(f"fetched {len(listed())} jars in {time.monotonic() - started:.0f} s", flush=True)


def listed():
    return COMPLETE.read_text().split()


def failure_of(command):
    """Runs Maven; returns what went wrong, or None. It says so on stdout, in many lines."""
    try:
        done = subprocess.run(
            [str(c) for c in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=FETCH_S,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {FETCH_S} s"
    if done.returncode == 0 and (JARS / f"kafka_2.13-{KAFKA_VERSION}.jar").exists():
        return None
    error = re.search(r"\[ERROR\] *(\S.*)", done.stdout)
    return error.group(1)[:500] if error else "Maven does not say why"


def java(*arguments, heap="512m"):
    """The words of a command that runs one of Kafka's classes."""
    config = HOME / "log4j.properties"
    config.write_text(LOGGING)
    command = ["java", f"-Xmx{heap}", "-Dfile.encoding=UTF-8"]
    # They live for seconds: what it takes to compile their code well never comes back.
    command += ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    command += [f"-Dlog4j.configuration=file:{config}", "-cp", f"{JARS}/*"]
    return command + list(arguments)


# Warnings and errors alone, on stderr.
LOGGING = """\
log4j.rootLogger=WARN, stderr
log4j.appender.stderr=org.apache.log4j.ConsoleAppender
log4j.appender.stderr.target=System.err
log4j.appender.stderr.layout=org.apache.log4j.PatternLayout
log4j.appender.stderr.layout.ConversionPattern=%p %m (%c)%n
"""
