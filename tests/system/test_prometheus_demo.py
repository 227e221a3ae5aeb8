"""A real Prometheus with the rules loaded scrapes real exporters on the busy example hosts."""

import json
from collections.abc import Iterable, Iterator, Sequence
from subprocess import CompletedProcess
from typing import Any

import pytest

from exporter.demo import Busy, BusyHost, ContainerdHost, running
from exporter.rules import Settings
from exporter.rules.recording import AVAILABLE, GROWTH, USED
from tests.support.command import run
from tests.support.live import DASHBOARDS, Live, Prometheus, Query, annotations, queries
from tests.support.product import needs
from tests.support.waiting import eventually

#: Prometheus leaves out labels without a value. A development version has no revision. Only those of containerd have a
#: namespace and a pod, and the largest ones here are of other hosts. Only where there are two roots have they one.
#: There is one cluster, without a name. Whether an alert of a filesystem fires is for this machine to say.
_WITHOUT_VALUE = {"revision", "namespace", "pod", "root", "cluster", "mountpoint"}
#: What has no series here, and why.
_RIGHTLY_EMPTY = {
    "docker-storage.json: Exporter restarts": "none restarts",
    "docker-storage.json: Large drops": "no prune here frees 2 % of this machine's disk",
}
pytestmark = [pytest.mark.xdist_group("prometheus of the demo"), needs("prometheus")]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, dict[str, Any]]]:
    """Build all roots, start all, and live on until a log that runs away has been told of.

    Returns the alert, too: soon after the log has stopped growing, it fires no more.
    """
    scratch = tmp_path_factory.mktemp("live")
    wiki, build, today = Busy(scratch / "wiki"), BusyHost(scratch / "build"), ContainerdHost(scratch / "containerd")
    live = Live(scratch)
    try:
        with running(wiki.root), running(build.root), running(today.root):
            roots = {"wiki": wiki.root, "build": build.root, "containerd": today.root}
            targets = {name: live.exporter(root)[1] for name, root in roots.items()}
            client = live.prometheus(targets, Settings(speed=900))

            def told() -> dict[str, Any] | None:
                wiki.step()
                build.step()
                today.step()
                return _runaway(client) if wiki.steps >= 60 else None

            alert = eventually(told, otherwise=lambda: client.ask("alerts"))
            # A volume of the wiki was torn until step 45: without it nothing is known of what a prune frees. On
            # a loaded machine the exporter reads its removal some seconds later.
            not_known = "docker_storage_known == 0"
            here = f"docker_storage_up == 1 unless on (instance) ({not_known})"
            eventually(lambda: len(client.instant(here)) == len(roots), otherwise=lambda: client.instant(not_known))
            # A blob that is on its way is not measured yet, so that a scrape may lack the bytes of its use.
            history = 'docker_storage_content_allocated_bytes{use="build_history"}'
            eventually(lambda: client.instant(history), otherwise=lambda: client.instant("up"))
            yield client, alert
    finally:
        live.close()


def _runaway(client: Prometheus) -> dict[str, Any] | None:
    """The alert of the log that runs away, while it fires."""
    wanted = {"alertname": "DockerContainerLogRunaway", "instance": "wiki", "name": "mediawiki"}
    alerts = (one for one in client.ask("alerts")["alerts"] if one["state"] == "firing")
    return next((one for one in alerts if wanted.items() <= one["labels"].items()), None)


@pytest.fixture
def prometheus(lived: tuple[Prometheus, dict[str, Any]]) -> Prometheus:
    return lived[0]


def test_every_panels_query_returns_series_with_the_labels_that_it_shows(prometheus: Prometheus) -> None:
    """A scrape that takes longer than its second leaves nothing for a moment: what is wrong then is asked again."""
    shown = [query for name in DASHBOARDS for query in (*queries(name), *annotations(name))]
    eventually(lambda: not _wrong(prometheus, shown), otherwise=lambda: _wrong(prometheus, shown))


