import json
import re
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from exporter.cli.main import main
from exporter.rules import Settings, Thresholds, rules
from tests.support.alerts.playing import needed
from tests.support.paths import TOP
from tests.support.product import needs
from tests.support.week import week

_RULES = TOP / "prometheus/rules.yml"


def _promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_committed_rules_are_what_the_command_prints() -> None:
    done = CliRunner().invoke(main, ["rules"], env={})
    assert done.exit_code == 0
    assert done.output == _RULES.read_text(), "run make dashboards"
    as_json = CliRunner().invoke(main, ["rules", "--format", "json"], env={}).output
    assert as_json == _RULES.with_suffix(".json").read_text(), "run make dashboards"
    assert json.loads(as_json) == yaml.safe_load(done.output)


@needs("promtool")
@pytest.mark.parametrize("settings", [Settings(), Settings(speed=900), Settings('odd "job"\\')])
def test_promtool_finds_no_fault(tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(rules(settings))
    assert "SUCCESS" in _promtool("check", "rules", "--lint=all", "--lint-fatal", str(file))


@needs("promtool")
def test_every_alert_fires_when_it_must_and_not_when_it_nearly_must(tmp_path: Path) -> None:
    """The files of prometheus/tests, for each alert with what it reads: all rules would take ten times as long."""
    alerts, played = set(re.findall(r"alert: (\w+)", _RULES.read_text())), 0
    for file in (TOP / "prometheus/tests").glob("*.yml"):
        content = yaml.load(file.read_text(), yaml.CSafeLoader)
        assert [(file.parent / one).resolve() for one in content["rule_files"]] == [_RULES]
        for alert in alerts:
            tests = [
                one for one in content["tests"] if {check["alertname"] for check in one["alert_rule_test"]} == {alert}
            ]
            played += len(tests)
            (tmp_path / f"{alert}.yml").write_text(needed(_RULES.read_text(), [alert]))
            own = content | {"tests": tests, "rule_files": [f"{alert}.yml"]}
            (tmp_path / f"{file.stem}-{alert}.json").write_text(json.dumps(own))
        assert played == len(content["tests"])
        played = 0
    assert "SUCCESS" in _promtool("test", "rules", *map(str, tmp_path.glob("*.json")))


@needs("promtool")
def test_the_examples_are_valid() -> None:
    _promtool("check", "config", "--lint=all", str(TOP / "prometheus/prometheus.yml"))


def _inhibitions() -> list[dict[str, list[str]]]:
    found: list[dict[str, list[str]]] = yaml.safe_load((TOP / "prometheus/alertmanager.yml").read_text())[
        "inhibit_rules"
    ]
    return found


def _matches(matchers: list[str], labels: dict[str, str]) -> bool:
    """Whether labels match all matchers of Alertmanager; a label that is not there is empty."""
    for matcher in matchers:
        found = re.fullmatch(r'(\w+)(=~|!=|=)"(.*)"', matcher)
        assert found is not None, matcher
        value = labels.get(found[1], "")
        equal = re.fullmatch(found[3], value) is not None if found[2] == "=~" else value == found[3]
        if equal is (found[2] == "!="):
            return False
    return True


def _told(*alerts: dict[str, str]) -> list[dict[str, str]]:
    """The alerts that Alertmanager tells of: none that another one inhibits."""

    def inhibited(one: dict[str, str]) -> bool:
        return any(
            _matches(rule["target_matchers"], one)
            and any(
                other is not one
                and _matches(rule["source_matchers"], other)
                and all(other.get(label, "") == one.get(label, "") for label in rule["equal"])
                for other in alerts
            )
            for rule in _inhibitions()
        )

    return [one for one in alerts if not inhibited(one)]


def _alert(name: str, severity: str = "critical", mountpoint: str = "/var/lib/docker", **labels: str) -> dict[str, str]:
    named = {"alertname": name, "severity": severity, "instance": "a", "job": "docker-storage"}
    return named | ({"mountpoint": mountpoint, "device": "/dev/sda1"} if mountpoint else {}) | labels


_FULL, _FILLING, _SOON = (f"DockerStorageFilesystem{name}" for name in ("AlmostFull", "FillingUp", "FullSoon"))


def test_the_inhibitions_name_alerts_that_exist() -> None:
    text = "".join(one for rule in _inhibitions() for one in rule["source_matchers"] + rule["target_matchers"])
    names = {one for one in re.findall(r"Docker\w+", text) if one != "DockerStorageFilesystem"}
    assert len(names) > 8
    assert names <= set(re.findall(r"alert: (\w+)", rules(Settings())))


def test_a_discovery_that_lost_all_hosts_is_one_alert() -> None:
    lost = _alert("DockerStorageHostLost", "info", "")
    none = {"alertname": "DockerStorageNoExporters", "severity": "critical", "job": "docker-storage"}
    assert _told(none, lost) == [none]
    assert _told(lost) == [lost]


def test_one_disk_that_fills_is_one_page() -> None:
    critical = [_alert(_FULL), _alert(_FILLING), _alert(_SOON, resource="space")]
    warnings = [_alert(_FULL, "warning"), _alert(_FILLING, "warning")]
    assert _told(*critical, *warnings) == critical[:1]
    assert _told(*critical[1:], *warnings) == [_alert(_SOON, resource="space")]
    assert _told(_alert(_FILLING), *warnings) == [_alert(_FILLING)]
    inodes = [_alert("DockerStorageInodesAlmostExhausted"), _alert("DockerStorageInodesFillingUp")]
    assert (
        _told(*inodes, _alert(_SOON, resource="inodes"), _alert("DockerStorageInodesFillingUp", "warning"))
        == inodes[:1]
    )


def test_another_disk_and_another_trouble_are_told_as_well() -> None:
    elsewhere = _alert(_FILLING, mountpoint="/var/lib/docker/volumes/db/_data")
    assert _told(_alert(_FULL), elsewhere) == [_alert(_FULL), elsewhere]
    readonly = _alert("DockerStorageFilesystemReadOnly")
    every = [readonly, _alert(_FULL), elsewhere, _alert("DockerStorageInodesAlmostExhausted")]
    assert _told(*every) == every
    assert len(_told(readonly, _alert(_FULL, "warning"))) == 2
    pools = [_alert(_FULL, mountpoint="", device="tank"), _alert(_FILLING, mountpoint="", device="fast")]
    assert _told(*pools) == pools
    clusters = [_alert(_FULL, cluster="x"), _alert(_FILLING, cluster="y")]
    assert _told(*clusters) == clusters


@needs("promtool")
@pytest.mark.parametrize("ordinary", [True, False])
def test_an_ordinary_week_of_a_build_host_fires_nothing(tmp_path: Path, ordinary: bool) -> None:
    text = rules(Settings(bridge=1200))  # of a scrape each five minutes
    if not ordinary:
        text = needed(text, ["DockerContainerLogRunaway"])
    (tmp_path / "rules.yml").write_text(text)
    test = tmp_path / "week.json"
    test.write_text(json.dumps(week(ordinary=ordinary)))  # which is YAML, and quickly written
    done = subprocess.run(["promtool", "test", "rules", str(test)], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is ordinary, done.stdout + done.stderr
    assert ordinary or "DockerContainerLogRunaway" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://wiki/runbooks", "https://wiki/runbooks/DockerStorageScanStale"),
        ("https://wiki/runbooks/", "https://wiki/runbooks/DockerStorageScanStale"),
        ("https://git/docs/runbooks/NAME.md", "https://git/docs/runbooks/DockerStorageScanStale.md"),
        ("http://{{ $labels.instance }}/runbooks", "http://{{ $labels.instance }}/runbooks/DockerStorageScanStale"),
    ],
)
def test_a_runbook_has_an_absolute_address(given: str, address: str) -> None:
    done = CliRunner().invoke(main, ["rules", "--runbooks", given])
    made = [rule for group in yaml.safe_load(done.output)["groups"] for rule in group["rules"] if "alert" in rule]
    urls = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in made}
    assert urls["DockerStorageScanStale"] == address


