"""Prints what a command answers, as the flags of all commands want it. `run` imports this module too."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

from exporter.cli.habit_options import AskedFor

if TYPE_CHECKING:
    from exporter.cli.commands.tables import Answer
    from exporter.expose.snapshot_api.rows import Document


def print_answers(
    name: str,
    wanted: AskedFor,
    answered: "Callable[[], tuple[Document, Answer]]",
    report: "Callable[[Document, Answer], bool]",
) -> NoReturn:
    """Print what is answered as the flags want it, once or again and again, and exit.

    `report` writes to standard error what is wrong, and says whether anything is: the exit status is 1 then.
    """
    from exporter.cli.commands.output import print_answer  # noqa: PLC0415 - see above
    from exporter.cli.commands.plain_text import make_safe  # noqa: PLC0415
    from exporter.cli.commands.watching import watch  # noqa: PLC0415
    from exporter.core.hang_probe import HANG_PROBE  # noqa: PLC0415
    from exporter.core.units import written_in  # noqa: PLC0415

    for one in (sys.stdout, sys.stderr):
        make_safe(one)
    if wanted.watch is not None and not sys.stdout.isatty():
        raise click.UsageError("--watch draws on a terminal, and the output is none")

    def draw(output: TextIO) -> bool:
        document, answer = answered()
        print_answer(document, answer, name, wanted.output, output)
        output.flush()
        return report(document, answer) or answer.failed

    with written_in(wanted.units), HANG_PROBE.outside():
        if wanted.watch is not None:
            watch(draw, wanted.watch, sys.stdout)
        failed = _printed(draw)
    sys.exit(1 if failed else 0)


def _printed(draw: Callable[[TextIO], bool]) -> bool:
    """Print once. Where the reader, such as `head`, has closed the pipe, the rest is left out."""
    try:
        return draw(sys.stdout)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
