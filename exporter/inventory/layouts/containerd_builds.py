"""BuildKit's cache where its snapshots and blobs are in a containerd image store.

Facts: moby 28 builder/builder-next/worker/containerdworker.go; buildkit v0.25 cache/metadata.go, cache/refs.go (size),
snapshot/imagerefchecker/checker.go and cache/manager.go (markAllParentsShared), snapshot/merge.go (Usage).
Each snapshotter has records of its own, in `buildkit/containerd-<snapshotter>/metadata_v2.db`.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice

from msgspec import Struct, field

from exporter.core.content import StoreNode
from exporter.core.kept import changed_keys
from exporter.core.knowledge import Input
from exporter.core.measured import Tree
from exporter.core.model import BuildCache, BuildRecord
from exporter.inventory.drivers import MOST_LAYERS
from exporter.inventory.files.reader import Reader
from exporter.inventory.image_store.graph import is_of_record, is_temporary, leases_of_record, record_of
from exporter.inventory.image_store.meta import GC, BlobEntry, LeaseEntry, NamespaceEntry
from exporter.inventory.layouts.buildkit import count, time_of
from exporter.inventory.layouts.buildkit_databases import (
    HISTORY,
    HISTORY_OF_CONTAINERD,
    HOME,
    OF_CONTAINERD,
    RECORDS_FILE,
    StoredRecord,
    all_records,
    builds_of,
)
from exporter.inventory.layouts.containerd_snapshots import Snapshots, StoredSnapshot

_EQUAL = "cache.equalMutable"
#: The label with which a blob keeps the same layer with another compression (cache/refs.go, blobVariantGCLabel).
_VARIANT = f"{GC}ref.content.blob-"
#: More than there are compressions.
_MOST_VARIANTS = 32

Values = Mapping[str, object]
#: Lists of layers of manifests, lowest first, by the digests of their blobs.
Stacks = frozenset[tuple[str, ...]]


class Stored(Struct, frozen=True):
    """What the store has of Docker's: snapshots, blobs by digest, leases, and the lists of layers of all images.

    `engine`: its namespace. `snapshotter`: the one that it works with. `unsure`: why these lists are not all, "" where
    they are.
    """

    engine: str
    snapshotter: str
    snapshots: Snapshots
    blobs: Mapping[str, BlobEntry]
    leases: Mapping[str, LeaseEntry]
    stacks: Stacks
    unsure: str = ""


def build_snapshotters(reader: Reader) -> list[str]:
    """The snapshotters that BuildKit has records of."""
    names: Iterable[str] = reader.listing(HOME) or ()
    return [name.removeprefix(OF_CONTAINERD) for name in names if name.startswith(OF_CONTAINERD)]


def note_missing_records(reader: Reader, entry: NamespaceEntry | None) -> None:
    """Note a gap where the store has leases of records, and no database has these."""
    if entry is None or not any(map(is_of_record, entry.leases)):
        return
    files = [(*HOME, OF_CONTAINERD + name, RECORDS_FILE) for name in build_snapshotters(reader)]
    if not any(_is_filled(reader, file) for file in files):
        reader.gap(Input.BUILD_CACHE, next(iter(files), HOME), "it is missing or empty, and records are in use")


def read_history(reader: Reader, entry: NamespaceEntry | None) -> frozenset[str] | None:
    """The builds that the engine's history has; None where that is not known. `entry`: the namespace of the history.

    Leases do not tell: one without a build is left where the engine was killed between the two (buildkit v0.25
    solver/llbsolver/history.go, update), and by Docker 28, which begins another history. No command removes these.
    """
    leases = entry.leases if entry is not None else {}
    file = HISTORY_OF_CONTAINERD if reader.exists(HISTORY_OF_CONTAINERD) else HISTORY
    return None if leases and not _is_filled(reader, file) else reader.database(file, "", builds_of)


def _is_filled(reader: Reader, database: Tree) -> bool:
    """Whether a database is there and has any bytes."""
    return reader.exists(database) and not reader.is_empty(database)


def read_build_cache(reader: Reader, stored: Stored) -> BuildCache:
    """Read the records of the snapshotter that Docker works with. Of others it does not know."""
    records: list[BuildRecord] = []
    idle: set[str] = set()
    listed: Mapping[str, StoredRecord] = {}
    for snapshotter in build_snapshotters(reader):
        file = (*HOME, OF_CONTAINERD + snapshotter, RECORDS_FILE)
        found = reader.database(file, "_main", partial(all_records, reader, file))
        if found is None:
            reader.gap(Input.BUILD_CACHE, file, "it cannot be read")
            continue
        if snapshotter == stored.snapshotter:
            known = reader.derived("records", file, _LastRecords)
            if not known.are_of(found, stored):
                known.stored = None  # until all are read
                known.records = tuple(_Records(found, snapshotter, stored, known).read())
            known.stored = stored
            records += known.records
            listed = found
        else:
            idle.update(found)
    unlisted = reader.derived("leases", HOME, _Unlisted).update(stored.leases, listed)
    return BuildCache(tuple(records), files=(HOME,), unsure=stored.unsure, idle=frozenset(idle), unlisted=unlisted)


class _Unlisted:
    """The leases of records that are of none of the engine's records, from one reading to the next.

    A kill between the two leaves one: BuildKit makes the lease and its snapshot first (buildkit v0.25 cache/manager.go,
    New and GetByBlob), and looks only for records when it starts. Leases of another snapshotter's records are as
    unknown to it. One that is temporary it removes when it starts (worker/base/worker.go, NewWorker).
    """

    def __init__(self) -> None:
        self._leases: Mapping[str, LeaseEntry] = {}
        self._listed: Mapping[str, StoredRecord] = {}
        self._found = frozenset[str]()

    def update(self, leases: Mapping[str, LeaseEntry], listed: Mapping[str, StoredRecord]) -> frozenset[str]:
        """The names of these leases."""
        changed = changed_keys(leases, self._leases)
        for record in changed_keys(listed, self._listed):
            changed.update(leases_of_record(record))
        if changed:
            found = (name for name in changed & leases.keys() if is_of_record(name) and not is_temporary(leases[name]))
            self._found = (self._found - changed) | {name for name in found if record_of(name) not in listed}
        self._leases, self._listed = leases, listed
        return self._found


#: What a record is made of: its values, those of its twin, its snapshot and blobs, and whether it is shared.
_Of = tuple[Values, Values | None, StoredSnapshot | None, tuple[BlobEntry, ...], bool]


class _LastRecords(Struct):
    """The records of the last reading: as they were stored, the blobs of their layers, and what was made of each.

    `asked`: the keys of snapshots and the digests of blobs that they were asked for, there or not. `lists`: the lists
    of layers that they stand for.
    """

    found: Mapping[str, StoredRecord] = field(default_factory=dict)
    blobs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    made: dict[str, tuple[_Of, BuildRecord]] = field(default_factory=dict)
    records: tuple[BuildRecord, ...] = ()
    asked: frozenset[str] = frozenset()
    lists: frozenset[tuple[str, ...]] = frozenset()
    stored: Stored | None = None

    def are_of(self, found: Mapping[str, StoredRecord], stored: Stored) -> bool:
        """Whether these are the records for what is stored now."""
        last = self.stored
        if last is None or found is not self.found or not self.lists.isdisjoint(last.stacks ^ stored.stacks):
            return False
        if (last.engine, last.snapshotter) != (stored.engine, stored.snapshotter):
            return False
        nodes = changed_keys(stored.snapshots.by_node, last.snapshots.by_node)
        changed = {node.name for node in nodes} | changed_keys(stored.blobs, last.blobs)
        return changed.isdisjoint(self.asked)


class _Records:
    """The records of one snapshotter."""

    def __init__(
        self, found: Mapping[str, StoredRecord], snapshotter: str, stored: Stored, known: _LastRecords
    ) -> None:
        self._values = {name: one.values for name, one in found.items()}
        self._snapshotter = snapshotter
        self._stored = stored
        self._known = known
        if known.found is not found:
            known.found, known.blobs = found, _all_blobs(self._values)
            known.lists = frozenset(known.blobs.values())
        self._shared = _shared(self._values, known.blobs, stored.stacks)
        #: A record that is the same data as another one has its size.
        self._twins = {_text(values, _EQUAL): values for values in self._values.values() if values[_EQUAL]}

    def read(self) -> Iterator[BuildRecord]:
        """The records with data of their own."""
        last, self._known.made = self._known.made, {}
        asked: set[str] = set()
        for name, values in self._values.items():
            if values[_EQUAL]:
                continue
            key = _text(values, "cache.snapshot") or name
            snapshot = self._stored.snapshots.by_node.get(StoreNode(self._stored.engine, self._snapshotter, key))
            asked.add(key)
            blobs = tuple(self._blobs(_text(values, "cache.blob"), asked))
            of = (values, self._twins.get(name), snapshot, blobs, name in self._shared)
            known = last.get(name)
            if known is None or known[0] != of:
                known = of, self._record(name, values, snapshot, blobs)
            self._known.made[name] = known
            yield known[1]
        self._known.asked = frozenset(asked)

    def _blobs(self, digest: str, asked: set[str]) -> Iterator[BlobEntry]:
        """The blob of a layer, and those of the same layer with other compressions, as far as they are there."""
        pending, seen = [digest], set[str]()
        while pending and len(seen) < _MOST_VARIANTS:
            one = pending.pop()
            asked.add(one)
            if one in seen or (blob := self._stored.blobs.get(one)) is None:
                continue
            seen.add(one)
            yield blob
            pending += [value for label, value in blob.gc if label.startswith(_VARIANT)]

    def _record(
        self, name: str, values: Values, snapshot: StoredSnapshot | None, blobs: tuple[BlobEntry, ...]
    ) -> BuildRecord:
        size = count(values["snapshot.size"])
        if size is None and name in self._twins:
            size = count(self._twins[name]["snapshot.size"])
        return BuildRecord(
            id=name,
            kind=_text(values, "cache.recordType") or "regular",
            size=self._size(values, snapshot, blobs) if size is None else size,
            created=time_of(values["cache.createdAt"]),
            last_used=time_of(values["cache.lastUsedAt"]),
            usage_count=count(values["cache.usageCount"]),
            shared=name in self._shared,
            namespace=self._stored.engine,
            layer=snapshot.layer if snapshot else None,
        )

    @staticmethod
    def _size(values: Values, snapshot: StoredSnapshot | None, blobs: tuple[BlobEntry, ...]) -> int | None:
        """The size that BuildKit writes down when it is asked for it: of the snapshot and the blobs that are there.

        None if it is that of a snapshot whose size is not written down.
        """
        sizes = [blob.size for blob in blobs]
        if values["cache.blobonly"] is not True and snapshot is not None:
            sizes.append(snapshot.recorded if snapshot.entry.merged is None else snapshot.entry.merged)
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None


def _text(values: Values, key: str) -> str:
    value = values[key]
    return value if isinstance(value, str) else ""


_PARENT, _LOWER, _UPPER, _MERGED = (
    "cache.parent",
    "cache.lowerDiffParent",
    "cache.upperDiffParent",
    "cache.mergeParents",
)


def _shared(records: Mapping[str, Values], layers: Mapping[str, tuple[str, ...]], stacks: Stacks) -> set[str]:
    """The records whose layers are those of an image, and all records below these. `layers`: see `_all_blobs`."""
    pending = [name for name, blobs in layers.items() if blobs and blobs in stacks]
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name in records and name not in found:
            found.add(name)
            pending += _below(records[name])
    return found


def _all_blobs(records: Mapping[str, Values]) -> dict[str, tuple[str, ...]]:
    """By record, the blobs of all layers that it stands for, lowest first; () where they are too many."""
    done: dict[str, tuple[str, ...]] = {}
    for first in records:
        pending = [first]
        while pending:
            name = pending[-1]
            below = [one for one in _below(records[name]) if one in records and one not in done]
            if below and len(pending) <= len(records):
                pending += below
                continue
            pending.pop()
            blobs = _blobs(records[name], done)
            done[name] = blobs if len(blobs) <= MOST_LAYERS else ()
    return done


def _blobs(values: Values, known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The blobs of one record; what has none is left out. A difference has its own blob, or those of its upper side.

    BuildKit compares the digests as one text, in which a layer without a blob is nothing (checker.go, layerKey): what
    was run on an image and is in no image itself has the layers of that image.
    """
    own = _text(values, "cache.blob")
    if merged := _names(values, _MERGED):
        return tuple(islice((blob for one in merged for blob in known.get(one, ())), MOST_LAYERS + 1))
    if values[_LOWER] or values[_UPPER]:
        return (own,) if own else known.get(_text(values, _UPPER), ())
    below = known.get(_text(values, _PARENT), ())
    return (*below, own) if own else below


def _below(values: Values) -> list[str]:
    """The records that a record is made of."""
    return [*(_text(values, key) for key in (_PARENT, _LOWER, _UPPER) if values[key]), *_names(values, _MERGED)]


def _names(values: Values, key: str) -> tuple[str, ...]:
    value = values[key]
    return value if isinstance(value, tuple) else ()
