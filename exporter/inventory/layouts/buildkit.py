"""BuildKit's cache in a Docker data root: what its records are, and which layers they need.

Facts: Docker 20.10 builder/builder-next/adapters/snapshot/snapshot.go (`buildkit/snapshots.db`: a bucket for each
snapshot with `parent`, `committed`, `chainid`, `size`) and moby/buildkit v0.8 cache/metadata.go, cache/manager.go
(`buildkit/metadata_v2.db`, before 20.10 `metadata.db`: a bucket for each record in `_main`, JSON values). A record
with an `equalMutable` is the same data as that one, and `docker system df` leaves it out.
"""

import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import NamedTuple, cast

from msgspec import Struct

from exporter.core.area import Area, Signature
from exporter.core.kept import Last
from exporter.core.knowledge import Input
from exporter.core.measured import Reason, Tree
from exporter.core.model import BuildCache, BuildRecord, Collector, LayerId, LayerKey
from exporter.inventory.drivers import INIT
from exporter.inventory.files.bolt import Bucket, word
from exporter.inventory.files.reader import Reader
from exporter.inventory.files.values import value_in
from exporter.inventory.layouts.layerdb_store import Database

HOME: Tree = ("buildkit",)
#: BuildKit writes to its databases in place and keeps them open: no event tells of that, so it is not watched.
AREA = Area(
    HOME,
    "BuildKit's cache records and contents",
    Collector.BUILD_CACHE,
    store=True,
    signature=Signature(),
    input=Input.BUILD_CACHE,
)
_CONTENT: Tree = ("buildkit", "content")
#: Docker 24 and newer, with a graph driver (builder/builder-next/controller.go, openHistoryDB).
HISTORY: Tree = ("buildkit", "history.db")
#: Docker 28 and newer, with the containerd image store; before, both stores had the same one.
HISTORY_OF_CONTAINERD: Tree = ("buildkit", "history_c8d.db")
#: The lease of a build in there has this before the build's id (buildkit v0.25 solver/llbsolver/history.go, leaseID).
HISTORY_LEASE = "ref_"
SNAPSHOTS: Tree = ("buildkit", "snapshots.db")
_RECORDS: tuple[Tree, ...] = (("buildkit", "metadata_v2.db"), ("buildkit", "metadata.db"))
_NAME = re.compile(r"[0-9a-z]{25}", re.ASCII)
_LONGEST_NAME = 25 + len(INIT)
#: With the containerd image store: `containerd-<snapshotter>` (Docker 28, builder/builder-next/controller.go).
OF_CONTAINERD = "containerd-"
#: The records of such a snapshotter.
RECORDS_FILE = "metadata_v2.db"
_SHA256 = "sha256:"
_NAME_OF, COMMITTED, _CHAIN, PARENT = map(attrgetter, ("name", "committed", "chain", "parent"))  # of a BuildSnapshot
_NANOSECONDS = 1e9
#: Of one record.
_MOST_PARENTS = 4096
_LARGEST = 2**63 - 1


class BuildSnapshot(Struct, frozen=True, gc=False):
    """One snapshot; `committed` is the name of the driver's directory where that is another than its own."""

    name: str
    parent: str = ""
    committed: str = ""
    chain: str = ""
    size: int | None = None

    @property
    def directory(self) -> LayerId:
        """The driver's directory, where it has one that is not a layer of its own."""
        return LayerId(self.committed or self.name)


class Builds(Struct, frozen=True):
    """BuildKit's databases. `doubtful`: not all could be read, so any layer may be needed.

    `history`: there is the database of a history of builds. What is in it is not read.
    """

    snapshots: Mapping[str, BuildSnapshot]
    records: Sequence[tuple[str, Mapping[str, object]]]
    doubtful: bool = False
    history: bool = False


def build_names(database: Database) -> list[LayerId]:
    """The directories of a driver with names as BuildKit gives them (buildkit identity.NewID)."""
    return [
        name
        for name in database.store.names
        if len(name) <= _LONGEST_NAME and _NAME.fullmatch(name.removesuffix(INIT)) is not None
    ]


def read_builds(reader: Reader) -> Builds:
    """Read BuildKit's databases; the result is empty without BuildKit."""
    names = reader.listing(HOME)
    if names is None:
        return Builds({}, (), doubtful=True)
    if not reader.root.is_directory(HOME):
        return Builds({}, ())
    file = next((one for one in _RECORDS if one[-1] in names), _RECORDS[0])
    own = names and not any(name.startswith(OF_CONTAINERD) for name in names)
    for database in (SNAPSHOTS, file) if own else ():
        reader.expect(database)
    snapshots = reader.database(SNAPSHOTS, "", _snapshots)
    records = reader.database(file, "_main", partial(_records, reader, file))
    # An engine makes an empty database where a file has no bytes: both are empty then.
    for database, other in ((SNAPSHOTS, records), (file, snapshots)):
        if other and reader.is_empty(database):
            reader.gap(Input.BUILD_CACHE, database, "it is empty, and what belongs to it is not")
    history = HISTORY[-1] in names and not reader.is_empty(HISTORY)
    return Builds(snapshots or {}, records or (), snapshots is None or records is None, history)


