"""Divides a data root into the trees that are measured. They are disjoint, and together they are the whole root."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Changes, Tree, is_within
from exporter.core.model import Collector, Inventory, LayerKey, Use
from exporter.inventory.areas import RootAreas, table
from exporter.inventory.drivers import driver_named
from exporter.measure.exclusions import Exclusions

_LAYER_COLLECTORS = {Use.CONTAINER: Collector.CONTAINERS, Use.BUILD_CACHE: Collector.BUILD_CACHE}


@dataclass(frozen=True, slots=True)
class Plan:
    """The trees to measure.

    `trees`: each tree with its collector. The roots themselves are not among them.
    `exclusions`: the directories that walks leave out.
    `immutable`: the trees of image layers, which never change after they were made.
    `differences`: the layers whose size Docker finds by a comparison, with the trees that it compares.
    `sources`: by tree, the trees to whose files it has hard links. If a source was measured before, its file had one
    link then.
    `unfinished`: the trees of layers that are being made. They may have hard links to files of any tree.
    """

    trees: Mapping[Tree, Collector] = field(default_factory=dict)
    exclusions: Exclusions = field(default_factory=Exclusions)
    immutable: frozenset[Tree] = frozenset()
    differences: Mapping[LayerKey, Changes] = field(default_factory=dict)
    sources: Mapping[Tree, frozenset[Tree]] = field(default_factory=dict)
    unfinished: frozenset[Tree] = frozenset()

    def enclosing(self, tree: Tree) -> Tree | None:
        """The tree of the plan in which another one lies."""
        return next((tree[:end] for end in range(len(tree) - 1, 0, -1) if tree[:end] in self.trees), None)

    def to_measure(self, dirty: Dirty, before: "Plan", known: Collection[Tree]) -> set[Tree]:
        """The trees that are dirty or new, and each tree that contains one that the plan has got or lost."""
        if dirty.everything:
            return set(self.trees)
        wanted = {tree for tree in self.trees if tree not in known or dirty.covers(tree)}
        around = {self.enclosing(entry) for entry in dirty.entries}
        around |= {self.enclosing(tree) for tree in self.trees.keys() ^ before.trees.keys()}
        return wanted | {tree for tree in around if tree is not None}

    def behind(self, stale: Collection[Tree]) -> set[Tree]:
        """The trees with hard links to files of a `stale` tree: the old figure of that one includes these files."""
        return {tree for tree, sources in self.sources.items() if not sources.isdisjoint(stale)}


def make_plan(root: DataRoot, inventory: Inventory, areas: RootAreas) -> Plan:
    """Make the plan of all roots: trees of objects, entries of stores, and the rest by top-level entry."""
    trees: dict[Tree, Collector] = {}
    immutable: set[Tree] = set()
    differences: dict[LayerKey, Changes] = {}
    for layer in inventory.layers:
        collector = _LAYER_COLLECTORS.get(layer.use, Collector.IMAGES)
        trees.update(dict.fromkeys(layer.trees, collector))
        if layer.use is Use.IMAGE or layer.chain or layer.committed:
            immutable.update(layer.trees)
        if layer.changes is not None:
            differences[layer.key] = layer.changes
    trees.update({volume.tree: Collector.VOLUMES for volume in inventory.volumes if volume.tree})
    checkpoints = (one.checkpoints for one in inventory.containers if one.checkpoints)
    trees.update(dict.fromkeys(checkpoints, Collector.CONTAINERS))
    exclusions = Exclusions()
    for store in areas.stores:
        exclusions.add(store, store=True)
        collector = table().of(store).collector
        for name in _names(root, store):
            trees.setdefault((*store, name), collector)
    for tree in inventory.top_level:
        trees.setdefault(tree, Collector.DIRECTORIES)
    walked = {tree for tree in _of_volumes(inventory) if tree in root.mounts and _answers(root, tree)}
    for mount in root.mounts - walked:
        exclusions.add(mount, mount=True)
    for tree in trees:
        if not areas.is_store(tree[:-1]):
            exclusions.add(tree)
    there = {
        tree: collector
        for tree, collector in trees.items()
        if (tree not in root.mounts or tree in walked) and not is_within(tree, root.unwalked)
    }
    return Plan(there, exclusions, frozenset(immutable), differences, dict(_sources(inventory)), _unfinished(inventory))


def _of_volumes(inventory: Inventory) -> Iterator[Tree]:
    """The trees of volumes. One that is a mount is measured as a tree of its own, as `docker system df -v` does."""
    for volume in inventory.volumes:
        yield from (tree for tree in (volume.tree, volume.home) if tree)


def _answers(root: DataRoot, tree: Tree) -> bool:
    """Whether the filesystem that is mounted there answers, and is to be measured."""
    if is_within(tree, root.unwalked):
        return False
    try:
        root.lstat(tree)
    except OSError:
        return False
    return True


def _sources(inventory: Inventory) -> Iterator[tuple[Tree, frozenset[Tree]]]:
    """The layers with hard links to files of their parents, each with the trees of these.

    An orphaned layer may have been made from any layer.
    """
    drivers = {name for name in inventory.drivers if driver_named(name).links_files}
    linking = [one for one in inventory.layers if one.driver in drivers and one.content is not None]
    contents = {one.key: one.content for one in linking if one.content is not None}
    parents = {one.key: one.parent for one in linking if one.chain and one.parent}
    for image in inventory.images:
        parents.update((LayerKey(image.driver, layer), parent) for layer, parent in pairwise(image.layers))
    for layer, parent in parents.items():
        if layer in contents and (source := contents.get(LayerKey(layer.driver, parent))) is not None:
            yield contents[layer], frozenset([source])
    finished = frozenset(one.content for one in linking if one.content is not None and one.use is Use.IMAGE)
    for one in linking:
        if one.use is Use.ORPHANED and one.content is not None:
            yield one.content, finished


def _unfinished(inventory: Inventory) -> frozenset[Tree]:
    made = (one for one in inventory.layers if one.use is Use.PENDING and driver_named(one.driver).links_files)
    return frozenset(tree for one in made for tree in one.trees)


def _names(root: DataRoot, store: Tree) -> list[str]:
    try:
        return root.names(store)
    except OSError:  # it is gone, or may not be read: then a reader has counted the error
        return []
