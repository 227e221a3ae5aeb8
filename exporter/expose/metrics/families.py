"""The figures of a `Snapshot` to metric families: pure, and every series is made here."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric as Family

from exporter.config.limits import EVERYTHING, Limited, Shown
from exporter.core.measured import Usage
from exporter.core.model import Container, ContainerState, Image, ImageState, Snapshot, Volume
from exporter.core.text import label, short_ids
from exporter.expose.metrics import catalogue as c
from exporter.figures.figures import Figures
from exporter.figures.reclaim import Reclaim

Samples = dict[tuple[str, ...], float]


def family(metric: c.Metric, samples: Iterable[tuple[Sequence[str], float | None]]) -> Family:
    """Build one family; a sample without a value is absent. Label values are made presentable here.

    Should two series still have the same labels, the last stands: a scrape must never be invalid.
    """
    series: Samples = {tuple(map(label, values)): value for values, value in samples if value is not None}
    if metric.kind == "info":
        info = InfoMetricFamily(metric.name.removesuffix("_info"), metric.help, labels=metric.labels)
        for values in series:
            info.add_metric(values, {})
        return info
    built: GaugeMetricFamily | CounterMetricFamily
    if metric.kind == "counter":
        built = CounterMetricFamily(
            metric.name.removesuffix("_total"), metric.help, labels=metric.labels, unit=metric.unit
        )
    else:
        built = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
    for values, value in series.items():
        built.add_metric(values, value)
    return built


def single(metric: c.Metric, value: float | None) -> Family:
    """Build a family of one series without labels."""
    return family(metric, [((), value)])


def families(account: Figures, shown: Shown = EVERYTHING) -> Iterator[Family]:
    """Make the families of a snapshot's objects; none before it is measured."""
    snapshot = account.snapshot
    if not snapshot.measured:
        return
    limited = Limited(shown)
    yield from _directories(account, limited)
    yield from _layers(account)
    if shown.each_layer:
        yield from _each_layer(account, limited)
    inventory = snapshot.inventory
    ids = {one.id for one in inventory.images} | {one.id for one in inventory.containers}
    short = short_ids(ids | {one.image_id for one in inventory.containers if one.image_id})
    yield from _images(account, short.__getitem__, limited)
    yield from _containers(account, short.__getitem__, limited)
    yield from _volumes(account, limited)
    yield from _build_cache(account, limited)
    yield from _reclaimable(account.reclaim)
    yield family(c.SERIES_DROPPED, (((name,), count) for name, count in limited.dropped.items()))


def _directories(account: Figures, limited: Limited) -> Iterator[Family]:
    everything = account.directories
    kept = limited.keep("directories", list(everything), lambda name: everything[name].allocated, lambda _: 3)
    usages = {name: everything[name] for name in kept}
    yield family(c.DIRECTORY_SIZE, (((name,), usage.size) for name, usage in usages.items()))
    yield family(c.DIRECTORY_ALLOCATED, (((name,), usage.allocated) for name, usage in usages.items()))
    yield family(c.DIRECTORY_INODES, (((name,), usage.inodes) for name, usage in usages.items()))


def _layers(account: Figures) -> Iterator[Family]:
    inventory, sums = account.snapshot.inventory, account.layers
    walked = {layer.driver for layer in inventory.layers if layer.trees}
    empty = {driver for driver in inventory.drivers if not any(one.driver == driver for one in inventory.layers)}
    usages = {key: total.usage for key, total in sums.items() if key[0] in walked | empty}
    yield family(c.STORE_ENTRIES, inventory.stores.items())
    yield family(c.LAYERS, ((key, total.count) for key, total in sums.items()))
    yield family(c.LAYERS_SIZE, ((key, total.size) for key, total in sums.items()))
    yield family(c.LAYERS_ALLOCATED, ((key, usage.allocated) for key, usage in usages.items()))
    yield family(c.LAYERS_INODES, ((key, usage.inodes) for key, usage in usages.items()))
    yield family(c.MISSING_LAYERS, (((driver,), len(lost)) for driver, lost in inventory.missing.items()))


