"""Reads what a client accepts: lists with quality values, as Accept and Accept-Encoding have them (RFC 9110, 12.4)."""

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

#: RFC 9110, 12.4.2 allows three decimals; some clients send more.
_QUALITY = re.compile(r"0(\.[0-9]{0,9})?|1(\.0{0,9})?")
#: A quoted string, which ends with the header if it is never closed, a delimiter, or characters up to one of these.
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[,;]|[^",;]+', re.DOTALL)


class Accepted(Struct, frozen=True):
    """One entry of a list: a name in lower case, its parameters, and its quality from 0 (refused) to 1."""

    name: str
    parameters: Mapping[str, str]
    quality: float


def accepted(header: str) -> Iterator[Accepted]:
    """The entries of a list in their order. One whose quality is no such value is left out."""
    for name, *rest in _entries(header):
        parameters: dict[str, str] = {}
        for part in rest:
            key, _, value = part.partition("=")
            parameters.setdefault(key.strip().lower(), value.strip().strip('"'))
        quality = parameters.pop("q", "1")
        if name.strip() and _QUALITY.fullmatch(quality):
            yield Accepted(name.strip().lower(), parameters, float(quality))


def _entries(header: str) -> Iterator[list[str]]:
    """Split at commas, and each entry at semicolons, but not inside of quotes."""
    entry = [""]
    for piece in _TOKENS.findall(header):
        if piece == ",":
            yield entry
            entry = [""]
        elif piece == ";":
            entry.append("")
        else:
            entry[-1] += piece
    yield entry
