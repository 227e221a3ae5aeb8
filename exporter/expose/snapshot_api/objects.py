"""The rows of a `Document`, made of the figures of one snapshot."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import TypeVar

from msgspec.structs import replace

from exporter.core.knowledge import Knowledge
from exporter.core.measured import Tree, Usage
from exporter.core.model import (
    BuildRecord,
    Collector,
    Container,
    Image,
    Layer,
    LayerId,
    LayerKey,
    Snapshot,
    Volume,
)
from exporter.core.text import escape
from exporter.expose.snapshot_api.rows import (
    BuildRecordRow,
    ContainerRow,
    DirectoryRow,
    GapRow,
    ImageRow,
    LayerRow,
    MissingRow,
    MountRow,
    PlanRow,
    PluginRow,
    ProblemRow,
    ReclaimableRow,
    RemarkRow,
    TemporaryRow,
    UnknownRow,
    VolumeRow,
)
from exporter.figures.directory_sums import place_of
from exporter.figures.figures import Figures
from exporter.figures.needs import Figure
from exporter.figures.plan import plan
from exporter.figures.plan_order import Step
from exporter.figures.prunes import NAMES, Category
from exporter.figures.reclaim import Reclaim
from exporter.figures.temporary import how_to_free

T = TypeVar("T")
Row = TypeVar("Row")


def _rows(figures: Figures, collector: Collector, objects: Iterable[T], make: Callable[[T], Row]) -> Iterator[Row]:
    """A row for each object. One whose row cannot be made is a problem, and hides no other."""
    for one in objects:
        row = figures.barrier.attempt_with(collector, "row", one, make, None)
        if row is not None:
            yield row


def directories(figures: Figures) -> Iterator[DirectoryRow]:
    """The top-level entries."""
    make = partial(_directory, figures.snapshot)
    yield from _rows(figures, Collector.DIRECTORIES, figures.directories.items(), make)


def _directory(snapshot: Snapshot, one: tuple[str, Usage | None]) -> DirectoryRow:
    directory, usage = one
    root, name = place_of(snapshot, directory)
    size, allocated, inodes = (None, None, None) if usage is None else (usage.size, usage.allocated, usage.inodes)
    return DirectoryRow(escape(name), size, allocated, inodes, escape(root))


def reclaimable(found: Reclaim) -> Iterator[ReclaimableRow]:
    """What could be freed, by category, in the order in which prunes are reckoned."""
    for category, freed in found.freed.items():
        how, why = freed.how, escape(freed.why)
        yield ReclaimableRow(category, freed.allocated, freed.objects, NAMES[category], how.text, how.commands, why)


def steps(figures: Figures) -> Iterator[PlanRow]:
    """The steps of a plan that frees space."""
    skipped = [category for category, freed in figures.reclaim.freed.items() if freed.why]
    nothing: list[Step] = []
    work = partial(plan, figures.snapshot, skipped)
    for step in figures.barrier.attempt(Collector.DIRECTORIES, "plan", work, nothing):
        of, where = step.of, {escape(one.mountpoint): freed for one, freed in step.elsewhere.items()}
        row = PlanRow(step.kind, step.allocated, elsewhere=where or None)
        yield row if of is None else replace(row, driver=escape(of.driver), namespace=escape(of.namespace), id=of.id)


def layers(figures: Figures, chosen: Sequence[Layer] | None = None) -> Iterator[LayerRow]:
    """The layers, each behind its parent's children, so that the ids that repeat are near each other; or these few."""
    parents = _parents(figures.snapshot, None if chosen is None else frozenset(one.id for one in chosen))
    layers = figures.snapshot.inventory.layers if chosen is None else chosen
    yield from _rows(figures, Collector.IMAGES, layers, lambda layer: _layer(figures, layer, parents))


def _layer(figures: Figures, layer: Layer, parents: Mapping[LayerKey, str]) -> LayerRow:
    key = layer.key
    found = [figures.snapshot.whole(tree) for tree in layer.trees]
    known = [] if None in found else [one.usage for one in found if one is not None]
    return LayerRow(
        driver=escape(layer.driver),
        id=escape(layer.id),
        chain=layer.chain,
        parent=escape(parents.get(key) or layer.parent or ""),
        use=layer.use,
        size=figures.layer_sizes.get(key),
        allocated=sum(usage.allocated for usage in known) if known else None,
        inodes=sum(usage.inodes for usage in known) if known else None,
        directory=_path(layer.content),
        home=_path(layer.home or layer.content),
        held=layer.held,
        namespace=escape(layer.namespace),
        name=escape(layer.name),
    )


