"""Reads the metadata of a data root: every detected layout gives a part, and the parts make an `Inventory`."""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.core.area import DRIVER
from exporter.core.data_root import DataRoot
from exporter.core.knowledge import REFER_TO_LAYERS, Input
from exporter.core.measured import Tree
from exporter.core.model import (
    BuildCache,
    Collector,
    Container,
    Image,
    ImageId,
    Inventory,
    Layer,
    LayerId,
)
from exporter.inventory import layouts
from exporter.inventory.areas import VOLUMES, table
from exporter.inventory.containers import read_containers
from exporter.inventory.drivers import DRIVERS, VFS, Driver
from exporter.inventory.drivers.layer_store import LayerStore, files_elsewhere
from exporter.inventory.engine_version import current_driver, engine_version
from exporter.inventory.files.memo import Memo
from exporter.inventory.files.reader import Problems, Reader
from exporter.inventory.gaps import knowledge
from exporter.inventory.layouts import buildkit
from exporter.inventory.layouts.claims import Claims, Grace, classify
from exporter.inventory.layouts.part import DriverPart, Known, Part, Reading
from exporter.inventory.plugins import read_plugins
from exporter.inventory.remarks import remarks
from exporter.inventory.temporary import read_temporary
from exporter.inventory.volumes import read_volumes, volume_of

#: A root of a remapped user (Docker 1.10 on, daemon/daemon_unix.go, setupDaemonRoot).
_REMAPPED = re.compile(r"[0-9]+\.[0-9]+", re.ASCII)

#: The drivers that are none of containerd's snapshotters: what describes their layers is in `image` or `graph`.
_WITH_IMAGES_HERE = {one.name for one in DRIVERS} - {"btrfs", "zfs", "fuse-overlayfs"}


def detect(root: DataRoot) -> tuple[str, ...]:
    """The names of the layouts in a root. Empty: it is no data root."""
    return tuple(layout.name for layout in layouts.LAYOUTS if layout.detect(root))


def nested_roots(root: DataRoot) -> tuple[str, ...]:
    """The data roots of remapped users in this one, by the names of their directories."""
    try:
        names = [name for name in root.names(()) if _REMAPPED.fullmatch(name)]
    except OSError:
        return ()
    known = [one.path for one in table().areas if one.objects in (Collector.CONTAINERS, Collector.IMAGES)]
    marks = {path for path in known if len(path) == 1}
    return tuple(name for name in names if any(root.is_directory((name, *mark)) for mark in marks))


@dataclass(slots=True)
class _Parts:
    """The parts of the detected layouts: by layout, oldest first, and by driver, newest first."""

    by_layout: dict[str, Part] = field(default_factory=dict)
    by_driver: dict[str, list[DriverPart]] = field(default_factory=dict)

    @property
    def stores(self) -> dict[str, LayerStore]:
        """The layers that each driver has on disk."""
        return {driver: parts[0].store for driver, parts in self.by_driver.items()}

    @property
    def images(self) -> list[Image]:
        """All images."""
        parts = (part for layout in self.by_layout.values() for part in layout.drivers)
        return [image for part in parts for image in part.images]

    @property
    def build_cache(self) -> BuildCache | None:
        """The build cache, from the newest layout that has one."""
        caches = [part.build_cache for part in self.by_layout.values() if part.build_cache is not None]
        return caches[-1] if caches else None

    def of_new_image(self, container: Container) -> Container:
        """Name the image of a container by its new id, where an engine has moved the image and not the container."""
        if container.image_id is None:
            return container
        new = next(
            (
                part.renamed[container.image_id]
                for part in self.by_layout.values()
                if container.image_id in part.renamed
            ),
            "",
        )
        return replace(container, image_id=ImageId(new)) if new else container

    @property
    def leftovers(self) -> list[str]:
        """The entries of the root that were parts of a layout, and that no engine reads any more."""
        return [name for part in self.by_layout.values() for name in part.leftovers]

    def of_engines(self, containers: Iterable[Container]) -> list[Driver]:
        """The drivers that an engine has worked with. Old ones keep volumes in the directory of another driver."""
        used = {one.driver for one in containers} | {one.driver for one in self.images}
        found = [
            parts[0] for driver, parts in self.by_driver.items() if driver in used or parts[0].describes_containers
        ]
        return [part.store.driver for part in found]

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """The layouts whose objects are not known."""
        return tuple(name for name, part in self.by_layout.items() if part.known is Known.NOTHING)


