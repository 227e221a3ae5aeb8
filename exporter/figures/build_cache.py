"""Sizes of BuildKit's cache."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from exporter.core.measured import Tree, is_within
from exporter.core.model import BuildCache, BuildRecord, LayerKey, Snapshot, Use
from exporter.figures.difference import Difference, blank
from exporter.figures.layer_sizes import LayerSizes, LayerSums
from exporter.figures.tally import Tally

_SNAPSHOTS, _CONTENT, _METADATA = _COMPONENTS = ("snapshots", "content", "metadata")
#: What a record without a size of its own has it from: a layer or a tree.
_Source = tuple[LayerKey | None, Tree | None]


class BuildCacheFigures(Struct, frozen=True):
    """BuildKit's cache in bytes. `size` is None where a record's is not known; `records` has those that are."""

    size: int | None
    allocated: Mapping[str, int]
    records: Mapping[str, int]


class BuildCacheSizes:
    """The build cache as `docker system df` counts it, and what it occupies by component.

    `changed` are the records that may have another size than in the snapshot before. Not `sound`: two have one id.
    """

    def __init__(self) -> None:
        self.changed: list[BuildRecord] = []
        self.sound = True
        self._sizes: dict[str, int] = {}
        #: The bytes of the records that are not shared, and of how many of these they are not known.
        self._total = self._unknown = 0
        self._of: dict[_Source, list[BuildRecord]] = {}
        self._components = _Components()

    def advance(self, difference: Difference, sizes: LayerSizes, sums: LayerSums) -> None:
        """Go on to the next snapshot, with its layers."""
        records, now = difference.records, difference.now.inventory.build_cache
        for one in records.removed:
            self._count(one, -1)
            self._sizes.pop(one.id, None)
            if (source := _source(one)) is not None:
                left = [other for other in self._of.pop(source) if other is not one]
                self._of.update({source: left} if left else {})
        self.changed = [one for key in sizes.resized for one in self._of.get((key, None), ())]
        if self._of:
            self.changed += [one for tree in difference.trees for one in self._of.get((None, tree), ())]
        for one in self.changed:
            self._count(one, -1)
            self._work_out(one, difference.now, sizes)
        self.sound &= not records.added or len({one.id for one in now.records}) == len(now.records)
        for one in records.added:
            self._work_out(one, difference.now, sizes)
            if (source := _source(one)) is not None:
                self._of.setdefault(source, []).append(one)
        if self._components.is_of(difference.before, difference.now):
            self._components.advance(difference, sums)
        else:
            self._components = _Components()
            self._components.advance(Difference(blank(difference.now), difference.now), sums)

    def _work_out(self, record: BuildRecord, snapshot: Snapshot, sizes: LayerSizes) -> None:
        size = _record_size(snapshot, record, sizes.sizes)
        if size is None:
            self._sizes.pop(record.id, None)
        else:
            self._sizes[record.id] = size
        self._count(record, 1)

    def _count(self, record: BuildRecord, sign: int) -> None:
        if not record.shared:
            size = self._sizes.get(record.id)
            self._unknown += sign * (size is None)
            self._total += sign * (size or 0)

    def figures(self, snapshot: Snapshot, blobs: int | None) -> BuildCacheFigures:
        """The figures of the snapshot that these have come to.

        `blobs` are the bytes of disk blocks of its blobs in containerd's image store, None where these are not known.
        """
        allocated = self._components.allocated(snapshot)
        if blobs is None:
            allocated.pop(_CONTENT, None)
        elif _CONTENT in allocated:
            allocated[_CONTENT] += blobs
        return BuildCacheFigures(None if self._unknown else self._total, allocated, self._sizes)


class _Components:
    """The snapshots, the blobs and the other files of a build cache. A shared inode counts for the first of these."""

    def __init__(self) -> None:
        self._tally: Tally[str] = Tally()
        self._sums: LayerSums | None = None

    def is_of(self, before: Snapshot, now: Snapshot) -> bool:
        """Whether the same trees are those of components in both snapshots, as far as they are in both."""
        old, new = before.inventory.build_cache, now.inventory.build_cache
        return (_engine(before), old.content, old.files) == (_engine(now), new.content, new.files)

    def advance(self, difference: Difference, sums: LayerSums) -> None:
        """Go on to the next snapshot, with its layers."""
        self._sums = sums
        engine, before, now = _engine(difference.now), difference.before.measured, difference.now.measured
        gone, come = (
            [tree for one in layers if _is_counted(one.use, one.namespace, engine) for tree in one.trees]
            for layers in (difference.layers.removed, difference.layers.added)
        )
        moved = {*gone, *come}
        # Most roots have no build cache, and a look at all their trees takes time.
        among, cache = difference.trees if self._counted() else (), difference.now.inventory.build_cache
        stayed = [tree for tree in among if tree not in moved and self._is_snapshot(tree, difference.now)]
        others = _components(difference.trees, cache) if cache.content or cache.files else []
        for name, tree in (*((_SNAPSHOTS, tree) for tree in (*gone, *stayed)), *others):
            if tree in before:
                self._tally.remove(name, tree, before[tree])
        for name, tree in (*((_SNAPSHOTS, tree) for tree in (*come, *stayed)), *others):
            if tree in now:
                self._tally.add(name, tree, now[tree])

    def _counted(self) -> bool:
        """Whether there are layers of a build cache."""
        return self._sums is not None and any(group[2] is Use.BUILD_CACHE for group in self._sums.counts)

    def _is_snapshot(self, tree: Tree, snapshot: Snapshot) -> bool:
        group = None if self._sums is None else self._sums.group(tree)
        return group is not None and _is_counted(group[2], group[1], _engine(snapshot))

    def allocated(self, snapshot: Snapshot) -> dict[str, int]:
        """The disk blocks of each component in bytes; without one of which a part was not read whole."""
        usages = dict(zip(_COMPONENTS, self._tally.usages(_COMPONENTS), strict=True))
        cache = snapshot.inventory.build_cache
        cut = {name for name, _ in _components(snapshot.incomplete, cache)}
        if snapshot.unfinished:  # what has links to trees that are not measured yet may count there
            cut.update(name for name in _COMPONENTS if self._tally.is_linked(name))
        if self._counted() and any(self._is_snapshot(tree, snapshot) for tree in snapshot.incomplete):
            cut.add(_SNAPSHOTS)
        return {name: usage.allocated for name, usage in usages.items() if name not in cut}


def _engine(snapshot: Snapshot) -> str:
    content = snapshot.inventory.content
    return "" if content is None else content.engine


def _is_counted(use: Use, namespace: str, engine: str) -> bool:
    return use is Use.BUILD_CACHE and namespace in ("", engine)


def _components(trees: Iterable[Tree], cache: BuildCache) -> list[tuple[str, Tree]]:
    """Those of some trees that are BuildKit's own, each with the component that it belongs to."""
    tops = {top[0] for top in (*cache.content, *cache.files) if top}
    near = [tree for tree in trees if tree and tree[0] in tops]  # of a hundred thousand trees, few are its own
    return [
        (_CONTENT if is_within(tree, cache.content) else _METADATA, tree)
        for tree in near
        if is_within(tree, cache.content) or is_within(tree, cache.files)
    ]


def _source(record: BuildRecord) -> _Source | None:
    if record.size is not None:
        return None
    return (record.layer, None) if record.layer is not None else (None, record.content)


def _record_size(snapshot: Snapshot, record: BuildRecord, sizes: Mapping[LayerKey, int]) -> int | None:
    if record.size is not None:
        return record.size
    if record.layer is not None:
        return sizes.get(record.layer)
    measured = snapshot.whole(record.content)
    return measured.usage.size if measured else None
