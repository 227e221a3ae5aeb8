"""Where a walk must not go."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from exporter.core.measured import Tree

_NOTHING_BELOW: "dict[str, Exclusions]" = {}


class Exclusions:
    """A tree of names. One that is a `leaf` is left out, the others are passed through.

    `mount` marks a mount point, to be counted as skipped; any other leaf is a tree that is measured on its
    own. In a `store`, every entry is a tree of its own, also one that appears during the walk.

    There is one for each layer, and nearly all are equal: each has one leaf, of the same name. So one object stands for
    all of these.
    """

    __slots__ = ("below", "leaf", "mount", "shared", "store")

    def __init__(
        self,
        below: "dict[str, Exclusions] | None" = None,
        leaf: bool = False,
        mount: bool = False,
        store: bool = False,
        *,
        shared: bool = False,
    ) -> None:
        #: Another one for each object only where something is in it: most have nothing.
        self.below = _NOTHING_BELOW if below is None else below
        self.leaf = leaf
        self.mount = mount
        self.store = store
        #: It stands in several places, and is copied before it is changed in one of them.
        self.shared = shared

    __hash__ = None  # type: ignore[assignment] # it changes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exclusions) and self._parts() == other._parts()

    def _parts(self) -> "tuple[dict[str, Exclusions], bool, bool, bool]":
        return self.below, self.leaf, self.mount, self.store

    def add(self, tree: Tree, *, mount: bool = False, store: bool = False) -> None:
        """Leave out `tree`, given by its components from here, or what is in it if it is a store."""
        if not store and self._add_in_new(tree, mount=mount):
            return
        way = self._way(tree)
        node = way[-1]
        node.leaf = node.leaf or not store
        node.mount = node.mount or mount
        node.store = node.store or store
        _share(way, tree)

    def _add_in_new(self, tree: Tree, *, mount: bool) -> bool:
        """Leave out `tree` if nothing is left out yet of the directory in which it is, as with each of many volumes."""
        *path, directory, name = tree if len(tree) > 1 else ("", "", "")
        node = self
        for one in path:
            below = node.below.get(one)
            if below is None or below.shared:
                return False
            node = below
        if not directory or directory in node.below or node.below is _NOTHING_BELOW:
            return False
        node.below[directory] = _around(False, False, name, True, mount)  # written as in `_share`: cached
        return True

    def _way(self, tree: Tree) -> "list[Exclusions]":
        """This, and what there is on the way to `tree`: each may be changed."""
        way = [self]
        for name in tree:
            around = way[-1]
            if around.below is _NOTHING_BELOW:
                around.below = {}
            node = around.below.get(name)
            if node is None or node.shared:
                node = Exclusions() if node is None else Exclusions({**node.below}, node.leaf, node.mount)
                around.below[name] = node
            way.append(node)
        return way

    def put(self, tree: Tree, *, leaf: bool, mount: bool) -> None:
        """Leave out `tree`, or do so no more. What lies in it, and whether it is a store, stays as it was."""
        way = self._way(tree)
        way[-1].leaf, way[-1].mount = leaf, mount
        while len(way) > 1 and not (way[-1].leaf or way[-1].store or way[-1].below):
            way.pop()
            del way[-1].below[tree[len(way) - 1]]
        _share(way, tree)

    def at(self, tree: Tree) -> "Exclusions":
        """The part of this that lies below `tree`."""
        node = self
        for name in tree:
            node = node.below.get(name, NOTHING)
        return node

    def leaves_out_as(self, other: "Exclusions") -> bool:
        """Whether walks from here and from there leave out the same."""
        return self is other or (self.store == other.store and self.below == other.below)

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


def _share(way: Sequence[Exclusions], tree: Tree) -> None:
    """Replace what is on a way to `tree`, the last first, by what stands for all its equals."""
    for at in range(len(way) - 1, 0, -1):
        node = way[at]
        if node.store or len(node.below) > 1:
            break
        only: tuple[str, Exclusions] | None = next(iter(node.below.items()), None)
        if only is None:
            same = _plain(node.leaf, node.mount)
        elif only[1].shared and not only[1].below:
            same = _around(node.leaf, node.mount, only[0], only[1].leaf, only[1].mount)
        else:
            break
        way[at - 1].below[tree[at - 1]] = same


@lru_cache(8)
def _plain(leaf: bool, mount: bool) -> Exclusions:
    return Exclusions(leaf=leaf, mount=mount, shared=True)


@lru_cache(256)
def _around(leaf: bool, mount: bool, name: str, inner_leaf: bool, inner_mount: bool) -> Exclusions:
    return Exclusions({name: _plain(inner_leaf, inner_mount)}, leaf=leaf, mount=mount, shared=True)
