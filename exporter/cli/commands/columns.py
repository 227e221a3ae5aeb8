"""What a command lists: its columns, each declared once. Sorting, widths, CSV and templates follow from that."""

import time
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from msgspec import Struct, field

from exporter.cli.commands.index import Index
from exporter.core.units import age

Row = TypeVar("Row")
#: A value of a column. None is what is not known.
Value = str | int | float | None
#: The worth of a column that is narrowed last.
MOST = 100


class ColumnKind(StrEnum):
    """What a column holds. It says how a value is written, sorted, and shortened on a narrow terminal."""

    #: A name: cut at the left, at a slash if it has some, or else at the right.
    TEXT = "text"
    #: A word or two that are never cut, such as a state.
    WORD = "word"
    #: The id of an object: shown by its first digits, and never cut any further.
    ID = "id"
    #: A path: cut at the left. What all rows have in common is shown once.
    PATH = "path"
    #: Words and commands: they continue in the next line, and no word is cut.
    PROSE = "prose"
    #: Words and names: they continue in the next line, and names that are too long are cut.
    NAMES = "names"
    #: Bytes.
    SIZE = "size"
    COUNT = "count"
    #: A time in Unix seconds, shown as how long ago it was.
    AGE = "age"

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers: the largest or newest comes first."""
        return self in (ColumnKind.SIZE, ColumnKind.COUNT, ColumnKind.AGE)

    @property
    def is_flexible(self) -> bool:
        """Whether its cells can be narrower than their text."""
        return self in (ColumnKind.TEXT, ColumnKind.PATH, ColumnKind.PROSE, ColumnKind.NAMES)


class Shape(Struct, frozen=True):
    """How a column is drawn.

    Where there is no room, the one with the least `worth` is the first to be narrowed or left out. One to `keep` is
    never left out.
    """

    heading: str
    kind: ColumnKind
    worth: int = MOST
    keep: bool = False

    @property
    def right(self) -> bool:
        """Whether its cells end at one line."""
        return self.kind in (ColumnKind.SIZE, ColumnKind.COUNT)


class ListColumn(Struct, Generic[Row], frozen=True):
    """A column of a listing. `name` is for --sort, CSV and templates; `fields` are Docker's names in templates.

    `cell` is what the table has instead of the value: "" where another row has it already. `short` shortens the value
    of an id. Without `shown` it is not in the table. With `total` its sum is in the last row.
    """

    name: str
    heading: str
    kind: ColumnKind
    value: Callable[[Index, Row], Value]
    worth: int = MOST
    fields: tuple[str, ...] = ()
    cell: Callable[[Index, Row], Value] | None = None
    short: Callable[[Index, Row], str] | None = None
    keep: bool = False
    shown: bool = True
    total: bool = False

    @property
    def shape(self) -> Shape:
        """How it is drawn."""
        return Shape(self.heading, self.kind, self.worth, self.keep)

    def cell_of(self, index: Index, row: Row, *, full: bool) -> Value:
        """What the table shows of a row: with `full`, ids as a whole."""
        if self.kind is ColumnKind.ID and not full:
            if self.short is not None:
                return self.short(index, row)
            value = self.value(index, row)
            return index.short(value) if isinstance(value, str) else value
        found = (self.cell or self.value)(index, row)
        if self.kind is ColumnKind.AGE and isinstance(found, (int, float)):
            return f"{age(time.time() - found)} ago"
        return round(found) if isinstance(found, float) else found


#: Whether a row matches; None where that is not known.
Test = Callable[[Row], bool | None]


class Filter(Struct, Generic[Row], frozen=True):
    """What `--filter KEY=VALUE` asks.

    `test` makes the test for a value; it raises click.UsageError where the value names an object that is not there.
    `check` says what is wrong with a value; "" for nothing. Of several values of one key a row has to match one, or
    with `every` all of them.
    """

    test: Callable[[Index, str], Test[Row]]
    check: Callable[[str], str] = lambda _: ""
    every: bool = False


class ObjectList(Struct, Generic[Row], frozen=True):
    """A kind of rows that a command lists. `noun` is what one is called.

    `names` are those that an argument can be, and `ids` those of which it can be the beginning. `key` is what --quiet
    prints; `whole`, the same with --no-trunc.
    """

    noun: str
    columns: tuple[ListColumn[Row], ...]
    names: Callable[[Index, Row], Iterable[str]]
    ids: Callable[[Index, Row], Iterable[str]]
    key: Callable[[Index, Row], str]
    whole: Callable[[Index, Row], str]
    filters: Mapping[str, Filter[Row]] = field(default_factory=dict)
