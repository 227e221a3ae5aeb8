"""Decodes the pages of a bolt database into buckets, in time and memory proportional to the bytes of these pages.

Format: etcd-io/bbolt v1.3 page.go, bucket.go, node.go (write). Pages may be damaged or hostile. Each page is taken at
most once. Within a page, the elements are followed by their keys and values in the same order, so two of them never
share a byte. A small bucket lies in the value of its element, and its elements in there.

A page that was decoded is remembered with its bytes (`BucketCache`). The next reading decodes a page only where its
bytes are others, or those of a page below it.
"""

import struct
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar, cast

from exporter.core.measured import Reason

#: The header of a page: number, kind, count of elements, number of further pages that it goes on over.
PAGE = struct.Struct("<QHHI")
#: Magic, version, page size, flags, root page, sequence, free list, pages, transaction, checksum.
META = struct.Struct("<IIIIQQQQQQ")
_BRANCH, _LEAF = 0x01, 0x02
_BUCKET = 0x01
_BRANCH_ELEMENT = struct.Struct("<IIQ")
_LEAF_ELEMENT = struct.Struct("<IIII")
_BUCKET_HEADER = struct.Struct("<QQ")
#: Pages below one page that are kept as one set of numbers.
_MOST_TOGETHER = 64
_FIRST = 2  # the pages before are the meta pages
_MOST_DEPTH = 64
_LARGEST_OFFSET = 1 << 62
#: What is read of one database: pages (those of a database that is read at once are fewer), elements, and bytes of keys
#: and values. A BuildKit record has a page or less, about fifteen elements, and 700 bytes. An element takes about 200
#: bytes of memory.
MAX_PAGE_BYTES = 512 * 1024 * 1024
MAX_ELEMENTS = 1_000_000
MAX_VALUE_BYTES = 64 * 1024 * 1024

#: What a bucket has after it was converted. It is never changed.
_NOTHING: dict[bytes, Any] = {}


class BoltError(Exception):
    """The file is no bolt database, a damaged one, too large, or one that changes all the time."""

    def __init__(self, message: str, reason: Reason = Reason.DECODE) -> None:
        super().__init__(message)
        self.reason = reason


class ConvertedError(Exception):
    """A bucket is asked for in another way than the one in which it was converted: what is in it was given up."""


T = TypeVar("T")


def word(raw: bytes | None) -> str:
    """A text, "" where it is missing. Bytes that are no UTF-8 stay apart from each other.

    Texts are shared: a digest stands in the rows of its blob, of what refers to it, and of leases.
    """
    return sys.intern((raw or b"").decode("utf-8", "surrogateescape"))


class Bucket:
    """One bucket: its values and the buckets in it, by name.

    One of several leaf pages has a part for each. A part without a change is the same object in the next reading, and
    so is a bucket.
    """

    __slots__ = ("_buckets", "_made", "_parts", "_values")

    def __init__(
        self,
        values: dict[bytes, bytes] | None = None,
        buckets: "dict[bytes, Bucket] | None" = None,
        parts: "tuple[Bucket, ...]" = (),
    ) -> None:
        self._values = _NOTHING if values is None else values
        self._buckets = _NOTHING if buckets is None else buckets
        self._parts = parts
        #: The function that converted this bucket, or those in it, and what it made.
        self._made: tuple[object, object] | None = None

    @property
    def values(self) -> Mapping[bytes, bytes]:
        """The values; raises ConvertedError."""
        self._require_content()
        if not self._parts:
            return self._values
        return {key: value for part in self._parts for key, value in part.values.items()}

    @property
    def buckets(self) -> "Mapping[bytes, Bucket]":
        """The buckets in it; raises ConvertedError."""
        self._require_content()
        if not self._parts:
            return self._buckets
        return {key: one for part in self._parts for key, one in part.buckets.items()}

    @property
    def parts(self) -> "tuple[Bucket, ...]":
        """The buckets of its leaf pages: itself, where it has one."""
        return self._parts or (self,)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bucket):
            return NotImplemented
        return self.values == other.values and self.buckets == other.buckets

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Bucket({self.values!r}, {self.buckets!r})"

    def once(self, convert: Callable[["Bucket"], T], before: T | None = None) -> T:
        """What `convert` makes of this bucket. It is kept: a bucket without a change is in the next reading, too.

        `before` is what the last reading had in this place. It is returned where it is equal.
        What is in the bucket is given up then: thousands of them would take more memory than what was made of them.
        So all calls have the same `convert`; raises ConvertedError for another one.
        """
        if self._made is None:
            made = convert(self)
            self._note(convert, before if before is not None and made == before else made)
        return cast("T", self._made_by(convert))

    def each(self, convert: Callable[["Bucket"], T], before: Mapping[str, T] = {}) -> Mapping[str, T]:
        """What `convert` makes of each bucket in this one, by name. See `once`; nobody may change the mapping."""
        if self._made is None:
            if self._parts:
                made: dict[str, T] = {}
                for part in self._parts:
                    made.update(part.each(convert, before))
            else:
                names = ((word(key), one) for key, one in self._buckets.items())
                made = {name: one.once(convert, before.get(name)) for name, one in names}
            self._note(convert, made)
        return cast("Mapping[str, T]", self._made_by(convert))

    def _require_content(self) -> None:
        if self._made is not None:
            raise ConvertedError

    def _note(self, convert: object, made: object) -> None:
        self._made = convert, made
        self._values, self._buckets = _NOTHING, _NOTHING

    def _made_by(self, convert: object) -> object:
        assert self._made is not None, "noted before"
        if self._made[0] is not convert:
            raise ConvertedError
        return self._made[1]


