"""Turns the figures of a `Snapshot` into metric families. Every series of an object is made here."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from prometheus_client.metrics_core import Metric as Family

from exporter.config.limits import EVERYTHING, Limited, Shown
from exporter.core.knowledge import Input
from exporter.core.measured import Usage
from exporter.core.model import (
    BuildRecord,
    Collector,
    Container,
    ContainerState,
    Image,
    Layer,
    Snapshot,
    Volume,
)
from exporter.core.text import short_ids
from exporter.expose.metrics import catalogue as c
from exporter.expose.metrics.family import Column, ObjectFamilies, family, single
from exporter.expose.metrics.places import place_families
from exporter.figures.figures import Figures
from exporter.figures.image_sizes import ImageFigures
from exporter.figures.needs import Figure
from exporter.figures.sizes import place_of


def families(figures: Figures, shown: Shown = EVERYTHING) -> Iterator[Family]:
    """Make the families of a snapshot's objects; none before it is measured."""
    snapshot = figures.snapshot
    if not snapshot.measured:
        return
    limited = Limited(shown)
    parts: tuple[tuple[Collector, Iterable[Family]], ...] = (
        (Collector.DIRECTORIES, _directories(figures, limited)),
        (Collector.IMAGES, _layers(figures, limited)),
        (Collector.IMAGES, _images(figures, limited)),
        (Collector.CONTAINERS, _containers(figures, limited)),
        (Collector.VOLUMES, _volumes(figures, limited)),
        (Collector.BUILD_CACHE, _build_cache(figures, limited)),
        (Collector.IMAGES, _content(figures)),
        (Collector.DIRECTORIES, _reclaimable(figures)),
        (Collector.DIRECTORIES, place_families(figures)),
    )
    for collector, made in parts:
        yield from figures.barrier.until_failure(collector, f"metrics of {collector}", made)
    yield family(c.SERIES_DROPPED, (((name,), count) for name, count in limited.dropped.items()))


def _short(figures: Figures) -> Callable[[str], str]:
    """How the ids of images and containers are shortened: one that a container refers to as the image itself."""
    inventory = figures.snapshot.inventory
    ids = {one.id for one in inventory.images} | {one.id for one in inventory.containers}
    return short_ids(ids | {one.image_id for one in inventory.containers if one.image_id}).__getitem__


def _directories(figures: Figures, limited: Limited) -> Iterator[Family]:
    snapshot = figures.snapshot
    usages = {name: usage for name, usage in figures.directories.items() if usage is not None}

    def key(directory: str) -> tuple[str, str]:
        """The root, which is named only where there are several, and the name in it."""
        root, name = place_of(snapshot, directory)
        return root or (snapshot.root if snapshot.further else ""), name

    columns: list[Column[str]] = [
        Column(c.DIRECTORY_SIZE, lambda name: [(key(name), usages[name].size)]),
        Column(c.DIRECTORY_ALLOCATED, lambda name: [(key(name), usages[name].allocated)]),
        Column(c.DIRECTORY_INODES, lambda name: [(key(name), usages[name].inodes)]),
    ]
    table = ObjectFamilies(Collector.DIRECTORIES, columns, figures.barrier)
    yield from table.families(limited, "directories", list(usages), lambda name: usages[name].allocated)


def _layers(figures: Figures, limited: Limited) -> Iterator[Family]:
    inventory, sums = figures.snapshot.inventory, figures.layers
    usages = {key: total.usage for key, total in sums.items() if total.usage is not None}
    yield family(c.STORE_ENTRIES, inventory.stores.items())
    yield family(c.LAYERS, ((key, total.count) for key, total in sums.items()))
    yield family(c.LAYERS_SIZE, ((key, total.size) for key, total in sums.items()))
    yield family(c.LAYERS_ALLOCATED, ((key, usage.allocated) for key, usage in usages.items()))
    yield family(c.LAYERS_INODES, ((key, usage.inodes) for key, usage in usages.items()))
    yield family(c.MISSING_LAYERS, (((driver,), len(lost)) for driver, lost in figures.missing.items()))
    if limited.shown.each_layer:
        yield from _each_layer(figures, limited)


