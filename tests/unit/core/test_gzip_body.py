import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.gzip_body import GzipBody, JoinedBodies

_PARTS = st.lists(st.binary(max_size=200) | st.integers(0, 300_000).map(bytes), max_size=8)


@given(_PARTS, st.binary())
def test_a_body_and_its_end_are_one_gzip_member(parts: list[bytes], end: bytes) -> None:
    whole = b"".join(parts)
    body = GzipBody.of(parts)
    assert body.length == len(whole)
    assert gzip.decompress(b"".join(body.member(end))) == whole + end


@given(_PARTS)
def test_it_is_inflated_in_parts_of_a_bounded_size(parts: list[bytes]) -> None:
    inflated = list(GzipBody.of(parts).plain())
    assert b"".join(inflated) == b"".join(parts)
    assert max(map(len, inflated)) <= 64 * 1024


@given(st.lists(_PARTS, max_size=5), st.binary())
def test_bodies_that_are_joined_are_the_body_of_all(bodies: list[list[bytes]], end: bytes) -> None:
    whole = b"".join(part for parts in bodies for part in parts)
    joined = GzipBody.joined(map(GzipBody.of, bodies))
    assert (joined.checksum, joined.length) == (zlib.crc32(whole), len(whole))
    for one in (joined, joined.packed(), GzipBody.joined([joined, GzipBody.joined([])])):
        assert gzip.decompress(b"".join(one.member(end))) == whole + end
        assert one.finish(end) == whole + end


@given(st.lists(st.lists(st.integers(0, 60), max_size=50), max_size=4))
def test_bodies_that_are_joined_again_and_again_are_the_body_of_all(times: list[list[int]]) -> None:
    joined = JoinedBodies()
    bodies = [GzipBody.of([bytes([number]) * number]) for number in range(61)]
    for numbers in times:
        some = [bodies[number] for number in numbers]
        assert joined.update(some) == GzipBody.joined(some).packed()


def test_bodies_that_are_as_they_were_are_not_joined_again() -> None:
    joined = JoinedBodies()
    bodies = [GzipBody.of([b"%d" % number]) for number in range(40)]
    assert joined.update(bodies) is joined.update([*bodies])
