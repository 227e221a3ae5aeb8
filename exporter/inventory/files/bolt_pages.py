"""Decodes the pages of a bolt database into buckets, in time and memory proportional to the bytes of these pages.

Format: etcd-io/bbolt v1.3 page.go, bucket.go, node.go (write). Pages may be damaged or hostile. Each page is taken at
most once. Within a page, the elements are followed by their keys and values in the same order, so two of them never
share a byte. A small bucket lies in the value of its element, and its elements in there.

A page that was decoded is remembered (`BucketCache`). The next reading decodes a page only where its bytes are others,
or those of a page below it.
"""

import contextlib
import struct
from collections.abc import Collection, Iterator
from itertools import pairwise

from exporter.core.measured import Reason
from exporter.inventory.files.bolt_bucket import BoltError, Bucket
from exporter.inventory.files.bolt_cache import BucketCache, LargeNode, Mark, PageNode, Read, mark_of

#: The header of a page: number, kind, count of elements, number of further pages that it goes on over.
PAGE = struct.Struct("<QHHI")
#: Magic, version, page size, flags, root page, sequence, free list, pages, transaction, checksum.
META = struct.Struct("<IIIIQQQQQQ")
_BRANCH, _LEAF = 0x01, 0x02
_BUCKET = 0x01
_BRANCH_ELEMENT = struct.Struct("<IIQ")
_LEAF_ELEMENT = struct.Struct("<IIII")
_BUCKET_HEADER = struct.Struct("<QQ")
_PAGE_BYTES, _ELEMENT_BYTES = PAGE.size, _LEAF_ELEMENT.size
_FIRST = 2  # the pages before are the meta pages
_MOST_DEPTH = 64
_LARGEST_OFFSET = 1 << 62
#: What is read of one database: pages (those of a database that is read at once are fewer), elements, and bytes of keys
#: and values. A BuildKit record has a page or less, about fifteen elements, and 700 bytes. An element takes about 200
#: bytes of memory.
MAX_PAGE_BYTES = 512 * 1024 * 1024
MAX_ELEMENTS = 1_000_000
MAX_VALUE_BYTES = 64 * 1024 * 1024


