"""Decodes the pages of a bolt database into buckets, in time and memory proportional to the bytes of these pages.

Format: etcd-io/bbolt v1.3 page.go, bucket.go, node.go (write). Pages may be damaged or hostile. Each page is taken at
most once. Within a page, the elements are followed by their keys and values in the same order, so two of them never
share a byte. A small bucket lies in the value of its element, and its elements in there.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar, cast

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
#: Pages of one bucket that is remembered with its bytes.
_MOST_REMEMBERED = 16
_FIRST = 2  # the pages before are the meta pages
_MOST_DEPTH = 64
_LARGEST_OFFSET = 1 << 62
#: What is read of one database: pages (those of a database that is read at once are fewer), elements, and bytes of keys
#: and values. A BuildKit record has a page or less, about fifteen elements, and 700 bytes. An element takes about 200
#: bytes of memory.
MAX_PAGE_BYTES = 512 * 1024 * 1024
MAX_ELEMENTS = 1_000_000
MAX_VALUE_BYTES = 64 * 1024 * 1024


class BoltError(Exception):
    """The file is no bolt database, a damaged one, too large, or one that changes all the time."""

    def __init__(self, message: str, reason: Reason = Reason.DECODE) -> None:
        super().__init__(message)
        self.reason = reason


T = TypeVar("T")


@dataclass(slots=True)
class Bucket:
    """One bucket: its values and the buckets in it, by name."""

    values: dict[bytes, bytes] = field(default_factory=dict)
    buckets: dict[bytes, "Bucket"] = field(default_factory=dict)
    _converted: tuple[object, object] | None = field(default=None, compare=False, repr=False)

    def once(self, convert: Callable[["Bucket"], T]) -> T:
        """What `convert` makes of this bucket. It is kept: a bucket without a change is in the next reading, too.

        What is in the bucket is given up then: thousands of them would take more memory than what was made of them.
        So all calls have the same `convert`; raises ValueError for another one.
        """
        if self._converted is None:
            self._converted = convert, convert(self)
            self.values, self.buckets = {}, {}
        elif self._converted[0] is not convert:
            raise ValueError("the bucket was converted to something else")
        return cast("T", self._converted[1])


class _Page(NamedTuple):
    """A page that was decoded: its number, over how many pages it goes, and its bytes that are in use."""

    number: int
    span: int
    raw: bytes


class _Taken(NamedTuple):
    """A page that was taken: its number, over how many pages it goes, its kind and the count of its elements."""

    number: int
    pages: int
    kind: int
    elements: int


class _Decoded(NamedTuple):
    """A bucket that was decoded, the pages that it is on, and how many elements these have."""

    pages: tuple[_Page, ...]
    bucket: Bucket
    elements: int


@dataclass(slots=True)
class BucketCache:
    """The buckets of one database that were decoded before, for the next reading of it.

    Most objects of a database are buckets that do not change. What bytes decode to is known once they were decoded, so
    bytes that are the same are not decoded again. `pages`: buckets of few pages, by the number of the first. `inline`:
    buckets in a value, by their bytes.
    """

    pages: dict[int, _Decoded] = field(default_factory=dict)
    inline: dict[bytes, Bucket] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A leaf page, or the page of a small bucket: `content` has its header and all that its elements refer to."""

    content: bytes
    count: int


#: Key, flags and value.
_Element = tuple[bytes, int, bytes]


