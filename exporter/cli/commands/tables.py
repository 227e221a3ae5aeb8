"""What a command answers: parts for people, data for programs, and the rows that can be printed in other forms."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from exporter.cli.commands.habits import Chosen
from exporter.cli.commands.parts import UNKNOWN, AtLeast, Cell, Lines, Table, exact_sum, not_known, size, total

__all__ = ("UNKNOWN", "Answer", "AtLeast", "Cell", "Lines", "Table", "exact_sum", "not_known", "size", "total")


class Answer(Struct, frozen=True):
    """The result of a command. `data` is printed with --json, else `parts`. `failed`: the exit status is 1.

    `listings` are what CSV, templates and --quiet print: the first of them, or the first that has all fields.
    """

    data: Mapping[str, Any]
    parts: Sequence[Table | Lines] = field(default_factory=list)
    failed: bool = False
    listings: Sequence[Chosen[Any]] = ()
