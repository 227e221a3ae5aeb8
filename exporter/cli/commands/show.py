"""Prints an answer for people: drawn by rich on a terminal, with a tab between the cells everywhere else.

Names never send control sequences. Where the output does not take UTF-8, everything is ASCII.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from exporter.cli.commands.columns import ColumnKind, Shape
from exporter.cli.commands.fit import Fitted, common_directory, continued, fit, indent_of, wrapped
from exporter.cli.commands.plain_text import ELLIPSIS, ascii_of, shown, takes_all
from exporter.cli.commands.tables import Answer, AtLeast, Cell, Lines, Table
from exporter.core.units import human, in_bytes

_BAR_CELLS = 20
_BAR = "█"


@dataclass(frozen=True, slots=True)
class Style:
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
        safe = self._safe(text)
        for line in (safe,) if self._width is None else wrapped(safe, self._width, self._safe(indent_of(text))):
            self.line(line, style)

    def _safe(self, text: str) -> str:
        return shown(text, whole=self._whole)

    def _table(self, table: Table) -> None:
        rows = [*table.rows, *([table.footer] if table.footer else ())]
        cells = [[self._text(cell, shape) for cell, shape in zip(row, table.shapes, strict=True)] for row in rows]
        if not self._style.full:
            self._say_directories(table, cells)
        cells.insert(0, [self._safe(shape.heading) for shape in table.shapes])
        if self._console is None and not self._style.aligned:
            for row in cells:
                self.line("\t".join(row))
            return
        fitted = fit(table.shapes, cells, self._width, ELLIPSIS if self._whole else ascii_of(ELLIPSIS))
        if self._console is None:
            for line in aligned([table.shapes[at] for at in fitted.columns], fitted):
                self.line(line)
        else:
            self._draw(table, fitted)
        left = [table.shapes[at].heading for at in range(len(table.shapes)) if at not in fitted.columns]
        if left:
            self._words(f"Not in this width: {', '.join(left)}. --no-trunc shows all.", "dim")

    def _say_directories(self, table: Table, rows: list[list[str]]) -> None:
        """Say once what all paths of a column begin with, and take it from its cells."""
        for at, shape in enumerate(table.shapes):
            if shape.kind is not ColumnKind.PATH:
                continue
            common = common_directory([row[at] for row in rows[: len(table.rows)] if row[at]])
            if common:
                self._words(f"{shape.heading}: below {common}")
                for row in rows[: len(table.rows)]:
                    row[at] = row[at][len(common) + 1 :]

    def _text(self, cell: Cell, shape: Shape) -> str:
        if cell is None:
            return "?"
        if isinstance(cell, str):
            return self._safe(cell)
        least = "≥ " if isinstance(cell, AtLeast) else ""
        return self._safe(least + (f"{cell}" if shape.kind is ColumnKind.COUNT or in_bytes() else human(cell)))

    def _draw(self, table: Table, fitted: Fitted) -> None:
        """Draw a table, also one that is wider than the terminal."""
        wide = Console(file=self._output, highlight=False, markup=False, emoji=False)
        wide.width = max(wide.width, fitted.width + 2 + _BAR_CELLS)
        drawn = RichTable(
            show_footer=bool(table.footer), box=None, pad_edge=False, header_style="dim", footer_style="bold"
        )
        heading, *rows = fitted.rows
        footer = rows.pop() if table.footer else [[""] for _ in fitted.columns]
        for at, number in enumerate(fitted.columns):
            drawn.add_column(
                Text("\n".join(heading[at])),
                Text("\n".join(footer[at])),
                justify="right" if table.shapes[number].right else "left",
                no_wrap=True,
                width=fitted.widths[at],
            )
        bars = self._bars(table, fitted)
        if bars:
            drawn.add_column("", no_wrap=True)
        for at, row in enumerate(rows):
            cells = [Text("\n".join(lines)) for lines in row]
            drawn.add_row(*cells, *([Text(bars[at], style="blue")] if bars else []))
        wide.print(drawn, crop=False)

    def _bars(self, table: Table, fitted: Fitted) -> list[str]:
        """A bar for each row; none where there is no room for them."""
        room = self._width is None or fitted.width + _BAR_CELLS + 2 <= self._width
        if table.bars is None or not room:
            return []
        at = table.bars
        sizes = [size if isinstance(size := row[at], int) else 0 for row in table.rows]
        largest = max(sizes, default=0) or 1
        return [self._safe(_BAR * round(_BAR_CELLS * size / largest)) for size in sizes]


def aligned(shapes: Sequence[Shape], fitted: Fitted) -> Iterator[str]:
    """The lines of a table whose columns are aligned with spaces."""
    for row in fitted.rows:
        for number in range(max(len(lines) for lines in row)):
            cells = [
                _pad(lines[number] if number < len(lines) else "", width, right=shape.right)
                for lines, width, shape in zip(row, fitted.widths, shapes, strict=True)
            ]
            yield "  ".join(cells).rstrip()


def _pad(cell: str, width: int, *, right: bool) -> str:
    gap = " " * (width - cell_len(cell))
    return gap + cell if right else cell + gap