def _each_layer(account: Figures, limited: Limited) -> Iterator[Family]:
    sizes, everything = account.layer_sizes, account.snapshot.inventory.layers
    layers = limited.keep("layers", everything, lambda one: sizes.get((one.driver, one.id), 0), lambda _: 2)
    short = short_ids({one.id for one in everything} | {one.parent for one in layers if one.parent})
    rows = [((one.driver, short[one.id]), one) for one in layers]
    yield family(c.LAYER_SIZE, ((key, sizes.get((one.driver, one.id))) for key, one in rows))
    yield family(
        c.LAYER_INFO,
        (((*key, short[one.parent] if one.parent else "", one.use, one.chain), 1) for key, one in rows),
    )


def _images(account: Figures, short: Callable[[str], str], limited: Limited) -> Iterator[Family]:
    inventory, images = account.snapshot.inventory, account.images
    states = Counter((driver, figure.state) for (driver, _), figure in images.items())
    yield family(
        c.IMAGES,
        (((driver, state), states[driver, state]) for driver in inventory.drivers for state in ImageState),
    )
    shown = limited.keep(
        "images",
        [image for image in inventory.images if image.listed or limited.shown.intermediate],
        lambda one: images[one.driver, one.id].virtual or 0,
        lambda one: 7 + len(one.references),
    )
    rows = [((one.driver, short(one.id)), one, images[one.driver, one.id]) for one in shown]
    yield family(c.IMAGE_VIRTUAL_SIZE, ((key, figure.virtual) for key, _, figure in rows))
    yield family(c.IMAGE_UNIQUE_SIZE, ((key, figure.unique) for key, _, figure in rows))
    yield family(c.IMAGE_PROPORTIONAL_SIZE, ((key, figure.proportional) for key, _, figure in rows))
    yield family(c.IMAGE_LAYERS, ((key, len(image.layers)) for key, image, _ in rows))
    yield family(c.IMAGE_CONTAINERS, ((key, figure.containers) for key, _, figure in rows))
    yield family(c.IMAGE_CREATED, ((key, image.created) for key, image, _ in rows))
    yield family(c.IMAGE_INFO, (((*key, *_image_facts(image)), 1) for key, image, _ in rows))
    yield family(
        c.IMAGE_TAG_INFO,
        (((*key, *reference), 1) for key, image, _ in rows for reference in image.references),
    )


def _image_facts(image: Image) -> tuple[str, ...]:
    return (image_name(image), image.digest or image.id, image.os, image.architecture, image.docker_version)


def image_name(image: Image) -> str:
    """The first reference of an image in sorted order, a tag before a digest; `<none>` when it has none."""
    names = [f"{repository}:{tag}" for repository, tag in image.references] or list(image.digests)
    return names[0] if names else "<none>"


def _containers(account: Figures, short: Callable[[str], str], limited: Limited) -> Iterator[Family]:
    snapshot, containers = account.snapshot, account.containers
    inventory = snapshot.inventory
    states = Counter((one.driver, one.state) for one in inventory.containers)
    drivers = dict.fromkeys((*inventory.drivers, *(one.driver for one in inventory.containers)))
    yield family(
        c.CONTAINERS,
        (((driver, state), states[driver, state]) for driver in drivers for state in ContainerState),
    )
    kept = limited.keep(
        "containers",
        inventory.containers,
        lambda one: (containers[one.id].writable_size or 0) + snapshot.logs.get(one.id, 0),
        lambda one: 13 + len(one.mounts),
    )
    rows = [((one.driver, short(one.id)), one, containers[one.id]) for one in kept]
    yield family(c.CONTAINER_WRITABLE_SIZE, ((key, figure.writable_size) for key, _, figure in rows))
    usages = [(key, figure.writable) for key, _, figure in rows if figure.writable is not None]
    yield family(c.CONTAINER_WRITABLE_ALLOCATED, ((key, usage.allocated) for key, usage in usages))
    yield family(c.CONTAINER_WRITABLE_INODES, ((key, usage.inodes) for key, usage in usages))
    yield family(c.CONTAINER_VIRTUAL_SIZE, ((key, figure.virtual) for key, _, figure in rows))
    yield family(c.CONTAINER_LOG_SIZE, ((key, snapshot.logs.get(one.id)) for key, one, _ in rows))
    yield family(c.CONTAINER_LOG_LIMIT, ((key, one.log.limit) for key, one, _ in rows))
    yield family(c.CONTAINER_LOG_BOUNDED, ((key, one.log.bounded) for key, one, _ in rows))
    yield family(c.CONTAINER_CHECKPOINTS, ((key, _checkpoints(snapshot, one)) for key, one, _ in rows))
    yield family(c.CONTAINER_RUNNING, ((key, one.runs) for key, one, _ in rows))
    yield family(c.CONTAINER_CREATED, ((key, one.created) for key, one, _ in rows))
    yield family(c.CONTAINER_FINISHED, ((key, one.finished) for key, one, _ in rows))
    yield family(c.CONTAINER_INFO, (((*key, *_container_facts(one, short)), 1) for key, one, _ in rows))
    yield family(
        c.CONTAINER_MOUNT_INFO,
        (
            ((*key, mount.kind, mount.source, mount.destination, mount.mode), 1)
            for key, one, _ in rows
            for mount in one.mounts
        ),
    )


