"""Bolt databases page by page: which of them are read, and which are refused."""

import contextlib
import random
import struct
import sys
from types import FrameType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.core.measured import Reason
from exporter.demo.bolt import PAGE, Tree, bolt, fnv, leaf, meta
from exporter.inventory.files import bolt as module
from exporter.inventory.files import bolt_pages as pages_module
from exporter.inventory.files.bolt import BoltError, Bucket, Read, read_bolt

_HEADER = struct.Struct("<QHHI")
_LEAF_KIND, _BRANCH_KIND = 2, 1


def _reader(content: bytes) -> Read:
    return lambda length, offset: content[offset : offset + length]


def _page(number: int, kind: int, count: int, body: bytes, overflow: int = 0) -> bytes:
    return (_HEADER.pack(number, kind, count, overflow) + body).ljust((overflow + 1) * PAGE, b"\0")


def _branch(number: int, *below: int) -> bytes:
    """A branch page; its elements' keys are not looked at."""
    return _page(number, _BRANCH_KIND, len(below), b"".join(struct.pack("<IIQ", 0, 0, one) for one in below))


def _database(*pages: bytes, root: int = 3) -> bytes:
    """A database with these pages after the first three; all are in use."""
    used = 3 + len(b"".join(pages)) // PAGE
    return meta(0, 6, root, used) + meta(1, 7, root, used) + b"\0" * PAGE + b"".join(pages)


def _values(content: bytes) -> dict[bytes, bytes]:
    return {**read_bolt(_reader(content)).values}


def test_what_lies_in_the_leaves_below_branches_is_all_read() -> None:
    leaves = [leaf(number, {f"k{number}": f"v{number}".encode()}).ljust(PAGE, b"\0") for number in (5, 6, 7)]
    content = _database(_branch(3, 4, 7), _branch(4, 5, 6), *leaves)
    assert _values(content) == {b"k5": b"v5", b"k6": b"v6", b"k7": b"v7"}


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.binary(max_size=6000), max_size=5))
@example({"a": b"x" * (3 * PAGE), "b": b"y"})
def test_values_of_any_length_are_read_also_over_many_pages(values: dict[str, bytes]) -> None:
    assert _values(bolt(dict(values))) == {name.encode(): value for name, value in values.items()}


def test_a_page_that_names_another_place_is_refused() -> None:
    good = leaf(3, {"a": b"1"}).ljust(PAGE, b"\0")
    assert _values(_database(good)) == {b"a": b"1"}
    with pytest.raises(BoltError, match="wrong place"):
        _values(_database(b"\4" + good[1:]))
    branched = leaf(5, {"a": b"1"}).ljust(PAGE, b"\0")
    assert _values(_database(_branch(3, 5), b"\0" * PAGE, branched)) == {b"a": b"1"}
    with pytest.raises(BoltError, match="wrong place"):
        _values(_database(_branch(3, 4), branched))


def test_a_page_that_is_met_twice_is_refused() -> None:
    with pytest.raises(BoltError, match="two places"):
        _values(_database(_branch(3, 4), _branch(4, 3)))
    with pytest.raises(BoltError, match="two places"):
        _values(_database(_branch(3, 4, 4), leaf(4, {}).ljust(PAGE, b"\0")))


@pytest.mark.parametrize(("depth", "good"), [(64, True), (65, False)])
def test_branches_are_followed_to_a_depth_that_no_database_has(depth: int, good: bool) -> None:
    branches = [_branch(3 + number, 4 + number) for number in range(depth)]
    content = _database(*branches, leaf(3 + depth, {"a": b"1"}).ljust(PAGE, b"\0"))
    if good:
        assert _values(content) == {b"a": b"1"}
    else:
        with pytest.raises(BoltError, match="nested too deep"):
            _values(content)


@pytest.mark.parametrize(("depth", "good"), [(64, True), (65, False)])
def test_buckets_in_buckets_are_followed_to_such_a_depth_as_well(depth: int, good: bool) -> None:
    tree: Tree = {"last": b"1"}
    for _ in range(depth):
        tree = {"b": tree}
    if not good:
        with pytest.raises(BoltError, match="nested too deep"):
            read_bolt(_reader(bolt(tree)))
        return
    bucket = read_bolt(_reader(bolt(tree)))
    for _ in range(depth):
        bucket = bucket.buckets[b"b"]
    assert bucket.values == {b"last": b"1"}


