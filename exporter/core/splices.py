"""Sequences of which most elements are the same objects as in the sequence before."""

from collections.abc import Callable, Hashable, Iterable, Sequence
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
#: Objects that come and go together are few. Of more that differ, what is done with them takes longer than the search.
_MOST_STEPS, _MOST_HUNKS = 8, 64
_FIRST_PIECE = 64


def splice(before: Sequence[object], now: Sequence[object]) -> tuple[int, int, int]:
    """The part in which two sequences are not the same objects: where it begins, and where it ends in each."""
    most = min(len(before), len(now))
    start = next(compress(count(), map(is_not, before, now)), most)
    end = next(compress(count(), map(is_not, reversed(before), reversed(now))), most)
    end = min(end, most - start)
    return start, len(before) - end, len(now) - end


class Hunk(NamedTuple):
    """A part in which two sequences are not the same objects: where it begins and ends in each."""

    start: int
    end: int
    start_now: int
    end_now: int


class Spliced(tuple[T, ...]):  # noqa: SLOT001 - those of a tuple must be empty
    """Objects in a row that know in which parts they differ from those before, which many ask, one after the other.

    Those before are known by their mark alone, so that they are not kept.
    """

    _mark: object
    _before: object
    _where: Sequence[Hunk]

    def __new__(cls, objects: Iterable[T], before: Sequence[object] = (), where: Sequence[Hunk] = ()) -> "Spliced[T]":
        """`where`: the parts in which they differ from those `before`."""
        made = super().__new__(cls, objects)
        made._mark, made._where = object(), where
        made._before = before._mark if isinstance(before, Spliced) else None  # noqa: SLF001 - of its own kind
        return made

    def since(self, before: Sequence[object]) -> Sequence[Hunk] | None:
        """The parts in which they differ from others; None where that is not known."""
        known = isinstance(before, Spliced) and before._mark is self._before  # noqa: SLF001 - as above
        return self._where if known else None


def hunks(before: Sequence[object], now: Sequence[object]) -> Sequence[Hunk]:
    """The parts in which two sequences are not the same objects, in order. They are small where few objects differ."""
    if before is now:
        return ()
    if isinstance(now, Spliced) and (known := now.since(before)) is not None:
        return known
    start, end, end_now = splice(before, now)
    at, at_now, found = start, start, list[Hunk]()
    while at < end or at_now < end_now:
        step = _step(before[at : min(end, at + _MOST_STEPS)], now[at_now : min(end_now, at_now + _MOST_STEPS)])
        if step is None or len(found) == _MOST_HUNKS:
            return [*found, Hunk(at, end, at_now, end_now)]
        found.append(Hunk(at, at + step[0], at_now, at_now + step[1]))
        at, at_now = at + step[0], at_now + step[1]
        same = _same(before, at, now, at_now, min(end - at, end_now - at_now))
        at, at_now = at + same, at_now + same
    return found


def replaced(old: Sequence[V], where: Iterable[Hunk], new: Iterable[Sequence[V]]) -> list[V]:
    """A sequence with something new in the place of each of these parts."""
    made, at = list[V](), 0
    for hunk, values in zip(where, new, strict=True):
        made += old[at : hunk.start]
        made += values
        at = hunk.end
    made += old[at:]
    return made


def _step(before: Sequence[object], now: Sequence[object]) -> tuple[int, int] | None:
    """The least that two sequences are to be gone on so that the same object comes next; None where that is far."""
    for both in range(1, len(before) + len(now)):
        for at in range(max(0, both + 1 - len(now)), min(both + 1, len(before))):
            if before[at] is now[both - at]:
                return at, both - at
    return None


def _same(before: Sequence[object], at: int, now: Sequence[object], at_now: int, most: int) -> int:
    """How many objects are the same from these places on, of `most`."""
    done, size = 0, _FIRST_PIECE
    while done < most:
        size = min(size, most - done)
        here, there = before[at + done : at + done + size], now[at_now + done : at_now + done + size]
        same = next(compress(count(), map(is_not, here, there)), size)
        done += same
        if same < size:
            break
        size *= 2
    return done


def change(before: Sequence[T], now: Sequence[T]) -> Change[T]:
    """Compare two sequences of objects by identity. None is in a sequence twice."""
    if before is now:
        return _NONE  # type: ignore[return-value] # it has no object of any type
    where = hunks(before, now)
    gone = [one for hunk in where for one in before[hunk.start : hunk.end]]
    come = [one for hunk in where for one in now[hunk.start_now : hunk.end_now]]
    old, new = set(map(id, gone)), set(map(id, come))
    return Change([one for one in come if id(one) not in old], [one for one in gone if id(one) not in new])


def with_equals(now: tuple[T, ...], before: tuple[T, ...], key: Callable[[T], Hashable]) -> tuple[T, ...]:
    """Some objects, and as many as possible of those `before`; these themselves where all are equal.

    Equal objects have the same key, and no two objects of one sequence have.
    """
    where = hunks(before, now)
    known = {key(one): one for hunk in where for one in before[hunk.start : hunk.end]}
    middles = [[_known(one, known, key) for one in now[hunk.start_now : hunk.end_now]] for hunk in where]
    different = [
        Hunk(hunk.start + one.start, hunk.start + one.end, hunk.start_now + one.start_now, hunk.start_now + one.end_now)
        for hunk, middle in zip(where, middles, strict=True)
        for one in hunks(before[hunk.start : hunk.end], middle)
    ]
    return Spliced(replaced(before, where, middles), before, different) if different else before


class Mapped(Generic[S, V]):
    """A value for each object of a sequence. It is made again only where the object is another one."""

    __slots__ = ("_sources", "values")

    def __init__(self) -> None:
        self._sources: Sequence[S] = ()
        #: The values at the last update. They are another list where one has changed, and never changed themselves.
        self.values: Sequence[V] = ()

    def update(self, sources: Sequence[S], make: Callable[[S], V]) -> Sequence[V]:
        """The values of these objects, which nobody may change afterwards."""
        where = hunks(self._sources, sources)
        if where:
            known: dict[int, V] = {}
            for hunk in where:
                part = slice(hunk.start, hunk.end)
                known.update(zip(map(id, self._sources[part]), self.values[part], strict=True))
            middles = [
                [known[id(one)] if id(one) in known else make(one) for one in sources[hunk.start_now : hunk.end_now]]
                for hunk in where
            ]
            self._sources, self.values = sources, replaced(self.values, where, middles)
        return self.values


def _known(one: T, known: dict[Hashable, T], key: Callable[[T], Hashable]) -> T:
    old = known.get(key(one))
    return old if old is not None and old == one else one
