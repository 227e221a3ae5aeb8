import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.config import Config
from exporter.model import Counters
from exporter.scanner import Scanner
from exporter.usage.pool import Pool
from exporter.watch.keeper import Keeper
from tests.roots import GraphRoot, graph_root, hex_id

_DEADLINE_SECONDS = 30


class _Kept:
    """A keeper that is turned by hand."""

    def __init__(self, root: Path, pool: Pool, look_interval: float = 0.5, duty_cycle: float = 1) -> None:
        self.counters = Counters()
        self.scanner = Scanner(str(root), 600, pool, None, self.counters)
        config = Config(str(root), look_interval=look_interval, duty_cycle=duty_cycle)
        self.keeper = Keeper(config, self.scanner, pool, self.counters)
        self.keeper.start()

    def turn_until(self, there: Callable[[], bool]) -> None:
        until = time.monotonic() + _DEADLINE_SECONDS
        while not there():
            assert time.monotonic() < until
            time.sleep(max(0.0, min(0.05, self.keeper.due() - time.monotonic())))
            self.keeper.step()

    def layers(self) -> int:
        return len(self.keeper.snapshot().inventory.layers) if self.keeper.snapshot().measured else 0

    def volumes(self) -> set[str]:
        return {volume.name for volume in self.keeper.snapshot().inventory.volumes}


@pytest.fixture
def built(tmp_path: Path) -> GraphRoot:
    return graph_root(tmp_path).image("base", size=3, files={"a": 3}, tag="base:1")


@pytest.fixture
def kept(built: GraphRoot, pool: Pool) -> Iterator[_Kept]:
    kept = _Kept(built.path, pool)
    kept.turn_until(lambda: kept.layers() == 1)
    yield kept
    kept.keeper.watcher.stop()


def _end_thread(of: str, path: Path | None = None) -> None:
    """End a thread of watchdog's, that of one directory where a `path` is given."""
    threads = [one for one in threading.enumerate() if type(one).__name__.endswith(of)]
    (victim, *_) = (one for one in threads if path is None or one.watch.path == str(path))  # type: ignore[attr-defined]
    victim.stop()  # type: ignore[attr-defined]
    victim.join(_DEADLINE_SECONDS)


@pytest.mark.parametrize("which", ["Emitter", "Observer"])
def test_a_thread_of_the_library_that_ends_is_made_anew(built: GraphRoot, kept: _Kept, which: str) -> None:
    _end_thread(which)
    kept.turn_until(lambda: kept.counters.restarts.get("thread", 0) >= 1)
    before = sum(kept.counters.events.values())
    built.image("more", parent="base", size=9, files={"b": 5000}, tag="more:1")
    kept.turn_until(lambda: kept.layers() == 2)
    assert sum(kept.counters.events.values()) > before


def test_what_no_event_told_is_found_and_counted(built: GraphRoot, kept: _Kept) -> None:
    kept.keeper.watcher.mailbox.on_any_event = lambda event: None  # type: ignore[method-assign]
    built.image("more", parent="base", size=9, files={"b": 5000}, tag="more:1")
    kept.turn_until(lambda: kept.layers() == 2)
    assert kept.counters.missed >= 1


def test_a_root_that_is_not_there_keeps_nobody_busy(tmp_path: Path, pool: Pool) -> None:
    before = time.monotonic()
    kept = _Kept(tmp_path / "none", pool, look_interval=0)
    assert kept.keeper.due() >= before + 1, "when the root is looked for again"


def test_what_no_event_told_is_found_beside_what_one_did(built: GraphRoot, pool: Pool) -> None:
    """Two volumes between two looks; of the second nothing is told."""
    kept = _Kept(built.path, pool, look_interval=4)
    kept.turn_until(lambda: kept.layers() == 1)
    (built.path / "volumes/told/_data").mkdir(parents=True)
    kept.turn_until(lambda: "told" in kept.volumes())
    assert kept.counters.missed == 0
    _end_thread("Emitter", built.path / "volumes")
    (built.path / "volumes/missed/_data").mkdir(parents=True)
    kept.turn_until(lambda: "missed" in kept.volumes())
    assert kept.counters.missed == 1
    kept.keeper.watcher.stop()


def test_what_events_have_told_is_no_finding_of_a_later_look(built: GraphRoot, pool: Pool) -> None:
    """Most looks leave out what is rewritten in place; the thorough one after them knows that it was told."""
    built.container("web", image="base")
    kept = _Kept(built.path, pool, look_interval=0.2)
    kept.turn_until(lambda: kept.layers() > 0)
    kept.turn_until(lambda: not kept.keeper.reconciler.thorough)
    file = built.path / "containers" / hex_id("web") / "config.json"
    file.write_text(file.read_text().replace('"/web"', '"/other"'))
    kept.turn_until(lambda: kept.keeper.snapshot().inventory.containers[0].name == "other")
    kept.turn_until(lambda: kept.keeper.reconciler.thorough)
    judged = time.monotonic() + 1
    kept.turn_until(lambda: time.monotonic() > judged)
    assert kept.counters.missed == 0
    kept.keeper.watcher.stop()


@pytest.mark.parametrize("store", ["volumes", "image/overlay2/layerdb/sha256"])
def test_a_store_that_is_made_later_is_watched_as_soon_as_that_is_told(
    built: GraphRoot, pool: Pool, store: str
) -> None:
    (built.path / "image/aufs").mkdir(parents=True)
    (built.path / "volumes").rmdir()
    kept = _Kept(built.path, pool, look_interval=3600)
    kept.turn_until(lambda: kept.layers() == 1)
    (built.path / store).mkdir(parents=True)
    kept.turn_until(lambda: tuple(store.split("/")) in kept.keeper.watcher.directories)
    assert kept.counters.restarts == {"directory": 1}
    kept.keeper.watcher.stop()


def test_a_file_that_is_added_beside_an_image_layers_own_is_found(built: GraphRoot, pool: Pool) -> None:
    """overlay2 does so with a layer when the first one is made on it; no event tells, and none was missed."""
    kept = _Kept(built.path, pool, look_interval=4)
    kept.turn_until(lambda: kept.layers() == 1)
    base = ("aufs", "diff", hex_id("base"))
    (built.path / "aufs/diff" / hex_id("base") / "committed").touch()
    built.container("web", image="base")
    kept.turn_until(lambda: kept.layers() == 3)
    kept.turn_until(lambda: kept.scanner.measured[base].usage.inodes == 3)
    assert kept.counters.missed == 0
    kept.keeper.watcher.stop()


def test_what_events_tell_does_not_starve_when_there_is_nothing_to_spend(built: GraphRoot, pool: Pool) -> None:
    kept = _Kept(built.path, pool, look_interval=1, duty_cycle=1e-6)
    kept.turn_until(lambda: kept.layers() == 1)
    for number in range(2, 5):
        (built.path / f"volumes/{number}/_data").mkdir(parents=True)
        kept.turn_until(lambda: len(kept.volumes()) == number - 1)  # noqa: B023 - called at once
    assert kept.counters.missed == 0
    kept.keeper.watcher.stop()
