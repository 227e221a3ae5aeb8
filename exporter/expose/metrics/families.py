"""Turns the figures of a `Snapshot` into metric families. Every series of an object is made here.

What there is one of for each object is a `ObjectTable`; its rows have all that the series are made of.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Literal, NamedTuple

from exporter.config.limits import EVERYTHING, Limited, Shown
from exporter.core.knowledge import Input
from exporter.core.measured import Usage
from exporter.core.model import BuildRecord, Collector, Container, ContainerState, Image, Layer, Volume
from exporter.core.text import short_ids
from exporter.expose.metrics import catalogue as c
from exporter.expose.metrics.family import MetricFamily, family, single
from exporter.expose.metrics.places import places_of_directories, places_of_volumes, sums_of_filesystems
from exporter.expose.metrics.table import Column, ObjectTable
from exporter.figures.build_cache import BuildCacheSizes
from exporter.figures.container_sizes import ContainerFigures, ContainerSizes
from exporter.figures.directory_sums import place_of
from exporter.figures.figures import Figures
from exporter.figures.image_sizes import ImageFigures, ImageSizes
from exporter.figures.layer_sizes import LayerSizes
from exporter.figures.needs import Figure
from exporter.figures.volume_figures import VolumeFigures

_ID = attrgetter("id")
_NAMELESS = "<none>"
#: A family, or a table of them.
Part = MetricFamily | ObjectTable  # type: ignore[type-arg] # a table of any rows


class FamilyGroup(NamedTuple):
    """Families that are made together, of one collector.

    `has_switch`: it is left out where its collector is. `of_trees`: to make it is to add up trees, else to go through
    objects.
    """

    collector: Collector
    made: Iterable[Part]
    has_switch: bool = True
    of_trees: bool = False


def groups(figures: Figures, shown: Shown = EVERYTHING) -> list[FamilyGroup]:
    """All groups of families of a snapshot's objects; none before it is measured."""
    if not figures.snapshot.measured:
        return []
    found = (
        FamilyGroup(Collector.DIRECTORIES, _directories(figures), of_trees=True),
        FamilyGroup(Collector.IMAGES, _layers(figures, shown)),
        FamilyGroup(Collector.IMAGES, _images(figures, shown)),
        FamilyGroup(Collector.CONTAINERS, _containers(figures, shown)),
        FamilyGroup(Collector.VOLUMES, _volumes(figures, shown)),
        FamilyGroup(Collector.VOLUMES, _binds(figures)),
        FamilyGroup(Collector.BUILD_CACHE, _build_cache(figures)),
        FamilyGroup(Collector.IMAGES, _content(figures)),
        # Sums of all collectors: no switch takes them away.
        FamilyGroup(Collector.DIRECTORIES, _reclaimable(figures), has_switch=False, of_trees=True),
        FamilyGroup(Collector.DIRECTORIES, sums_of_filesystems(figures), has_switch=False, of_trees=True),
        FamilyGroup(Collector.DIRECTORIES, places_of_directories(figures), of_trees=True),
        FamilyGroup(Collector.VOLUMES, places_of_volumes(figures, shown)),
    )
    return [one for one in found if not (one.has_switch and one.collector in shown.off)]


def parts(figures: Figures, shown: Shown = EVERYTHING) -> Iterator[Part]:
    """Make the families of a snapshot's objects, and tables of these; none before it is measured."""
    for group in groups(figures, shown):
        yield from parts_of(group, figures)


def parts_of(group: FamilyGroup, figures: Figures) -> Iterator[Part]:
    """Make the families of one group, as far as that works."""
    yield from figures.barrier.until_failure(group.collector, f"metrics of {group.collector}", group.made)


def families(figures: Figures, shown: Shown = EVERYTHING) -> Iterator[MetricFamily]:
    """Make all families of a snapshot's objects; none before it is measured."""
    limited = Limited(shown)
    for part in parts(figures, shown):
        if isinstance(part, ObjectTable):
            made = part.families(limited)
            yield from figures.barrier.until_failure(part.collector, f"metrics of {part.collector}", made)
        else:
            yield part
    if figures.snapshot.measured:
        yield dropped(limited)


def dropped(limited: Limited) -> MetricFamily:
    """How many objects the limits on series leave out."""
    return family(c.SERIES_DROPPED, (((name,), count) for name, count in limited.dropped.items()))


class _DirectoryRow(NamedTuple):
    root: str
    name: str
    usage: Usage


