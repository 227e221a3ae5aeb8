"""The flags that all commands with tables have in common, and what they ask for."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem
from msgspec import Struct

from exporter.cli.options import Function, config_file
from exporter.cli.param_types import DurationType
from exporter.core.units import Units

if TYPE_CHECKING:
    from exporter.cli.commands.columns import ObjectList
    from exporter.cli.commands.habits import Habits
    from exporter.cli.commands.output import Output


class HabitOption(click.Option):
    """A flag for one call of a command: it has no environment variable, and the settings file does not have it.

    `format`, `watch` and `filter` mean something else to other commands, and all may share one settings file.
    """

    for_one_call = True


def _option(*names: str, **settings: Any) -> Any:
    return click.option(*names, cls=HabitOption, **settings)


def _columns(context: click.Context, _: click.Parameter, given: str) -> list[CompletionItem]:
    """The columns of a command that begin so, for completion."""
    return _beginning([one.name for listing in _listings(context.command.name) for one in listing.columns], given)


def _keys(context: click.Context, _: click.Parameter, given: str) -> list[CompletionItem]:
    """The keys of a command's filters that begin so, for completion."""
    return _beginning([f"{key}=" for listing in _listings(context.command.name) for key in listing.filters], given)


def _beginning(words: Sequence[str], given: str) -> list[CompletionItem]:
    return [CompletionItem(one) for one in dict.fromkeys(words) if one.startswith(given)]


def _listings(command: str | None) -> "tuple[ObjectList[Any], ...]":
    from exporter.cli.commands.listings import LISTINGS  # noqa: PLC0415 - `run` does without rich

    return LISTINGS.get(command or "", ())


#: How answers are printed, of all these commands.
_PRINTED = (
    click.option("--json", "as_json", is_flag=True, help="Print JSON for programs (docs/terminal.md)."),
    click.option("--bytes", "--exact", "exact", is_flag=True, help="Print sizes in bytes."),
    _option("--si", is_flag=True, help="Print sizes in powers of 1000: kB, MB. This is the default."),
    _option("--iec", is_flag=True, help="Print sizes in powers of 1024: KiB, MiB."),
    click.option("--no-trunc", "full", is_flag=True, help="Print all columns, and ids, names and paths in full."),
    _option("--watch", "watch", type=DurationType(min=0.5), metavar="TIME", help="Draw it anew until Ctrl-C."),
)
_FORM = _option("--format", "form", metavar="FORMAT", help="table or json.")
#: Which rows are listed, and in which order, of the commands with a listing.
_LISTED = (
    _option(
        "--filter",
        "-f",
        "filters",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=_keys,
        help="List only what matches. Docker's keys where they exist; repeat it for several.",
    ),
    _option(
        "--sort",
        "sort",
        multiple=True,
        metavar="COLUMN",
        shell_complete=_columns,
        help="Sort by a column: the largest and newest first, names from A to Z.",
    ),
    _option("--reverse", "-r", is_flag=True, help="Reverse the order."),
    _option("--limit", "--top", "-n", "limit", type=click.IntRange(min=0), metavar="NUMBER", help="List so many."),
    _option("--quiet", "-q", is_flag=True, help="Print names or ids only."),
    _option(
        "--format",
        "form",
        metavar="FORMAT",
        help="table, json, csv, or a template as docker has them: '{{.Name}} {{.Size}}', 'table {{.ID}}\\t{{.Size}}'.",
    ),
)


def with_habits(command: Function, *, listed: bool) -> Function:
    """Add the flags to a command: with `listed`, those of listings."""
    options = (*_LISTED, *_PRINTED) if listed else (_FORM, *_PRINTED)
    for option in reversed(options):
        command = option(command)
    return command


def command_with_habits(function: Function) -> click.Command:
    """Make a command that lists rows as the others do, but does not read a document from where these do."""
    command: click.Command = click.command()(with_habits(function, listed=True))
    config_file(command)
    return command


class AskedFor(Struct, frozen=True):
    """What the flags of one call ask for. `watch`: seconds between two drawings; None for one drawing."""

    habits: "Habits"
    output: "Output"
    units: Units
    watch: float | None


def asked(command: str, flags: Mapping[str, Any]) -> AskedFor:
    """What these flags ask for. Raises click.UsageError before anything is read, if that cannot be."""
    from exporter.cli.commands import formats, habits  # noqa: PLC0415 - `run` does without rich
    from exporter.cli.commands.output import Form, output_of  # noqa: PLC0415

    form = flags["form"]
    output = output_of(form=form, as_json=flags["as_json"], quiet=flags.get("quiet", False), full=flags["full"])
    wanted = habits.Habits(
        names=tuple(flags.get("names", ())),
        filters=tuple(_pair(one) for one in flags.get("filters", ())),
        sort=tuple(name for one in flags.get("sort", ()) for name in one.replace("-", "_").split(",") if name),
        reverse=flags.get("reverse", False),
        limit=flags.get("limit"),
        full=flags["full"],
    )
    listings = _listings(command)
    if listings:
        habits.check(wanted, listings)
    if output.template is not None:
        formats.check(output.template, listings)
    elif not listings and output.form is Form.CSV:
        raise click.UsageError("--format csv: this command has table and json")
    if flags["watch"] is not None and output.form is not Form.TABLE:
        raise click.UsageError("--watch draws tables on a terminal: leave out --format, --json and --quiet")
    return AskedFor(wanted, output, _units(flags), flags["watch"])


def _pair(given: str) -> tuple[str, str]:
    key, separator, value = given.partition("=")
    if not separator or not key:
        raise click.UsageError(f"--filter {given}: give it as KEY=VALUE")
    return key, value


def _units(flags: Mapping[str, Any]) -> Units:
    wanted = [units for name, units in (("exact", Units.BYTES), ("si", Units.SI), ("iec", Units.IEC)) if flags[name]]
    if len(wanted) > 1:
        raise click.UsageError("--bytes, --si and --iec exclude each other")
    return wanted[0] if wanted else Units.SI
