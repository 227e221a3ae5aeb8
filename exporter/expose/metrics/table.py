"""The families of one kind of object: a column for each family, a row for each object."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from exporter.config.limits import Limited
from exporter.core.barrier import Barrier
from exporter.core.states import Collector
from exporter.core.text import label
from exporter.expose.metrics import catalogue as c
from exporter.expose.metrics.family import Family, Series, built

Row = TypeVar("Row")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One family: its metric, and what it has of one row.

    `value` is that of the only series of a row; None: it has none. `facts` are the labels behind those of the object.
    With `each` instead of these, a row has any number of series of the value 1, and these are their labels; it gives
    them up first where there are too many series.
    """

    metric: c.Metric
    value: Callable[[Row], float | None] = lambda _: 1
    facts: Callable[[Row], tuple[str, ...]] | None = None
    each: Callable[[Row], Iterable[tuple[str, ...]]] | None = None

    def series(self, key: tuple[str, ...], row: Row) -> Series:
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
    lists of entries are compared in no time.
    """

    __slots__ = ("key", "many", "row", "single")

    def __init__(self, key: tuple[str, ...], row: Row, many: int) -> None:
        self.key = key
        self.row = row
        self.many = many
        #: The series of the other families; None as long as nobody has counted them.
        self.single: int | None = None


#: An entry, and whether all its series are shown; else it has given up those of which it may have any number.
Shown = tuple[Entry[Row], bool]


@dataclass(frozen=True, slots=True)
class ObjectTable(Generic[Row]):
    """All families of one kind of object. An object of which a family cannot be made is counted, and hides no other.

    `limit` is the name of its limit on series. A row has everything that a column needs: rows that are equal have the
    same series. `name` is what no other object of the kind has, `key` the labels of a row, `size` its bytes, by which
    the largest are kept where there are too many series.
    """

    collector: Collector
    limit: str
    columns: Sequence[Column[Row]]
    rows: Sequence[Row]
    name: Callable[[Row], str]
    key: Callable[[Row], tuple[str, ...]]
    size: Callable[[Row], int]
    barrier: Barrier

    def _entry(self, row: Row) -> Entry[Row]:
        key = tuple(map(label, self.key(row)))
        return Entry(key, row, self._count(key, row, many=True))

    def _count(self, key: tuple[str, ...], row: Row, *, many: bool) -> int:
        """How many series a row has in the families that have one or `many` of each."""
        return sum(len(self._series_of(column, key, row)) for column in self._of(many=many))

    def _of(self, *, many: bool) -> list[Column[Row]]:
        return [column for column in self.columns if (column.each is not None) is many]

    def entries(self, known: dict[str, list[Entry[Row]]] | None = None) -> list[Entry[Row]]:
        """The entries of all rows, each with other labels: should two have the same, the last stands.

        `known` are entries that were made before, by name; it gets the new ones instead.
        """
        found: dict[tuple[str, ...], Entry[Row]] = {}
        before = known or {}
        now: dict[str, list[Entry[Row]]] = {}
        for row in self.rows:
            name = self.name(row)
            entry = next((one for one in before.get(name, ()) if one.row == row), None)
            if entry is None:
                entry = self._attempt("labels", self._entry, row, instead=None)
            if entry is not None:
                now.setdefault(name, []).append(entry)
                found[entry.key] = entry
        if known is not None:
            known.clear()
            known.update(now)
        return list(found.values())

    def shown(self, limited: Limited, entries: Sequence[Entry[Row]]) -> list[Shown[Row]]:
        """The entries that the limit on series leaves: the largest."""
        most = len(entries) * len(self._of(many=False)) + sum(one.many for one in entries)
        if limited.spares(self.limit, most):
            return [(one, True) for one in entries]
        return limited.keep(self.limit, entries, self._size, self._single, lambda one: one.many)

    def _size(self, entry: Entry[Row]) -> int:
        return self._attempt("size", self.size, entry.row, instead=0)

    def _single(self, entry: Entry[Row]) -> int:
        if entry.single is None:
            entry.single = self._count(entry.key, entry.row, many=False)
        return entry.single

    def family(self, column: Column[Row], shown: Iterable[Shown[Row]]) -> Family:
        """One family of these entries."""
        samples: Series = {}
        for entry, whole in shown:
            if whole or column.each is None:
                samples.update(self._series_of(column, entry.key, entry.row))
        return built(column.metric, samples)

    def families(self, limited: Limited) -> Iterator[Family]:
        """All families."""
        shown = self.shown(limited, self.entries())
        for column in self.columns:
            yield self.family(column, shown)

    def _series_of(self, column: Column[Row], key: tuple[str, ...], row: Row) -> Series:
        return self._attempt(column.metric.name, partial(column.series, key), row, instead={})

    def _attempt(self, what: str, work: Callable[[Row], V], row: Row, instead: V) -> V:
        return self.barrier.attempt(self.collector, f"{what} of {self.name(row)}", partial(work, row), instead)
