"""The families of one kind of object: a column for each family, a row for each object."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import compress, count, islice, repeat
from operator import add, attrgetter, is_
from typing import Any, Generic, TypeVar

from msgspec import Struct

from exporter.config.limits import Limited
from exporter.core.barrier import Barrier
from exporter.core.splices import Hunk, hunks, replaced
from exporter.core.states import Collector
from exporter.core.text import label
from exporter.expose.metrics import catalogue as c
from exporter.expose.metrics.family import MetricFamily, Samples
from exporter.expose.metrics.render import Format, heads, labels, lines, lines_of

Row = TypeVar("Row")
V = TypeVar("V")


def _one(_: object) -> float:
    return 1


class Column(Struct, Generic[Row], frozen=True):
    """One family: its metric, and what it has of one row.

    `value` is that of the only series of a row; None: it has none. `facts` are the labels behind those of the object.
    With `each` instead of these, a row has any number of series of the value 1, and these are their labels; it gives
    them up first where there are too many series.
    """

    metric: c.Metric
    value: Callable[[Row], float | None] = _one
    facts: Callable[[Row], tuple[str, ...]] | None = None
    each: Callable[[Row], Iterable[tuple[str, ...]]] | None = None

    def series(self, key: tuple[str, ...], row: Row) -> Samples:
        """The series of a row. Raises OverflowError for a number that is too large to be served."""
        if self.each is not None:
            return {(*key, *map(label, one)): 1.0 for one in self.each(row)}
        value = self.value(row)
        if value is None:
            return {}
        return {key if self.facts is None else (*key, *map(label, self.facts(row))): float(value)}


class Entry(Generic[Row]):
    """An object as its table shows it: its labels, its row, and how many series it has.

    `many` are those of which it may have any number. An entry is kept as long as its row stays the same, so that two
    lists of entries are compared in no time. `mark` is a number that depends on the labels alone.
    """

    __slots__ = ("key", "many", "mark", "row", "single", "size")

    def __init__(self, key: tuple[str, ...], row: Row, many: int) -> None:
        self.key = key
        self.mark = hash(key)
        self.row = row
        self.many = many
        #: The series of the other families, and the bytes of the object; None as long as nobody has asked for them.
        self.single: int | None = None
        self.size: int | None = None


_MANY, _SINGLE, _SIZE, _MARK = map(attrgetter, ("many", "single", "size", "mark"))
#: Of so many objects each is looked for by itself: a table of all takes longer.
_FEW = 8
#: An entry, and whether all its series are shown; else it has given up those of which it may have any number.
Shown = tuple[Entry[Row], bool]


class ObjectTable(Struct, Generic[Row], frozen=True):
    """All families of one kind of object. An object of which a family cannot be made is counted, and hides no other.

    `limit` is the name of its limit on series. `row` makes the row of an object. That has everything that a column
    needs: rows that are equal have the same series. `name` is what no other object of the kind has, `key` the labels of
    a row, `size` its bytes, by which the largest are kept where there are too many series.

    `changed` are the objects that may have another row than in the snapshot before, besides those that are other ones;
    None: it may be all. So it may where `common` is another one, which rows depend on besides their object.
    """

    collector: Collector
    limit: str
    columns: Sequence[Column[Row]]
    objects: Sequence[Any]
    row: Callable[[Any], Row]
    name: Callable[[Row], str]
    key: Callable[[Row], tuple[str, ...]]
    size: Callable[[Row], int]
    barrier: Barrier
    changed: Sequence[object] | None = None
    common: object = None

    def entry(self, one: object, known: Mapping[str, Sequence[Entry[Row]]]) -> Entry[Row] | None:
        """The entry of an object, one of those `known` by name if it has the same row; None where that fails."""
        row = self.barrier.attempt_with(self.collector, "row", one, self.row, None)
        if row is None:
            return None
        found = next((entry for entry in known.get(self.name(row), ()) if entry.row == row), None)
        return found or self._attempt("labels", self._entry, row, instead=None)

    def entries(self, objects: Sequence[Any], known: Mapping[str, Sequence[Entry[Row]]]) -> list[Entry[Row] | None]:
        """The entries of several objects, see `entry`."""
        if not known:
            with suppress(Exception):  # it is met again, and counted, at its object
                rows = [*map(self.row, objects)]
                return [
                    Entry(tuple(map(label, self.key(row))), row, many)
                    for row, many in zip(rows, self._counts(rows, many=True), strict=True)
                ]
        return [self.entry(one, known) for one in objects]

    def _entry(self, row: Row) -> Entry[Row]:
        key = tuple(map(label, self.key(row)))
        return Entry(key, row, self._count(key, row, many=True))

    def _count(self, key: tuple[str, ...], row: Row, *, many: bool) -> int:
        """How many series a row has in the families that have one or `many` of each."""
        return sum(len(self._series_of(column, key, row)) for column in self._of(many=many))

    def _counts(self, rows: Sequence[Row], *, many: bool) -> list[int]:
        """How many series each of several rows has, see `_count`. May raise anything where that fails."""
        counts = [0] * len(rows)
        for column in self._of(many=many):
            each, value = column.each, column.value
            if each is not None:
                found = [len({tuple(map(label, one)) for one in each(row)}) for row in rows]
            else:
                found = [1] * len(rows) if value is _one else [value(row) is not None for row in rows]
            counts = [*map(add, counts, found)]
        return counts

    def _of(self, *, many: bool) -> list[Column[Row]]:
        return [column for column in self.columns if (column.each is not None) is many]

    def shown(self, limited: Limited, entries: Sequence[Entry[Row]]) -> list[Shown[Row]]:
        """The entries that the limit on series leaves: the largest."""
        most = len(entries) * len(self._of(many=False)) + sum(map(_MANY, entries))
        if limited.spares(self.limit, most):
            return [(one, True) for one in entries]
        # Most entries were asked before. An answer depends on the row alone, which is the same as long as the entry is.
        asked = [one for one in entries if one.single is None or one.size is None]
        try:
            rows = [one.row for one in asked]
            for one, single, size in zip(asked, self._counts(rows, many=False), [*map(self.size, rows)], strict=True):
                one.single, one.size = single, size
        except Exception:  # noqa: BLE001 - it is met again, and counted, at its object
            for one in asked:
                one.single = self._count(one.key, one.row, many=False)
                one.size = self._attempt("size", self.size, one.row, instead=0)
        return limited.keep(self.limit, entries, _SIZE, _SINGLE, _MANY)

    def series(self, column: Column[Row], shown: Iterable[Shown[Row]]) -> Samples:
        """The series of these entries in one family."""
        samples: Samples = {}
        entries = [entry for entry, whole in shown if whole or column.each is None]
        try:
            for entry in entries:
                samples.update(column.series(entry.key, entry.row))
        except Exception:  # noqa: BLE001 - it is met again, and counted, at its object
            for entry in entries:
                samples.update(self._series_of(column, entry.key, entry.row))
        return samples

    def lines(
        self, column: Column[Row], shown: Sequence[Shown[Row]], labelled: dict[tuple[str, ...], list[str]]
    ) -> bytes:
        """The lines of these entries in one family. `labelled` keeps their labels by the names for other families."""
        names = column.metric.labels
        try:
            if column.each is not None:
                several = [(entry.key, one) for entry, whole in shown if whole for one in column.each(entry.row)]
                different = dict.fromkeys((*key, *map(label, one)) for key, one in several)
                return lines_of(column.metric.name, labels(names, different), repeat(1, len(different)))
            if column.facts is not None:
                facts = column.facts
                made = labels(names, [(*entry.key, *map(label, facts(entry.row))) for entry, _ in shown])
            elif names in labelled:
                made = labelled[names]
            else:
                made = labelled[names] = labels(names, [entry.key for entry, _ in shown])
            return lines_of(column.metric.name, made, [column.value(entry.row) for entry, _ in shown])
        except Exception:  # noqa: BLE001 - it is met again, and counted, at its object
            return lines(column.metric, self.series(column, shown))

    def families(self, limited: Limited) -> Iterator[MetricFamily]:
        """All families."""
        shown = self.shown(limited, Entries[Row]().advance(self, going_on=False))
        for column in self.columns:
            yield MetricFamily(column.metric, self.series(column, shown))

    def rendered(self, limited: Limited, style: Format) -> Iterator[bytes]:
        """The heads and lines of all families."""
        shown = self.shown(limited, Entries[Row]().advance(self, going_on=False))
        labelled: dict[tuple[str, ...], list[str]] = {}
        for column in self.columns:
            yield getattr(heads(column.metric), style)
            yield self.lines(column, shown, labelled)

    def _series_of(self, column: Column[Row], key: tuple[str, ...], row: Row) -> Samples:
        return self._attempt(column.metric.name, partial(column.series, key), row, instead={})

    def _attempt(self, what: str, work: Callable[[Row], V], row: Row, instead: V) -> V:
        return self.barrier.attempt(self.collector, f"{what} of {self.name(row)}", partial(work, row), instead)


class Entries(Generic[Row]):
    """The entries of a table, from one snapshot to the next."""

    __slots__ = ("_common", "_made", "_objects")

    def __init__(self) -> None:
        self._objects: Sequence[object] = ()
        self._made: list[Entry[Row] | None] = []
        self._common: object = None

    def advance(self, table: ObjectTable[Row], *, going_on: bool) -> list[Entry[Row]]:
        """The entries of all objects, each with other labels: should two have the same, the last stands.

        `going_on`: the last time that was the snapshot before.
        """
        again, objects = table.changed, table.objects
        if going_on and again is not None and self._common == table.common:
            where = hunks(self._objects, objects)
        else:
            where, again = [Hunk(0, len(self._made), 0, len(objects))], ()
        known: dict[str, list[Entry[Row]]] = {}
        for entry in (one for hunk in where for one in self._made[hunk.start : hunk.end]):
            if entry is not None:
                known.setdefault(table.name(entry.row), []).append(entry)
        middles = [table.entries(objects[hunk.start_now : hunk.end_now], known) for hunk in where]
        self._made = replaced(self._made, where, middles)
        for at in _places(again, objects):
            entry = self._made[at]
            self._made[at] = table.entry(objects[at], {} if entry is None else {table.name(entry.row): [entry]})
        self._objects, self._common = objects, table.common
        made = [one for one in self._made if one is not None]
        if len(set(map(_MARK, made))) == len(made):
            return made
        return list({one.key: one for one in made}.values())


def _places(some: Sequence[object], objects: Sequence[object]) -> Iterator[int]:
    """The places of some objects, of those that are among these."""
    if len(some) <= _FEW:
        for one in some:
            yield from islice(compress(count(), map(is_, objects, repeat(one))), 1)
        return
    places = dict(zip(map(id, objects), count()))
    yield from (places[id(one)] for one in some if id(one) in places)
