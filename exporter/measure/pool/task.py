"""The tasks of a pool and their results."""

from dataclasses import dataclass, field

from exporter.core.measured import Changes, Identity, Measured, Reason, Tree
from exporter.core.model import LayerId, LayerKey
from exporter.measure.exclusions import NOTHING, Exclusions
from exporter.measure.pool.protocol import CompareTrees, Errors, MeasureTree, Work
from exporter.measure.start import WHOLE, Start
from exporter.measure.total import Total

#: Trees with fewer entries are measured at once, not at a pace: that takes a few milliseconds.
SMALL_ENTRIES = 5000
#: So many problems of one tree are kept with path and message.
PROBLEMS_KEPT = 100
#: The key of a task that measures a tree.
NO_LAYER = LayerKey("", LayerId(""))


@dataclass(slots=True)
class Trouble:
    """What of a task could not be read: all counted, some kept with path and detail."""

    counts: dict[Reason, int] = field(default_factory=dict)
    kept: list[tuple[Reason, Tree, str]] = field(default_factory=list)

    def add(self, reason: Reason, count: int = 1) -> None:
        """Count errors of one reason."""
        self.counts[reason] = self.counts.get(reason, 0) + count


@dataclass(slots=True, eq=False)
class Task:
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


@dataclass(slots=True)
class Result:
    """The result of a task: `measured`, or the difference's `size` in bytes; both None where it failed."""

    task: Task
    measured: Measured | None = None
    size: int | None = None
    entries: int = 0


@dataclass(slots=True, eq=False)
class WorkItem:
    """A task's tree or a part of it: what one worker does at a time, at once or `paced`.

    `links`: the blocks of links that have come.
    """

    number: int
    task: Task
    starts: list[Start]
    paced: bool = False
    links: list[bytes] = field(default_factory=list)
    attempt: int = field(init=False)

    def __post_init__(self) -> None:
        self.attempt = self.task.attempt

    @property
    def void(self) -> bool:
        """Whether the attempt that it belongs to is over."""
        return self.attempt != self.task.attempt

    def order(self) -> Work:
        """The order for a worker. Of a tree that is expected to be small, it gives back what exceeds that.

        It begins anew: what came of an order before, to a worker that was lost, is dropped.
        """
        self.links.clear()
        task = self.task
        pace = task.pace if self.paced else 1.0
        if task.changes is not None:
            return CompareTrees(self.number, pace, task.changes.new, task.changes.old)
        most = SMALL_ENTRIES if task.pace < pace else 0
        starts = None if self.starts == [WHOLE] else self.starts
        return MeasureTree(self.number, pace, task.tree, starts, task.prune.listed(), most)
