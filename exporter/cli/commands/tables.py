"""Tables for people: drawn by rich on a terminal, else aligned columns. Names never send control sequences."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from exporter.core.log import printable
from exporter.core.units import human
from exporter.expose.snapshot_api.rows import Document

UNKNOWN = "unknown"
_RIGHT = ">"
_BAR_CELLS = 20
_WIDEST = 1_000_000
_BAR = "█"


class AtLeast(int):
    """A sum of which a part is not known: it is at least this."""


#: A cell. A number is a size in bytes or a count, None an unknown one.
Cell = str | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings. `>` at the start of a heading marks a column of sizes, `>#` one of counts."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    footer: tuple[Cell, ...] = ()
    #: The column by which bars are drawn on a terminal.
    bars: int | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines that are shown as they are, such as a tree or commands to copy."""

    title: str
    lines: Sequence[str]
    style: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a command. `data` is printed with --json, else `parts`. `failed`: the exit status is 1."""

    data: Mapping[str, Any]
    parts: Sequence[Table | Lines] = field(default_factory=list)
    failed: bool = False


def show(answer: Answer, *, exact: bool, output: TextIO | None = None) -> None:
    """Print an answer for people; `exact` prints sizes in bytes."""
    output = output or sys.stdout
    console = Console(file=output, highlight=False, markup=False, emoji=False) if output.isatty() else None
    first = True
    for part in answer.parts:
        if isinstance(part, Table) and not part.rows:
            continue
        if not first:
            print(file=output)
        first = False
        if console is None:
            _plain(part, exact, output)
        else:
            _rich(part, exact, console)


def _plain(part: Table | Lines, exact: bool, output: TextIO) -> None:
    if part.title:
        print(_safe(part.title), file=output)
    if isinstance(part, Lines):
        for line in part.lines:
            print(_safe(line), file=output)
        return
    rows = [tuple(heading.lstrip(">#") for heading in part.headings)]
    rows += [_texts(part, row, exact) for row in part.rows]
    if part.footer:
        rows.append(_texts(part, part.footer, exact))
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(part.headings))]
    for row in rows:
        cells = [
            _pad(cell, width, right=heading.startswith(_RIGHT))
            for cell, width, heading in zip(row, widths, part.headings, strict=True)
        ]
        print("  ".join(cells).rstrip(), file=output)


def _rich(part: Table | Lines, exact: bool, console: Console) -> None:
    if part.title:
        console.print(Text(_safe(part.title), style="bold"), soft_wrap=True)
    if isinstance(part, Lines):
        for line in part.lines:
            console.print(Text(_safe(line), style=part.style), soft_wrap=True)
        return
    table = _drawn(part, exact, bars=part.bars is not None)
    if part.bars is not None and _width(console, table) > console.width:
        table = _drawn(part, exact, bars=False)
    # Lines may be longer than the terminal is wide, as those of docker are: ids and paths must stay copyable.
    wide = Console(file=console.file, highlight=False, markup=False, emoji=False)
    wide.width = max(console.width, _width(console, table))
    wide.print(table, crop=False)


def _width(console: Console, table: RichTable) -> int:
    """The width of a table without a limit."""
    return Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum


def _drawn(part: Table, exact: bool, *, bars: bool) -> RichTable:
    table = RichTable(
        show_footer=bool(part.footer),
        box=None,
        pad_edge=False,
        header_style="dim",
        footer_style="bold",
    )
    footer = _texts(part, part.footer, exact) if part.footer else ("",) * len(part.headings)
    for heading, foot in zip(part.headings, footer, strict=True):
        right = heading.startswith(_RIGHT)
        table.add_column(
            heading.lstrip(">#"),
            Text(foot),
            justify="right" if right else "left",
            no_wrap=True,
        )
    largest = 0
    if bars and part.bars is not None:
        table.add_column("", no_wrap=True)
        largest = max((size for row in part.rows if isinstance(size := row[part.bars], int)), default=0)
    for row in part.rows:
        cells = [Text(cell) for cell in _texts(part, row, exact)]
        if bars and part.bars is not None:
            size = row[part.bars]
            share = size / largest if isinstance(size, int) and largest else 0
            cells.append(Text(_BAR * round(_BAR_CELLS * share), style="blue"))
        table.add_row(*cells)
    return table


def _texts(part: Table, row: Sequence[Cell], exact: bool) -> tuple[str, ...]:
    return tuple(_text(cell, heading, exact) for cell, heading in zip(row, part.headings, strict=True))


def _text(cell: Cell, heading: str, exact: bool) -> str:
    if cell is None:
        return "?"
    if isinstance(cell, int):
        at_least = "≥ " if isinstance(cell, AtLeast) else ""
        return at_least + (f"{cell}" if exact or heading.startswith(">#") else human(cell))
    return _safe(cell)


def _pad(cell: str, width: int, *, right: bool) -> str:
    gap = " " * (width - cell_len(cell))
    return gap + cell if right else cell + gap


def _safe(text: str) -> str:
    return printable(text)


def total(values: Iterable[int | None]) -> int | None:
    """The sum for people: `AtLeast` what is known where not all is, None where nothing is."""
    found = list(values)
    known = [value for value in found if value is not None]
    if len(known) == len(found):
        return sum(known)
    return AtLeast(sum(known)) if known else None


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