def _parents(snapshot: Snapshot, wanted: frozenset[LayerId] | None) -> Mapping[LayerKey, str]:
    """The parents as the images have them, of all layers or of these.

    Images of containerd may have several chains, one after the other.
    """
    images = (
        image
        for image in snapshot.inventory.images
        if not image.namespace and (wanted is None or not wanted.isdisjoint(image.layers))
    )
    return {LayerKey(image.driver, own): parent for image in images for own, parent in pairwise(image.layers)}


def _path(tree: Tree | None) -> str:
    return escape("/".join(tree or ()))


def images(figures: Figures, chosen: Sequence[Image] | None = None) -> Iterator[ImageRow]:
    """All images, intermediate ones too; or these."""
    inventory = figures.snapshot.inventory
    images, layers = inventory.images, (layer for layer in inventory.layers if layer.namespace)
    if chosen is not None:
        images, ids = tuple(chosen), {one for image in chosen if image.namespace for one in image.layers}
        layers = (layer for layer in layers if layer.id in ids)
    parents = {layer.key: layer.parent for layer in layers}
    yield from _rows(figures, Collector.IMAGES, images, lambda image: _image(figures, image, parents))


def _image(all_figures: Figures, image: Image, parents: Mapping[LayerKey, LayerId | None]) -> ImageRow:
    missing = all_figures.missing.get(image.driver, frozenset())
    figures = all_figures.images[image.key]
    return ImageRow(
        driver=escape(image.driver),
        id=image.id,
        references=tuple(escape(f"{repository}:{tag}") for repository, tag in image.references),
        digests=tuple(map(escape, image.digests)),
        listed=image.listed,
        state=figures.state,
        created=image.created,
        virtual=figures.virtual,
        unique=figures.unique,
        proportional=figures.proportional,
        containers=figures.containers,
        layer=image.layers[0] if image.layers else "",
        depth=len(image.layers),
        parent=image.parent or "",
        missing=tuple(escape(one) for one in image.missing if one in missing),
        namespace=escape(image.namespace),
        content=figures.content,
        unpacked=figures.unpacked,
        platforms=tuple(map(escape, image.platforms)),
        further=tuple(_further_tops(image, parents)),
        loaded=not image.unloaded,
    )


def _further_tops(image: Image, parents: Mapping[LayerKey, LayerId | None]) -> Iterator[str]:
    """The layers of an image of containerd that are the parent of none of its others, but for the first."""
    if not image.namespace:
        return
    below = {parents.get(LayerKey(image.driver, one)) for one in image.layers}
    yield from (one for one in image.layers[1:] if one not in below)


def containers(figures: Figures, chosen: Sequence[Container] | None = None) -> Iterator[ContainerRow]:
    """The containers with their mounts, all or these."""
    containers = figures.snapshot.inventory.containers if chosen is None else chosen
    yield from _rows(figures, Collector.CONTAINERS, containers, partial(_container, figures))


def _container(all_figures: Figures, container: Container) -> ContainerRow:
    missing = all_figures.missing.get(container.driver, frozenset())
    figures = all_figures.containers[container.key]
    return ContainerRow(
        driver=escape(container.driver),
        id=container.id,
        name=escape(container.name),
        image_id=container.image_id or "",
        image=escape(container.image),
        state=container.state,
        created=container.created,
        finished=container.finished,
        layer=escape(container.layer or ""),
        writable=figures.writable_size,
        writable_allocated=figures.writable.allocated if figures.writable else None,
        virtual=figures.virtual,
        log=all_figures.snapshot.logs.get(container.id),
        log_driver=escape(container.log.driver),
        log_limit=container.log.limit,
        log_bounded=container.log.bounded,
        log_deleted=container.log_deleted,
        log_files=None if container.log.files is None else len(container.log.files),
        compose_project=escape(container.compose_project),
        compose_service=escape(container.compose_service),
        mounts=tuple(
            MountRow(*map(escape, (one.kind, one.source, one.destination, one.mode, one.path, one.driver)))
            for one in container.mounts
        ),
        stack=escape(container.stack),
        swarm_service=escape(container.swarm_service),
        writable_limit=container.writable_limit,
        init=escape(container.init or ""),
        base=escape(next(iter(container.chain), "")),
        missing=tuple(escape(one) for one in container.missing if one in missing),
        namespace=escape(container.namespace),
        pod=escape(container.pod),
        pod_namespace=escape(container.pod_namespace),
        pod_container=escape(container.pod_container),
    )


