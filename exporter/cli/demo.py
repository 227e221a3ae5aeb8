"""`demo`: builds an example data root."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter.cli import options

if TYPE_CHECKING:
    from exporter import demo as examples


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@options.busy
@options.host
def demo(directory: Path, busy: bool, host: "examples.Host") -> None:
    """Build an example data root in DIRECTORY: a small wiki's host of 2015, a build host, or one with containerd.

    Its files are sparse: they have gigabytes and take a few megabytes. Those of containerd take all that they have,
    about 100 MB: it records how many disk blocks they take.
    """
    from exporter import demo as examples  # noqa: PLC0415 - no other command needs them

    try:
        if busy:
            examples.keep_busy(directory, host)
        examples.build(directory, host)
    except OSError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"An example data root is in {directory}.")
