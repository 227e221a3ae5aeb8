"""A `Snapshot` as the rows of a `Document`, and those as JSON, piece by piece: no whole of it is held at once."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

from exporter.core.gzip_body import GzipBody
from exporter.core.knowledge import Knowledge
from exporter.core.measured import Tree
from exporter.core.model import Container, Filesystem, Image, LayerKey, Snapshot
from exporter.core.text import escape
from exporter.core.version import VERSION
from exporter.expose.snapshot_api.rows import (
    SCHEMA,
    ContainerRow,
    DirectoryRow,
    FilesystemRow,
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


@dataclass(frozen=True, slots=True)
class EncodedSnapshot:
    """A document without its end, which is read at each request. It is kept compressed only."""

    compressed: GzipBody

    @property
    def length(self) -> int:
        """How many bytes the document has, uncompressed."""
        return self.compressed.length

    def finish_gzip(self, end: bytes) -> bytes:
        """The document as one gzip member."""
        return b"".join(self.gzip_parts(end))

    def gzip_parts(self, end: bytes) -> tuple[bytes, ...]:
        """The document as one gzip member, in parts; only `end` is compressed now."""
        return self.compressed.member(end)

    def finish(self, end: bytes) -> bytes:
        """The whole document."""
        return b"".join(self.parts(end))

    def parts(self, end: bytes) -> Iterator[bytes]:
        """The document in parts, each inflated when it is asked for."""
        yield from self.compressed.inflated()
        yield end


def describe(figures: Figures) -> EncodedSnapshot:
    """Make the document of a snapshot, but for what `ending` makes."""
    return EncodedSnapshot(GzipBody.of(piece.encode() for piece in _pieces(figures)))


def ending(taken: float | None, filesystems: Iterable[FilesystemRow]) -> bytes:
    """The end of a document: the filesystems, and when it was taken."""
    return f',"filesystems":[{",".join(map(_row, filesystems))}],"taken":{json.dumps(taken)}}}\n'.encode()


def space(one: Filesystem, status: os.statvfs_result | None) -> FilesystemRow:
    """A filesystem with the space that it says it has."""
    names = escape(one.path), escape(one.device), escape(one.mountpoint), escape(one.fstype)
    row = FilesystemRow(*names, own=one.own, directory=escape(one.directory))
    if status is None:
        return row
    unit = status.f_frsize
    size, free, available = status.f_blocks * unit, status.f_bfree * unit, status.f_bavail * unit
    return replace(row, size=size, free=free, available=available)


def _pieces(figures: Figures) -> Iterator[str]:
    snapshot = figures.snapshot
    inventory, measured = snapshot.inventory, bool(snapshot.measured)
    head = {
        "schema": SCHEMA,
        "exporter": VERSION,
        "root": escape(snapshot.root),
        "error": escape(snapshot.error),
        "layouts": inventory.layouts,
        "unmeasured": inventory.unmeasured,
        "drivers": inventory.drivers,
        "origins": sorted({escape(one.origin) for one in inventory.containers if one.origin}),
        "nested": [escape(name) for name in inventory.nested],
        "unattributed": figures.reclaim.unattributed if measured else None,
    }
    yield json.dumps(head, separators=(",", ":"))[:-1]
    parts: dict[str, Iterable[Any]] = {
        "directories": directories(figures),
        "reclaimable": reclaimable(figures.reclaim) if measured else (),
        "layers": layers(figures),
        "images": images(figures),
        "containers": containers(figures),
        "volumes": volumes(figures),
        "missing": missing(figures),
        "plugins": plugins(snapshot),
        "remarks": remarks(snapshot),
        "temporary": temporary(snapshot),
    }
    for name, rows in parts.items():
        yield from _list(name, rows if measured else ())
    yield from _list("problems", problems(snapshot))
    yield from _list("gaps", gaps(inventory.knowledge))
    yield from _list("unknown", unknown(figures) if measured else ())


def _list(name: str, rows: Iterable[Any]) -> Iterator[str]:
    yield f',"{name}":['
    for number, row in enumerate(rows):
        yield "," + _row(row) if number else _row(row)
    yield "]"


def _row(row: Any) -> str:
    return json.dumps(_plain(row), separators=(",", ":"))


def _plain(row: Any) -> dict[str, Any]:
    found = {field.name: getattr(row, field.name) for field in fields(row)}
    if isinstance(row, ContainerRow):
        found["mounts"] = [_plain(mount) for mount in row.mounts]
    return found


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
