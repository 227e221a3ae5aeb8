"""What a pool is asked for, and what it answers."""

from dataclasses import dataclass, field
from typing import Any

from exporter.core.measured import Changes, Identity, Measured, Reason, Tree
from exporter.core.model import LayerId, LayerKey
from exporter.measure.exclusions import NOTHING, Exclusions
from exporter.measure.total import Total
from exporter.measure.walk import Start

#: Trees with fewer entries are measured at once, not at a pace: that takes a few milliseconds.
SMALL_ENTRIES = 5000


#: The key of a task that measures a tree.
NO_LAYER = LayerKey("", LayerId(""))


@dataclass(slots=True)
class Trouble:
    """What of a task could not be read: all counted, some kept with path and detail."""

    counts: dict[Reason, int] = field(default_factory=dict)
    kept: list[tuple[Reason, Tree, str]] = field(default_factory=list)

    def add(self, reason: Reason, count: int = 1) -> None:
        """Count."""
        self.counts[reason] = self.counts.get(reason, 0) + count


@dataclass(slots=True, eq=False)
class Task:
    """One tree to measure, or one difference to take.

    `pace` is the fraction of a core that it may use where it is large; `weight` is how many entries it had when it
    was last measured. An attempt that is over is told from the next one by `attempt`: what was handed out for it,
    and comes back later, counts for nothing. There may be tens of thousands at once: what few of them need is made
    when it is needed.
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

    def troubled(self) -> Trouble:
        """Where to put down what could not be read."""
        if self.trouble is None:
            self.trouble = Trouble()
        return self.trouble

    def fail(self, reason: Reason, tree: Tree, detail: str) -> None:
        """Note that the figure cannot be had."""
        trouble = self.troubled()
        trouble.add(reason)
        trouble.kept.append((reason, tree or self.tree, detail))


@dataclass(slots=True)
class Result:
    """What came of a task: `measured` or the difference's `size`, None where that could not be had."""

    task: Task
    measured: Measured | None = None
    size: int | None = None
    entries: int = 0


@dataclass(slots=True, eq=False)
class WorkItem:
    """A task's tree or a part of it: what one worker does at a time, at once or `paced`."""

    number: int
    task: Task
    starts: list[Start]
    paced: bool = False
    attempt: int = field(init=False)

    def __post_init__(self) -> None:
        self.attempt = self.task.attempt

    @property
    def void(self) -> bool:
        """Whether it is of an attempt that is over."""
        return self.attempt != self.task.attempt

    def order(self, root: tuple[str, int, int]) -> tuple[Any, ...]:
        """What a worker is told. What was thought to be small gives back what is too much for that."""
        task = self.task
        pace = task.pace if self.paced else 1.0
        if task.changes is not None:
            return ("compare", self.number, root, pace, task.changes.new, task.changes.old)
        most = SMALL_ENTRIES if task.pace < pace else 0
        return ("measure", self.number, root, pace, task.tree, self.starts, task.prune.pack(), most)
