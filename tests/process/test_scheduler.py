import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.config.settings import Config, ScanSettings, WatchSettings
from exporter.core.measured import Tree
from exporter.core.model import Counters, Trigger
from exporter.demo.writer import State
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from exporter.schedule import scheduler
from exporter.schedule.event_reader import EventReader
from exporter.schedule.findings import Findings
from exporter.schedule.scheduler import Scheduler
from tests.support.product import process_of
from tests.support.roots import GraphRoot, graph_root, hex_id
from tests.support.waiting import DEADLINE, eventually


class _Kept:
    """A scheduler whose steps the test calls itself."""

    def __init__(self, pool: Pool, config: Config) -> None:
        self.counters = Counters()
        self.scanner = Scanner(config.root, 600, pool, None, self.counters)
        self.scheduler = Scheduler(config, self.scanner, pool, self.counters)
        self.scheduler.start()

    def turn_until(self, there: Callable[[], bool]) -> None:
        def turned() -> bool:
            self.scheduler.step()
            return there()

        if not there():
            eventually(turned)

    def layers(self) -> int:
        return len(self.scheduler.snapshot().inventory.layers) if self.scheduler.snapshot().complete else 0

    def waits_for(self, tree: Tree) -> Callable[[], bool]:
        """Whether that tree is being audited, while the scheduler has nothing else to do."""

        def waits() -> bool:
            audited = {task.tree for one in self.scanner.runs if one.trigger is Trigger.AUDIT for task in one.pending}
            return tree in audited and self.scheduler.due() > time.monotonic()

        return waits

    def volumes(self) -> set[str]:
        return {volume.name for volume in self.scheduler.snapshot().inventory.volumes}


_Keep = Callable[..., _Kept]


@pytest.fixture
def built(tmp_path: Path) -> GraphRoot:
    return graph_root(tmp_path).image("base", size=3, files={"a": 3}, tag="base:1")


@pytest.fixture
def keep(pool: Pool) -> Iterator[_Keep]:
    """Make schedulers; their threads end with the test, also if it fails."""
    made = []

    def one(root: Path, *, look_interval: float = 0.5, **scan: Any) -> _Kept:
        settings = ScanSettings(**{"duty_cycle": 1} | scan)
        made.append(_Kept(pool, Config(str(root), settings, WatchSettings(look_interval=look_interval))))
        return made[-1]

    yield one
    for kept in made:
        kept.scheduler.watcher.stop()


@pytest.fixture
def kept(built: GraphRoot, keep: _Keep) -> _Kept:
    kept = keep(built.path)
    kept.turn_until(lambda: kept.layers() == 1)
    return kept


def test_a_thread_of_the_library_that_ends_is_made_anew(built: GraphRoot, kept: _Kept) -> None:
    victim = next(one for one in threading.enumerate() if isinstance(one, EventReader))
    victim.stop()
    victim.join(DEADLINE)
    kept.turn_until(lambda: kept.counters.restarts.get("thread", 0) >= 1)
    before = sum(kept.counters.events.values())
    built.image("more", parent="base", size=9, files={"b": 5000}, tag="more:1")
    kept.turn_until(lambda: kept.layers() == 2)
    assert sum(kept.counters.events.values()) > before


def test_a_rescan_that_is_asked_for_in_the_first_scan_follows_it(built: GraphRoot, keep: _Keep) -> None:
    kept = keep(built.path, look_interval=1e6)
    kept.scheduler.rescan()
    kept.turn_until(lambda: kept.layers() == 1)
    assert {trigger for _, trigger in kept.counters.scans} == {Trigger.STARTUP}
    assert kept.scheduler.news, "what the first one has found is published before the next one begins"
    assert kept.scheduler.due() <= time.monotonic()
    kept.turn_until(lambda: any(trigger == Trigger.MANUAL for _, trigger in kept.counters.scans))


def test_what_no_event_told_is_found_and_counted(built: GraphRoot, kept: _Kept) -> None:
    kept.scheduler.watcher.mailbox.add = lambda path: None  # type: ignore[method-assign]
    built.image("more", parent="base", size=9, files={"b": 5000}, tag="more:1")
    kept.turn_until(lambda: kept.layers() == 2)
    # A look in the middle of that may have found what has no watch, and its scan all else. The next one counts that.
    kept.turn_until(lambda: kept.counters.missed >= 1)


