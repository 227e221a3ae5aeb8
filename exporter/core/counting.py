"""Counts that go up and down while objects come and go."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from exporter.core.splices import change

S = TypeVar("S")
T = TypeVar("T")


def count(counts: Counter[T], names: Iterable[T], sign: int) -> None:
    """Count names, or take them out with a `sign` of -1. What is not there any more has no entry."""
    for name in names:
        counts[name] += sign
        if not counts[name]:
            del counts[name]


def comes_or_goes(counts: Counter[T], name: T, sign: int) -> bool:
    """Count a name as `count` does; return whether it is the first one of its kind, or the last one has gone."""
    before = name in counts
    count(counts, (name,), sign)
    return before != (name in counts)


class Counted(Generic[S, T]):
    """How many objects of a sequence are of each kind, from one sequence to the next."""

    __slots__ = ("_objects", "kinds")

    def __init__(self) -> None:
        self._objects: Sequence[S] = ()
        self.kinds = Counter[T]()

    def update(self, objects: Sequence[S], kind: Callable[[S], T]) -> Counter[T]:
        """Come to other objects; return how many of them are of each kind."""
        changed, self._objects = change(self._objects, objects), objects
        count(self.kinds, map(kind, changed.removed), -1)
        count(self.kinds, map(kind, changed.added), 1)
        return self.kinds