def _read_layouts(reading: Reading) -> _Parts:
    """Read all layouts that are detected, newest first."""
    parts = _Parts()
    detected = detect(reading.root)
    found: dict[str, Part] = {}
    for layout in reversed(layouts.LAYOUTS):
        if layout.name not in detected:
            continue
        part = found[layout.name] = layout.read(reading)
        for driver_part in part.drivers:
            parts.by_driver.setdefault(driver_part.store.driver.name, []).append(driver_part)
        reading.drivers.update(parts.by_driver)
        reading.layers |= part.layers
    parts.by_layout = {name: found[name] for name in detected}
    return parts


def _place_container(container: Container, parts: _Parts, stores: Mapping[str, LayerStore]) -> Container:
    """Find a container's layers, in the newest layout that knows the container.

    If none does, its layer has its id (Docker 1.0 to 1.9, and containers migrated from there). A container without a
    driver gets that of its layer, or the only driver of the root.
    """
    own = parts.by_driver.get(container.driver, [])
    for part in (*own, *(part for many in parts.by_driver.values() for part in many)):
        found = part.container_layers(container.id)
        if found is not None:
            container = replace(
                container,
                driver=part.store.driver.name,
                layer=found.layer,
                init=found.init,
                chain=found.chain,
                metadata=(*container.metadata, *found.metadata),
            )
            break
    if container.layer is not None:
        return container
    name = LayerId(container.id)
    having = [driver for driver, store in stores.items() if name in store.names]
    having += [driver for driver, store in stores.items() if not store.listed]
    driver = container.driver or next(iter(having), next(iter(stores)) if len(stores) == 1 else "")
    return replace(container, driver=driver, layer=name if driver in having else None)


def _note_undescribed(reader: Reader, parts: _Parts) -> None:
    """Note the graph drivers that have layers on disk and that no layout describes."""
    for driver in DRIVERS:
        if driver.name in parts.by_driver or not driver.layers:
            continue
        if any(name not in driver.own for name in reader.listing(driver.layers) or ()):
            for source in (Input.IMAGE_CONFIGS, Input.LAYER_STORES, Input.NAMES):
                reader.gap(source, driver.layers, "nothing describes these layers", driver=driver.name)


def _note_unplaced(reader: Reader, containers: Iterable[Container], parts: _Parts) -> None:
    """Note the containers whose layers are written down nowhere: any layer of their driver may be one of theirs."""
    # Only an image without layers is below a container without a layer below.
    empty = {(image.driver, image.id) for image in parts.images if not (image.layers or image.broken)}
    for one in containers:
        mine = parts.by_driver.get(one.driver, ())
        tree = ("image", one.driver, "layerdb", "mounts", one.id)
        if one.going or not mine or not any(part.describes_containers for part in mine):
            continue
        if one.layer is None and not _is_placed(one, mine):
            reader.gap(Input.LAYER_STORES, tree, "it names no layer", driver=one.driver, object_id=one.id)
        elif one.layer is not None and not (one.chain or one.missing) and (one.driver, one.image_id) not in empty:
            reader.gap(Input.LAYER_STORES, tree, "it names no layers below", driver=one.driver, object_id=one.id)


