"""Sections and tables of the pages: HTML without scripts, in which every value is escaped."""

import time
from collections.abc import Iterable, Sequence

from msgspec import Struct

from exporter.core.log import printable
from exporter.core.text import shorten
from exporter.core.units import age, human
from exporter.web.pages.escaping import escape

_FULL = 0.9
#: A line break within a word is allowed only in longer texts.
_LONG_WORD = 12
#: A table with more columns than this is a list of rows, one below the other, on a narrow screen.
_NARROW_COLUMNS = 2


class Html(Struct, frozen=True):
    """Text that is HTML already; everything else is escaped."""

    text: str


class Size(Struct, frozen=True):
    """A size in bytes, with a bar that shows it as a part of `whole`. With `least`, it is at least that."""

    value: int | None
    whole: float = 0
    least: bool = False


class Full(Struct, frozen=True):
    """How full something is, as a share of 1, with a bar; None: not known. From 90% on the bar has another colour."""

    value: float | None


class Count(Struct, frozen=True):
    """A count; None: not known. A plain integer in a cell is a size in bytes."""

    value: int | None


class Ago(Struct, frozen=True):
    """A time in Unix seconds, shown as how long ago it was; None: not known."""

    value: float | None


class Grew(Struct, frozen=True):
    """By how many bytes something grew or shrank; None: not known."""

    value: int | None


Cell = str | int | None | Html | Size | Full | Count | Ago | Grew


class Heading(Struct, frozen=True):
    """A column. `number`: its cells end at one line. `link`: what its heading leads to.

    `order`: ascending or descending, if the table is sorted by it.
    """

    title: str
    number: bool = False
    link: str = ""
    order: str = ""


def columns(*titles: str) -> tuple[Heading, ...]:
    """Columns without links. `>` at the start of a title is for one of numbers."""
    return tuple(Heading(title.lstrip(">"), title.startswith(">")) for title in titles)


def section(title: str, content: str, *, wide: bool = False, at: str = "") -> str:
    """A part of a page with a heading. `content` is HTML, `at` what a link to it ends in."""
    kind = ' class="wide"' if wide else ""
    place = f' id="{escape(at)}"' if at else ""
    return f"<section{kind}{place}><h2>{escape(title)}</h2>{content}</section>"


def table(caption: str, headings: Sequence[Heading], rows: Iterable[Sequence[Cell]], *, head: int = 0) -> str:
    """A table. The cell of each row at `head` says what the row is about."""
    named = [f' data-of="{escape(one.title)}"' for one in headings]
    stacked = len(headings) > _NARROW_COLUMNS
    body = "".join(
        f"<tr>{''.join(_cell(cell, named[at] if stacked else '', head=at == head) for at, cell in enumerate(row))}</tr>"
        for row in rows
    )
    kinds = ("stack" if stacked else "", "sorted" if any(one.link for one in headings) else "")
    kind = f' class="{" ".join(filter(None, kinds))}"' if any(kinds) else ""
    top = "".join(map(_heading, headings))
    return (
        f"<table{kind}><caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    )


def _heading(column: Heading) -> str:
    title = escape(column.title)
    if column.link:
        arrow = {"ascending": " ▲", "descending": " ▼"}.get(column.order, "")
        shown_arrow = f'<span aria-hidden="true">{arrow}</span>' if arrow else ""
        title = f'<a href="{escape(column.link)}">{title}</a>{shown_arrow}'
    order = f' aria-sort="{column.order}"' if column.order else ""
    kind = ' class="number"' if column.number else ""
    return f'<th{kind} scope="col"{order}>{title}</th>'


def _cell(cell: Cell, named: str, *, head: bool) -> str:
    kind, content = _content(cell)
    classes = f' class="{kind}"' if kind else ""
    return f'<th{classes} scope="row">{content}</th>' if head else f"<td{classes}{named}>{content}</td>"


def _content(cell: Cell) -> tuple[str, str]:
    """The class and the HTML of a cell."""
    if isinstance(cell, Html):
        return "", cell.text
    if isinstance(cell, str):
        return "name" if len(cell) > _LONG_WORD else "word", shown(cell)
    return "word" if isinstance(cell, Ago) else "number", _number(cell)


def _number(cell: int | Size | Full | Count | Ago | Grew | None) -> str:
    """A number as HTML."""
    value = cell if cell is None or isinstance(cell, int) else cell.value
    if value is None:
        return _UNKNOWN
    if isinstance(cell, Ago):
        return f"{age(time.time() - value)} ago"
    if isinstance(cell, Full):
        return f"{value:.0%}{_bar(value, 1, full=value >= _FULL)}"
    if isinstance(cell, Grew):
        return f"{'+' if value > 0 else '&minus;' if value < 0 else ''}{human(abs(value))}"
    if isinstance(cell, Count):
        return f"{value:,}"
    return human(value) if not isinstance(cell, Size) else _size(value, cell)


def _size(value: float, size: Size) -> str:
    return f"{'≥ ' if size.least else ''}{human(value)}{_bar(value, size.whole) if size.whole else ''}"


_UNKNOWN = "?"


def _bar(part: float, whole: float, *, full: bool = False) -> str:
    """A bar beside a number, for the eye only."""
    share = min(1.0, max(0.0, part / whole)) if whole else 0.0
    kind = ' class="full"' if full else ""
    return f'<span class="bar"><span{kind} style="width:{100 * share:.1f}%"></span></span>'


def link(address: str, text: str) -> str:
    """A link within these pages; `text` is escaped."""
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def shown(text: str) -> str:
    """A name from the disk as HTML: escaped, shortened, without characters that change the direction of text."""
    return escape(printable(shorten(text)))


def said(text: str) -> str:
    """A sentence with names from the disk as HTML, in full: a command in it must not be cut."""
    return escape(printable(text))
