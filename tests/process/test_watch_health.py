from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.config.settings import Config, WatchSettings
from exporter.core.measured import Tree
from exporter.core.model import Counters
from exporter.inventory.areas import RootAreas
from exporter.schedule.watch_health import WatchHealth
from exporter.schedule.watcher import Watcher

_TREES: tuple[Tree, ...] = (("containers",), ("graph",))
_AREAS = RootAreas(_TREES, _TREES)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("containers/c", "graph", "volumes"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    watcher = Watcher()
    yield watcher
    watcher.stop()


def _homes(root: Path) -> dict[Tree, int]:
    return {("containers", "c"): (root / "containers/c").stat().st_ino}


def test_what_is_watched_as_it_should_be_is_left_alone(root: Path, watcher: Watcher) -> None:
    counters = Counters()
    watch_health = WatchHealth(Config(str(root)), watcher, counters)
    watch_health.start(str(root), _AREAS)
    for _ in range(2):
        watch_health.check(str(root), _AREAS, lambda: _homes(root), changed=True)
    assert watcher.complete
    assert not counters.restarts


def test_a_new_store_and_a_replaced_one_have_the_watches_made_anew(root: Path, watcher: Watcher) -> None:
    trees = (*_TREES, ("volumes",))
    more = RootAreas(trees, trees)
    counters = Counters()
    watch_health = WatchHealth(Config(str(root)), watcher, counters)
    watch_health.start(str(root), _AREAS)
    watch_health.check(str(root), more, lambda: _homes(root), changed=False)
    assert counters.restarts == {"directory": 1}
    (root / "graph").rename(root / "away")
    (root / "graph").mkdir()
    watch_health.check(str(root), more, lambda: _homes(root), changed=False)
    assert counters.restarts == {"directory": 2}
    assert watcher.complete


def test_what_lacks_a_watch_is_said_and_not_tried_again_at_once(root: Path, watcher: Watcher) -> None:
    counters = Counters()
    watch_health = WatchHealth(Config(str(root)), watcher, counters)
    watch_health.start(str(root), _AREAS)
    (root / "volumes/unwatched").mkdir()
    lacking: dict[Tree, int] = {("volumes", "unwatched"): (root / "volumes/unwatched").stat().st_ino}
    for _ in range(2):
        watch_health.check(str(root), _AREAS, lambda: lacking, changed=True)
    assert watcher.deaf
    assert not counters.restarts


def test_a_directory_that_came_without_a_watch_is_noticed_also_where_the_watches_are_the_same(
    root: Path, watcher: Watcher
) -> None:
    watch_health = WatchHealth(Config(str(root)), watcher, Counters())
    watch_health.start(str(root), _AREAS)
    for _ in range(2):
        watch_health.check(str(root), _AREAS, lambda: _homes(root), changed=True)
    assert (watcher.complete, watcher.held) == (True, 4)
    (root / "volumes/unwatched").mkdir()
    more = _homes(root) | {("volumes", "unwatched"): (root / "volumes/unwatched").stat().st_ino}
    watch_health.check(str(root), _AREAS, lambda: more, changed=True)
    assert watcher.deaf
    (root / "volumes/unwatched").rmdir()
    watch_health.check(str(root), _AREAS, lambda: more, changed=True)
    assert watcher.complete


def test_where_watching_is_off_nothing_is_watched(root: Path, watcher: Watcher) -> None:
    watch_health = WatchHealth(Config(str(root), watch=WatchSettings(enabled=False)), watcher, Counters())
    watch_health.start(str(root), _AREAS)
    watch_health.check(str(root), _AREAS, dict, changed=True)
    assert not watcher.running
