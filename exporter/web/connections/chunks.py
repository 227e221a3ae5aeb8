"""An answer in small pieces: a slow reader holds up nobody, and holds no copy of a page."""

from collections.abc import Iterable, Iterator, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

#: What is handed over, and with TLS encrypted, at a time.
PIECE_BYTES = 32 * 1024


class InPieces(Response):
    """A response of `length` bytes made of `parts`, which are shared and not copied; each waits for the one before."""

    def __init__(self, parts: Iterable[bytes], length: int, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(None, media_type=media_type, headers={**headers, "content-length": str(length)})
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it. `send` waits while the connection has more to send than it should hold, and for its turn."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            for piece in in_pieces(self._parts):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def in_pieces(parts: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    """The same bytes in pieces of `PIECE_BYTES`: of large parts without a copy, small ones put together."""
    waiting = b""
    for part in parts:
        view = memoryview(part)
        first = min(len(view), PIECE_BYTES - len(waiting))
        waiting += view[:first]
        if len(waiting) < PIECE_BYTES:
            continue
        yield waiting
        whole = first + (len(view) - first) // PIECE_BYTES * PIECE_BYTES
        for start in range(first, whole, PIECE_BYTES):
            yield view[start : start + PIECE_BYTES]
        waiting = bytes(view[whole:])
    if waiting:
        yield waiting