def builds_of(database: Bucket) -> frozenset[str]:
    """The builds in a database of the history. BuildKit makes their bucket when it needs it (history.go, init)."""
    return frozenset(map(word, database.buckets.get(b"_records", Bucket()).values))


class StoredRecord(Struct, frozen=True, gc=False):
    """The values of a record that are used here. `damaged`: some cannot be decoded."""

    values: Mapping[str, object]
    damaged: bool


def _snapshots(bucket: Bucket) -> dict[str, BuildSnapshot]:
    found = {}
    for key, one in bucket.buckets.items():
        values = {name: value.decode("utf-8", "replace") for name, value in one.values.items()}
        size = values.get(b"size", "")
        name = key.decode("utf-8", "replace")
        found[name] = BuildSnapshot(
            name,
            values.get(b"parent", ""),
            values.get(b"committed", ""),
            values.get(b"chainid", "").removeprefix(_SHA256),
            int(size) if size.isascii() and size.isdecimal() and len(size) < 19 else None,
        )
    return found


def _records(reader: Reader, file: Tree, bucket: Bucket) -> tuple[tuple[str, Mapping[str, object]], ...]:
    """The records that have data of their own, with the values that are used here."""
    found = all_records(reader, file, bucket).items()
    return tuple([(name, one.values) for name, one in found if not one.values[_EQUAL]])


def all_records(reader: Reader, file: Tree, bucket: Bucket) -> Mapping[str, StoredRecord]:
    """All records of `_main`, also those that are the same data as another one, which `cache.equalMutable` names.

    They are another mapping, and other objects, only where one has changed. Values that cannot be decoded are one
    problem, and not known.
    """
    last: Last[str, StoredRecord] = reader.lasting("records", file, Last)
    found = last.or_next(bucket.each(_decoded, last.value))
    damaged = [name for name, one in found.items() if one.damaged]
    if damaged:
        reader.problem(Reason.DECODE, file, f"{len(damaged)} of its records, one is {damaged[0]}")
    return found


def _decoded(bucket: Bucket) -> StoredRecord:
    values, damaged = _NO_VALUES.copy(), False
    for key, raw in bucket.values.items():
        name = _VALUES.get(key)
        # One that was taken back is empty (buildkit cache/metadata/metadata.go, setValue).
        if name is None or not raw:
            continue
        try:
            values[name] = _plain(value_in(raw))
        except ValueError:
            damaged = True
    return StoredRecord(values, damaged)


def _plain(value: object) -> object:
    """A string, a number, or the strings of a list; True for all else that is something, which is not used."""
    if isinstance(value, str):
        return sys.intern(value)  # of many records it is the same
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, list):
        return tuple(sys.intern(one) for one in value[:_MOST_PARENTS] if isinstance(one, str))
    return bool(value)


_EQUAL = "cache.equalMutable"
_NO_VALUES: dict[str, object] = dict.fromkeys(
    (
        _EQUAL,
        "cache.recordType",
        "cache.createdAt",
        "cache.lastUsedAt",
        "cache.usageCount",
        "cache.snapshot",
        "snapshot.size",
        "cache.blob",
        "cache.blobonly",
        "cache.parent",
        "cache.mergeParents",
        "cache.lowerDiffParent",
        "cache.upperDiffParent",
    )
)
#: Their names, by how they are written in the database.
_VALUES = {name.encode(): name for name in _NO_VALUES}


#: What is known of a record: its name, its values, and its snapshot.
Known = Callable[[str, Mapping[str, object], "BuildSnapshot | None"], BuildRecord | None]


def build_cache(
    builds: Builds, databases: Sequence[Database], present: bool, known: Known = lambda *_: None
) -> BuildCache:
    """Make the build cache of the databases; `present` says whether BuildKit has a directory.

    `known` returns a record that was made before and holds still.
    """
    everything, keys = _Names.of(builds.snapshots.values()), [snapshot_of(*one) for one in builds.records]
    of_records = _held(builds, everything, {*keys})
    imaged = {
        LayerKey(one.driver, layer)
        for one in databases
        for image in (one.images if builds.records else ())
        for layer in image.layers
    }
    records = []
    for (name, values), key in zip(builds.records, keys, strict=True):
        snapshot = builds.snapshots.get(key)
        records.append(known(name, values, snapshot) or _record(name, values, snapshot, databases, imaged))
    content, files = (_CONTENT,) if present else (), (HOME,) if present else ()
    needs = {one.driver: everything.needs(one) for one in databases}
    holds = needs if of_records is everything else {one.driver: of_records.needs(one) for one in databases}
    return BuildCache(tuple(records), needs, holds, content, files, builds.history)


