"""The layout of containerd's image store, with Docker's data root or alone.

Facts: Docker 23 to 28 daemon/containerd, containerd 1.7 and 2.1. The store is below `containerd/daemon` where dockerd
starts a containerd of its own, in a further root where the host has one, and in the root itself where the data root is
that of a containerd. The engine's own containerd, which every Docker since 18.09 has, keeps empty stores in
`containerd/daemon` as well: they are evidence only where something is in them, or where there is no other image store.
"""

import time
from collections import Counter
from collections.abc import Mapping

from msgspec.structs import replace

from exporter.core.content import WALKABLE
from exporter.core.knowledge import Input
from exporter.core.model import BuildCache, Collector, Image
from exporter.core.text import label
from exporter.inventory.drivers import DRIVERS
from exporter.inventory.files.reader import Reader
from exporter.inventory.image_store.graph import history_of
from exporter.inventory.image_store.manifests import BlobReader
from exporter.inventory.image_store.store import (
    BLOBS,
    DAEMON,
    META_FILE,
    METADATA,
    SNAPSHOTS,
    StoreFiles,
    entries,
    homes,
    read_store,
)
from exporter.inventory.layouts.buildkit_databases import HOME, OF_CONTAINERD, RECORDS_FILE
from exporter.inventory.layouts.containerd_builds import (
    Stored,
    build_snapshotters,
    note_missing_records,
    read_build_cache,
    read_history,
)
from exporter.inventory.layouts.containerd_content import (
    Contents,
    find_engine,
    leases_of_lost,
)
from exporter.inventory.layouts.containerd_foreign import ForeignContainers
from exporter.inventory.layouts.containerd_images import ImagesOfNamespace
from exporter.inventory.layouts.containerd_layers import SnapshotLayers
from exporter.inventory.layouts.containerd_part import SnapshotterPart
from exporter.inventory.layouts.containerd_snapshots import SnapshotsReader
from exporter.inventory.layouts.part import Part, Reading

#: The snapshotter that Docker and containerd take by default.
_DEFAULT_SNAPSHOTTER = "overlayfs"


def read(reading: Reading) -> Part:
    """Read the store. Where there is none to be read, its objects are not known."""
    reader = reading.readers[Collector.IMAGES]
    found = _find(reader)
    if found is None or _is_of_another_engine(reading, found):
        _note_lost_records(reading.readers[Collector.BUILD_CACHE])
        return Part(measured=False)
    first = _Reading(reading, found)
    part = first.part()
    if first.is_torn():
        reader.wait()
        again = _find(reader)
        part = part if again is None else _Reading(reading, again).part()
    leftovers = ("containerd",) if found.home != DAEMON and entries(reading.root, (*DAEMON, *BLOBS)) else ()
    return replace(part, leftovers=leftovers)


def _is_of_another_engine(reading: Reading, files: StoreFiles) -> bool:
    """Whether a store without contents is that of an engine with a graph driver, whose own image store is damaged."""
    if files.blobs or any(space.images or any(space.snapshots.values()) for space in files.namespaces.values()):
        return False
    others = {one.driver for one in reading.containers} - {"", *files.snapshotters, *WALKABLE}
    names = ({*entries(reading.root, driver.layers)} - {*driver.own} for driver in DRIVERS if driver.layers)
    return bool(others) or any(names)


def _note_lost_records(reader: Reader) -> None:
    """Note that the records of the build cache are not known: their data is in the store."""
    for name in build_snapshotters(reader):
        reader.gap(Input.BUILD_CACHE, (*HOME, OF_CONTAINERD + name), "its records are in the image store of containerd")


def _find(reader: Reader) -> StoreFiles | None:
    """Read the first store that has something of images; None where none can be read."""
    first = None
    for home in homes(reader.root):
        found = read_store(reader, home)
        if found is None:
            reader.gap(Input.NAMES, (*home, METADATA, META_FILE), "the names of images are in there")
            return None
        if any(space.images or any(space.snapshots.values()) for space in found.namespaces.values()):
            return found
        first = first or found
    return first


