"""What is there: the metadata of a data root to an `Inventory`. Layouts coexist in a root; all are read."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from exporter.core.data_root import DataRoot
from exporter.core.model import (
    BuildCache,
    Collector,
    Container,
    Image,
    Inventory,
    Layer,
    LayerId,
    Use,
)
from exporter.inventory import buildkit
from exporter.inventory.areas import table
from exporter.inventory.containers import read_containers
from exporter.inventory.drivers import driver_named
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.memo import Memo
from exporter.inventory.files.reader import Problems, Reader
from exporter.inventory.layouts import containerd, graph, graph_claims, layerdb, layerdb_claims
from exporter.inventory.layouts.claims import Claims, Grace, classify
from exporter.inventory.layouts.layerdb import Database
from exporter.inventory.volumes import read_volumes

__all__ = ["Grace", "Memo", "Problems", "detect", "nested_roots", "read_inventory"]

_LAYOUTS: Mapping[str, Callable[[DataRoot], bool]] = {
    graph.LAYOUT: graph.detect,
    layerdb.LAYOUT: layerdb.detect,
    containerd.LAYOUT: containerd.detect,
}
#: Told apart but not measured by object: their directories are, and the log says so.
_UNMEASURED = (containerd.LAYOUT,)
#: A root of a remapped user (Docker 1.10 on, daemon/daemon_unix.go, setupDaemonRoot).
_REMAPPED = re.compile(r"[0-9]+\.[0-9]+", re.ASCII)


def detect(root: DataRoot) -> tuple[str, ...]:
    """Name the layouts that a root holds; none, and it is no data root."""
    return tuple(name for name, there in _LAYOUTS.items() if there(root))


def nested_roots(root: DataRoot) -> tuple[str, ...]:
    """The data roots of remapped users in this one, by the names of their directories."""
    try:
        names = [name for name in root.names(()) if _REMAPPED.fullmatch(name)]
    except OSError:
        return ()
    known = [one.path for one in table().areas if one.objects in (Collector.CONTAINERS, Collector.IMAGES)]
    marks = {path for path in known if len(path) == 1}
    return tuple(name for name in names if any(root.is_directory((name, *mark)) for mark in marks))


class _Root:
    """One reading of a root: its readers, and by driver what the layouts say of it."""

    def __init__(self, root: DataRoot, problems: Problems, memo: Memo) -> None:
        self.root = root
        self.problems = problems
        self.readers = {one: Reader(root, one, problems, memo) for one in Collector}
        self.stores: dict[str, LayerStore] = {}
        self.shelves: dict[str, graph.GraphStore] = {}
        self.databases: dict[str, Database] = {}
        self.builds = buildkit.Builds({}, ())

    def read(self, previous: Inventory, layouts: tuple[str, ...]) -> None:
        """Read the images of all layouts, and find the drivers."""
        images = self.readers[Collector.IMAGES]
        known: dict[str, Image] = {image.id: image for image in previous.images}
        for name in layerdb.find_drivers(self.root):
            store = self.stores[name] = LayerStore(driver_named(name), images)
            self.databases[name] = layerdb.read_database(images, store, known)
        if graph.LAYOUT in layouts:
            self._read_graph(images, known)
        self.builds = buildkit.read_builds(self.readers[Collector.BUILD_CACHE])

    def _read_graph(self, images: Reader, known: Mapping[str, Image]) -> None:
        """Read the graph, but for what a newer Docker has taken over as layers of its own."""
        stores = graph.find_stores(self.root, images)
        taken = {entry.cache for one in self.databases.values() for entry in one.entries.values()}
        entries = {
            name: entry for name, entry in graph.read_graph(images, stores, known).items() if LayerId(name) not in taken
        }
        shelves = [
            graph.GraphStore(store, graph.read_references(images, store.driver, taken), taken) for store in stores
        ]
        graph.share_out(shelves, entries)
        for shelf in shelves:
            if shelf.driver not in self.databases or shelf.entries:
                self.shelves[shelf.driver] = shelf
            self.stores.setdefault(shelf.driver, shelf.store)

    def settle(self, container: Container) -> Container:
        """Find a container's layers; one that does not say its driver has that of its layer."""
        container = layerdb_claims.adopt(self.databases, container)
        if container.layer is not None:
            return container
        name = LayerId(container.id)
        having = [driver for driver, store in self.stores.items() if name in store.names]
        driver = container.driver or next(iter(having), next(iter(self.stores)) if len(self.stores) == 1 else "")
        return replace(container, driver=driver, layer=name if driver in having else None)

    def classify(
        self, driver: str, containers: list[Container], cache: BuildCache, volumes: frozenset[str], grace: Grace
    ) -> list[Layer]:
        """Say what needs each layer of one driver."""
        store = self.stores[driver]
        claims = Claims(doubts=[lambda: any(reader.unlisted for reader in self.readers.values())])
        describe: Callable[[LayerId, Use], Layer] = partial(graph_claims.describe, store, parents=())
        if driver in self.databases:
            describe = layerdb_claims.claim(self.databases[driver], self.builds, cache, containers, claims)
        if driver in self.shelves:
            graph_claims.claim(self.root, self.shelves[driver], containers, claims)
        others = {LayerId(name) for name in volumes} if store.driver.full_copies else set()
        return classify(self.root, store, claims, grace, describe, others)

    def missing(self, driver: str, containers: list[Container]) -> frozenset[str]:
        """The layers of one driver that are referred to and not there."""
        database, shelf = self.databases.get(driver), self.shelves.get(driver)
        if database is not None:
            found = database.missing | {*layerdb_claims.missing_of_containers(database, containers)}
        else:
            found = set()
        if shelf is not None:
            found |= shelf.missing
            if database is None:
                found |= {*graph_claims.missing_of_containers(shelf, containers)}
        return frozenset(found)

    def counts(self) -> dict[tuple[str, str], int]:
        """Count the entries of each store directory, as `ls -A | wc -l` would.

        `graph` is one directory for all drivers: where several have images, each counts those that are its own.
        """
        reader = self.readers[Collector.IMAGES]
        counts: dict[tuple[str, str], int] = {}
        shelves = list(self.shelves.values())
        users = [shelf for shelf in shelves if shelf.entries] or shelves[:1]
        if self.root.is_directory(graph.GRAPH):
            entries = len(reader.names(graph.GRAPH))
            counts.update({(one.driver, "graph"): len(one.entries) if len(users) > 1 else entries for one in users})
        for driver, store in self.stores.items():
            found = [(area.counted, area.path) for area in store.driver.areas if area.counted]
            if driver in self.databases:
                found += self.databases[driver].stores()
            counts.update({(driver, name): len(reader.names(tree)) for name, tree in found if self._there(tree)})
        return counts

    def _there(self, tree: tuple[str, ...]) -> bool:
        return self.root.is_directory(tree)


