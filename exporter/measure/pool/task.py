"""The tasks of a pool and their results."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from msgspec import Struct, field

from exporter.core.measured import Changes, Identity, Measured, Reason, Tree
from exporter.core.model import LayerId, LayerKey
from exporter.measure.exclusions import NOTHING, Excluded, Exclusions
from exporter.measure.pool.protocol import CompareTrees, Errors, MeasureLot, MeasureTree, MeasureTrees, Work
from exporter.measure.start import Start
from exporter.measure.total import Total

#: Trees with fewer entries are measured at once, not at a pace: that takes a few milliseconds.
SMALL_ENTRIES = 5000
#: So many problems of one tree are kept with path and message.
PROBLEMS_KEPT = 100
#: The key of a task that measures a tree.
NO_LAYER = LayerKey("", LayerId(""))


class Trouble(Struct):
    """What of a task could not be read: all counted, some kept with path and detail."""

    counts: dict[Reason, int] = field(default_factory=dict)
    kept: list[tuple[Reason, Tree, str]] = field(default_factory=list)

    def add(self, reason: Reason, count: int = 1) -> None:
        """Count errors of one reason."""
        self.counts[reason] = self.counts.get(reason, 0) + count


class Task(Struct, eq=False):
    """One tree to measure, or one difference to compute.

    `pace` is the fraction of a core that it may use where it is large. `weight` is the number of directory entries it
    had when it was last measured. `attempt` is incremented when an attempt ends; answers to an earlier attempt are
    ignored. There may be tens of thousands of tasks: fields that few of them need are filled on demand.
    """

    tree: Tree
    prune: Exclusions = field(default_factory=lambda: NOTHING)
    changes: Changes | None = None
    key: LayerKey = NO_LAYER
    pace: float = 1.0
    weight: int = 0
    total: Total | None = None
    identity: Identity = (0, 0, 0)
    parts: int = 1
    attempt: int = 0
    crashes: int = 0
    trouble: Trouble | None = None

    @property
    def measures(self) -> Collection[Tree]:
        """The trees that are measured; none where trees are compared."""
        return () if self.changes is not None else (self.tree,)

    @property
    def keys(self) -> Collection[tuple[Tree, LayerKey]]:
        """What tells its figures from those of others; another task with one of these measures the same."""
        return ((self.tree, self.key),)

    @property
    def large(self) -> bool:
        """Whether it is known to take long."""
        return self.weight > SMALL_ENTRIES

    def note(self, errors: Errors | None) -> None:
        """Add what a worker could not read."""
        if errors is not None:
            trouble = self._troubled()
            for reason, count in errors.counts.items():
                trouble.add(reason, count)
            trouble.kept += errors.kept[: PROBLEMS_KEPT - len(trouble.kept)]

    def fail(self, reason: Reason, tree: Tree, detail: str) -> None:
        """Note why the figure cannot be had, and in which tree; () is the task's own."""
        trouble = self._troubled()
        trouble.add(reason)
        trouble.kept.append((reason, tree or self.tree, detail))

    def _troubled(self) -> Trouble:
        if self.trouble is None:
            self.trouble = Trouble()
        return self.trouble


