"""How many series a collector may have: the largest objects are kept, and how many were left out is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

#: What has a limit of its own.
LIMITED = ("build_cache", "containers", "directories", "images", "layers", "volumes")
DEFAULT_SERIES = 20_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of the objects. `most` limits the series by collector; 0, or none, is no limit."""

    intermediate: bool = False
    each_layer: bool = False
    most: tuple[tuple[str, int], ...] = ()


EVERYTHING = Shown()


@dataclass(slots=True)
class Limited:
    """Keeps within the limits, and counts by collector the objects that it left out."""

    shown: Shown
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LIMITED, 0))

    def keep(
        self, collector: str, objects: Sequence[T], size: Callable[[T], int], series: Callable[[T], int]
    ) -> Sequence[T]:
        """Return the largest objects whose `series` at most are within the limit, in the order they came in."""
        most = dict(self.shown.most).get(collector, 0)
        if not most or sum(map(series, objects)) <= most:
            return objects
        kept: set[int] = set()
        left = most
        for at in sorted(range(len(objects)), key=lambda at: (-size(objects[at]), at)):
            left -= series(objects[at])
            if left < 0:
                break
            kept.add(at)
        self.dropped[collector] = len(objects) - len(kept)
        return [one for at, one in enumerate(objects) if at in kept]