def _note_lost_volumes(reader: Reader, containers: Iterable[Container], volumes: Collection[str]) -> None:
    """Note volumes of Docker up to 1.6 without an entry: what is a volume in the directory of layers is not known.

    An engine keeps the entry for as long as a container has the volume (Docker 1.3 volumes/repository.go, Delete).
    """
    for container in containers:
        for mount in container.mounts:
            root, name = volume_of(mount.path or mount.source)
            if name and root == container.origin and name not in volumes and reader.exists((*VFS.layers, name)):
                reader.gap(Input.VOLUMES, ("volumes", name), "it is missing, and a container has it", object_id=name)


def _unloaded(reader: Reader, container: Container, parts: _Parts, current: str) -> Container:
    """Add why the engine does not load a container because of its driver or its layers.

    The newest layout of a driver knows the layers. `current` is the driver that the engine works with, "" if unknown.
    """
    own = parts.by_driver.get(container.driver)
    if container.unloaded or not container.driver or (parts.unmeasured and container.driver not in _WITH_IMAGES_HERE):
        return container
    if not own:
        known = reader.exists(("image", container.driver))
        return (
            container if known else replace(container, unloaded=f"nothing describes the layers of {container.driver}")
        )
    if current not in ("", container.driver):
        why = f"it is of the graph driver {container.driver}, and the engine works with {current}"
        return replace(container, unloaded=why)
    return replace(container, unloaded=own[0].why_not_loaded(container.id))


def _classify(  # noqa: PLR0913 - what a layer's use depends on
    reading: Reading,
    problems: Problems,
    parts: Sequence[DriverPart],
    containers: Sequence[Container],
    volumes: Iterable[str],
    grace: Grace,
) -> list[Layer]:
    """Find the use of each layer of one driver."""
    store = parts[0].store
    needed = (*REFER_TO_LAYERS, Input.VOLUMES) if store.driver.full_copies else REFER_TO_LAYERS
    known = knowledge(problems.unread)
    claims = Claims(doubts=[lambda: not known.whole(needed, store.driver.name)])
    for part in parts:
        claims.join(part.claim(containers))
    others = map(LayerId, volumes) if store.driver.full_copies else ()
    layers = classify(reading.root, store, claims, grace, others)
    # Of a container that is not known it cannot be told that it is gone.
    return layers if known.whole((Input.CONTAINERS,)) else [replace(one, held="") for one in layers]


def _with_missing(container: Container, parts: _Parts) -> Container:
    """Note the layers of a container that are not on disk. One that is being removed has none.

    The newest layout knows the layers below the container.
    """
    own = parts.by_driver.get(container.driver)
    if own is None or container.going:
        return container
    part = own[0]
    own_layer = (container.id,) if container.layer is None and _is_placed(container, own) else ()
    return replace(container, missing=(*part.missing_below(container), *own_layer))


def _is_placed(container: Container, parts: Sequence[DriverPart]) -> bool:
    """Whether it is known which layer is a container's own: else it cannot be told whether that is on disk."""
    if not parts[0].describes_containers:
        return True
    return any(part.knows_layer(container.id) for part in parts)


def _missing(parts: Sequence[DriverPart], containers: Iterable[Container]) -> frozenset[str]:
    """The layers of one driver that images or containers refer to and that are not on disk."""
    of_containers = (layer for container in containers for layer in container.missing)
    return frozenset((*(layer for part in parts for layer in part.missing), *of_containers))


def _count_entries(reading: Reading, parts: _Parts) -> dict[tuple[str, str], int]:
    """Count the entries of each store, as `ls -A | wc -l` would, by driver and short name."""
    reader = reading.readers[Collector.IMAGES]
    counts: dict[tuple[str, str], int] = {}
    for part in parts.by_layout.values():
        counts.update(part.counts)
    of_layouts = [area for layout in layouts.LAYOUTS for area in layout.areas if DRIVER in area.path]
    for driver, store in parts.stores.items():
        for area in (*store.driver.areas, *of_layouts):
            tree = tuple(driver if name == DRIVER else name for name in area.path)
            if area.counted and reading.root.is_directory(tree):
                counts.update(_count(reader, (driver, area.counted), tree))
    return counts


