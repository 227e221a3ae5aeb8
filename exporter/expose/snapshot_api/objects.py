"""The rows of a `Document`, made of the figures of one snapshot."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from exporter.core.knowledge import Knowledge
from exporter.core.measured import Tree
from exporter.core.model import Container, Image, LayerKey, Snapshot
from exporter.core.text import escape
from exporter.expose.snapshot_api.rows import (
    ContainerRow,
    DirectoryRow,
    GapRow,
    ImageRow,
    LayerRow,
    MissingRow,
    MountRow,
    PluginRow,
    ProblemRow,
    ReclaimableRow,
    RemarkRow,
    TemporaryRow,
    UnknownRow,
    VolumeRow,
)
from exporter.figures.figures import Figures
from exporter.figures.needs import Figure
from exporter.figures.prunes import NAMES, Category
from exporter.figures.reclaim import Reclaim
from exporter.figures.sizes import ContainerFigures, ImageFigures
from exporter.figures.temporary import how_to_free


def directories(figures: Figures) -> Iterator[DirectoryRow]:
    """The top-level entries."""
    for name, usage in figures.directories.items():
        numbers = (None, None, None) if usage is None else (usage.size, usage.allocated, usage.inodes)
        yield DirectoryRow(escape(name), *numbers)


def reclaimable(found: Reclaim) -> Iterator[ReclaimableRow]:
    """What could be freed, by category, in the order in which prunes are reckoned."""
    for category, freed in found.freed.items():
        how = freed.how
        yield ReclaimableRow(
            category, freed.allocated, freed.objects, NAMES[category], how.text, how.commands, freed.why
        )


def layers(figures: Figures) -> Iterator[LayerRow]:
    """The layers, each behind its parent's children, so that the ids that repeat are near each other."""
    snapshot, sizes = figures.snapshot, figures.layer_sizes
    parents = _parents(snapshot)
    for layer in snapshot.inventory.layers:
        key = layer.key
        found = [snapshot.whole(tree) for tree in layer.trees]
        known = [] if None in found else [one.usage for one in found if one is not None]
        yield LayerRow(
            driver=layer.driver,
            id=escape(layer.id),
            chain=layer.chain,
            parent=escape(parents.get(key) or layer.parent or ""),
            use=layer.use,
            size=sizes.get(key),
            allocated=sum(usage.allocated for usage in known) if known else None,
            inodes=sum(usage.inodes for usage in known) if known else None,
            directory=_path(layer.content),
            home=_path(layer.home or layer.content),
            held=layer.held,
        )


def _parents(snapshot: Snapshot) -> Mapping[LayerKey, str]:
    images = snapshot.inventory.images
    return {LayerKey(image.driver, own): parent for image in images for own, parent in pairwise(image.layers)}


def _path(tree: Tree | None) -> str:
    return escape("/".join(tree or ()))


def images(figures: Figures) -> Iterator[ImageRow]:
    """All images, intermediate ones too."""
    for image in figures.snapshot.inventory.images:
        missing = figures.missing.get(image.driver, frozenset())
        yield _image(image, figures.images[image.driver, image.id], missing)


def _image(image: Image, figures: ImageFigures, missing: frozenset[str]) -> ImageRow:
    return ImageRow(
        driver=image.driver,
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
    )


def containers(figures: Figures) -> Iterator[ContainerRow]:
    """The containers with their mounts."""
    snapshot = figures.snapshot
    for container in snapshot.inventory.containers:
        missing, log = figures.missing.get(container.driver, frozenset()), snapshot.logs.get(container.id)
        yield _container(container, figures.containers[container.id], log, missing)


def _container(
    container: Container, figures: ContainerFigures, log: int | None, missing: frozenset[str]
) -> ContainerRow:
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
        log=log,
        log_driver=escape(container.log.driver),
        log_limit=container.log.limit,
        log_bounded=container.log.bounded,
        log_deleted=container.log_deleted,
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
    )


def volumes(figures: Figures) -> Iterator[VolumeRow]:
    """The volumes."""
    for volume in figures.snapshot.inventory.volumes:
        usage = figures.volumes[volume.name]
        yield VolumeRow(
            name=escape(volume.name),
            anonymous=volume.anonymous,
            driver=escape(volume.driver),
            containers=figures.volume_containers[volume.name],
            size=usage.size if usage else None,
            allocated=usage.allocated if usage else None,
            inodes=usage.inodes if usage else None,
            directory=_path(volume.directory),
            mount_type=escape(volume.mount_type),
            device=escape(volume.device),
            options=escape(volume.options),
            link=volume.link,
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
                yield UnknownRow(figure, driver, escape(why))


def missing(figures: Figures) -> Iterator[MissingRow]:
    """The layers that are not on disk, of the drivers of which that is known."""
    for driver, names in figures.missing.items():
        for name in sorted(names):
            yield MissingRow(driver, escape(name))


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


def problems(snapshot: Snapshot) -> Iterator[ProblemRow]:
    """What could not be read."""
    for problem in snapshot.problems:
        yield ProblemRow(problem.collector, problem.reason, escape(problem.path), escape(problem.detail))
