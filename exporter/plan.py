"""Which trees a data root is measured as. They are disjoint, and together they are all of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.layouts.stores import Dirty
from exporter.measured import Changes, Tree
from exporter.model import Collector, Inventory, LayerId, Use
from exporter.root import DataRoot
from exporter.usage.prune import Prune

_COLLECTORS = {
    "containers": Collector.CONTAINERS,
    "volumes": Collector.VOLUMES,
    "buildkit": Collector.BUILD_CACHE,
    "image": Collector.IMAGES,
}
_LAYER_COLLECTORS = {Use.CONTAINER: Collector.CONTAINERS, Use.BUILD_CACHE: Collector.BUILD_CACHE}


@dataclass(frozen=True, slots=True)
class Plan:
    """The trees with the collector that each is measured for, and where their walks do not go.

    `immutable` are the trees of image layers: what is measured of them once holds for ever. `differences`
    are what Docker sizes by comparing, by driver and layer. The root itself is no tree of the plan.
    """

    trees: Mapping[Tree, Collector] = field(default_factory=dict)
    prune: Prune = field(default_factory=Prune)
    immutable: frozenset[Tree] = frozenset()
    differences: Mapping[tuple[str, LayerId], Changes] = field(default_factory=dict)

    def enclosing(self, tree: Tree) -> Tree | None:
        """The tree of the plan in which another one lies."""
        return next((tree[:end] for end in range(len(tree) - 1, 0, -1) if tree[:end] in self.trees), None)

    def to_measure(self, dirty: Dirty, before: "Plan", known: Collection[Tree]) -> set[Tree]:
        """The trees that are dirty or new, and those that others have come to lie in or were taken from."""
        wanted = {tree for tree in self.trees if tree not in known or dirty.covers(tree)}
        around = {self.enclosing(entry) for entry in dirty.entries}
        around |= {self.enclosing(tree) for tree in self.trees.keys() ^ before.trees.keys()}
        return wanted | {tree for tree in around if tree is not None}


def make_plan(root: DataRoot, inventory: Inventory, stores: Sequence[Tree]) -> Plan:
    """Plan the trees of what is there: objects, entries of stores, and the rest by top-level entry."""
    trees: dict[Tree, Collector] = {}
    immutable: set[Tree] = set()
    differences: dict[tuple[str, LayerId], Changes] = {}
    for layer in inventory.layers:
        collector = _LAYER_COLLECTORS.get(layer.use, Collector.IMAGES)
        trees.update(dict.fromkeys(layer.trees, collector))
        if layer.use is Use.IMAGE or layer.chain:
            immutable.update(layer.trees)
        if layer.changes is not None:
            differences[layer.driver, layer.id] = layer.changes
    trees.update({volume.tree: Collector.VOLUMES for volume in inventory.volumes if volume.tree})
    checkpoints = (one.checkpoints for one in inventory.containers if one.checkpoints)
    trees.update(dict.fromkeys(checkpoints, Collector.CONTAINERS))
    prune = Prune()
    for store in stores:
        prune.add(store, store=True)
        collector = _COLLECTORS.get(store[0], Collector.DIRECTORIES)
        for name in _names(root, store):
            trees.setdefault((*store, name), collector)
    for name in inventory.directories:
        trees.setdefault((name,), Collector.DIRECTORIES)
    for mount in root.mounts:
        prune.add(mount, mount=True)
    for tree in trees:
        if tree[:-1] not in stores:
            prune.add(tree)
    there = {tree: collector for tree, collector in trees.items() if tree not in root.mounts}
    return Plan(there, prune, frozenset(immutable), differences)


def _names(root: DataRoot, store: Tree) -> list[str]:
    try:
        return root.names(store)
    except OSError:  # gone since it was found, or it may not be read: then its reader has counted that
        return []
