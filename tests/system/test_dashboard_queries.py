"""The queries of both dashboards: with many choices of variables, on two versions of Prometheus; in a first scan."""

import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.tsdb import Labels, chunk, write_block
from exporter.demo import build
from exporter.rules import Settings, rules
from tests.support.alerts.first_scan import scanning, without
from tests.support.alerts.playing import Host, play, played
from tests.support.chroots import todays_prometheus
from tests.support.exporter import exporter
from tests.support.live import DASHBOARDS, Live, Prometheus, escaped, queries, with_variables
from tests.support.paths import TOP
from tests.support.product import needs
from tests.support.waiting import eventually

pytestmark = [pytest.mark.xdist_group("queries of dashboards"), needs("prometheus")]

_LINE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
#: Job, cluster and instance of each host, and its example: one name is in two clusters, and one host is in none.
_HOSTS = {
    ("docker-storage", "north", "wiki.example:9588"): "wiki",
    ("docker-storage", "north", "build+1 (old).example:9588"): "build",
    ("docker-storage", "south", "wiki.example:9588"): "containerd",
    ("hosts", "", "containerd.example:9588"): "containerd",
}
#: So many samples, a minute apart.
_SAMPLES = 100
_HOUR = 3600


@dataclass(frozen=True)
class Choice:
    """What is chosen of each variable; nothing is All."""

    jobs: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    top: str = "10"

    @property
    def variables(self) -> dict[str, str]:
        """The text that Grafana puts in for each."""
        return {
            "$job": escaped(self.jobs, ".+"),
            "$cluster": escaped(self.clusters, ".*"),
            "$instance": escaped(self.instances, ".+"),
            "$top": self.top,
        }

    def has(self, job: str, cluster: str, instance: str) -> bool:
        """Whether a host is chosen."""
        pairs = ((self.jobs, job), (self.clusters, cluster), (self.instances, instance))
        return all(value in chosen or not chosen for chosen, value in pairs)


def every_choice() -> Iterator[Choice]:
    """Each set of values of each variable that Grafana offers, All among them."""
    jobs, clusters, instances = (_subsets({host[index] for host in _HOSTS} - {""}) for index in range(3))
    return (Choice(*one) for one in itertools.product(jobs, clusters, instances, ("5", "10", "20", "50")))


def _subsets(values: set[str]) -> list[tuple[str, ...]]:
    return [one for size in range(len(values) + 1) for one in itertools.combinations(sorted(values), size)]


#: Each value of each variable, alone, with others and beside All.
_SOME = (
    Choice(instances=("wiki.example:9588",)),
    Choice(("docker-storage",), ("north",), ("build+1 (old).example:9588", "wiki.example:9588"), "5"),
    Choice(("hosts",), (), ("containerd.example:9588",), "20"),
    Choice(("docker-storage", "hosts"), ("north", "south"), ("build+1 (old).example:9588",), "50"),
    Choice((), ("south",)),
)


