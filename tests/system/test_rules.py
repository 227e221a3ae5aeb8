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
def test_every_alert_fires_when_it_must_and_not_when_it_nearly_must() -> None:
    assert "SUCCESS" in _promtool("test", "rules", *map(str, (TOP / "prometheus/tests").glob("*.yml")))


@needs("promtool")
def test_the_examples_are_valid() -> None:
    _promtool("check", "config", "--lint=all", str(TOP / "prometheus/prometheus.yml"))


def test_the_inhibitions_name_alerts_that_exist() -> None:
    config = yaml.safe_load((TOP / "prometheus/alertmanager.yml").read_text())
    text = "".join(one for rule in config["inhibit_rules"] for one in rule["source_matchers"] + rule["target_matchers"])
    alerts = {rule["alert"] for group in yaml.safe_load(_RULES.read_text())["groups"] for rule in group["rules"][5:]}
    assert alerts
    names = [name for quoted in text.split('"')[1::2] for name in quoted.split("|") if name.startswith("Docker")]
    assert len(names) > 8
    assert all(name in rules(Settings()) for name in (one.removesuffix(".*") for one in names))


@needs("promtool")
@pytest.mark.parametrize("ordinary", [True, False])
def test_an_ordinary_week_of_a_build_host_fires_nothing(tmp_path: Path, ordinary: bool) -> None:
    (tmp_path / "rules.yml").write_text(_RULES.read_text())
    test = tmp_path / "week.json"
    test.write_text(json.dumps(week(ordinary=ordinary)))  # which is YAML, and quickly written
    done = subprocess.run(["promtool", "test", "rules", str(test)], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is ordinary, done.stdout + done.stderr
    assert ordinary or "DockerContainerLogRunaway" in done.stdout + done.stderr


def test_thresholds_are_set_in_the_units_of_people() -> None:
    limits = Thresholds().changed(("log=2GiB", "almost-full=15%", "log-fills=90m", "writable=500 MB", "overflows=7"))
    assert limits.log == 2 * 1024**3
    assert limits.almost_full == 0.15
    assert limits.log_fills == 5400
    assert limits.writable == 5e8
    assert limits.overflows == 7


@pytest.mark.parametrize("name", [one.name for one in fields(Thresholds)])
def test_every_threshold_is_in_a_rule(name: str) -> None:
    assert rules(Settings(thresholds=replace(Thresholds(), **{name: 0.0321}))) != rules(Settings())


def test_the_command_prints_rules_for_the_users_job_and_thresholds() -> None:
    done = CliRunner().invoke(
        main, ["rules", "--job", "hosts", "--threshold", "log=3GiB", "--runbooks", "https://wiki/"]
    )
    assert 'docker_storage_container_log_size_bytes{job="hosts"} > 3 * 1024 ^ 3' in done.output
    assert 'job="docker-storage"' not in done.output
    assert "runbook_url: https://wiki/DockerStorageScanStale.md" in done.output
    assert "for: 15s" in CliRunner().invoke(main, ["rules", "--speed", "60"]).output
    assert "almost-full " in CliRunner().invoke(main, ["rules", "--list"]).output


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
