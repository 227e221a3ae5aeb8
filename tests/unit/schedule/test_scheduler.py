"""What the scheduler does without an event, on a clock that the test moves."""

import time
from pathlib import Path

import pytest

from exporter.config.settings import Config, ScanSettings, WatchSettings
from exporter.core.model import Counters
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from exporter.schedule.scheduler import Scheduler
from tests.support.clock import FakeClock
from tests.support.roots import graph_root, hex_id

_GRACE_SECONDS = 600.0


class _Turned:
    """A scheduler without watches, turned by the test. Looks are so rare that there is none in a test."""

    def __init__(self, path: Path, clock: FakeClock, pool: Pool) -> None:
        self.clock = clock
        self.counters = Counters()
        self._scanner = Scanner(str(path), _GRACE_SECONDS, pool, None, self.counters, clock=clock.clock)
        settings = ScanSettings(duty_cycle=1), WatchSettings(enabled=False, look_interval=1e6)
        self.scheduler = Scheduler(Config(str(path), *settings), self._scanner, pool, self.counters)
        self.scheduler.start()
        self.turn()

    def turn(self) -> None:
        """Do what is due, until all is measured."""
        self.scheduler.step()
        while self._scanner.runs:
            self.scheduler.step()

    def turn_until(self, uptime: float) -> int:
        """Let the time pass up to then, in the steps that the scheduler asks for; return how many those were."""
        steps = 0
        while (due := self.scheduler.due()) < uptime:
            self.clock.advance(max(0.0, due - self.clock.uptime))
            self.turn()
            steps += 1
        self.clock.advance(uptime - self.clock.uptime)
        self.turn()
        return steps

    def uses(self) -> dict[str, str]:
        return {layer.id: layer.use.value for layer in self.scheduler.snapshot().inventory.layers}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock(date=time.time())
    monkeypatch.setattr(time, "monotonic", lambda: clock.uptime)
    return clock


def test_a_layer_is_orphaned_when_its_grace_time_is_over_without_an_event(
    tmp_path: Path, clock: FakeClock, pool: Pool
) -> None:
    built = graph_root(tmp_path).image("base", size=3, tag="base:1")
    stray = hex_id("stray")
    (built.path / "aufs/diff" / stray).mkdir()
    turned = _Turned(built.path, clock, pool)
    begun = clock.uptime
    assert turned.uses()[stray] == "pending"
    turned.turn_until(begun + _GRACE_SECONDS - 1)
    assert turned.uses()[stray] == "pending"
    assert turned.scheduler.due() <= begun + _GRACE_SECONDS
    turned.scheduler.news = False
    turned.turn_until(begun + _GRACE_SECONDS)
    assert turned.uses() == {hex_id("base"): "image", stray: "orphaned"}
    assert turned.scheduler.news
    assert turned.turn_until(begun + _GRACE_SECONDS + 60) < 1000, "it sleeps again"


def test_nothing_is_scanned_where_no_layer_waits(tmp_path: Path, clock: FakeClock, pool: Pool) -> None:
    turned = _Turned(graph_root(tmp_path).image("base", size=3, tag="base:1").path, clock, pool)
    turned.turn_until(clock.uptime + 10 * _GRACE_SECONDS)
    assert {trigger for (_, trigger), count in turned.counters.scans.items() if count} <= {"startup", "audit"}
