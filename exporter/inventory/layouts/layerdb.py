"""The layout of Docker 1.10 to 28: what images, containers and BuildKit need of each layer."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from msgspec.structs import replace

from exporter.core.knowledge import Input
from exporter.core.measured import Tree
from exporter.core.model import Collector, Container, ContainerId, Image, Layer, LayerId, Use
from exporter.inventory.drivers import INIT, driver_named
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.reader import Reader, is_id
from exporter.inventory.layouts import buildkit_databases
from exporter.inventory.layouts.buildkit import build_names
from exporter.inventory.layouts.buildkit_databases import Builds
from exporter.inventory.layouts.claims import Claims, describe_layer
from exporter.inventory.layouts.known_builds import KnownBuilds
from exporter.inventory.layouts.layerdb_images import read_images
from exporter.inventory.layouts.layerdb_places import LayerdbPlaces
from exporter.inventory.layouts.layerdb_store import IMAGE, Database, LayerEntry, MountEntry, find_drivers, read_layers
from exporter.inventory.layouts.part import ContainerLayers, Part, Reading

_CONTAINERS: Tree = ("containers",)


def read(reading: Reading) -> Part:
    """Read `image/<driver>` of each driver."""
    reader = reading.readers[Collector.IMAGES]
    _note_hidden(reader)
    databases = [read_layers(reader, LayerStore(driver_named(name), reader)) for name in find_drivers(reading.root)]
    for database in databases:
        _read_images(reader, database, reading.previous)
    if reader.listing(buildkit_databases.HOME) == [] and any(map(build_names, databases)):
        reader.gap(Input.BUILD_CACHE, buildkit_databases.HOME, "it is missing or empty, and has layers")
    _note_lost_containers(reader, databases)
    known = reader.derived("builds", buildkit_databases.HOME, KnownBuilds)
    known.come_to(reading.builds, databases, present=reading.root.is_directory(buildkit_databases.HOME))
    return Part(
        [LayerdbPart(one, reading.builds, known) for one in databases],
        build_cache=known.cache,
        layers=frozenset(entry.cache for one in databases for entry in one.entries.values()),
    )


def _read_images(reader: Reader, database: Database, previous: Mapping[str, Image]) -> None:
    """Read the images of one driver. Where that fails, none of them is known, and those of other drivers are."""

    def read() -> bool:
        read_images(reader, database, previous)
        return True

    if not reader.attempt(database.base, read, instead=False):
        for source in (Input.NAMES, Input.IMAGE_CONFIGS):
            reader.gap(source, database.base, "an error in the exporter", driver=database.driver)


def _note_lost_containers(reader: Reader, databases: Sequence[Database]) -> None:
    """Note a gap where there is no container, and layers of several are there: the list of containers is lost then.

    A removal that was cut off leaves the layers of one. What all the lost ones used is not known.
    """
    try:
        names = reader.root.names(_CONTAINERS)
    except OSError:  # its own reader has noted that
        return
    left = sum(is_id(name) for database in databases for name in database.mounts)
    if left > 1 and not any(map(is_id, names)):
        reader.gap(Input.CONTAINERS, _CONTAINERS, f"it is empty, and the layers of {left} containers are there")


def _note_hidden(reader: Reader) -> None:
    """Note what is not known where `image`, or the part of a driver in it, is a link or cannot be listed."""
    names = reader.listing(IMAGE)
    hidden = [IMAGE] if names is None else [(*IMAGE, name) for name in names if reader.is_link((*IMAGE, name))]
    for tree in hidden:
        for source in (Input.NAMES, Input.IMAGE_CONFIGS, Input.LAYER_STORES):
            reader.gap(source, tree, "it cannot be looked into", driver="".join(tree[1:]))


class LayerdbPart:
    """What `image/<driver>` and BuildKit say of the layers of one driver."""

    def __init__(self, database: Database, builds: Builds, known: KnownBuilds) -> None:
        self._database = database
        self._builds = builds
        self._cache, self._below_builds = known.cache, known.parents[database.driver]
        self._own_of_builds = known.own
        #: By chain id, what is below a container: thousands may be of one image.
        self._places: dict[str, object] = {}
        self._chains: dict[str, tuple[LayerId, ...]] = {}
        self._missing_below: dict[str, tuple[str, ...]] = {}

    @property
    def store(self) -> LayerStore:
        """The layers that the driver has on disk."""
        return self._database.store

    @property
    def images(self) -> Sequence[Image]:
        """The images whose layers the driver keeps."""
        return self._database.images

    @property
    def missing(self) -> set[str]:
        """The layers that images or names refer to and that are not on disk."""
        return self._database.missing

    @property
    def describes_containers(self) -> bool:
        """Whether the layout writes down which layers each container has: in `layerdb/mounts`."""
        return True

    def knows_layer(self, container: ContainerId) -> bool:
        """Whether its entry of `layerdb/mounts` names a layer."""
        mount = self._database.mounts.get(container)
        return mount is not None and mount.layer is not None

    def container_layers(self, container: ContainerId) -> ContainerLayers | None:
        """Find the layers of a container in `layerdb/mounts`."""
        database, mount = self._database, self._database.mounts.get(container)
        if mount is None:
            return None
        # Without its file `init-id`, the directory of the init layer still has the name that an engine gives it.
        named = mount.init or (LayerId(mount.layer + INIT) if mount.layer else None)
        layer, init = (name if name is not None and database.has(name) else None for name in (mount.layer, named))
        home: Tree = (*database.base, "layerdb", "mounts", container)
        below = self._chains.get(mount.parent)
        if below is None:
            below = self._chains[mount.parent] = tuple([entry.cache for entry in database.chain(mount.parent)])
        return ContainerLayers(layer, init, below, (home,), cut=mount.cut)

    def places_of(self, container: Container) -> object:
        """Its entry of `layerdb/mounts`, the entries below, and which of their layers are there."""
        database, mount = self._database, self._database.mounts.get(container.id)
        if mount is None:
            return database.mounts_listed, self.store.has_name(container.id)
        own = None if mount.layer is None else (database.has(mount.layer), database.has(LayerId(mount.layer + INIT)))
        init = mount.init is not None and database.has(mount.init)
        return mount, own, init, self._below(mount.parent), self.store.has_name(container.id)

    def _below(self, top: str) -> object:
        """The entries below a container, and which of their layers are there."""
        found = self._places.get(top)
        if found is None:
            database = self._database
            entries = tuple((entry, database.has(entry.cache)) for entry in database.chain(top))
            loads = database.loads(top) or not database.entries_listed
            found = self._places[top] = (entries, entries[-1][0].parent in database.entries if entries else "", loads)
        return found

    @property
    def places(self) -> object:
        """Its entries, and which of their layers are there."""
        return LayerdbPlaces.of(self._database)

    def why_not_loaded(self, container: ContainerId) -> str:
        """Why the engine does not load a container because of its layers; "" if it does.

        Docker 20.10 layer/layer_store.go (loadMount) and daemon/daemon.go (restore).
        """
        database, mount = self._database, self._database.mounts.get(container)
        home = f"image/{database.driver}/layerdb/mounts"
        if mount is None:
            return f"it has no entry in {home}" if database.mounts_listed else ""
        if not mount.good or not is_id(mount.layer):
            return f"its entry in {home} is damaged"
        loaded = database.loads(mount.parent) or not database.entries_listed
        return "" if loaded else "a layer below it is damaged or missing"

    def missing_below(self, container: Container) -> Sequence[str]:
        """The image layers below a container that are not on disk. `docker rmi -f` removes the image, not these."""
        mount = self._database.mounts.get(container.id)
        if mount is None:
            return ()
        found = self._missing_below.get(mount.parent)
        if found is None:
            found = self._missing_below[mount.parent] = tuple(self._missing_from(mount.parent))
        return found

    def _missing_from(self, top: str) -> Iterator[str]:
        database, below = self._database, top
        for entry in database.chain(top):
            below = entry.parent
            if not database.has(entry.cache):
                yield entry.chain
        if below and below not in database.entries:
            yield below

    def claim(self, containers: Sequence[Container]) -> Claims:
        """Claim what images, `containers` and the build cache need, in this order."""
        database, describer = self._database, _Describer(self._database, self._below_builds)
        names: dict[LayerId, Use] = {}
        for image in database.images:
            names.update(dict.fromkeys(image.layers, Use.IMAGE))
        chains = set[int]()
        for container in containers:
            # Many have the same chain.
            chain = () if id(container.chain) in chains else container.chain
            chains.add(id(container.chain))
            for name in (container.layer, container.init, *chain):
                if name is not None:
                    names.setdefault(name, Use.CONTAINER)
        for name in (*self._cache.needs.get(database.driver, ()), *_left_by_builds(database)):
            names.setdefault(name, Use.BUILD_CACHE)
        held = _held(database, {one.id for one in containers})
        for name in held:
            names.setdefault(name, Use.CONTAINER)
        found = {name: describer(name, use) for name, use in names.items() if database.has(name)}
        unneeded = self._unneeded(names)
        pinned = _pinned(database, unneeded)
        alone = {one.cache for one in unneeded} & self._own_of_builds
        for name in found.keys() & (held.keys() | pinned | alone):
            found[name] = _marked(database, found[name], held.get(name, ""), name in pinned, name in alone)
        return Claims(
            found,
            pending=[lambda: database.moving],
            references=[*database.references(), ("containers",), buildkit_databases.HOME, buildkit_databases.SNAPSHOTS],
            doubts=[lambda: database.doubtful or self._builds.doubtful],
            describe=describer,
        )

    def _unneeded(self, uses: Mapping[LayerId, Use]) -> list[LayerEntry]:
        """The entries of `layerdb/sha256` that nothing needs, and which an engine loads. `uses`: what layers are for.

        What BuildKit only names, without a record that needs it, has no use. What is its own alone it removes without
        the entry.
        """
        database, builds = self._database, Use.BUILD_CACHE
        entries = chain(database.entries.values(), database.misnamed.values())
        free = [one for one in entries if uses.get(one.cache, builds) is builds]
        of_records = self._cache.holds.get(database.driver, frozenset())
        unneeded = (one for one in free if one.cache not in of_records or one.cache in self._own_of_builds)
        return [one for one in unneeded if database.loads(one.chain)]


class _Describer:
    """Describes the layers of one driver from its database."""

    def __init__(self, database: Database, builds: Mapping[LayerId, tuple[LayerId, ...]]) -> None:
        """`builds`: the layer below each snapshot of BuildKit."""
        self._database = database
        self._whole = database.store.whole
        self._entries = {entry.cache: entry for entry in database.entries.values()}
        self._builds = builds
        self._parents: dict[LayerId, tuple[LayerId, ...]] = {}
        for mount in database.mounts.values():
            below = self._cache(mount.parent)
            if mount.layer is not None:
                self._parents[mount.layer] = (*((mount.init,) if mount.init else ()), *below)
            if mount.init is not None:
                self._parents[mount.init] = below

    def _cache(self, chain: str) -> tuple[LayerId, ...]:
        entry = self._database.entries.get(chain)
        return () if entry is None else (entry.cache,)

    def __call__(self, name: LayerId, use: Use) -> Layer:
        """Describe one layer."""
        database, entry = self._database, self._entries.get(name)
        if entry is None:
            below = self._parents[name] if name in self._parents else self._builds.get(name, ())
            return describe_layer(database.store, name, use, below)
        return self._known(entry, use)

    def _known(self, entry: LayerEntry, use: Use) -> Layer:
        below = self._cache(entry.parent)
        layer = describe_layer(self._database.store, entry.cache, use, below, recorded=entry.size)
        known = self._whole.get(layer.id)
        if known is not None and known[0] is layer and known[1] is entry:
            return known[2]
        home = _home(self._database, entry.chain)
        parent = below[0] if below else None
        whole = replace(layer, chain=entry.chain, parent=parent, metadata=(*layer.metadata, home))
        self._whole[layer.id] = layer, entry, whole
        return whole


def _held(database: Database, containers: Collection[str]) -> dict[LayerId, str]:
    """The layers that an entry of `layerdb/mounts` holds whose container is not there, with that container's id.

    An engine reads such an entry like any other (Docker 20.10 layer/layer_store.go, loadMount): the layers below it are
    in use for as long as the entry is there.
    """
    held: dict[LayerId, str] = {}
    walked: set[str] = set()
    for name, mount in database.mounts.items():
        if is_id(name) and name not in containers:
            below = (entry.cache for entry in database.below([mount.parent], walked))
            own = (layer for layer in (mount.layer, mount.init) if layer is not None)
            held.update(dict.fromkeys((*own, *below), name))
    return held


def _pinned(database: Database, unneeded: Iterable[LayerEntry]) -> set[LayerId]:
    """The layers below the entries of `layerdb/sha256` that nothing needs, and below what BuildKit has mounted.

    A kill leaves an entry without an image, or one of a mount that BuildKit knows no more (Docker 20.10
    builder/builder-next/adapters/snapshot/snapshot.go, Mounts). An engine reads it like any other, and removes none of
    the layers below it for as long as it is there (layer/layer_store.go, newStoreFromGraphDriver and loadMount).
    """
    mounts = (one.parent for one in _builders_mounts(database) if database.loads(one.parent))
    return {entry.cache for entry in database.below(chain((one.parent for one in unneeded), mounts))}


def _marked(database: Database, layer: Layer, held: str, pinned: bool, alone: bool) -> Layer:
    """A layer with what keeps it; the same object as long as nothing changes. `alone`: it goes without its entry."""
    marks, known = (held, pinned, alone), database.store.marked.get(layer.id)
    if known is not None and known[0] is layer and known[1] == marks:
        return known[2]
    entry = _home(database, layer.chain)
    metadata = tuple(one for one in layer.metadata if one != entry) if alone else layer.metadata
    marked = replace(layer, held=held, pinned=pinned, metadata=metadata)
    database.store.marked[layer.id] = layer, marks, marked
    return marked


def _home(database: Database, chain_id: str) -> Tree:
    return (*database.base, "layerdb", "sha256", chain_id)


def _left_by_builds(database: Database) -> Iterator[LayerId]:
    """Directories with BuildKit's names, and those of what it mounts: in doubt they are its own."""
    yield from build_names(database)
    mounts = _builders_mounts(database)
    for mount in mounts:
        yield from (layer for layer in (mount.layer, mount.init) if layer is not None)
    yield from (entry.cache for entry in database.below(mount.parent for mount in mounts))


def _builders_mounts(database: Database) -> list[MountEntry]:
    """The entries of `layerdb/mounts` that are of no container."""
    return [mount for name, mount in database.mounts.items() if not is_id(name)]
