"""Plays situations with promtool: a host for each, many hosts in one run.

Times are minutes. A day of the past comes first, because the rules compare with it: `DAY` is when a situation begins
that needs one.
"""

import json
import random
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import yaml

from exporter.rules import Settings
from exporter.rules.document import groups_of

DAY = 24 * 60
HOUR = 60
GB = 1e9

#: What a series is at a minute; None: it has no sample then.
Course = Callable[[float], float | None]

ROOT = "/var/lib/docker"
_RECORDED = re.compile(r"[a-z]+:docker_storage_\w+:\w+")
GROUPS = [f"docker-storage-{name}" for name in ("recording", "disk", "history", "objects", "exporter")]


@dataclass(frozen=True, slots=True)
class Check:
    """How many alerts of a name fire at a minute, or at most or at least in the time `since` one."""

    alert: str
    at: int
    count: int = 1
    severity: str = ""
    since: int | None = None
    how: str = "now"
    matchers: str = ""

    def later(self, minutes: int) -> "Check":
        """The same with so much patience: what must fire may do so later, and what must not still must not."""
        if self.how == "now" and self.count and minutes:
            return replace(self, since=self.at - 1, at=self.at + minutes, how="ever")
        if self.how == "now":
            return replace(self, at=self.at + minutes)
        if self.how == "steady" and self.since is not None:
            return replace(self, since=self.since + minutes, at=self.at + minutes)
        return self

    def expression(self, instance: str, further: str = "") -> str:
        """PromQL of which the value must be `count`."""
        severity = f', severity="{self.severity}"' if self.severity else ""
        named = (
            f'alertname="{self.alert}", alertstate="firing", instance="{instance}"{further}{severity}{self.matchers}'
        )
        alerts = f"ALERTS{{{named}}}"
        if self.how == "now":
            return f"count({alerts}) or vector(0)"
        past = self.at - (self.since or 0)
        if self.how == "ever":
            return f"count(count_over_time({alerts}[{past}m])) or vector(0)"
        return f"min_over_time((count({alerts}) or vector(0))[{past}m:2m])"


def fires(alert: str, at: int, count: int = 1, severity: str = "", **labels: str) -> Check:
    """So many alerts fire at that minute."""
    return Check(alert, at, count, severity, matchers=_matchers(labels))


def silent(alert: str, until: int, severity: str = "", since: int = 0, **labels: str) -> Check:
    """None fires until that minute."""
    return Check(alert, until, 0, severity, since, "ever", _matchers(labels))


def steady(alert: str, since: int, until: int, severity: str = "", **labels: str) -> Check:
    """It fires at each minute between the two: nobody is told twice."""
    return Check(alert, until, 1, severity, since, "steady", _matchers(labels))


def _matchers(labels: dict[str, str]) -> str:
    return "".join(f', {name}="{value}"' for name, value in labels.items())


