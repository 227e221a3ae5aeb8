"""`python -m benchmarks.fleet`: what the rules and the dashboards cost a Prometheus with many hosts.

It makes the blocks of the fleet, lets a Prometheus evaluate the rules as they are printed, and asks the dashboards'
queries as Grafana does. Figures are CPU seconds of Prometheus: other work on the machine does not change them.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.fleet_blocks import Fleet, Series, hosts, templates
from benchmarks.subject import ticks_of

_TOP = Path(__file__).parent.parent
_RESULTS = Path(__file__).parent / "fleet.md"
_JOB = "docker-storage"
_HOST = "host-00007.example:9588"
#: What a panel shows when a dashboard opens, and a point for each so many seconds: Grafana's for half a screen.
_RANGE, _STEP = 6 * 3600, 30
_BUDGET, _HOST_SECONDS, _FLEET_SECONDS = 0.10, 1.0, 3.0


@dataclass
class Server:
    """A running Prometheus."""

    url: str
    process: subprocess.Popen[bytes]
    now: float
    failures: list[str] = field(default_factory=list)

    def ask(self, path: str, **parameters: object) -> Any:
        """The data of an answer of its API; raises RuntimeError with its reason."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=300) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{parameters}: {error.read().decode()}") from None

    def instant(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        return list(self.ask("query", query=expression, time=self.now)["result"])

    def cost(self, expression: str, step: int = 0) -> tuple[float, int]:
        """CPU seconds of a query, and the number of series in its answer; with a step it is of a range."""
        before = self.cpu_seconds()
        if step:
            asked: dict[str, object] = {"start": self.now - _RANGE, "end": self.now, "step": step}
            found = self.ask("query_range", query=expression, **asked)["result"]
        else:
            found = self.instant(expression)
        return self.cpu_seconds() - before, len(found)

    def cpu_seconds(self) -> float:
        """CPU seconds that it has taken."""
        return ticks_of(self.process.pid) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def server(data: Path, now: float, rules: str = "") -> Iterator[Server]:
    """Run a Prometheus on the blocks, on one core and without scrapes, for the length of a `with` block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (data.parent / "rules.yml").write_text(rules or "groups: []\n")
    config = data.parent / "prometheus.yml"
    config.write_text("global: {evaluation_interval: 1m}\nrule_files: [rules.yml]\n")
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address={address}",
    ]
    command += ["--storage.tsdb.retention.time=100d"]
    log = (data.parent / "log").open("wb")
    process = subprocess.Popen(command, stderr=log, env={**os.environ, "GOMAXPROCS": "1"})
    try:
        running = Server(f"http://{address}", process, now)
        until = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError, RuntimeError):
                running.ask("query", query="1")
                break
            if time.monotonic() > until or process.poll() is not None:
                sys.exit((data.parent / "log").read_text())
            time.sleep(0.2)
        yield running
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def recorded(
    top: Path, fleet: Fleet, now: float, own: Sequence[Series], groups: Sequence[dict[str, Any]]
) -> list[Series]:
    """The series that the recording rules make of one host, by a fleet of four: all hosts are alike."""
    wanted = {rule["record"]: rule["expr"] for group in groups for rule in group["rules"] if "record" in rule}
    few, made = hosts(4, _JOB, fleet.label), list[Series]()
    while wanted:
        ready = [name for name, text in wanted.items() if not any(other in text for other in wanted if other != name)]
        with tempfile.TemporaryDirectory(dir=top) as name:
            data = Path(name) / "data"
            fleet.write(data, [*own, *made], few)
            with server(data, now) as running:
                for one in ready or wanted:
                    made += _recorded(running, one, wanted[one], few)
        for one in ready or list(wanted):
            del wanted[one]
    return made


def _recorded(running: Server, name: str, expression: str, few: Sequence[dict[str, str]]) -> list[Series]:
    made = []
    for one in running.instant(expression):
        labels = {**one["metric"], "__name__": name}
        if labels.get("instance") == few[0]["instance"]:
            rest = sorted((key, text) for key, text in labels.items() if key not in few[0])
            made.append(Series(tuple(rest), float(one["value"][1]), long=True))
    return made


def evaluate(data: Path, now: float, rules: str, groups: Sequence[dict[str, Any]]) -> tuple[list[str], float]:
    """Measure each rule, and let Prometheus evaluate them by itself; the lines, and the share of one core."""
    lines, share = [], 0.0
    with server(data, now) as running:
        running.instant('{__name__=~"docker_storage_.*_bytes"}')  # the index is in memory
        costs = [_rule(running, group, rule) for group in groups for rule in group["rules"]]
    for name, interval in dict.fromkeys((name, interval) for _, name, interval, _ in costs):
        own = [(seconds, rule) for seconds, group, _, rule in costs if group == name]
        total = sum(seconds for seconds, _ in own)
        share += total / interval
        worst = ", ".join(f"{rule} {seconds:.2f}" for seconds, rule in sorted(own, reverse=True)[:3])
        lines.append(f"| {name} | {interval} | {total:.2f} | {100 * total / interval:.1f} % | {worst} |")
    own_share = _by_itself(data, now, rules, max(interval for _, _, interval, _ in costs))
    lines += ["", f"Prometheus by itself: {100 * own_share:.1f} % of one core, all groups at their intervals."]
    return lines, share


def _by_itself(data: Path, now: float, rules: str, interval: int) -> float:
    """The share of one core that Prometheus takes when it evaluates the rules at their intervals."""
    with server(data, now, rules) as running:
        time.sleep(interval + 10)  # the index is read at the first evaluation
        before, started = running.cpu_seconds(), time.monotonic()
        time.sleep(max(interval, 120))
        return (running.cpu_seconds() - before) / (time.monotonic() - started)


def _rule(running: Server, group: dict[str, Any], rule: dict[str, Any]) -> tuple[float, str, int, str]:
    seconds, _ = running.cost(rule["expr"])
    return seconds, group["name"], _seconds(group.get("interval", "1m")), rule.get("alert") or rule["record"]


def _seconds(text: str) -> int:
    found = re.findall(r"(\d+)([smhd])", text)
    return sum(int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit] for number, unit in found)


def dashboard(running: Server, name: str) -> tuple[list[str], float]:
    """Ask the queries of a dashboard's first screen; a line for each slow panel, and CPU seconds of all."""
    whole = json.loads((_TOP / "grafana" / name).read_text())
    costs: list[tuple[float, str]] = []
    for title, expression, step in _queries(whole):
        seconds, _ = running.cost(filled(expression), step)
        costs.append((seconds, title))
    total = sum(seconds for seconds, _ in costs)
    worst = ", ".join(f"{title} {seconds:.2f}" for seconds, title in sorted(costs, reverse=True)[:4])
    return [f"{len(costs)} queries, {total:.2f} s: {worst}"], total


def _queries(whole: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Title, expression and step (0: of one instant), of what is asked before a row is opened."""
    for one in whole["annotations"].get("list", ()):
        if "expr" in one:
            yield one["name"], one["expr"], _STEP
    for panel in whole["panels"]:
        for target in panel.get("targets", ()):
            step = max(_STEP, _seconds(panel.get("interval", "")))
            yield panel["title"], target["expr"], 0 if target.get("instant") else step


def filled(expression: str) -> str:
    """Put in the variables as Grafana does when a dashboard opens."""
    values = {"$__rate_interval": "4m", "$__range": "6h", "$job": ".+", "$cluster": ".*", "$top": "10"}
    values["$instance"] = re.escape(_HOST).replace("\\", "\\\\").replace("\\\\-", "-")
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


def main() -> None:
    """Make the fleets, measure, print, and write benchmarks/fleet.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=500)
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--label", help="a label such as cluster, on series and in rules")
    parser.add_argument("--only", choices=("rules", "dashboards"))
    parser.add_argument("--keep", type=Path, help="make the blocks here, or take those that are here")
    chosen = parser.parse_args()
    command = [sys.executable, "-m", "exporter", "rules", "--job", _JOB]
    command += ["--label", chosen.label] if chosen.label else []
    rules = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    groups = yaml.safe_load(rules)["groups"]
    with tempfile.TemporaryDirectory() as scratch:
        top = chosen.keep or Path(scratch)
        data, now = top / "data", time.time()
        made = top / "made"
        if made.exists():
            now = float(made.read_text())
        else:
            shutil.rmtree(data, ignore_errors=True)
            started = time.perf_counter()
            fleet, own = Fleet(now, chosen.label), templates(chosen.series)
            own += recorded(top, fleet, now, own, groups)
            fleet.write(data, own, hosts(chosen.hosts, _JOB, chosen.label))
            made.write_text(str(now))
            print(f"blocks made in {time.perf_counter() - started:.0f} s", flush=True)
        if chosen.only != "dashboards":
            lines, share = evaluate(data, now, rules, groups)
            print("\n".join(lines), f"\n{100 * share:.1f} %", flush=True)
        if chosen.only == "rules":
            return
        with server(data, now) as running:
            for name, budget in (("docker-storage.json", _HOST_SECONDS), ("docker-storage-fleet.json", _FLEET_SECONDS)):
                lines, seconds = dashboard(running, name)
                print(name, budget, seconds, "\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