def test_a_bucket_with_pages_of_its_own_is_read_and_named() -> None:
    element = struct.pack("<IIII", 1, 16, 1, 16) + b"b" + struct.pack("<QQ", 4, 0)
    content = _database(_page(3, _LEAF_KIND, 1, element), leaf(4, {"k": b"v"}).ljust(PAGE, b"\0"))
    assert read_bolt(_reader(content)).buckets == {b"b": Bucket({b"k": b"v"})}
    assert read_bolt(_reader(content), b"b") == Bucket({b"k": b"v"})


def test_only_a_bucket_is_found_by_its_name() -> None:
    content = bolt({"a": b"value", "b": {"k": b"v"}})
    with pytest.raises(BoltError, match="bucket"):
        read_bolt(_reader(content), b"a")
    assert read_bolt(_reader(content), b"b").values == {b"k": b"v"}


def test_a_page_of_another_kind_and_a_small_bucket_that_is_no_leaf_are_refused() -> None:
    with pytest.raises(BoltError, match="unknown kind"):
        _values(_database(_page(3, 16, 0, b"")))
    element = struct.pack("<IIII", 1, 16, 1, 32) + b"b" + struct.pack("<QQ", 0, 0) + _HEADER.pack(0, _BRANCH_KIND, 0, 0)
    with pytest.raises(BoltError, match="inline bucket"):
        _values(_database(_page(3, _LEAF_KIND, 1, element)))


@pytest.mark.parametrize(("key", "value", "good"), [(1, PAGE - 33, True), (1, PAGE - 32, False), (PAGE - 31, 0, False)])
def test_a_key_or_value_that_does_not_end_within_its_page_is_refused(key: int, value: int, good: bool) -> None:
    content = _database(_page(3, _LEAF_KIND, 1, struct.pack("<IIII", 0, 16, key, value)))
    if good:
        assert [len(one) for one in _values(content).values()] == [value]
    else:
        with pytest.raises(BoltError, match="ends too early"):
            _values(content)


def _damaged(number: int, at: int, value: bytes, *, summed: bool = False) -> bytes:
    """A meta page with other bytes at an offset after its header; `summed` gives it the right checksum."""
    page = bytearray(meta(number, 9, root=77))
    page[16 + at : 16 + at + len(value)] = value
    if summed:
        page[16 + 56 : 16 + 64] = struct.pack("<Q", fnv(bytes(page[16 : 16 + 56])))
    return bytes(page)


@pytest.mark.parametrize(
    "newer",
    [
        _damaged(0, 48, struct.pack("<Q", 10)),  # the transaction, without a new checksum
        _damaged(0, 56, struct.pack("<Q", 1)),  # the checksum itself
        _damaged(0, 0, struct.pack("<I", 1), summed=True),  # magic
        _damaged(0, 4, struct.pack("<I", 3), summed=True),  # version
        _damaged(0, 8, struct.pack("<I", 4095), summed=True),  # page size
        _damaged(0, 8, struct.pack("<I", 512), summed=True),
        b"\0" * PAGE,
    ],
)
def test_of_two_meta_pages_the_whole_one_is_taken(newer: bytes) -> None:
    """The newer one names a root that is not there; it is not believed."""
    whole = bolt({"a": b"1"})
    assert _values(newer + whole[PAGE:]) == {b"a": b"1"}
    with pytest.raises(BoltError):
        _values(meta(0, 9, root=77) + whole[PAGE:])


def test_a_second_meta_page_is_believed_only_where_the_pages_size_puts_it() -> None:
    content = bytearray(bolt({"a": b"1"}) + b"\0" * (20 * PAGE))
    content[2 * PAGE : 3 * PAGE] = meta(1, 99, root=77)
    assert _values(bytes(content)) == {b"a": b"1"}


@pytest.mark.parametrize("size", [1 << bits for bits in range(10, 17)])
def test_databases_are_read_with_every_size_of_page_that_an_engine_may_have_used(size: int) -> None:
    def laid_out(page: bytes, number: int) -> bytes:
        body = bytearray(page[:16] + page[16 : 16 + 64])
        body[16 + 8 : 16 + 12] = struct.pack("<I", size)
        body[16 + 56 : 16 + 64] = struct.pack("<Q", fnv(bytes(body[16 : 16 + 56])))
        return bytes(body).ljust(size, b"\0")

    metas = [laid_out(meta(number, 6 + number), number) for number in (0, 1)]
    content = b"".join(metas) + b"\0" * size + leaf(3, {"a": b"1"}).ljust(size, b"\0")
    assert _values(content) == {b"a": b"1"}
    assert _values(b"\0" * size + content[size:]) == {b"a": b"1"}


