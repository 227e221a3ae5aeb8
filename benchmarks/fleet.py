"""`python -m benchmarks.fleet`: what the rules and the dashboards cost a Prometheus with many hosts.

It makes the blocks of the fleet, asks each rule's expression, and the dashboards' queries as Grafana does. Figures are
CPU seconds of a Prometheus on one core: other work on the machine does not change them.
"""

import argparse
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.fleet_blocks import Fleet, Series, hosts, templates
from benchmarks.fleet_server import Server, server

_TOP = Path(__file__).parent.parent
_RESULTS = Path(__file__).parent / "fleet.md"
_JOB = "docker-storage"
_HOST = "host-00007.example:9588"
#: A point for each so many seconds: Grafana's for six hours on half a screen.
_STEP = 30
_RULES_SHARE = 0.10
_DASHBOARDS = {"docker-storage.json": 1.0, "docker-storage-fleet.json": 3.0}
_MANY = 10_000


@dataclass(frozen=True)
class Cost:
    """What one rule or panel costs: CPU seconds; `interval` is that of a rule's group."""

    part: str
    name: str
    seconds: float
    interval: int = 60


@dataclass(frozen=True)
class Result:
    """What was measured with so many hosts."""

    hosts: int
    rules: list[Cost]
    panels: list[Cost]

    @property
    def share(self) -> float:
        """The share of one core that the rules take."""
        return sum(one.seconds / one.interval for one in self.rules)

    def of(self, dashboard: str) -> float:
        """CPU seconds of the first screen of a dashboard."""
        return sum(one.seconds for one in self.panels if one.part == dashboard)


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


def measure(top: Path, number: int, series: int, label: str | None) -> Result:
    """Make a fleet in a directory, or take the one that is there, and measure it."""
    groups = _groups(label)
    data, made = top / "data", top / "made"
    if made.exists():
        now = float(made.read_text())
    else:
        shutil.rmtree(data, ignore_errors=True)
        now = time.time()
        fleet, own = Fleet(now, label), templates(series)
        own += recorded(top, fleet, now, own, groups)
        fleet.write(data, own, hosts(number, _JOB, label))
        made.write_text(str(now))
    with server(data, now) as running:
        running.instant('count({__name__=~"docker_storage_.*_bytes"})')  # the index is in memory
        rules = [_rule(running, group, rule) for group in groups for rule in group["rules"]]
        panels = [one for name in _DASHBOARDS for one in _panels(running, name)]
    return Result(number, rules, panels)


def _groups(label: str | None) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "exporter", "rules", "--job", _JOB, *(["--label", label] if label else [])]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return list(yaml.safe_load(text)["groups"])


def _rule(running: Server, group: dict[str, Any], rule: dict[str, Any]) -> Cost:
    interval = _seconds(group.get("interval", "1m"))
    return Cost(group["name"], rule.get("alert") or rule["record"], running.cost(rule["expr"]), interval)


def _seconds(text: str) -> int:
    found = re.findall(r"(\d+)([smhd])", text)
    return sum(int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit] for number, unit in found)


def _panels(running: Server, name: str) -> Iterator[Cost]:
    """Ask the queries of a dashboard's first screen."""
    whole = json.loads((_TOP / "grafana" / name).read_text())
    for title, expression, step in _queries(whole):
        yield Cost(name, title, running.cost(filled(expression), step))


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
    values["$instance"] = re.sub(r"([.])", r"\\\\\1", _HOST)
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


def report(results: Sequence[Result], series: int, label: str | None = None) -> str:
    """The page with what was measured, and what follows for many more hosts."""
    few, many = results[0], results[-1]
    lines = [
        f"Measured by `make fleet`: {many.hosts} hosts with {series:,} series each, a scrape a minute, a week of",
        f"the past{f', with `rules --label {label}`' if label else ''}. CPU seconds of a Prometheus with one core.",
        "",
        "| group of rules | interval | seconds | share of one core | the most |",
        "|---|---|---|---|---|",
    ]
    for group, rules in itertools.groupby(many.rules, lambda one: one.part):
        lines.append(_group(group, list(rules)))
    met = "met" if many.share <= _RULES_SHARE else "missed"
    lines.append(f"| all | | | {100 * many.share:.1f} %, budget {100 * _RULES_SHARE:.0f} %: {met} | |")
    lines += ["", "| first screen | queries | seconds | budget | the most |", "|---|---|---|---|---|"]
    for name, budget in _DASHBOARDS.items():
        own = [one for one in many.panels if one.part == name]
        lines.append(
            f"| {name} | {len(own)} | {many.of(name):.2f} | {budget:g}: {_met(many.of(name), budget)} | {_most(own)} |"
        )
    if few is not many:
        lines += ["", *_arithmetic(few, many, series)]
    return "\n".join(lines) + "\n"


def _group(name: str, own: list[Cost]) -> str:
    total, interval = sum(one.seconds for one in own), own[0].interval
    return f"| {name} | {interval} s | {total:.2f} | {100 * total / interval:.1f} % | {_most(own)} |"


def _most(own: Sequence[Cost]) -> str:
    return ", ".join(f"{one.name} {one.seconds:.2f}" for one in sorted(own, key=lambda one: -one.seconds)[:3])


def _met(figure: float, budget: float) -> str:
    return "met" if figure <= budget else "missed"


def _arithmetic(few: Result, many: Result, series: int) -> Iterator[str]:
    """What each further host costs, and so what many of them do."""
    more = many.hosts - few.hosts
    each = (many.share - few.share) / more
    share = many.share + each * (_MANY - many.hosts)
    most = int(_RULES_SHARE / (many.share / many.hosts))
    yield f"{few.hosts} hosts take {100 * few.share:.2f} % of one core, {many.hosts} hosts {100 * many.share:.2f} %:"
    yield f"{1e6 * each:.0f} millionths of a core for each further host. With {_MANY:,} hosts the rules take"
    yield f"{share:.2f} cores, and Prometheus holds {_MANY * series / 1e6:.0f} million series."
    yield f"The share of {_RULES_SHARE:.0%} is reached with {most:,} hosts on one Prometheus."
    for name in _DASHBOARDS:
        slope = max(0.0, (many.of(name) - few.of(name)) / more)  # of what asks for one host it is noise
        yield f"The first screen of {name} takes {many.of(name) + slope * (_MANY - many.hosts):.1f} s then."


def main() -> None:
    """Make the fleets, measure, print, and write benchmarks/fleet.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[100, 500])
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--label", help="a label such as cluster, on series and in rules")
    parser.add_argument("--keep", type=Path, help="make the blocks here, or take those that are here")
    chosen = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in chosen.hosts:
            top = (chosen.keep or Path(scratch)) / str(number)
            top.mkdir(parents=True, exist_ok=True)
            results.append(measure(top, number, chosen.series, chosen.label))
            if chosen.keep is None:
                shutil.rmtree(top)
    text = report(results, chosen.series, chosen.label)
    print(text)
    if chosen.keep is None and chosen.label is None:
        _RESULTS.write_text(text)


if __name__ == "__main__":
    main()
