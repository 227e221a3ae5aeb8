"""Sizes of layers, and their sums by driver, namespace and use."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct

from exporter.core.measured import Tree, Usage
from exporter.core.model import Layer, LayerKey, Snapshot, Use
from exporter.figures.difference import Difference
from exporter.figures.spaces import Space
from exporter.figures.tally import Tally
from exporter.inventory.drivers import driver_named

_Group = tuple[str, str, Use]
_UNCLAIMED = (Use.PENDING, Use.ORPHANED)


class LayerSum(Struct, frozen=True):
    """The layers of one driver, namespace and use. `size`, `usage`: None where those of one of them are not known."""

    count: int
    size: int | None
    usage: Usage | None


class LayerSizes:
    """Every layer's own size as Docker counts it, bytes; layers whose size cannot be known have none.

    `layers` are the layers by key, `of_tree` those that a tree is one of. `resized`: the keys whose size is another
    one than in the snapshot before, with that size. Not `sound`: two layers have one key, or one tree.
    """

    def __init__(self) -> None:
        self.sizes: dict[LayerKey, int] = {}
        self.layers: dict[LayerKey, Layer] = {}
        self.of_tree: dict[Tree, LayerKey] = {}
        self.resized: dict[LayerKey, int | None] = {}
        self.sound = True

    def advance(self, difference: Difference) -> None:
        """Go on to the next snapshot."""
        touched: set[LayerKey] = set()
        for layer in difference.layers.removed:
            key = layer.key
            touched.add(key)
            del self.layers[key]
            for tree in layer.trees:
                del self.of_tree[tree]
        for layer in difference.layers.added:
            key = layer.key
            touched.add(key)
            self.sound &= key not in self.layers and self.of_tree.keys().isdisjoint(layer.trees)
            self.layers[key] = layer
            self.of_tree.update((tree, key) for tree in layer.trees)
        touched.update(difference.touched(self.of_tree))
        touched |= difference.sizes
        self.resized = {}
        for key in touched:
            layer_now = self.layers.get(key)
            before, now = self.sizes.get(key), None if layer_now is None else _size(difference.now, layer_now)
            if before != now:
                self.resized[key] = before
                if now is None:
                    del self.sizes[key]
                else:
                    self.sizes[key] = now

    @property
    def changed(self) -> list[Layer]:
        """The layers whose size is another one than in the snapshot before."""
        return [self.layers[key] for key in self.resized if key in self.layers]

    def before(self, key: LayerKey) -> int | None:
        """The size of a layer in the snapshot before."""
        return self.resized[key] if key in self.resized else self.sizes.get(key)


def _size(snapshot: Snapshot, layer: Layer) -> int | None:
    if layer.recorded_size is not None:
        return layer.recorded_size
    if layer.changes is not None:
        return snapshot.differences.get(layer.key)
    measured = snapshot.whole(layer.content) if layer.size_known else None
    if measured is None:
        return None
    return measured.usage.allocated if layer.by_blocks else measured.usage.size


class LayerSums:
    """The layers on disk by driver, namespace and use; shared inodes count for the first use.

    Of a driver whose layers cannot be listed, those that nothing refers to are not known. containerd lists its own.
    """

    def __init__(self) -> None:
        self._tally: Tally[_Group] = Tally()
        #: Those that these have come to.
        self._sizes = LayerSizes()
        self.counts: Counter[_Group] = Counter()
        self._treeless: Counter[_Group] = Counter()
        self._unsized: Counter[_Group] = Counter()
        self._sized: Counter[_Group] = Counter()

    def advance(self, difference: Difference, sizes: LayerSizes) -> None:
        """Go on to the next snapshot, of which these are the sizes."""
        removed, added = difference.layers.removed, difference.layers.added
        gone = [(_group(layer), tree) for layer in removed for tree in layer.trees]
        come = [(_group(layer), tree) for layer in added for tree in layer.trees]
        among = difference.trees if len(added) < len(sizes.layers) else ()  # else no layer was there before
        self._sizes, new = sizes, {tree for _, tree in come}
        others = ((self.group(tree), tree) for tree in among if tree not in new)
        stayed = [(group, tree) for group, tree in others if group is not None]
        before, now = difference.before.measured, difference.now.measured
        for group, tree in (*gone, *stayed):
            if tree in before:
                self._tally.remove(group, tree, before[tree])
        for group, tree in (*stayed, *come):
            if tree in now:
                self._tally.add(group, tree, now[tree])
        for layer in removed:
            self._count(layer, sizes.before(layer.key), -1)
        for layer in added:
            self._count(layer, sizes.sizes.get(layer.key), 1)
        replaced = {layer.key for layer in (*removed, *added)}
        for key in sizes.resized.keys() - replaced:
            layer = sizes.layers[key]
            self._count(layer, sizes.resized[key], -1)
            self._count(layer, sizes.sizes.get(key), 1)

    def group(self, tree: Tree) -> tuple[str, str, Use] | None:
        """The driver, the namespace and the use of the layer that a tree is one of."""
        key = self._sizes.of_tree.get(tree)
        return None if key is None else _group(self._sizes.layers[key])

    def _count(self, layer: Layer, size: int | None, sign: int) -> None:
        group = _group(layer)
        self.counts[group] += sign
        self._treeless[group] += sign * (not layer.trees)
        self._unsized[group] += sign * (size is None)
        self._sized[group] += sign * (size or 0)

    def sums(self, snapshot: Snapshot, places: Iterable[Space]) -> dict[_Group, LayerSum]:
        """The sums in the spaces of the snapshot that these have come to."""
        uses = {space: _uses_of(*space) for space in places}
        for driver in dict.fromkeys(driver for driver, namespace in uses if namespace):
            uses.setdefault((driver, ""), list(_UNCLAIMED))
        cut = {self.group(tree) for tree in snapshot.incomplete}
        sums: dict[_Group, LayerSum] = {}
        for space, several in uses.items():
            groups = [(*space, use) for use in several]
            if snapshot.unfinished:  # what has links to trees that are not measured yet may count there
                cut.update(group for group in groups if self._tally.is_linked(group))
            for group, usage in zip(groups, self._tally.usages(groups), strict=True):
                whole = None if self._treeless[group] or group in cut else usage
                sums[group] = LayerSum(self.counts[group], self._size(group, whole), whole)
        return sums

    def _size(self, group: _Group, usage: Usage | None) -> int | None:
        """The sum of Docker's sizes. A layer that nothing refers to has none: there it is the size of its files."""
        if group[2] in _UNCLAIMED:
            return None if usage is None else usage.size
        return None if self._unsized[group] else self._sized[group]


def _group(layer: Layer) -> _Group:
    return _same_group(layer.driver, layer.namespace, layer.use)


@lru_cache(256)
def _same_group(driver: str, namespace: str, use: Use) -> _Group:
    """The same object each time: there are few groups, and thousands of layers."""
    return driver, namespace, use


def _uses_of(driver: str, namespace: str) -> list[Use]:
    return [use for use in Use if use not in _UNCLAIMED or namespace or driver_named(driver).listed]
