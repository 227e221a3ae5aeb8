"""containerd's `meta.db`: the images, blobs, snapshots, containers and leases of each namespace.

Facts: containerd 2.1 core/metadata/buckets.go (`v1/<namespace>/...`), core/metadata/{images,content,snapshot,
containers,leases}.go. A bucket that would be empty may be missing.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct, field

from exporter.inventory.files.bolt import Bucket, word
from exporter.inventory.image_store.binary import inner, labels, moment, signed

#: What the labels for the garbage collector begin with.
GC = "containerd.io/gc."
_GC = GC.encode()
_MERGED = b"buildkit.mergeUsageSize"
_MOST_DIGITS = 19


class ImageEntry(Struct, frozen=True, gc=False):
    """An image of a namespace: the blob that it begins with."""

    target: str
    media_type: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


class BlobEntry(Struct, frozen=True, gc=False):
    """A blob that a namespace knows; `size` in bytes. `gc`: the labels for the garbage collector."""

    size: int | None
    gc: tuple[tuple[str, str], ...] = ()


class SnapshotKey(NamedTuple):
    """The key of a snapshot within a namespace."""

    snapshotter: str
    key: str


class SnapshotEntry(Struct, frozen=True, gc=False):
    """A snapshot that a namespace knows. `name` is what the snapshotter calls it, `parent` a key, "" for none.

    `gc`: the labels for the garbage collector. `merged`: the size in bytes that BuildKit has noted where it made the
    snapshot of others, with hard links to their files (buildkit v0.25 snapshot/merge.go, mergeUsageSizeLabel).
    """

    name: str
    parent: str = ""
    gc: tuple[tuple[str, str], ...] = ()
    merged: int | None = None


class ContainerEntry(Struct, frozen=True, gc=False):
    """A container. Docker's have no snapshot here, and are here only while they run."""

    image: str = ""
    snapshot: SnapshotKey | None = None
    created: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class LeaseEntry(Struct, frozen=True):
    """A lease: what it names is kept."""

    created: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    content: tuple[str, ...] = ()
    snapshots: tuple[SnapshotKey, ...] = ()
    images: tuple[str, ...] = ()


class NamespaceEntry(Struct, frozen=True):
    """The objects of one namespace, by name, digest, key or id. `snapshots`: by snapshotter, and then by key.

    What has not changed is the same object in the next reading: an object, a mapping of objects, all of it.
    """

    images: Mapping[str, ImageEntry]
    blobs: Mapping[str, BlobEntry]
    snapshots: Mapping[str, Mapping[str, SnapshotEntry]]
    containers: Mapping[str, ContainerEntry]
    leases: Mapping[str, LeaseEntry]
    ingests: Mapping[str, str]
    #: The labels of sandboxes, by id.
    sandboxes: Mapping[str, Mapping[str, str]]

    @property
    def empty(self) -> bool:
        """Whether nothing is in it."""
        return not (self.images or self.blobs or any(self.snapshots.values()) or self.containers or self.leases)


_NONE = NamespaceEntry({}, {}, {}, {}, {}, {}, {})


def read_meta(version: Bucket, before: Mapping[str, NamespaceEntry]) -> Mapping[str, NamespaceEntry]:
    """The namespaces in the bucket `v1`. `before`: what the last reading found."""
    named = ((word(name), bucket) for name, bucket in version.buckets.items())
    return {name: _namespace(bucket, before.get(name, _NONE)) for name, bucket in named}


def _namespace(bucket: Bucket, before: NamespaceEntry) -> NamespaceEntry:
    of = before.snapshots
    found = NamespaceEntry(
        images=inner(bucket, b"images").each(_image, before.images),
        blobs=inner(bucket, b"content", b"blob").each(_blob, before.blobs),
        snapshots={
            name: one.each(_snapshot, of.get(name, {}))
            for key, one in inner(bucket, b"snapshots").buckets.items()
            for name in (word(key),)
        },
        containers=inner(bucket, b"containers").each(_container, before.containers),
        leases=inner(bucket, b"leases").each(_lease, before.leases),
        ingests=inner(bucket, b"content", b"ingests").each(_ingest, before.ingests),
        sandboxes=inner(bucket, b"sandboxes").each(labels, before.sandboxes),
    )
    return before if found == before else found


def _ingest(bucket: Bucket) -> str:
    return word(bucket.values.get(b"ref"))


def _image(bucket: Bucket) -> ImageEntry:
    target = bucket.buckets.get(b"target") or Bucket()
    return ImageEntry(word(target.values.get(b"digest")), word(target.values.get(b"mediatype")), labels(bucket))


def _blob(bucket: Bucket) -> BlobEntry:
    return BlobEntry(signed(bucket.values.get(b"size")), _gc(bucket))


def _snapshot(bucket: Bucket) -> SnapshotEntry:
    values = bucket.values
    merged = _decimal(inner(bucket, b"labels").values.get(_MERGED))
    return SnapshotEntry(word(values.get(b"name")), word(values.get(b"parent")), _gc(bucket), merged)


def _decimal(raw: bytes | None) -> int | None:
    return int(raw) if raw is not None and raw.isdigit() and len(raw) < _MOST_DIGITS else None


def _gc(bucket: Bucket) -> tuple[tuple[str, str], ...]:
    found = bucket.buckets.get(b"labels")
    if found is None:
        return ()
    return tuple((word(label), word(value)) for label, value in found.values.items() if label.startswith(_GC))


def _container(bucket: Bucket) -> ContainerEntry:
    values = bucket.values
    snapshotter, key = word(values.get(b"snapshotter")), word(values.get(b"snapshotKey"))
    return ContainerEntry(
        image=word(values.get(b"image")),
        snapshot=SnapshotKey(snapshotter, key) if snapshotter and key else None,
        created=moment(values.get(b"createdat")),
        labels=labels(bucket),
    )


def _lease(bucket: Bucket) -> LeaseEntry:
    snapshots = (
        SnapshotKey(word(snapshotter), word(key))
        for snapshotter, found in inner(bucket, b"snapshots").buckets.items()
        for key in found.values
    )
    return LeaseEntry(
        moment(bucket.values.get(b"createdat")),
        labels(bucket),
        tuple(map(word, _names(bucket, b"content"))),
        tuple(snapshots),
        tuple(map(word, _names(bucket, b"images"))),
    )


def _names(bucket: Bucket, name: bytes) -> Mapping[bytes, bytes]:
    found = bucket.buckets.get(name)
    return found.values if found else {}
