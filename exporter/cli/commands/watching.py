"""Draws an answer again and again on a terminal, for --watch."""

import contextlib
import io
import os
import time
from collections.abc import Callable
from typing import NoReturn, TextIO

_CLEAR = "\x1b[H\x1b[2J\x1b[3J"
_FALLBACK = (80, 24)


class Screen(io.TextIOWrapper):
    """What is drawn for a terminal, before it is there."""

    def __init__(self, encoding: str) -> None:
        """`encoding` is that of the terminal."""
        self._drawn = io.BytesIO()
        super().__init__(self._drawn, encoding, write_through=True)

    def isatty(self) -> bool:
        """Whether it is drawn as for a terminal."""
        return True

    def text(self) -> str:
        """What is drawn until now."""
        return self._drawn.getvalue().decode(self.encoding)


def watch(draw: Callable[[TextIO], object], seconds: float, terminal: TextIO) -> NoReturn:
    """Call `draw` until Ctrl-C. The pause after it is as long as it took, if that is more than `seconds`.

    So no more than half of one core's time is spent. What is longer than the terminal is high is cut.
    """
    while True:
        began = time.monotonic()
        screen = Screen(terminal.encoding)
        # What goes wrong is drawn below the tables. The progress of each reading is not shown.
        with contextlib.redirect_stderr(io.StringIO()) as said:
            draw(screen)
        screen.write(said.getvalue())
        screen.flush()
        terminal.write(_CLEAR + cut(screen.text(), _height(terminal)))
        terminal.flush()
        time.sleep(max(seconds, time.monotonic() - began))


def cut(text: str, height: int) -> str:
    """The lines of a text that a terminal has room for, and how many are left out."""
    lines = text.splitlines()
    if len(lines) < height:
        return text
    kept = max(1, height - 2)
    return "\n".join([*lines[:kept], f"... {len(lines) - kept} more lines"]) + "\n"


def _height(terminal: TextIO) -> int:
    try:
        return os.get_terminal_size(terminal.fileno()).lines
    except OSError:
        return _FALLBACK[1]
