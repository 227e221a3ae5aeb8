"""The rules in more than a hundred situations, with lost scrapes, on this machine's Prometheus and on today's."""

import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.rules import Settings, rules
from tests.support.alerts import first_scan, health, logs, places, space, textfile, upsets
from tests.support.alerts.playing import (
    GB,
    HOUR,
    WITHOUT,
    Host,
    Losses,
    batches,
    fires,
    needed,
    play,
    played,
    silent,
    steady,
)
from tests.support.chroots import todays_promtool
from tests.support.product import needs

pytestmark = needs("promtool")

_KINDS = {"space": space, "places": places, "logs": logs, "health": health, "first scan": first_scan, "upsets": upsets}


def _promtool() -> list[str]:
    return ["promtool"]


def _situations() -> list[Host]:
    return [host for kind in _KINDS.values() for host in kind.situations()]


def _wrong(promtool: list[str], directory: Path, losses: Losses) -> list[str]:
    """What is not told as it should be in any situation."""
    text = rules(Settings())
    return [
        said
        for one in batches(_situations())
        if (said := play(promtool, directory, needed(text, one.alerts), one.played(losses)))
    ]


def test_every_situation_is_told_as_it_should_be(tmp_path: Path) -> None:
    assert _wrong(_promtool(), tmp_path, WITHOUT) == []


def test_todays_prometheus_tells_the_same_although_a_tenth_is_lost(tmp_path: Path) -> None:
    """A tenth of the scrapes, or of the samples, is lost at random: the same is told within ten minutes."""
    assert _wrong(todays_promtool(), tmp_path, Losses(0.1, 2)) == []


def test_there_are_many_situations_and_all_have_names_of_their_own() -> None:
    names = [host.name for host in _situations()]
    assert len(names) == len({*names})
    assert len(names) > 100


def test_a_wrong_expectation_is_noticed(tmp_path: Path) -> None:
    host = Host("full").disk(4 * GB).expect(fires(space.FULL, 20, 2, space.CRITICAL))
    said = play(["promtool"], tmp_path, rules(Settings()), played([host], 30))
    assert "DockerStorageFilesystemAlmostFull" in said
    assert "got: {} 1E+00" in said


_OTHER_INTERVALS = {15: 600.0, 30: 600.0, 300: 1200.0}


def _for_intervals() -> list[Host]:
    """Situations of half a day at most, of each kind."""
    wanted = (
        "the same without losses",
        "4 % free with a gap of two minutes each hour",
        "full within 90 minutes",
        "a log that runs away",
        "a log that is rotated at 5 GB each 45 minutes",
        "a service that is deployed each 50 minutes and logs 3 GB each time",
        "a root that becomes read-only",
        "a scan that hangs",
        "an exporter that is down",
        "4 % of the inodes, with a gap each hour",
    )
    found = [host for host in _situations() if host.name in wanted]
    assert len(found) == len(wanted)
    return found


@pytest.mark.parametrize("seconds", _OTHER_INTERVALS)
def test_other_scrape_intervals_make_no_difference(seconds: int, tmp_path: Path) -> None:
    """Those of 5 minutes need a longer bridge, and some patience."""
    settings = Settings(bridge=_OTHER_INTERVALS[seconds])
    hosts = _for_intervals()
    for host in hosts:
        host.scrape, host.every = seconds, 1
        host.checks = [check.later(10 if seconds > 60 else 0) for check in host.checks if check.at < 5 * HOUR]
    hosts = [host for host in hosts if host.checks]
    minutes = max(host.length for host in hosts)
    losses = Losses(0.1, 5) if seconds > 60 else WITHOUT
    text = needed(rules(settings), {check.alert for host in hosts for check in host.checks})
    assert play(["promtool"], tmp_path, text, played(hosts, minutes, losses)) == ""


