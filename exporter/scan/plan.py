"""The plan of a data root: the trees that are measured. They are disjoint, and together they are the whole root."""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct, field

from exporter.core.dirty import Dirty
from exporter.core.measured import Changes, Tree
from exporter.core.model import Collector, LayerKey
from exporter.measure.exclusions import Exclusions


class Plan(Struct, frozen=True, eq=False):
    """The trees to measure.

    `trees`: each tree with its collector. The roots themselves are not among them.
    `exclusions`: the directories that walks leave out.
    `immutable`: the trees of image layers, which never change after they were made.
    `differences`: the layers whose size Docker finds by a comparison, with the trees that it compares.
    `sources`: by tree, the trees to whose files it has hard links. If a source was measured before, its file had one
    link then.
    `unfinished`: the trees of layers that are being made. They may have hard links to files of any tree.
    `stores`: the directories of which each entry is a tree. `inner`: the trees that are no entry of a store, and the
    same `in_order`.
    `change`: how it differs from the plan before. `mark`: another object for each plan.
    """

    trees: Mapping[Tree, Collector] = field(default_factory=dict)
    exclusions: Exclusions = field(default_factory=Exclusions)
    immutable: frozenset[Tree] = frozenset()
    differences: Mapping[LayerKey, Changes] = field(default_factory=dict)
    sources: Mapping[Tree, frozenset[Tree]] = field(default_factory=dict)
    unfinished: frozenset[Tree] = frozenset()
    stores: tuple[Tree, ...] = ()
    inner: frozenset[Tree] = frozenset()
    in_order: Sequence[Tree] = ()
    change: "PlanChange | None" = None
    mark: object = field(default_factory=object)

    def enclosing(self, tree: Tree) -> Tree | None:
        """The tree of the plan in which another one lies."""
        return next((tree[:end] for end in range(len(tree) - 1, 0, -1) if tree[:end] in self.trees), None)

    def since(self, before: "Plan") -> "PlanChange":
        """How this plan differs from another one."""
        if self.change is not None and self.change.before is before.mark:
            return self.change
        return PlanChange(
            before.mark,
            self.trees.keys() - before.trees.keys(),
            before.trees.keys() - self.trees.keys(),
            self.immutable - before.immutable,
            before.immutable - self.immutable,
        )

    def to_measure(self, dirty: Dirty, change: "PlanChange") -> set[Tree]:
        """The trees that are dirty, and each tree that contains one that is dirty, or that the plan has got or lost."""
        if dirty.everything:
            return {*self.trees}
        entries = dirty.entries
        around = (self.enclosing(tree) for tree in (*entries, *change.gained, *change.lost))
        return self._covered(entries) | {tree for tree in around if tree is not None}

    def _covered(self, entries: Collection[Tree]) -> set[Tree]:
        """The trees that are one of these, or lie in one."""
        found = {entry for entry in entries if entry in self.trees}
        with_stores = any(store[: len(entry)] == entry for store in self.stores for entry in entries)
        if with_stores:
            for length in {len(entry) for entry in entries}:
                found.update(tree for tree in self.trees if tree[:length] in entries)
            return found
        trees = self.in_order
        for entry in entries:  # what lies below an entry follows it in the order
            at = bisect_left(trees, entry)
            while at < len(trees) and trees[at][: len(entry)] == entry:
                found.add(trees[at])
                at += 1
        return found

    def behind(self, stale: Collection[Tree]) -> set[Tree]:
        """The trees with hard links to files of a `stale` tree: the old figure of that one includes these files."""
        return {tree for tree, sources in self.sources.items() if not sources.isdisjoint(stale)}


class PlanChange(NamedTuple):
    """The difference between two plans: the trees that came and went.

    `before`: the mark of the other plan. `settled`: those that are immutable now. `loosened`: those that were.
    """

    before: object
    gained: Collection[Tree]
    lost: Collection[Tree]
    settled: Collection[Tree]
    loosened: Collection[Tree]
