"""`demo`: builds an example data root."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter.cli import rule_options

if TYPE_CHECKING:
    from exporter import demo as examples


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@rule_options.busy
@rule_options.host
def demo(directory: Path, busy: bool, host: "examples.Host") -> None:
    """Build an example data root in DIRECTORY: a small wiki's host of 2015, a build host, or one with containerd.

    It takes 2.3 GB (wiki), 4.8 GB (build) or 130 MB (containerd) of disk blocks that nothing is written to. Where that
    would be more than an eighth of what is free, or the filesystem cannot do that, its files take a hundredth of what
    their sizes say.
    """
    from exporter import demo as examples  # noqa: PLC0415 - no other command needs them

    try:
        if busy:
            examples.keep_busy(directory, host)
        examples.build(directory, host)
        whole = examples.fill(directory)
    except OSError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"An example data root is in {directory}.")
    if not whole:
        click.echo("Its files are sparse: on the disk they take a hundredth of what their sizes say, or less.")