def _directories(figures: Figures) -> Iterator[Part]:
    snapshot = figures.snapshot

    def row(entry: tuple[str, Usage]) -> _DirectoryRow:
        """The root is named only where there are several."""
        directory, usage = entry
        root, name = place_of(snapshot, directory)
        return _DirectoryRow(root or (snapshot.root if snapshot.further else ""), name, usage)

    yield ObjectTable(
        Collector.DIRECTORIES,
        "directories",
        (
            Column(c.DIRECTORY_SIZE, lambda row: row.usage.size),
            Column(c.DIRECTORY_ALLOCATED, lambda row: row.usage.allocated),
            Column(c.DIRECTORY_INODES, lambda row: row.usage.inodes),
        ),
        [(name, usage) for name, usage in figures.directories.items() if usage is not None],
        row,
        name=lambda row: row.name,
        key=lambda row: (row.root, row.name),
        size=lambda row: row.usage.allocated,
        barrier=figures.barrier,
    )


def _layers(figures: Figures, shown: Shown) -> Iterator[Part]:
    inventory, sums = figures.snapshot.inventory, figures.layers
    usages = {key: total.usage for key, total in sums.items() if total.usage is not None}
    yield family(c.STORE_ENTRIES, inventory.stores.items())
    yield family(c.LAYERS, ((key, total.count) for key, total in sums.items()))
    yield family(c.LAYERS_SIZE, ((key, total.size) for key, total in sums.items()))
    yield family(c.LAYERS_ALLOCATED, ((key, usage.allocated) for key, usage in usages.items()))
    yield family(c.LAYERS_INODES, ((key, usage.inodes) for key, usage in usages.items()))
    yield family(c.MISSING_LAYERS, (((driver,), len(lost)) for driver, lost in figures.missing.items()))
    if shown.each_layer:
        yield _each_layer(figures)


class _LayerRow(NamedTuple):
    one: Layer
    short: str
    parent: str
    size: int | None


def _each_layer(figures: Figures) -> Part:
    sizes, layers = figures.layer_sizes, figures.snapshot.inventory.layers
    short = short_ids({*map(_ID, layers), *filter(None, map(attrgetter("parent"), layers))})
    return ObjectTable(
        Collector.IMAGES,
        "layers",
        (
            Column(c.LAYER_SIZE, lambda row: row.size),
            Column(c.LAYER_INFO, facts=lambda row: (row.parent, row.one.use, row.one.chain)),
        ),
        layers,
        lambda one: _LayerRow(one, short[one.id], short[one.parent] if one.parent else "", sizes.get(one.key)),
        name=lambda row: row.one.id,
        key=lambda row: (row.one.driver, row.one.namespace, row.short),
        size=lambda row: row.size or 0,
        barrier=figures.barrier,
        changed=figures.changed(LayerSizes),
        common=short,
    )


class _ImageRow(NamedTuple):
    one: Image
    short: str
    figures: ImageFigures
    #: Whether it is known that an image without a name has none.
    known: bool


def _images(figures: Figures, shown: Shown) -> Iterator[Part]:
    short = figures.short_names
    found, images = figures.snapshot.inventory.images, figures.images
    yield family(c.IMAGES, figures.image_states.items())
    listed: Sequence[Image] = found if shown.intermediate else [one for one in found if one.listed]
    wanted = shown.named(Collector.IMAGES, listed, _names_of_image)
    yield ObjectTable(
        Collector.IMAGES,
        "images",
        (
            Column(c.IMAGE_VIRTUAL_SIZE, lambda row: row.figures.virtual),
            Column(c.IMAGE_CONTENT_SIZE, lambda row: row.figures.content),
            Column(c.IMAGE_UNPACKED_SIZE, lambda row: row.figures.unpacked),
            Column(c.IMAGE_UNIQUE_SIZE, lambda row: row.figures.unique),
            Column(c.IMAGE_PROPORTIONAL_SIZE, lambda row: row.figures.proportional),
            Column(c.IMAGE_LAYERS, lambda row: None if row.one.broken or row.one.cut else len(row.one.layers)),
            Column(c.IMAGE_CONTAINERS, lambda row: row.figures.containers),
            Column(c.IMAGE_CREATED, lambda row: row.one.created),
            Column(c.IMAGE_INFO, facts=_image_facts),
            Column(c.IMAGE_TAG_INFO, each=lambda row: row.one.references),
        ),
        wanted,
        lambda one: _ImageRow(one, short[one.id], images[one.key], figures.is_known(Figure.IMAGE_NAMES, one.driver)),
        name=lambda row: row.one.id,
        key=lambda row: (row.one.driver, row.one.namespace, row.short),
        size=lambda row: row.figures.virtual or 0,
        barrier=figures.barrier,
        changed=figures.changed(ImageSizes) if figures.images_known else None,
        common=(short, figures.images_known, figures.snapshot.inventory.knowledge),
    )


