import asyncio
import gzip
import sys
from functools import partial
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.gzip_body import GzipBody
from exporter.web import codings
from exporter.web.codings import Codings, zstd_compressor
from exporter.web.protocol.message import Request, Response

_ZSTD: Any = pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def _ask(own: Codings, content: GzipBody, end: bytes, accepted: str) -> Response:
    request = Request("GET", "/metrics", {"accept-encoding": accepted})
    return asyncio.run(own.response(request, content, end, "text/plain", vary="accept-encoding"))


def _body(response: Response) -> bytes:
    body = b"".join(response.parts)
    assert response.length == len(body)
    return body


@given(st.lists(st.binary(max_size=200)), st.binary(max_size=200))
def test_each_coding_has_the_same_content(parts: list[bytes], end: bytes) -> None:
    own, content, whole = Codings(), GzipBody.of(parts), b"".join(parts) + end
    assert _body(_ask(own, content, end, "")) == whole
    assert gzip.decompress(_body(_ask(own, content, end, "gzip"))) == whole
    response = _ask(own, content, end, "zstd")
    assert dict(response.headers)["content-encoding"] == "zstd"
    assert dict(response.headers)["vary"] == "accept-encoding"
    assert _ZSTD.decompress(_body(response)) == whole


class _Counted:
    """Counts the compressors that are made, and is one."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self._one = _ZSTD.ZstdCompressor()

    def compress(self, data: bytes) -> bytes:
        return bytes(self._one.compress(data))

    def flush(self) -> bytes:
        return bytes(self._one.flush())


def test_a_content_is_compressed_once_and_only_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codings, "zstd_compressor", lambda: _Counted)
    monkeypatch.setattr(_Counted, "made", 0)
    own, first, second = Codings(), GzipBody.of([b"a" * 300_000]), GzipBody.of([b"b"])
    _ask(own, first, b"end", "gzip")
    _ask(own, first, b"end", "")
    assert _Counted.made == 0
    for _ in range(3):
        _ask(own, first, b"end", "zstd")
    assert _Counted.made == 1 + 3, "the content once, and each end"
    _ask(own, second, b"end", "gzip")  # other content is served: what is kept of the first goes
    assert _Counted.made == 4
    _ask(own, first, b"end", "zstd")
    assert _Counted.made == 6


def test_without_a_library_zstd_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codings, "_LOADERS", (partial(import_module, "no_such_module"),))
    zstd_compressor.cache_clear()
    try:
        response = _ask(Codings(), GzipBody.of([b"x"]), b"y", "zstd")
    finally:
        zstd_compressor.cache_clear()
    assert "content-encoding" not in dict(response.headers)
    assert _body(response) == b"xy"
