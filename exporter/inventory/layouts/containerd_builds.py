"""BuildKit's cache where its snapshots and blobs are in a containerd image store.

Facts: moby 28 builder/builder-next/worker/containerdworker.go; buildkit v0.25 cache/metadata.go, cache/refs.go (size,
the chain of blobs). Each snapshotter has records of its own, in `buildkit/containerd-<snapshotter>/metadata_v2.db`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from exporter.core.content import StoreNode
from exporter.core.knowledge import Input
from exporter.core.model import BuildCache, BuildRecord
from exporter.inventory.drivers import MOST_LAYERS
from exporter.inventory.files.reader import Reader
from exporter.inventory.layouts.buildkit import HOME, OF_CONTAINERD, all_records, count, time_of
from exporter.inventory.layouts.containerd_snapshots import Snapshots

RECORDS_FILE = "metadata_v2.db"
_EQUAL = "cache.equalMutable"

Values = Mapping[str, object]
#: Lists of layers, lowest first, by the digests of their blobs.
Stacks = frozenset[tuple[str, ...]]


def build_snapshotters(reader: Reader) -> list[str]:
    """The snapshotters that BuildKit has records of."""
    names = reader.listing(HOME) or []
    return [name.removeprefix(OF_CONTAINERD) for name in names if name.startswith(OF_CONTAINERD)]


def read_build_cache(reader: Reader, snapshots: Snapshots, engine: str, stacks: Stacks) -> BuildCache:
    """Read the records. `stacks`: all beginnings of the lists of layers that images have."""
    records: list[BuildRecord] = []
    for snapshotter in build_snapshotters(reader):
        file = (*HOME, OF_CONTAINERD + snapshotter, RECORDS_FILE)
        found = reader.database(file, "_main", partial(all_records, reader, file))
        if found is None:
            reader.gap(Input.BUILD_CACHE, file, "it cannot be read")
            continue
        records += _Records(found, snapshotter, snapshots, engine, stacks).read()
    return BuildCache(tuple(records), files=(HOME,))


class _Records:
    """The records of one snapshotter."""

    def __init__(
        self,
        found: Sequence[tuple[str, Values]],
        snapshotter: str,
        snapshots: Snapshots,
        engine: str,
        stacks: Stacks,
    ) -> None:
        self._found = found
        self._values = dict(found)
        self._snapshotter = snapshotter
        self._snapshots = snapshots
        self._engine = engine
        self._stacks = stacks
        #: A record that is the same data as another one has its size.
        self._twins = {_text(values, _EQUAL): values for _, values in found if values[_EQUAL]}

    def read(self) -> Iterator[BuildRecord]:
        """The records with data of their own."""
        return (self._record(name, values) for name, values in self._found if not values[_EQUAL])

    def _record(self, name: str, values: Values) -> BuildRecord:
        size = count(values["snapshot.size"])
        if size is None and name in self._twins:
            size = count(self._twins[name]["snapshot.size"])
        key = _text(values, "cache.snapshot") or name
        snapshot = self._snapshots.by_node.get(StoreNode(self._engine, self._snapshotter, key))
        return BuildRecord(
            id=name,
            kind=_text(values, "cache.recordType") or "regular",
            size=size,
            created=time_of(values["cache.createdAt"]),
            last_used=time_of(values["cache.lastUsedAt"]),
            usage_count=count(values["cache.usageCount"]),
            shared=self._is_shared(name),
            namespace=self._engine,
            layer=snapshot.layer if snapshot else None,
        )

    def _is_shared(self, name: str) -> bool:
        """Whether its blobs, with those below it, are the lowest layers of an image."""
        blobs: list[str] = []
        at = name
        while at and len(blobs) < MOST_LAYERS:
            values = self._values.get(at)
            blob = _text(values, "cache.blob") if values else ""
            if not blob:
                return False
            blobs.append(blob)
            at = _text(values, "cache.parent") if values else ""
        return tuple(reversed(blobs)) in self._stacks


def _text(values: Values, key: str) -> str:
    value = values[key]
    return value if isinstance(value, str) else ""
