"""A part of the exposition: the families that a query asks for by name (`name[]`) or by collector (`collect[]`)."""

import asyncio
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl

from exporter.config.limits import COLLECTORS, SUMS
from exporter.core.gzip_body import GzipBody

_PREFIX = "docker_storage_"
_BEGINNINGS = {**COLLECTORS, "directories": (*COLLECTORS["directories"], *SUMS)}
#: What a sample's name has behind that of its family in OpenMetrics.
_ENDINGS = ("_total", "_info")
_MOST_VALUES = 1000
#: So many bytes of an answer are made before others are served in between: that takes some milliseconds.
_PIECE_BYTES = 128 << 10


class SelectionError(Exception):
    """A query asks for what there is not; the message says what."""


class Selection:
    """The families that a query asks for. With names and collectors those of either; without any, all."""

    def __init__(self, query: str) -> None:
        """Raises SelectionError."""
        try:
            given = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_VALUES)
        except ValueError:
            raise SelectionError(f"the query has more than {_MOST_VALUES} values") from None
        self._names = {value for key, value in given if key == "name[]"}
        self._collectors = {value.replace("-", "_") for key, value in given if key == "collect[]"}
        if unknown := sorted(self._collectors - COLLECTORS.keys()):
            known = ", ".join(COLLECTORS)
            raise SelectionError(f"there is no collector {unknown[0][:80]!r}; known are: {known}")

    def __bool__(self) -> bool:
        return bool(self._names or self._collectors)

    def has(self, family: str) -> bool:
        """Whether it has a family, by the name in its `# HELP` line."""
        if not self or family in self._names or any(family + ending in self._names for ending in _ENDINGS):
            return True
        own = family.removeprefix(_PREFIX)
        beginnings = (one for collector in self._collectors for one in _BEGINNINGS[collector])
        # The family of `container_info` is `container` in OpenMetrics.
        return own != family and f"{own}_".startswith(tuple(beginnings))

    def of(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The lines of these families, of an exposition that comes in parts. What ends it is kept."""
        taken = False
        for line in _lines(parts):
            if line.startswith((b"# HELP ", b"# TYPE ", b"# UNIT ")):
                taken = self.has(line[7:].strip().partition(b" ")[0].decode("ascii", "replace"))
            if taken or line.startswith(b"# EOF"):
                yield line

    async def body(self, parts: Iterable[bytes]) -> GzipBody:
        """The same as a body. What there is much of takes long: others are served in between."""
        made: list[GzipBody] = []
        for piece in _pieces(self.of(parts)):
            made.append(GzipBody.of((piece,)))
            await asyncio.sleep(0)
        return GzipBody.joined(made)


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines together, so many that they have the bytes of a piece."""
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    left = b""
    for part in parts:
        *whole, left = (left + part).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if left:
        yield left
