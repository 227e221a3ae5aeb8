import contextlib
import os
import select
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, WatchDescriptor

from exporter.core.measured import Tree
from exporter.schedule import event_reader as reader_module
from exporter.schedule.event_reader import EventReader, Mailbox
from exporter.schedule.watcher import Watcher
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
        found.update(map("/".join, watcher.mailbox.take().paths))
        return name in found

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
    _paths(watcher, "containers/c/config.json")
    (root / "last").write_text("")
    _paths(watcher, "last")
    watcher.stop()


def test_reading_tells_nothing(root: Path, watcher: Watcher) -> None:
    os.listdir(root / "graph")
    (root / "containers/c").stat()
    (root / "graph/end").mkdir()
    assert _paths(watcher, "graph/end") == {"graph/end"}
    watcher.stop()


def test_a_thread_that_ended_is_noticed(root: Path, watcher: Watcher) -> None:
    assert not watcher.fault([("containers",), ("graph",)])
    reader = next(thread for thread in threading.enumerate() if isinstance(thread, EventReader))
    reader.stop()
    reader.join(DEADLINE)
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
    eventually(lambda: not watcher.check({}))  # a mount namespace that was made meanwhile has a copy for a while
    assert watcher.deaf
    watcher.stop()


def test_a_file_or_a_link_among_homes_needs_no_watch(root: Path, watcher: Watcher) -> None:
    homes: dict[Tree, int] = {("containers", "c"): (root / "containers/c").stat().st_ino}
    (root / "containers/notes").write_text("of somebody")
    (root / "containers/link").symlink_to("c")
    homes |= {("containers", name): (root / "containers" / name).lstat().st_ino for name in ("notes", "link")}
    assert watcher.check(homes)
    assert watcher.complete
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


def test_a_directory_that_is_removed_and_made_again_is_noticed(root: Path, watcher: Watcher) -> None:
    """It may have the inode number of the one before."""
    (root / "graph").rmdir()
    eventually(watcher.dead)
    (root / "graph").mkdir()
    assert watcher.fault([("containers",), ("graph",)]) == "directory"
    watcher.stop()


def test_a_home_that_is_renamed_or_made_again_is_watched(root: Path, watcher: Watcher) -> None:
    homes = root / "containers"
    (homes / "c").rename(homes / "d")
    _paths(watcher, "containers/d")
    (homes / "d/log").write_text("")
    _paths(watcher, "containers/d/log")
    (homes / "d/log").unlink()
    (homes / "d").rmdir()
    (homes / "d").mkdir()
    inode = (homes / "d").stat().st_ino

    def watched() -> bool:
        return watcher.check({("containers", "d"): inode}) and watcher.complete

    eventually(watched)
    (homes / "d/config.json").write_text("")
    _paths(watcher, "containers/d/config.json")
    watcher.stop()


def test_directories_inside_of_a_home_are_not_watched(root: Path, watcher: Watcher) -> None:
    (root / "containers/c/mounts").mkdir()
    _paths(watcher, "containers/c/mounts")
    assert watcher.check({})
    assert watcher.held == 4
    watcher.stop()


def test_after_an_overflow_homes_that_came_unseen_are_watched(root: Path) -> None:
    """Events of it are made up: a queue that overflows takes long to fill."""
    mailbox = Mailbox()
    reader = EventReader(mailbox)
    reader.watch(str(root), ("containers",), deep=True, written=False)
    (root / "containers/unseen").mkdir()
    reader.handle_event(InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b""))
    assert mailbox.take().overflows == 1
    reader.start()
    (root / "containers/unseen/config.json").write_text("")
    came = eventually(lambda: mailbox.take().paths.get(("containers", "unseen", "config.json")))
    assert came
    reader.stop()
    reader.join(DEADLINE)
    mailbox.close()


def test_equal_paths_are_counted_and_too_many_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MOST_ENTRIES", 2)
    mailbox = Mailbox()
    for name in "aab":
        mailbox.add((name,))
    assert mailbox.take() == ({("a",): 2, ("b",): 1}, True, 0)
    for name in "abca":
        mailbox.add((name,))
    assert mailbox.take().paths == {("a",): 2, ("b",): 1}
    assert mailbox.take() == ({}, False, 0)
    mailbox.close()
