"""Real exporters, a real Prometheus on them, and the dashboards' queries as Grafana sends them."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.rules import Settings, rules
from tests.support.paths import TOP
from tests.support.waiting import DEADLINE, eventually

DASHBOARDS = ("docker-storage.json", "docker-storage-fleet.json")
JOB = "docker-storage"
#: What Grafana puts before a character that is special in a regular expression, inside a PromQL string.
_SPECIAL = re.compile(r"[$^*{}\[\]'+?.()|]")
#: At a scrape each second, with four of them in the window.
_RATE_INTERVAL = "4s"


@dataclass(frozen=True)
class Query:
    """One target of a panel, or an annotation; `labels` are those that its legend or table shows."""

    where: str
    expression: str
    instant: bool = False
    labels: frozenset[str] = frozenset()


def dashboard(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((TOP / "grafana" / name).read_text())
    return loaded


def queries(name: str) -> Iterator[Query]:
    """Every query of a dashboard's panels."""
    for row in dashboard(name)["panels"]:
        for panel in (row, *row.get("panels", ())):
            for target in panel.get("targets", ()):
                where = f"{name}: {panel['title']} {target['refId']}"
                yield Query(where, target["expr"], bool(target.get("instant")), _labels(panel, target))


def annotations(name: str) -> Iterator[Query]:
    """Every query of a dashboard's annotations."""
    for one in dashboard(name)["annotations"].get("list", ()):
        if "expr" in one:
            labels = frozenset(re.findall(r"{{(\w+)}}", one["titleFormat"]))
            yield Query(f"{name}: {one['name']}", one["expr"], labels=labels)


def _labels(panel: dict[str, Any], target: dict[str, Any]) -> frozenset[str]:
    labels = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
    for one in panel.get("transformations", ()):
        if one["id"] == "organize":
            labels |= {label for label in one["options"]["indexByName"] if not label.startswith("Value")}
    return frozenset(labels)


def escaped(chosen: Sequence[str], everything: str) -> str:
    """Values of a variable as Grafana puts them in: escaped as a regular expression; nothing chosen is All."""
    texts = [_SPECIAL.sub(lambda found: "\\\\" + found[0], one) for one in chosen]
    return texts[0] if len(texts) == 1 else f"({'|'.join(texts)})" if texts else everything


def with_variables(expression: str, values: Mapping[str, str]) -> str:
    """Put values in for the names of variables; all must be there."""
    for name, value in values.items():
        expression = expression.replace(name, value)
    assert not re.search(r"\$[A-Za-z_{]", expression), expression
    return expression


def interpolated(expression: str, instances: Sequence[str] = (), job: str = JOB) -> str:
    """Put in the variables as Grafana does. Without hosts it is every host, as in a list of all of them."""
    values = {"$__rate_interval": _RATE_INTERVAL, "$job": job, "$cluster": ".*"}
    return with_variables(expression, {**values, "$instance": escaped(instances, ".+"), "$top": "10"})


@dataclass
class Prometheus:
    address: str

    def ask(self, path: str, **parameters: object) -> Any:
        return self.whole(path, **parameters)["data"]

    def whole(self, path: str, **parameters: object) -> dict[str, Any]:
        """An answer with the warnings that are in it."""
        query = urllib.parse.urlencode(parameters, doseq=True)
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}?{query}", timeout=DEADLINE) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def instant(self, expression: str) -> list[dict[str, Any]]:
        return list(self.ask("query", query=expression)["result"])

    def answer(self, query: Query, instances: Sequence[str] = ()) -> list[dict[str, Any]]:
        """What Grafana gets for a query; a query that fails is an AssertionError with Prometheus' reason."""
        expression = interpolated(query.expression, instances)
        if query.instant:
            return self.instant(expression)
        now = time.time()
        return list(self.ask("query_range", query=expression, start=now - 20, end=now, step=2)["result"])

    def firing(self) -> set[tuple[str, str]]:
        """The alerts that fire: name and instance."""
        labels = (one["labels"] for one in self.ask("alerts")["alerts"] if one["state"] == "firing")
        return {(one["alertname"], one.get("instance", "")) for one in labels}


@dataclass
class Live:
    """What a test started; ended by `close`."""

    scratch: Path
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def exporter(self, root: Path, *flags: str) -> tuple[subprocess.Popen[bytes], str]:
        """Start an exporter that looks often; return it and its address."""
        command = [sys.executable, "-m", "exporter", "run", "--root", str(root), "--scan.interval", "1"]
        command += ["--watch.look-interval", "1", "--layers.orphaned-after", "2", "--cache.file", "none"]
        command += ["--scan.workers", "1", "--web.listen-address", "127.0.0.1:0", *flags]
        process, found = self._start(command, "127[.]0[.]0[.]1:([0-9]+)")
        return process, f"127.0.0.1:{found[1]}"

    def prometheus(self, targets: Mapping[str, str], settings: Settings) -> Prometheus:
        """Start Prometheus with the rules on `targets`, addresses by the names that they are shown by."""
        (self.scratch / "rules.yml").write_text(rules(settings))
        static = [{"targets": [address], "labels": {"instance": name}} for name, address in targets.items()]
        config = {"job_name": JOB, "static_configs": static}
        every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        whole = {"global": every, "rule_files": ["rules.yml"], "scrape_configs": [config]}
        return self._started_prometheus(["prometheus"], whole)

    def filled(self, program: Sequence[str], text: str) -> Prometheus:
        """Start Prometheus with these rules on the blocks in `data`; it scrapes nothing."""
        (self.scratch / "rules.yml").write_text(text)
        return self._started_prometheus(program, {"rule_files": ["rules.yml"]})

    def _started_prometheus(self, program: Sequence[str], config: dict[str, Any]) -> Prometheus:
        (self.scratch / "prometheus.yml").write_text(json.dumps(config))
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
        command = [*program, f"--config.file={self.scratch}/prometheus.yml"]
        command += [f"--storage.tsdb.path={self.scratch}/data", f"--web.listen-address={address}"]
        self._start(command, "Server is ready")
        return Prometheus(address)

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()

    def _start(self, command: list[str], pattern: str) -> tuple[subprocess.Popen[bytes], re.Match[str]]:
        path = self.scratch / f"{len(self._started)}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(command, stderr=log)
        self._started.append(process)

        def found() -> re.Match[str] | None:
            assert process.poll() is None, path.read_text()
            return re.search(pattern, path.read_text())

        return process, eventually(found, otherwise=path.read_text)
