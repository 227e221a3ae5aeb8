"""Audits: measures again the trees that can grow without an event, within the CPU budget."""

import math
import time
from collections.abc import Collection, Iterable, Mapping

from exporter.config.settings import Config
from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.core.model import Trigger
from exporter.inventory.areas import CONTAINERS
from exporter.measure.pool.task import SMALL_ENTRIES
from exporter.scan.scan_run import ScanRun
from exporter.scan.scanner import Scanner
from exporter.schedule.cpu_budget import Budget
from exporter.schedule.disk_pressure import DiskPressure
from exporter.schedule.events import FILLED_SECONDS
from exporter.schedule.remeasure import RemeasureSchedule


class Audits:
    """The audits of one scanner. `now` is always of the monotonic clock."""

    def __init__(self, config: Config, scanner: Scanner, budget: Budget) -> None:
        self._config = config
        self._scanner = scanner
        self._budget = budget
        self._schedule = RemeasureSchedule(config.scan.interval)
        self._space = DiskPressure()
        self._began = 0.0
        #: What was made just before the first scan, and when it is measured again.
        self._young, self._young_at = Dirty(), math.inf

    def reset(self) -> None:
        """Forget the schedule of a root that is gone."""
        self._young, self._young_at = Dirty(), math.inf
        self._schedule, self._space = RemeasureSchedule(self._config.scan.interval), DiskPressure()

    def next_time(self, now: float) -> float:
        """When `begin_due` is to be called: later if the CPU budget is spent, but once in each look interval."""
        due = self._schedule.next_due
        if due is None:
            return self._young_at
        postponed = max(due, now + self._budget.wait(audit=True))
        return min(self._young_at, postponed, max(due, self._began) + self._config.watch.look_interval)

    def begin_due(self, now: float) -> None:
        """Have the trees measured that are due.

        The small ones are measured together, and one large one beside them at a limited pace. Once the CPU budget is
        spent only small ones are.
        """
        if now >= self._young_at:
            self._measure_young()
            return
        self._began = now
        sizes = {False} if self._budget.wait(audit=True) else {False, True}
        for large in sizes - self.sizes_under_way():
            batch = self._schedule.next_batch(now, self._scanner.known, large=large)
            if batch:
                self._scanner.remeasure(batch, self._budget.pace)

    def _measure_young(self) -> None:
        """Measure what was young again. What is large was made before, or another event tells of its end."""
        young, known = self._young, self._scanner.known
        self._young, self._young_at = Dirty(), math.inf
        trees = [tree for tree in self._scanner.plan.trees if young.covers(tree)]
        small = [tree for tree in trees if (one := known.get(tree)) is not None and one.entries <= SMALL_ENTRIES]
        self._scanner.remeasure(small, self._budget.pace)

    def sizes_under_way(self) -> set[bool]:
        """True is in it if large trees are being audited, False if small ones are."""
        runs = [one for one in self._scanner.runs if one.trigger is Trigger.AUDIT]
        return {task.large for one in runs for task in one.pending}

    def note_scan(self, entries: Iterable[Tree], now: float) -> None:
        """Note that a scan measures these trees: they are not due meanwhile."""
        self._schedule.begun(entries, now)

    def note_young(self, entries: Iterable[Tree]) -> None:
        """Note what was made just before the first scan: its engine may still have been filling it."""
        self._young = Dirty(frozenset(entries))

    def note_changes(self, entries: Iterable[Tree], now: float) -> None:
        """Make the trees due that containers write to whose directories are among these changed entries."""
        changed = [entry[-1] for entry in entries if entry[:-1] == CONTAINERS.path]
        if changed:
            self._schedule.used(changed, self._scanner.inventory, now)

    def check_free_space(self, now: float) -> None:
        """Make growing trees due if a filesystem loses more space than the measured growth explains."""
        below = self._scanner.mounted_below
        if self._space.is_losing_space(now, self._config.root, below, self._scanner.allocated):
            self._schedule.hurry(now)

    def update(self, done: Collection[ScanRun], now: float) -> None:
        """Note which trees were measured; plan anew after a scan."""
        date = time.time()
        if done and self._young.entries and self._young_at == math.inf:
            self._young_at = now + FILLED_SECONDS
        if any(one.trigger is not Trigger.AUDIT for one in done):
            scanner = self._scanner
            self._schedule.plan(scanner.plan, scanner.inventory, scanner.failed, now, date, scanner.growing_binds)
        if any(one.doubtful for one in done):
            self._schedule.recheck(now)
        runs = [*done, *(one for one in self._scanner.runs if one.trigger is Trigger.AUDIT)]
        if any(one.grew for one in runs):
            self._schedule.note_runs(runs, {*self._scanner.failed}, now, date)

    def oldest(self) -> Mapping[str, float]:
        """When the least recently measured tree of each area was measured, Unix time."""
        return self._schedule.oldest()
