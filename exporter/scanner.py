"""Owns the current `Snapshot`: a scan reads the metadata, measures the trees and makes the next one."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.layouts import Grace, Problems, detect, read_inventory
from exporter.model import (
    Changes,
    Collector,
    CollectorScan,
    Counters,
    Filesystem,
    Inventory,
    Layer,
    LayerId,
    Measured,
    Reason,
    Snapshot,
    Tree,
    Trigger,
    Usage,
    Use,
)
from exporter.root import DataRoot, reason_of
from exporter.usage.difference import difference
from exporter.usage.mounts import MountPoint, foreign_mounts, mount_of, read_mounts
from exporter.usage.walk import Prune, measure


class RootError(Exception):
    """The data root cannot be read at all, for a reason to tell a person."""


def open_root(path: str) -> DataRoot:
    """Open a data root that holds a known layout; raises RootError with the reason otherwise."""
    try:
        root = DataRoot(path)
    except FileNotFoundError:
        raise RootError("does not exist") from None
    except NotADirectoryError:
        raise RootError("is not a directory") from None
    except OSError as error:
        raise RootError(f"cannot be opened: {error.strerror}") from None
    try:
        root.names(())
        if detect(root):
            return root
        message = "holds no known Docker layout"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    root.__exit__()
    raise RootError(message)


def identify(path: str) -> tuple[int, int] | None:
    """Say which directory is the root now, so that a caller sees it replaced; None when there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


@dataclass(slots=True)
class _Tally:
    """What one scan costs and cannot read, by collector."""

    problems: Problems = field(default_factory=Problems)
    seconds: dict[Collector, float] = field(default_factory=dict)
    entries: dict[Collector, int] = field(default_factory=dict)

    def spend(self, collector: Collector, seconds: float, entries: int) -> None:
        self.seconds[collector] = self.seconds.get(collector, 0.0) + seconds
        self.entries[collector] = self.entries.get(collector, 0) + entries

    def result(self, collector: Collector) -> CollectorScan:
        failed = any(at is collector and reason is not Reason.VANISHED for at, reason in self.problems.counts)
        return CollectorScan(self.seconds.get(collector, 0.0), self.entries.get(collector, 0), not failed)


class Scanner:
    """Scans one data root again and again; keeps what the next scan needs of the last, and the counters."""

    def __init__(self, path: str, orphaned_after: float, counters: Counters | None = None) -> None:
        self.path = path
        self.counters = counters or Counters()
        self._grace = Grace(orphaned_after)
        self._inventory = Inventory()

    def probe(self) -> tuple[str, ...]:
        """Name the layouts of the root without scanning it; raises RootError when it cannot be read."""
        with open_root(self.path) as root:
            return detect(root)

    def scan(self, trigger: Trigger) -> Snapshot:
        """Read and measure everything. A root that cannot be read gives a snapshot that says why."""
        for collector in Collector:
            key = (collector, trigger)
            self.counters.scans[key] = self.counters.scans.get(key, 0) + 1
        try:
            with open_root(self.path) as root:
                snapshot, tally = _scan(root, self._inventory, self._grace)
        except RootError as error:
            return Snapshot(root=self.path, taken=time.time(), error=str(error))
        self._inventory = snapshot.inventory
        for at, count in tally.problems.counts.items():
            self.counters.errors[at] = self.counters.errors.get(at, 0) + count
        for collector, result in snapshot.collectors.items():
            if result.success:
                self.counters.last_success[collector] = snapshot.taken
        return snapshot


def _scan(root: DataRoot, previous: Inventory, grace: Grace) -> tuple[Snapshot, _Tally]:
    tally = _Tally()
    inventory, seconds = read_inventory(root, previous, grace, tally.problems)
    for collector, spent in seconds.items():
        tally.spend(collector, spent, 0)
    mounts = read_mounts()
    foreign = foreign_mounts(root.path, mounts)
    trees = _plan(inventory)
    prune = _prune(root, trees, foreign)
    measured: dict[Tree, Measured] = {(): _root_entry(root)}
    for tree, collector in trees.items():
        if not prune.at(tree).mount:
            _measure(root, tree, collector, prune, tally, measured)
    differences = _differences(root, inventory.layers, tally)
    mounted_tops = sum(prune.at((name,)).mount for name in inventory.directories)
    snapshot = Snapshot(
        root=root.path,
        taken=time.time(),
        inventory=inventory,
        device=root.device,
        measured=measured,
        differences=differences,
        collectors={collector: tally.result(collector) for collector in Collector},
        skipped_mounts=mounted_tops + sum(one.skipped_mounts for one in measured.values()),
        filesystems=_filesystems(root, inventory, mounts),
        problems=tuple(tally.problems.kept),
    )
    return snapshot, tally


