"""What tests of the metrics endpoint share: asking it over HTTP from inside a laboratory's namespace,
reading its text, and a real Prometheus that scrapes it."""

import datetime
import http.client
import re
import urllib.parse

from lab import *

METRICS_PORT = 9464
PROMETHEUS_PORT = 9090

CONFIGURATION = """\
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files:
  - {rules}
scrape_configs:
  - job_name: penstock
    static_configs:
      - targets: ['127.0.0.1:{port}']
"""


def connection(lab, port, source="127.0.0.1"):
    """A TCP connection of namespace b to a port of its loopback."""
    link = lab.socket(lab.b, socket.AF_INET, socket.SOCK_STREAM)
    link.settimeout(PATIENCE_S)
    link.bind((source, 0))
    link.connect(("127.0.0.1", port))
    return link


def ask(lab, path, port=METRICS_PORT, **how):
    """(status, text) of a GET."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    client.sock = connection(lab, port, **how)
    try:
        client.request("GET", path, headers={"Connection": "close"})
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


def samples(text):
    """Series -> value, as in the exposition's text."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            check(series not in found, f"{series} is there twice")
            found[series] = float(value)
    return found


def metrics(lab, port=METRICS_PORT, **how):
    status, text = ask(lab, "/metrics", port, **how)
    check_equal(status, 200, f"status of /metrics ({text[:200]})")
    return samples(text)


def metric(found, name):
    """The sum over all of a metric's series."""
    return sum(v for series, v in found.items() if series.split("{")[0] == name)


class Prometheus:
    """Debian's own, in namespace b, with a directory that goes with the test."""

    def __init__(self, lab, directory):
        if not shutil.which("prometheus"):
            raise Skipped("prometheus is not installed")
        self.lab, self.dir = lab, pathlib.Path(directory)
        rules = TOP / "docs/prometheus/penstock.rules.yml"
        config = self.dir / "prometheus.yml"
        config.write_text(CONFIGURATION.format(rules=rules, port=METRICS_PORT))
        self.log = self.dir / "prometheus.log"
        self.process = start(
            ["ip", "netns", "exec", lab.b, "prometheus", f"--config.file={config}"]
            + [f"--storage.tsdb.path={self.dir}/tsdb", "--log.level=warn"]
            + [f"--web.listen-address=127.0.0.1:{PROMETHEUS_PORT}"],
            self.log,
        )
        wait_until(self._ready, "prometheus is ready", self.process, self.log)

    def _ready(self):
        try:
            return ask(self.lab, "/-/ready", PROMETHEUS_PORT)[0] == 200
        except OSError:
            return False

    def api(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        status, text = ask(self.lab, f"/api/v1/{path}?{query}", PROMETHEUS_PORT)
        answer = json.loads(text)
        check(status == 200 and answer["status"] == "success", f"{path} {parameters}: {text[:300]}")
        return answer["data"]

    def query(self, expression):
        """The samples that an expression has now: [(labels, value)]."""
        data = self.api("query", query=expression)
        return [(r["metric"], float(r["value"][1])) for r in data["result"]]

    def scraped_since(self, moment):
        """Waits for a good scrape that began after that moment."""

        def good():
            targets = self.api("targets")["activeTargets"]
            if not targets:
                return False
            target = targets[0]
            # As "2026-01-02T03:04:05.678901234+01:00", in whatever zone
            at = re.sub(r"\.(\d{1,6})\d*", r".\1", target["lastScrape"])
            when = datetime.datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
            return target["health"] == "up" and when > moment

        wait_until(good, "a scrape", self.process, self.log)

    def close(self):
        check_equal(stop(self.process, "prometheus", self.log), 0, "prometheus' exit status")
