"""`diff`: what grew and what shrank, between saved snapshots, until now, or in a Prometheus."""

from typing import TYPE_CHECKING, Any

import click

from exporter.cli import options, terminal_options
from exporter.cli.answers import print_answers
from exporter.cli.habit_options import asked, command_with_habits
from exporter.cli.problems import report_problems
from exporter.cli.sources import source_of, with_source

if TYPE_CHECKING:
    from exporter.cli.commands.prometheus import PrometheusHost
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
@with_source
def diff(old: str, new: str, since: float | None, prometheus: str, **flags: Any) -> None:
    """Show what grew and what shrank, by object, the largest growth first, and what came and went.

    OLD and NEW are files with a snapshot of an exporter: its /api/v1/snapshot, or what the command snapshot prints;
    compressed with gzip or not. Without NEW, OLD is compared with what is there now: on the disk (--root), or by an
    exporter (--from). Instead of files, --since TIME --from-prometheus URL compares with the past that a Prometheus
    has.
    """
    if bool(prometheus) != (since is not None):
        raise click.UsageError("--since and --from-prometheus belong together")
    if bool(prometheus) == bool(old):
        raise click.UsageError("give OLD, OLD and NEW, or --since TIME and --from-prometheus URL")
    host = _prometheus(prometheus, flags)
    disk, source = source_of(flags)
    form = asked("diff", flags)
    if disk is not None and host is None and not new:
        options.say_why_this_root(disk.root)

    def answered() -> "tuple[Document, Answer]":
        from exporter.cli.commands.diff import diff as compared  # noqa: PLC0415 - other commands do not need it
        from exporter.cli.commands.diff_ends import of_document, read_document  # noqa: PLC0415

        if host is not None:
            ends = host.ends(since or 0.0)
            return ends[1].document(), compared(*ends, form.habits)
        before = of_document(read_document(old))
        document = read_document(new) if new else source(None)
        return document, compared(before, of_document(document), form.habits)

    def report(document: "Document", _: "Answer") -> bool:
        return not new and host is None and report_problems(document, objects=True)

    print_answers("diff", form, answered, report)


def _prometheus(url: str, flags: dict[str, Any]) -> "PrometheusHost | None":
    """Take the flags about a Prometheus out of all flags of a call: the host that is asked about; None for no URL."""
    chosen = {name: value for name in ("instance", "job") if (value := flags.pop(name))}
    for one in flags.pop("labels"):
        name, equals, value = one.partition("=")
        if not equals or not name.isidentifier() or not name.isascii():
            raise click.UsageError(f"--label {one}: give it as NAME=VALUE")
        chosen[name] = value
    user, file, authority = (flags.pop(f"prometheus_{name}") for name in ("user", "password_file", "ca_file"))
    if not url:
        return None
    from exporter.cli.commands.prometheus import PrometheusHost  # noqa: PLC0415 - other commands do not need it
    from exporter.cli.commands.remote import Remote  # noqa: PLC0415

    password = file.readline().rstrip("\r\n") if file else ""
    flag, prefix, what = "--from-prometheus", "--prometheus", "a Prometheus"
    return PrometheusHost(Remote(url, user, password, authority, option=flag, flags=prefix, what=what), chosen)
