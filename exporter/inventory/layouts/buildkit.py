"""BuildKit's cache in a Docker data root: what its records are, and which layers they need.

Facts: see `buildkit_databases`. A record with an `equalMutable` is the same data as that one, and `docker system df`
leaves it out.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, cast

from exporter.core.measured import Tree
from exporter.core.model import BuildCache, BuildRecord, LayerId, LayerKey
from exporter.inventory.drivers import INIT
from exporter.inventory.layouts.buildkit_databases import (
    CHAIN,
    COMMITTED,
    HOME,
    NAME,
    PARENT,
    SHA256,
    Builds,
    BuildSnapshot,
)
from exporter.inventory.layouts.layerdb_store import Database

_CONTENT: Tree = ("buildkit", "content")
_NAME = re.compile(r"[0-9a-z]{25}", re.ASCII)
_LONGEST_NAME = 25 + len(INIT)
_NANOSECONDS = 1e9
_LARGEST = 2**63 - 1


def build_names(database: Database) -> list[LayerId]:
    """The directories of a driver with names as BuildKit gives them (buildkit identity.NewID)."""
    return [
        name
        for name in database.store.names
        if len(name) <= _LONGEST_NAME and _NAME.fullmatch(name.removesuffix(INIT)) is not None
    ]


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
    records, stuck = [], ""
    for (name, values), key in zip(builds.records, keys, strict=True):
        snapshot = builds.snapshots.get(key)
        record = known(name, values, snapshot) or _record(name, values, snapshot, databases, imaged)
        records.append(record)
        if record.size is None and not stuck and values["cache.blobonly"] is not True:
            stuck = name if _is_stuck(record, key, builds, databases) else ""
    content, files = (_CONTENT,) if present else (), (HOME,) if present else ()
    needs = {one.driver: everything.needs(one) for one in databases}
    holds = needs if of_records is everything else {one.driver: of_records.needs(one) for one in databases}
    return BuildCache(tuple(records), needs, holds, content, files, builds.history, stuck=stuck)


def _is_stuck(record: BuildRecord, key: str, builds: Builds, databases: Sequence[Database]) -> bool:
    """Whether the snapshot of a record without a size is gone, by the `key` of it.

    BuildKit takes the size of what it removes, and fails where there is nothing (v0.8 cache/refs.go, Size; Docker 20.10
    builder/builder-next/adapters/snapshot/snapshot.go, Usage and Stat). A snapshot is written before its record: one
    of a younger record may have come after the snapshots were read.
    """
    if record.created is None or record.created > builds.written:
        return False
    snapshot = builds.snapshots.get(key)
    if snapshot is None:
        return not key.startswith(SHA256)
    if snapshot.chain:
        return False
    return snapshot.directory not in builds.snapshots or not any(one.store.has(snapshot.directory) for one in databases)


class _Names(NamedTuple):
    """What some snapshots name: directories of the driver, and what may be chain ids of layers."""

    directories: set[str]
    tops: set[str]

    @classmethod
    def of(cls, snapshots: Collection[BuildSnapshot]) -> "_Names":
        """What these name."""
        names = {*map(NAME, snapshots)}
        directories = names.union(map(COMMITTED, snapshots))
        return cls(directories, names.union(map(CHAIN, snapshots), map(PARENT, snapshots)))

    def needs(self, database: Database) -> frozenset[LayerId]:
        """The layers of a driver that they need."""
        directories, tops = self
        found = {*database.store.names.intersection(cast("set[LayerId]", directories))}
        found.update(
            name for name in database.store.names if name.endswith(INIT) and name.removesuffix(INIT) in directories
        )
        named = (chain for chain in database.entries if chain in tops or SHA256 + chain in tops)
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
            entry = database.entries.get((below.chain if below else parent).removeprefix(SHA256))
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
        entry = database.entries.get(snapshot.chain or snapshot.name.removeprefix(SHA256))
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