def _plan(inventory: Inventory) -> dict[Tree, Collector]:
    """The trees to measure. They nest: each is measured without the trees inside it."""
    trees: dict[Tree, Collector] = {}
    for layer in inventory.layers:
        collector = Collector.CONTAINERS if layer.use is Use.CONTAINER else Collector.IMAGES
        trees.update(dict.fromkeys(layer.trees, collector))
    trees.update({volume.tree: Collector.VOLUMES for volume in inventory.volumes if volume.tree})
    trees.update({(name,): Collector.DIRECTORIES for name in inventory.directories if (name,) not in trees})
    return trees


def _prune(root: DataRoot, trees: Mapping[Tree, Collector], foreign: list[MountPoint]) -> Prune:
    prune = Prune()
    for tree in trees:
        prune.add(tree)
    for mount in foreign:
        prune.add(tuple(os.path.relpath(mount.path, root.path).split("/")), mount=True)
    return prune


def _root_entry(root: DataRoot) -> Measured:
    """The root directory itself, without what is in it."""
    status = root.lstat(())
    return Measured(Usage(0, status.st_blocks * 512, 1), status.st_dev, entries=1)


def _measure(  # noqa: PLR0913 - one tree of a scan needs all of the scan
    root: DataRoot,
    tree: Tree,
    collector: Collector,
    prune: Prune,
    tally: _Tally,
    measured: dict[Tree, Measured],
) -> None:
    start = time.perf_counter()

    def failed(error: OSError, path: Tree) -> None:
        tally.problems.add(collector, reason_of(error), path, error.strerror or "")

    try:
        measured[tree] = measure(root, tree, prune.at(tree), failed)
    except OSError as error:
        failed(error, tree)
    looked_at = measured[tree].entries if tree in measured else 0
    tally.spend(collector, time.perf_counter() - start, looked_at)


def _differences(root: DataRoot, layers: tuple[Layer, ...], tally: _Tally) -> dict[tuple[str, LayerId], int]:
    """Size the layers that Docker sizes by comparing them with the one below."""
    sizes: dict[tuple[str, LayerId], int] = {}
    for layer in layers:
        if layer.changes is None:
            continue
        collector = Collector.CONTAINERS if layer.use is Use.CONTAINER else Collector.IMAGES
        size = _difference(root, layer.changes, collector, tally)
        if size is not None:
            sizes[layer.driver, layer.id] = size
    return sizes


def _difference(root: DataRoot, changes: Changes, collector: Collector, tally: _Tally) -> int | None:
    start = time.perf_counter()
    entries = 0

    def failed(error: OSError, path: Tree) -> None:
        tally.problems.add(collector, reason_of(error), path, error.strerror or "")

    try:
        size, entries = difference(root, changes, failed)
    except OSError as error:
        failed(error, changes.new)
        size = None
    tally.spend(collector, time.perf_counter() - start, entries)
    return size


def _filesystems(root: DataRoot, inventory: Inventory, mounts: list[MountPoint]) -> tuple[Filesystem, ...]:
    """The filesystems of the root and of what may have a disk of its own: top-level entries and drivers."""
    paths = [root.path]
    paths += [f"{root.path}/{name}" for name in inventory.directories]
    paths += [f"{root.path}/{'/'.join(layer.trees[0][:-1])}" for layer in inventory.layers if layer.trees]
    found: dict[str, Filesystem] = {}
    for path in dict.fromkeys(paths):
        mount = mount_of(path, mounts)
        if mount is not None and not _shows(found, mount):
            found[mount.path] = Filesystem(mount.path, mount.device, mount.path, mount.fstype)
    return tuple(found.values())


def _shows(found: Mapping[str, Filesystem], mount: MountPoint) -> bool:
    """Whether this filesystem is in the list already, be it under another mount point of the same device."""
    return any(one.device == mount.device and one.fstype == mount.fstype for one in found.values())
