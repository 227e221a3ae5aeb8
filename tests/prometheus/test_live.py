"""A real Prometheus with the rules loaded scrapes a real exporter on a busy root."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exporter.demo import Busy
from exporter.rules import Settings, rules
from tests.conftest import needs

_TOP = Path(__file__).parent.parent.parent
_DASHBOARDS = ("docker-storage.json", "docker-storage-fleet.json")
_VARIABLES = {"$job": "docker-storage", "$instance": ".+", "$top": "10", "$__rate_interval": "10s"}
_DEADLINE_SECONDS = 100
#: Labels without a value on this root, which Prometheus leaves out.
_WITHOUT_VALUE = {"revision", "compose_project"}
#: Rightly empty here: BuildKit came long after aufs, so the root has no record of its cache.
_RIGHTLY_EMPTY = "build_cache_record_"
pytestmark = needs("prometheus")


@dataclass
class Prometheus:
    address: str

    def ask(self, path: str, **parameters: object) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}?{query}", timeout=20) as answer:
            return json.load(answer)["data"]

    def panel(self, target: dict[str, Any]) -> list[dict[str, Any]]:
        expression = target["expr"]
        for name, value in _VARIABLES.items():
            expression = expression.replace(name, value)
        now = time.time()
        if target.get("instant"):
            return list(self.ask("query", query=expression)["result"])
        return list(self.ask("query_range", query=expression, start=now - 20, end=now, step=2)["result"])

    def alerts(self, state: str) -> set[str]:
        return {one["labels"]["alertname"] for one in self.ask("alerts")["alerts"] if one["state"] == state}


def _line(process: subprocess.Popen[bytes], log: Path, pattern: str) -> re.Match[str]:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if found := re.search(pattern, log.read_text()):
            return found
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Build the root, start both, and live on until a log that runs away has been told of."""
    tmp_path = tmp_path_factory.mktemp("live")
    busy = Busy(tmp_path / "docker")
    command = [sys.executable, "-m", "exporter", "run", "--root", str(busy.root), "--scan.interval", "1"]
    command += ["--watch.look-interval", "1", "--layers.orphaned-after", "2", "--cache.file", "none"]
    command += ["--web.listen-address", "127.0.0.1:0"]
    (tmp_path / "rules.yml").write_text(rules(Settings(speed=900)))
    logs = tmp_path / "exporter.log", tmp_path / "prometheus.log"
    with logs[0].open("wb") as log:
        exporter = subprocess.Popen(command, stderr=log)
    started = [exporter]
    try:
        target = f"127.0.0.1:{_line(exporter, logs[0], '127[.]0[.]0[.]1:([0-9]+)')[1]}"
        config = {"job_name": "docker-storage", "static_configs": [{"targets": [target]}]}
        every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        whole = {"global": every, "rule_files": ["rules.yml"], "scrape_configs": [config]}
        (tmp_path / "prometheus.yml").write_text(json.dumps(whole))
        address = f"127.0.0.1:{_free_port()}"
        flags = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
        with logs[1].open("wb") as log:
            started.append(subprocess.Popen(["prometheus", *flags, f"--web.listen-address={address}"], stderr=log))
        _line(started[1], logs[1], "Server is ready")
        client = Prometheus(address)
        until = time.monotonic() + _DEADLINE_SECONDS
        while "DockerContainerLogRunaway" not in client.alerts("firing") or busy.steps < 60:
            assert time.monotonic() < until, client.ask("alerts")
            busy.step()
            time.sleep(0.25)
        yield client
    finally:
        for process in started:
            process.kill()
            process.wait()


def _targets() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name in _DASHBOARDS:
        dashboard = json.loads((_TOP / "grafana" / name).read_text())
        for row in dashboard["panels"]:
            for panel in (row, *row.get("panels", ())):
                for target in panel.get("targets", ()):
                    yield f"{name}: {panel['title']} {target['refId']}", panel, target


def _labels(panel: dict[str, Any], target: dict[str, Any]) -> set[str]:
    labels = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
    for one in panel.get("transformations", ()):
        if one["id"] == "organize":
            labels |= {label for label in one["options"]["indexByName"] if not label.startswith("Value")}
    return labels


def test_every_panels_query_returns_series_with_the_labels_that_it_shows(prometheus: Prometheus) -> None:
    wrong = {}
    for where, panel, target in _targets():
        series = prometheus.panel(target)
        missing = {one for one in _labels(panel, target) if not any(one in found["metric"] for found in series)}
        if (not series and _RIGHTLY_EMPTY not in target["expr"]) or (series and missing - _WITHOUT_VALUE):
            wrong[where] = missing
    assert wrong == {}


def test_a_log_that_runs_away_is_told_of_with_its_name(prometheus: Prometheus) -> None:
    found = [
        one for one in prometheus.ask("alerts")["alerts"] if one["labels"]["alertname"] == "DockerContainerLogRunaway"
    ]
    assert found[0]["state"] == "firing"
    assert found[0]["labels"]["name"] == "mediawiki"
    assert "nickstenning/mediawiki" in found[0]["annotations"]["description"]
    assert "GiB" in found[0]["annotations"]["description"]


def test_recording_rules_give_series(prometheus: Prometheus) -> None:
    names = re.findall(r"record: (\S+)", rules(Settings()))
    assert len(names) == 5
    # Whether this machine's own disk fills while the test runs is not the test's to say.
    empty = [name for name in names if "full_seconds" not in name and not prometheus.ask("query", query=name)["result"]]
    assert empty == []


def test_annotations_are_valid_queries(prometheus: Prometheus) -> None:
    for name in _DASHBOARDS:
        for annotation in json.loads((_TOP / "grafana" / name).read_text())["annotations"].get("list", ()):
            assert prometheus.panel({"expr": annotation["expr"]}) is not None
