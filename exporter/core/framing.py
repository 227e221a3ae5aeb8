"""Frames: how messages between the exporter's processes are cut out of a stream of bytes.

A frame is a header, a body of JSON, and after it parts of plain bytes that the body refers to by number: megabytes are
neither encoded nor copied. JSON is what a worker can import in two milliseconds, and it takes the names of files that
are not UTF-8 (lone surrogates); msgspec takes fourteen, and refuses such names.

The header is the length of the body in 4 bytes and that of all parts in 8, big endian. The body is a list of the
lengths of the parts, and a value.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

HEADER_BYTES = 12
_BODY_LENGTH_BYTES = 4
#: No peer sends as much as this: it would be the names of millions of directories, or a page of millions of series.
MAX_FRAME_BYTES = 1 << 30


class ProtocolError(Exception):
    """Another process of the exporter sent an invalid frame or an unexpected message."""


class Frame(NamedTuple):
    """A frame that came in whole: the value of its body as JSON gives it, and the parts that this refers to."""

    body: Any
    parts: tuple[bytes, ...] = ()


class _Encoder(json.JSONEncoder):
    """Encodes a body. Bytes in it become the number of a part; an object that comes twice is one part."""

    def __init__(self) -> None:
        super().__init__(check_circular=False, separators=(",", ":"))
        self.parts: list[bytes] = []
        self._numbers: dict[int, int] = {}

    def default(self, o: object) -> int:
        if not isinstance(o, bytes):
            raise TypeError(f"{type(o).__name__} cannot be sent")
        number = self._numbers.setdefault(id(o), len(self.parts))
        if number == len(self.parts):
            self.parts.append(o)
        return number


def frame(body: object) -> list[bytes]:
    """Encode a value as pieces of bytes, to be written in this order."""
    encoder = _Encoder()
    value = encoder.encode(body)
    lengths = [len(part) for part in encoder.parts]
    raw = f"[{lengths},{value}]".encode("ascii")
    header = len(raw).to_bytes(_BODY_LENGTH_BYTES, "big")
    header += sum(lengths).to_bytes(HEADER_BYTES - _BODY_LENGTH_BYTES, "big")
    return [header + raw, *encoder.parts]


class FrameReader:
    """Splits the bytes read from a pipe into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> list[Frame]:
        """Add bytes that were read; return the frames that are now complete. Raises ProtocolError."""
        self._buffer += piece
        frames: list[Frame] = []
        start, buffered = 0, len(self._buffer)
        with memoryview(self._buffer) as view:
            while buffered - start >= HEADER_BYTES:
                body_length, parts_length = _lengths(view[start : start + HEADER_BYTES])
                body_at = start + HEADER_BYTES
                end = body_at + body_length + parts_length
                if buffered < end:
                    break
                at = body_at + body_length
                lengths, value = _body(bytes(view[body_at:at]), parts_length)
                parts = []
                for length in lengths:
                    parts.append(bytes(view[at : at + length]))
                    at += length
                frames.append(Frame(value, tuple(parts)))
                start = end
        del self._buffer[:start]
        return frames


async def read_frame(read_exactly: Callable[[int], Awaitable[bytes]]) -> Frame:
    """Read a frame part by part, so that its parts are never in memory twice. Raises ProtocolError.

    `read_exactly` is that of `asyncio.StreamReader`; what it raises is raised.
    """
    body_length, parts_length = _lengths(await read_exactly(HEADER_BYTES))
    lengths, value = _body(await read_exactly(body_length), parts_length)
    return Frame(value, tuple([await read_exactly(length) for length in lengths]))


def _lengths(header: bytes | memoryview) -> tuple[int, int]:
    body = int.from_bytes(header[:_BODY_LENGTH_BYTES], "big")
    parts = int.from_bytes(header[_BODY_LENGTH_BYTES:], "big")
    if body + parts > MAX_FRAME_BYTES:
        raise ProtocolError(f"a frame of {body + parts} bytes")
    return body, parts


def _body(raw: bytes, parts_length: int) -> tuple[list[int], Any]:
    try:
        lengths, value = json.loads(raw)
        if all(type(one) is int and one >= 0 for one in lengths) and sum(lengths) == parts_length:
            return lengths, value
    except (ValueError, TypeError, RecursionError) as error:
        raise ProtocolError(f"a frame that is not as it should be: {error}") from None
    raise ProtocolError("a frame whose parts have other lengths")
