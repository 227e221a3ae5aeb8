"""A summary of a snapshot for the HTML pages: the largest objects of each kind, a fixed number of them."""

from collections.abc import Iterable
from itertools import islice

from msgspec.structs import replace

from exporter.core.knowledge import Input
from exporter.core.model import Container, Image, Problem, Snapshot, Use
from exporter.core.text import label, shorten
from exporter.core.wanted import ListName, Wanted
from exporter.expose.containerd_advice import containerd_advice
from exporter.expose.linked_parts import linked_parts, path_of
from exporter.expose.lists import chosen, in_order, largest, short_container, short_image, without_size
from exporter.expose.snapshot_api import objects, store
from exporter.expose.snapshot_api.rows import DirectoryRow, MountRow
from exporter.expose.store_parts import LayersOf, several, store_notes, store_parts
from exporter.expose.summary import Summary
from exporter.figures.figures import Figures
from exporter.figures.needs import Figure

#: How many rows a table on /status has at most, the largest first, and a table on / with objects that no other has.
ROWS = 50
_FEW = 10
_ORPHANED = Wanted(ListName.LAYERS, "on-disk", only=Use.ORPHANED)


def summarize(figures: Figures) -> Summary:
    """Select the largest objects of a snapshot, with names that can be shown."""
    snapshot = figures.snapshot
    summary = root_summary(snapshot)
    if not snapshot.measured:
        return summary
    parts = _parts(figures)
    images = chosen(figures, Wanted(ListName.IMAGES, "virtual"))[0]
    orphans = chosen(figures, _ORPHANED)[0]
    volumes = largest(figures, ListName.VOLUMES, ROWS)
    containers = largest(figures, ListName.CONTAINERS, ROWS)
    summary = _with_store(figures, summary, images)
    return replace(
        summary,
        taken=snapshot.taken if snapshot.complete else None,
        counts=_counts(figures, images=len(images), orphans=len(orphans), parts=len(parts)),
        directories=_largest(parts),
        used=_sum(row.allocated for row in parts),
        allocated=tuple((label(one.path), blocks) for one, blocks in figures.allocated.items()),
        reclaimable=tuple(replace(row, commands=()) for row in objects.reclaimable(figures.reclaim)),
        images=tuple(map(short_image, objects.images(figures, largest(figures, ListName.IMAGES, ROWS)))),
        containers=tuple(map(short_container, objects.containers(figures, containers))),
        mounts=_mounts(figures),
        volumes=tuple(objects.volumes(figures, volumes)),
        layers=tuple(objects.layers(figures, largest(figures, ListName.LAYERS, _FEW))),
        records=tuple(objects.build_records(figures, largest(figures, ListName.BUILD_CACHE, _FEW))),
        orphans=tuple(objects.layers(figures, in_order(figures, _ORPHANED, orphans)[:ROWS])),
        missing=sum(map(len, figures.missing.values())) if figures.is_known(Figure.MISSING_LAYERS) else None,
        collectors=tuple((collector, scan) for collector, scan in snapshot.collectors.items()),
        sizeless=tuple((str(name), count) for name, count in without_size(figures)),
        unknown=len({row.figure for row in objects.unknown(figures)}),
    )


def _parts(figures: Figures) -> list[DirectoryRow]:
    """The top-level entries, with names that can be shown."""
    snapshot = figures.snapshot
    unread = {one.path for one in snapshot.problems}
    parts = linked_parts(objects.directories(figures), objects.remarks(snapshot), unread)
    return [replace(row, name=path_of(row)) if row.root else row for row in parts]


def _counts(figures: Figures, *, images: int, orphans: int, parts: int) -> tuple[tuple[str, int | None], ...]:
    """How many objects of each kind there are."""
    inventory, knowledge = figures.snapshot.inventory, figures.snapshot.inventory.knowledge
    return (
        ("layers", len(inventory.layers) if knowledge.whole((Input.LAYER_STORES,)) else None),
        ("images", images if figures.is_known(Figure.IMAGE_LISTED) else None),
        ("containers", len(inventory.containers) if knowledge.whole((Input.CONTAINERS,)) else None),
        ("volumes", len(inventory.volumes) if knowledge.whole((Input.VOLUMES,)) else None),
        ("build records", len(inventory.build_cache.records) if figures.is_known(Figure.BUILD_CACHE) else None),
        ("orphaned layers", orphans if figures.is_known(Figure.LAYERS_OF_OTHERS) else None),
        ("directories", parts),
        ("mounts", sum(len(one.mounts) for one in inventory.containers)),
    )


def _mounts(figures: Figures) -> tuple[tuple[str, MountRow], ...]:
    """The first mounts of containers."""
    few: list[Container] = []
    count = 0
    for one in figures.snapshot.inventory.containers:
        if one.mounts and count < ROWS:
            few.append(one)
            count += len(one.mounts)
    rows = ((shorten(row.name or row.id[:12]), at) for row in objects.containers(figures, few) for at in row.mounts)
    return tuple(islice(rows, ROWS))


def _with_store(figures: Figures, summary: Summary, images: list[Image]) -> Summary:
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


def _largest(rows: Iterable[DirectoryRow]) -> tuple[DirectoryRow, ...]:
    """The largest rows; rows of unknown size are last."""
    return tuple(sorted(rows, key=lambda row: (row.allocated is None, -(row.allocated or 0), row.name))[:ROWS])


def _presentable(problem: Problem) -> Problem:
    return replace(problem, path=label(problem.path), detail=label(problem.detail))
