"""What earlier readings of a database have decoded is used again only where the bytes are the same."""

import gc
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.demo.bolt import PAGE, bolt
from exporter.inventory.files import bolt_pages
from exporter.inventory.files.bolt import BoltError, Bucket, BucketCache, ConvertedError, read_bolt

_NAMES = st.binary(min_size=1, max_size=3)
_VALUES = st.binary(max_size=4) | st.binary(min_size=300, max_size=301)
_TREES = st.recursive(
    st.dictionaries(_NAMES, _VALUES, max_size=4),
    lambda below: st.dictionaries(_NAMES, _VALUES | below, max_size=6),
    max_leaves=12,
)


def _reader(content: bytes) -> Callable[[int, int], bytes]:
    return lambda length, offset: content[offset : offset + length]


def _objects(count: int, **changed: bytes) -> dict[str, Any]:
    """A bucket of buckets with labels, as containerd's are: each has a page of its own, but for the labels."""
    return {"v1": {f"{at:04}": {"a": changed.get(f"n{at}", b"x"), "labels": {"l": b"y"}} for at in range(count)}}


@given(st.lists(_TREES, min_size=2, max_size=5))
def test_a_database_is_read_the_same_with_what_was_decoded_before(states: list[dict[bytes, Any]]) -> None:
    cache = BucketCache()
    for state in states:
        content = bolt(state)
        assert read_bolt(_reader(content), None, cache) == read_bolt(_reader(content))


@given(st.lists(st.tuples(st.integers(3 * PAGE, 9 * PAGE), st.integers(0, 255)), max_size=3))
def test_damage_is_found_with_what_was_decoded_before(places: list[tuple[int, int]]) -> None:
    cache = BucketCache()
    read_bolt(_reader(bolt(_objects(6))), b"v1", cache)
    content = bytearray(bolt(_objects(6)))
    for at, value in places:
        content[at % len(content)] = value

    def outcome(known: BucketCache | None) -> Bucket | str:
        try:
            return read_bolt(_reader(bytes(content)), b"v1", known)
        except BoltError as error:
            return str(error)

    assert outcome(cache) == outcome(None)


def test_only_what_changed_is_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = 0
    real = bolt_pages.Pages._collect

    def counted(self: bolt_pages.Pages, *arguments: Any, **named: Any) -> Any:
        nonlocal decoded
        decoded += 1
        return real(self, *arguments, **named)

    monkeypatch.setattr(bolt_pages.Pages, "_collect", counted)
    cache = BucketCache()
    first = read_bolt(_reader(bolt(_objects(200))), b"v1", cache)
    assert decoded > 200
    decoded = 0
    second = read_bolt(_reader(bolt(_objects(200, n7=b"z"))), b"v1", cache)
    assert decoded < 5
    assert second.buckets[b"0007"].values == {b"a": b"z"}
    same = [name for name, one in second.buckets.items() if one is first.buckets[name]]
    assert len(same) == 199


def test_what_is_the_same_after_a_change_is_the_same_object() -> None:
    """Also where it has moved to another page, or in the part that was decoded again."""
    cache = BucketCache()
    texts: list[Mapping[str, tuple[bytes, ...]]] = [{}]
    for state in (_objects(200), _objects(200, n7=b"z"), _objects(201, n7=b"z"), {"v0": {}, **_objects(150)}):
        bucket = read_bolt(_reader(bolt(state)), b"v1", cache)
        texts.append(bucket.each(_converted, texts[-1]))
        assert texts[-1] == {name.decode(): _converted(one) for name, one in _fresh(state).buckets.items()}
    first, second, third, last = texts[1:]
    assert [name for name, one in second.items() if one is not first[name]] == ["0007"]
    assert [name for name, one in third.items() if one is not second.get(name)] == ["0200"]
    assert [name for name, one in last.items() if one is not third[name]] == ["0007"]


def test_a_known_page_that_is_written_over_before_it_is_read_again_is_no_trouble() -> None:
    """Of a page only a hash is kept: where a page below it has changed, its bytes are read again."""
    cache = BucketCache()
    spoiled: list[int] = []
    read_bolt(_reader(bolt(_objects(200))), b"v1", cache)
    content = bolt(_objects(200, n190=b"z"))

    def read(length: int, offset: int) -> bytes:
        if offset >= 2 * PAGE and length < PAGE and not spoiled:
            spoiled.append(offset)
            return b"x" * length
        return content[offset : offset + length]

    assert read_bolt(read, b"v1", cache) == read_bolt(_reader(content), b"v1")
    assert spoiled


def test_what_lies_in_a_converted_bucket_is_read_again_where_that_has_changed() -> None:
    """The inner bucket has a page of its own, which stays as it was. What was in it was given up with the outer one."""

    def state(text: bytes) -> bytes:
        return bolt({"v1": {f"{at}": {"a": text, "inner": {"k": b"v" * 3000}} for at in range(9)}})

    def convert(bucket: Bucket) -> tuple[bytes, int]:
        return bucket.values[b"a"], len(bucket.buckets[b"inner"].values[b"k"])

    cache = BucketCache()
    for text in (b"x", b"y", b"y", b"z"):
        found = read_bolt(_reader(state(text)), b"v1", cache).each(convert)
        assert list(found.values()) == [(text, 3000)] * 9
        assert sum(len(one) for one in _below(cache) if isinstance(one, bytes)) < 3000


def test_the_bytes_of_pages_are_not_kept() -> None:
    cache = BucketCache()
    value = b"0123456789" * 100
    content = bolt({"v1": {f"{at:02}": {"a": value, "labels": {"l": b"y"}} for at in range(90)}})
    read_bolt(_reader(content), b"v1", cache).each(lambda one: len(one.values[b"a"]))
    assert sum(len(one) for one in _below(cache) if isinstance(one, bytes)) < len(value)


def _below(top: object) -> list[object]:
    """All objects that one refers to, and what these refer to; no classes, modules and functions."""
    found, pending = {id(top): top}, [top]
    while pending:
        for one in gc.get_referents(pending.pop()):
            if id(one) not in found and not isinstance(one, type | ModuleType | FunctionType):
                found[id(one)] = one
                pending.append(one)
    return list(found.values())


def _fresh(state: dict[str, Any]) -> Bucket:
    return read_bolt(_reader(bolt(state)), b"v1")


def _converted(bucket: Bucket) -> tuple[bytes, ...]:
    return (bucket.values[b"a"],)


def test_what_a_bucket_was_made_into_is_kept_with_it() -> None:
    cache = BucketCache()
    made = []

    def convert(bucket: Bucket) -> int:
        made.append(bucket)
        return len(made)

    for _ in range(3):
        found = read_bolt(_reader(bolt(_objects(3))), b"v1", cache)
        assert [one.once(convert) for one in found.buckets.values()] == [1, 2, 3]
    one = found.buckets[b"0000"]
    for ask in (lambda: one.once(str), lambda: one.each(str), lambda: one.values, lambda: one.buckets):
        with pytest.raises(ConvertedError):  # what is in it was given up for what was made
            ask()
