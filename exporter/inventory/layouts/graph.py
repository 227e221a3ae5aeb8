"""The graph layout of Docker 1.0 to 1.9: what needs each layer, and how Docker sizes it."""

import time
from collections.abc import Iterator, Mapping, Sequence

from exporter.core.data_root import DataRoot
from exporter.core.knowledge import Input
from exporter.core.model import Collector, Container, ContainerId, Image, Layer, LayerId, Use
from exporter.inventory.drivers import INIT
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.reader import MISSING, Reader, is_id
from exporter.inventory.layouts import graph_store
from exporter.inventory.layouts import migration as migration_files
from exporter.inventory.layouts.claims import Claims, changed, describe_layer
from exporter.inventory.layouts.graph_images import GraphStore, share_out
from exporter.inventory.layouts.graph_store import DOWNLOADS, GRAPH, TAGS
from exporter.inventory.layouts.migration import Migration, Moved, read_migration
from exporter.inventory.layouts.part import ContainerLayers, Part, PartPlaces, Reading

#: Files that are made together may have times of which the later file has the earlier one.
_CLOCK_SECONDS = 2
_STALE_DOWNLOAD_SECONDS = 24 * 3600


def read(reading: Reading) -> Part:
    """Read the graph without the images that a newer Docker has moved to its own layout."""
    reader = reading.readers[Collector.IMAGES]
    stores = graph_store.find_stores(reading.root, reader)
    migration = read_migration(reader)
    names = reader.objects(GRAPH, is_id, ignored=(DOWNLOADS,), required=not migration.began)
    moved = Moved(reader, migration, reading.layers, newer=bool(reading.drivers))
    unseen = {*names}.difference(*(store.names for store in stores))
    homeless = unseen if all(store.listed for store in stores) else set[str]()
    for store in stores if unseen else ():  # which driver had the others is not known
        reader.expect(store.driver.layers)
        if not reader.exists(store.driver.layers):
            reader.gap(Input.IMAGE_CONFIGS, store.driver.layers, MISSING, driver=store.driver.name)
    live = names
    if moved.began or reading.drivers:
        live = [name for name in names if not moved.has(name, homeless=name in homeless)]
    entries = graph_store.read_graph(reader, live, stores, reading.previous)

    def gone(image: str) -> bool:
        return image not in entries and moved.has(image, homeless=True)

    # Where nothing was moved, and there is nothing that it could be moved to, nothing needs to be asked for that.
    is_gone = gone if moved.began or reading.drivers else graph_store.nothing
    found = [GraphStore(store, graph_store.read_references(reader, store.driver, is_gone), is_gone) for store in stores]
    if entries and not found:
        reader.gap(Input.LAYER_STORES, GRAPH, "its images have no layers of a known driver")
    share_out(found, entries)
    kept = [one for one in found if one.entries or one.driver not in reading.drivers]
    # What an engine has moved may be described in a directory of `image` that is not there, or cannot be read.
    lost = migration.began and not reading.drivers
    gone_away = set(map(LayerId, names)).difference(live) if live is not names else set[LayerId]()
    for one in found:
        if one.driver not in reading.drivers and (lost or one.store.names & gone_away):
            _note_lost(reader, one.driver)
    parts = [GraphPart(reading.root, one, one.images(reader), doubtful=lost) for one in kept]
    unsettled = [one for one in sorted(reading.drivers) if moved.began and _names_unsettled(reader, one, migration)]
    leftovers = () if entries or reader.unlisted or unsettled else _leftovers(reading.root, migration)
    return Part(parts, counts=_counts(reader, kept or found), leftovers=leftovers, renamed=dict(migration.images or {}))


def _note_lost(reader: Reader, driver: str) -> None:
    """Note that an engine has moved the images of a driver to a place that is not there, or cannot be read."""
    for source in (Input.NAMES, Input.IMAGE_CONFIGS, Input.LAYER_STORES):
        reader.gap(source, ("image", driver), "an engine has moved the images there, and it is missing", driver=driver)


def _names_unsettled(reader: Reader, driver: str, migration: Migration) -> bool:
    """Note a gap where names of images may still be those in `repositories-<driver>`; return whether it is so."""
    tags = (TAGS + driver,)
    written = migration_files.modified(reader.root, tags)
    if written is None:
        return False
    if not migration.names:
        why = "an engine has begun to move images from it, and has not moved the names yet"
    elif written > (migration_files.modified(reader.root, migration_files.TAGS) or 0.0) + _CLOCK_SECONDS:
        why = "it was written after the names were moved from it: by an engine of Docker 1.9 or older"
    else:
        return False
    reader.gap(Input.NAMES, tags, why, driver=driver)
    return True


def _leftovers(root: DataRoot, migration: Migration) -> tuple[str, ...]:
    """The entries of the root that nothing reads any more once the move of all images and names has ended."""
    tags = graph_store.tag_files(root)
    if not migration.began or (tags and not migration.names):
        return ()
    there = (*GRAPH, *tags, *migration_files.IMAGES, *migration_files.TAGS)
    return tuple(name for name in there if name in root.names(()))


