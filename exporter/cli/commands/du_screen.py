"""`du -i`: an object by directory, to look around in with the keys of a terminal. Nothing is written or removed.

A directory is measured when it is entered, so what is shown is what du -x says of it at that moment.
"""

import contextlib
import curses
import time
from collections.abc import Callable

import click
from msgspec import Struct, field
from msgspec.structs import replace
from rich.cells import cell_len, set_cell_size

from exporter.cli.commands.du import candidate
from exporter.cli.commands.du_entries import DiskEntry
from exporter.cli.commands.du_inodes import Seen
from exporter.cli.commands.du_measure import DuResult, DuRow, below, measure, places_of, rows_of
from exporter.cli.commands.du_places import DuPlace, KnownRoot
from exporter.cli.commands.du_walk import DirectoryWalk
from exporter.core.log import printable
from exporter.core.text import escape
from exporter.core.units import human

_FILES = 500
_BAR = 10
_TURN_SECONDS = 0.1
_HELP = "q: quit | arrows: move, in, out | sort by s: size i: inodes n: name | r: read again"
_ESCAPE, _ESCAPE_MILLISECONDS = 27, 50
_ARROWS = {
    ord("A"): curses.KEY_UP,
    ord("B"): curses.KEY_DOWN,
    ord("C"): curses.KEY_RIGHT,
    ord("D"): curses.KEY_LEFT,
    ord("H"): curses.KEY_HOME,
    ord("F"): curses.KEY_END,
}
_KEYS: dict[str, Callable[[DuRow], tuple[object, ...]]] = {
    "s": lambda row: (-row.entry.allocated, -row.entry.size, row.path),
    "i": lambda row: (-row.entry.inodes, row.path),
    "n": lambda row: (row.path,),
}


class _StoppedError(Exception):
    """The user does not want to wait for a measurement."""


class _View(Struct):
    """One directory, or the places of an object: `rows` with what is entered by each, None for a file."""

    title: str
    top: DiskEntry
    rows: list[tuple[DuRow, DuPlace | None]]
    place: DuPlace | None = None
    note: str = ""
    at: int = 0
    first: int = 0


def look_around(known: KnownRoot, wanted: str, path: str) -> None:
    """Show an object until the user quits. Raises click.ClickException where that is not possible."""
    targets = known.meant(wanted)
    if not targets:
        raise click.ClickException(f"nothing is called {printable(escape(wanted))}")
    if len({one.identity for one in targets}) > 1:
        names = "\n".join(map(candidate, targets))
        raise click.ClickException(f"{printable(escape(wanted))} can mean:\n{names}")
    places = places_of(targets, below(path))
    try:
        curses.wrapper(lambda window: _Screen(window, known).run(places))
    except curses.error as error:
        raise click.ClickException(f"-i cannot use this terminal: {error}") from None


