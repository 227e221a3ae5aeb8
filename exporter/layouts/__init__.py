"""What is there: the metadata of a data root to an `Inventory`. Layouts coexist in a root; all are read."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from exporter.layouts import graph
from exporter.layouts.containers import read_containers
from exporter.layouts.drivers import LayerStore
from exporter.layouts.files import Problems, Reader
from exporter.layouts.memo import Memo
from exporter.layouts.uses import Grace, classify
from exporter.layouts.volumes import read_volumes
from exporter.model import Collector, Container, ContainerState, Image, Inventory, Layer, LayerId
from exporter.root import DataRoot

__all__ = ["Grace", "Memo", "Problems", "detect", "read_inventory"]

#: Layouts that are told apart but not measured: their directories are, and the log says so.
_UNMEASURED: Mapping[str, Callable[[DataRoot], bool]] = {
    "layerdb": lambda root: root.is_directory(("image",)),
    "containerd": lambda root: root.is_directory(("containerd", "daemon")),
}
_GONE = (ContainerState.DEAD, ContainerState.REMOVING)


def detect(root: DataRoot) -> tuple[str, ...]:
    """Name the layouts that a root holds; none, and it is no data root."""
    found = [graph.LAYOUT] if graph.detect(root) else []
    return (*found, *(name for name, there in _UNMEASURED.items() if there(root)))


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
    images, containers, volumes = (
        Reader(root, collector, problems, memo)
        for collector in (Collector.IMAGES, Collector.CONTAINERS, Collector.VOLUMES)
    )
    found_volumes = read_volumes(volumes)
    volume_names = frozenset(volume.name for volume in found_volumes)
    known = {container.id: container for container in previous.containers}
    found_containers = read_containers(containers, volume_names, known)
    stores = graph.find_stores(root, images) if graph.LAYOUT in layouts else []
    shelves = _shelves(images, stores, previous)
    found_images = [image for shelf in shelves for image in shelf.images(images)]
    found_containers = tuple(_settle(container, stores) for container in found_containers)
    layers: list[Layer] = []
    for shelf in shelves:
        mine = [container for container in found_containers if container.driver == shelf.driver]
        layers += classify(root, shelf, mine, volume_names, grace)
        shelf.missing.update(_missing_of_containers(shelf, mine))
    inventory = Inventory(
        layouts=layouts,
        unmeasured=unmeasured,
        drivers=tuple(shelf.driver for shelf in shelves),
        layers=tuple(layers),
        images=tuple(found_images),
        containers=found_containers,
        volumes=found_volumes,
        stores=_count_stores(root, images, shelves),
        missing={shelf.driver: frozenset(shelf.missing) for shelf in shelves},
        directories=tuple(Reader(root, Collector.DIRECTORIES, problems).names(())),
    )
    touched = {
        Collector.IMAGES: images.looked_at,
        Collector.CONTAINERS: containers.looked_at,
        Collector.VOLUMES: volumes.looked_at,
    }
    return inventory, touched


def _shelves(reader: Reader, stores: list[LayerStore], previous: Inventory) -> list[graph.Shelf]:
    known: dict[str, Image] = {image.id: image for image in previous.images}
    entries = graph.read_graph(reader, stores, known)
    shelves = [graph.Shelf(store, graph.read_references(reader, store.driver)) for store in stores]
    graph.share_out(shelves, entries)
    return shelves


def _settle(container: Container, stores: list[LayerStore]) -> Container:
    """Find the container's layer; a container that does not say its driver has that of its layer."""
    name = LayerId(container.id)
    having = [store.driver.name for store in stores if name in store.names]
    driver = container.driver or next(iter(having), stores[0].driver.name if len(stores) == 1 else "")
    return replace(container, driver=driver, layer=name if driver in having else None)


def _missing_of_containers(shelf: graph.Shelf, containers: list[Container]) -> Iterator[str]:
    """The layers that containers need and that are gone, their own and their image's."""
    for container in containers:
        if container.state in _GONE:
            continue
        if container.layer is None:
            yield container.id
        if container.image_id is not None and container.image_id not in shelf.entries:
            yield container.image_id


def _count_stores(root: DataRoot, reader: Reader, shelves: list[graph.Shelf]) -> dict[tuple[str, str], int]:
    """Count the entries of each store directory, as `ls -A | wc -l` would.

    `graph` is one directory for all drivers: where several have images, each counts those that are its own.
    """
    counts: dict[tuple[str, str], int] = {}
    users = [shelf for shelf in shelves if shelf.entries] or shelves[:1]
    if root.is_directory(graph.GRAPH):
        entries = len(reader.names(graph.GRAPH))
        counts.update({(user.driver, "graph"): len(user.entries) if len(users) > 1 else entries for user in users})
    for shelf in shelves:
        for store, tree in shelf.store.driver.stores:
            if root.is_directory(tree):
                counts[shelf.driver, store] = len(reader.names(tree))
    return counts