def _image_facts(row: _ImageRow) -> tuple[str, ...]:
    image = row.one
    name = image_name(image) if image.named or row.known else ""
    platforms = ",".join(image.platforms)
    return (name, image.digest or image.id, image.os, image.architecture, image.docker_version, platforms)


def _names_of_image(image: Image) -> list[str]:
    names = [f"{repository}:{tag}" for repository, tag in image.references]
    return [*names, *image.digests] or [_NAMELESS]


def image_name(image: Image) -> str:
    """The first reference of an image in sorted order, a tag before a digest; `<none>` when it has none."""
    return _names_of_image(image)[0]


class _ContainerRow(NamedTuple):
    one: Container
    short: str
    image: str
    figures: ContainerFigures
    log: int | None
    #: What its checkpoints hold; None for a container without any.
    checkpoints: int | None


def _containers(figures: Figures, shown: Shown) -> Iterator[Part]:
    short = figures.short_names
    snapshot, containers = figures.snapshot, figures.containers
    inventory = snapshot.inventory
    known = set(ContainerState) if figures.is_known(Figure.CONTAINER_STATES) else set()
    if inventory.knowledge.whole((Input.CONTAINERS,)):
        known.add(ContainerState.UNKNOWN)
    yield family(c.CONTAINERS, ((key, count) for key, count in figures.container_states.items() if key[-1] in known))

    def row(one: Container) -> _ContainerRow:
        checkpoints = snapshot.whole(one.checkpoints)
        return _ContainerRow(
            one,
            short[one.id],
            short[one.image_id] if one.image_id else "",
            containers[one.key],
            snapshot.logs.get(one.id),
            checkpoints.usage.size or None if checkpoints is not None else None,
        )

    yield ObjectTable(
        Collector.CONTAINERS,
        "containers",
        _container_columns(),
        shown.named(Collector.CONTAINERS, inventory.containers, lambda one: (one.name, one.pod)),
        row,
        name=lambda row: row.one.id,
        key=lambda row: (row.one.driver, row.one.namespace, row.short),
        size=lambda row: (row.figures.writable_size or 0) + (row.log or 0),
        barrier=figures.barrier,
        changed=figures.changed(ContainerSizes),
        common=short,
    )


def _container_facts(row: _ContainerRow) -> tuple[str, ...]:
    one = row.one
    return (
        one.name,
        row.image,
        one.image,
        one.log.driver,
        one.compose_project,
        one.compose_service,
        one.stack,
        one.swarm_service,
        one.pod,
        one.pod_namespace,
        one.pod_container,
    )


def _container_columns() -> tuple[Column[_ContainerRow], ...]:
    return (
        Column(c.CONTAINER_WRITABLE_SIZE, lambda row: row.figures.writable_size),
        Column(c.CONTAINER_WRITABLE_ALLOCATED, lambda row: _part(row.figures.writable, "allocated")),
        Column(c.CONTAINER_WRITABLE_INODES, lambda row: _part(row.figures.writable, "inodes")),
        Column(c.CONTAINER_WRITABLE_LIMIT, lambda row: row.one.writable_limit),
        Column(c.CONTAINER_VIRTUAL_SIZE, lambda row: row.figures.virtual),
        Column(c.CONTAINER_LOG_SIZE, lambda row: row.log),
        Column(c.CONTAINER_LOG_LIMIT, lambda row: row.one.log.limit),
        Column(c.CONTAINER_LOG_BOUNDED, lambda row: row.one.log.bounded),
        Column(c.CONTAINER_CHECKPOINTS, lambda row: row.checkpoints),
        Column(c.CONTAINER_RUNNING, lambda row: row.one.runs),
        Column(c.CONTAINER_CREATED, lambda row: row.one.created),
        Column(c.CONTAINER_FINISHED, lambda row: row.one.finished),
        Column(c.CONTAINER_INFO, facts=_container_facts),
        Column(
            c.CONTAINER_MOUNT_INFO,
            each=lambda row: ((one.kind, one.source, one.destination, one.mode) for one in row.one.mounts),
        ),
    )


class _VolumeRow(NamedTuple):
    one: Volume
    usage: Usage | None
    users: int | None
    #: Whether the database of volumes was read whole.
    whole: bool