def test_a_database_that_is_damaged_and_still_is_not_read_again() -> None:
    content, reads = _database(_page(3, 16, 0, b"")), 0

    def read(length: int, offset: int) -> bytes:
        nonlocal reads
        reads += (offset, length) == (0, 4 * PAGE)
        return content[offset : offset + length]

    with pytest.raises(BoltError, match="unknown kind"):
        read_bolt(read)
    assert reads == 1


@pytest.mark.parametrize("large", [False, True])
def test_a_page_that_is_broken_because_of_a_commit_is_read_again(large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page was written over while it was read; the next try finds the database whole."""
    new, broken = bolt({"a": b"new"}), _database(_page(3, 16, 0, b""))
    new, committed = meta(0, 8) + new[PAGE:], False
    monkeypatch.setattr(module, "MAX_BYTES", PAGE if large else 4 * PAGE)

    def read(length: int, offset: int) -> bytes:
        nonlocal committed
        content = new if committed else broken
        committed = committed or offset + length > 3 * PAGE
        return content[offset : offset + length]

    assert read_bolt(read).values == {b"a": b"new"}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(("commits", "good"), [(8, True), (9, False)])
def test_a_database_is_read_nine_times_at_most(
    commits: int, good: bool, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, transaction, reads = bolt({"a": b"1"}), 7, 0
    monkeypatch.setattr(module, "MAX_BYTES", PAGE if large else 4 * PAGE)

    def read(length: int, offset: int) -> bytes:
        nonlocal content, transaction, reads
        piece = content[offset : offset + length]
        if offset <= 3 * PAGE < offset + length:  # what follows the meta pages is read
            reads += 1
            transaction += reads <= commits
            content = meta(0, transaction) + meta(1, transaction - 1) + content[2 * PAGE :]
        return piece

    if good:
        assert read_bolt(read).values == {b"a": b"1"}
    else:
        with pytest.raises(BoltError, match="changes all the time") as raised:
            read_bolt(read)
        assert raised.value.reason is Reason.CHANGING
    assert reads == 9


def test_a_read_may_return_less_than_it_was_asked_for() -> None:
    content = bolt({"a": b"x" * 9000})
    assert read_bolt(lambda length, at: content[at : at + min(length, 1000)]).values == {b"a": b"x" * 9000}


def test_what_was_never_in_use_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file never shrinks, and grows in steps."""
    monkeypatch.setattr(module, "MAX_BYTES", 4 * PAGE)
    content = bolt({"a": b"1"}) + b"\xff" * (9 * PAGE)
    asked: list[int] = []

    def read(length: int, offset: int) -> bytes:
        asked.append(offset + length)
        return content[offset : offset + length]

    assert read_bolt(read).values == {b"a": b"1"}
    assert max(asked) == 4 * PAGE


def test_of_a_database_that_was_large_what_is_in_use_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 2 * PAGE)
    free = b"\xff" * (40 * PAGE)
    content = _database(_branch(3, 44), free, leaf(44, {"a": b"1"}).ljust(PAGE, b"\0"))
    asked = 0

    def read(length: int, offset: int) -> bytes:
        nonlocal asked
        asked += length
        return content[offset : offset + length]

    assert read_bolt(read).values == {b"a": b"1"}
    assert asked < 3 * PAGE


def test_more_in_use_than_is_read_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_module, "MAX_PAGE_BYTES", 2 * PAGE)
    leaves = [leaf(number, {f"k{number}": b""}).ljust(PAGE, b"\0") for number in (4, 5)]
    assert len(_values(_database(_branch(3, 4), *leaves))) == 1
    with pytest.raises(BoltError, match="more in use") as raised:
        _values(_database(_branch(3, 4, 5), *leaves))
    assert raised.value.reason is Reason.TOO_LARGE
    monkeypatch.setattr(pages_module, "MAX_VALUE_BYTES", 9)
    assert len(_values(bolt({"a": b"1234", "b": b"123"}))) == 2
    for more in (bolt({"a": b"1234", "b": b"1234"}), bolt({"a": b"1234", "bb": {"c": b"12"}, "d": b"3"})):
        with pytest.raises(BoltError, match="more in its values") as raised:
            _values(more)
        assert raised.value.reason is Reason.TOO_LARGE
    monkeypatch.setattr(pages_module, "MAX_ELEMENTS", 2)
    assert len(_values(bolt({"a": b"", "b": b""}))) == 2
    with pytest.raises(BoltError, match="more than 2 elements") as raised:
        _values(bolt({"a": b"", "b": {"c": b""}}))
    assert raised.value.reason is Reason.TOO_LARGE


def _elements(*elements: tuple[int, int, int, int], body: bytes = b"") -> bytes:
    """A database with one leaf of elements (flags, offset, length of the key, length of the value)."""
    return _database(
        _page(3, _LEAF_KIND, len(elements), b"".join(struct.pack("<IIII", *one) for one in elements) + body)
    )


