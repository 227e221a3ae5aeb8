"""`demo`: builds an example data root."""

from pathlib import Path
from typing import Literal

import click

from exporter.cli import options


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@options.busy
@options.host
def demo(directory: Path, busy: bool, host: Literal["wiki", "build"]) -> None:
    """Build an example data root in DIRECTORY: a small wiki's host of 2015, or a build host of today.

    Its files are sparse: they have gigabytes and take a few megabytes.
    """
    from exporter import demo as examples  # noqa: PLC0415 - no other command needs them

    try:
        if busy:
            examples.keep_busy(directory, host)
        examples.build(directory, host)
    except OSError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"An example data root is in {directory}.")