def _volumes(figures: Figures, shown: Shown) -> Iterator[Part]:
    inventory, users, sizes = figures.snapshot.inventory, figures.volume_containers, figures.volumes
    states = figures.volume_states
    whole = inventory.knowledge.whole((Input.VOLUMES,))
    yield family(
        c.VOLUMES,
        (
            (("used" if used else "unused", _yes(anonymous)), states[used, anonymous])
            for used in (True, False)
            for anonymous in (True, False)
            if states is not None
        ),
    )
    yield ObjectTable(
        Collector.VOLUMES,
        "volumes",
        (
            Column(c.VOLUME_SIZE, lambda row: _part(row.usage, "size")),
            Column(c.VOLUME_ALLOCATED, lambda row: _part(row.usage, "allocated")),
            Column(c.VOLUME_INODES, lambda row: _part(row.usage, "inodes")),
            Column(c.VOLUME_CONTAINERS, lambda row: row.users),
            Column(c.VOLUME_INFO, facts=lambda row: _volume_facts(row.one, whole=row.whole)),
        ),
        shown.named(Collector.VOLUMES, inventory.volumes, lambda one: (one.name,)),
        lambda one: _VolumeRow(one, sizes[one.name], users(one.name), whole),
        name=lambda row: row.one.name,
        key=lambda row: (row.one.name,),
        size=lambda row: _part(row.usage, "size") or 0,
        barrier=figures.barrier,
        changed=figures.changed(VolumeFigures),
        common=(whole, figures.is_known(Figure.VOLUME_USERS)),
    )


def _binds(figures: Figures) -> Iterator[Part]:
    yield ObjectTable(
        Collector.VOLUMES,
        "binds",
        (
            Column(c.BIND_SIZE, lambda row: row[1].size),
            Column(c.BIND_ALLOCATED, lambda row: row[1].allocated),
        ),
        [*figures.snapshot.binds.items()],
        lambda one: one,
        name=lambda row: row[0],
        key=lambda row: row[:1],
        size=lambda row: row[1].allocated,
        barrier=figures.barrier,
    )


def _part(usage: Usage | None, what: Literal["size", "allocated", "inodes"]) -> int | None:
    """One number of a usage; None where that is not known."""
    return None if usage is None else getattr(usage, what)


class _RecordRow(NamedTuple):
    one: BuildRecord
    short: str
    size: int | None
    #: Whether it is known which records are shared.
    shares: bool


def _build_cache(figures: Figures) -> Iterator[Part]:
    cache, known = figures.snapshot.inventory.build_cache, figures.build_cache
    yield single(c.BUILD_CACHE_RECORDS, len(cache.records) if figures.is_known(Figure.BUILD_CACHE) else None)
    yield single(c.BUILD_CACHE_SIZE, known.size)
    yield family(c.BUILD_CACHE_ALLOCATED, (((name,), bytes_) for name, bytes_ in known.allocated.items()))
    shares = figures.is_known(Figure.BUILD_SHARES)
    sizes, short = known.records, figures.short_records
    yield ObjectTable(
        Collector.BUILD_CACHE,
        "build_cache",
        (
            Column(c.BUILD_RECORD_SIZE, lambda row: row.size),
            Column(c.BUILD_RECORD_CREATED, lambda row: row.one.created),
            Column(c.BUILD_RECORD_USED, lambda row: row.one.last_used),
            Column(c.BUILD_RECORD_USES, lambda row: row.one.usage_count),
            Column(c.BUILD_RECORD_INFO, facts=lambda row: (row.one.kind, _yes(row.one.shared) if row.shares else "")),
        ),
        cache.records,
        lambda one: _RecordRow(one, short[one.id], sizes.get(one.id), shares),
        name=lambda row: row.one.id,
        key=lambda row: (row.one.namespace, row.short),
        size=lambda row: row.size or 0,
        barrier=figures.barrier,
        changed=figures.changed(BuildCacheSizes),
        common=(short, shares, figures.is_known(Figure.BUILD_CACHE)),
    )


def _content(figures: Figures) -> Iterator[Part]:
    blobs = figures.blobs
    yield family(c.CONTENT_BLOBS, (((use,), found.count) for use, found in blobs.items()))
    yield family(c.CONTENT_ALLOCATED, (((use,), found.allocated) for use, found in blobs.items()))
    yield single(c.BUILD_HISTORY_RECORDS, figures.history)


def _reclaimable(figures: Figures) -> Iterator[Part]:
    if figures.are_first:
        return
    found = figures.reclaim
    yield family(c.RECLAIMABLE, (((category,), freed.allocated) for category, freed in found.freed.items()))
    yield family(c.RECLAIMABLE_OBJECTS, (((category,), freed.objects) for category, freed in found.freed.items()))
    yield single(c.UNATTRIBUTED, found.unattributed)


def _volume_facts(volume: Volume, *, whole: bool) -> tuple[str, ...]:
    """The facts of a volume. Where the database was not read `whole`, what is not there by default is not known."""
    anonymous = _yes(volume.anonymous) if whole or volume.anonymous else ""
    driver = volume.driver if whole or volume.driver != "local" else ""
    return (anonymous, driver, volume.compose_project)


def _yes(value: bool) -> str:
    return "true" if value else "false"