class Pages:
    """The pages of one database that are in use.

    `different` are the pages of the cache that have not the bytes that they had. No page has the number `end` or a
    higher one.
    """

    def __init__(
        self,
        read: Read,
        different: set[int],
        page_size: int,
        end: int,
        cache: BucketCache,
    ) -> None:
        self._read = read
        self._page_size = page_size
        self._end = min(end, _LARGEST_OFFSET // page_size)
        self._page_bytes_left = MAX_PAGE_BYTES
        self._elements_left = MAX_ELEMENTS
        self._value_bytes_left = MAX_VALUE_BYTES
        self._taken: set[int] = set()
        self._cache = cache
        self._known = cache.nodes
        self._different = different
        self._new: dict[int, tuple[PageNode, Mark]] = {}

    def remember(self) -> None:
        """Note in the cache what this reading has decoded, and forget what is not in use any more."""
        self._cache.change(self._new, self._cache.marks.without(self._taken))

    def named(self, root: int, name: bytes) -> Bucket:
        """Read one bucket of the bucket whose tree begins at page `root`, and none of its neighbours.

        Raises BoltError, and whatever `read` raises.
        """
        last: tuple[bytes, ...] = ()
        for content, count in self._leaves(root, 0):
            with _whole():
                found = self._collect(content, 0, count, 0, [], only=name)[0].buckets.get(name)
            if found is not None:
                return found
            ends = _ends_of(content, count)
            if last and ends and ends[0] <= last[-1]:
                raise BoltError("has keys that are out of order")
            last = ends or last
        if last:  # a program that writes any bucket has made this one first
            raise BoltError("has not the bucket that all such databases have")
        return Bucket()

    def bucket(self, root: int) -> Bucket:
        """Read the bucket whose tree begins at page `root`. Raises BoltError, and whatever `read` raises."""
        with _whole():
            return self._node(root, 0).bucket

    def _node(self, number: int, depth: int, *, below_branch: bool = False) -> PageNode:
        """The page with this number, and all below it; the known one where all of that is as it was."""
        known = self._known.get(number)
        if depth + (0 if known is None else known.height) > _MOST_DEPTH:
            raise BoltError("is nested too deep")
        if known is not None and (known.bucket.is_given_up or (below_branch and known.ends is None)):
            known = None  # what it is in was converted and has changed, or it was in another place of the database
        if known is not None and self._is_unchanged(known):
            self._take_again(known)
            self._page_bytes_left -= known.pages * self._page_size
            self._elements_left -= known.elements
            self._count_value(known.value_bytes)
            self._check_budget()
            return known
        elements, value_bytes = self._elements_left, self._value_bytes_left
        kind, count, span, content = self._take(number)
        inner: list[PageNode] = []
        ends: tuple[bytes, ...] | None = None
        if kind == _LEAF:
            bucket, height, end = self._collect(content, 0, count, depth, inner)
            content = content[:end]
            ends = _ends_of(content, count) if below_branch else None
        elif kind == _BRANCH:
            inner = [self._node(below, depth + 1, below_branch=True) for below in _below(content, count)]
            height = 1 + max(one.height for one in inner)
            ends = _ends_of_all(inner)
            content = content[: PAGE.size + count * _BRANCH_ELEMENT.size]
            bucket = Bucket(parts=tuple(part for one in inner for part in one.bucket.parts))
        else:
            raise BoltError("has a page of an unknown kind")
        is_large = inner or span > 1 or ends is not None
        node = LargeNode(number, bucket, span, inner, ends) if is_large else PageNode(number, bucket)
        node.height = height
        node.elements = elements - self._elements_left
        node.value_bytes = value_bytes - self._value_bytes_left
        self._new[number] = node, mark_of(content)
        return node

    def _is_unchanged(self, node: PageNode) -> bool:
        numbers = (node.number,) if node.numbers is None else node.numbers
        return self._different.isdisjoint(numbers) and all(map(self._is_unchanged, node.below))

    def _take_again(self, node: PageNode) -> None:
        """Note that a known page, and all below it, are in use."""
        numbers, taken = (node.number,) if node.numbers is None else node.numbers, len(self._taken)
        self._taken.update(numbers, node.further)
        if len(self._taken) - taken != len(numbers) + len(node.further):
            raise BoltError("has a page that is in two places")
        if max(numbers) >= self._end or max(node.further, default=0) >= self._end:
            raise BoltError("names a page that is not in use")
        for one in node.below:
            self._take_again(one)

    def _collect(  # noqa: PLR0913 - called for each bucket, of which there are tens of thousands
        self, content: bytes, base: int, count: int, depth: int, pages: list[PageNode], only: bytes | None = None
    ) -> tuple[Bucket, int, int]:
        """The bucket of one leaf, how deep the buckets in it go, and where its bytes end; `pages` gets their pages.

        `base`: where the header of the leaf is in these bytes. Each element has bytes of its own, in the order of the
        elements, and the keys ascend. `only`: no other bucket in it is looked at. Raises BoltError or struct.error.
        """
        self._elements_left -= count
        if self._elements_left < 0:
            self._check_budget()
        at, length = base + _PAGE_BYTES, len(content)
        free = at + count * _ELEMENT_BYTES
        if free > length:
            raise BoltError("ends too early")
        values: dict[bytes, bytes] = {}
        buckets: dict[bytes, Bucket] = {}
        last: bytes | None = None
        height = size = 0
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
            size += key_size
            if not flags & _BUCKET:
                values[key] = content[middle:end]
                size += value_size
            elif only is None or key == only:
                buckets[key], below = self._inner(content[middle:end], depth + 1, pages)
                if height <= below:
                    height = 1 + below
            last, free = key, end
            at += _ELEMENT_BYTES
        self._count_value(size)
        return Bucket(values or None, buckets or None), height, free

    def _inner(self, value: bytes, depth: int, pages: list[PageNode]) -> tuple[Bucket, int]:
        """A bucket in a bucket: that of the page where it begins, or itself when it is small. See `_collect`."""
        if depth > _MOST_DEPTH:
            raise BoltError("is nested too deep")
        root, _ = _BUCKET_HEADER.unpack_from(value)
        if root:
            node = self._node(root, depth)
            pages.append(node)
            return node.bucket, node.height
        _, kind, count, _ = PAGE.unpack_from(value, _BUCKET_HEADER.size)
        if kind != _LEAF:
            raise BoltError("has an inline bucket that is no leaf")
        bucket, height, _ = self._collect(value, _BUCKET_HEADER.size, count, depth, pages)
        self._count_value(len(value))
        return bucket, height

    def _count_value(self, length: int) -> None:
        self._value_bytes_left -= length
        if self._value_bytes_left < 0:
            raise BoltError("has more in its values than is read of a database", Reason.TOO_LARGE)

    def _check_budget(self) -> None:
        if self._page_bytes_left < 0:
            raise BoltError("has more in use than is read of a database", Reason.TOO_LARGE)
        if self._elements_left < 0:
            raise BoltError(f"has more than {MAX_ELEMENTS} elements", Reason.TOO_LARGE)

    def _leaves(self, number: int, depth: int) -> Iterator[tuple[bytes, int]]:
        """The bytes of the leaf pages below a page, and how many elements each has."""
        if depth > _MOST_DEPTH:
            raise BoltError("is nested too deep")
        kind, count, _, content = self._take(number)
        if kind == _LEAF:
            yield content, count
        elif kind == _BRANCH:
            for below in _below(content, count):
                yield from self._leaves(below, depth + 1)
        else:
            raise BoltError("has a page of an unknown kind")

    def _take(self, number: int) -> tuple[int, int, int, bytes]:
        """The kind of a page, how many elements it has, over how many pages it goes, and the bytes of these in use."""
        if not _FIRST <= number < self._end:
            raise BoltError("names a page that is not in use")
        start, size = number * self._page_size, self._page_size
        content = read_all(self._read, start, size)
        itself, kind, count, further = unpack(PAGE, content, 0)
        if itself != number:
            raise BoltError("has a page in the wrong place")
        self._page_bytes_left -= (further + 1) * size
        if number + further >= self._end:
            raise BoltError("has a page that goes on over pages that are not in use")
        if self._page_bytes_left < 0:
            self._check_budget()
        numbers = range(number, number + further + 1)
        if number in self._taken or (further and not self._taken.isdisjoint(numbers)):
            raise BoltError("has a page that is in two places")
        self._taken.update(numbers)
        if further:
            content = read_all(self._read, start, (further + 1) * size)
        return kind, count, further + 1, content


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """What is read in here ends too early where a header does not fit."""
    try:
        yield
    except struct.error:
        raise BoltError("ends too early") from None


def _below(branch: bytes, count: int) -> list[int]:
    """The numbers of the pages below a branch page. Its keys are not looked at."""
    end = PAGE.size + count * _BRANCH_ELEMENT.size
    if not count or end > len(branch):
        raise BoltError("has a branch without what is below it")
    return [below for _, _, below in _BRANCH_ELEMENT.iter_unpack(branch[PAGE.size : end])]


def _ends_of(leaf: bytes, count: int) -> tuple[bytes, ...]:
    """The first and the last key of a leaf page that was decoded."""
    keys = []
    for at in (PAGE.size, PAGE.size + (count - 1) * _LEAF_ELEMENT.size) if count else ():
        _, offset, size, _ = unpack(_LEAF_ELEMENT, leaf, at)
        keys.append(leaf[at + offset : at + offset + size])
    return tuple(keys)


def _ends_of_all(below: Collection[PageNode]) -> tuple[bytes, ...]:
    """The first and the last key of the pages below a branch, whose keys must ascend."""
    found = [one.ends for one in below if one.ends]
    if any(ends[-1] >= following[0] for ends, following in pairwise(found)):
        raise BoltError("has keys that are out of order")
    return (found[0][0], found[-1][-1]) if found else ()


def read_all(read: Read, offset: int, length: int) -> bytes:
    """So many bytes at an offset, fewer if the file ends before. A read may return fewer than it was asked for."""
    pieces = [read(length, offset)]
    done = len(pieces[0])
    while done < length and (piece := read(length - done, offset + done)):
        pieces.append(piece)
        done += len(piece)
    return b"".join(pieces)


def unpack(layout: struct.Struct, data: bytes, at: int) -> tuple[int, ...]:
    """Unpack integers at an offset; raises BoltError where the data end before."""
    try:
        return layout.unpack_from(data, at)
    except struct.error:
        raise BoltError("ends too early") from None
