"""Prints an answer in the form that was asked for."""

import json
import sys
from enum import StrEnum
from typing import TextIO

import click
from msgspec import Struct

from exporter.cli.commands import formats
from exporter.cli.commands.plain_text import shown, takes_all
from exporter.cli.commands.show import PLAIN, Style, show
from exporter.cli.commands.tables import Answer
from exporter.cli.commands.template import Template, parse
from exporter.expose.snapshot_api.rows import Document


class Form(StrEnum):
    """The forms of an answer."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    TEMPLATE = "template"
    NAMES = "names"


class Output(Struct, frozen=True):
    """How an answer is printed."""

    form: Form = Form.TABLE
    template: Template | None = None
    style: Style = PLAIN

    @property
    def is_whole(self) -> bool:
        """Whether all of an answer is printed, and not only the rows of a listing."""
        return self.form in (Form.TABLE, Form.JSON)


def output_of(*, form: str | None, as_json: bool, quiet: bool, full: bool) -> Output:
    """The output that flags ask for. Raises click.UsageError for flags that exclude each other."""
    if quiet and (as_json or form not in (None, "table")):
        raise click.UsageError("--quiet prints names only: leave out --format and --json")
    if as_json and form not in (None, "json"):
        raise click.UsageError("--json is a format: leave out --format")
    if quiet:
        return Output(Form.NAMES)
    if as_json or form == "json":
        return Output(Form.JSON)
    if form == "csv":
        return Output(Form.CSV)
    style = Style(full=full, aligned=form == "table")
    return Output(style=style) if form in (None, "table") else Output(Form.TEMPLATE, parse(form), style)


def print_answer(document: Document, answer: Answer, name: str, wanted: Output, output: TextIO | None = None) -> None:
    """Print an answer. Without a snapshot there is only the JSON that says so.

    Of a first scan that goes on, terminals get tables of what is known until now.
    """
    output = output or sys.stdout
    empty = bool(document.error) or document.taken is None
    if empty and document.progress is not None and wanted.form is Form.TABLE and output.isatty():
        empty = bool(document.error)
    if wanted.form is Form.JSON:
        head = {"schema": document.schema, "command": name, "root": document.root, "error": document.error}
        data = {} if empty else answer.data
        output.write(json.dumps({**head, "taken": document.taken, **data}, indent=2) + "\n")
    elif empty:
        return
    elif wanted.form is Form.TABLE:
        show(answer, wanted.style, output)
    elif not answer.listings:
        if not answer.failed:
            raise click.UsageError("this has no rows: --quiet and --format know table and json here")
        show(answer, output=sys.stderr)
    else:
        _print_rows(answer, wanted, output)


def _print_rows(answer: Answer, wanted: Output, output: TextIO) -> None:
    first = answer.listings[0]
    if wanted.form is Form.CSV:
        formats.print_csv(first, output)
    elif wanted.form is Form.NAMES:
        formats.print_names(first, output)
    elif wanted.template is not None:
        formats.print_template(wanted.template, answer.listings, output)
    for note in first.notes:
        click.echo(shown(note, whole=takes_all(sys.stderr)), err=True)
