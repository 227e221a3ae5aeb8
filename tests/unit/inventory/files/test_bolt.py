"""Bolt databases, whole, damaged and written to while they are read."""

import contextlib
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.demo.bolt import PAGE, Tree, bolt, meta
from exporter.inventory.files.bolt import BoltError, Bucket, read_bolt

_TREE: Tree = {"a": {"k": b"v", "inner": {"deep": b"x" * 9000}}, "b": {}, "c": {"e": b""}}


def _reader(content: bytes) -> Callable[[int, int], bytes]:
    return lambda length, offset: content[offset : offset + length]


def test_values_and_buckets_are_read_at_any_depth() -> None:
    found = read_bolt(_reader(bolt(_TREE)))
    assert found.buckets[b"a"].values == {b"k": b"v"}
    assert found.buckets[b"a"].buckets[b"inner"].values == {b"deep": b"x" * 9000}
    assert found.buckets[b"c"].values == {b"e": b""}
    assert read_bolt(_reader(bolt(_TREE)), b"a") == found.buckets[b"a"]


def test_only_an_empty_database_has_not_the_bucket_that_is_asked_for() -> None:
    """A name that was damaged must not make its bucket an empty one."""
    assert read_bolt(_reader(bolt({})), b"none") == Bucket()
    with pytest.raises(BoltError, match="bucket"):
        read_bolt(_reader(bolt(_TREE)), b"none")


def test_the_newer_whole_meta_page_counts() -> None:
    content = bolt(_TREE)
    torn = content[:PAGE] + b"\0" * PAGE + content[2 * PAGE :]
    assert read_bolt(_reader(torn)) == read_bolt(_reader(content))
    newer = meta(0, 9, root=77) + content[PAGE:]
    with pytest.raises(BoltError):
        read_bolt(_reader(newer))


@given(st.integers(0, 2**32))
def test_damage_is_an_error_or_a_value_and_nothing_else(seed: int) -> None:
    chance, content = random.Random(seed), bytearray(bolt(_TREE))
    for _ in range(chance.randrange(1, 30)):
        content[chance.randrange(2 * PAGE, len(content))] = chance.randrange(256)
    del content[chance.randrange(3 * PAGE, len(content) + 1) :]
    with contextlib.suppress(BoltError):
        assert isinstance(read_bolt(_reader(bytes(content))), Bucket)


def test_what_is_no_database_is_an_error() -> None:
    for content in (b"", b"\0" * 100, b"x" * 20_000):
        with pytest.raises(BoltError):
            read_bolt(_reader(content))