class _PageNode:
    """A page that was decoded, and the sums over all pages below it: of the branches, and of the buckets in the leaves.

    `span`: over how many pages it goes. `bucket`: what the tree below it has. `numbers`: the page and all pages
    below it, or, with `below`, the page alone; None for one page. `further`: the pages that these go on over.
    `ends`: the first and the last key below a branch.
    """

    __slots__ = (
        "below",
        "bucket",
        "elements",
        "ends",
        "further",
        "height",
        "number",
        "numbers",
        "pages",
        "value_bytes",
    )

    def __init__(self, number: int, span: int, bucket: Bucket, inner: "Collection[_PageNode]") -> None:
        self.number = number
        self.bucket = bucket
        self.elements = self.value_bytes = self.height = 0
        self.pages: int = span + sum(one.pages for one in inner)
        self.numbers: frozenset[int] | None = None
        self.further: tuple[int, ...] = tuple(range(number + 1, number + span)) if span > 1 else ()
        self.below: tuple[_PageNode, ...] = ()
        self.ends: tuple[bytes, bytes] | None = None
        if not inner:
            return
        if self.pages > _MOST_TOGETHER:
            self.below = tuple(inner)
        else:
            self.numbers = frozenset((number,)).union(*(one.numbers or (one.number,) for one in inner))
            self.further = (*self.further, *(page for one in inner for page in one.further))


@dataclass(slots=True)
class BucketCache:
    """The pages of one database that were decoded before, by number, for the next reading of it.

    What bytes decode to is known once they were decoded, so bytes that are the same are not decoded again.
    """

    nodes: dict[int, _PageNode] = field(default_factory=dict)
    #: The bytes of each of these pages that say something.
    pages: dict[int, bytes] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget all."""
        self.nodes.clear()
        self.pages.clear()


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A leaf page, or the page of a small bucket: `content` has its header and all that its elements refer to."""

    content: bytes
    count: int


#: Key, flags and value.
_Element = tuple[bytes, int, bytes]