class _Names(NamedTuple):
    """What some snapshots name: directories of the driver, and what may be chain ids of layers."""

    directories: set[str]
    tops: set[str]

    @classmethod
    def of(cls, snapshots: Collection[BuildSnapshot]) -> "_Names":
        """What these name."""
        names = {*map(_NAME_OF, snapshots)}
        directories = names.union(map(COMMITTED, snapshots))
        return cls(directories, names.union(map(_CHAIN, snapshots), map(PARENT, snapshots)))

    def needs(self, database: Database) -> frozenset[LayerId]:
        """The layers of a driver that they need."""
        directories, tops = self
        found = {*database.store.names.intersection(cast("set[LayerId]", directories))}
        found.update(
            name for name in database.store.names if name.endswith(INIT) and name.removesuffix(INIT) in directories
        )
        named = (chain for chain in database.entries if chain in tops or _SHA256 + chain in tops)
        return frozenset(found.union(entry.cache for entry in database.below(named)))


def _held(builds: Builds, everything: _Names, keys: set[str]) -> _Names:
    """What the snapshots of the records, by these keys, and those below them name; `everything`: what all do.

    A prune removes the record of an image's layer, and leaves the snapshot that names the layer. It holds nothing.
    """
    if builds.snapshots.keys() <= keys:  # then nothing needs to be walked
        others = keys.union(map(PARENT, builds.snapshots.values())).difference(builds.snapshots, ("",))
        if not others:
            return everything
        return _Names(everything.directories | others, everything.tops | others)
    pending, found = list(keys), dict[str, BuildSnapshot]()
    while pending:
        name = pending.pop()
        if name and name not in found:  # a layer of an image has no entry of its own before it is used
            found[name] = builds.snapshots.get(name, BuildSnapshot(name))
            pending.append(found[name].parent)
    return _Names.of(found.values())


def snapshot_of(record: str, values: Mapping[str, object]) -> str:
    """The key of a record's snapshot."""
    key = values["cache.snapshot"]
    return key if isinstance(key, str) and key else record


def parents(builds: Builds, database: Database) -> dict[LayerId, tuple[LayerId, ...]]:
    """The layer below each snapshot, for drivers that Docker has compare."""
    found: dict[LayerId, tuple[LayerId, ...]] = {}
    for name in builds.snapshots.keys() & database.store.names:
        parent = builds.snapshots[name].parent
        below = builds.snapshots.get(parent)
        if below is not None and not below.chain:
            found[LayerId(name)] = (below.directory,)
        else:
            entry = database.entries.get((below.chain if below else parent).removeprefix(_SHA256))
            found[LayerId(name)] = () if entry is None else (entry.cache,)
    return found


def own_directories(builds: Builds) -> frozenset[LayerId]:
    """The directories of snapshots that are not known to be layers of the engine.

    A kill between the two leaves one that the engine has registered as a layer, which BuildKit has not written down
    (Docker 20.10 builder/builder-next/adapters/snapshot/layer.go, EnsureLayer). BuildKit removes such a directory from
    the driver, and not from the engine's layers.
    """
    layers = {one.directory for one in builds.snapshots.values() if one.chain}
    return frozenset(one.directory for one in builds.snapshots.values()) - layers


def _record(
    name: str,
    values: Mapping[str, object],
    snapshot: BuildSnapshot | None,
    databases: Sequence[Database],
    imaged: set[LayerKey],
) -> BuildRecord:
    size = count(values["snapshot.size"])
    content, shared = None, False
    for database in databases if snapshot is not None else ():
        assert snapshot is not None, "asked for"
        entry = database.entries.get(snapshot.chain or snapshot.name.removeprefix(_SHA256))
        shared = shared or (entry is not None and LayerKey(database.driver, entry.cache) in imaged)
        place = database.store.place(snapshot.directory) if snapshot.directory in database.store.names else None
        if place is not None and database.store.driver.sums_files:
            content = place.content
    if size is None and snapshot is not None:
        size = snapshot.size
    kind = values["cache.recordType"]
    return BuildRecord(
        id=name,
        kind=kind if isinstance(kind, str) and kind else "regular",
        size=size,
        content=content,
        created=time_of(values["cache.createdAt"]),
        last_used=time_of(values["cache.lastUsedAt"]),
        usage_count=count(values["cache.usageCount"]),
        shared=shared,
    )


def count(value: object) -> int | None:
    """A number of BuildKit's that is none below 0; None for all else."""
    return value if type(value) is int and 0 <= value <= _LARGEST else None


def time_of(value: object) -> float | None:
    """A time in nanoseconds, as Unix seconds; None for all else."""
    found = count(value)
    return None if found is None else found / _NANOSECONDS
