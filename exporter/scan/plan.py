"""Which trees a data root is measured as. They are disjoint, and together they are all of it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Changes, Tree
from exporter.core.model import Collector, Inventory, LayerKey, Use
from exporter.inventory.areas import RootAreas, table
from exporter.inventory.drivers import driver_named
from exporter.measure.exclusions import Exclusions

_LAYER_COLLECTORS = {Use.CONTAINER: Collector.CONTAINERS, Use.BUILD_CACHE: Collector.BUILD_CACHE}


@dataclass(frozen=True, slots=True)
class Plan:
    """The trees with the collector that each is measured for, and where their walks do not go.

    `immutable` are the trees of image layers: what is measured of them once holds for ever. `differences`
    are what Docker sizes by comparing, by driver and layer. The root itself is no tree of the plan.

    `sources` are the trees that a layer's tree has hard links to the files of: those files had one link when they were
    measured alone. A layer that is being made may have such links, too, and its sources are not known: it is
    `unfinished`.
    """

    trees: Mapping[Tree, Collector] = field(default_factory=dict)
    prune: Exclusions = field(default_factory=Exclusions)
    immutable: frozenset[Tree] = frozenset()
    differences: Mapping[LayerKey, Changes] = field(default_factory=dict)
    sources: Mapping[Tree, frozenset[Tree]] = field(default_factory=dict)
    unfinished: frozenset[Tree] = frozenset()

    def enclosing(self, tree: Tree) -> Tree | None:
        """The tree of the plan in which another one lies."""
        return next((tree[:end] for end in range(len(tree) - 1, 0, -1) if tree[:end] in self.trees), None)

    def to_measure(self, dirty: Dirty, before: "Plan", known: Collection[Tree]) -> set[Tree]:
        """The trees that are dirty or new, and those that others have come to lie in or were taken from."""
        wanted = {tree for tree in self.trees if tree not in known or dirty.covers(tree)}
        around = {self.enclosing(entry) for entry in dirty.entries}
        around |= {self.enclosing(tree) for tree in self.trees.keys() ^ before.trees.keys()}
        return wanted | {tree for tree in around if tree is not None}

    def behind(self, stale: Collection[Tree]) -> set[Tree]:
        """The trees that are linked to a `stale` one: it counts files of theirs as its own."""
        return {tree for tree, sources in self.sources.items() if not sources.isdisjoint(stale)}


def make_plan(root: DataRoot, inventory: Inventory, areas: RootAreas) -> Plan:
    """Plan the trees of what is there: objects, entries of stores, and the rest by top-level entry."""
    trees: dict[Tree, Collector] = {}
    immutable: set[Tree] = set()
    differences: dict[LayerKey, Changes] = {}
    for layer in inventory.layers:
        collector = _LAYER_COLLECTORS.get(layer.use, Collector.IMAGES)
        trees.update(dict.fromkeys(layer.trees, collector))
        if layer.use is Use.IMAGE or layer.chain:
            immutable.update(layer.trees)
        if layer.changes is not None:
            differences[layer.key] = layer.changes
    trees.update({volume.tree: Collector.VOLUMES for volume in inventory.volumes if volume.tree})
    checkpoints = (one.checkpoints for one in inventory.containers if one.checkpoints)
    trees.update(dict.fromkeys(checkpoints, Collector.CONTAINERS))
    prune = Exclusions()
    for store in areas.stores:
        prune.add(store, store=True)
        collector = table().of(store).collector
        for name in _names(root, store):
            trees.setdefault((*store, name), collector)
    for name in inventory.directories:
        trees.setdefault((name,), Collector.DIRECTORIES)
    for mount in root.mounts:
        prune.add(mount, mount=True)
    for tree in trees:
        if not areas.is_store(tree[:-1]):
            prune.add(tree)
    there = {tree: collector for tree, collector in trees.items() if tree not in root.mounts}
    return Plan(there, prune, frozenset(immutable), differences, dict(_sources(inventory)), _unfinished(inventory))


def _sources(inventory: Inventory) -> Iterator[tuple[Tree, frozenset[Tree]]]:
    """The layers with hard links to their parents' files, each with where those are.

    What is orphaned was made from any of the layers, or from one that is gone by now.
    """
    linking = [one for one in inventory.layers if driver_named(one.driver).links_files and one.content is not None]
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
    except OSError:  # gone since it was found, or it may not be read: then its reader has counted that
        return []
