"""A real Prometheus with the rules loaded scrapes real exporters on the busy example hosts."""

import re
import time
from collections.abc import Iterator

import pytest

from exporter.demo import Busy
from exporter.rules import Settings, rules
from tests.conftest import needs
from tests.prometheus.live import DASHBOARDS, Live, Prometheus, annotations, queries

_DEADLINE_SECONDS = 100
#: Labels without a value on this root, which Prometheus leaves out.
_WITHOUT_VALUE = {"revision", "compose_project"}
#: Rightly empty here: BuildKit came long after aufs, so the root has no record of its cache.
_RIGHTLY_EMPTY = "build_cache_record_"
pytestmark = needs("prometheus")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Build the root, start both, and live on until a log that runs away has been told of."""
    scratch = tmp_path_factory.mktemp("live")
    busy = Busy(scratch / "docker")
    live = Live(scratch)
    try:
        address = live.exporter(busy.root)[1]
        client = live.prometheus({"wiki": address}, Settings(speed=900))
        until = time.monotonic() + _DEADLINE_SECONDS
        while ("DockerContainerLogRunaway", "wiki") not in client.firing() or busy.steps < 60:
            assert time.monotonic() < until, client.ask("alerts")
            busy.step()
            time.sleep(0.25)
        yield client
    finally:
        live.close()


def test_every_panels_query_returns_series_with_the_labels_that_it_shows(prometheus: Prometheus) -> None:
    wrong = {}
    for query in (query for name in DASHBOARDS for query in queries(name)):
        series = prometheus.answer(query)
        missing = {one for one in query.labels if not any(one in found["metric"] for found in series)}
        if (not series and _RIGHTLY_EMPTY not in query.expression) or (series and missing - _WITHOUT_VALUE):
            wrong[query.where] = missing
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
    empty = [name for name in names if "full_seconds" not in name and not prometheus.instant(name)]
    assert empty == []


def test_annotations_are_valid_queries(prometheus: Prometheus) -> None:
    for query in (query for name in DASHBOARDS for query in annotations(name)):
        prometheus.answer(query)
