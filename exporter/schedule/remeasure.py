"""Decides when to measure trees again that can grow without an event: writable layers, volumes, directories.

Each tree has a time when it is due. A tree that grew is due again soon, others after longer and longer pauses. Image
layers, and areas of small files that are written once, are never due.
"""

import math
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from exporter.core.measured import Measured, Tree
from exporter.core.model import Inventory, LayerKey, Trigger
from exporter.measure.pool.task import SMALL_ENTRIES
from exporter.scan.plan import Plan
from exporter.scan.scan_run import ScanRun
from exporter.schedule.growing import Growing

_LONGEST_SECONDS = 900.0
_STOPPED_SECONDS = 3600.0
_BATCH_ENTRIES = 20_000
_NO_BINDS: Mapping[Tree, bool] = {}


class _DueTree(Struct, gc=False):
    """One tree. `dated`: when it was measured (Unix seconds). `due`: when it is due (monotonic clock).

    `area`: the label with which its age is served; "" for none. `active`: something that runs may write to it.
    `hangs`: the last measurement failed because its filesystem did not answer.
    """

    area: str
    active: bool
    interval: float
    dated: float
    due: float
    hangs: bool = False


class RemeasureSchedule:
    """The schedule of the growing trees of one root. `now` is of the monotonic clock, `date` is Unix time."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._growing = Growing()
        self._binds: dict[Tree, bool] = {}
        self._entries: dict[Tree, _DueTree] = {}
        #: When the next tree is due, and the date of the oldest of each area; None: that is to be looked up.
        self._next: float | None = None
        self._oldest: dict[str, float] | None = None
        self._next_recheck = 0.0

    def plan(  # noqa: PLR0913 - what there is, and both clocks
        self,
        plan: Plan,
        inventory: Inventory,
        failed: Iterable[Tree],
        now: float,
        date: float,
        binds: Mapping[Tree, bool] = _NO_BINDS,
    ) -> None:
        """Add new trees and drop those that are gone. `failed`: trees that could not be measured; they get due too.

        `binds`: further trees that can grow, and whether something running may write to each.
        """
        touched = self._growing.update(plan, inventory, frozenset(failed))
        touched |= self._binds.keys() | binds.keys()
        self._binds = dict(binds)
        for tree in touched:
            how = ("", binds[tree]) if tree in binds else self._growing.how(tree)
            entry = self._entries.get(tree)
            if how is None:
                self._drop(tree)
            elif entry is None:
                pause = self._interval if how[1] else _STOPPED_SECONDS
                self._entries[tree] = _DueTree(*how, pause, date, math.inf)
                self._date(self._entries[tree], date)
                self._move(self._entries[tree], now + pause)
            elif (entry.area, entry.active) != how:
                # A container that is gone, too, may have written just before, and its layer may stay.
                self._oldest = None
                entry.area, entry.active = how
                entry.interval = self._interval if entry.active else _STOPPED_SECONDS
                self._move(entry, now)  # the last writes may be newer than the measurement

    def _drop(self, tree: Tree) -> None:
        entry = self._entries.pop(tree, None)
        if entry is not None:
            self._move(entry, math.inf)
            self._date(entry, math.inf)

    def _move(self, entry: _DueTree, due: float) -> None:
        """Make a tree due at another time."""
        if self._next is not None and due < self._next:
            self._next = due
        elif entry.due == self._next:
            self._next = None
        entry.due = due

    def _date(self, entry: _DueTree, dated: float) -> None:
        """Note when a tree was measured."""
        if self._oldest is not None and entry.area and entry.dated <= self._oldest.get(entry.area, math.inf):
            self._oldest = None
        entry.dated = dated

    def due(self, now: float) -> list[Tree]:
        """The trees that are due, the longest overdue first."""
        if (self.next_due or now) > now:
            return []
        late = [(entry.due, tree) for tree, entry in self._entries.items() if entry.due <= now]
        return [tree for _, tree in sorted(late)]

    def next_batch(self, now: float, measured: Mapping[Tree, Measured], *, large: bool) -> list[Tree]:
        """The trees to measure now: small ones together, or one `large` one."""
        batch: list[Tree] = []
        weight = 0
        for tree in self.due(now):
            known = measured.get(tree)
            size = known.entries if known is not None else 0
            if large != (size > SMALL_ENTRIES):
                continue
            batch.append(tree)
            weight += size
            if large or weight > _BATCH_ENTRIES:
                break
        self.begun(batch, now)
        return batch

    @property
    def next_due(self) -> float | None:
        """When the next tree is due."""
        if self._next is None:
            self._next = min((entry.due for entry in self._entries.values()), default=None)
        return self._next

    def begun(self, trees: Iterable[Tree], now: float) -> None:
        """Note that trees are being measured: they are not due meanwhile."""
        for tree in trees:
            if (entry := self._entries.get(tree)) is not None:
                self._move(entry, now + _STOPPED_SECONDS)

    def done(  # noqa: PLR0913 - how it went, and both clocks
        self, tree: Tree, now: float, date: float, *, grew: bool, hangs: bool = False, failed: bool = False
    ) -> None:
        """Note that a tree was measured. If it `grew`, it is due again soon.

        If it `hangs`, it was not measured; the pauses get longer as for a tree that did not grow. One that nothing
        writes to is due again if it `failed`, after longer and longer pauses, too.
        """
        entry = self._entries.get(tree)
        if entry is None:
            return
        if entry.active:
            entry.interval = self._interval if grew and not hangs else self._longer(entry.interval)
        elif failed:
            again = entry.interval < _STOPPED_SECONDS
            entry.interval = self._longer(entry.interval) if again else self._interval
        else:
            entry.interval = _STOPPED_SECONDS
        entry.hangs = hangs
        if not hangs:
            self._date(entry, date)
        self._move(entry, now + entry.interval)

    def _longer(self, interval: float) -> float:
        return min(2 * interval, max(_LONGEST_SECONDS, self._interval))

    def note_runs(self, runs: Iterable[ScanRun], failed: Collection[Tree], now: float, date: float) -> None:
        """Note the trees that these runs have measured so far: a large tree may keep a run going for hours.

        The pause of a tree gets longer only after an audit that measured all of it. A tree with events may continue to
        grow, and one that `failed` may soon be readable.
        """
        for run in runs:
            for tree, grew in run.grew.items():
                bad = tree in failed
                soon = grew or bad or run.trigger is not Trigger.AUDIT
                self.done(tree, now, date, grew=soon, hangs=tree in run.hung, failed=bad)
            run.grew.clear()

    def used(self, containers: Iterable[str], inventory: Inventory, now: float) -> None:
        """Make the trees due that these containers write to: a container may start and end between two looks."""
        changed = {*containers}
        users = [one for one in inventory.containers if one.id in changed]
        layers = {LayerKey(one.driver, one.layer) for one in users if one.layer is not None}
        names = {mount.source for one in users for mount in one.mounts if mount.kind == "volume"}
        trees = [tree for key in layers for tree in self._growing.trees_of(key)]
        trees += [volume.tree for volume in inventory.volumes if volume.tree and volume.name in names]
        for tree in trees:
            if (entry := self._entries.get(tree)) is not None:
                self._move(entry, min(entry.due, now))

    def hurry(self, now: float) -> None:
        """Make all trees due that a running container may write to: the disk lost space without an explanation."""
        for entry in self._entries.values():
            if entry.active and not entry.hangs:
                self._move(entry, min(entry.due, now))

    def recheck(self, now: float) -> None:
        """Make all trees due, at most every 15 minutes: one has hard links to files of an unknown tree."""
        at = max(now, self._next_recheck)
        if at == now:
            self._next_recheck = now + _LONGEST_SECONDS
        for entry in self._entries.values():
            if not entry.hangs:
                self._move(entry, min(entry.due, at))

    def oldest(self) -> Mapping[str, float]:
        """When the least recently measured tree of each area was measured."""
        if self._oldest is None:
            dates = self._oldest = dict[str, float]()
            for entry in self._entries.values():
                if entry.area:
                    dates[entry.area] = min(dates.get(entry.area, entry.dated), entry.dated)
        return self._oldest
