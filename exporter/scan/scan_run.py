"""One scan that is under way: its tasks, its cost and its errors."""

import time

from msgspec import Struct, field

from exporter.core.measured import Reason, Tree
from exporter.core.model import Collector, CollectorScan, Trigger
from exporter.measure.pool.task import Task


class ScanStats(Struct):
    """Seconds, entries read and errors of one scan, by collector."""

    seconds: dict[Collector, float] = field(default_factory=dict)
    entries: dict[Collector, int] = field(default_factory=dict)
    errors: dict[tuple[Collector, Reason], int] = field(default_factory=dict)

    @property
    def collectors(self) -> list[Collector]:
        """The collectors that read an entry or had an error."""
        failed = {collector for collector, _ in self.errors}
        return [one for one in Collector if self.entries.get(one) or one in failed]

    def spend(self, collector: Collector, seconds: float, entries: int) -> None:
        """Note that a collector read `entries` entries and was done `seconds` after the start."""
        self.seconds[collector] = max(self.seconds.get(collector, 0.0), seconds)
        self.entries[collector] = self.entries.get(collector, 0) + entries

    def fail(self, collector: Collector, reason: Reason, count: int) -> None:
        """Count errors."""
        self.errors[collector, reason] = self.errors.get((collector, reason), 0) + count

    def result(self, collector: Collector) -> CollectorScan:
        """The time and the entries of a collector."""
        return CollectorScan(self.seconds.get(collector, 0.0), self.entries.get(collector, 0))


class ScanRun(Struct, eq=False):
    """One scan under way.

    `pending`: the tasks that are not done. `trees`: how many of these measure a tree. `grew`: by measured tree, whether
    its size has changed. `hung`: the trees whose filesystem did not answer. `reported`: the scan was counted although
    tasks are pending. `whole`: it scans everything. `linked`: the trees that have got hard links to other trees.
    `doubtful`: at the end of the scan, those other trees are not known.
    """

    trigger: Trigger
    stats: ScanStats
    pending: set[Task] = field(default_factory=set)
    trees: int = 0
    began: float = field(default_factory=time.monotonic)
    reported: bool = False
    whole: bool = False
    linked: set[Tree] = field(default_factory=set)
    doubtful: bool = False
    grew: dict[Tree, bool] = field(default_factory=dict)
    hung: set[Tree] = field(default_factory=set)

    def spend(self, collector: Collector, entries: int) -> None:
        """Note that so many entries of a collector are read by now."""
        self.stats.spend(collector, time.monotonic() - self.began, entries)

    def note(self, collector: Collector, task: Task, entries: int) -> None:
        """Add the cost and the errors of one tree."""
        self.spend(collector, entries)
        if task.trouble is None:
            return
        for reason, count in task.trouble.counts.items():
            self.stats.fail(collector, reason, count)
            if reason is Reason.TIMEOUT:
                self.hung.add(task.tree)