def volumes(figures: Figures, chosen: Sequence[Volume] | None = None) -> Iterator[VolumeRow]:
    """The volumes, all or these."""
    volumes = figures.snapshot.inventory.volumes if chosen is None else chosen
    yield from _rows(figures, Collector.VOLUMES, volumes, partial(_volume, figures))


def _volume(figures: Figures, volume: Volume) -> VolumeRow:
    usage = figures.volumes[volume.name]
    return VolumeRow(
        name=escape(volume.name),
        anonymous=volume.anonymous,
        driver=escape(volume.driver),
        containers=figures.volume_containers(volume.name),
        size=usage.size if usage else None,
        allocated=usage.allocated if usage else None,
        inodes=usage.inodes if usage else None,
        directory=_path(volume.directory),
        mount_type=escape(volume.mount_type),
        device=escape(volume.device),
        options=escape(volume.options),
        link=volume.link,
        compose_project=escape(volume.compose_project),
        created=volume.created,
        optioned=volume.optioned,
    )


def build_records(figures: Figures, chosen: Sequence[BuildRecord] | None = None) -> Iterator[BuildRecordRow]:
    """The records of BuildKit's cache, all or these."""
    records = figures.snapshot.inventory.build_cache.records if chosen is None else chosen
    yield from _rows(figures, Collector.BUILD_CACHE, records, partial(_build_record, figures))


def _build_record(figures: Figures, record: BuildRecord) -> BuildRecordRow:
    return BuildRecordRow(
        id=escape(record.id),
        kind=escape(record.kind),
        size=figures.build_cache.records.get(record.id),
        created=record.created,
        last_used=record.last_used,
        usage_count=record.usage_count,
        shared=record.shared if figures.is_known(Figure.BUILD_SHARES) else None,
        namespace=escape(record.namespace),
        idle=record.id in figures.snapshot.inventory.build_cache.idle,
    )


def gaps(knowledge: Knowledge) -> Iterator[GapRow]:
    """What was not read."""
    for gap in knowledge.gaps:
        yield GapRow(gap.input, escape(gap.path), escape(gap.why), escape(gap.driver), escape(gap.object_id))


def unknown(figures: Figures) -> Iterator[UnknownRow]:
    """The figures that are not known, for all drivers and for each."""
    for figure in (*Figure, *Category):
        for driver in ("", *figures.snapshot.inventory.drivers):
            if why := figures.why_not(figure, driver):
                yield UnknownRow(figure, escape(driver), escape(why))


def missing(figures: Figures) -> Iterator[MissingRow]:
    """The layers that are not on disk, of the drivers of which that is known."""
    for driver, names in figures.missing.items():
        for name in sorted(names):
            yield MissingRow(escape(driver), escape(name))


def temporary(snapshot: Snapshot) -> Iterator[TemporaryRow]:
    """The engine's old temporary files."""
    for one in snapshot.inventory.temporary:
        path = "/".join(one.path)
        how = how_to_free(snapshot.inventory, escape(snapshot.root), path)
        yield TemporaryRow(path, one.files, one.allocated, one.newest, one.whole, how)


def remarks(snapshot: Snapshot) -> Iterator[RemarkRow]:
    """What is there and is not a part as usual."""
    for remark in snapshot.inventory.remarks:
        texts = ("/".join(remark.path), remark.target, remark.where)
        yield RemarkRow(remark.kind, *map(escape, texts))


def plugins(snapshot: Snapshot) -> Iterator[PluginRow]:
    """The plugins of the engine."""
    for plugin in snapshot.inventory.plugins:
        yield PluginRow(plugin.id, escape(plugin.name), tuple(map(escape, plugin.interfaces)))


def problems(figures: Figures) -> Iterator[ProblemRow]:
    """What could not be read, or worked out until now."""
    for problem in (*figures.snapshot.problems, *figures.barrier.problems):
        yield ProblemRow(problem.collector, problem.reason, escape(problem.path), escape(problem.detail))