def asked() -> dict[str, bool]:
    """The queries of panels, annotations and variables in both forms, and whether each is of one instant."""
    found: dict[str, bool] = {}

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("expr"), str):
                found[part["expr"]] = found.get(part["expr"], True) and bool(part.get("instant"))
            for value in part.values():
                collect(value)
        elif isinstance(part, list):
            for value in part:
                collect(value)

    for name in DASHBOARDS:
        for form in (name, name.replace(".json", ".v2.json")):
            collect(json.loads((TOP / "grafana" / form).read_text()))
    return found


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an exporter serves of each example."""
    scratch, texts = tmp_path_factory.mktemp("examples"), {}
    for example in ("wiki", "build", "containerd"):
        build(scratch / example, example)
        with exporter(scratch / example, "--cache.file", "none") as running:
            eventually(lambda one=running: one.get("/-/ready")[0] == 200)  # type: ignore[misc]
            texts[example] = running.get()[2].decode()
    return texts


def _written(data: Path, end: int, figures: dict[str, str]) -> None:
    """Write the figures of each host until now: each size and counter rises."""
    scraped = [(name, "", "1") for name in ("up", "scrape_duration_seconds", "scrape_samples_scraped")]
    series: dict[Labels, float] = {}
    for host, example in _HOSTS.items():
        named = {key: value for key, value in zip(("job", "cluster", "instance"), host, strict=True) if value}
        for name, labels, value in (*_LINE.findall(figures[example]), *scraped):
            pairs = {key: text for key, text in _LABEL.findall(labels) if text}
            series[tuple(sorted({"__name__": name, **pairs, **named}.items()))] = float(value)
    step = 60_000
    start = end - step * (_SAMPLES - 1)

    def course(value: float) -> list[float]:
        return [value] * _SAMPLES if value < 2 else [value * (1 + 1e-3 * step) for step in range(_SAMPLES)]

    made = ((labels, [chunk(start, step, course(value))]) for labels, value in sorted(series.items()))
    write_block(data, 1, made, {text for labels in series for pair in labels for text in pair})


@pytest.fixture(scope="module", params=["this machine's", "today's"])
def prometheus(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, figures: dict[str, str]
) -> Iterator[Prometheus]:
    """A Prometheus with the figures of all hosts, and what the rules record of those of the first job."""
    command = todays_prometheus() if request.param == "today's" else ["prometheus"]
    scratch = tmp_path_factory.mktemp("filled")
    made = yaml.safe_load(rules(Settings(labels=("cluster",))))
    for group in made["groups"]:
        group["interval"] = "1s"
    live = Live(scratch)
    try:
        _written(scratch / "data", int(time.time() * 1000), figures)
        client = live.filled(command, json.dumps(made))
        recorded = 'count by (cluster) ({__name__="instance:docker_storage_directory_allocated_bytes:sum"})'
        eventually(lambda: len(client.instant(recorded)) == 2, otherwise=lambda: client.ask("rules"))
        yield client
    finally:
        live.close()


def wrong(client: Prometheus, choices: Iterator[Choice] | tuple[Choice, ...]) -> Iterator[str]:
    """Queries that fail, that warn, or that answer with what was not chosen."""
    now = time.time()
    for choice, (expression, instant) in itertools.product(choices, asked().items()):
        text = with_variables(expression, {**choice.variables, "$__rate_interval": "4m", "$__range": "1h"})
        times = {"time": now} if instant else {"start": now - _HOUR, "end": now, "step": 120}
        answer = client.whole("query" if instant else "query_range", query=text, **times)
        if "warnings" in answer:
            yield f"{answer['warnings']}: {text}"
        for one in answer["data"]["result"]:
            labels = one["metric"]
            if "instance" in labels and "instance" in expression:
                host = tuple(labels.get(name, "") for name in ("job", "cluster", "instance"))
                chosen = choice if "$instance" in expression else Choice(choice.jobs, choice.clusters)
                if not chosen.has(*host):
                    yield f"{host} for {choice}: {text}"


def test_every_query_takes_every_kind_of_choice(prometheus: Prometheus) -> None:
    assert list(wrong(prometheus, _SOME)) == []


def test_the_choices_have_each_value_and_are_among_all() -> None:
    assert {*_SOME} <= {*every_choice()}
    for index, values in enumerate(zip(*_HOSTS, strict=True)):
        chosen = {one for choice in _SOME for one in (choice.jobs, choice.clusters, choice.instances)[index]}
        assert chosen == {*values} - {""}


@needs("promtool")
def test_a_band_stays_while_a_first_scan_has_not_measured_it(tmp_path: Path) -> None:
    """What is gone after the scan is gone then; the first scan of a new host has nothing of before."""
    title = "Where the space goes"
    (query,) = {one.expression for one in queries(DASHBOARDS[0]) if f": {title} " in one.where}
    host = scanning(Host("again").add("directory_allocated_bytes", without(10e9, 60, 80), directory="overlay2"), 60, 90)
    host.add("directory_allocated_bytes", lambda at: 1e9 if at < 60 else None, directory="swarm")
    new = scanning(Host("new").add("directory_allocated_bytes", without(10e9, 0, 80), directory="overlay2"), 0, 90)
    test = played([host, new], 100)
    bands = {("again", 50): (11e9, 2), ("again", 75): (11e9, 2), ("again", 95): (10e9, 1)}
    bands |= {("new", 75): (0, 0), ("new", 85): (10e9, 1)}
    test["promql_expr_test"] = [
        {
            "expr": f"{kind}({text}) or vector(0)",
            "eval_time": f"{at}m",
            "exp_samples": [{"labels": "{}", "value": value}],
        }
        for (name, at), values in bands.items()
        for kind, value in zip(("sum", "count"), values, strict=True)
        for text in [with_variables(query, Choice(instances=(name,)).variables)]
    ]
    assert play(["promtool"], tmp_path, "{}", test) == ""
