"""Prints an answer for people: drawn by rich on a terminal, with a tab between the cells everywhere else.

Names never send control sequences. Where the output does not take UTF-8, everything is ASCII.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

from msgspec import Struct
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from exporter.cli.commands.columns import ColumnKind, Shape
from exporter.cli.commands.fit import GAP, Fitted, common_directory, continued, fit, indent_of, shallow, wrapped
from exporter.cli.commands.plain_text import ELLIPSIS, ascii_of, shown, takes_all
from exporter.cli.commands.tables import Answer, AtLeast, Cell, Lines, Table
from exporter.core.units import human, in_bytes

_BAR_CELLS = 20
_BAR = "█"


class Style(Struct, frozen=True):
    """How tables are printed. `full`: no text is cut, and no column left out. `aligned`: also where that is a pipe."""

    full: bool = False
    aligned: bool = False


#: Text is cut where a terminal has no room for it.
PLAIN = Style()


def show(answer: Answer, style: Style = PLAIN, output: TextIO | None = None) -> None:
    """Print an answer for people."""
    printer = _Printer(output or sys.stdout, style)
    parts = (part for part in answer.parts if not isinstance(part, Table) or part.rows)
    for number, part in enumerate(parts):
        if number:
            printer.line("")
        printer.part(part)


class _Printer:
    def __init__(self, output: TextIO, style: Style) -> None:
        self._output, self._style = output, style
        self._whole = takes_all(output)
        self._console = Console(file=output, highlight=False, markup=False, emoji=False) if output.isatty() else None
        # Not what rich takes for the width: it is 80 for every terminal that it calls dumb.
        self._width = None if self._console is None or style.full else shutil.get_terminal_size().columns

    def line(self, text: str, style: str = "") -> None:
        """Print a line that is safe already."""
        if self._console is not None and style and text:
            self._console.print(Text(text, style=style), soft_wrap=True)
        else:
            print(text, file=self._output)

    def part(self, part: Table | Lines) -> None:
        """Print a table or lines, under their title."""
        if part.title:
            self._words(part.title, "bold")
        if isinstance(part, Table):
            self._table(part)
            return
        for line in part.lines:
            if part.commands and self._width is not None:
                for one in continued(self._safe(line), self._width):
                    self.line(one, part.style)
            else:
                self._words(line, part.style)

    def _words(self, text: str, style: str = "") -> None:
        if self._width is None:
            self.line(self._safe(text), style)
            return
        text = shallow(text, self._width, ELLIPSIS)
        for line in wrapped(self._safe(text), self._width, self._safe(indent_of(text))):
            self.line(line, style)

    def _safe(self, text: str) -> str:
        return shown(text, whole=self._whole)

    def _table(self, table: Table) -> None:
        rows = [*table.rows, *([table.footer] if table.footer else ())]
        cells = [[self._text(cell, shape) for cell, shape in zip(row, table.shapes, strict=True)] for row in rows]
        common = {} if self._style.full else _common_directories(table.shapes, cells[: len(table.rows)])
        cells.insert(0, [self._safe(shape.heading) for shape in table.shapes])
        padded = self._console is not None or self._style.aligned
        fitted = (
            fit(table.shapes, cells, self._width, ELLIPSIS if self._whole else ascii_of(ELLIPSIS)) if padded else None
        )
        for at, directory in common.items():
            if fitted is None or at in fitted.columns:
                self._words(f"{table.shapes[at].heading}: below {directory}")
        if fitted is None:
            for row in cells:
                self.line("\t".join(row))
            return
        self._draw(table, fitted)
        left = [table.shapes[at].heading for at in range(len(table.shapes)) if at not in fitted.columns]
        if left:
            self._words(f"Not in this width: {', '.join(left)}. --no-trunc shows all.", "dim")

    def _text(self, cell: Cell, shape: Shape) -> str:
        if cell is None:
            return "?"
        if isinstance(cell, str):
            return self._safe(cell)
        least = "≥ " if isinstance(cell, AtLeast) else ""
        return self._safe(least + (f"{cell}" if shape.kind is ColumnKind.COUNT or in_bytes() else human(cell)))

    def _draw(self, table: Table, fitted: Fitted) -> None:
        """Print the rows with spaces between the cells, and none at the end of a line."""
        shapes, bars = [table.shapes[at] for at in fitted.columns], self._bars(table, fitted)
        last = len(fitted.rows) - 1
        for number, row in enumerate(fitted.rows):
            style = "dim" if not number else "bold" if number == last and table.footer else ""
            lines = list(aligned(shapes, fitted.widths, row))
            if bars and self._console is not None and 0 < number <= len(bars):
                line = lines.pop(0)
                drawn = Text(line + " " * (fitted.width + GAP - cell_len(line)))
                self._console.print(drawn.append(bars[number - 1], style="blue"), soft_wrap=True)
            for line in lines:
                self.line(line, style)

    def _bars(self, table: Table, fitted: Fitted) -> list[str]:
        """A bar for each row; none where there is no room for them."""
        room = self._width is None or fitted.width + _BAR_CELLS + GAP <= self._width
        if table.bars is None or self._console is None or not room:
            return []
        at = table.bars
        sizes = [size if isinstance(size := row[at], int) else 0 for row in table.rows]
        largest = max(sizes, default=0) or 1
        return [self._safe(_BAR * round(_BAR_CELLS * size / largest)) for size in sizes]


def _common_directories(shapes: Sequence[Shape], rows: Sequence[list[str]]) -> dict[int, str]:
    """The directory that all paths of a column are in, by the number of the column; it is taken from the cells."""
    found = {}
    for at, shape in enumerate(shapes):
        if shape.kind is not ColumnKind.PATH:
            continue
        if common := common_directory([row[at] for row in rows if row[at]]):
            found[at] = common
            for row in rows:
                row[at] = row[at][len(common) + 1 :]
    return found


def aligned(shapes: Sequence[Shape], widths: Sequence[int], row: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a row of cells, each of which has one or more lines."""
    for number in range(max(map(len, row))):
        cells = [
            _pad(lines[number] if number < len(lines) else "", width, right=shape.right)
            for lines, width, shape in zip(row, widths, shapes, strict=True)
        ]
        yield (" " * GAP).join(cells).rstrip()


def _pad(cell: str, width: int, *, right: bool) -> str:
    gap = " " * (width - cell_len(cell))
    return gap + cell if right else cell + gap
