"""The sizes of logs that a look reads: of what may run each time, of everything else from time to time."""

import shutil
from pathlib import Path

import pytest

from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.core.model import Trigger
from exporter.demo.writer import State
from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool
from tests.support.proc import FakeProc
from tests.support.roots import GraphRoot, graph_root, hex_id


class _Host:
    """A container that runs and one that does not."""

    def __init__(self, path: Path) -> None:
        self.proc = FakeProc(path / "proc")
        self.proc.container(7, hex_id("web"))
        self.built: GraphRoot = graph_root(path).image("base", size=3, files={"a": 1}, tag="base:1")
        self.built.container("web", image="base", state=State(running=True, pid=7), log=b"a")
        self.built.container("done", image="base", log=b"b")
        self.scanner = Scanner(str(self.built.path), 600, LocalPool(), proc=str(self.proc.path))
        self.scanner.scan()

    def look(self, *, everything: bool = False) -> set[Tree]:
        with self.scanner.look() as root:
            return self.scanner.read_log_sizes(root, everything=everything)

    def write(self, name: str) -> None:
        with (self.built.path / "containers" / hex_id(name) / f"{hex_id(name)}-json.log").open("ab") as file:
            file.write(b"more")

    def sizes(self) -> dict[str, int]:
        logs = self.scanner.snapshot().logs
        return {name: logs[key] for name in ("web", "done") if (key := hex_id(name)) in logs}  # type: ignore[index]


@pytest.fixture
def host(tmp_path: Path) -> _Host:
    return _Host(tmp_path)


def _home(name: str) -> Tree:
    return ("containers", hex_id(name))


def test_the_log_of_what_runs_is_read_at_each_look_and_others_where_everything_is(host: _Host) -> None:
    changes, logs = host.scanner.changes, host.scanner.snapshot().logs
    assert host.sizes() == {"web": 1, "done": 1}
    assert host.look() == set()
    assert host.scanner.changes == changes
    assert host.scanner.snapshot().logs is logs
    host.write("web")
    host.write("done")
    assert host.look() == {_home("web")}
    assert host.scanner.changes > changes
    assert host.sizes() == {"web": 5, "done": 1}
    assert logs[hex_id("web")] == 1, "what was published stays as it was"  # type: ignore[index]
    assert host.look(everything=True) == {_home("done")}
    assert host.sizes() == {"web": 5, "done": 5}


def test_what_has_stopped_since_the_last_look_is_read_once_more(host: _Host) -> None:
    host.look()
    host.write("web")
    shutil.rmtree(host.proc.path / "7")
    assert host.look() == {_home("web")}
    assert {one.id: one.state for one in host.scanner.inventory.containers}[hex_id("web")] == "stale"  # type: ignore[index]
    host.write("web")
    assert host.look() == set()
    assert host.look(everything=True) == {_home("web")}


def test_a_log_of_a_container_that_came_is_read_from_then_on(host: _Host) -> None:
    host.look()
    host.proc.container(8, hex_id("new"))
    host.built.container("new", image="base", state=State(running=True, pid=8), log=b"c")
    host.scanner.scan()
    host.write("new")
    assert host.look() == {_home("new")}


def test_logs_that_a_look_could_not_read_are_read_at_the_next_one_and_at_the_next_scan(host: _Host) -> None:
    containers, aside = host.built.path / "containers", host.built.path / "aside"
    for again in (host.look, lambda: host.scanner.begin(Trigger.EVENT, Dirty())):
        containers.rename(aside)
        containers.symlink_to("aside")  # which is not followed
        assert host.look(everything=True) == {_home("web"), _home("done")}
        assert host.sizes() == {}
        containers.unlink()
        aside.rename(containers)
        again()
        assert host.sizes() == {"web": 1, "done": 1}


def test_one_log_that_could_not_be_read_is_asked_for_until_it_can_be(host: _Host) -> None:
    log = host.built.path / "containers" / hex_id("done") / f"{hex_id('done')}-json.log"
    log.unlink()
    log.mkdir()
    assert host.look(everything=True) == {_home("done")}
    for _ in range(2):
        assert host.look() == set()
        assert host.sizes() == {"web": 1}
    log.rmdir()
    log.write_bytes(b"longer")
    assert host.look() == {_home("done")}
    assert host.sizes() == {"web": 1, "done": 6}