def _counts(reader: Reader, found: Sequence[GraphStore]) -> dict[tuple[str, str], int]:
    """Count the entries of `graph`: where several drivers have images, each counts those that are its own."""
    if not reader.root.is_directory(GRAPH):
        return {}
    entries = len(reader.names(GRAPH))
    users = [one for one in found if one.entries] or found[:1]
    return {(one.driver, "graph"): len(one.entries) if len(users) > 1 else entries for one in users}


class GraphPart:
    """What the graph says of the layers of one driver."""

    def __init__(self, root: DataRoot, graph: GraphStore, images: Sequence[Image], *, doubtful: bool = False) -> None:
        """`doubtful`: something that is not known may need any layer."""
        self.images = images
        self._doubtful = doubtful
        self._root = root
        self._graph = graph

    @property
    def store(self) -> LayerStore:
        """The layers that the driver has on disk."""
        return self._graph.store

    @property
    def missing(self) -> set[str]:
        """The layers that images or names refer to and that are not on disk."""
        return self._graph.missing

    @property
    def describes_containers(self) -> bool:
        """Whether the layout writes down which layers each container has: they are named by its id."""
        return False

    def knows_layer(self, _container: ContainerId) -> bool:
        """Whether it is known which layer is a container's own: that with its id."""
        return True

    def container_layers(self, _container: ContainerId) -> ContainerLayers | None:
        """Say nothing: a container's layer has its id, and nothing else names it."""
        return None

    def places_of(self, container: Container) -> object:
        """Whether its layer and its image are there."""
        return self.store.has_name(container.id), container.image_id in self._graph.entries

    @property
    def places(self) -> object:
        """The layers that are there, and the images."""
        return PartPlaces(self.store.names, self._graph.entries, self.store.turn, self.store.renewed)

    def why_not_loaded(self, _container: ContainerId) -> str:
        """Return "": an engine of this layout loads a container without a look at its layers."""
        return ""

    def missing_below(self, container: Container) -> Iterator[str]:
        """The layer of a container's image, where it is not on disk."""
        if container.image_id is not None and container.image_id not in self._graph.entries:
            yield container.image_id

    def claim(self, containers: Sequence[Container]) -> Claims:
        """Claim the layers of images and of `containers`."""
        store = self.store
        return Claims(
            {**self._container_layers(containers), **(self._graph.image_layers() or self._image_layers())},
            pending=[lambda: self._referred(containers)],
            references=[GRAPH, ("containers",), ("volumes",), (TAGS + store.driver.name,)],
            doubts=[lambda: self._doubtful or _downloads(self._root)],
        )

    def _image_layers(self) -> Mapping[LayerId, Layer]:
        found = {
            LayerId(name): self._image_layer(LayerId(name)) for name in self._graph.entries if self.store.has(name)
        }
        self._graph.note_image_layers(found)
        return found

    def _image_layer(self, name: LayerId) -> Layer:
        entry = self._graph.entries[name]
        if entry.size is not None:
            return describe_layer(self.store, name, Use.IMAGE, (), recorded=entry.size)
        return describe_layer(self.store, name, Use.IMAGE, (LayerId(entry.parent),) if entry.parent else ())

    def _container_layers(self, containers: Sequence[Container]) -> Mapping[LayerId, Layer]:
        """The layers that containers own."""
        own, store = self._graph.own_layers, self.store
        for container in own.come_to(store, containers):
            for name, parents in _own_layers(container).items():
                own.layers.pop(name, None)
                if not store.has(name):
                    continue
                layer = own.layers[name] = describe_layer(store, name, Use.CONTAINER, parents)
                if not store.keeps(name, layer):
                    own.passing.add(container.id)
        own.turn = store.turn
        return own.layers

    def _referred(self, containers: Sequence[Container]) -> set[str]:
        """The ids of layers that something is based on, also where the graph has lost them."""
        graph, store = self._graph, self.store
        wanted = set(graph.missing)
        for container in containers:
            wanted.update(store.listed_parents(LayerId(container.id)))
            wanted.update(() if container.image_id is None else (container.image_id,))
        for image, entry in graph.entries.items():
            if entry.parent is not None and entry.parent not in graph.entries:
                wanted.add(entry.parent)
                wanted.update(store.listed_parents(LayerId(image)))
        if store.driver.lower_file:
            lowers = (store.lower(name) for name in store.names if is_id(name.removesuffix(INIT)))
            wanted.update(lower[1] for lower in lowers if lower is not None)
        return wanted


def _own_layers(container: Container) -> dict[LayerId, tuple[LayerId, ...]]:
    """The layers of a container, each with those to compare it with, nearest first."""
    own, init = LayerId(container.id), LayerId(container.id + INIT)
    image = (LayerId(container.image_id),) if container.image_id else ()
    return {own: (init, *image), init: image}


def _downloads(root: DataRoot) -> bool:
    """Whether a download may be under way: it may bring a reference to a layer that is there already."""
    try:
        names = root.names((*GRAPH, DOWNLOADS))
    except OSError:
        return False
    started = (changed(root, (*GRAPH, DOWNLOADS, name)) for name in names)
    return any(time.time() - one < _STALE_DOWNLOAD_SECONDS for one in started)
