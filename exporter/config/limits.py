"""Limits on the series of a collector: the largest objects are kept, and the number of the others is counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

#: The collectors that have a limit.
LIMITED = ("build_cache", "containers", "directories", "images", "layers", "volumes")
DEFAULT_SERIES = 20_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shown:
    """Which objects are served. `most`: the limit on series of each collector; 0 or no entry is no limit."""

    intermediate: bool = False
    each_layer: bool = False
    most: tuple[tuple[str, int], ...] = ()


EVERYTHING = Shown()


@dataclass(slots=True)
class Limited:
    """Applies the limits. `dropped`: how many objects of each collector were left out."""

    shown: Shown
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LIMITED, 0))

    def keep(
        self, collector: str, objects: Sequence[T], size: Callable[[T], int], series: Callable[[T], int]
    ) -> Sequence[T]:
        """Return the largest objects whose `series` add up to no more than the limit, in their original order."""
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