@dataclass
class Host:
    """The series of one host, and what is expected of its alerts."""

    name: str
    job: str = "docker-storage"
    #: Seconds between two scrapes.
    scrape: int = 60
    series: dict[str, Course] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    #: 1 or 0 for a scrape; None where there is no target.
    up: Course = lambda _: 1.0
    every: int = 0

    @property
    def length(self) -> int:
        """The minutes after which everything is checked, with patience."""
        return max(check.at for check in self.checks) + 11

    def expect(self, *checks: Check) -> "Host":
        """Add expectations."""
        self.checks.extend(checks)
        return self

    def add(self, name: str, course: Course | float, /, **labels: str) -> "Host":
        """Add a series by its name without prefix."""
        text = ",".join(f'{key}="{value}"' for key, value in labels.items())
        key = f"docker_storage_{name}{{{text}}}"
        self.series[key] = course if callable(course) else _constant(course)
        return self

    def labelled(self, **labels: str) -> "Host":
        """The same with labels on its figures that the target itself has not."""
        text = ",".join(f'{key}="{value}"' for key, value in labels.items())
        series = {name.replace("{", f"{{{text},", 1).replace(",}", "}"): one for name, one in self.series.items()}
        return replace(self, series=series)

    def disk(  # noqa: PLR0913 - what a filesystem has
        self,
        avail: Course | float,
        size: Course | float = 200 * GB,
        *,
        mountpoint: str = ROOT,
        device: str = "/dev/sda1",
        fstype: str = "ext4",
        readonly: Course | float = 0.0,
        files_free: Course | float = 9e6,
        files: float = 1e7,
    ) -> "Host":
        """Add a filesystem."""
        labels = {"device": device, "mountpoint": mountpoint, "fstype": fstype}
        self.add("filesystem_avail_bytes", avail, **labels).add("filesystem_size_bytes", size, **labels)
        self.add("filesystem_readonly", readonly, **labels)
        return self.add("filesystem_files_free", files_free, **labels).add("filesystem_files", files, **labels)

    def placed(self, directory: str = ".", mountpoint: str = ROOT, device: str = "/dev/sda1") -> "Host":
        """Say which filesystem a directory lies on."""
        labels = {"device": device, "mountpoint": mountpoint, "fstype": "ext4"}
        return self.add("directory_filesystem_info", 1, directory=directory, **labels)

    def container(
        self, key: str, name: str, there: Callable[[float], bool] = lambda _: True, /, **labels: str
    ) -> "Host":
        """Add the names of a container."""
        named = {"image": f"{name}:1", "name": name} | labels
        return self.add(
            "container_info", lambda at: 1.0 if there(at) else None, driver="overlay2", container_id=key, **named
        )

    def log(
        self, key: str, size: Course | float, *, name: str = "web", limit: float | None = None, bounded: float = 0.0
    ) -> "Host":
        """Add a container with a log; where its log is not, it is not there."""
        course = size if callable(size) else _constant(size)
        there: Callable[[float], bool] = lambda at: course(at) is not None  # noqa: E731 - short
        labels = {"driver": "overlay2", "container_id": key}
        self.container(key, name, there).add("container_log_size_bytes", course, **labels)
        self.add("container_log_bounded", lambda at: bounded if there(at) else None, **labels)
        if limit is not None:
            self.add("container_log_limit_bytes", lambda at: limit if there(at) else None, **labels)
        return self


def _constant(value: float) -> Course:
    return lambda _: float(value)


@dataclass(frozen=True, slots=True)
class Losses:
    """Which samples are lost, by a share and a seed: of half the hosts whole scrapes, of the others single samples."""

    share: float = 0.0
    seed: int = 0

    def loses_scrapes(self, host: str) -> bool:
        """Whether whole scrapes of a host are lost."""
        return random.Random(f"{host} {self.seed}").random() < 0.5

    def of(self, what: str) -> Callable[[float], bool]:
        """Whether what is scraped at a minute is lost: always the same for one name, seed and minute."""
        if not self.share:
            return lambda _: False
        return lambda at: random.Random(f"{what} {self.seed} {at}").random() < self.share


WITHOUT = Losses()
NONE: Mapping[str, str] = MappingProxyType({})


def _written(course: Course, minutes: int, tick: int, scrape: int, lost: Callable[[float], bool]) -> str:
    """The samples as promtool reads them: a scrape that fails, or lacks a series, leaves a stale marker."""
    values: list[str] = []
    there = False
    for second in range(0, minutes * 60, tick):
        if second % scrape:
            values.append("_")
            continue
        at = second // 60 if second % 60 == 0 else second / 60
        value = None if lost(at) else course(at)
        values.append(f"{value:.12g}" if value is not None else "stale" if there else "_")
        there = value is not None
    return " ".join(values)


def _series(host: Host, minutes: int, tick: int, losses: Losses, further: str) -> Iterator[dict[str, str]]:
    target = f'job="{host.job}",instance="{host.name}"{further}'
    scrapes = losses.loses_scrapes(host.name)
    failed = (losses if scrapes else WITHOUT).of(host.name)

    def up(at: float) -> float | None:
        there = host.up(at)
        return 0.0 if there and failed(at) else there

    written = _written(up, minutes, tick, host.scrape, WITHOUT.of(""))
    yield {"series": f"up{{{target}}}", "values": written}
    for name, course in host.series.items():
        single = (WITHOUT if scrapes else losses).of(host.name + name)

        def lost(at: float, single: Callable[[float], bool] = single) -> bool:
            return not up(at) or single(at)

        key = name.replace("{", f"{{{target},", 1).replace(",}", "}")
        yield {"series": key, "values": _written(course, minutes, tick, host.scrape, lost)}


