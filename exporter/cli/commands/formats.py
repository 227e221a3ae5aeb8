"""Prints the rows of a listing for other programs: as CSV, by a template, or by their names alone."""

import csv
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import click

from exporter.cli.commands.columns import ColumnKind, ListColumn, ObjectList, Shape, Value
from exporter.cli.commands.fit import fit
from exporter.cli.commands.habits import Chosen
from exporter.cli.commands.parts import AtLeast
from exporter.cli.commands.plain_text import ELLIPSIS, shown, takes_all
from exporter.cli.commands.show import aligned
from exporter.cli.commands.template import Template
from exporter.cli.commands.times import moment
from exporter.core.units import human, in_bytes


def print_csv(chosen: Chosen[Any], output: TextIO) -> None:
    """All columns of a listing, with those that the table leaves out: sizes in bytes, times as ISO 8601, whole ids."""
    whole = takes_all(output)
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(column.name for column in chosen.listing.columns)
    for row in chosen.rows:
        values = (_exact(column, column.value(chosen.index, row)) for column in chosen.listing.columns)
        writer.writerow("" if one is None else shown(str(one), whole=whole) for one in values)


def _exact(column: ListColumn[Any], value: Value) -> Value:
    if isinstance(value, AtLeast):
        return None
    if column.kind is ColumnKind.AGE and isinstance(value, (int, float)):
        return moment(value)
    return round(value) if isinstance(value, float) else value


def print_names(chosen: Chosen[Any], output: TextIO) -> None:
    """The name or id of each object, once and in the order of the rows."""
    name = chosen.listing.whole if chosen.habits.full else chosen.listing.key
    for one in dict.fromkeys(name(chosen.index, row) for row in chosen.rows):
        print(shown(one, whole=takes_all(output)), file=output)


def check(template: Template, listings: Sequence[ObjectList[Any]]) -> None:
    """Raise click.UsageError for a field that no listing has with all the others."""
    wanted = template.fields
    if any(_knows(listing, wanted) for listing in listings):
        return
    own = listings[0] if listings else None
    known = ", ".join(_shown_fields(own)) if own else "none"
    strange = next((one for one in wanted if own is None or one.lower() not in _fields(own)), wanted[0])
    raise click.UsageError(f"--format: no field {strange}; known are {known}")


def print_template(template: Template, listings: Sequence[Chosen[Any]], output: TextIO) -> None:
    """The template once for each row of the first listing that has all its fields."""
    chosen = next(one for one in listings if _knows(one.listing, template.fields))
    fields, whole = _fields(chosen.listing), takes_all(output)
    lines = [_filled(template, chosen, fields, row, whole=whole) for row in chosen.rows]
    if not template.table:
        for line in lines:
            print(line, file=output)
        return
    heading = template.filled(
        lambda name: fields[name.lower()].heading, lambda name: fields[name.lower()].heading, "ROW"
    )
    rows = [line.split("\t") for line in (heading, *lines)]
    width = max(map(len, rows))
    shapes = [Shape("", ColumnKind.TEXT)] * width
    fitted = fit(shapes, [[*row, *[""] * (width - len(row))] for row in rows], None, ELLIPSIS)
    for row in fitted.rows:
        for line in aligned(shapes, fitted.widths, row):
            print(line, file=output)


def _filled(
    template: Template, chosen: Chosen[Any], fields: dict[str, ListColumn[Any]], row: object, *, whole: bool
) -> str:
    def value(name: str) -> object:
        column = fields[name.lower()]
        return _exact(column, column.value(chosen.index, row))

    def text(name: str) -> str:
        return shown(_text(chosen, fields[name.lower()], row), whole=whole)

    everything = {column.name: value(column.name) for column in chosen.listing.columns}
    return template.filled(value, text, everything)


def _text(chosen: Chosen[Any], column: ListColumn[Any], row: object) -> str:
    """A value for people, also where the table leaves it out because another row has it."""
    found = column.cell_of(chosen.index, row, full=chosen.habits.full)
    if found == "":
        found = column.value(chosen.index, row)
    if found is None:
        return "?"
    if column.kind is ColumnKind.SIZE and isinstance(found, (int, float)):
        return ("≥ " if isinstance(found, AtLeast) else "") + (str(round(found)) if in_bytes() else human(found))
    return str(found)


def _knows(listing: ObjectList[Any], wanted: Sequence[str]) -> bool:
    return all(name.lower() in _fields(listing) for name in wanted)


def _fields(listing: ObjectList[Any]) -> dict[str, ListColumn[Any]]:
    """The columns by the names that a template may call them, in small letters."""
    found: dict[str, ListColumn[Any]] = {}
    for column in listing.columns:
        for name in (column.name, column.name.replace("_", ""), *column.fields):
            found.setdefault(name.lower(), column)
    return found


def _shown_fields(listing: ObjectList[Any]) -> Iterator[str]:
    for column in listing.columns:
        yield column.fields[0] if column.fields else "".join(map(str.capitalize, column.name.split("_")))
