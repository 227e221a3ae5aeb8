"""`rules`: prints the rules for Prometheus."""

import click

from exporter.cli import options


@click.command()
@options.job
@options.thresholds
@options.runbooks
@options.speed
@options.listed
def rules(job: str, thresholds: tuple[str, ...], runbooks: str, speed: float, listed: bool) -> None:
    """Print recording and alert rules for Prometheus."""
    from exporter import rules as source  # noqa: PLC0415 - no other command needs them

    try:
        limits = source.Thresholds().changed(thresholds)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    settings = source.Settings(job, limits, runbooks, speed)
    click.echo(source.described(limits) if listed else source.rules(settings), nl=False)
