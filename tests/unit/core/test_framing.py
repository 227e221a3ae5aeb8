import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.framing import HEADER_BYTES, MAX_FRAME_BYTES, Frame, FrameReader, ProtocolError, frame, read_frame


def _raw(pieces: Iterable[bytes]) -> bytes:
    return b"".join(pieces)


_bodies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(_bodies, max_size=4), st.lists(st.integers(1, 40), max_size=8))
def test_frames_come_out_whole_wherever_the_stream_is_cut(bodies: list[object], cuts: list[int]) -> None:
    stream = b"".join(_raw(frame(body)) for body in bodies)
    reader, frames = FrameReader(), []
    for length in [*cuts, len(stream)]:
        frames += reader.feed(stream[:length])
        stream = stream[length:]
    assert frames == [Frame(body) for body in bodies]


def test_bytes_are_parts_behind_the_body_and_neither_encoded_nor_copied() -> None:
    large = b"\xff" * 100_000
    pieces = frame(["a", large, b"", {"again": large}])
    assert pieces[1] is large
    (received,) = FrameReader().feed(_raw(pieces))
    assert received == Frame(["a", 0, 1, {"again": 0}], (large, b""))


def test_names_that_are_not_utf8_come_through() -> None:
    (received,) = FrameReader().feed(_raw(frame("a\udcff\udc80")))
    assert received.body == "a\udcff\udc80"


def _header(body: int, parts: int) -> bytes:
    return body.to_bytes(4, "big") + parts.to_bytes(HEADER_BYTES - 4, "big")


@pytest.mark.parametrize(
    "raw",
    [
        _header(MAX_FRAME_BYTES, 1),
        _header(2, 0) + b"{}",
        _header(2, 0) + b"[]",
        _header(3, 0) + b"\x80\x04N",
        _header(8, 0) + b"[[2],[1]",
        _header(7, 3) + b"[[2],0]" + b"xyz",
        _header(10, 0) + b"[[-1,1],0]",
        _header(5, 0) + b"[0,0]",
        _header(200_000, 0) + b"[" * 200_000,
    ],
)
def test_what_is_no_frame_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        FrameReader().feed(raw)

    async def read() -> Frame:
        stream = asyncio.StreamReader()
        stream.feed_data(raw)
        stream.feed_eof()
        return await read_frame(stream.readexactly)

    with pytest.raises(ProtocolError):
        asyncio.run(read())


def test_a_frame_is_read_from_a_stream_part_by_part() -> None:
    async def read() -> tuple[Frame, list[int]]:
        stream = asyncio.StreamReader()
        stream.feed_data(_raw(frame([b"one", b"two2", 5])))
        asked: list[int] = []

        async def read_exactly(count: int) -> bytes:
            asked.append(count)
            return await stream.readexactly(count)

        return await read_frame(read_exactly), asked

    received, asked = asyncio.run(read())
    assert received == Frame([0, 1, 5], (b"one", b"two2"))
    assert asked[2:] == [3, 4]


def test_what_json_does_not_know_is_not_sent() -> None:
    with pytest.raises(TypeError, match="object cannot be sent"):
        frame(object())