@pytest.mark.parametrize(
    "content",
    [
        _elements((0, 32, 1, 8), (0, 16, 2, 8), body=b"abcdefghijkl"),  # the same value
        _elements((0, 33, 1, 1), (0, 16, 1, 1), body=b"bca"),  # the other way round
        _elements((0, 15, 1, 1)),  # within its own header
        _elements((0, 16, 1, 1), (0, 17, 1, 1), body=b"abcd"),  # in the next one's
    ],
)
def test_elements_that_share_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(BoltError, match="share bytes"):
        _values(content)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 4), st.integers(0, 1500)), min_size=1, max_size=60))
def test_of_elements_of_any_place_and_size_come_no_more_bytes_than_the_page_has(
    elements: list[tuple[int, int, int]],
) -> None:
    body = random.Random(len(elements)).randbytes(PAGE - 16 - 16 * len(elements))
    with contextlib.suppress(BoltError):
        values = _values(_elements(*((0, *one) for one in elements), body=body))
        assert sum(len(key) + len(value) for key, value in values.items()) <= PAGE


def test_keys_that_do_not_ascend_are_refused() -> None:
    for second in (b"a", b"0"):
        with pytest.raises(BoltError, match="out of order"):
            _values(_elements((0, 32, 1, 0), (0, 17, 1, 0), body=b"a" + second))
    leaves = [leaf(number, {key: b""}).ljust(PAGE, b"\0") for number, key in ((4, "b"), (5, "a"))]
    assert list(_values(_database(_branch(3, 5, 4), *leaves))) == [b"a", b"b"]
    with pytest.raises(BoltError, match="out of order"):
        _values(_database(_branch(3, 4, 5), *leaves))


@pytest.mark.parametrize("number", [0, 1, 5, 1 << 63, (1 << 64) - 1])
def test_a_page_that_is_not_in_use_is_not_followed(number: int) -> None:
    inside = leaf(4, {"a": b"1"}).ljust(PAGE, b"\0")
    with pytest.raises(BoltError, match="not in use"):
        _values(_database(_branch(3, number), inside))
    with pytest.raises(BoltError, match="not in use"):
        _values(meta(0, 8, root=number, pages=5) + _database(inside)[PAGE:])


@pytest.mark.parametrize("pages", [1 << 50, (1 << 64) - 1])
def test_meta_pages_that_tell_of_an_endless_file_are_no_reason_to_read_it(pages: int) -> None:
    whole = bolt({"a": b"1"})
    assert _values(meta(0, 8, pages=pages) + whole[PAGE:]) == {b"a": b"1"}
    with pytest.raises(BoltError, match="ends too early"):
        _values(meta(0, 8, root=1 << 49, pages=pages) + whole[PAGE:])


@pytest.mark.parametrize("further", [1, (1 << 32) - 1])
def test_a_page_that_goes_on_over_others_is_refused(further: int) -> None:
    with pytest.raises(BoltError, match="goes on over"):
        _values(_database(_HEADER.pack(3, _LEAF_KIND, 0, further).ljust(PAGE, b"\0")))
    shared = _page(4, _LEAF_KIND, 0, b"", 1)[:PAGE] + leaf(5, {"a": b"1"}).ljust(PAGE, b"\0")
    with pytest.raises(BoltError, match="two places"):
        _values(_database(_branch(3, 4, 5), shared))


def test_counts_that_lie_are_refused() -> None:
    for count in (256, 65535):
        with pytest.raises(BoltError, match="ends too early"):
            _values(_database(_page(3, _LEAF_KIND, count, b"")))
        with pytest.raises(BoltError, match="without what is below"):
            _values(_database(_page(3, _BRANCH_KIND, count, b"")))
    with pytest.raises(BoltError, match="without what is below"):
        _values(_database(_branch(3)))


def test_small_buckets_in_small_buckets_cost_no_more_steps_than_they_have_bytes() -> None:
    """Each element has bytes of its own, however deep it lies."""
    tree: Tree = {f"{number:03}": b"" for number in range(40)}
    for level in range(60):
        tree = {f"{number:03}": b"" for number in range(40)} | {f"x{level:02}": tree}
    content, steps = bolt(tree), 0

    def counted(frame: FrameType, event: str, _: object) -> None:
        nonlocal steps
        steps += event == "call" and frame.f_code.co_name == "_collect"

    sys.setprofile(counted)
    try:
        read_bolt(_reader(content))
    finally:
        sys.setprofile(None)
    assert steps < len(content) // 8
