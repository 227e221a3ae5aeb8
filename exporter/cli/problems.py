"""Says on standard error what could not be read of a root."""

import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from exporter.expose.snapshot_api.rows import Document


def report_problems(document: "Document", *, objects: bool) -> bool:
    """Write the problems of a document to standard error; return whether there were any.

    With `objects`, layouts whose objects are not listed are problems as well.
    """
    from exporter.cli.gap_lines import gap_lines  # noqa: PLC0415
    from exporter.cli.remapped import remapped_line  # noqa: PLC0415
    from exporter.core.log import printable  # noqa: PLC0415
    from exporter.expose.advice import ADVICE  # noqa: PLC0415 - see above

    if document.error or document.taken is None:
        said = document.error or "the first scan is not finished"
        if document.progress is not None:
            said += f": {document.progress.trees_done:,} of {document.progress.trees:,} directory trees are measured"
        _complain(printable(f"{document.root}: {said}"))
        return True
    for name in document.nested:
        _complain(remapped_line(document.root, name))
    unlisted = document.unmeasured if objects else ()
    for name in unlisted:
        said = f"{document.root}: the layout {name} is measured by directory only: its images and layers are not listed"
        _complain(printable(said))
    problems = [one for one in document.problems if one.reason != "vanished"]
    for one in problems:
        _complain(printable(f"{os.path.join(document.root, one.path)}: {one.reason} {one.detail}".rstrip()))
    for reason, advice in ADVICE.items():
        if any(one.reason == reason for one in problems):
            _complain(f"{reason}: {advice}")
    gaps = [(one.input, one.path, one.why) for one in document.gaps]
    for line in gap_lines(document.root, gaps, {one.path for one in problems}):
        _complain(line)
    return bool(problems or document.unmeasured or gaps)


def _complain(line: str) -> None:
    """Write a line to standard error. On a terminal it goes on in the next line, and breaks between words."""
    from exporter.cli.commands.fit import wrapped  # noqa: PLC0415 - see above

    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else len(line) + 1
    for one in wrapped(line, width) if len(line) > width else (line,):
        click.echo(one, err=True)