def test_without_an_address_there_are_no_links_to_runbooks() -> None:
    assert "runbook_url" not in CliRunner().invoke(main, ["rules"]).output


_REFUSED = {
    "--runbooks": ("docs/runbooks", "wiki/runbooks", "ftp://wiki"),
    "--label": ("no-label", "job", "mountpoint", "severity", "resource", "directory", "__name__", ""),
    "--bridge": ("10", "0m", "2m", "10x", "2d"),
    "--textfile": ("0h", "1x", "3d"),
}


@pytest.mark.parametrize(("flag", "value"), [(flag, value) for flag, values in _REFUSED.items() for value in values])
def test_what_cannot_be_a_setting_is_told(flag: str, value: str) -> None:
    done = CliRunner().invoke(main, ["rules", flag, value])
    assert (done.exit_code, done.output[:6]) == (1, "Error:"), done.output


def test_more_labels_than_rules_can_carry_are_told() -> None:
    done = CliRunner().invoke(main, ["rules", *(word for one in "abcde" for word in ("--label", one))])
    assert (done.exit_code, "more than 4 labels" in done.output) == (1, True)


def test_every_join_and_every_sum_has_the_labels_of_the_fleet() -> None:
    done = CliRunner().invoke(main, ["rules", "--label", "cluster", "--label", "region"])
    made = yaml.safe_load(done.output)
    rules = [rule for group in made["groups"] for rule in group["rules"]]
    # A target may lack labels that its figures have.
    expressions = [rule["expr"] for rule in rules if rule.get("alert") != "DockerStorageFiguresMissing"]
    labels = [found for one in expressions for found in re.findall(r"\b(?:by|on) \(([^)]*)\)", one)]
    assert len(labels) > 50
    assert all(found.startswith("cluster, region, job") for found in labels)