def test_a_full_host_whose_exporter_is_stopped_for_22_seconds(tmp_path: Path) -> None:
    """Four times, also while it is not known yet: whatever the scrape interval is, one page and nothing false."""
    hosts = [health.stopped(scrape) for scrape in (5, 15, 60)]
    text = rules(Settings())
    told = {space.FULL, logs.UNBOUNDED}
    others = {one for one in re.findall(r'"alert": "(\w+)"', rules(Settings(), "json")) if one not in told}
    for host in hosts:
        host.expect(fires(space.FULL, 12, severity=space.CRITICAL), steady(space.FULL, 12, 110, space.CRITICAL))
        host.expect(steady(space.FULL, 35, 110, space.WARNING), steady(logs.UNBOUNDED, 65, 110))
        host.expect(*(silent(one, 110) for one in others))
    assert play(["promtool"], tmp_path, text, played(hosts, 110)) == ""


def test_hosts_of_two_clusters_with_one_name_are_told_apart(tmp_path: Path) -> None:
    chosen = [host for host in _situations() if host.length < 4 * HOUR and host.every != 1]
    healthy = [replace(host, checks=[silent(check.alert, check.at) for check in host.checks]) for host in chosen]
    for host in healthy:
        host.series = {}
        host.up = lambda _: 1.0
        host.checks = [check for check in host.checks if check.alert != health.MISSING]
    sick = played(chosen, 4 * HOUR, every=2, labels={"cluster": "a", "region": "north"})
    well = played(healthy, 4 * HOUR, every=2, labels={"cluster": "b", "region": "north"})
    both = sick | {name: [*sick[name], *well[name]] for name in ("input_series", "promql_expr_test")}  # type: ignore[misc]
    assert play(["promtool"], tmp_path, rules(Settings(labels=("cluster", "region"))), both) == ""


def test_labels_that_no_series_has_or_that_the_target_lacks_change_nothing(tmp_path: Path) -> None:
    chosen = [host.labelled(root="/srv/docker") for host in _situations() if host.length < 2 * HOUR and host.every != 1]
    text = rules(Settings(labels=("cluster", "root")))
    assert play(["promtool"], tmp_path, text, played(chosen, 2 * HOUR, every=2)) == ""


def test_rules_of_two_jobs_each_see_their_own(tmp_path: Path) -> None:
    hosts = [
        Host("full", job=job).disk(4 * GB).expect(fires(space.FULL, 20, int(job == "b"), space.CRITICAL))
        for job in "ab"
    ]
    for host in hosts:
        host.name = f"full {host.job}"
    assert play(["promtool"], tmp_path, rules(Settings(job="b")), played(hosts, 30)) == ""


def test_figures_that_come_by_a_textfile_each_hour(tmp_path: Path) -> None:
    settings = Settings(job=textfile.JOB, textfile=3600)
    for one in batches(textfile.situations()):
        assert play(["promtool"], tmp_path, needed(rules(settings), one.alerts), one.played()) == ""


@pytest.mark.parametrize(
    ("labels", "on_all"), [(("root",), {}), (("root", "cluster"), {"cluster": "a"}), (("root", "cluster"), {})]
)
def test_figures_by_a_textfile_with_the_label_of_a_root(
    labels: tuple[str, ...], on_all: dict[str, str], tmp_path: Path
) -> None:
    """`once --label root=...`: node_exporter itself has no such label."""
    settings = Settings(job=textfile.JOB, textfile=3600, labels=labels)
    hosts = list(textfile.of_roots())
    alerts = {check.alert for host in hosts for check in host.checks}
    test = played(hosts, max(host.length for host in hosts), every=5, labels=on_all)
    assert play(["promtool"], tmp_path, needed(rules(settings), alerts), test) == ""


def _of_no_host(series: dict[str, str], counts: dict[int, int], alert: str = "NoExporters") -> dict[str, object]:
    """A test of an alert that is not about a host."""
    firing = f'count(ALERTS{{alertname="DockerStorage{alert}", alertstate="firing"}}) or vector(0)'
    samples = [
        {"expr": firing, "eval_time": f"{at}m", "exp_samples": [{"labels": "{}", "value": count}]}
        for at, count in counts.items()
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "1m", "input_series": inputs, "promql_expr_test": samples, "every": 1}


_HOST = 'up{job="docker-storage",instance="a"%s}'


