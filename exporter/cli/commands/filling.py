"""Tables on a terminal that fill while a root is scanned. At the end they make room for those of the whole."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from exporter.cli.commands.output import Form, Output, print_answer
from exporter.cli.commands.source import Source
from exporter.cli.commands.tables import Answer
from exporter.cli.commands.watching import Screen
from exporter.core.model import Progress
from exporter.expose.snapshot_api.rows import Document
from exporter.scan.pace import Pace

#: Nothing is drawn for a scan that takes no longer.
_QUICK_SECONDS = 0.5
_REDRAWN_SECONDS = 0.25


def filled(source: Source, answer: Callable[[Document], Answer], name: str, output: Output) -> Document:
    """Get a document; while a disk is scanned, draw on a terminal what a command answers of what is known."""
    if output.form is not Form.TABLE or not sys.stdout.isatty() or Console().is_dumb_terminal:
        return source(None)
    with Filling(lambda early, screen: print_answer(early, answer(early), name, output, screen)) as filling:
        return source(filling.turn)


class Filling:
    """Draws what is known until now on standard output. Use it as a context manager."""

    def __init__(self, draw: Callable[[Document, TextIO], object]) -> None:
        """`draw` prints what a command answers of a document."""
        self._draw = draw
        console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
        self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._began = time.monotonic()
        self._next = self._began + _QUICK_SECONDS
        self._pace = Pace()
        self._tables = Text()
        self._lock = threading.Lock()
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take away what was drawn, and show the cursor again."""
        with self._lock:  # the thread that scans goes on, where it hangs or Ctrl-C ends the command
            self._ended = True
            self._live.stop()

    def turn(self, progress: Progress, document: Callable[[], Document]) -> None:
        """Draw how far the scan is and, when it is time for them, the tables of the `document` of what is known."""
        now = time.monotonic()
        if now < self._next:
            return
        if self._pace.is_due(now):
            with contextlib.suppress(Exception):  # whatever it is: the whole is shown at the end
                screen = Screen(sys.stdout.encoding)
                self._draw(document(), screen)
                self._tables = Text.from_ansi(screen.text(), no_wrap=True, overflow="crop")
            self._pace.note(self._began, now, time.monotonic() - now)
        with self._lock:
            if not self._ended:
                self._live.start()
                self._live.update(Group(_line(progress), Text(), self._tables), refresh=True)
        self._next = time.monotonic() + _REDRAWN_SECONDS


def _line(progress: Progress) -> Text:
    done = f"{progress.trees_done:,} of {progress.trees:,} directory trees, {progress.entries:,} entries"
    return Text(f"measuring: {done}; ? is not known yet", style="dim", no_wrap=True, overflow="ellipsis")
