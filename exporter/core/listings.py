"""The listings of directories, from one opening of a data root to the next."""

import os
import sys
import time
from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, TypeVar

from exporter.core.measured import Tree

#: The times of some filesystems have steps of two seconds: within these, a directory may change once more and keep its
#: times.
_RECENT_NANOSECONDS = 2_000_000_000

T = TypeVar("T", str, Tree)
_Signature = tuple[int, int, int, int]


_NONE: frozenset[str] = frozenset()


class Names(list[str]):
    """The sorted names in a directory, which nobody changes. It knows which of them came or went since the one before.

    That one is known by its mark alone, so that it is not kept.
    """

    __slots__ = ("_as_set", "_before", "_changed", "_mark")

    def __init__(
        self,
        names: Iterable[str] = (),
        before: "Names | None" = None,
        changed: Iterable[str] = (),
        as_set: frozenset[str] | None = None,
    ) -> None:
        """`changed`: the names that are only in this listing, or only in the one `before`. `as_set`: see there."""
        super().__init__(names)
        self._mark = object()
        # Since an empty one all came: they are not kept a second time.
        self._before = before._mark if before else None  # noqa: SLF001 - of its own kind
        self._changed = frozenset(changed) if before else _NONE
        self._as_set = as_set

    @property
    def as_set(self) -> frozenset[str]:
        """The names as a set, the same object each time."""
        if self._as_set is None:
            self._as_set = frozenset(self)
        return self._as_set

    def __contains__(self, name: object) -> bool:
        at = bisect_left(self, name) if isinstance(name, str) else len(self)
        return at < len(self) and self[at] == name

    def since(self, old: Sequence[str]) -> frozenset[str]:
        """The names that are in one of these listings only."""
        if self is old:
            return _NONE
        if isinstance(old, Names) and old._mark is self._before:  # noqa: SLF001 - of its own kind
            return self._changed
        return frozenset(self).symmetric_difference(old)


class _Listing(NamedTuple):
    """The names in a directory, which had this signature before it was listed.

    `settled`: its last change was some time before. Then a later one gives it another signature.
    """

    signature: _Signature
    settled: bool
    names: Names


class Listings:
    """What directories were listed before. One without a change since is not listed again."""

    def __init__(self) -> None:
        self._known: dict[Tree, _Listing] = {}
        self._used: set[Tree] = set()

    def names(self, tree: Tree, descriptor: int) -> Names:
        """The names in an open directory; raises OSError."""
        status, now = os.fstat(descriptor), time.time_ns()
        signature = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        known = self._known.get(tree)
        self._used.add(tree)
        if known is not None and known.settled and known.signature == signature:
            return known.names
        settled = now - max(status.st_mtime_ns, status.st_ctime_ns) > _RECENT_NANOSECONDS
        found = _sorted(os.listdir(descriptor), known.names if known else Names())
        self._known[tree] = _Listing(signature, settled, found)
        return found

    def end(self) -> None:
        """Forget the directories that were not asked for since the last call."""
        for tree in self._known.keys() - self._used:
            del self._known[tree]
        self._used.clear()

    def clear(self) -> None:
        """List all directories again."""
        self._known.clear()


def _sorted(names: list[str], before: Names) -> Names:
    """The names in their order; the listing `before` where it has the same.

    The names are shared: the same ids stand in many places, and for as long as the exporter runs.
    """
    if not before:
        return Names(sorted(map(sys.intern, names))) if names else before
    now, known = {*names}, before.as_set
    new = now.difference(known)
    gone = known.difference(now) if len(now) - len(new) < len(known) else _NONE
    if not new and not gone:
        return before
    came = [*map(sys.intern, new)]
    left = [name for name in before if name not in gone] if gone else list(before)
    as_set = known.difference(gone).union(came)
    return Names(in_order(left, came), before, (*came, *gone), as_set)


def in_order(ordered: list[T], more: Collection[T]) -> list[T]:
    """What is in order already, with some more. The list is used up."""
    if 16 * len(more) >= len(ordered):
        ordered += more
        return sorted(ordered)
    for one in more:
        insort(ordered, one)
    return ordered
