"""The parts of an answer for people: tables and lines, and sums for them. `show` prints them."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from exporter.cli.commands.columns import MOST, ColumnKind, Shape
from exporter.core.units import human
from exporter.expose.snapshot_api.rows import Document

UNKNOWN = "unknown"
#: The kinds of columns whose heading does not say it, and what each is worth on a narrow terminal.
_KINDS: Mapping[str, tuple[ColumnKind, int]] = {
    "HOW": (ColumnKind.PROSE, 90),
    "WHAT": (ColumnKind.NAMES, 90),
    **dict.fromkeys(("ON THE HOST", "WHERE", "DIRECTORY", "PATH", "MOUNTED ON"), (ColumnKind.PATH, 80)),
    **dict.fromkeys(("WHAT IS LOST", "NOTE", "BACKUP"), (ColumnKind.PROSE, 50)),
    "OF": (ColumnKind.PROSE, 40),
    "IN THE CONTAINER": (ColumnKind.PATH, 60),
    "IMAGE ID": (ColumnKind.ID, 10),
    "TYPE": (ColumnKind.TEXT, 20),
    "NEWEST": (ColumnKind.AGE, 30),
}
_SIZES, _COUNTS, _OTHERS = 92, 25, 85


class AtLeast(int):
    """A sum of which a part is not known: it is at least this."""


#: A cell. A number is a size in bytes or a count, None an unknown one.
Cell = str | int | None


class Table(Struct, frozen=True):
    """Rows under headings. `>` at the start of a heading marks a column of sizes, `>#` one of counts."""

    title: str
    headings: tuple[str | Shape, ...]
    rows: Sequence[tuple[Cell, ...]]
    footer: tuple[Cell, ...] = ()
    #: The column by which bars are drawn on a terminal.
    bars: int | None = None

    @property
    def shapes(self) -> list[Shape]:
        """How each column is drawn. The first one is always there."""
        return [_shape(heading, first=at == 0) for at, heading in enumerate(self.headings)]


def _shape(heading: str | Shape, *, first: bool) -> Shape:
    if isinstance(heading, Shape):
        return heading
    if heading.startswith(">#"):
        return Shape(heading[2:], ColumnKind.COUNT, _COUNTS)
    if heading.startswith(">"):
        return Shape(heading[1:], ColumnKind.SIZE, _SIZES, keep=first)
    kind, worth = _KINDS.get(heading, (ColumnKind.TEXT, _OTHERS))
    return Shape(heading, kind, MOST if first else worth, keep=first)


class Lines(Struct, frozen=True):
    """Lines that are shown as they are, such as a tree or commands to copy.

    On a terminal that is too narrow, prose goes on in the next line. `commands` go on there as bash has it, with a
    backslash at the end of the line before.
    """

    title: str
    lines: Sequence[str]
    style: str = ""
    commands: bool = False


def total(values: Iterable[float | None]) -> int | None:
    """The sum for people, rounded: `AtLeast` what is known where not all is, None where nothing is."""
    found = list(values)
    known = [value for value in found if value is not None]
    if len(known) == len(found):
        return round(sum(known))
    return AtLeast(round(sum(known))) if known else None


def exact_sum(values: Iterable[int | float | None]) -> int | None:
    """The sum for programs, rounded: None where a part is not known."""
    found = list(values)
    return None if None in found else round(sum(value for value in found if value is not None))


def not_known(document: Document, *figures: str) -> list[Lines]:
    """One line for each reason why one of these figures is not known."""
    whys = dict.fromkeys(why for figure in figures if (why := document.why_not(figure)))
    return [Lines("", [f"?: {why}" for why in whys])] if whys else []


def size(value: int | None) -> str:
    """A size, as part of a sentence."""
    return UNKNOWN if value is None else human(value)
