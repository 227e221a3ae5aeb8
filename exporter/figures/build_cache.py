"""Sizes of BuildKit's cache: pure functions of a `Snapshot`."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from exporter.core.measured import Tree, Usage, is_within
from exporter.core.model import BuildRecord, LayerKey, Snapshot, Use
from exporter.figures.tally import disjoint


@dataclass(frozen=True, slots=True)
class BuildCacheFigures:
    """BuildKit's cache in bytes. `size` is None where a record's is not known; `records` has those that are."""

    size: int | None
    allocated: Mapping[str, int]
    records: Mapping[str, int]


def build_cache(snapshot: Snapshot, sizes: Mapping[LayerKey, int], blobs: int | None) -> BuildCacheFigures:
    """The build cache as `docker system df` counts it, and what it occupies by component.

    `blobs` are the bytes of disk blocks of its blobs in containerd's image store, None where these are not known.
    """
    cache = snapshot.inventory.build_cache
    records = {one.id: size for one in cache.records if (size := _record_size(snapshot, one, sizes)) is not None}
    alone = [records.get(one.id) for one in cache.records if not one.shared]
    engine = snapshot.inventory.content.engine if snapshot.inventory.content is not None else ""
    layers = (one for one in snapshot.inventory.layers if one.use is Use.BUILD_CACHE)
    snapshots = (tree for one in layers if one.namespace in ("", engine) for tree in one.trees)
    content = set(_within(snapshot, cache.content))
    metadata = [tree for tree in _within(snapshot, cache.files) if tree not in content]
    parts = {"snapshots": snapshots, "content": content, "metadata": metadata}
    usages = zip(parts, totals(snapshot, parts.values()), strict=True)
    allocated = {name: usage.allocated for name, usage in usages if usage is not None}
    if blobs is None:
        allocated.pop("content", None)
    elif "content" in allocated:
        allocated["content"] += blobs
    return BuildCacheFigures(
        size=None if None in alone else sum(size for size in alone if size is not None),
        allocated=allocated,
        records=records,
    )


def _within(snapshot: Snapshot, tops: Collection[Tree]) -> Iterator[Tree]:
    """The measured trees that are one of these, or lie in one."""
    firsts = {top[0] for top in tops if top}
    if not firsts:
        return iter(())
    return (tree for tree in snapshot.measured if tree and tree[0] in firsts and is_within(tree, tops))


def _record_size(snapshot: Snapshot, record: BuildRecord, sizes: Mapping[LayerKey, int]) -> int | None:
    if record.size is not None:
        return record.size
    if record.layer is not None:
        return sizes.get(record.layer)
    measured = snapshot.whole(record.content)
    return measured.usage.size if measured else None


def totals(snapshot: Snapshot, groups: Iterable[Iterable[Tree]]) -> list[Usage | None]:
    """The usage of groups of trees; None where one of a group could not be measured whole."""
    wanted = [list(trees) for trees in groups]
    known = ([snapshot.measured[tree] for tree in trees if tree in snapshot.measured] for trees in wanted)
    usages = disjoint(known)
    return [usage if snapshot.are_whole(trees) else None for usage, trees in zip(usages, wanted, strict=True)]