def _count(reader: Reader, key: tuple[str, str], tree: Tree) -> dict[tuple[str, str], int]:
    """The number of entries of a directory; nothing where it cannot be listed, which its own reader has counted."""
    try:
        return {key: len(reader.root.names(tree))}
    except OSError:
        return {}


def _can_list(root: DataRoot, tree: Tree) -> bool:
    try:
        root.names(tree)
    except OSError:
        return False
    return True


def read_inventory(
    root: DataRoot, previous: Inventory, grace: Grace, problems: Problems, memo: Memo
) -> tuple[Inventory, dict[Collector, int]]:
    """Read the metadata that is not in `memo`; return the inventory, and how many files each collector read.

    An object whose files cannot be parsed at the moment is taken from `previous`.
    """
    readers = {one: Reader(root, one, problems, memo) for one in Collector}
    volumes = read_volumes(readers[Collector.VOLUMES])
    names = frozenset(volume.name for volume in volumes)
    known = {container.id: container for container in previous.containers}
    listed = names if _can_list(root, VOLUMES.path) else None
    found = read_containers(readers[Collector.CONTAINERS], listed, known)
    builds = buildkit.read_builds(readers[Collector.BUILD_CACHE])
    reading = Reading(root, readers, {image.id: image for image in previous.images}, builds)
    parts = _read_layouts(reading)
    if parts.unmeasured:  # any layer may belong to that layout: none is called orphaned
        grace.keep(set())
        grace = Grace(math.inf)
        for name in parts.unmeasured:
            readers[Collector.IMAGES].gap(Input.IMAGE_STORE, (), f"the layout {name} is measured by directory only")
    stores = parts.stores
    others = Reader(root, Collector.DIRECTORIES, problems, memo)
    laid = (_place_container(container, parts, stores) for container in found)
    placed = tuple(_with_missing(parts.of_new_image(container), parts) for container in laid)
    current = current_driver(root, parts.of_engines(placed))
    containers = tuple(_unloaded(readers[Collector.IMAGES], container, parts, current) for container in placed)
    _note_undescribed(readers[Collector.IMAGES], parts)
    _note_unplaced(readers[Collector.CONTAINERS], containers, parts)
    _note_lost_volumes(readers[Collector.VOLUMES], containers, names)
    by_driver = {driver: [one for one in containers if one.driver == driver] for driver in sorted(stores)}
    layers = [
        layer
        for driver, mine in by_driver.items()
        for layer in _classify(reading, problems, parts.by_driver[driver], mine, names, grace)
    ]
    directories = tuple(others.names(()))
    inventory = Inventory(
        layouts=tuple(parts.by_layout),
        unmeasured=parts.unmeasured,
        nested=nested_roots(root),
        drivers=tuple(by_driver),
        layers=tuple(layers),
        images=tuple(replace(one, unloaded=one.unloaded or current not in ("", one.driver)) for one in parts.images),
        containers=containers,
        volumes=volumes,
        build_cache=parts.build_cache or buildkit.build_cache(builds, (), root.is_directory(buildkit.HOME)),
        stores=_count_entries(reading, parts),
        missing={driver: _missing(parts.by_driver[driver], mine) for driver, mine in by_driver.items()},
        directories=directories,
        plugins=read_plugins(others),
        elsewhere=frozenset(files_elsewhere(root, stores[name]) for name in {one.driver for one in layers}) - {""},
        remarks=remarks(root, parts.leftovers, readers.values()),
        engine=engine_version(directories, parts.by_layout, containers),
        temporary=read_temporary(others, grace.clock.now()),
    )
    inventory = replace(inventory, knowledge=knowledge(problems.unread))
    measured = (one for one in Collector if one is not Collector.DIRECTORIES)
    return inventory, {one: readers[one].looked_at for one in measured}
