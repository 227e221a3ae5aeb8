"""The command line. Each command has a module of its own, which imports the code that it needs when it runs."""

from collections.abc import Iterable
from typing import Any

import click

from exporter.cli import terminal
from exporter.cli.check_config import check_config
from exporter.cli.completion import completion
from exporter.cli.demo import demo
from exporter.cli.diff import diff
from exporter.cli.du import du
from exporter.cli.once import once
from exporter.cli.rules import rules
from exporter.cli.run import run
from exporter.core.exit_status import INTERRUPTED


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from exporter.core.version import REVISION, VERSION  # noqa: PLC0415

        click.echo(f"docker-storage-exporter, version {VERSION}{f', revision {REVISION}' if REVISION else ''}")
        context.exit()


#: No first sentence is longer.
_SENTENCE = 300


class _HelpFormatter(click.HelpFormatter):
    """Leaves the texts of flags so much room that the name of each environment variable is in one line of 80."""

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 16, col_spacing: int = 2) -> None:
        """Write flags or commands with their texts."""
        super().write_dl(rows, col_max, col_spacing)


class _Context(click.Context):
    formatter_class = _HelpFormatter


class _Commands(click.Group):
    context_class = _Context

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their first sentences as a whole; click cuts them off."""
        rows = [(name, self.commands[name].get_short_help_str(_SENTENCE)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. After Ctrl-C it ends without a message."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Tell Prometheus where a Docker host's disk goes.

    Reads Docker's data root (/var/lib/docker) from the disk: layers, images, containers, volumes and
    directories with their sizes. It never asks the daemon and needs no socket, so it also works when dockerd
    is down; it only needs to be allowed to read the root (root, or the capability CAP_DAC_READ_SEARCH).
    """


for _command in (check_config, run, once, demo, rules, completion, *terminal.COMMANDS, du, diff):
    _command.context_class = _Context
    main.add_command(_command)
