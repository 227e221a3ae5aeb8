"""`du`: what takes the space in an object, read from the disk."""

import os
import sys
from typing import TYPE_CHECKING

import click

from exporter.cli import options
from exporter.cli.terminal import print_answer, report_problems
from exporter.config.settings import Config, ScanSettings
from exporter.core.measured import Reason

if TYPE_CHECKING:
    from exporter.cli.commands.du_places import KnownRoot
    from exporter.cli.commands.tables import Answer
    from exporter.expose.snapshot_api.rows import Document


@click.command()
@options.config_file
@click.argument("wanted", metavar="OBJECT")
@click.argument("path", default="")
@options.root
@options.containerd_root
@options.network
@options.depth
@options.largest_files
@options.interactive
@options.as_json
@options.exact
def du(  # noqa: PLR0913 - one parameter for each flag
    wanted: str,
    path: str,
    root: str,
    containerd_root: str,
    network: bool,
    depth: int,
    files: int,
    interactive: bool,
    as_json: bool,
    exact: bool,
) -> None:
    """Show what takes the space in an object, by directory, the largest first.

    OBJECT is a container (its writable layer, log and settings), an image (each of its layers), a layer, a volume, or
    a top-level entry of the root, by its name or the beginning of its id; log:CONTAINER is a container's log. Where
    several have a name, container:, image:, layer:, volume: or part: before it says which is meant. PATH is a path
    in it.

    It is read from the disk each time, as du -x does: hard links count once, and mounts are not entered.
    """
    if interactive and (as_json or not (sys.stdin.isatty() and sys.stdout.isatty())):
        raise click.UsageError("-i needs a terminal: standard input and output cannot be pipes or files, nor JSON")
    from exporter.cli.commands.du import du as measured  # noqa: PLC0415 - other commands do not need it
    from exporter.cli.commands.du_places import known  # noqa: PLC0415
    from exporter.core.hang_probe import HANG_PROBE  # noqa: PLC0415

    config = Config(root=root, containerd_root=containerd_root, scan=ScanSettings(network=network))
    with HANG_PROBE.outside(), known(config) as found:
        if interactive:
            _look_around(found, wanted, path)
            return
        answer = measured(found, wanted, path, depth=depth, files=files)
    try:
        print_answer(found.document, answer, "du", as_json=as_json, exact=exact)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    _report(found.document, answer)
    sys.exit(1 if answer.failed else 0)


def _look_around(found: "KnownRoot", wanted: str, path: str) -> None:
    try:
        from exporter.cli.commands.du_screen import look_around  # noqa: PLC0415
    except ImportError:
        raise click.ClickException("-i needs Python's module curses, which is missing here") from None
    look_around(found, wanted, path)


def _report(document: "Document", answer: "Answer") -> None:
    """Write to standard error what could not be read; of the rest of the root only where nothing was found."""
    from exporter.core.log import printable  # noqa: PLC0415
    from exporter.expose.advice import ADVICE  # noqa: PLC0415

    problems = answer.data.get("problems", ())
    for one in problems:
        click.echo(printable(f"{one['path']}: {one['detail'] or one['reason']}"), err=True)
    for reason in dict.fromkeys(one["reason"] for one in problems if one["reason"] == Reason.PERMISSION):
        click.echo(f"{reason}: {ADVICE[reason]}", err=True)
    if "matches" in answer.data and not answer.data["matches"]:
        report_problems(document, objects=True)
