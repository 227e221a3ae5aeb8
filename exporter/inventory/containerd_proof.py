"""Finds out whether a containerd has the containers of a data root: the ids of both are random, and never the same.

Facts: moby 28 daemon/containerd/image_snapshot.go (a container's snapshot has its id as key),
builder/builder-next/controller.go (`containerd-<snapshotter>` and `history_c8d.db` are made by engines with this image
store only); buildkit 0.25 solver/llbsolver/history.go (`_records`; leases `ref_<id>`).
"""

import os
from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct, field

from exporter.core.data_root import DataRoot
from exporter.core.measured import Tree
from exporter.core.model import Collector
from exporter.inventory.files.bolt import Bucket, word
from exporter.inventory.files.problems import Problems
from exporter.inventory.files.reader import Reader, is_id
from exporter.inventory.image_store.store import DAEMON, DEFAULT_NAMESPACE, META_FILE, METADATA
from exporter.inventory.layouts.buildkit_databases import (
    HISTORY_LEASE,
    HISTORY_OF_CONTAINERD,
    HOME,
    OF_CONTAINERD,
    RECORDS_FILE,
    builds_of,
)

#: An engine of any kind makes these when it starts.
_ENGINE = ("engine-id", "buildkit", "containers")


class Known(Struct, frozen=True):
    """What one namespace of a containerd has: the keys of its snapshots, and its leases. `images`: it has any."""

    snapshots: frozenset[str]
    leases: frozenset[str]
    images: bool


class Store(Struct, frozen=True):
    """What a containerd has, by namespace. `error` says why that could not be read."""

    namespaces: Mapping[str, Known] = field(default_factory=dict)
    error: str = ""

    @property
    def empty(self) -> bool:
        """Whether it keeps neither images nor snapshots."""
        return not any(one.images or one.snapshots for one in self.namespaces.values())

    def has_container(self, container: str) -> bool:
        """Whether a container's writable layer is in there."""
        return any(container in one.snapshots for one in self.namespaces.values())

    def has_build(self, record: str) -> bool:
        """Whether a build record's snapshot or lease, or the lease of a build in the history, is in there."""
        return any(record in one.leases or record in one.snapshots for one in self.namespaces.values())

    def score(self, evidence: "Evidence") -> int:
        """How much of a data root is in here. Where there are containers, builds alone prove nothing."""
        if evidence.containers:
            return sum(map(self.has_container, evidence.containers))
        return sum(map(self.has_build, evidence.builds))

    def doubt(self, evidence: "Evidence") -> str:
        """What speaks against it where nothing of the data root is in here; "" for nothing."""
        if evidence.containers:
            return f"it has none of the {len(evidence.containers)} containers of the data root"
        if evidence.builds:
            return "it has none of the builds of the data root"
        others = self.others()
        return f"it has the layers of {others} containers that the data root does not know" if others else ""

    def others(self) -> int:
        """How many writable layers of containers Docker's default namespace has."""
        moby = self.namespaces.get(DEFAULT_NAMESPACE)
        return sum(map(is_id, moby.snapshots)) if moby else 0

    def serves_docker(self) -> bool:
        """Whether Docker's default namespace has images or layers."""
        moby = self.namespaces.get(DEFAULT_NAMESPACE)
        return moby is not None and bool(moby.images or moby.snapshots)


def read_store(home: str) -> Store:
    """Read what a containerd with this root has. Raises PermissionError."""
    place = os.path.join(home, METADATA)
    if os.path.islink(place):
        return Store(error=f"{METADATA} is a link")
    problems = Problems()
    with DataRoot(place) as root:
        found = Reader(root, Collector.IMAGES, problems).database((META_FILE,), "v1", _namespaces)
    if found is None:
        why = problems.kept[0] if problems.kept else None
        return Store(
            error=f"{META_FILE} cannot be read: {why.detail or why.reason}" if why else f"{META_FILE} cannot be read"
        )
    return Store(found)


def _namespaces(bucket: Bucket) -> dict[str, Known]:
    return {word(name): _known(one) for name, one in bucket.buckets.items()}


def _known(namespace: Bucket) -> Known:
    def of(name: bytes) -> Bucket:
        return namespace.buckets.get(name, Bucket())

    keys = (key for snapshotter in of(b"snapshots").buckets.values() for key in snapshotter.buckets)
    return Known(frozenset(map(word, keys)), frozenset(map(word, of(b"leases").buckets)), bool(of(b"images").buckets))


class Evidence:
    """What a data root says of the containerd that keeps its images."""

    def __init__(self, root: DataRoot, without: set[str] | None = None) -> None:
        """`without`: the containers that an earlier reading found to have no snapshots. It gets those of this one."""
        self._root = root
        self._without = set[str]() if without is None else without
        self._reader = Reader(root, Collector.IMAGES, Problems())
        #: The graph drivers whose layers engines of 1.10 or newer describe in the root.
        self._drivers = [
            name for name in self._names(("image",)) if self._root.is_directory(("image", name, "layerdb"))
        ]

    @cached_property
    def containers(self) -> frozenset[str]:
        """The containers whose layers may be snapshots: those that no graph driver describes."""
        described = (self._names(("image", name, "layerdb", "mounts")) for name in self._drivers)
        listed = set(self._names(("containers",))).difference(*described)
        mixed = self._drivers or self._root.is_directory(("graph",))
        if not mixed:
            return frozenset(filter(is_id, listed))
        found = frozenset(one for one in listed - self._without if is_id(one) and self._has_snapshots(one))
        self._without &= listed
        return found

    @cached_property
    def is_in_containerd(self) -> bool:
        """Whether an engine with the image store of containerd has written to the root."""
        built = self._names(HOME)
        if (
            HISTORY_OF_CONTAINERD[-1] in built
            or any(name.startswith(OF_CONTAINERD) for name in built)
            or self._names(("rootfs",))
        ):
            return True
        if self._drivers or self._root.is_directory(("graph",)):
            return bool(self.containers)
        there = self._names(())
        return self._root.is_directory(DAEMON) or all(name in there for name in _ENGINE[1:]) or _ENGINE[0] in there

    @cached_property
    def builds(self) -> frozenset[str]:
        """The build records, and the leases of builds in the history."""
        records = [name for name in self._names(HOME) if name.startswith(OF_CONTAINERD)]
        found: set[str] = set()
        for name in records:
            tree = (*HOME, name, RECORDS_FILE)
            found.update(self._reader.database(tree, "_main", lambda it: [word(key) for key in it.buckets]) or ())
        history = self._reader.database(HISTORY_OF_CONTAINERD, "", builds_of)
        found.update(HISTORY_LEASE + name for name in history or ())
        return frozenset(found)

    def _has_snapshots(self, container: str) -> bool:
        """Whether a container's layer is a snapshot. A graph driver has a directory of its own in the root."""
        home = ("containers", container)
        modes = self._reader.modes(home, ("config.v2.json", "config.json"))
        old = modes is not None and modes[1] and not modes[0]
        config = None if old else self._reader.json((*home, "config.v2.json"), optional=True)
        if old or (config is None and self._reader.exists((*home, "config.json"))):
            self._without.add(container)  # of an engine before 1.10, which knows no containerd
            return False
        driver = config.get("Driver") if config else None
        if not isinstance(driver, str) or not driver or "/" in driver:
            return False  # it is not known of one that is being made: an engine makes its directory before the file
        if self._root.is_directory((driver,)) or self._root.is_directory(("image", driver)):
            self._without.add(container)
            return False
        return True

    def _names(self, tree: Tree) -> list[str]:
        try:
            return self._root.names(tree)
        except OSError:
            return []
