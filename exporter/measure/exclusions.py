"""Where a walk must not go."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from exporter.core.measured import Tree

_NOTHING_BELOW: "dict[str, Exclusions]" = {}


@dataclass(slots=True)
class Exclusions:
    """A tree of names. One that is a `leaf` is left out, the others are passed through.

    `mount` marks a mount point, to be counted as skipped; any other leaf is a tree that is measured on its
    own. In a `store`, every entry is a tree of its own, also one that appears during the walk.
    """

    #: Another one for each object only where something is in it: most have nothing.
    below: dict[str, "Exclusions"] = field(default_factory=lambda: _NOTHING_BELOW)
    leaf: bool = False
    mount: bool = False
    store: bool = False

    def add(self, tree: Tree, *, mount: bool = False, store: bool = False) -> None:
        """Leave out `tree`, given by its components from here, or what is in it if it is a store."""
        node = self
        for name in tree:
            node = node._child(name)
        node.leaf = node.leaf or not store
        node.mount = node.mount or mount
        node.store = node.store or store

    def _child(self, name: str) -> "Exclusions":
        if self.below is _NOTHING_BELOW:
            self.below = {}
        return self.below.setdefault(name, Exclusions())

    def put(self, tree: Tree, *, leaf: bool, mount: bool) -> None:
        """Leave out `tree`, or do so no more. What lies in it, and whether it is a store, stays as it was."""
        way = [self]
        for name in tree:
            way.append(way[-1]._child(name))  # noqa: SLF001 - of its own kind
        way[-1].leaf, way[-1].mount = leaf, mount
        for end in range(len(tree), 0, -1):
            if way[end].leaf or way[end].store or way[end].below:
                break
            del way[end - 1].below[tree[end - 1]]

    def at(self, tree: Tree) -> "Exclusions":
        """The part of this that lies below `tree`."""
        node = self
        for name in tree:
            node = node.below.get(name, NOTHING)
        return node

    def listed(self) -> "tuple[Excluded, ...]":
        """What to send of this: without the parts that no walk from here reaches. Empty if nothing is left out."""
        if not self.below and not self.store:
            return ()
        if not self.store and all(one.leaf for one in self.below.values()):
            return tuple(Excluded((name,), one.mount, store=False) for name, one in self.below.items())
        found = [Excluded((), mount=False, store=True)] if self.store else []
        path: list[str] = []
        waiting = [iter(self._reached().items())]
        while waiting:
            entry = next(waiting[-1], None)
            if entry is None:
                waiting.pop()
                del path[-1:]
                continue
            name, one = entry
            path.append(name)
            if one.leaf or one.store:
                found.append(Excluded(tuple(path), one.mount, store=not one.leaf))
            waiting.append(iter({}.items() if one.leaf else one._reached().items()))  # noqa: SLF001 - of its own kind
        return tuple(found)

    def _reached(self) -> "dict[str, Exclusions]":
        """What a walk comes to here: in a store, only mounts are left out by their names."""
        return {name: one for name, one in self.below.items() if not self.store or one.mount}

    @classmethod
    def of(cls, listed: "Sequence[Excluded]") -> "Exclusions":
        """Make exclusions of a list of them."""
        made = cls()
        for one in listed:
            made.add(one.path, mount=one.mount, store=one.store)
        return made


class Excluded(NamedTuple):
    """One entry of exclusions; without `store`, it is left out itself."""

    path: Tree
    mount: bool
    store: bool


NOTHING: Final = Exclusions()
