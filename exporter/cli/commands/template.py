r"""Templates as Docker's --format has them, for the simple forms: `{{.Field}}`, `{{json .Field}}` and `{{json .}}`.

`table ` at the beginning prints headings, and aligns what tabs (`\t`) separate.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence

import click
from msgspec import Struct

_ACTION = re.compile(r"\{\{-?\s*(json\s+)?\.(\w*)\s*-?\}\}")
_ESCAPES = {r"\t": "\t", r"\n": "\n", r"\\": "\\"}
_ESCAPE = re.compile(r"\\[tn\\]")
_TABLE = "table "


class TemplatePart(Struct, frozen=True):
    """A part of a template: `text`, or where that is empty, a field, as JSON or not. The field "" is all of them."""

    text: str = ""
    field: str = ""
    as_json: bool = False


class Template(Struct, frozen=True):
    """A template. `table`: under headings, in aligned columns."""

    parts: tuple[TemplatePart, ...]
    table: bool

    @property
    def fields(self) -> list[str]:
        """The fields that it names."""
        return [part.field for part in self.parts if not part.text and part.field]

    def filled(self, value: Callable[[str], object], text: Callable[[str], str], whole: object) -> str:
        """The template with the fields of one row: `value` is for JSON, `text` for people, `whole` all of it."""
        return "".join(self._filled(value, text, whole))

    def _filled(self, value: Callable[[str], object], text: Callable[[str], str], whole: object) -> Iterator[str]:
        for part in self.parts:
            if part.text:
                yield part.text
            elif part.as_json:
                yield json.dumps(value(part.field) if part.field else whole)
            else:
                yield text(part.field)


def parse(given: str) -> Template:
    """Read a template. Raises click.UsageError for what only Go can."""
    table = given.startswith(_TABLE)
    rest = given.removeprefix(_TABLE)
    parts: list[TemplatePart] = []
    at = 0
    for found in _ACTION.finditer(rest):
        parts += _texts(rest[at : found.start()])
        if not found[1] and not found[2]:
            raise click.UsageError("--format: {{.}} is a whole row; {{json .}} prints it")
        parts.append(TemplatePart(field=found[2], as_json=bool(found[1])))
        at = found.end()
    parts += _texts(rest[at:])
    if not any(not part.text for part in parts):
        raise click.UsageError(
            f"--format {given}: table, json, csv, or a template such as '{{{{.Name}}}} {{{{.Size}}}}'"
        )
    return Template(tuple(parts), table)


def _texts(text: str) -> Sequence[TemplatePart]:
    if "{{" in text or "}}" in text:
        raise click.UsageError(f"--format: only {{{{.Field}}}} and {{{{json .Field}}}} are known, not {text.strip()}")
    return [TemplatePart(text=_ESCAPE.sub(lambda found: _ESCAPES[found[0]], text))] if text else []
