"""The habits of all listings: names as arguments, --filter, --sort, --reverse and --limit, applied to rows."""

import re
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Generic, TypeVar

import click
from msgspec import Struct

from exporter.cli.commands.columns import ListColumn, ObjectList, Test, Value
from exporter.cli.commands.index import Index
from exporter.cli.commands.parts import Cell, Lines, Table, total
from exporter.config.settings import Config
from exporter.expose.snapshot_api.rows import Document

Row = TypeVar("Row")
_WILD = re.compile(r"[*?\[]")


class Habits(Struct, frozen=True):
    """What the command line asks of the rows. `full`: ids, names and paths as a whole. `limit`: None for all rows.

    `disk` is what was read for them; None where an exporter was asked.
    """

    names: tuple[str, ...] = ()
    filters: tuple[tuple[str, str], ...] = ()
    sort: tuple[str, ...] = ()
    reverse: bool = False
    limit: int | None = None
    full: bool = False
    disk: Config | None = None


#: What is asked where nothing is asked.
PLAIN = Habits()


class Chosen(Struct, Generic[Row], frozen=True):
    """The rows of a listing that were asked for, in the order that was asked for.

    `of` is how many there are without --limit, and `there` without any filter or name. `hidden` are columns that this
    host has no use for. `notes` say what was left out. `failed`: a name that was given is nobody's.
    """

    listing: ObjectList[Row]
    index: Index
    habits: Habits
    rows: Sequence[Row]
    of: int
    there: int
    hidden: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    failed: bool = False

    def columns(self) -> list[ListColumn[Row]]:
        """The columns of the table."""
        return [one for one in self.listing.columns if one.shown and one.name not in self.hidden]

    def table(self, title: str = "", *, rows: Sequence[Row] | None = None, bars: str = "", summed: str = "") -> Table:
        """The table for people. `summed` is what the row of sums is called, "" for none; `rows`: some of the rows."""
        columns, rows = self.columns(), self.rows if rows is None else rows
        cells = [tuple(self._cell(column, row) for column in columns) for row in rows]
        footer: tuple[Cell, ...] = ()
        if summed:
            name = next(column for column in columns if column.keep)
            footer = tuple(
                summed if column is name else self._sum(column, rows) if column.total else "" for column in columns
            )
        at = next((number for number, column in enumerate(columns) if column.name == bars), None)
        return Table(title, tuple(column.shape for column in columns), cells, footer=footer, bars=at)

    def _cell(self, column: ListColumn[Row], row: Row) -> Cell:
        found = column.cell_of(self.index, row, full=self.habits.full)
        return round(found) if isinstance(found, float) else found

    def _sum(self, column: ListColumn[Row], rows: Iterable[Row]) -> Cell:
        found = ((column.cell or column.value)(self.index, row) for row in rows)
        return total(one for one in found if not isinstance(one, str))

    def said(self) -> list[Lines]:
        """The notes, as a part of the answer."""
        lines = list(self.notes)
        if self.habits.filters and self.there and not self.of:
            lines.append(f"No {self.listing.noun} matches.")
        if self.of > len(self.rows):
            lines.append(f"{len(self.rows)} of {self.of} rows: --limit.")
        return [Lines("", lines)] if lines else []


def check(habits: Habits, listings: Sequence[ObjectList[Any]]) -> None:
    """Raise click.UsageError for a column or a filter that none of these listings has, or a value that cannot be."""
    columns = dict.fromkeys(one.name for listing in listings for one in listing.columns)
    sortable = {name for listing in listings for name in _sortable(listing)}
    for name in habits.sort:
        if name not in sortable:
            raise click.UsageError(f"--sort {name}: no such column; known are {', '.join(columns)}")
    filters = {key: one for listing in listings for key, one in listing.filters.items()}
    for key, value in habits.filters:
        if key not in filters:
            known = f"known are {', '.join(filters)}" if filters else "this command has none"
            raise click.UsageError(f"--filter {key}: no such key; {known}")
        if wrong := filters[key].check(value):
            raise click.UsageError(f"--filter {key}={value}: {wrong}")


def choose(
    listing: ObjectList[Row],
    document: Document | Index,
    rows: Iterable[Row],
    habits: Habits,
    *,
    hidden: Iterable[str] = (),
) -> Chosen[Row]:
    """Apply the habits to the rows of a listing, which come in the order that is shown without --sort."""
    index = document if isinstance(document, Index) else Index(document)
    index.disk = habits.disk
    notes: list[str] = []
    found = list(rows)
    there = len(found)
    if habits.names:
        found, strangers = _named(listing, index, found, habits.names)
        notes += [f"No {listing.noun} is called {one}, or has an id that begins with it." for one in strangers]
    failed = bool(notes)
    if habits.filters:
        found, unsure = _filtered(listing, index, found, habits.filters)
        if unsure:
            what = f"{listing.noun} is" if unsure == 1 else f"{listing.noun}s are"
            notes.append(f"{unsure} {what} left out: it is not known whether the filter is for them.")
    found = _sorted(listing, index, found, habits)
    kept = found if habits.limit is None else found[: habits.limit]
    return Chosen(listing, index, habits, kept, len(found), there, frozenset(hidden), tuple(notes), failed)


