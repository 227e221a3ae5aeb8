"""A summary of a snapshot for the HTML pages: the largest objects of each kind, a fixed number of them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from exporter.core.knowledge import Input
from exporter.core.model import Problem, Snapshot, Use
from exporter.core.text import label, shorten
from exporter.expose.containerd_advice import containerd_advice
from exporter.expose.linked_parts import linked_parts, path_of
from exporter.expose.snapshot_api import objects, store
from exporter.expose.snapshot_api.rows import (
    ContainerRow,
    DirectoryRow,
    ImageRow,
    LayerRow,
    VolumeRow,
)
from exporter.expose.store_parts import LayersOf, several, store_notes, store_parts
from exporter.expose.summary import Summary
from exporter.figures.figures import Figures
from exporter.figures.needs import Figure

#: How many rows a table on /status has at most, the largest first.
ROWS = 50
_REFERENCES = 20


_Row = TypeVar("_Row", DirectoryRow, ImageRow, ContainerRow, VolumeRow, LayerRow)


def summarize(figures: Figures) -> Summary:
    """Select the largest objects of a snapshot, with names that can be shown."""
    snapshot = figures.snapshot
    summary = root_summary(snapshot)
    if not snapshot.measured:
        return summary
    unread = {one.path for one in snapshot.problems}
    parts = linked_parts(objects.directories(figures), objects.remarks(snapshot), unread)
    directories = tuple(replace(row, name=path_of(row)) if row.root else row for row in parts)
    images = [row for row in objects.images(figures) if row.listed]
    containers = list(objects.containers(figures))
    mounts = [(shorten(row.name or row.id[:12]), mount) for row in containers for mount in row.mounts]
    knowledge = snapshot.inventory.knowledge
    orphans = list(objects.layers(figures, Use.ORPHANED))
    summary = _with_store(figures, summary, images)
    return replace(
        summary,
        taken=snapshot.taken if snapshot.complete else None,
        counts=(
            ("layers", len(snapshot.inventory.layers) if knowledge.whole((Input.LAYER_STORES,)) else None),
            ("images", len(images) if figures.is_known(Figure.IMAGE_LISTED) else None),
            ("containers", len(containers) if knowledge.whole((Input.CONTAINERS,)) else None),
            ("volumes", len(snapshot.inventory.volumes) if knowledge.whole((Input.VOLUMES,)) else None),
            ("orphaned layers", len(orphans) if figures.is_known(Figure.LAYERS_OF_OTHERS) else None),
            ("directories", len(directories)),
            ("mounts", len(mounts)),
        ),
        directories=_largest((row.allocated, row.name, row) for row in directories),
        used=_sum(row.allocated for row in directories),
        reclaimable=tuple(replace(row, commands=()) for row in objects.reclaimable(figures.reclaim)),
        images=tuple(map(_short_image, _largest((row.virtual, row.id, row) for row in images))),
        containers=tuple(map(_short_container, _largest((row.writable, row.id, row) for row in containers))),
        logs=tuple(map(_short_container, _largest((row.log, row.id, row) for row in containers))),
        mounts=tuple(mounts[:ROWS]),
        volumes=_largest((row.size, row.name, row) for row in objects.volumes(figures)),
        orphans=_largest((row.allocated, row.id, row) for row in orphans),
        missing=sum(map(len, figures.missing.values())) if figures.is_known(Figure.MISSING_LAYERS) else None,
        collectors=tuple((collector, scan) for collector, scan in snapshot.collectors.items()),
    )


def _with_store(figures: Figures, summary: Summary, images: list[ImageRow]) -> Summary:
    """Add what is known of a containerd image store, if there is one."""
    found = figures.snapshot.inventory.content
    if found is None:
        return summary
    content = list(store.content(figures))
    layers = [
        LayersOf(label(driver), label(namespace), use, found.count, found.usage.allocated if found.usage else None)
        for (driver, namespace, use), found in figures.layers.items()
    ]
    return replace(
        summary,
        store=tuple(store_parts(layers, content)),
        store_notes=tuple(store_notes(images, layers, content, figures.history, found.engine)),
        namespaces=several(store.namespaces(figures))[:ROWS],
    )


def root_summary(snapshot: Snapshot) -> Summary:
    """The part of a summary that needs no figures."""
    inventory = snapshot.inventory
    return Summary(
        label(snapshot.root),
        snapshot.error,
        inventory.layouts,
        inventory.unmeasured,
        inventory.drivers,
        progress=snapshot.progress if snapshot.measured and snapshot.unfinished else None,
        further=tuple(label(one.path) for one in snapshot.further),
        advice=tuple(containerd_advice(objects.remarks(snapshot))),
        gaps=tuple(objects.gaps(inventory.knowledge))[:ROWS],
        problems=tuple(map(_presentable, snapshot.problems[:ROWS])),
        problem_count=len(snapshot.problems),
    )


def _sum(sizes: Iterable[int | None]) -> int | None:
    """The sum; None if a size is not known."""
    known = [*sizes]
    return None if None in known else sum(size for size in known if size is not None)


def _largest(rows: Iterable[tuple[int | None, str, _Row]]) -> tuple[_Row, ...]:
    """The largest rows; rows of unknown size are last."""
    ordered = sorted(rows, key=lambda row: (row[0] is None, -(row[0] or 0), row[1]))
    return tuple(row for _, _, row in ordered[:ROWS])


def _short_image(row: ImageRow) -> ImageRow:
    return replace(row, references=tuple(map(shorten, row.references[:_REFERENCES])), digests=row.digests[:1])


def _short_container(row: ContainerRow) -> ContainerRow:
    return replace(row, name=shorten(row.name), image=shorten(row.image), mounts=())


def _presentable(problem: Problem) -> Problem:
    return replace(problem, path=label(problem.path), detail=label(problem.detail))
