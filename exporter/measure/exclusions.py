"""Where a walk must not go."""

from dataclasses import dataclass, field
from typing import Final

from exporter.core.measured import Tree


@dataclass(slots=True)
class Exclusions:
    """A tree of names. One that is a `leaf` is left out, the others are passed through.

    `mount` marks a mount point, to be counted as skipped; any other leaf is a tree that is measured on its
    own. In a `store`, every entry is a tree of its own, also one that appears during the walk.
    """

    below: dict[str, "Exclusions"] = field(default_factory=dict)
    leaf: bool = False
    mount: bool = False
    store: bool = False

    def add(self, tree: Tree, *, mount: bool = False, store: bool = False) -> None:
        """Leave out `tree`, given by its components from here, or what is in it if it is a store."""
        node = self
        for name in tree:
            node = node.below.setdefault(name, Exclusions())
        node.leaf = node.leaf or not store
        node.mount = node.mount or mount
        node.store = node.store or store

    def at(self, tree: Tree) -> "Exclusions":
        """The part of this that lies below `tree`."""
        node = self
        for name in tree:
            node = node.below.get(name, NOTHING)
        return node

    def reachable(self) -> "Exclusions | None":
        """A copy without the parts that no walk from here reaches; None if nothing is left out."""
        if not self.below and not self.store:
            return None
        below = {
            name: Exclusions(leaf=True, mount=one.mount) if one.leaf else one.reachable() or Exclusions()
            for name, one in self.below.items()
            if not self.store or one.mount
        }
        return Exclusions(below, self.leaf, self.mount, self.store)


NOTHING: Final = Exclusions()