def _wrong(prometheus: Prometheus, shown: Iterable[Query]) -> dict[str, set[str]]:
    """The queries whose answers are not as they should be, with the labels that these lack."""
    wrong = {}
    for query in shown:
        series = prometheus.answer(query)
        missing = {one for one in query.labels if not any(one in found["metric"] for found in series)}
        if bool(series) is (query.where in _RIGHTLY_EMPTY) or (series and missing - _WITHOUT_VALUE):
            wrong[query.where] = missing
    return wrong


def test_a_log_that_runs_away_is_told_of_with_its_name(lived: tuple[Prometheus, dict[str, Any]]) -> None:
    description = lived[1]["annotations"]["description"]
    assert "The log of mediawiki on wiki is" in description
    assert "GB and, at its present rate" in description


def test_what_is_recorded_for_dashboards_has_series(prometheus: Prometheus) -> None:
    """Not how long until this machine's own disk is full: whether it fills while the test runs is not to be said."""
    eventually(lambda: all(map(prometheus.instant, (USED, GROWTH, AVAILABLE))))


def test_the_fleet_has_a_row_for_each_host_and_the_host_dashboard_shows_the_chosen(prometheus: Prometheus) -> None:
    hosts = [one for one in queries(DASHBOARDS[1]) if "Hosts " in one.where and one.instant]
    assert hosts
    for query in hosts:
        _becomes(prometheus, query, ("instance",), {("wiki",), ("build",), ("containerd",)})
    layers = next(query for query in queries(DASHBOARDS[0]) if "Layers by use" in query.where)
    old = {("wiki", "aufs"), ("wiki", "vfs"), ("build", "overlay2"), ("build", "vfs")}
    _becomes(prometheus, layers, ("instance", "driver"), {*old, ("containerd", "overlayfs")})
    _becomes(prometheus, layers, ("instance",), {("build",)}, ["build"])


def _becomes(
    prometheus: Prometheus, query: Query, labels: Sequence[str], expected: set[tuple[str, ...]], *instances: list[str]
) -> None:
    """Wait until the series of a query have these values of these labels."""

    def found() -> set[tuple[str, ...]]:
        return {tuple(one["metric"][name] for name in labels) for one in prometheus.answer(query, *instances)}

    eventually(lambda: found() == expected, otherwise=lambda: (query.where, found()))


def test_diff_takes_both_ends_from_prometheus(prometheus: Prometheus) -> None:
    """The demo stands still by now, so the past is as old as the demo. What had changed by then is not known.

    On a loaded machine the exporter may still read what has changed last: a scrape may come between the two answers,
    or take longer than its second, so that there is no figure of that time.
    """
    several = run("diff", "--since", "1s", "--from-prometheus", prometheus.address)
    assert (several.returncode, "--instance build" in several.stderr) == (1, True)
    seen: list[object] = []

    def agree() -> bool:
        done = _changes(prometheus)
        seen[:] = [done.stderr]
        if done.returncode:
            return False
        data = json.loads(done.stdout)
        logs = [one for one in data["changes"] if (one["kind"], one["name"]) == ("log", "mediawiki")]
        assert {one["state"] for one in logs} <= {"grew", "unknown"}
        parts = next(one for one in data["totals"] if one["kind"] == "part")
        now = prometheus.instant('sum(docker_storage_directory_allocated_bytes{instance="wiki"})')
        seen[:] = [[parts["new"]], [float(one["value"][1]) for one in now]]
        return seen[0] == seen[1]

    eventually(agree, otherwise=lambda: seen)


def _changes(prometheus: Prometheus) -> CompletedProcess[str]:
    """What `diff` says of the wiki since its first scrape."""
    (since,) = prometheus.instant('time() - min_over_time(timestamp(docker_storage_up{instance="wiki"})[1h:1s])')
    command = ("diff", "--from-prometheus", prometheus.address, "--instance", "wiki", "--json")
    return run(*command, "--since", f"{float(since['value'][1]) - 2:.3f}")
