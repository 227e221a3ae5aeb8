"""Reads bolt databases, in which Docker keeps volumes' labels and BuildKit its records, without locking them.

Format: etcd-io/bbolt v1.3 db.go (meta), page.go, bucket.go. A commit writes new pages and then one of two meta
pages; the pages that it freed are written over by the next but one at the earliest. So what was read is whole
if no more than one commit has happened meanwhile.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_MAGIC = 0xED0CDAED
_VERSION = 2
_BRANCH, _LEAF = 0x01, 0x02
_BUCKET = 0x01
_PAGE = struct.Struct("<QHHI")
_META = struct.Struct("<IIIIQQQQQQ")
_META_SUMMED = 56
_BRANCH_ELEMENT = struct.Struct("<IIQ")
_LEAF_ELEMENT = struct.Struct("<IIII")
_BUCKET_HEADER = struct.Struct("<QQ")
_PAGE_SIZES = tuple(1 << bits for bits in range(10, 17))
_MOST_DEPTH = 64
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_ATTEMPTS = 5
#: More than this of one database is not read: no engine's records come near it.
MAX_BYTES = 64 * 1024 * 1024

#: Reads so many bytes at an offset, fewer at the end of the file.
Read = Callable[[int, int], bytes]


class BoltError(Exception):
    """The file is no bolt database, a damaged one, or one that is written to all the time."""


@dataclass(slots=True)
class Bucket:
    """One bucket: its values and the buckets in it, by name."""

    values: dict[bytes, bytes] = field(default_factory=dict)
    buckets: dict[bytes, "Bucket"] = field(default_factory=dict)


def read_bolt(read: Read, name: bytes | None = None) -> Bucket:
    """Read the top-level bucket `name`, an empty one where there is none, or all of them in one.

    Raises BoltError, and whatever `read` raises.
    """
    error = BoltError("is written to all the time")
    for _ in range(_ATTEMPTS):
        meta = _newest_meta(read)
        tree = _Tree(read, meta.page_size)
        found: Bucket | None = None
        try:
            found = tree.bucket(meta.root) if name is None else tree.named(meta.root, name)
        except BoltError as broken:
            error = broken
        commits = _newest_meta(read).transaction - meta.transaction
        if found is not None and commits in (0, 1):
            return found
        if found is None and commits == 0:
            break
    raise error


@dataclass(frozen=True, slots=True)
class _Meta:
    page_size: int
    root: int
    transaction: int


def _newest_meta(read: Read) -> _Meta:
    """The newer of the two meta pages, as far as they are whole."""
    found = [meta for offset in (0, *_PAGE_SIZES) if (meta := _meta_at(read, offset)) is not None]
    if not found:
        raise BoltError("is no bolt database")
    return max(found, key=lambda meta: meta.transaction)


def _meta_at(read: Read, offset: int) -> _Meta | None:
    raw = read(offset + _PAGE.size, _META.size)
    if len(raw) < _META.size:
        return None
    magic, version, page_size, _, root, _, _, _, transaction, checksum = _META.unpack(raw)
    if magic != _MAGIC or version != _VERSION or page_size not in _PAGE_SIZES or offset not in (0, page_size):
        return None
    return _Meta(page_size, root, transaction) if checksum == _fnv(raw[:_META_SUMMED]) else None


def _fnv(data: bytes) -> int:
    value = _FNV_OFFSET
    for byte in data:
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return value


class _Tree:
    """The pages of one database; each is visited once, so that no ring of them is followed for ever."""

    def __init__(self, read: Read, page_size: int) -> None:
        self._read = read
        self._page_size = page_size
        self._visited: set[int] = set()
        self._left = MAX_BYTES

    def named(self, root: int, name: bytes) -> Bucket:
        """Read one bucket of the bucket whose tree begins at page `root`, and none of its neighbours."""
        others = False
        for key, flags, value in self._elements(self._pages(root, 0)):
            if key == name and flags & _BUCKET:
                return self._inner(value, 1)
            others = True
        if others:  # a program that writes any bucket has made this one first
            raise BoltError("has not the bucket that all such databases have")
        return Bucket()

    def bucket(self, root: int, depth: int = 0) -> Bucket:
        """Read the bucket whose tree begins at page `root`."""
        return self._collect(self._pages(root, depth), depth)

    def _collect(self, pages: Iterator[tuple[bytes, int]], depth: int) -> Bucket:
        bucket = Bucket()
        for key, flags, value in self._elements(pages):
            if flags & _BUCKET:
                bucket.buckets[key] = self._inner(value, depth + 1)
            else:
                bucket.values[key] = value
        return bucket

    @staticmethod
    def _elements(pages: Iterator[tuple[bytes, int]]) -> Iterator[tuple[bytes, int, bytes]]:
        """The elements of leaf pages: key, flags, value."""
        for page, count in pages:
            for index in range(count):
                at = _PAGE.size + index * _LEAF_ELEMENT.size
                flags, offset, key_size, value_size = _unpack(_LEAF_ELEMENT, page, at)
                start = at + offset
                yield _cut(page, start, key_size), flags, _cut(page, start + key_size, value_size)

    def _inner(self, value: bytes, depth: int) -> Bucket:
        """A bucket in a bucket: the page where it begins, or itself when it is small."""
        if depth > _MOST_DEPTH:
            raise BoltError("is nested too deep")
        root, _ = _unpack(_BUCKET_HEADER, value, 0)
        if root:
            return self.bucket(root, depth)
        page = value[_BUCKET_HEADER.size :]
        _, flags, count, _ = _unpack(_PAGE, page, 0)
        if not flags & _LEAF:
            raise BoltError("has an inline bucket that is no leaf")
        return self._collect(iter([(page, count)]), depth)

    def _pages(self, number: int, depth: int) -> Iterator[tuple[bytes, int]]:
        """The leaf pages below a page, each with how many elements it has."""
        if number in self._visited or depth > _MOST_DEPTH:
            raise BoltError("has a ring of pages")
        self._visited.add(number)
        start = number * self._page_size
        itself, flags, count, overflow = _unpack(_PAGE, self._bytes_at(start, _PAGE.size), 0)
        if itself != number:
            raise BoltError("has a page in the wrong place")
        page = self._bytes_at(start, (overflow + 1) * self._page_size)
        if flags & _LEAF:
            yield page, count
        elif flags & _BRANCH:
            for index in range(count):
                below = _unpack(_BRANCH_ELEMENT, page, _PAGE.size + index * _BRANCH_ELEMENT.size)[2]
                yield from self._pages(below, depth + 1)
        else:
            raise BoltError("has a page of an unknown kind")

    def _bytes_at(self, start: int, length: int) -> bytes:
        self._left -= length
        if self._left < 0 or start >= 1 << 62:
            raise BoltError("is too large")
        return self._read(start, length)


def _unpack(layout: struct.Struct, data: bytes, at: int) -> tuple[int, ...]:
    try:
        return layout.unpack_from(data, at)
    except struct.error:
        raise BoltError("ends too early") from None


def _cut(data: bytes, at: int, length: int) -> bytes:
    if at + length > len(data):
        raise BoltError("ends too early")
    return data[at : at + length]