class Pages:
    """The pages of one database that are in use.

    `page_bytes` returns so many bytes at an offset, fewer at the end. `same` are the pages of the cache that have the
    bytes that they had. No page has the number `end` or a higher one.
    """

    def __init__(
        self,
        page_bytes: Callable[[int, int], bytes],
        same: set[int],
        page_size: int,
        end: int,
        cache: BucketCache,
    ) -> None:
        self._page_bytes = page_bytes
        self._page_size = page_size
        self._end = min(end, _LARGEST_OFFSET // page_size)
        self._page_bytes_left = MAX_PAGE_BYTES
        self._elements_left = MAX_ELEMENTS
        self._value_bytes_left = MAX_VALUE_BYTES
        self._taken: set[int] = set()
        self._known, self._raw = cache.nodes, cache.pages
        self._same = same
        self._new: dict[int, _PageNode] = {}
        self._new_raw: dict[int, bytes] = {}

    def remember(self) -> None:
        """Note in the cache what this reading has decoded, and forget what is not in use any more."""
        self._known.update(self._new)
        self._raw.update(self._new_raw)
        for number in self._known.keys() - self._taken:
            del self._known[number], self._raw[number]

    def named(self, root: int, name: bytes) -> Bucket:
        """Read one bucket of the bucket whose tree begins at page `root`, and none of its neighbours."""
        last: bytes | None = None
        for leaf in self._leaves(root, 0):
            self._elements_left -= leaf.count
            self._check_budget()
            for key, flags, value in list(_elements(leaf.content, 0, leaf.count, last)):  # all are checked
                if key == name and flags & _BUCKET:
                    return self._inner(value, 1)[0]
                last = key
        if last is not None:  # a program that writes any bucket has made this one first
            raise BoltError("has not the bucket that all such databases have")
        return Bucket()

    def bucket(self, root: int) -> Bucket:
        """Read the bucket whose tree begins at page `root`."""
        return self._node(root, 0).bucket

    def _node(self, number: int, depth: int) -> _PageNode:
        """The page with this number, and all below it; the known one where all of that is as it was."""
        known = self._known.get(number)
        height = 0 if known is None else known.height
        if depth + height > _MOST_DEPTH:
            raise BoltError("is nested too deep")
        if known is not None and self._is_unchanged(known):
            self._take_again(known)
            self._page_bytes_left -= known.pages * self._page_size
            self._elements_left -= known.elements
            self._count_value(known.value_bytes)
            self._check_budget()
            return known
        elements, value_bytes = self._elements_left, self._value_bytes_left
        kind, count, span, content = self._take(number)
        if kind == _LEAF:
            bucket, inner, height = self._collect(content, 0, count, depth)
            self._new_raw[number] = _in_use(content, count)
            node = _PageNode(number, span, bucket, inner)
        elif kind == _BRANCH:
            end = PAGE.size + count * _BRANCH_ELEMENT.size
            inner = [self._node(below, depth + 1) for below in _below(content, count)]
            height = 1 + max(one.height for one in inner)
            ends = self._ends(inner)
            self._new_raw[number] = content[:end]
            node = _PageNode(number, span, Bucket(parts=_parts(inner)), inner)
            node.ends = ends
        else:
            raise BoltError("has a page of an unknown kind")
        node.height = height
        node.elements = elements - self._elements_left
        node.value_bytes = value_bytes - self._value_bytes_left
        self._new[number] = node
        return node

    def _ends(self, below: Collection[_PageNode]) -> tuple[bytes, bytes] | None:
        """The first and the last key of some pages, whose keys must ascend; None where they have none."""
        found = [ends for one in below if (ends := one.ends or _ends_of(self._bytes_of(one.number))) is not None]
        if any(last >= following for (_, last), (following, _) in pairwise(found)):
            raise BoltError("has keys that are out of order")
        return (found[0][0], found[-1][1]) if found else None

    def _bytes_of(self, number: int) -> bytes:
        return self._new_raw.get(number) or self._raw[number]

    def _is_unchanged(self, node: _PageNode) -> bool:
        numbers = node.numbers
        same = node.number in self._same if numbers is None else numbers <= self._same
        return same and all(map(self._is_unchanged, node.below))

    def _take_again(self, node: _PageNode) -> None:
        """Note that a known page, and all below it, are in use."""
        numbers = (node.number,) if node.numbers is None else node.numbers
        if not (self._taken.isdisjoint(numbers) and self._taken.isdisjoint(node.further)):
            raise BoltError("has a page that is in two places")
        if max(*numbers, *node.further, 0) >= self._end:
            raise BoltError("names a page that is not in use")
        self._taken.update(numbers, node.further)
        for one in node.below:
            self._take_again(one)

    def _collect(self, content: bytes, base: int, count: int, depth: int) -> tuple[Bucket, list[_PageNode], int]:
        """The bucket of one leaf, the pages of the buckets in it, and how deep these go.

        `base`: where the header of the leaf is in these bytes.
        """
        self._elements_left -= count
        self._check_budget()
        values: dict[bytes, bytes] = {}
        buckets: dict[bytes, Bucket] = {}
        pages: list[_PageNode] = []
        height = size = 0
        for key, flags, value in _elements(content, base, count):
            size += len(key)
            if flags & _BUCKET:
                buckets[key], inner, below = self._inner(value, depth + 1)
                height = height if height > below else 1 + below
                if inner:
                    pages += inner
            else:
                values[key] = value
                size += len(value)
        self._count_value(size)
        return Bucket(values or None, buckets or None), pages, height

    def _inner(self, value: bytes, depth: int) -> tuple[Bucket, list[_PageNode], int]:
        """A bucket in a bucket: that of the page where it begins, or itself when it is small. See `_collect`."""
        if depth > _MOST_DEPTH:
            raise BoltError("is nested too deep")
        root, _ = unpack(_BUCKET_HEADER, value, 0)
        if root:
            node = self._node(root, depth)
            return node.bucket, [node], node.height
        _, kind, count, _ = unpack(PAGE, value, _BUCKET_HEADER.size)
        if kind != _LEAF:
            raise BoltError("has an inline bucket that is no leaf")
        found = self._collect(value, _BUCKET_HEADER.size, count, depth)
        self._count_value(len(value))
        return found

    def _count_value(self, length: int) -> None:
        self._value_bytes_left -= length
        if self._value_bytes_left < 0:
            raise BoltError("has more in its values than is read of a database", Reason.TOO_LARGE)

    def _check_budget(self) -> None:
        if self._page_bytes_left < 0:
            raise BoltError("has more in use than is read of a database", Reason.TOO_LARGE)
        if self._elements_left < 0:
            raise BoltError(f"has more than {MAX_ELEMENTS} elements", Reason.TOO_LARGE)

    def _leaves(self, number: int, depth: int) -> Iterator[_Leaf]:
        """The leaf pages below a page."""
        if depth > _MOST_DEPTH:
            raise BoltError("is nested too deep")
        kind, count, _, content = self._take(number)
        if kind == _LEAF:
            yield _Leaf(content, count)
        elif kind == _BRANCH:
            for below in _below(content, count):
                yield from self._leaves(below, depth + 1)
        else:
            raise BoltError("has a page of an unknown kind")

    def _take(self, number: int) -> tuple[int, int, int, bytes]:
        """The kind of a page, how many elements it has, over how many pages it goes, and the bytes of these in use."""
        if not _FIRST <= number < self._end:
            raise BoltError("names a page that is not in use")
        start = number * self._page_size
        content = self._raw[number] if number in self._same else self._page_bytes(start, self._page_size)
        itself, kind, count, further = unpack(PAGE, content, 0)
        if itself != number:
            raise BoltError("has a page in the wrong place")
        length = (further + 1) * self._page_size
        self._page_bytes_left -= length
        if number + further >= self._end:
            raise BoltError("has a page that goes on over pages that are not in use")
        self._check_budget()
        numbers = range(number, number + further + 1)
        if not self._taken.isdisjoint(numbers):
            raise BoltError("has a page that is in two places")
        self._taken.update(numbers)
        if further and number not in self._same:
            content = self._page_bytes(start, length)
        return kind, count, further + 1, content


def _in_use(leaf: bytes, count: int) -> bytes:
    """The bytes of a leaf page that its elements take. Their keys and values follow each other in their order."""
    if not count:
        return leaf[: PAGE.size]
    at = PAGE.size + (count - 1) * _LEAF_ELEMENT.size
    _, offset, key_size, value_size = unpack(_LEAF_ELEMENT, leaf, at)
    return leaf[: at + offset + key_size + value_size]


def _below(branch: bytes, count: int) -> list[int]:
    """The numbers of the pages below a branch page. Its keys are not looked at."""
    end = PAGE.size + count * _BRANCH_ELEMENT.size
    if not count or end > len(branch):
        raise BoltError("has a branch without what is below it")
    return [below for _, _, below in _BRANCH_ELEMENT.iter_unpack(branch[PAGE.size : end])]


def _parts(below: Collection[_PageNode]) -> tuple[Bucket, ...]:
    return tuple(part for one in below for part in one.bucket.parts)


def _ends_of(page: bytes) -> tuple[bytes, bytes] | None:
    """The first and the last key of a leaf page that was decoded; None for one without, and for a branch."""
    _, kind, count, _ = unpack(PAGE, page, 0)
    if kind != _LEAF or not count:
        return None
    keys = []
    for at in (PAGE.size, PAGE.size + (count - 1) * _LEAF_ELEMENT.size):
        _, offset, size, _ = unpack(_LEAF_ELEMENT, page, at)
        keys.append(page[at + offset : at + offset + size])
    return keys[0], keys[1]


def _elements(content: bytes, base: int, count: int, last: bytes | None = None) -> Iterator[_Element]:
    """The elements of one leaf, whose header is at `base`: key, flags and value.

    Each has bytes of its own, in the order of the elements, and the keys ascend. `last` is the key before them.
    """
    at, length = base + PAGE.size, len(content)
    free = at + count * _LEAF_ELEMENT.size
    if free > length:
        raise BoltError("ends too early")
    for flags, offset, key_size, value_size in _LEAF_ELEMENT.iter_unpack(content[at:free]):
        start = at + offset
        middle = start + key_size
        end = middle + value_size
        if start < free:
            raise BoltError("has elements that share bytes")
        if end > length:
            raise BoltError("ends too early")
        key = content[start:middle]
        if last is not None and key <= last:
            raise BoltError("has keys that are out of order")
        yield key, flags, content[middle:end]
        last, free = key, end
        at += _LEAF_ELEMENT.size


def unpack(layout: struct.Struct, data: bytes, at: int) -> tuple[int, ...]:
    """Unpack integers at an offset; raises BoltError where the data end before."""
    try:
        return layout.unpack_from(data, at)
    except struct.error:
        raise BoltError("ends too early") from None
