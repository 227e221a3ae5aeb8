"""Fits tables and lines into the width of a terminal: nothing breaks inside a word or a number.

Of a table, columns are made narrower or left out, the one with the least worth first. A name or a path is cut at the
left, where it has directories, and otherwise at the right. Words continue in the next line.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from rich.cells import cell_len

from exporter.cli.commands.columns import ColumnKind, Shape

GAP = 2
#: No name or path is made narrower than this, unless nothing else helps.
_LEAST = 14
_LEAST_OF_ALL = 6
_LEAST_OF_PROSE = 20
#: What the lines of a tree begin with; in ASCII, the last four.
_BRANCHES = " │├└─…|`-."
#: A word, or a number with its unit.
_WORD = re.compile(r"(?:(?:≥|>=) )?\S*\d (?:B|[kMGTP]i?B|y|d|h|min|s)\b\S*|\S+")


class Fitted(Struct, frozen=True):
    """A table that fits: the numbers of its columns with their widths, and of each row the lines of its cells."""

    columns: tuple[int, ...]
    widths: tuple[int, ...]
    rows: Sequence[Sequence[list[str]]]

    @property
    def width(self) -> int:
        """The width of the whole."""
        return sum(self.widths) + GAP * (len(self.widths) - 1)


def fit(shapes: Sequence[Shape], rows: Sequence[Sequence[str]], width: int | None, ellipsis: str) -> Fitted:
    """Fit rows of cells, of which the first are the headings. `width`: None for no limit."""
    natural = [max(cell_len(row[at]) for row in rows) for at in range(len(shapes))]
    least = [_least(shape, [row[at] for row in rows], natural[at]) for at, shape in enumerate(shapes)]
    worth = [shape.worth if any(row[at] for row in rows[1:]) else 0 for at, shape in enumerate(shapes)]
    order = sorted(range(len(shapes)), key=lambda at: (not shapes[at].keep, -worth[at], at))
    widths = dict(enumerate(natural)) if width is None else _widths(order, shapes, natural, least, width)
    columns = tuple(sorted(widths))
    cells = [[_lines(row[at], shapes[at], widths[at], ellipsis) for at in columns] for row in rows]
    return Fitted(columns, tuple(widths[at] for at in columns), cells)


def _least(shape: Shape, texts: Sequence[str], natural: int) -> int:
    """The least width of a column in which it says something."""
    if not shape.kind.is_flexible:
        return natural
    some = max(_LEAST, cell_len(shape.heading))
    if shape.kind is ColumnKind.TEXT:
        return min(natural, some)
    if shape.kind is ColumnKind.PATH:  # a part of a name says nothing of a path
        return min(natural, max(some, *(cell_len(text.rpartition("/")[2]) + GAP for text in texts[1:])))
    longest = max((cell_len(word) for text in texts[1:] for word in _words(text)), default=0)
    if shape.kind is ColumnKind.PROSE:
        return max(longest, min(natural, max(_LEAST_OF_PROSE, cell_len(shape.heading))))
    return max(cell_len(shape.heading), min(longest, some))


def _widths(
    order: Sequence[int], shapes: Sequence[Shape], natural: Sequence[int], least: Sequence[int], width: int
) -> dict[int, int]:
    """The widths of the columns that there is room for, those with the most worth first."""
    now: dict[int, int] = {}
    ids = [at for at in order if shapes[at].kind is ColumnKind.ID and not shapes[at].keep]
    for at in order:
        if at not in ids and (shapes[at].keep or _width({**now, at: least[at]}) <= width):
            now[at] = least[at]
    for at in ids:  # nothing is cut for an id
        if _width({one: natural[one] for one in (*now, at)}) <= width:
            now[at] = natural[at]
    for at in sorted(now, key=lambda at: shapes[at].worth):  # only columns to keep are left, and they are too wide
        if shapes[at].kind.is_flexible:
            now[at] -= min(max(0, now[at] - _LEAST_OF_ALL), max(0, _width(now) - width))
    for at in sorted(now, key=lambda at: -shapes[at].worth):
        now[at] += min(natural[at] - now[at], max(0, width - _width(now)))
    return now


def _width(widths: Mapping[int, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _lines(text: str, shape: Shape, width: int, ellipsis: str) -> list[str]:
    """The lines of a cell."""
    if cell_len(text) <= width or not shape.kind.is_flexible:
        return [text]
    if shape.kind is ColumnKind.PROSE:
        return list(wrapped(text, width))
    if shape.kind is ColumnKind.NAMES:
        words = (cut(one, width, ellipsis, left=False) if cell_len(one) > width else one for one in _words(text))
        return list(wrapped(" ".join(words), width))
    return [cut(text, width, ellipsis, left=shape.kind is ColumnKind.PATH)]


def cut(text: str, width: int, ellipsis: str, *, left: bool) -> str:
    """Cut a text at the left, before a slash if there is one, or at the right if there is none and not `left`."""
    room = width - len(ellipsis)
    at = text.find("/", 1)
    while 0 < at < len(text) - 1:  # not before one at the end, which is all that is left of a directory then
        if cell_len(text[at:]) <= room:
            return ellipsis + text[at:]
        at = text.find("/", at + 1)
    while text and cell_len(text) > room:
        text = text[1:] if left else text[:-1]
    return ellipsis + text if left else text + ellipsis


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def wrapped(text: str, width: int, indent: str = "") -> Iterator[str]:
    """The lines of a text, broken at spaces; `indent` begins all but the first.

    A path that is wider than a line is broken after a slash, and any other word is a line of its own. The spaces and
    branches of a tree that a text begins with stay as they are.
    """
    begin = _branches(text)
    line, empty = text[:begin], True
    for word in _words(text[begin:]):
        if not empty and cell_len(line) + 1 + cell_len(word) > width:
            yield line
            line, empty = indent, True
        line += word if empty else f" {word}"
        empty = False
        while cell_len(line) > width and (at := line.rfind("/", 0, width)) > len(indent):
            yield line[: at + 1]
            line = indent + line[at + 1 :]
    yield line


def indent_of(line: str) -> str:
    """What continues a line: the spaces that it begins with, or the branches of a tree that go on below it."""
    return line[: _branches(line)].translate(str.maketrans("├└─…", "│   "))


def shallow(line: str, width: int, ellipsis: str) -> str:
    """The line of a tree. Of branches that would leave it less than half the width, only the last ones are there."""
    more = _branches(line) - width // 2
    return ellipsis + line[more + len(ellipsis) :] if more > 0 else line


def _branches(line: str) -> int:
    """How much of a line is spaces and branches of a tree."""
    return len(line) - len(line.lstrip(_BRANCHES))


def common_directory(paths: Sequence[str]) -> str:
    """The directory that several paths are in; "" where there is none that is worth to be said once."""
    if len(paths) < 2 or not all(path.startswith("/") for path in paths):
        return ""
    common = posixpath.commonpath([posixpath.dirname(path) for path in paths])
    return common if common.count("/") > 1 else ""


#: A word of a command for bash, with its quotes. A backslash stands for itself in '...', but not in $'...'.
_SHELL_WORD = re.compile(r"""(?:\$'(?:\\.|[^'\\])*'|'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+""")


def continued(command: str, width: int) -> Iterator[str]:
    """The lines of a command for bash: all but the last end in a backslash. A comment is a comment in each line.

    A command that is not understood stays in one line.
    """
    if command.startswith("#"):
        yield from wrapped(command, width, indent="# ")
        return
    words = _SHELL_WORD.findall(command)
    if " ".join(words) != command:
        yield command
        return
    lines, line = [], ""
    for word in words:
        if line and cell_len(line) + cell_len(word) + 3 > width:
            lines.append(line + " \\")
            line = "  "
        line += word if not line.strip() else f" {word}"
    yield from (*lines, line)
