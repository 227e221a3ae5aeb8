"""A scan that is not waited for any longer is counted once, and what hangs in it is no success."""

from collections.abc import Sequence
from pathlib import Path

from exporter.core.dirty import Dirty
from exporter.core.model import Collector, Trigger
from exporter.figures.figures import Figures
from exporter.measure.pool.task import Task
from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool
from tests.support.roots import graph_root


class _ContainersLast(LocalPool):
    def submit(self, tasks: list[Task], near: Sequence[Task] = ()) -> None:
        self._tasks.extend(sorted(tasks, key=lambda task: task.tree[0] == "containers"))


def test_a_scan_that_hangs_is_counted_once_and_its_collector_has_no_success(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base", size=3, files={"a": 1}, tag="base:1")
    built.container("web", image="base", writable={"w": 1})
    scanner = Scanner(str(built.path), 600, _ContainersLast())
    scanner.begin(Trigger.STARTUP, Dirty(everything=True))
    (run,) = scanner.runs
    while any(scanner.plan.trees[task.tree] is not Collector.CONTAINERS for task in run.pending):
        scanner.collect(1.0)
    assert run.pending, "the trees of the container are still to come"
    scanner.stop_waiting(run)
    at = (Collector.CONTAINERS, Trigger.STARTUP)
    counters = scanner.counters
    assert counters.scans[at] == 1
    assert Collector.CONTAINERS not in counters.last_success
    assert Collector.IMAGES in counters.last_success
    assert not scanner.snapshot().collectors[Collector.CONTAINERS].success
    early = scanner.snapshot()
    assert early.complete
    assert early.incomplete == {task.tree for task in run.pending}, "sums that need these are not known"
    assert Figures(early).directories["containers"] is None
    while scanner.runs:
        scanner.collect(1.0)
    assert counters.scans[at] == 1
    assert Collector.CONTAINERS in counters.last_success
    assert scanner.snapshot().collectors[Collector.CONTAINERS].success
    assert scanner.snapshot().incomplete == frozenset()