def _each_layer(figures: Figures, limited: Limited) -> Iterator[Family]:
    sizes, layers = figures.layer_sizes, figures.snapshot.inventory.layers
    short = short_ids({one.id for one in layers} | {one.parent for one in layers if one.parent})

    def key(one: Layer) -> tuple[str, str, str]:
        return one.driver, one.namespace, short[one.id]

    def facts(one: Layer) -> tuple[str, ...]:
        return short[one.parent] if one.parent else "", one.use, one.chain

    columns: list[Column[Layer]] = [
        Column(c.LAYER_SIZE, lambda one: [(key(one), sizes.get(one.key))]),
        Column(c.LAYER_INFO, lambda one: [((*key(one), *facts(one)), 1)]),
    ]
    table = ObjectFamilies(Collector.IMAGES, columns, figures.barrier)
    yield from table.families(limited, "layers", layers, lambda one: sizes.get(one.key, 0))


def _images(figures: Figures, limited: Limited) -> Iterator[Family]:
    inventory, images, short = figures.snapshot.inventory, figures.images, _short(figures)
    yield family(c.IMAGES, figures.image_states.items())

    def key(one: Image) -> tuple[str, str, str]:
        return one.driver, one.namespace, short(one.id)

    def figure(one: Image) -> ImageFigures:
        return images[one.key]

    columns: list[Column[Image]] = [
        Column(c.IMAGE_VIRTUAL_SIZE, lambda one: [(key(one), figure(one).virtual)]),
        Column(c.IMAGE_CONTENT_SIZE, lambda one: [(key(one), figure(one).content)]),
        Column(c.IMAGE_UNPACKED_SIZE, lambda one: [(key(one), figure(one).unpacked)]),
        Column(c.IMAGE_UNIQUE_SIZE, lambda one: [(key(one), figure(one).unique)]),
        Column(c.IMAGE_PROPORTIONAL_SIZE, lambda one: [(key(one), figure(one).proportional)]),
        Column(c.IMAGE_LAYERS, lambda one: [(key(one), None if one.broken or one.cut else len(one.layers))]),
        Column(c.IMAGE_CONTAINERS, lambda one: [(key(one), figure(one).containers)]),
        Column(c.IMAGE_CREATED, lambda one: [(key(one), one.created)]),
        Column(c.IMAGE_INFO, lambda one: [((*key(one), *_image_facts(figures, one)), 1)]),
        Column(c.IMAGE_TAG_INFO, lambda one: [((*key(one), *reference), 1) for reference in one.references], many=True),
    ]
    shown = [one for one in inventory.images if one.listed or limited.shown.intermediate]
    table = ObjectFamilies(Collector.IMAGES, columns, figures.barrier)
    yield from table.families(limited, "images", shown, lambda one: figure(one).virtual or 0)


def _image_facts(figures: Figures, image: Image) -> tuple[str, ...]:
    name = image_name(image) if image.named or figures.is_known(Figure.IMAGE_NAMES, image.driver) else ""
    platforms = ",".join(image.platforms)
    return (name, image.digest or image.id, image.os, image.architecture, image.docker_version, platforms)


def image_name(image: Image) -> str:
    """The first reference of an image in sorted order, a tag before a digest; `<none>` when it has none."""
    names = [f"{repository}:{tag}" for repository, tag in image.references] or list(image.digests)
    return names[0] if names else "<none>"


