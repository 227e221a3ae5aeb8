"""A snapshotter's `metadata.db`: its snapshots, and the size of each that does not change any more.

Facts: containerd 2.1 core/snapshots/storage/bolt.go. All snapshotters that come with containerd write it, those that
keep no directories, too.
"""

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct

from exporter.inventory.files.bolt import Bucket, word
from exporter.inventory.image_store.binary import inner, signed, unsigned


class Kind(IntEnum):
    """The kind of a snapshot (core/snapshots/snapshotter.go)."""

    VIEW = 1
    ACTIVE = 2
    COMMITTED = 3


class Row(Struct, frozen=True, gc=False):
    """One snapshot. `directory` is the name of its directory; `size` its disk blocks in bytes, of committed ones."""

    directory: str
    kind: Kind | None
    parent: str
    size: int | None

    @property
    def recorded(self) -> int | None:
        """Its size in bytes, as it is written down. A view has no files of its own."""
        return 0 if self.kind is Kind.VIEW else self.size


def read_rows(version: Bucket, before: Mapping[str, Row]) -> Mapping[str, Row]:
    """The snapshots in the bucket `v1`, by name. `before`: what the last reading found."""
    return inner(version, b"snapshots").each(_row, before)


def _row(bucket: Bucket) -> Row:
    values = bucket.values
    number = unsigned(values.get(b"id"))
    kind = {one.value: one for one in Kind}.get((values.get(b"kind") or b"\0")[0])
    size = signed(values.get(b"size")) if kind is Kind.COMMITTED else None
    return Row("" if number is None else str(number), kind, word(values.get(b"parent")), size)
