import contextlib
import os
import select
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchdog.events import FileCreatedEvent

from exporter.schedule import watcher as watcher_module
from exporter.schedule.watcher import Mailbox, Watcher
from tests.support.waiting import DEADLINE, eventually


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/containers/c").mkdir(parents=True)
    (tmp_path / "root/graph").mkdir()
    return tmp_path / "root"


@pytest.fixture
def watcher(root: Path) -> "Watcher":
    watcher = Watcher()
    assert watcher.start(str(root), [("containers",), ("graph",)], [("containers",)]) == ""
    return watcher


def _paths(watcher: Watcher, name: str) -> set[str]:
    """Wait for an event of `name`, and return all that came."""
    found: set[str] = set()

    def came() -> bool:
        select.select([watcher.mailbox.readable], [], [], 1)
        found.update(watcher.mailbox.take_paths()[0])
        return any(path.endswith(name) for path in found)

    eventually(came, otherwise=lambda: found)
    return found


def test_what_comes_goes_is_renamed_and_rewritten_is_told(root: Path, watcher: Watcher) -> None:
    (root / "graph/new").mkdir()
    _paths(watcher, "graph/new")
    (root / "graph/new").rename(root / "graph/moved")
    _paths(watcher, "graph/moved")
    (root / "graph/moved").rmdir()
    _paths(watcher, "graph/moved")
    (root / "containers/c/config.json").write_text("{}")
    assert watcher.tree_of(str(root / "containers/c/config.json")) == ("containers", "c", "config.json")
    _paths(watcher, "c/config.json")
    (root / "last").write_text("")
    _paths(watcher, "root/last")
    watcher.stop()


def test_reading_tells_nothing(root: Path, watcher: Watcher) -> None:
    os.listdir(root / "graph")
    (root / "containers/c").stat()
    (root / "graph/end").mkdir()
    assert _paths(watcher, "graph/end") == {str(root / "graph/end")}
    watcher.stop()


def test_a_thread_that_ended_is_noticed(root: Path, watcher: Watcher) -> None:
    assert not watcher.fault([("containers",), ("graph",)])
    emitter = next(thread for thread in threading.enumerate() if "Emitter" in type(thread).__name__)
    emitter.stop()  # type: ignore[attr-defined]
    emitter.join(DEADLINE)
    assert watcher.fault([("containers",), ("graph",)]) == "thread"
    watcher.stop()


def test_a_directory_that_is_another_one_is_noticed(root: Path, watcher: Watcher) -> None:
    assert not watcher.fault([("containers",), ("graph",)])
    (root / "graph").rename(root / "away")
    (root / "graph").mkdir()
    assert watcher.fault([("containers",), ("graph",)]) == "directory"
    watcher.stop()


def test_a_directory_that_is_not_watched_yet_is_noticed(watcher: Watcher) -> None:
    assert watcher.fault([("containers",), ("graph",), ("volumes",)]) == "directory"
    watcher.stop()


@contextlib.contextmanager
def _tmpfs(on: Path) -> Iterator[None]:
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "t", str(on)], capture_output=True, check=False).returncode
    ):
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(on)], check=True)


def test_a_directory_that_is_mounted_over_by_one_with_its_inode_number_is_noticed(root: Path) -> None:
    """As the roots of all filesystems of a kind have: of two disks, two subvolumes, two tmpfs."""
    watcher = Watcher()
    with _tmpfs(root / "graph"):
        assert watcher.start(str(root), [("graph",)]) == ""
        inode = (root / "graph").stat().st_ino
        with _tmpfs(root / "graph"):
            assert (root / "graph").stat().st_ino == inode
            assert watcher.fault([("graph",)]) == "directory"
        watcher.stop()


def test_watches_that_went_with_an_unmount_are_noticed(root: Path) -> None:
    watcher = Watcher()
    with _tmpfs(root / "graph"):
        assert watcher.start(str(root), [("graph",)]) == ""
        assert watcher.check({})
        assert watcher.complete
    assert not watcher.check({})
    assert watcher.deaf
    watcher.stop()


def test_a_directory_without_a_watch_is_noticed(root: Path, watcher: Watcher) -> None:
    home = (root / "containers/c").stat().st_ino
    assert not watcher.complete, "nobody has looked yet"
    assert not watcher.deaf
    assert watcher.check({("containers", "c"): home, ("containers", "gone"): 1})
    assert watcher.complete
    assert watcher.held == 4
    (root / "graph/unwatched").mkdir()
    assert watcher.check({("graph", "unwatched"): (root / "graph/unwatched").stat().st_ino})
    assert watcher.deaf
    assert not watcher.complete
    watcher.stop()
    assert watcher.deaf
    assert watcher.held == 0


def test_what_cannot_be_watched_is_said(tmp_path: Path) -> None:
    watcher = Watcher()
    assert watcher.start(str(tmp_path / "none"), []) != ""
    assert not watcher.running


def test_an_overflow_in_the_log_of_the_library_is_counted(root: Path, watcher: Watcher) -> None:
    import logging  # noqa: PLC0415 - only here

    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; filesystem events were lost")
    assert watcher.mailbox.take_paths()[2] == 1
    watcher.stop()


class _Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_events_behind_others_wake_nobody_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever took the first ones comes again when it is time."""
    clock = _Clock()
    monkeypatch.setattr(watcher_module, "time", clock)
    mailbox = Mailbox()

    def wakes(path: str) -> bool:
        mailbox.on_any_event(FileCreatedEvent(path))
        return bool(select.select([mailbox.readable], [], [], 0)[0])

    assert wakes("a")
    assert mailbox.take_paths()[0] == ["a"]
    assert not wakes("b")
    assert mailbox.due > clock.now
    clock.now = mailbox.due
    assert mailbox.take_paths()[0] == ["b"]
    clock.now += 1
    assert mailbox.take_paths()[0] == []
    assert wakes("c")
    mailbox.close()