def test_what_was_made_just_before_the_watch_is_measured_again(
    built: GraphRoot, keep: _Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine goes on to fill it, below the watched directories: no event tells of that."""
    monkeypatch.setattr("exporter.schedule.events.FILLED_SECONDS", DEADLINE)  # it is just made, however slow this is
    built.container("web", image="base", writable={"etc/hosts": 4})
    tree = ("aufs", "diff", hex_id("web"))
    kept = keep(built.path, look_interval=1e6)
    kept.turn_until(lambda: kept.layers() > 1 and not kept.scanner.runs)
    before = kept.scanner.measured[tree].usage
    (built.path.joinpath(*tree) / "etc/hostname").write_text("web\n")
    kept.turn_until(lambda: kept.scanner.measured[tree].usage != before)
    assert kept.counters.missed == 0


def test_a_root_that_is_not_there_keeps_nobody_busy(tmp_path: Path, keep: _Keep) -> None:
    before = time.monotonic()
    kept = keep(tmp_path / "none", look_interval=0)
    assert kept.scheduler.due() >= before + 1, "when the root is looked for again"


def test_what_no_event_told_is_found_beside_what_one_did(built: GraphRoot, keep: _Keep) -> None:
    """Two volumes between two looks; of the second nothing is told."""
    kept = keep(built.path, look_interval=4)
    kept.turn_until(lambda: kept.layers() == 1)
    (built.path / "volumes/told/_data").mkdir(parents=True)
    kept.turn_until(lambda: "told" in kept.volumes())
    assert kept.counters.missed == 0
    kept.scheduler.watcher.mailbox.add = lambda path: None  # type: ignore[method-assign]
    (built.path / "volumes/missed/_data").mkdir(parents=True)
    kept.turn_until(lambda: "missed" in kept.volumes())
    assert kept.counters.missed == 1


def test_what_events_have_told_is_no_finding_of_a_later_look(built: GraphRoot, keep: _Keep) -> None:
    """Most looks leave out what is rewritten in place; the thorough one after them knows that it was told."""
    built.container("web", image="base")
    kept = keep(built.path, look_interval=0.2)
    kept.turn_until(lambda: kept.layers() > 0)
    kept.turn_until(lambda: not kept.scheduler.reconciler.thorough)
    file = built.path / "containers" / hex_id("web") / "config.json"
    file.write_text(file.read_text().replace('"/web"', '"/other"'))
    kept.turn_until(lambda: kept.scheduler.snapshot().inventory.containers[0].name == "other")
    kept.turn_until(lambda: kept.scheduler.reconciler.thorough)
    before = kept.scheduler.reconciler._comparisons
    kept.turn_until(lambda: kept.scheduler.reconciler._comparisons > before + 10)  # by then all findings are counted
    assert kept.counters.missed == 0


def test_a_look_leaves_to_a_scan_what_events_have_told(
    built: GraphRoot, keep: _Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes when the scan has ended: it would list the same stores again, and a part of the figures be published."""
    monkeypatch.setattr(scheduler, "_LATE_LOOK_SECONDS", DEADLINE)  # however slow the machine is
    kept = keep(built.path, look_interval=0.05)
    kept.turn_until(lambda: kept.layers() == 1 and not kept.scanner.runs)
    compare = kept.scheduler.reconciler.compare_signatures
    looks: list[tuple[bool, bool]] = []

    def look(*known: Any, **more: Any) -> Findings:
        found = compare(*known, **more)
        # What was made just before the first scan is measured once more: no look waits for an audit.
        scans = any(one.trigger is not Trigger.AUDIT for one in kept.scanner.runs)
        looks.append((bool(found.stores), scans))
        return found

    kept.scheduler.reconciler.compare_signatures = look  # type: ignore[method-assign]
    (built.path / "volumes/new/_data").mkdir(parents=True)
    kept.scheduler.watcher.mailbox.add(("volumes", "new"))  # its event, before the next look
    kept.turn_until(lambda: "new" in kept.volumes() and len(looks) > 1)
    assert set(looks) == {(False, False)}


@pytest.mark.parametrize("store", ["volumes", "image/overlay2/layerdb/sha256"])
def test_a_store_that_is_made_later_is_watched_as_soon_as_that_is_told(
    built: GraphRoot, keep: _Keep, store: str
) -> None:
    (built.path / "image/aufs").mkdir(parents=True)
    (built.path / "volumes").rmdir()
    kept = keep(built.path, look_interval=3600)
    kept.turn_until(lambda: kept.layers() == 1)
    (built.path / store).mkdir(parents=True)
    kept.turn_until(lambda: tuple(store.split("/")) in kept.scheduler.watcher.directories)
    assert kept.counters.restarts == {"directory": 1}


def test_a_file_that_is_added_beside_an_image_layers_own_is_found(built: GraphRoot, keep: _Keep) -> None:
    """overlay2 does so with a layer when the first one is made on it; no event tells, and none was missed.

    With aufs, where engines do not, it is found in a look that compares everything.
    """
    kept = keep(built.path, look_interval=2)
    kept.turn_until(lambda: kept.layers() == 1)
    base = ("aufs", "diff", hex_id("base"))
    (built.path / "aufs/diff" / hex_id("base") / "committed").touch()
    built.container("web", image="base")
    kept.turn_until(lambda: kept.layers() == 3)
    kept.turn_until(lambda: kept.scanner.measured[base].usage.inodes == 3)
    assert kept.counters.missed == 0


def test_what_events_tell_does_not_starve_when_there_is_nothing_to_spend(built: GraphRoot, keep: _Keep) -> None:
    kept = keep(built.path, look_interval=1, duty_cycle=1e-6)
    kept.turn_until(lambda: kept.layers() == 1)
    for number in range(2, 5):
        (built.path / f"volumes/{number}/_data").mkdir(parents=True)
        kept.turn_until(lambda: len(kept.volumes()) == number - 1)  # noqa: B023 - called at once
    assert kept.counters.missed == 0


def test_audits_do_not_starve_when_there_is_nothing_to_spend(built: GraphRoot, keep: _Keep) -> None:
    """Whatever events have cost: some small trees are audited each look, and the scheduler waits meanwhile."""
    kept = keep(built.path, look_interval=1, duty_cycle=1e-6, interval=1)
    kept.turn_until(lambda: kept.layers() == 1)
    for size in (5000, 6000):
        (built.path / "tmp/file").write_bytes(b"x" * size)
        kept.turn_until(lambda: kept.scanner.measured["tmp",].usage.size == size)  # noqa: B023 - called at once
        kept.turn_until(lambda: kept.scheduler.due() > time.monotonic())


def test_an_audit_that_waits_for_another_keeps_nobody_busy(built: GraphRoot, keep: _Keep) -> None:
    """One of a large tree takes its time; meanwhile small ones are due all the time."""
    large = ("volumes", "large", "_data")
    built.path.joinpath(*large).mkdir(parents=True)
    for number in range(6000):
        built.path.joinpath(*large, str(number)).touch()
    with process_of(hex_id("web")) as pid:
        volumes = {"/v": "/var/lib/docker/volumes/large/_data"}
        built.container("web", image="base", volumes=volumes, state=State(running=True, pid=pid))
        kept = keep(built.path, interval=0)
        kept.turn_until(kept.waits_for(large))


def test_without_word_of_anything_only_what_can_have_changed_is_looked_at(built: GraphRoot, keep: _Keep) -> None:
    """The root, scans that are under way, workers that are to be ended, and the time of looks."""
    kept = keep(built.path, look_interval=0.05)
    scheduler, pool = kept.scheduler, kept.scheduler._pool

    def stepped(there: Callable[[], bool]) -> Callable[[], bool]:
        def turned() -> bool:
            scheduler.step(told=False)
            return there()

        return turned

    eventually(stepped(lambda: kept.layers() == 1))
    assert pool.processes
    eventually(stepped(lambda: pool.idle))
    assert not pool.processes
    built.writer.volume("new", {"f": 1})
    eventually(stepped(lambda: "new" in kept.volumes()))
    away = built.path.with_name("away")
    built.path.rename(away)
    eventually(stepped(lambda: bool(kept.scanner.error)))
    away.rename(built.path)
    eventually(stepped(lambda: kept.layers() == 1))
