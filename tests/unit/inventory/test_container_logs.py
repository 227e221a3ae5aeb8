"""The logs of containers: measured by the names of their files, bounded by what is written down."""

from pathlib import Path

import pytest

from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool
from tests.support.proc import FakeProc
from tests.support.product import Samples, document_of, figures_of
from tests.support.recorded import unpack_case
from tests.support.roots import graph_root, hex_id
from tests.support.roots.layerdb import DbRoot, digest

_WEB = digest("containerweb")


def _root(path: Path, *, log_type: str = "json-file", **options: str) -> DbRoot:
    built = DbRoot(path).layer("a", 10).image("a", "a", ["a:1"])
    return built.container("web", "a", "a", log=7, host={"LogConfig": {"Type": log_type, "Config": options}})


def _home(built: DbRoot) -> Path:
    return built.path / "containers" / _WEB


def _of_web(figures: Samples) -> tuple[list[float], list[float]]:
    """The size of the log, and whether it is bounded; each may be absent."""
    size, bounded = (figures.all(f"container_log_{one}") for one in ("size_bytes", "bounded"))
    return [value for _, value in size], [value for _, value in bounded]


@pytest.mark.parametrize("damage", [b"", b"{", None])
def test_a_log_is_measured_where_the_configuration_is_lost(tmp_path: Path, damage: bytes | None) -> None:
    built = _root(tmp_path, **{"max-size": "10m"})
    (_home(built) / f"{_WEB}-json.log.1.gz").write_bytes(b"x" * 5)
    config = _home(built) / "config.v2.json"
    config.unlink() if damage is None else config.write_bytes(damage)
    figures = figures_of(built.path)
    assert _of_web(figures) == ([12.0], [1.0])
    assert figures("container_log_limit_bytes") == 10_000_000
    assert document_of(built.path).containers[0].log_driver == "json-file"


@pytest.mark.parametrize("host", [b"", b"{", None])
def test_without_the_host_configuration_nobody_knows_what_bounds_it(tmp_path: Path, host: bytes | None) -> None:
    built = _root(tmp_path, **{"max-size": "10m"})
    file = _home(built) / "hostconfig.json"
    file.unlink() if host is None else file.write_bytes(host)
    assert _of_web(figures_of(built.path)) == ([7.0], [])
    assert document_of(built.path).containers[0].log_driver == "json-file"


@pytest.mark.parametrize(
    ("file", "driver"),
    [("{id}-json.log", "json-file"), ("{id}-json.log.1", "json-file"), ("local-logs/container.log", "local")],
)
def test_a_directory_where_only_the_log_is_left(tmp_path: Path, file: str, driver: str) -> None:
    built = _root(tmp_path)
    for one in _home(built).iterdir():
        one.unlink()
    log = _home(built) / file.format(id=_WEB)
    log.parent.mkdir(exist_ok=True)
    log.write_bytes(b"x" * 9)
    assert _of_web(figures_of(built.path)) == ([9.0], [])
    assert document_of(built.path).containers[0].log_driver == driver