class Pages:
    """The pages of one database that are in use.

    `page_bytes` returns so many bytes at an offset, fewer at the end. No page has the number `end` or a higher one.
    """

    def __init__(
        self,
        page_bytes: Callable[[int, int], memoryview],
        page_size: int,
        end: int,
        cache: BucketCache | None = None,
    ) -> None:
        self._page_bytes = page_bytes
        self._page_size = page_size
        self._end = min(end, _LARGEST_OFFSET // page_size)
        self._page_bytes_left = MAX_PAGE_BYTES
        self._elements_left = MAX_ELEMENTS
        self._value_bytes_left = MAX_VALUE_BYTES
        self._taken: set[int] = set()
        self._known = cache or BucketCache()
        #: All pages in the order in which they were taken.
        self._log: list[_Page | _Taken] = []
        #: All small buckets that were decoded, by their bytes.
        self._small: list[bytes] = []
        #: What this reading has found, for the next one.
        self.found = BucketCache()

    def named(self, root: int, name: bytes) -> Bucket:
        """Read one bucket of the bucket whose tree begins at page `root`, and none of its neighbours."""
        others = False
        for key, flags, value in self._elements(self._leaves(root, 0)):
            if key == name and flags & _BUCKET:
                return self._inner(value, 1)
            others = True
        if others:  # a program that writes any bucket has made this one first
            raise BoltError("has not the bucket that all such databases have")
        return Bucket()

    def bucket(self, root: int, depth: int = 0) -> Bucket:
        """Read the bucket whose tree begins at page `root`."""
        return self._collect(self._leaves(root, depth), depth)

    def _collect(self, leaves: Iterator[_Leaf], depth: int) -> Bucket:
        bucket = Bucket()
        for key, flags, value in self._elements(leaves):
            if flags & _BUCKET:
                bucket.buckets[key] = self._inner(value, depth + 1)
            else:
                bucket.values[key] = value
        return bucket

    def _inner(self, value: bytes, depth: int) -> Bucket:
        """A bucket in a bucket: the page where it begins, or itself when it is small."""
        if depth > _MOST_DEPTH:
            raise BoltError("is nested too deep")
        root, _ = unpack(_BUCKET_HEADER, value, 0)
        if root:
            return self._remembered(root) or self._remember(root, depth)
        bucket = self._known.inline.get(value)
        if bucket is None:
            content = value[_BUCKET_HEADER.size :]
            _, kind, count, _ = unpack(PAGE, content, 0)
            if kind != _LEAF:
                raise BoltError("has an inline bucket that is no leaf")
            bucket = self._collect(iter([_Leaf(content, count)]), depth)
        self._count_value(len(value))
        self.found.inline[value] = bucket
        self._small.append(value)
        return bucket

    def _remembered(self, root: int) -> Bucket | None:
        """The bucket of pages that have the bytes that they had when it was decoded before."""
        known = self._known.pages.get(root)
        if known is None or not all(map(self._is_same, known.pages)):
            return None
        for page in known.pages:
            self._taken.update(range(page.number, page.number + page.span))
            self._page_bytes_left -= page.span * self._page_size
            self._count_value(len(page.raw))
        self._elements_left -= known.elements
        self._check_budget()
        self.found.pages[root] = known
        self._log += known.pages
        return known.bucket

    def _is_same(self, page: _Page) -> bool:
        number, span, raw = page
        if number in self._taken or number + span > self._end:
            return False
        return bytes(self._page_bytes(number * self._page_size, len(raw))) == raw

    def _remember(self, root: int, depth: int) -> Bucket:
        """Decode a bucket, and note it for the next reading if it is on few pages."""
        start, small, elements = len(self._log), len(self._small), self._elements_left
        bucket = self.bucket(root, depth)
        if len(self._log) - start <= _MOST_REMEMBERED:
            for raw in self._small[small:]:  # they are remembered with this one
                self.found.inline.pop(raw, None)
            del self._small[small:]
            pages = (one if isinstance(one, _Page) else self._with_bytes(one) for one in self._log[start:])
            self.found.pages[root] = _Decoded(tuple(pages), bucket, elements - self._elements_left)
        return bucket

    def _with_bytes(self, taken: "_Taken") -> _Page:
        content = self._page_bytes(taken.number * self._page_size, taken.pages * self._page_size)
        return _Page(taken.number, taken.pages, _in_use(content, taken.kind, taken.elements))

    def _count_value(self, length: int) -> None:
        self._value_bytes_left -= length
        if self._value_bytes_left < 0:
            raise BoltError("has more in its values than is read of a database", Reason.TOO_LARGE)

    def _check_budget(self) -> None:
        if self._page_bytes_left < 0:
            raise BoltError("has more in use than is read of a database", Reason.TOO_LARGE)
        if self._elements_left < 0:
            raise BoltError(f"has more than {MAX_ELEMENTS} elements", Reason.TOO_LARGE)

    def _elements(self, leaves: Iterator[_Leaf]) -> Iterator[_Element]:
        """The elements of a bucket's leaves: key, flags, value. Their keys ascend."""
        last = b""
        for leaf in leaves:
            self._elements_left -= leaf.count
            self._check_budget()
            found = _elements_of(leaf, last)
            if found:
                last = found[-1][0]
                self._count_value(sum(len(key) + (0 if flags & _BUCKET else len(value)) for key, flags, value in found))
            yield from found

    def _leaves(self, number: int, depth: int) -> Iterator[_Leaf]:
        """The leaf pages below a page."""
        if depth > _MOST_DEPTH:
            raise BoltError("is nested too deep")
        kind, count, content = self._take(number)
        if kind == _LEAF:
            yield _Leaf(content, count)
        elif kind == _BRANCH:
            end = PAGE.size + count * _BRANCH_ELEMENT.size
            if not count or end > len(content):
                raise BoltError("has a branch without what is below it")
            for _, _, below in _BRANCH_ELEMENT.iter_unpack(content[PAGE.size : end]):
                yield from self._leaves(below, depth + 1)
        else:
            raise BoltError("has a page of an unknown kind")

    def _take(self, number: int) -> tuple[int, int, bytes]:
        """The kind of a page, how many elements it has, and its bytes with those of the pages that it goes on over."""
        if not _FIRST <= number < self._end:
            raise BoltError("names a page that is not in use")
        start = number * self._page_size
        itself, kind, count, further = unpack(PAGE, self._page_bytes(start, PAGE.size), 0)
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
        self._log.append(_Taken(number, further + 1, kind, count))
        return kind, count, bytes(self._page_bytes(start, length))


def _in_use(content: "bytes | memoryview", kind: int, count: int) -> bytes:
    """The bytes of a page that its elements take. Their keys and values follow each other in their order."""
    if not count:
        return bytes(content[: PAGE.size])
    if kind == _BRANCH:
        at = PAGE.size + (count - 1) * _BRANCH_ELEMENT.size
        offset, key_size, _ = unpack(_BRANCH_ELEMENT, content, at)
        return bytes(content[: at + offset + key_size])
    at = PAGE.size + (count - 1) * _LEAF_ELEMENT.size
    _, offset, key_size, value_size = unpack(_LEAF_ELEMENT, content, at)
    return bytes(content[: at + offset + key_size + value_size])


def _elements_of(leaf: _Leaf, last: bytes) -> list[_Element]:
    """The elements of one leaf, whose keys come after `last`. An empty key is the first of a bucket."""
    content, length = leaf.content, len(leaf.content)
    free = PAGE.size + leaf.count * _LEAF_ELEMENT.size
    if free > length:
        raise BoltError("ends too early")
    found: list[_Element] = []
    at = PAGE.size
    for flags, offset, key_size, value_size in _LEAF_ELEMENT.iter_unpack(content[at:free]):
        start = at + offset
        middle = start + key_size
        end = middle + value_size
        if start < free:
            raise BoltError("has elements that share bytes")
        if end > length:
            raise BoltError("ends too early")
        key = content[start:middle]
        if key <= last and (key or last or found):
            raise BoltError("has keys that are out of order")
        last = key
        found.append((key, flags, content[middle:end]))
        free = end
        at += _LEAF_ELEMENT.size
    return found


def unpack(layout: struct.Struct, data: "bytes | memoryview", at: int) -> tuple[int, ...]:
    """Unpack integers at an offset; raises BoltError where the data end before."""
    try:
        return layout.unpack_from(data, at)
    except struct.error:
        raise BoltError("ends too early") from None