class Lot(Task):
    """Entries of the store `tree`, and what stands at `inner` in each; nothing more for (). Most are small.

    Its trees cost little together. What of them is large, or could not be measured, is measured by a task of its own.
    """

    names: tuple[str, ...] = ()
    inner: Tree = ()
    #: Those of its trees whose figures are wanted.
    wanted: set[Tree] = field(default_factory=set)

    @property
    def measures(self) -> Collection[Tree]:
        """Its trees whose figures are wanted."""
        return self.wanted

    @property
    def keys(self) -> Collection[tuple[Tree, LayerKey]]:
        """One for each of these."""
        return [(tree, self.key) for tree in self.wanted]

    @property
    def trees(self) -> list[Tree]:
        """Its trees, in the order of their numbers."""
        return [*self.order(0).trees()]

    def prune_of(self, tree: Tree) -> Exclusions:
        """What is left out of one of its trees."""
        return self.prune if len(tree) == len(self.tree) + 1 else NOTHING

    def claim(self, trees: set[Tree], exclusions: Exclusions) -> None:
        """Note that its figures are wanted for these trees, as far as it leaves out the same as `exclusions`."""
        below = exclusions.at(self.tree).below
        if not below and self.prune is NOTHING:
            self.wanted = trees & {*self.trees}
            return
        inner = self.inner
        for name in self.names:
            planned = below.get(name, NOTHING)
            if planned is self.prune or planned.leaves_out_as(self.prune):
                self.wanted.add((*self.tree, name))
            if inner and planned.at(inner).leaves_out_as(NOTHING):
                self.wanted.add((*self.tree, name, *inner))
        self.wanted &= trees

    def order(self, number: int) -> MeasureLot:
        """The order for a worker."""
        return MeasureLot(number, self.pace, self.tree, self.names, self.inner, self.prune.listed())


class Result(Struct):
    """The result of a task: `measured`, or the difference's `size` in bytes; both None where it failed.

    `of_lot`: that of a lot.
    """

    task: Task
    measured: Measured | None = None
    size: int | None = None
    entries: int = 0
    of_lot: "LotResult | None" = None


class LotResult(NamedTuple):
    """What was `found` of the trees of a lot, and the tasks for those that are `left`: the pool has these."""

    found: dict[Tree, Measured]
    left: list[Task]


class WorkItem(Struct, eq=False):
    """A task's tree or a part of it: what one worker does at a time, at once or `paced`.

    `starts`: where the part begins; None for the whole tree. `attempt`: the attempt of the task that it belongs to.
    `links`: the blocks of links that have come.
    """

    number: int
    task: Task
    attempt: int
    starts: list[Start] | None = None
    paced: bool = False
    links: list[bytes] | None = None

    @property
    def void(self) -> bool:
        """Whether the attempt that it belongs to is over."""
        return self.attempt != self.task.attempt

    @property
    def most(self) -> int:
        """After so many entries the worker gives back the rest, of a tree that is expected to be small; 0 for never."""
        return 0 if self.paced or self.task.pace >= 1 else SMALL_ENTRIES

    @property
    def pace(self) -> float:
        """The fraction of a core that it may use."""
        return self.task.pace if self.paced else 1.0


def orders_of(items: Iterable[WorkItem]) -> Iterator[Work | MeasureTrees]:
    """The orders for a worker, in the order of the items. Whole trees that follow each other are one.

    Each item begins anew: what came of an order before, to a worker that was lost, is dropped.
    """
    several: list[WorkItem] = []
    first = None
    for item in items:
        item.links = None
        task = item.task
        whole = item.starts is None and task.changes is None and not isinstance(task, Lot)
        alike = (task.pace, item.paced) if whole else None
        if several and alike != first:
            yield _together(several)
            several = []
        if alike is None:
            yield _alone(item)
        else:
            several.append(item)
        first = alike
    if several:
        yield _together(several)


def _alone(item: WorkItem) -> Work:
    task = item.task
    if isinstance(task, Lot):
        return task.order(item.number)
    if task.changes is not None:
        return CompareTrees(item.number, item.pace, task.changes.new, task.changes.old)
    return MeasureTree(item.number, item.pace, task.tree, item.starts, task.prune.listed(), item.most)


def _together(items: list[WorkItem]) -> MeasureTrees:
    kinds: dict[tuple[Excluded, ...], int] = {(): 0}
    #: The numbers of kinds by the object that says what is left out: many trees have the same one.
    known = {id(NOTHING): 0}
    which = []
    for item in items:
        prune = item.task.prune
        at = known.get(id(prune))
        if at is None:
            at = known[id(prune)] = kinds.setdefault(prune.listed(), len(kinds))
        which.append(at)
    numbers, trees = [item.number for item in items], [item.task.tree for item in items]
    return MeasureTrees(numbers, items[0].pace, trees, [*kinds], which, items[0].most)
