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
from tests.roots import GraphRoot, graph_root

_DEADLINE_SECONDS = 30


class _Kept:
    """A keeper that is turned by hand."""

    def __init__(self, root: Path, pool: Pool) -> None:
        self.counters = Counters()
        self.scanner = Scanner(str(root), 600, pool, None, self.counters)
        config = Config(str(root), look_interval=0.5, duty_cycle=1)
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


@pytest.fixture
def built(tmp_path: Path) -> GraphRoot:
    return graph_root(tmp_path).image("base", size=3, files={"a": 3}, tag="base:1")


@pytest.fixture
def kept(built: GraphRoot, pool: Pool) -> Iterator[_Kept]:
    kept = _Kept(built.path, pool)
    kept.turn_until(lambda: kept.layers() == 1)
    yield kept
    kept.keeper.watcher.stop()


@pytest.mark.parametrize("which", ["Emitter", "Observer"])
def test_a_thread_of_the_library_that_ends_is_made_anew(built: GraphRoot, kept: _Kept, which: str) -> None:
    victim = next(one for one in threading.enumerate() if type(one).__name__.endswith(which))
    victim.stop()  # type: ignore[attr-defined]
    victim.join(_DEADLINE_SECONDS)
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
