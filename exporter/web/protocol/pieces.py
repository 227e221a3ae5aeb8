"""Splits a response into pieces of one size, so that the memory of a connection does not depend on the page."""

from collections.abc import Iterable, Iterator

#: How much is given to the socket, and with TLS encrypted, at a time.
PIECE_BYTES = 32 * 1024


def in_pieces(parts: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    """The same bytes in pieces of `PIECE_BYTES`. Large parts are not copied, small ones are joined."""
    joined = b""
    for part in parts:
        view = memoryview(part)
        first = min(len(view), PIECE_BYTES - len(joined))
        joined += view[:first]
        if len(joined) < PIECE_BYTES:
            continue
        yield joined
        joined = b""  # else it would be kept until the end of this part
        whole = first + (len(view) - first) // PIECE_BYTES * PIECE_BYTES
        for start in range(first, whole, PIECE_BYTES):
            yield view[start : start + PIECE_BYTES]
        joined = bytes(view[whole:])
    if joined:
        yield joined
