"""`diff`: what grew and what shrank, between two saved snapshots or in a Prometheus."""

from typing import TYPE_CHECKING, Any

import click

from exporter.cli import terminal_options
from exporter.cli.habit_options import asked, command_with_habits, most_rows
from exporter.cli.terminal import print_answers

if TYPE_CHECKING:
    from exporter.cli.commands.diff_ends import DiffEnd
    from exporter.cli.commands.tables import Answer
    from exporter.expose.snapshot_api.rows import Document


@command_with_habits
@click.argument("old", default="")
@click.argument("new", default="")
@terminal_options.since
@terminal_options.from_prometheus
@terminal_options.instance
@terminal_options.prometheus_job
@terminal_options.prometheus_labels
@terminal_options.prometheus_user
@terminal_options.prometheus_password_file
@terminal_options.prometheus_ca_file
@most_rows
def diff(  # noqa: PLR0913 - one parameter for each flag
    old: str,
    new: str,
    since: float | None,
    url: str,
    instance: str,
    job: str,
    labels: tuple[str, ...],
    user: str,
    password_file: Any,
    ca_file: str | None,
    limit: int | None,
    **habits: Any,
) -> None:
    """Show what grew and what shrank, by object, the largest growth first, and what came and went.

    OLD and NEW are files with a snapshot of an exporter: its /api/v1/snapshot, or what the command snapshot prints;
    compressed with gzip or not. Instead of files, --since TIME --from-prometheus URL compares with the past that a
    Prometheus has.
    """
    form = asked("diff", habits)
    if bool(url) != (since is not None):
        raise click.UsageError("--since and --from-prometheus belong together")
    if bool(url) == bool(old or new) or bool(old) != bool(new):
        raise click.UsageError("give two files, OLD and NEW, or --since TIME and --from-prometheus URL")
    chosen = {name: value for name, value in (("instance", instance), ("job", job)) if value}
    for one in labels:
        name, equals, value = one.partition("=")
        if not equals or not name.isidentifier() or not name.isascii():
            raise click.UsageError(f"--label {one}: give it as NAME=VALUE")
        chosen[name] = value

    def answered() -> "tuple[Document, Answer]":
        from exporter.cli.commands.diff import diff as compared  # noqa: PLC0415 - other commands do not need it

        if url:
            ends = _from_prometheus(url, since or 0.0, chosen, user, password_file, ca_file)
        else:
            from exporter.cli.commands.diff_ends import of_document, read_document  # noqa: PLC0415

            ends = of_document(read_document(old)), of_document(read_document(new))
        return _document(ends[1]), compared(*ends, limit)

    print_answers("diff", form, answered, lambda _document, _answer: False)


def _from_prometheus(  # noqa: PLR0913 - one parameter for each flag
    url: str, since: float, chosen: dict[str, str], user: str, password_file: Any, ca_file: str | None
) -> "tuple[DiffEnd, DiffEnd]":
    from exporter.cli.commands.prometheus import PrometheusHost  # noqa: PLC0415
    from exporter.cli.commands.remote import Remote  # noqa: PLC0415

    password = password_file.readline().rstrip("\r\n") if password_file else ""
    server = Remote(url, user, password, ca_file, option="--from-prometheus", flags="--prometheus", what="a Prometheus")
    return PrometheusHost(server, chosen).ends(since)


def _document(end: "DiffEnd") -> "Document":
    """What an answer begins with: whose objects it is about, and when."""
    from exporter.cli.commands.source import parse  # noqa: PLC0415
    from exporter.expose.snapshot_api.pieces import ending, unread_document  # noqa: PLC0415

    return parse(unread_document(end.root, "").finish(ending(end.taken, ())))
