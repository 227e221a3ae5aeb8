"""Contents in the coding that a client prefers: gzip, Zstandard (RFC 8878), or none.

What is served is kept deflated, so gzip costs nothing. Zstandard is made when a client asks for it, and kept while the
same content is served. It needs Python 3.14, or the extra `zstd` (backports.zstd).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from typing import Any

from exporter.core.gzip_body import INFLATING_BYTES, GzipBody
from exporter.web.negotiation import preferred_coding
from exporter.web.protocol.message import Request, Response

_LOADERS = (partial(import_module, "compression.zstd"), partial(import_module, "backports.zstd"))
#: So many bytes are compressed before others are served in between: that takes less than a millisecond.
_PIECE_BYTES = 128 << 10


@cache
def zstd_compressor() -> Callable[[], Any] | None:
    """What makes a compressor of Zstandard with its usual level; None where this Python has none."""
    for load in _LOADERS:
        with suppress(ImportError):
            found: Callable[[], Any] = load().ZstdCompressor
            return found
    return None


class Codings:
    """Makes responses. One for each kind of content, since it keeps what was compressed last."""

    def __init__(self) -> None:
        self._frame: tuple[GzipBody, bytes] | None = None
        self._making = asyncio.Lock()

    async def response(
        self, request: Request, content: GzipBody, end: bytes, content_type: str, *, vary: str
    ) -> Response:
        """A content and its `end` in the coding that the client prefers.

        What is not to be compressed is inflated while it is sent.
        """
        if self._frame is not None and self._frame[0] is not content:
            self._frame = None
        wanted = preferred_coding(request.headers.get("accept-encoding", ""), zstd_compressor)
        headers: tuple[tuple[str, str], ...] = (("vary", vary),)
        if not wanted:
            length, parts = content.length + len(end), content.plain(end)
            return Response.of_parts(parts, length, content_type, headers=headers, making=INFLATING_BYTES)
        made = content.member(end) if wanted == "gzip" else await self._frames(content, end)
        headers = (*headers, ("content-encoding", wanted))
        return Response.of_parts(made, sum(map(len, made)), content_type, headers=headers)

    async def _frames(self, content: GzipBody, end: bytes) -> tuple[bytes, ...]:
        """Two frames: the content, which is compressed once, and the end, which is of this response."""
        async with self._making:
            if self._frame is None or self._frame[0] is not content:
                self._frame = content, await _compressed(content)
            frame = self._frame[1]
        last = _compressor()
        return frame, last.compress(end) + last.flush()


async def _compressed(content: GzipBody) -> bytes:
    """The content as one frame. It takes some milliseconds for each megabyte: others are served in between."""
    compressor, frame, since = _compressor(), bytearray(), 0
    for part in content.plain():
        frame += compressor.compress(part)
        since += len(part)
        if since >= _PIECE_BYTES:
            since = 0
            await asyncio.sleep(0)
    return bytes(frame + compressor.flush())


def _compressor() -> Any:
    make = zstd_compressor()
    assert make is not None, "asked for only where it is there"
    return make()