class _Reading:
    """One reading of a store."""

    def __init__(self, reading: Reading, files: StoreFiles) -> None:
        self._reading = reading
        self._files = files
        self._reader = reading.readers[Collector.IMAGES]
        self._snapshots = self._reader.derived("snapshots", files.home, SnapshotsReader).read(files)
        self._engine = find_engine(files, reading.containers) if files.home else ""
        self._blobs = BlobReader(self._reader, files.blobs or {})
        self._stacks: set[tuple[str, ...]] = set()
        self._unread = ""

    def is_torn(self) -> bool:
        """Whether an image was removed while it was read."""
        return self._blobs.vanished and self._files.is_moving(self._reader.root)

    def part(self) -> Part:
        """Everything in the store."""
        files, engine = self._files, self._engine
        names = sorted({*files.snapshotters})
        active = self._active()
        default = self._engine_snapshotter(active)
        layers = {name: SnapshotLayers(self._reader, files, name, self._snapshots) for name in names}
        images = self._images(default)
        known = self._reader.derived("contents", files.home, Contents)
        known.graph.update(files.namespaces, time.time(), self._snapshots.by_node)
        content = known.make(files, self._snapshots, layers, engine, self._history(engine))
        leases = leases_of_lost(content, self._reading.containers)
        of_engine = {one.driver for one in self._reading.containers} | ({default} if engine else set())
        used = {name for name in names if self._is_used(name, images)} | (of_engine & {*names})
        parts = [
            SnapshotterPart(
                layers[name],
                self._snapshots,
                [one for one in images if one.driver == name],
                engine if name in of_engine else "",
                known.graph,
                leases,
                [(*files.home, METADATA, META_FILE)],
                loads=name in of_engine,
            )
            for name in sorted(used)
        ]
        return Part(
            parts,
            build_cache=self._build_cache(engine, default),
            content=content,
            containers=tuple(ForeignContainers(files.namespaces, self._snapshots, images, default).read(engine)),
            counts={(one.store.driver.name, SNAPSHOTS): len(one.store.names) for one in parts if one.store.listed},
            active=active,
            unused=known.unused(),
        )

    def _is_used(self, name: str, images: list[Image]) -> bool:
        one = self._files.snapshotters[name]
        return (
            bool(self._snapshots.by_layer.get(name))
            or bool(one.rows)
            or bool(one.directories)
            or any(image.driver == name for image in images)
        )

    def _active(self) -> dict[str, float]:
        """When Docker last worked with each snapshotter, in Unix seconds; 0 where nothing tells.

        Others work in the directories of snapshotters, too. These are Docker's alone: the mount points of containers,
        the records of BuildKit, and its containers.
        """
        root, found = self._reader.root, dict.fromkeys(self._files.snapshotters, 0.0)
        for name in found:
            own = (("rootfs", name), (*HOME, OF_CONTAINERD + name, RECORDS_FILE))
            made = (one.created or 0.0 for one in self._reading.containers if one.driver == name)
            found[name] = max((*map(root.modified, own), *made))
        return found

    def _engine_snapshotter(self, active: Mapping[str, float]) -> str:
        """The snapshotter that Docker works with: that of its last work, or the one that has most of its snapshots."""
        last = max(active, key=lambda name: active[name], default="")
        if last and active[last]:
            return last
        space = self._files.namespaces.get(self._engine)
        having = Counter({name: len(entries) for name, entries in space.snapshots.items()} if space else {})
        names = (name for name, _ in having.most_common())
        return next((name for name in names if name in self._files.snapshotters), _DEFAULT_SNAPSHOTTER)

    def _images(self, default: str) -> list[Image]:
        found: list[Image] = []
        for name, entry in self._files.namespaces.items():
            snapshotter = default if name == self._engine else ""
            home = (*self._files.home, *BLOBS[:-1])
            images = ImagesOfNamespace(home, name, entry, self._blobs, self._snapshots, snapshotter, default)
            found += images.read(self._reader)
            if snapshotter:
                self._stacks |= images.stacks
                self._unread = images.unread
        return found

    def _history(self, engine: str) -> frozenset[str] | None:
        """The builds in the engine's history, None where they are not known."""
        if not engine:
            return frozenset()
        space = self._files.namespaces.get(history_of(engine))
        return read_history(self._reading.readers[Collector.BUILD_CACHE], space)

    def _build_cache(self, engine: str, snapshotter: str) -> BuildCache | None:
        reader = self._reading.readers[Collector.BUILD_CACHE]
        if not engine:
            return None
        note_missing_records(reader, self._files.namespaces.get(engine))
        if not build_snapshotters(reader):
            return None
        space = self._files.namespaces.get(engine)
        blobs, leases = (space.blobs, space.leases) if space else ({}, {})
        unsure = f"the image {label(self._unread)} could not be read" if self._unread else ""
        stored = Stored(engine, snapshotter, self._snapshots, blobs, leases, frozenset(self._stacks), unsure)
        return read_build_cache(reader, stored)
