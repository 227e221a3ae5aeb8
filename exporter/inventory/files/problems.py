"""What could not be read in one reading of a root: problems with files, and all that is not known because of them."""

from typing import NamedTuple

from exporter.core.knowledge import Input
from exporter.core.measured import Reason, Tree
from exporter.core.model import Collector, Problem

_KEPT_PROBLEMS = 1000


class Unread(NamedTuple):
    """Something that was not read. `input` is None where the table of areas tells it from the path."""

    input: Input | None
    collector: Collector
    tree: Tree
    why: str
    driver: str = ""
    object_id: str = ""
    damaged: bool = False


class Problems:
    """Collects problems: all are counted, and the first thousand are kept with path and detail.

    `unread` is all that was not read. Not every problem is there, and not all that is there is a problem.
    """

    def __init__(self) -> None:
        self.counts: dict[tuple[Collector, Reason], int] = {}
        self.kept: list[Problem] = []
        self.total = 0
        self.unread: list[Unread] = []
        #: How often something led to a link that was noted before.
        self.repeated = 0

    @property
    def noted(self) -> int:
        """How much was noted until now: a value that was read meanwhile without more may be kept."""
        return self.total + len(self.unread) + self.repeated

    def add(self, collector: Collector, reason: Reason, tree: Tree, detail: str = "") -> None:
        """Note one problem with the entry at `tree`."""
        key = (collector, reason)
        self.counts[key] = self.counts.get(key, 0) + 1
        self.total += 1
        if len(self.kept) < _KEPT_PROBLEMS:
            self.kept.append(Problem(collector, reason, "/".join(tree) or ".", detail))
