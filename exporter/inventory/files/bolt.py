"""Reads bolt databases, in which Docker keeps volumes' labels and BuildKit its records, without locking them.

Format and order of writes: etcd-io/bbolt v1.3 db.go (meta, beginRWTx, freePages), tx.go (Commit, write, writeMeta).
Commit N writes pages that state N-1 does not use, and then its meta page. It may write to pages that commit N-1 has
freed, that is, to pages of state N-2. So state N is whole in the file until the meta page of N+1 is there: what was
read between two looks at the meta pages is state N if N was the newest both times, and may be anything else if not.
"""

from dataclasses import dataclass

from exporter.core.measured import Reason
from exporter.inventory.files.bolt_bucket import BoltError, Bucket, ConvertedError, word
from exporter.inventory.files.bolt_cache import BucketCache, mark_of
from exporter.inventory.files.bolt_changes import ChangedPages, ForgottenError, Read, read_all
from exporter.inventory.files.bolt_pages import META, PAGE, Pages, unpack

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
_TRIES = 9
#: A database of which no more was ever in use is read at once, a larger one page by page.
MAX_BYTES = 128 * 1024 * 1024


def read_bolt(read: Read, name: bytes | None = None, cache: BucketCache | None = None) -> Bucket:
    """Read the top-level bucket `name`, an empty one where there is none, or all of them in one.

    `cache`: what earlier readings of this database have decoded; it is brought up to date.
    Raises BoltError, and whatever `read` raises.
    """
    meta = _newest_meta(read)
    for _ in range(_TRIES):
        known = BucketCache() if cache is None else cache
        known.prepare(meta.page_size)
        try:
            found = _attempt(read, meta, name, known)
        except ForgottenError:
            known.clear()
            continue
        if isinstance(found, Bucket):
            return found
        meta = found
    raise BoltError("changes all the time", Reason.CHANGING)


def newest_state(read: Read) -> object:
    """What tells the present state of a database from those before; raises BoltError, and whatever `read` raises."""
    return _newest_meta(read)


@dataclass(frozen=True, slots=True)
class _Meta:
    """What a meta page says. No page with the number `pages` or a higher one has ever been used."""

    page_size: int
    root: int
    pages: int
    transaction: int
    checksum: int


def _attempt(read: Read, meta: _Meta, name: bytes | None, cache: BucketCache) -> "Bucket | _Meta":
    """The bucket; or the newest meta page, where that is another one than `meta` after the read.

    The size of the file says nothing: it never shrinks, and an engine makes it larger in steps of 16 MiB.
    """
    used = meta.pages * meta.page_size
    if used <= MAX_BYTES:
        changes = ChangedPages(read, meta.page_size, meta.pages, cache)
        after = _newest_meta(read)
        if after != meta:
            return after
        return _decode(Pages(changes.page_bytes, changes.same, meta.page_size, meta.pages, cache), meta, name)
    try:
        same = {at for at in cache.nodes if _is_as_before(read, meta.page_size, at, cache)}
        bucket = _decode(Pages(read, same, meta.page_size, meta.pages, cache), meta, name)
    except BoltError:
        after = _newest_meta(read)
        if after != meta:
            return after
        raise
    after = _newest_meta(read)
    return bucket if after == meta else after


def _is_as_before(read: Read, page_size: int, number: int, cache: BucketCache) -> bool:
    known = cache.marks.of(number)
    return mark_of(read_all(read, number * page_size, known[0])) == known


def _decode(pages: Pages, meta: _Meta, name: bytes | None) -> Bucket:
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
    raw = read(offset + PAGE.size, META.size)
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
