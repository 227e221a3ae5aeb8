"""A `Snapshot` to metric families: pure, and every series is made here."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric as Family

from exporter import accounting
from exporter.metrics import catalogue as c
from exporter.metrics.labels import label, short_ids
from exporter.model import Container, ContainerState, Image, ImageState, Snapshot, Volume

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


def families(snapshot: Snapshot, *, intermediate: bool = False) -> Iterator[Family]:
    """Make the families of a snapshot's objects; none before it is measured."""
    if not snapshot.measured:
        return
    yield from _directories(snapshot)
    yield from _layers(snapshot)
    inventory = snapshot.inventory
    ids = {one.id for one in inventory.images} | {one.id for one in inventory.containers}
    short = short_ids(ids | {one.image_id for one in inventory.containers if one.image_id})
    yield from _images(snapshot, short.__getitem__, intermediate=intermediate)
    yield from _containers(snapshot, short.__getitem__)
    yield from _volumes(snapshot)


def _directories(snapshot: Snapshot) -> Iterator[Family]:
    usages = accounting.directories(snapshot)
    yield family(c.DIRECTORY_SIZE, (((name,), usage.size) for name, usage in usages.items()))
    yield family(c.DIRECTORY_ALLOCATED, (((name,), usage.allocated) for name, usage in usages.items()))
    yield family(c.DIRECTORY_INODES, (((name,), usage.inodes) for name, usage in usages.items()))


def _layers(snapshot: Snapshot) -> Iterator[Family]:
    inventory = snapshot.inventory
    sums = accounting.layers(snapshot)
    walked = {layer.driver for layer in inventory.layers if layer.trees}
    empty = {driver for driver in inventory.drivers if not any(one.driver == driver for one in inventory.layers)}
    usages = {key: total.usage for key, total in sums.items() if key[0] in walked | empty}
    yield family(c.STORE_ENTRIES, inventory.stores.items())
    yield family(c.LAYERS, ((key, total.count) for key, total in sums.items()))
    yield family(c.LAYERS_SIZE, ((key, total.size) for key, total in sums.items()))
    yield family(c.LAYERS_ALLOCATED, ((key, usage.allocated) for key, usage in usages.items()))
    yield family(c.LAYERS_INODES, ((key, usage.inodes) for key, usage in usages.items()))
    yield family(c.MISSING_LAYERS, (((driver,), len(lost)) for driver, lost in inventory.missing.items()))


def _images(snapshot: Snapshot, short: Callable[[str], str], *, intermediate: bool) -> Iterator[Family]:
    inventory = snapshot.inventory
    figures = accounting.images(snapshot)
    states = Counter((driver, figure.state) for (driver, _), figure in figures.items())
    yield family(
        c.IMAGES,
        (((driver, state), states[driver, state]) for driver in inventory.drivers for state in ImageState),
    )
    shown = [image for image in inventory.images if image.listed or intermediate]
    rows = [((one.driver, short(one.id)), one, figures[one.driver, one.id]) for one in shown]
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
    return (image_name(image), image.id, image.os, image.architecture, image.docker_version)


def image_name(image: Image) -> str:
    """The first reference of an image in sorted order, a tag before a digest; `<none>` when it has none."""
    names = [f"{repository}:{tag}" for repository, tag in image.references] or list(image.digests)
    return names[0] if names else "<none>"


def _containers(snapshot: Snapshot, short: Callable[[str], str]) -> Iterator[Family]:
    inventory = snapshot.inventory
    states = Counter((one.driver, one.state) for one in inventory.containers)
    drivers = dict.fromkeys((*inventory.drivers, *(one.driver for one in inventory.containers)))
    yield family(
        c.CONTAINERS,
        (((driver, state), states[driver, state]) for driver in drivers for state in ContainerState),
    )
    figures = accounting.containers(snapshot)
    rows = [((one.driver, short(one.id)), one, figures[one.id]) for one in inventory.containers]
    yield family(c.CONTAINER_WRITABLE_SIZE, ((key, figure.writable_size) for key, _, figure in rows))
    usages = [(key, figure.writable) for key, _, figure in rows if figure.writable is not None]
    yield family(c.CONTAINER_WRITABLE_ALLOCATED, ((key, usage.allocated) for key, usage in usages))
    yield family(c.CONTAINER_WRITABLE_INODES, ((key, usage.inodes) for key, usage in usages))
    yield family(c.CONTAINER_VIRTUAL_SIZE, ((key, figure.virtual) for key, _, figure in rows))
    yield family(c.CONTAINER_LOG_SIZE, ((key, snapshot.logs.get(one.id)) for key, one, _ in rows))
    yield family(c.CONTAINER_LOG_LIMIT, ((key, one.log.limit) for key, one, _ in rows))
    yield family(c.CONTAINER_LOG_BOUNDED, ((key, one.log.bounded) for key, one, _ in rows))
    yield family(c.CONTAINER_RUNNING, ((key, _running(one)) for key, one, _ in rows))
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


def _running(container: Container) -> bool | None:
    """Whether it runs; paused and restarting containers do, as in Docker's own `State.Running`."""
    if container.state is ContainerState.UNKNOWN:
        return None
    return container.state in (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)


def _container_facts(container: Container, short: Callable[[str], str]) -> tuple[str, ...]:
    return (
        container.name,
        short(container.image_id) if container.image_id else "",
        container.image,
        container.log.driver,
        container.compose_project,
        container.compose_service,
    )


def _volumes(snapshot: Snapshot) -> Iterator[Family]:
    inventory = snapshot.inventory
    users = accounting.volume_containers(snapshot)
    states = Counter((_used(users[one.name]), _yes(one.anonymous)) for one in inventory.volumes)
    yield family(
        c.VOLUMES,
        (
            ((state, anonymous), states[state, anonymous])
            for state in ("used", "unused")
            for anonymous in ("true", "false")
        ),
    )
    usages = [((name,), usage) for name, usage in accounting.volumes(snapshot).items() if usage is not None]
    yield family(c.VOLUME_SIZE, ((key, usage.size) for key, usage in usages))
    yield family(c.VOLUME_ALLOCATED, ((key, usage.allocated) for key, usage in usages))
    yield family(c.VOLUME_INODES, ((key, usage.inodes) for key, usage in usages))
    yield family(c.VOLUME_CONTAINERS, (((one.name,), users[one.name]) for one in inventory.volumes))
    yield family(c.VOLUME_INFO, ((_volume_facts(one), 1) for one in inventory.volumes))


def _volume_facts(volume: Volume) -> tuple[str, ...]:
    return (volume.name, _yes(volume.anonymous), volume.driver, volume.compose_project)


def _used(containers: int) -> str:
    return "used" if containers else "unused"


def _yes(value: bool) -> str:
    return "true" if value else "false"