def _checkpoints(snapshot: Snapshot, container: Container) -> int | None:
    """What the checkpoints hold; None for a container without any."""
    measured = snapshot.measured.get(container.checkpoints) if container.checkpoints else None
    return measured.usage.size or None if measured is not None else None


def _container_facts(container: Container, short: Callable[[str], str]) -> tuple[str, ...]:
    return (
        container.name,
        short(container.image_id) if container.image_id else "",
        container.image,
        container.log.driver,
        container.compose_project,
        container.compose_service,
    )


def _volumes(account: Figures, limited: Limited) -> Iterator[Family]:
    inventory, users, sizes = account.snapshot.inventory, account.volume_containers, account.volumes
    states = Counter((_used(users[one.name]), _yes(one.anonymous)) for one in inventory.volumes)
    yield family(
        c.VOLUMES,
        (
            ((state, anonymous), states[state, anonymous])
            for state in ("used", "unused")
            for anonymous in ("true", "false")
        ),
    )
    volumes = limited.keep("volumes", inventory.volumes, lambda one: _size(sizes[one.name]), lambda _: 5)
    usages = [((one.name,), usage) for one in volumes if (usage := sizes[one.name]) is not None]
    yield family(c.VOLUME_SIZE, ((key, usage.size) for key, usage in usages))
    yield family(c.VOLUME_ALLOCATED, ((key, usage.allocated) for key, usage in usages))
    yield family(c.VOLUME_INODES, ((key, usage.inodes) for key, usage in usages))
    yield family(c.VOLUME_CONTAINERS, (((one.name,), users[one.name]) for one in volumes))
    yield family(c.VOLUME_INFO, ((_volume_facts(one), 1) for one in volumes))


def _size(usage: Usage | None) -> int:
    return 0 if usage is None else usage.size


def _build_cache(account: Figures, limited: Limited) -> Iterator[Family]:
    cache, known = account.snapshot.inventory.build_cache, account.build_cache
    yield single(c.BUILD_CACHE_RECORDS, len(cache.records))
    yield single(c.BUILD_CACHE_SIZE, known.size)
    yield family(c.BUILD_CACHE_ALLOCATED, (((name,), bytes_) for name, bytes_ in known.allocated.items()))
    sizes = known.records
    records = limited.keep("build_cache", cache.records, lambda one: sizes.get(one.id) or 0, lambda _: 5)
    short = short_ids(one.id for one in cache.records)
    rows = [((short[one.id],), one) for one in records]
    yield family(c.BUILD_RECORD_SIZE, ((key, sizes.get(one.id)) for key, one in rows))
    yield family(c.BUILD_RECORD_CREATED, ((key, one.created) for key, one in rows))
    yield family(c.BUILD_RECORD_USED, ((key, one.last_used) for key, one in rows))
    yield family(c.BUILD_RECORD_USES, ((key, one.usage_count) for key, one in rows))
    yield family(c.BUILD_RECORD_INFO, (((*key, one.kind, _yes(one.shared)), 1) for key, one in rows))


def _reclaimable(found: Reclaim) -> Iterator[Family]:
    yield family(c.RECLAIMABLE, (((category,), freed.allocated) for category, freed in found.freed.items()))
    yield family(c.RECLAIMABLE_OBJECTS, (((category,), freed.objects) for category, freed in found.freed.items()))
    yield single(c.UNATTRIBUTED, found.unattributed)


def _volume_facts(volume: Volume) -> tuple[str, ...]:
    return (volume.name, _yes(volume.anonymous), volume.driver, volume.compose_project)


def _used(containers: int) -> str:
    return "used" if containers else "unused"


def _yes(value: bool) -> str:
    return "true" if value else "false"
