"""Limits on the series of a collector: which objects give theirs up, and how many do."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TypeVar

from msgspec import Struct, field

#: The collectors that have a limit.
LIMITED = ("binds", "build_cache", "containers", "directories", "images", "layers", "volumes")
DEFAULT_SERIES = 20_000
#: The collectors, and with what the names of their families begin behind the prefix of all.
COLLECTORS: Mapping[str, tuple[str, ...]] = {
    "build_cache": ("build_cache_",),
    "containers": ("container_", "containers"),
    "directories": ("directory_",),
    "images": (
        *("image_", "images", "layer_", "layers", "missing_layers"),
        *("content_", "build_history_", "store_entries"),
    ),
    "volumes": ("volume_", "volumes", "bind_"),
}

#: Sums over all collectors. They are always served; a query has them with the directories.
SUMS = ("reclaimable_", "unattributed_", "filesystem_")
#: The collectors of which objects are chosen by name.
NAMED = ("containers", "images", "volumes")

T = TypeVar("T")


@lru_cache(maxsize=200_000)
def matches(pattern: str, name: str) -> bool:
    """Whether a regular expression matches a part of a name."""
    return re.search(pattern, name) is not None


class Shown(Struct, frozen=True):
    """Which objects are served. `most`: the limit on series of each collector; 0 or no entry is no limit.

    `off`: the collectors that are not served at all. `include` and `exclude`: by collector, the regular expression that
    one of the names of an object must match, or none of them may match, to be served.
    """

    intermediate: bool = False
    each_layer: bool = False
    most: tuple[tuple[str, int], ...] = ()
    off: tuple[str, ...] = ()
    include: tuple[tuple[str, str], ...] = ()
    exclude: tuple[tuple[str, str], ...] = ()

    def named(self, collector: str, objects: Sequence[T], names: Callable[[T], Iterable[str]]) -> Sequence[T]:
        """The objects of a collector that are served because of their names."""
        for patterns, wanted in ((self.include, True), (self.exclude, False)):
            if pattern := dict(patterns).get(collector):
                objects = [one for one in objects if any(matches(pattern, name) for name in names(one)) is wanted]
        return objects


EVERYTHING = Shown()


class Limited(Struct):
    """Applies the limits. `dropped`: how many objects of each collector were left out, whole or in part."""

    shown: Shown
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LIMITED, 0))

    def spares(self, limit: str, series: int) -> bool:
        """Whether so many series are allowed."""
        most = dict(self.shown.most).get(limit, 0)
        return not most or series <= most

    def keep(
        self,
        limit: str,
        objects: Sequence[T],
        size: Callable[[T], int],
        single: Callable[[T], int],
        many: Callable[[T], int],
    ) -> list[tuple[T, bool]]:
        """Return what may be served: objects in their original order, and whether each keeps its many-valued series.

        `single` and `many` say how many series an object has of those with a fixed number, and of those with any number
        of values, such as tags. Objects with the most of the latter give these up first. If that is not enough, the
        largest by `size` are kept as far as they fit, the others dropped.
        """
        most = dict(self.shown.most).get(limit, 0)
        if not most:
            return [(one, True) for one in objects]
        singles, manys = list(map(single, objects)), list(map(many, objects))
        left = most - sum(singles) - sum(manys)
        cut: set[int] = set()
        for at in _descending(manys) if left < 0 and any(manys) else ():
            if left >= 0 or not manys[at]:
                break
            cut.add(at)
            left += manys[at]
        kept = {*range(len(objects))} if left >= 0 else _largest([*map(size, objects)], singles, most)
        self.dropped[limit] = len(objects) - len(kept - cut)
        return [(one, at not in cut) for at, one in enumerate(objects) if at in kept]


def _largest(sizes: Sequence[int], singles: Sequence[int], most: int) -> set[int]:
    """The places of the largest objects that together have no more series than that."""
    order = _descending(sizes)
    together = [*accumulate(map(singles.__getitem__, order))]
    return {*order[: bisect_right(together, most)]}


def _descending(numbers: Sequence[int]) -> list[int]:
    """The places of these numbers, that of the largest first; of equal ones, in their order."""
    return sorted(range(len(numbers)), key=numbers.__getitem__, reverse=True)