def read_inventory(
    root: DataRoot, previous: Inventory, grace: Grace, problems: Problems, memo: Memo
) -> tuple[Inventory, dict[Collector, int]]:
    """Read what metadata `memo` does not know; return all, and how many files each collector touched.

    Objects whose files do not parse at the moment keep what `previous` knew of them.
    """
    layouts = detect(root)
    unmeasured = tuple(name for name in layouts if name in _UNMEASURED)
    if unmeasured:  # a layer that this layout does not know may be another's: never call it orphaned
        grace = Grace(math.inf)
    reading = _Root(root, problems, memo)
    volumes = read_volumes(reading.readers[Collector.VOLUMES])
    names = frozenset(volume.name for volume in volumes)
    known = {container.id: container for container in previous.containers}
    found = read_containers(reading.readers[Collector.CONTAINERS], names, known)
    reading.read(previous, layouts)
    images = [image for shelf in reading.shelves.values() for image in shelf.images(reading.readers[Collector.IMAGES])]
    images += [image for database in reading.databases.values() for image in database.images]
    containers = tuple(map(reading.settle, found))
    cache = buildkit.build_cache(reading.builds, list(reading.databases.values()), root.is_directory(buildkit.HOME))
    drivers = tuple(sorted(reading.stores))
    layers: list[Layer] = []
    missing = {}
    for driver in drivers:
        mine = [container for container in containers if container.driver == driver]
        layers += reading.classify(driver, mine, cache, names, grace)
        missing[driver] = reading.missing(driver, mine)
    inventory = Inventory(
        layouts=layouts,
        unmeasured=unmeasured,
        nested=nested_roots(root),
        drivers=drivers,
        layers=tuple(layers),
        images=tuple(images),
        containers=containers,
        volumes=volumes,
        build_cache=cache,
        stores=reading.counts(),
        missing=missing,
        directories=tuple(Reader(root, Collector.DIRECTORIES, problems).names(())),
    )
    measured = (one for one in Collector if one is not Collector.DIRECTORIES)
    return inventory, {one: reading.readers[one].looked_at for one in measured}
