"""BuildKit's databases in a Docker data root: where they are, and what is in them.

Facts: Docker 20.10 builder/builder-next/adapters/snapshot/snapshot.go (`buildkit/snapshots.db`: a bucket for each
snapshot with `parent`, `committed`, `chainid`, `size`) and moby/buildkit v0.8 cache/metadata.go, cache/manager.go
(`buildkit/metadata_v2.db`, before 20.10 `metadata.db`: a bucket for each record in `_main`, JSON values).
"""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from operator import attrgetter

from msgspec import Struct

from exporter.core.area import Area, Signature
from exporter.core.kept import Last
from exporter.core.knowledge import Input
from exporter.core.measured import Reason, Tree
from exporter.core.model import Collector, LayerId
from exporter.inventory.files.bolt import Bucket, word
from exporter.inventory.files.reader import Reader
from exporter.inventory.files.values import value_in

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
#: Docker 24 and newer, with a graph driver (builder/builder-next/controller.go, openHistoryDB).
HISTORY: Tree = ("buildkit", "history.db")
#: Docker 28 and newer, with the containerd image store; before, both stores had the same one.
HISTORY_OF_CONTAINERD: Tree = ("buildkit", "history_c8d.db")
#: The lease of a build in there has this before the build's id (buildkit v0.25 solver/llbsolver/history.go, leaseID).
HISTORY_LEASE = "ref_"
SNAPSHOTS: Tree = ("buildkit", "snapshots.db")
_RECORDS: tuple[Tree, ...] = (("buildkit", "metadata_v2.db"), ("buildkit", "metadata.db"))
#: With the containerd image store: `containerd-<snapshotter>` (Docker 28, builder/builder-next/controller.go).
OF_CONTAINERD = "containerd-"
#: The records of such a snapshotter.
RECORDS_FILE = "metadata_v2.db"
SHA256 = "sha256:"
NAME, COMMITTED, CHAIN, PARENT = map(attrgetter, ("name", "committed", "chain", "parent"))  # of a BuildSnapshot
#: Of one record.
_MOST_PARENTS = 4096


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

    `history`: there is the database of a history of builds. What is in it is not read. `written`: when the database of
    the snapshots was written last, as it was read, in Unix seconds.
    """

    snapshots: Mapping[str, BuildSnapshot]
    records: Sequence[tuple[str, Mapping[str, object]]]
    doubtful: bool = False
    history: bool = False
    written: float = 0.0


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
    written = reader.root.modified(SNAPSHOTS)
    snapshots = reader.database(SNAPSHOTS, "", _snapshots)
    records = reader.database(file, "_main", partial(_records, reader, file))
    # An engine makes an empty database where a file has no bytes: both are empty then.
    for database, other in ((SNAPSHOTS, records), (file, snapshots)):
        if other and reader.is_empty(database):
            reader.gap(Input.BUILD_CACHE, database, "it is empty, and what belongs to it is not")
    history = HISTORY[-1] in names and not reader.is_empty(HISTORY)
    return Builds(snapshots or {}, records or (), snapshots is None or records is None, history, written)


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
            values.get(b"chainid", "").removeprefix(SHA256),
            int(size) if size.isascii() and size.isdecimal() and len(size) < 19 else None,
        )
    return found


def _records(reader: Reader, file: Tree, bucket: Bucket) -> tuple[tuple[str, Mapping[str, object]], ...]:
    """The records that have data of their own, with the values that are used here."""
    found = all_records(reader, file, bucket).items()
    return tuple([(name, one.values) for name, one in found if not one.values[EQUAL]])


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


EQUAL = "cache.equalMutable"
_NO_VALUES: dict[str, object] = dict.fromkeys(
    (
        EQUAL,
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