def _containers(figures: Figures, limited: Limited) -> Iterator[Family]:
    snapshot, containers = figures.snapshot, figures.containers
    inventory = snapshot.inventory
    states = Counter((one.driver, one.namespace, one.state) for one in inventory.containers)
    spaces = dict.fromkeys((*figures.spaces, *((one.driver, one.namespace) for one in inventory.containers)))
    known = set(ContainerState) if figures.is_known(Figure.CONTAINER_STATES) else set()
    if inventory.knowledge.whole((Input.CONTAINERS,)):
        known.add(ContainerState.UNKNOWN)
    yield family(
        c.CONTAINERS,
        (((*space, state), states[*space, state]) for space in spaces for state in ContainerState if state in known),
    )

    def size(one: Container) -> int:
        return (containers[one.key].writable_size or 0) + snapshot.logs.get(one.id, 0)

    table = ObjectFamilies(Collector.CONTAINERS, _container_columns(figures, _short(figures)), figures.barrier)
    yield from table.families(limited, "containers", inventory.containers, size)


def _container_columns(figures: Figures, short: Callable[[str], str]) -> list[Column[Container]]:
    snapshot, containers = figures.snapshot, figures.containers

    def key(one: Container) -> tuple[str, str, str]:
        return one.driver, one.namespace, short(one.id)

    def writable(one: Container) -> Usage | None:
        return containers[one.key].writable

    return [
        Column(c.CONTAINER_WRITABLE_SIZE, lambda one: [(key(one), containers[one.key].writable_size)]),
        Column(c.CONTAINER_WRITABLE_ALLOCATED, lambda one: [(key(one), _part(writable(one), "allocated"))]),
        Column(c.CONTAINER_WRITABLE_INODES, lambda one: [(key(one), _part(writable(one), "inodes"))]),
        Column(c.CONTAINER_WRITABLE_LIMIT, lambda one: [(key(one), one.writable_limit)]),
        Column(c.CONTAINER_VIRTUAL_SIZE, lambda one: [(key(one), containers[one.key].virtual)]),
        Column(c.CONTAINER_LOG_SIZE, lambda one: [(key(one), snapshot.logs.get(one.id))]),
        Column(c.CONTAINER_LOG_LIMIT, lambda one: [(key(one), one.log.limit)]),
        Column(c.CONTAINER_LOG_BOUNDED, lambda one: [(key(one), one.log.bounded)]),
        Column(c.CONTAINER_CHECKPOINTS, lambda one: [(key(one), _checkpoints(snapshot, one))]),
        Column(c.CONTAINER_RUNNING, lambda one: [(key(one), one.runs)]),
        Column(c.CONTAINER_CREATED, lambda one: [(key(one), one.created)]),
        Column(c.CONTAINER_FINISHED, lambda one: [(key(one), one.finished)]),
        Column(c.CONTAINER_INFO, lambda one: [((*key(one), *_container_facts(one, short)), 1)]),
        Column(
            c.CONTAINER_MOUNT_INFO,
            lambda one: [
                ((*key(one), mount.kind, mount.source, mount.destination, mount.mode), 1) for mount in one.mounts
            ],
            many=True,
        ),
    ]


def _checkpoints(snapshot: Snapshot, container: Container) -> int | None:
    """What the checkpoints hold; None for a container without any."""
    measured = snapshot.whole(container.checkpoints)
    return measured.usage.size or None if measured is not None else None


def _container_facts(container: Container, short: Callable[[str], str]) -> tuple[str, ...]:
    return (
        container.name,
        short(container.image_id) if container.image_id else "",
        container.image,
        container.log.driver,
        container.compose_project,
        container.compose_service,
        container.stack,
        container.swarm_service,
        container.pod,
        container.pod_namespace,
        container.pod_container,
    )


