"""Reads the metadata of a data root: every detected layout gives a part, and the parts make an `Inventory`."""

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, compress, count, repeat
from operator import attrgetter, is_
from typing import cast

from msgspec.structs import replace

from exporter.core.area import DRIVER
from exporter.core.content import ContentStore
from exporter.core.counting import Counted
from exporter.core.data_root import DataRoot
from exporter.core.engine_version import EngineVersion
from exporter.core.kept import ByKey
from exporter.core.knowledge import REFER_TO_LAYERS, Input, Knowledge
from exporter.core.measured import Tree
from exporter.core.model import Collector, Container, Image, Inventory, Layer, LayerId
from exporter.inventory import layouts
from exporter.inventory.areas import CONTAINERS, VOLUMES, table
from exporter.inventory.container_layers import (
    KnownFacts,
    LayerFacts,
    Removals,
    note_undescribed,
    note_unplaced,
    place_container,
    with_missing,
    with_unloaded,
)
from exporter.inventory.containers import read_containers
from exporter.inventory.drivers import VFS
from exporter.inventory.drivers.layer_store import LayerStore, files_elsewhere
from exporter.inventory.engine_version import current_driver, engine_version, evidence
from exporter.inventory.files.memo import Memo
from exporter.inventory.files.problems import Problems
from exporter.inventory.files.reader import Reader
from exporter.inventory.gaps import knowledge
from exporter.inventory.layout_parts import LayoutParts, read_layouts
from exporter.inventory.layouts import buildkit
from exporter.inventory.layouts.buildkit_databases import HOME, Builds, read_builds
from exporter.inventory.layouts.claims import Claims, Grace, classify
from exporter.inventory.layouts.layerdb_store import IMAGE
from exporter.inventory.layouts.part import DriverPart, Reading
from exporter.inventory.plugins import read_plugins
from exporter.inventory.remarks import remarks
from exporter.inventory.temporary import read_temporary
from exporter.inventory.volumes import read_volumes, volume_of

_Versions = Counted[Container, EngineVersion]
_MISSING: Callable[[Container], tuple[str, ...]] = attrgetter("missing")
#: A root of a remapped user (Docker 1.10 on, daemon/daemon_unix.go, setupDaemonRoot).
_REMAPPED = re.compile(r"[0-9]+\.[0-9]+", re.ASCII)


def nested_roots(root: DataRoot) -> tuple[str, ...]:
    """The data roots of remapped users in this one, by the names of their directories."""
    try:
        names = [name for name in root.names(()) if _REMAPPED.fullmatch(name)]
    except OSError:
        return ()
    known = [one.path for one in table().areas if one.objects in (Collector.CONTAINERS, Collector.IMAGES)]
    marks = {path for path in known if len(path) == 1}
    return tuple(name for name in names if any(root.is_directory((name, *mark)) for mark in marks))


def _content(reader: Reader, parts: LayoutParts, known: Knowledge, grace: Grace) -> ContentStore | None:
    """The containerd image store, with the blobs that nothing needs."""
    content = parts.content
    if content is None:
        return None
    from exporter.inventory.layouts.containerd_content import with_orphans  # noqa: PLC0415 - it is loaded where there is one

    doubtful = not known.whole((*REFER_TO_LAYERS, Input.NAMES))
    return reader.attempt(content.home, partial(with_orphans, content, grace, parts.unused, doubtful=doubtful), content)


def _loaded(image: Image, parts: LayoutParts, current: str) -> Image:
    """Note whether the engine loads an image: it works with one driver. Those of others are none of its."""
    # An engine has all images of its namespace of containerd, with whatever snapshotter it works.
    same = parts.namespace_of(current) == image.namespace if image.namespace else current == image.driver
    unloaded = image.unloaded or (current != "" and not same and parts.is_docker(image))
    return image if image.unloaded == unloaded else replace(image, unloaded=unloaded)


def _all_loaded(parts: LayoutParts, kinds: Iterable[Image], current: str) -> tuple[Image, ...]:
    """The images of all parts, see `_loaded`. `kinds`: one of each; most often all are loaded."""
    if all(_loaded(one, parts, current) is one for one in kinds):
        return tuple(parts.images)
    return tuple(_loaded(one, parts, current) for one in parts.images)


def _each(  # noqa: PLR0913 - what is worked on, how, and what is known of it
    reader: Reader,
    containers: Sequence[Container],
    work: Callable[[Container], Container],
    facts: LayerFacts,
    kind: str,
    more: object = None,
) -> tuple[Container, ...]:
    """Work on one container after the other. One with which that fails stays as it was, and is a problem.

    `kind` of work, and what it depends on besides the containers' layers.
    """
    known = facts.still_known(kind, containers, more)
    found: list[Container | None] = [*known]
    for at in compress(count(), map(is_, known, repeat(None))):
        one = containers[at]
        result = facts.known(kind, one, more)
        if result is None:
            result = reader.attempt((*CONTAINERS.path, one.id), partial(work, one), None)
            known[at] = facts.note(kind, one, result, more)
        else:
            known[at] = result
        found[at] = one if result is None else result
    facts.note_all(kind, containers, known, more)
    return tuple(cast("list[Container]", found))  # there is none left without a result


def _placed(
    container: Container, parts: LayoutParts, stores: Mapping[str, LayerStore], removals: Removals
) -> Container:
    return with_missing(parts.of_new_image(place_container(container, parts, stores)), parts, removals)