def played(
    hosts: Sequence[Host], minutes: int, losses: Losses = WITHOUT, *, every: int = 1, labels: Mapping[str, str] = NONE
) -> dict[str, object]:
    """Make promtool's test of hosts: evaluated `every` so many minutes, with further labels on all series."""
    tick = min((60, *(host.scrape for host in hosts)))
    further = "".join(f',{key}="{value}"' for key, value in labels.items())
    series = [one for host in hosts for one in _series(host, minutes, tick, losses, further)]
    checks: list[dict[str, object]] = []
    for host in hosts:
        patience = 10 if losses.share else 0
        for check in (one.later(patience) for one in host.checks):
            sample = {"labels": "{}", "value": check.count}
            expression = check.expression(host.name, further)
            checks.append({"expr": expression, "eval_time": f"{check.at}m", "exp_samples": [sample]})
    return {"interval": f"{tick}s", "input_series": series, "promql_expr_test": checks, "every": every}


def whole(*tests: dict[str, object]) -> dict[str, object]:
    """The file of tests that are evaluated equally often."""
    (every,) = {one["every"] for one in tests}
    inner = [{name: value for name, value in one.items() if name != "every"} for one in tests]
    common = {"rule_files": ["rules.yml"], "group_eval_order": GROUPS, "evaluation_interval": f"{every}m"}
    return common | {"tests": inner}


@dataclass(frozen=True, slots=True)
class Batch:
    """Hosts that are played together: for so many minutes, with so many between two evaluations."""

    hosts: list[Host]
    every: int

    @property
    def minutes(self) -> int:
        """How long they are played."""
        return max(host.length for host in self.hosts)

    @property
    def alerts(self) -> set[str]:
        """The alerts that are looked at."""
        return {check.alert for host in self.hosts for check in host.checks}

    def played(self, losses: Losses = WITHOUT) -> dict[str, object]:
        """Make promtool's test of them."""
        return played(self.hosts, self.minutes, losses, every=self.every)


def batches(hosts: Iterable[Host]) -> Iterator[Batch]:
    """Hosts by how often the rules are evaluated, and by the group of the alert: each evaluation of a rule costs."""
    group = {rule.name: one.name for one in groups_of(Settings()) for rule in one.rules}
    kinds: dict[tuple[int, int, str], list[Host]] = {}
    for host in hosts:
        length, every = next(one for one in ((6 * HOUR, 2), (40 * HOUR, 5)) if host.length < one[0])
        key = length, host.every or every, group[host.checks[0].alert]
        kinds.setdefault(key, []).append(host)
    for (_, every, _), several in kinds.items():
        yield Batch(several, every)


def needed(text: str, alerts: Iterable[str]) -> str:
    """The rules without the alerts that nobody looks at, and without what these alone read."""
    content = yaml.safe_load(text)
    every = [rule for group in content["groups"] for rule in group["rules"]]
    wanted = {f"alert {name}" for name in alerts}
    found: list[dict[str, object]] = []
    while more := [rule for rule in every if _named(rule) in wanted and rule not in found]:
        found += more
        read = {name for rule in more for name in _RECORDED.findall(str(rule["expr"]))}
        wanted = {f"record {name}" for name in read}
    for group in content["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule in found]
    return json.dumps(content)  # which is YAML, and quickly written


def _named(rule: dict[str, object]) -> str:
    return next(f"{kind} {rule[kind]}" for kind in ("alert", "record") if kind in rule)


def play(promtool: Sequence[str], directory: Path, rules: str, test: dict[str, object]) -> str:
    """Play a test; "" where all went as expected, or what promtool says."""
    (directory / "rules.yml").write_text(rules)
    file = directory / "test.json"
    file.write_text(json.dumps(whole(test)))  # which is YAML, and quickly written
    done = subprocess.run(
        [*promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=550
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