def test_a_container_of_an_old_engine_needs_no_host_configuration(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app").container("web", image="app", log=b"123")
    (built.path / "containers" / hex_id("web") / "hostconfig.json").unlink()
    assert _of_web(figures_of(built.path)) == ([3.0], [0.0])


@pytest.mark.parametrize("driver", ["awslogs", "fluentd", "gcplogs", "gelf", "journald", "none", "splunk", "syslog"])
def test_the_engines_own_drivers_keep_nothing_here(tmp_path: Path, driver: str) -> None:
    built = _root(tmp_path, log_type=driver)
    built.log("web").unlink()
    assert _of_web(figures_of(built.path)) == ([0.0], [1.0])
    (_home(built) / "container-cached.log").write_bytes(b"x" * 4)
    figures = figures_of(built.path)
    assert (_of_web(figures), figures("container_log_limit_bytes")) == (([4.0], [1.0]), 100 * 1024 * 1024)


@pytest.mark.parametrize("driver", ["shipper:latest", "loki", "grafana/loki-docker-driver:2.9.1", "Syslog"])
def test_nobody_knows_what_a_plugin_keeps(tmp_path: Path, driver: str) -> None:
    built = _root(tmp_path, log_type=driver)
    built.log("web").unlink()
    assert _of_web(figures_of(built.path)) == ([], [])
    (_home(built) / "container-cached.log").write_bytes(b"x" * 4)
    figures = figures_of(built.path)
    assert (_of_web(figures), figures.all("container_log_limit_bytes")) == (([], []), [])


def test_a_log_that_cannot_be_looked_at_has_no_size(tmp_path: Path) -> None:
    built = _root(tmp_path)
    log = built.log("web")
    log.unlink()
    log.symlink_to("/dev/null")
    (_home(built) / f"{_WEB}-json.log.1").write_bytes(b"x" * 5)
    figures = figures_of(built.path)
    assert _of_web(figures) == ([], [0.0])
    assert figures("scan_errors_total", collector="containers", reason="not_regular") == 1


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_a_log_that_was_deleted_while_the_container_runs(tmp_path: Path, driver: str) -> None:
    proc = FakeProc(tmp_path / "proc")
    proc.container(7, _WEB)
    state = {"Running": True, "Pid": 7}
    built = DbRoot(tmp_path).layer("a", 10).image("a", "a", ["a:1"])
    built.container("web", "a", "a", log=7, host={"LogConfig": {"Type": driver}}, state=state)
    built.container("done", "a", "a", host={"LogConfig": {"Type": driver}})
    log = built.log("web")
    if driver == "local":
        (_home(built) / "local-logs").mkdir()
        log = log.rename(_home(built) / "local-logs/container.log")
    place = str(proc.path)
    web, done = sorted(document_of(built.path, proc=place).containers, key=lambda one: one.id != _WEB)
    assert (web.state, web.log, web.log_deleted) == ("running", 7, False)
    assert (done.state, done.log, done.log_deleted) == ("exited", 0, False)
    log.unlink()
    web, done = sorted(document_of(built.path, proc=place).containers, key=lambda one: one.id != _WEB)
    assert (web.log, web.log_deleted, done.log_deleted) == (None, True, False)


@pytest.mark.parametrize(
    ("state", "deleted"),
    [
        ({"Running": True, "Pid": 8}, False),  # it has ended, and so has the engine that wrote this
        ({"Running": True, "Restarting": True, "Pid": 0}, False),  # between two attempts
        ({"Running": False}, False),
    ],
)
def test_who_has_ended_holds_no_log(tmp_path: Path, state: dict[str, object], deleted: bool) -> None:
    proc = FakeProc(tmp_path / "proc")
    built = DbRoot(tmp_path).layer("a", 10).image("a", "a", ["a:1"]).container("web", "a", "a", state=state)
    assert document_of(built.path, proc=str(proc.path)).containers[0].log_deleted is deleted


def test_whether_it_runs_may_not_be_known(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path / "proc", first=False)
    built = DbRoot(tmp_path).layer("a", 10).image("a", "a", ["a:1"])
    built.container("web", "a", "a", state={"Running": True, "Pid": 8, "StartedAt": "2100-01-01T00:00:00Z"})
    (web,) = document_of(built.path, proc=str(proc.path)).containers
    assert (web.state, web.log, web.log_deleted) == ("unknown", None, True)


def test_case_1(tmp_path: Path) -> None:
    root = unpack_case(1, tmp_path)
    (lost,) = document_of(root).containers
    assert (lost.log, lost.log_driver, lost.log_bounded) == (40_000_000, "json-file", False)
    assert figures_of(root)("container_log_size_bytes", container_id=lost.id[:12]) == 4e7
    home = root / "containers" / lost.id
    for name in ("config.v2.json", "hostconfig.json"):
        (home / name).unlink()
    (left,) = document_of(root).containers
    assert (left.log, left.log_driver, left.log_bounded) == (40_000_000, "json-file", None)


@pytest.mark.parametrize("also", [False, True])
def test_a_configuration_that_is_rewritten_leaves_the_log_as_it_was(tmp_path: Path, also: bool) -> None:
    """Old engines rewrite it in place. What is there of the log is seen all the same."""
    built = _root(tmp_path, log_type="syslog")
    with LocalPool() as pool:
        scanner = Scanner(str(built.path), 600, pool)
        scanner.scan()
        for name in ("config.v2.json", "hostconfig.json")[: 1 + also]:
            (_home(built) / name).write_text("{")
        (_home(built) / f"{_WEB}-json.log.1").write_bytes(b"x" * 5)
        snapshot = scanner.scan()
    (web,) = snapshot.inventory.containers
    assert (web.name, web.log.driver, web.log.bounded, snapshot.logs) == ("web", "syslog", True, {_WEB: 12})