@pytest.mark.parametrize(
    ("labels", "series", "counts"),
    [
        ((), {_HOST % "": "1x60 stale"}, {60: 0, 65: 0, 80: 1, 200: 1}),
        ((), {'up{job="docker_storage",instance="a"}': "1x200"}, {4: 0, 10: 1, 200: 1}),
        ((), {_HOST % "": "0x200"}, {200: 0}),
        ((), {_HOST % "": "1x60 stale _x6 1x200"}, {60: 0, 66: 0, 75: 0, 200: 0}),
        (
            ("cluster",),
            {_HOST % ',cluster="x"': "1x100 stale", _HOST % ',cluster="y"': "1x200"},
            {100: 0, 120: 1, 150: 1},
        ),
        (("cluster",), {_HOST % "": "1x60 stale"}, {60: 0, 80: 1}),
    ],
    ids=["all hosts are lost", "another name", "all are down", "a gap", "one cluster of two", "no cluster"],
)
def test_that_no_host_is_there_is_told(
    labels: tuple[str, ...], series: dict[str, str], counts: dict[int, int], tmp_path: Path
) -> None:
    text = needed(rules(Settings(labels=labels)), ["DockerStorageNoExporters"])
    assert play(["promtool"], tmp_path, text, _of_no_host(series, counts)) == ""


def test_that_scrapes_are_too_rare_for_the_bridge_is_told(tmp_path: Path) -> None:
    """Each five minutes; each, where the bridge allows for that; and where Prometheus was down for 40 minutes."""
    seldom = {_HOST % "": "1 _ _ _ _ " * 60}
    played = (
        (600, seldom, {60: 0, 150: 0, 200: 1, 290: 1}),
        (1200, seldom, {290: 0}),
        (600, {_HOST % "": "1x120 _x40 1x140"}, {150: 0, 170: 0, 200: 0, 290: 0}),
        (600, {_HOST % "": "1 _ " * 150, _HOST.replace('"a"', '"new"') % "": "_x250 1x50"}, {290: 0}),
    )
    for bridge, series, counts in played:
        test = _of_no_host(series, counts, "ScrapedSeldom")
        text = needed(rules(Settings(bridge=bridge)), ["DockerStorageScrapedSeldom"])
        assert play(["promtool"], tmp_path, text, test) == ""


def test_a_second_info_of_one_host_does_not_fail_the_alerts_of_others(tmp_path: Path) -> None:
    """Two info series of a container, and two targets with one name: the others' alerts go on."""
    sick = Host("two infos").disk(50 * GB).log("aaaaaaaaaaaa", lambda at: 10e9 * at / HOUR)
    sick.container("aaaaaaaaaaaa", "web", image="web:2").container("aaaaaaaaaaaa", "web", pod="p")
    other = Host("another host").disk(50 * GB).log("aaaaaaaaaaaa", lambda at: 10e9 * at / HOUR)
    sick.expect(fires(logs.RUNAWAY, 40))
    other.expect(fires(logs.RUNAWAY, 40), steady(logs.RUNAWAY, 40, 3 * HOUR), fires(logs.UNBOUNDED, 100))
    twice = played([sick, other], 3 * HOUR + 10)
    again = played([sick], 3 * HOUR + 10, labels={"replica": "2"})
    both = twice | {"input_series": [*twice["input_series"], *again["input_series"]]}  # type: ignore[misc]
    both["promql_expr_test"] = [one for one in both["promql_expr_test"] if "another" in one["expr"]]  # type: ignore[attr-defined]
    assert play(["promtool"], tmp_path, rules(Settings()), both) == ""


@pytest.mark.parametrize("command", [_promtool, todays_promtool], ids=["this machine's", "today's"])
@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(labels=("cluster", "region")),
        Settings(job="node", textfile=3600, bridge=1200),
        Settings(speed=900, runbooks="http://{{ $labels.instance }}/runbooks/"),
    ],
)
def test_promtool_finds_no_fault(command: Callable[[], Sequence[str]], settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rules(settings))
    check = ["check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "rules.yml")]
    done = subprocess.run([*command(), *check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