class _Screen(Struct):
    window: "curses.window"
    known: KnownRoot
    views: list[_View] = field(default_factory=list)
    order: str = "s"
    said: str = ""
    next: float = 0.0

    def run(self, places: list[DuPlace]) -> None:
        """Show places until the user quits."""
        with contextlib.suppress(curses.error):  # a terminal without colours, or that cannot hide its cursor
            curses.use_default_colors()
            curses.curs_set(0)
        try:
            self.views.append(self._measured(places[0]) if len(places) == 1 else self._listed(places))
        except _StoppedError:
            return
        while self.views:
            self._draw()
            self._press(self._key())

    # -- what is shown -----------------------------------------------------------------------------------------------

    def _result(self, place: DuPlace, depth: int, seen: Seen) -> DuResult:
        self.window.nodelay(True)
        self.next = time.monotonic() + _TURN_SECONDS
        try:
            return measure(self.known, place, depth=depth, files=_FILES, seen=seen, on_step=self._step)
        finally:
            self.window.nodelay(False)

    def _step(self, walk: DirectoryWalk) -> None:
        if (now := time.monotonic()) < self.next:
            return
        self.next = now + _TURN_SECONDS
        if self.window.getch() in (ord("q"), curses.KEY_LEFT):
            raise _StoppedError
        self.window.erase()
        self._put(0, f"{walk.entries:,} entries; q: stop")
        self.window.refresh()

    def _measured(self, place: DuPlace) -> _View:
        """A place from inside."""
        result = self._result(place, 1, Seen())
        top = result.top or DiskEntry("", whole=False)
        rows: list[tuple[DuRow, DuPlace | None]] = []
        for row in rows_of(top):
            directory = place.tree is not None and row.entry.kind == "directory"
            inner = replace(
                place,
                name=f"{place.title.rstrip('/')}/{row.path}",
                directory="",
                tree=(*(place.tree or ()), row.entry.name),
            )
            rows.append((row, inner if directory else None))
        notes = [f"{reason}: {why} {path}" for reason, path, why in result.errors[:1]]
        notes += [f"not entered: {', '.join(result.mounts)}"] if result.mounts else []
        return self._sorted(_View(place.title, top, rows, place, "; ".join(notes)))

    def _listed(self, places: list[DuPlace]) -> _View:
        """The places of an object, each with its sum."""
        seen, top = Seen(), DiskEntry("")
        rows: list[tuple[DuRow, DuPlace | None]] = []
        for place in places:
            one = self._result(place, 0, seen).top or DiskEntry("", whole=False)
            top.size, top.allocated, top.inodes = (
                top.size + one.size,
                top.allocated + one.allocated,
                top.inodes + one.inodes,
            )
            top.whole = top.whole and one.whole
            rows.append((DuRow(place.title, one), place))
        return self._sorted(_View("all", top, rows))

    def _sorted(self, view: _View) -> _View:
        view.rows.sort(key=lambda row: _KEYS[self.order](row[0]))
        return view

    # -- keys --------------------------------------------------------------------------------------------------------

    def _key(self) -> int:
        """The next key. Some terminals send the arrows in another way than their description says."""
        key = self.window.getch()
        if key != _ESCAPE:
            return key
        self.window.timeout(_ESCAPE_MILLISECONDS)
        try:
            begins = self.window.getch() in (ord("["), ord("O"))
            return _ARROWS.get(self.window.getch(), -1) if begins else -1
        finally:
            self.window.timeout(-1)

    def _press(self, key: int) -> None:
        view, page = self.views[-1], max(1, self._height())
        moves = {
            **dict.fromkeys((curses.KEY_UP, ord("k")), -1),
            **dict.fromkeys((curses.KEY_DOWN, ord("j")), 1),
            curses.KEY_PPAGE: -page,
            curses.KEY_NPAGE: page,
            curses.KEY_HOME: -len(view.rows),
            curses.KEY_END: len(view.rows),
        }
        self.said = ""
        if key in moves:
            view.at = max(0, min(len(view.rows) - 1, view.at + moves[key]))
            return
        self.window.clear()  # all is drawn anew
        if key in (curses.KEY_RIGHT, curses.KEY_ENTER, ord("\n"), ord("\r"), ord("l")):
            place = view.rows[view.at][1] if view.rows else None
            if place is not None:
                self._enter(place)
        elif key in (curses.KEY_LEFT, curses.KEY_BACKSPACE, 8, 127, ord("h")):
            self.views[1:] = self.views[1:-1]
        elif key == ord("r") and view.place is not None:
            self.views.pop()
            self._enter(view.place, instead=view)
        elif key == ord("q"):
            self.views.clear()
        elif 0 < key < 128 and chr(key) in _KEYS:
            self.order, view.at = chr(key), 0
            for one in self.views:
                self._sorted(one)

    def _enter(self, place: DuPlace, instead: _View | None = None) -> None:
        try:
            self.views.append(self._measured(place))
        except _StoppedError:
            self.said = "stopped"
            self.views += [instead] if instead is not None else []

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _height(self) -> int:
        return int(self.window.getmaxyx()[0]) - 4

    def _draw(self) -> None:
        view, height = self.views[-1], max(0, self._height())
        view.first = max(0, min(view.first, view.at), view.at - height + 1)
        self.window.erase()
        self._put(0, view.title, curses.A_BOLD, end=True)
        self._put(
            1,
            f"{_size(view.top.allocated, view.top)} on disk, {_size(view.top.size, view.top)} in files, "
            f"{view.top.inodes:,} inodes" + (f", {view.top.deleted:,} deleted" if view.top.deleted else ""),
        )
        largest = max((row.entry.allocated for row, _ in view.rows), default=0)
        for line, (row, _) in enumerate(view.rows[view.first : view.first + height]):
            chosen = curses.A_REVERSE if view.first + line == view.at else curses.A_NORMAL
            self._put(2 + line, _line(row, largest), chosen)
        self._put(height + 2, self.said or view.note or ("" if view.rows else "nothing is in it"))
        self._put(height + 3, _HELP)
        self.window.refresh()

    def _put(self, line: int, text: str, style: int = 0, *, end: bool = False) -> None:
        """Write one line, cut at the right, or at the left where its `end` says more."""
        height, width = self.window.getmaxyx()
        if line >= height or width < 2:
            return
        safe = printable(text).encode(self.window.encoding, "replace").decode(self.window.encoding)
        if end and cell_len(safe) > width - 1:
            while cell_len(safe) > width - 4:
                safe = safe[1:]
            safe = f"...{safe}"
        with contextlib.suppress(curses.error):  # the terminal became smaller a moment ago
            self.window.addstr(line, 0, set_cell_size(safe, width - 1), style)


def _size(size: int, entry: DiskEntry) -> str:
    return human(size) if entry.whole else f">={human(size)}"


def _line(row: DuRow, largest: int) -> str:
    entry = row.entry
    if entry.kind == "deleted":
        return f"{'deleted':>11} {'':10} {'':{_BAR + 2}}  {row.path}"
    bar = "#" * round(_BAR * entry.allocated / largest) if largest else ""
    opaque = " (opaque)" if entry.opaque else ""
    return f"{_size(entry.allocated, entry):>11} {entry.inodes:>10,} [{bar:{_BAR}}]  {row.path}{opaque}"
