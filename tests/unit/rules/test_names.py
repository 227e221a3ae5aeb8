"""Every metric that is used exists, and every metric that exists is used or left out for a reason."""

import json
import re

import pytest

from exporter.expose.metrics.catalogue import CATALOGUE
from exporter.rules import Settings, rules
from tests.support.alerts import health, logs, places, space
from tests.support.paths import TOP

_NAME = re.compile(r"(?<![:\w.-])((?:docker_storage|process)_[a-z_]+)(?![:\w(]|\.(?:json|yml|prom|py))")
#: On no panel and in no rule, and why.
_NEITHER = {
    "docker_storage_layer_size_bytes": "off by default: thousands of series",
    "docker_storage_layer_info": "as above",
    "docker_storage_bind_size_bytes": "only for sources that the operator names: a panel would mostly be empty",
    "docker_storage_bind_allocated_bytes": "as above",
    "docker_storage_volume_filesystem_info": "to join on: a panel of volumes by filesystem would mostly have one row",
}
#: Played apart: these have no instance.
_OF_NO_HOST = {"DockerStorageNoExporters", "DockerStorageScrapedSeldom"}
_SEVERAL = {"docker_storage_exporter"}


def _used(text: str) -> set[str]:
    return {name for name in _NAME.findall(text) if not name.endswith("_")} - _SEVERAL


def _expressions() -> str:
    files = (TOP / "grafana").glob("*.json")
    return "\n".join(json.dumps(json.loads(file.read_text())) for file in files) + rules(Settings())


def test_every_metric_on_a_panel_in_a_rule_or_in_a_runbook_is_in_the_catalogue() -> None:
    texts = {"panels and rules": _expressions()}
    texts |= {page.name: page.read_text() for page in (TOP / "docs").rglob("*.md")}
    texts |= {page.name: page.read_text() for page in (TOP / "prometheus").rglob("*.yml")}
    known = {metric.name for metric in CATALOGUE}
    unknown = {name: _used(text) - known for name, text in texts.items()}
    assert {name: names for name, names in unknown.items() if names} == {}


def test_every_metric_of_the_catalogue_is_on_a_panel_in_a_rule_or_left_out_for_a_reason() -> None:
    known = {metric.name for metric in CATALOGUE}
    used = _used(_expressions())
    assert known - used == _NEITHER.keys() & known
    assert not _NEITHER.keys() & used


_ALERTS = sorted(set(re.findall(r"alert: (\w+)", rules(Settings()))))


@pytest.mark.parametrize("alert", _ALERTS)
def test_every_alert_has_a_runbook(alert: str) -> None:
    page = (TOP / "docs/runbooks" / f"{alert}.md").read_text()
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    assert headings == [alert, "Meaning", "Impact", "Find the cause", "What to do", "How to prevent it"]


def test_every_alert_has_a_situation_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    hosts = [host for kind in (space, places, logs, health) for host in kind.situations()]
    outcomes = {(check.alert, check.count > 0) for host in hosts for check in host.checks}
    wanted = {(alert, fires) for alert in _ALERTS for fires in (True, False)} - {
        (alert, fires) for alert in _OF_NO_HOST for fires in (True, False)
    }
    assert wanted <= outcomes
    assert {alert for alert, _ in outcomes} | _OF_NO_HOST == {*_ALERTS}


def test_every_runbook_is_of_an_alert() -> None:
    pages = {page.stem for page in (TOP / "docs/runbooks").glob("Docker*.md")}
    assert pages == set(re.findall(r"alert: (\w+)", rules(Settings())))