def one_called(listing: ObjectList[Row], index: Index, rows: Iterable[Row], name: str) -> Row:
    """The first row that a name or the beginning of an id means; raises click.UsageError for none."""
    found, _ = _named(listing, index, list(rows), (name,))
    if not found:
        raise click.UsageError(f"no {listing.noun} is called {name}, or has an id that begins with it")
    return found[0]


def _named(
    listing: ObjectList[Row], index: Index, rows: list[Row], names: Sequence[str]
) -> tuple[list[Row], list[str]]:
    """The rows that the names mean, and the names that mean none. A whole name goes before the beginning of an id."""
    wanted: set[int] = set()
    strangers = []
    known = [(set(listing.names(index, row)), tuple(listing.ids(index, row))) for row in rows]
    for name in names:
        found = [at for at, (own, _) in enumerate(known) if _is_called(name, own)]
        bare = name.removeprefix("sha256:")
        found = found or [at for at, (_, ids) in enumerate(known) if bare and any(one.startswith(bare) for one in ids)]
        wanted.update(found)
        if not found:
            strangers.append(name)
    return [row for at, row in enumerate(rows) if at in wanted], strangers


def _is_called(wanted: str, names: set[str]) -> bool:
    return wanted in names or (bool(_WILD.search(wanted)) and any(matches(wanted, name) for name in names))


def matches(pattern: str, name: str) -> bool:
    """Whether a name matches a pattern as Docker's references do: no wildcard stands for a slash (Go path.Match)."""
    return re.fullmatch(_expression(pattern), name) is not None


def _expression(pattern: str) -> str:
    made, at = "", 0
    while at < len(pattern):
        character, at = pattern[at], at + 1
        if character == "*":
            made += "[^/]*"
        elif character == "?":
            made += "[^/]"
        elif character == "[" and (end := pattern.find("]", at + 1)) > 0:
            made += _class(pattern[at:end])
            at = end + 1
        else:
            made += re.escape(character)
    return made


def _class(inside: str) -> str:
    """One character of these and of ranges of them, or with `^` first none of these."""
    negated, inside = inside.startswith("^"), inside.removeprefix("^")
    parts, at = [], 0
    while at < len(inside):
        length = 3 if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside) else 1
        first, last = inside[at], inside[at + length - 1]
        at += length
        if first <= last:
            parts.append(f"{re.escape(first)}-{re.escape(last)}")
    if not parts:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{''.join(parts)}]"


def _filtered(
    listing: ObjectList[Row], index: Index, rows: list[Row], filters: Sequence[tuple[str, str]]
) -> tuple[list[Row], int]:
    """The rows that match, and of how many others it is not known. A filter that the listing has not matches all."""
    asked: dict[str, list[Test[Row]]] = {}
    for key, value in filters:
        if key in listing.filters:
            asked.setdefault(key, []).append(listing.filters[key].test(index, value))
    found, unsure = [], 0
    for row in rows:
        answers = [_answer(row, tests, every=listing.filters[key].every) for key, tests in asked.items()]
        if all(answers):
            found.append(row)
        elif False not in answers:
            unsure += 1
    return found, unsure


def _answer(row: Row, tests: Sequence[Test[Row]], *, every: bool) -> bool | None:
    """Whether a row passes one of the tests, or with `every` all of them; None where that is not known."""
    answers = [test(row) for test in tests]
    decisive = not every
    if decisive in answers:
        return decisive
    return None if None in answers else every


def _sortable(listing: ObjectList[Row]) -> dict[str, ListColumn[Row]]:
    """The columns by what --sort calls them: their names, and Docker's, such as size."""
    dockers = {field.lower(): one for one in listing.columns for field in one.fields}
    return dockers | {one.name: one for one in listing.columns}


def _sorted(listing: ObjectList[Row], index: Index, rows: list[Row], habits: Habits) -> list[Row]:
    """Sort by the columns that are asked for: the largest and newest first, names from A on; unknown ones last."""
    columns = _sortable(listing)
    asked = [columns[name] for name in habits.sort if name in columns]
    if not asked:
        return rows[::-1] if habits.reverse else rows
    for column in reversed(asked):
        orders = [(_order(column, column.value(index, row)), row) for row in rows]
        known = [(order, row) for order, row in orders if order is not None]
        known.sort(key=itemgetter(0), reverse=column.kind.is_number is not habits.reverse)
        rows = [row for _, row in known] + [row for order, row in orders if order is None]
    return rows


def _order(column: ListColumn[Any], value: Value) -> Any:
    if column.kind.is_number:
        return value if isinstance(value, (int, float)) else None
    return None if value is None else str(value).casefold()