def _volumes(figures: Figures, limited: Limited) -> Iterator[Family]:
    inventory, users, sizes = figures.snapshot.inventory, figures.volume_containers, figures.volumes
    states = Counter((_used(users[one.name]), _yes(one.anonymous)) for one in inventory.volumes)
    whole = inventory.knowledge.whole((Input.VOLUMES,))
    known = figures.is_known(Figure.VOLUME_STATES)
    yield family(
        c.VOLUMES,
        (
            ((state, anonymous), states[state, anonymous])
            for state in ("used", "unused")
            for anonymous in ("true", "false")
            if known
        ),
    )
    columns: list[Column[Volume]] = [
        Column(c.VOLUME_SIZE, lambda one: [((one.name,), _part(sizes[one.name], "size"))]),
        Column(c.VOLUME_ALLOCATED, lambda one: [((one.name,), _part(sizes[one.name], "allocated"))]),
        Column(c.VOLUME_INODES, lambda one: [((one.name,), _part(sizes[one.name], "inodes"))]),
        Column(c.VOLUME_CONTAINERS, lambda one: [((one.name,), users[one.name])]),
        Column(c.VOLUME_INFO, lambda one: [(_volume_facts(one, whole=whole), 1)]),
    ]
    table = ObjectFamilies(Collector.VOLUMES, columns, figures.barrier)
    yield from table.families(limited, "volumes", inventory.volumes, lambda one: _part(sizes[one.name], "size") or 0)


def _part(usage: Usage | None, what: Literal["size", "allocated", "inodes"]) -> int | None:
    """One number of a usage; None where that is not known."""
    return None if usage is None else getattr(usage, what)


def _build_cache(figures: Figures, limited: Limited) -> Iterator[Family]:
    cache, known = figures.snapshot.inventory.build_cache, figures.build_cache
    yield single(c.BUILD_CACHE_RECORDS, len(cache.records) if figures.is_known(Figure.BUILD_CACHE) else None)
    yield single(c.BUILD_CACHE_SIZE, known.size)
    yield family(c.BUILD_CACHE_ALLOCATED, (((name,), bytes_) for name, bytes_ in known.allocated.items()))
    shares = figures.is_known(Figure.BUILD_SHARES)
    sizes, short = known.records, short_ids(one.id for one in cache.records)

    def key(one: BuildRecord) -> tuple[str, str]:
        return one.namespace, short[one.id]

    columns: list[Column[BuildRecord]] = [
        Column(c.BUILD_RECORD_SIZE, lambda one: [(key(one), sizes.get(one.id))]),
        Column(c.BUILD_RECORD_CREATED, lambda one: [(key(one), one.created)]),
        Column(c.BUILD_RECORD_USED, lambda one: [(key(one), one.last_used)]),
        Column(c.BUILD_RECORD_USES, lambda one: [(key(one), one.usage_count)]),
        Column(c.BUILD_RECORD_INFO, lambda one: [((*key(one), one.kind, _yes(one.shared) if shares else ""), 1)]),
    ]
    table = ObjectFamilies(Collector.BUILD_CACHE, columns, figures.barrier)
    yield from table.families(limited, "build_cache", cache.records, lambda one: sizes.get(one.id) or 0)


def _content(figures: Figures) -> Iterator[Family]:
    blobs = figures.blobs
    yield family(c.CONTENT_BLOBS, (((use,), found.count) for use, found in blobs.items()))
    yield family(c.CONTENT_ALLOCATED, (((use,), found.allocated) for use, found in blobs.items()))
    yield single(c.BUILD_HISTORY_RECORDS, figures.history)


def _reclaimable(figures: Figures) -> Iterator[Family]:
    found = figures.reclaim
    yield family(c.RECLAIMABLE, (((category,), freed.allocated) for category, freed in found.freed.items()))
    yield family(c.RECLAIMABLE_OBJECTS, (((category,), freed.objects) for category, freed in found.freed.items()))
    yield single(c.UNATTRIBUTED, found.unattributed)


def _volume_facts(volume: Volume, *, whole: bool) -> tuple[str, ...]:
    """The facts of a volume. Where the database was not read `whole`, what is not there by default is not known."""
    anonymous = _yes(volume.anonymous) if whole or volume.anonymous else ""
    driver = volume.driver if whole or volume.driver != "local" else ""
    return (volume.name, anonymous, driver, volume.compose_project)


def _used(containers: int | None) -> str:
    return "used" if containers else "unused"


def _yes(value: bool) -> str:
    return "true" if value else "false"
