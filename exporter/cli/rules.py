"""`rules`: prints the rules for Prometheus."""

from typing import Literal

import click

from exporter.cli import rule_options

#: The forms of `exporter.rules`, which is imported only where it is needed.
Form = Literal["prometheus", "json", "prometheus-rule"]


@click.command()
@rule_options.job
@rule_options.thresholds
@rule_options.runbooks
@rule_options.labels_of_fleets
@rule_options.bridge
@rule_options.textfile
@rule_options.speed
@rule_options.rules_form
@rule_options.listed
def rules(  # noqa: PLR0913 - one for each option
    job: str,
    thresholds: tuple[str, ...],
    runbooks: str,
    labels: tuple[str, ...],
    bridge: str,
    textfile: str,
    speed: float,
    form: Form,
    listed: bool,
) -> None:
    """Print recording and alert rules for Prometheus."""
    from exporter import rules as source  # noqa: PLC0415 - no other command needs them

    try:
        limits = source.Thresholds().changed(thresholds)
        settings = source.Settings(
            job,
            limits,
            runbooks,
            speed,
            labels=labels,
            bridge=source.seconds(bridge),
            textfile=source.seconds(textfile) if textfile else 0,
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(source.described(limits) if listed else source.rules(settings, form), nl=False)
