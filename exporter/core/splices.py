"""Sequences of which most elements are the same objects as in the sequence before."""

from collections.abc import Callable, Hashable, Sequence
from itertools import compress, count
from operator import is_not
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S")
T = TypeVar("T")
V = TypeVar("V")


class Change(NamedTuple, Generic[T]):
    """The objects that are there now and were not before, and those that were. One that has changed is in both."""

    added: Sequence[T]
    removed: Sequence[T]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


_NONE: Change[object] = Change((), ())


def splice(before: Sequence[object], now: Sequence[object]) -> tuple[int, int, int]:
    """The part in which two sequences are not the same objects: where it begins, and where it ends in each."""
    most = min(len(before), len(now))
    start = next(compress(count(), map(is_not, before, now)), most)
    end = next(compress(count(), map(is_not, reversed(before), reversed(now))), most)
    end = min(end, most - start)
    return start, len(before) - end, len(now) - end


def change(before: Sequence[T], now: Sequence[T]) -> Change[T]:
    """Compare two sequences of objects by identity. None is in a sequence twice."""
    if before is now:
        return _NONE  # type: ignore[return-value] # it has no object of any type
    start, end_before, end_now = splice(before, now)
    gone, come = before[start:end_before], now[start:end_now]
    old, new = set(map(id, gone)), set(map(id, come))
    return Change([one for one in come if id(one) not in old], [one for one in gone if id(one) not in new])


def with_equals(now: tuple[T, ...], before: tuple[T, ...], key: Callable[[T], Hashable]) -> tuple[T, ...]:
    """Some objects, and as many as possible of those `before`; these themselves where all are equal.

    Equal objects have the same key, and no two objects of one sequence have.
    """
    if now is before:
        return before
    start, end_before, end_now = splice(before, now)
    known = {key(one): one for one in before[start:end_before]}
    middle = tuple(_known(one, known, key) for one in now[start:end_now])
    if end_before == end_now and splice(before[start:end_before], middle)[0] == len(middle):
        return before
    return (*now[:start], *middle, *now[end_now:])


class Mapped(Generic[S, V]):
    """A value for each object of a sequence. It is made again only where the object is another one."""

    __slots__ = ("_sources", "values")

    def __init__(self) -> None:
        self._sources: Sequence[S] = ()
        #: The values at the last update. They are another list where one has changed, and never changed themselves.
        self.values: Sequence[V] = ()

    def update(self, sources: Sequence[S], make: Callable[[S], V]) -> Sequence[V]:
        """The values of these objects, which nobody may change afterwards."""
        start, end_before, end_now = splice(self._sources, sources)
        if start != end_before or start != end_now:
            known = dict(zip(map(id, self._sources[start:end_before]), self.values[start:end_before], strict=True))
            middle = [known[id(one)] if id(one) in known else make(one) for one in sources[start:end_now]]
            self._sources, self.values = sources, [*self.values[:start], *middle, *self.values[end_before:]]
        return self.values


def _known(one: T, known: dict[Hashable, T], key: Callable[[T], Hashable]) -> T:
    old = known.get(key(one))
    return old if old is not None and old == one else one