def test_only_what_something_reads_is_recorded() -> None:
    groups = yaml.safe_load(_RULES.read_text())["groups"]
    recorded = {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    read = "".join(rule["expr"] for group in groups for rule in group["rules"])
    read += "".join(file.read_text() for file in (TOP / "grafana").glob("*.json"))
    assert {one for one in recorded if one not in read} == set()
    assert all("interval" in group for group in groups)


def test_thresholds_are_set_in_the_units_of_people() -> None:
    limits = Thresholds().changed(("log=2GiB", "almost-full=15%", "log-fills=90m", "writable=500 MB", "overflows=7"))
    assert limits.log == 2 * 1024**3
    assert limits.orphaned == 1e9
    assert limits.almost_full == 0.15
    assert limits.log_fills == 5400
    assert limits.writable == 5e8
    assert limits.overflows == 7


@pytest.mark.parametrize("name", [one.name for one in fields(Thresholds)])
def test_every_threshold_is_in_a_rule(name: str) -> None:
    assert rules(Settings(thresholds=replace(Thresholds(), **{name: 0.0321}))) != rules(Settings())


def test_the_command_prints_rules_for_the_users_job_and_thresholds() -> None:
    done = CliRunner().invoke(
        main,
        [
            "rules",
            "--job",
            "hosts",
            "--threshold",
            "log=3GB",
            "--threshold",
            "writable=20GiB",
            "--runbooks",
            "https://wiki/",
        ],
    )
    assert 'docker_storage_container_log_size_bytes:some{job="hosts"} > 3e9\n' in done.output
    assert 'docker_storage_container_writable_size_bytes:some{job="hosts"} > 20 * 1024 ^ 3\n' in done.output
    assert 'job="docker-storage"' not in done.output
    assert "runbook_url: https://wiki/DockerStorageScanStale\n" in done.output
    assert "for: 15s" in CliRunner().invoke(main, ["rules", "--speed", "60"]).output


def test_the_listed_thresholds_are_those_that_hold() -> None:
    listed = CliRunner().invoke(main, ["rules", "--list"]).output
    told = {line.split()[0]: line.split()[1] for line in listed.splitlines()}
    assert (told["almost-full"], told["log"], told["full-soon"], told["overflows"]) == ("10%", "1GB", "30m", "3")
    assert Thresholds().changed(tuple(f"{name}={value}" for name, value in told.items())) == Thresholds()


_WRONG = (
    "size=2",
    "log",
    "log=2XiB",
    "log=-1",
    "log=0",
    "log=6h",
    "log-fills=2GiB",
    "log-fills=0s",
    "almost-full=0%",
    "almost-full=101%",
    "almost-full=15",
    "inodes=1GiB",
    "overflows=3%",
    "almost-full-critical=10%",
    "almost-full=45%",
    "filling-up-critical=60%",
    "almost-full-critical=9% filling-up-critical=8%",
)


@pytest.mark.parametrize("wrong", _WRONG)
def test_a_wrong_threshold_is_told(wrong: str) -> None:
    """Of another unit, out of its range, or reached after the alert that it must come before."""
    flags = [word for setting in wrong.split() for word in ("--threshold", setting)]
    done = CliRunner().invoke(main, ["rules", *flags])
    assert done.exit_code == 1
    assert "Error:" in done.output
    assert wrong.split("=", maxsplit=1)[0] in done.output


def test_thresholds_that_are_changed_together_may_be_in_any_order() -> None:
    limits = Thresholds().changed(("almost-full-critical=20%", "almost-full=30%", "filling-up-critical=35%"))
    assert (limits.almost_full_critical, limits.almost_full) == (0.2, 0.3)
    assert Thresholds().changed(("filling-up=100%", "overflows=0")).filling_up == 1


@needs("promtool")
def test_the_rule_for_the_operator_has_the_same_groups(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["rules", "--format", "prometheus-rule"])
    made = yaml.safe_load(done.output)
    assert (made["apiVersion"], made["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", made["metadata"]["name"])
    assert made["spec"] == yaml.safe_load(_RULES.read_text())
    file = tmp_path / "spec.yml"
    file.write_text(yaml.safe_dump(made["spec"]))
    assert "SUCCESS" in _promtool("check", "rules", "--lint=all", "--lint-fatal", str(file))
