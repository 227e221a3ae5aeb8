"""Reads bolt databases, in which Docker keeps volumes' labels and BuildKit its records, without locking them.

Format and order of writes: etcd-io/bbolt v1.3 db.go (meta, beginRWTx, freePages), tx.go (Commit, write, writeMeta).
Commit N writes pages that state N-1 does not use, and then its meta page. It may write to pages that commit N-1 has
freed, that is, to pages of state N-2. So state N is whole in the file until the meta page of N+1 is there: what was
read between two looks at the meta pages is state N if N was the newest both times, and may be anything else if not.
"""

from msgspec import Struct

from exporter.core.measured import Reason
from exporter.inventory.files.bolt_bucket import BoltError, Bucket, ConvertedError, word
from exporter.inventory.files.bolt_cache import BucketCache, Read
from exporter.inventory.files.bolt_pages import META, PAGE, Pages, read_all, unpack

__all__ = [
    "MAX_BYTES",
    "BoltError",
    "Bucket",
    "BucketCache",
    "ConvertedError",
    "Read",
    "newest_state",
    "read_bolt",
    "word",
]

_MAGIC = 0xED0CDAED
_VERSION = 2
_META_SUMMED = META.size - 8
_PAGE_SIZES = tuple(1 << bits for bits in range(10, 17))
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_TRIES, _TRIES_BY_PAGE = 9, 3
#: A database of which no more was ever in use is read at once the first time, a larger one page by page.
MAX_BYTES = 128 * 1024 * 1024


def read_bolt(read: Read, name: bytes | None = None, cache: BucketCache | None = None) -> Bucket:
    """Read the top-level bucket `name`, an empty one where there is none, or all of them in one.

    `cache`: what earlier readings of this database have decoded; it is brought up to date.
    Raises BoltError, and whatever `read` raises.
    """
    known = BucketCache() if cache is None else cache
    meta = _newest_meta(read)
    for number in range(_TRIES):
        known.prepare(meta.page_size)
        # What is known is looked at page by page, which is less to read. It takes longer where much has changed.
        at_once = meta.pages * meta.page_size <= MAX_BYTES and not (known.nodes and number < _TRIES_BY_PAGE)
        found = _attempt(read, meta, name, known, at_once=at_once)
        if isinstance(found, Bucket):
            return found
        meta = found
    raise BoltError("changes all the time", Reason.CHANGING)


def newest_state(read: Read) -> object:
    """What tells the present state of a database from those before; raises BoltError, and whatever `read` raises."""
    return _newest_meta(read)


class _Meta(Struct, frozen=True):
    """What a meta page says. No page with the number `pages` or a higher one has ever been used."""

    page_size: int
    root: int
    pages: int
    transaction: int
    checksum: int


def _attempt(read: Read, meta: _Meta, name: bytes | None, cache: BucketCache, *, at_once: bool) -> "Bucket | _Meta":
    """The bucket; or the newest meta page, where that is another one than `meta` after the read.

    The size of the file says nothing: it never shrinks, and an engine makes it larger in steps of 16 MiB.
    """
    if at_once:
        whole = read_all(read, 0, meta.pages * meta.page_size)
        after = _newest_meta(read)
        return _decode(lambda length, at: whole[at : at + length], meta, name, cache) if after == meta else after
    try:
        bucket = _decode(read, meta, name, cache)
    except BoltError:
        after = _newest_meta(read)
        if after != meta:
            return after
        raise
    after = _newest_meta(read)
    return bucket if after == meta else after


def _decode(read: Read, meta: _Meta, name: bytes | None, cache: BucketCache) -> Bucket:
    pages = Pages(read, cache.marks.different(read, meta.page_size), meta.page_size, meta.pages, cache)
    bucket = pages.bucket(meta.root) if name is None else pages.named(meta.root, name)
    pages.remember()
    return bucket


def _newest_meta(read: Read) -> _Meta:
    """The newer of the two meta pages, as far as they are whole. The second lies where the size of a page puts it."""
    first = _meta_at(read, 0)
    offsets = _PAGE_SIZES if first is None else (first.page_size,)
    found = [meta for meta in (first, *(_meta_at(read, offset) for offset in offsets)) if meta is not None]
    if not found:
        raise BoltError("is no bolt database")
    return max(found, key=lambda meta: meta.transaction)


def _meta_at(read: Read, offset: int) -> _Meta | None:
    raw = read(META.size, offset + PAGE.size)
    if len(raw) < META.size:
        return None
    magic, version, page_size, _, root, _, _, pages, transaction, checksum = unpack(META, raw, 0)
    if magic != _MAGIC or version != _VERSION or page_size not in _PAGE_SIZES or offset not in (0, page_size):
        return None
    return _Meta(page_size, root, pages, transaction, checksum) if checksum == _fnv(raw[:_META_SUMMED]) else None


def _fnv(data: bytes) -> int:
    value = _FNV_OFFSET
    for byte in data:
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return value
