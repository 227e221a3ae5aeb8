"""The progress of a first scan as a bar on a terminal."""

import sys
from contextlib import ExitStack
from typing import Any, Self

from exporter.core.model import Progress


class Bar:
    """A bar on standard error, drawn from the first `show` on. Use it as a context manager."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._text = ""
        self._drawn = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def show(self, progress: Progress) -> None:
        """Draw the number of measured trees and entries, and the estimated time left."""
        if self._bar is None:
            import click  # noqa: PLC0415 - the scanning process has no other use for it

            made: Any = click.progressbar(
                length=progress.trees,
                label="measuring",
                file=sys.stderr,
                show_pos=True,
                item_show_func=lambda _: self._text,
            )
            self._bar = self._drawn.enter_context(made)
        self._text = f"{progress.entries:,} entries"
        self._bar.update(progress.trees_done - self._bar.pos)
        self._bar.render_progress()  # also where no tree is done yet

    def finish(self) -> None:
        """Remove the bar. If one was drawn, end its line."""
        self._drawn.close()
        self._bar = None


def on_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr.isatty()
