"""`du`: what takes the space in an object, read from the disk."""

import sys
from typing import TYPE_CHECKING, Any

import click

from exporter.cli import options, terminal_options
from exporter.cli.answers import print_answers
from exporter.cli.habit_options import AskedFor, asked, command_with_habits
from exporter.cli.problems import report_problems
from exporter.cli.sources import disk_of, with_disk
from exporter.config.settings import Config
from exporter.core.measured import Reason

if TYPE_CHECKING:
    from exporter.cli.commands.tables import Answer
    from exporter.expose.snapshot_api.rows import Document


@command_with_habits
@click.argument("wanted", metavar="OBJECT")
@click.argument("path", default="")
@with_disk
@terminal_options.depth
@terminal_options.largest_files
@terminal_options.interactive
def du(wanted: str, path: str, depth: int, files: int, interactive: bool, **flags: Any) -> None:
    """Show what takes the space in an object, by directory, the largest first.

    OBJECT is a container (its writable layer, log and settings), an image (each of its layers), a layer, a volume, or
    a top-level entry of the root, by its name or the beginning of its id; log:CONTAINER is a container's log. Where
    several have a name, container:, image:, layer:, volume: or part: before it says which is meant. PATH is a path
    in it.

    It is read from the disk each time, as du -x does: hard links count once, and mounts are not entered.
    """
    config = disk_of(flags)
    form = asked("du", flags)
    options.say_why_this_root(config.root)
    if interactive:
        _look_around(config, form, wanted, path)
        return
    from exporter.cli.commands.du import du as measured  # noqa: PLC0415 - other commands do not need it
    from exporter.cli.commands.du_places import known  # noqa: PLC0415

    def answered() -> "tuple[Document, Answer]":
        with known(config) as found:
            return found.document, measured(found, wanted, path, depth=depth, files=files, habits=form.habits)

    print_answers("du", form, answered, _report)


def _look_around(config: Config, form: AskedFor, wanted: str, path: str) -> None:
    from exporter.cli.commands.habits import PLAIN  # noqa: PLC0415
    from exporter.cli.commands.output import Form  # noqa: PLC0415
    from exporter.core.hang_probe import HANG_PROBE  # noqa: PLC0415
    from exporter.core.units import written_in  # noqa: PLC0415

    if form.output.form is not Form.TABLE or form.watch is not None or form.habits != PLAIN:
        raise click.UsageError("-i shows a screen: leave out flags of lists, such as --sort, --json and --watch")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("-i needs a terminal: standard input and output cannot be pipes or files")
    from exporter.cli.commands.du_places import known  # noqa: PLC0415

    try:
        from exporter.cli.commands.du_screen import look_around  # noqa: PLC0415
    except ImportError:
        raise click.ClickException("-i needs Python's module curses, which is missing here") from None
    with written_in(form.units), HANG_PROBE.outside(), known(config) as found:
        look_around(found, wanted, path)


def _report(document: "Document", answer: "Answer") -> bool:
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
    return False
