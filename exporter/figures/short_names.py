"""How ids are shortened, from one snapshot to the next: few come, and hardly ever two begin alike."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter

from exporter.core.model import Container, Image
from exporter.core.text import SHORT, ShortIds, short_ids
from exporter.figures.difference import Difference

_ID, _IMAGE_ID = attrgetter("id"), attrgetter("image_id")
#: So many that come are not looked for one by one.
_MANY = 256
#: How many more ids than there are may be remembered: of those that are gone, too.
_MOST_GONE = 1000


class _Remembered:
    """The beginnings of ids, and of which ids these are; of both only a hash, which nobody can choose.

    Ids that are gone may stay: where another one begins like these, all are gone through once. `short`: the ids that
    take more digits than others.
    """

    def __init__(self) -> None:
        self.short = ShortIds()
        self._beginnings, self._ids = array("q"), array("q")

    def _come_to(self, come: Iterable[str], most: int, every: Callable[[], Iterable[str]]) -> None:
        """Come to other ids, at `most` so many, which `every` returns. These are among them and were not before."""
        come = {*come}
        known = len(self._ids) + len(come) <= most + _MOST_GONE and len(come) < _MANY
        if self.short or not known or not all(map(self._takes, come)):
            self._begin(every())

    def _begin(self, ids: Iterable[str]) -> None:
        different = {*ids}
        self.short = short_ids(different)
        if self.short:
            different.clear()  # as long as two begin alike, nothing is remembered
        pairs = sorted((hash(one[:SHORT]), hash(one)) for one in different)
        self._beginnings = array("q", (beginning for beginning, _ in pairs))
        self._ids = array("q", (one for _, one in pairs))

    def _takes(self, one: str) -> bool:
        """Remember an id; returns whether no other one begins like it."""
        beginning = hash(one[:SHORT])
        at = bisect_left(self._beginnings, beginning)
        if at < len(self._beginnings) and self._beginnings[at] == beginning:
            return self._ids[at] == hash(one)
        self._beginnings.insert(at, beginning)
        self._ids.insert(at, hash(one))
        return True


class ShortNames(_Remembered):
    """How the ids of images and containers are shortened: one that a container refers to as the image itself."""

    def advance(self, difference: Difference) -> None:
        """Go on to the next snapshot."""
        images, containers = difference.now.inventory.images, difference.now.inventory.containers
        come = _names(difference.images.added, difference.containers.added)
        self._come_to(come, len(images) + 2 * len(containers), lambda: _names(images, containers))


class ShortRecords(_Remembered):
    """How the ids of build records are shortened."""

    def advance(self, difference: Difference) -> None:
        """Go on to the next snapshot."""
        records = difference.now.inventory.build_cache.records
        self._come_to(map(_ID, difference.records.added), len(records), lambda: map(_ID, records))


def _names(images: Iterable[Image], containers: Sequence[Container]) -> Iterator[str]:
    yield from map(_ID, images)
    yield from map(_ID, containers)
    yield from filter(None, map(_IMAGE_ID, containers))