def _note_lost_volumes(reader: Reader, containers: Iterable[Container], volumes: Collection[str]) -> None:
    """Note volumes of Docker up to 1.6 without an entry: what is a volume in the directory of layers is not known.

    An engine keeps the entry for as long as a container has the volume (Docker 1.3 volumes/repository.go, Delete).
    """
    for container in containers:
        for mount in container.mounts:
            root, name = volume_of(mount.path or mount.source)
            if name and root == container.origin and name not in volumes and reader.exists((*VFS.layers, name)):
                reader.gap(Input.VOLUMES, ("volumes", name), "it is missing, and a container has it", object_id=name)


def _classify(  # noqa: PLR0913 - what a layer's use depends on
    reading: Reading,
    known: Knowledge,
    parts: Sequence[DriverPart],
    containers: Sequence[Container],
    volumes: Iterable[str],
    grace: Grace,
) -> list[Layer]:
    """Find the use of each layer of one driver."""
    store = parts[0].store
    claims = Claims(doubts=[lambda: not known.whole(store.driver.referring, store.driver.name)])
    for part in parts:
        claims.join(part.claim(containers))
    others = map(LayerId, volumes) if store.driver.full_copies else ()
    layers = classify(reading.root, store, claims, grace, others)
    # Of a container that is not known it cannot be told that it is gone.
    return layers if known.whole((Input.CONTAINERS,)) else [replace(one, held="") for one in layers]


def _missing(reader: Reader, parts: Sequence[DriverPart], containers: Iterable[Container]) -> frozenset[str]:
    """The layers of one driver that images or containers refer to and that are not on disk."""

    def find() -> frozenset[str]:
        of_containers = chain.from_iterable(map(_MISSING, containers))
        return frozenset((*(layer for part in parts for layer in part.missing), *of_containers))

    return reader.attempt(parts[0].store.driver.layers, find, frozenset())


def _count_entries(reading: Reading, parts: LayoutParts) -> dict[tuple[str, str], int]:
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
    known = ByKey(previous.containers, lambda container: container.id)
    listed = names if _can_list(root, VOLUMES.path) else None
    found = read_containers(readers[Collector.CONTAINERS], listed, known)
    reader = readers[Collector.BUILD_CACHE]
    builds = reader.attempt(HOME, partial(read_builds, reader), Builds({}, (), doubtful=True))
    reading = Reading(root, readers, ByKey(previous.images, lambda image: image.id), builds, found)
    parts = read_layouts(reading)
    if parts.unmeasured:  # any layer may belong to that layout: none is called orphaned
        grace.keep(set())
        grace = Grace(math.inf)
        for name in parts.unmeasured:
            readers[Collector.IMAGES].gap(Input.IMAGE_STORE, (), f"the layout {name} is measured by directory only")
    stores = parts.stores
    others = Reader(root, Collector.DIRECTORIES, problems, memo)
    removals = Removals(readers[Collector.CONTAINERS])
    known_facts = readers[Collector.CONTAINERS].derived("facts", CONTAINERS.path, KnownFacts)
    facts = LayerFacts(parts, known_facts)
    placed = _each(
        readers[Collector.CONTAINERS], found, lambda one: _placed(one, parts, stores, removals), facts, "placed"
    )
    kinds = parts.kinds_of_images()
    current = current_driver(root, parts.of_engines(placed, kinds), parts.active)
    images = readers[Collector.IMAGES]
    containers = _each(
        readers[Collector.CONTAINERS],
        placed,
        lambda one: with_unloaded(images, one, parts, current),
        facts,
        "loaded",
        current,
    )
    images.attempt(IMAGE, partial(note_undescribed, images, parts), None)
    reader = readers[Collector.CONTAINERS]
    reader.attempt(CONTAINERS.path, partial(note_unplaced, reader, containers, parts), None)
    reader = readers[Collector.VOLUMES]
    reader.attempt(VOLUMES.path, partial(_note_lost_volumes, reader, containers, names), None)
    by_driver = {driver: [one for one in containers if one.driver == driver] for driver in sorted(stores)}
    so_far = knowledge(problems.unread)
    layers: list[Layer] = []
    for driver, mine in by_driver.items():
        of_driver = partial(_classify, reading, so_far, parts.by_driver[driver], mine, names, grace)
        layers += images.attempt(stores[driver].driver.layers, of_driver, [])
    versions = reader.derived("versions", CONTAINERS.path, _Versions).update(containers, evidence)
    directories = tuple(others.names(()))
    further = {path: tuple(others.names((path,))) for path in root.further}
    inventory = Inventory(
        layouts=tuple(parts.by_layout),
        unmeasured=parts.unmeasured,
        nested=nested_roots(root),
        drivers=tuple(by_driver),
        layers=tuple(layers),
        images=_all_loaded(parts, kinds, current),
        containers=(*containers, *parts.foreign),
        volumes=volumes,
        build_cache=parts.build_cache(current) or buildkit.build_cache(builds, (), root.is_directory(HOME)),
        stores=images.attempt((), partial(_count_entries, reading, parts), {}),
        missing={driver: _missing(images, parts.by_driver[driver], mine) for driver, mine in by_driver.items()},
        directories=directories,
        further=further,
        plugins=others.attempt(("plugins",), partial(read_plugins, others), ()),
        elsewhere=frozenset(files_elsewhere(root, stores[name]) for name in {one.driver for one in layers}) - {""},
        remarks=others.attempt((), partial(remarks, root, parts.leftovers, readers.values()), ()),
        engine=engine_version(directories, parts.by_layout, versions),
        content=_content(images, parts, so_far, grace),
        temporary=others.attempt(("tmp",), partial(read_temporary, others, grace.clock.now()), ()),
    )
    inventory = replace(inventory, knowledge=knowledge(problems.unread))
    measured = (one for one in Collector if one is not Collector.DIRECTORIES)
    return inventory, {one: readers[one].looked_at for one in measured}
