"""Values in containerd's databases: Go's variable-length integers, binary times and maps of strings.

Facts: Go encoding/binary (varint.go) and time (MarshalBinary); containerd 2.1 core/metadata/boltutil/helpers.go.
"""

import struct
from collections.abc import Mapping
from functools import lru_cache

from exporter.inventory.files.bolt import Bucket, word

_TIME = struct.Struct(">BqiH")
#: Seconds from Go's year 1 to 1970.
_YEAR_ONE = 62_135_596_800
_MOST_BYTES = 10
_LARGEST = 2**63 - 1
_NANOSECONDS = 1e9
#: Bytes of a label that may be shared: what is shared stays in memory for some time after its last use.
_MOST_SHARED = 128
#: One for all objects without any.
_NO_LABELS: Mapping[str, str] = {}


def unsigned(raw: bytes | None) -> int | None:
    """An unsigned varint; None where it is missing or malformed."""
    value = 0
    for at, byte in enumerate(raw or b""):
        if at == _MOST_BYTES:
            return None
        value |= (byte & 0x7F) << (7 * at)
        if not byte & 0x80:
            return value if value <= _LARGEST else None
    return None


def signed(raw: bytes | None) -> int | None:
    """A signed varint (zigzag), None where it is missing, malformed or negative: no size is."""
    value = unsigned(raw)
    return None if value is None or value & 1 else value >> 1


def moment(raw: bytes | None) -> float | None:
    """A binary time in Unix seconds; None where it is missing or malformed."""
    if raw is None or len(raw) < _TIME.size:
        return None
    version: int
    seconds: int
    nanoseconds: int
    version, seconds, nanoseconds, _ = _TIME.unpack_from(raw)
    if version not in (1, 2) or not 0 <= nanoseconds < _NANOSECONDS:
        return None
    return float(seconds - _YEAR_ONE) + nanoseconds / _NANOSECONDS


def labels(bucket: Bucket) -> Mapping[str, str]:
    """The labels of an object. Nobody changes them: most leases have the same, which are one object."""
    inner = bucket.buckets.get(b"labels")
    if inner is None:
        return _NO_LABELS
    items = tuple(inner.values.items())
    if len(items) > 1 or sum(map(len, items[0] if items else ())) > _MOST_SHARED:
        return {word(key): word(value) for key, value in items}
    return _same_labels(items)


@lru_cache(64)
def _same_labels(items: tuple[tuple[bytes, bytes], ...]) -> Mapping[str, str]:
    return {word(key): word(value) for key, value in items}


def inner(bucket: Bucket, *names: bytes) -> Bucket:
    """The bucket in a bucket at a path of names; an empty one where anything on the way is missing."""
    for name in names:
        bucket = bucket.buckets.get(name) or Bucket()
    return bucket
