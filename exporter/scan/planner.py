"""Divides a data root into the trees that are measured: objects, entries of stores, and the rest by top-level entry."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain

from msgspec import Struct, field
from msgspec.structs import replace

from exporter.core.data_root import DataRoot
from exporter.core.listings import Names, in_order
from exporter.core.measured import Changes, Tree, is_within
from exporter.core.model import Collector, Container, Inventory, Layer, LayerKey, Use, Volume
from exporter.core.splices import change
from exporter.inventory.areas import RootAreas, table
from exporter.measure.exclusions import Exclusions
from exporter.scan.plan import Plan, PlanChange
from exporter.scan.sources import sources, unfinished

_LAYER_COLLECTORS = {Use.CONTAINER: Collector.CONTAINERS, Use.BUILD_CACHE: Collector.BUILD_CACHE}

#: The trees of one object, each with its collector.
_Claim = tuple[tuple[Tree, Collector], ...]


class _Inputs(Struct, frozen=True):
    """What a plan was made of. `fixed`: where one of these is another one, the plan is made anew.

    `objects`: those with trees, by kind. `names`: the entries of stores. `mounts`: those that are left out.
    """

    fixed: tuple[object, ...] = ()
    objects: tuple[Sequence[object], ...] = ((), (), ())
    names: Mapping[Tree, Names] = field(default_factory=dict)
    mounts: frozenset[Tree] = frozenset()


class Planner:
    """Makes the plans of one root, each of the one before and of what has changed since."""

    def __init__(self) -> None:
        self._plan = Plan()
        self._inputs = _Inputs()
        #: The trees of objects. Of these, a change is only worked out by itself where no two objects have one tree.
        self._owned: dict[Tree, Collector] = {}
        self._tangled = True
        #: The trees that are in no plan, since they are mounts.
        self._mounted: dict[Tree, Collector] = {}

    def make(self, root: DataRoot, inventory: Inventory, areas: RootAreas) -> Plan:
        """Make the plan of all roots."""
        walked = frozenset(_walked(root, inventory)) if root.mounts else frozenset[Tree]()
        inputs = _Inputs(
            (areas.stores, inventory.top_level, walked, dict(root.unwalked)),
            # Of two with the same tree, the later one has it.
            (inventory.layers, inventory.volumes, [one for one in inventory.containers if one.checkpoints]),
            {store: _names(root, store) for store in areas.stores},
            root.mounts - walked,
        )
        # Where something fails on the way, the next plan is made anew.
        (before, old), (self._plan, self._inputs) = (self._plan, self._inputs), (Plan(), _Inputs())
        made = None
        if inputs.fixed == old.fixed and not root.unwalked and not self._tangled:
            made = self._changed(before, old, inputs, inventory)
        self._plan, self._inputs = made or self._anew(root, inputs, inventory, areas), inputs
        return self._plan

    def _anew(self, root: DataRoot, inputs: _Inputs, inventory: Inventory, areas: RootAreas) -> Plan:
        immutable: set[Tree] = set()
        differences: dict[LayerKey, Changes] = {}
        owned: dict[Tree, Collector] = {}
        count = 0
        for one in chain.from_iterable(inputs.objects):
            claim = _claim(one)
            count += len(claim)
            owned.update(claim)
            if isinstance(one, Layer):
                _note_layer(one, immutable, differences)
        trees = dict(owned)
        blobs = inventory.content.blobs.values() if inventory.content else ()
        known = {one.tree: one.tree for one in blobs if one.tree is not None}  # each tree once: there are thousands
        for store, names in inputs.names.items():
            collector = table().of(store).collector
            for name in names:
                tree = (*store, name)
                trees.setdefault(known.get(tree, tree), collector)
        for tree in inventory.top_level:
            trees.setdefault(tree, Collector.DIRECTORIES)
        exclusions = Exclusions()
        for store in areas.stores:
            exclusions.add(store, store=True)
        for mount in inputs.mounts:
            exclusions.add(mount, mount=True)
        inner = frozenset(tree for tree in trees if not areas.is_store(tree[:-1]))
        for tree in inner:
            exclusions.add(tree)
        self._owned, self._tangled, self._mounted = owned, count != len(owned), {}
        if inputs.mounts or root.unwalked:  # not most often, and there are thousands of trees
            gone = [tree for tree in trees if tree in inputs.mounts or is_within(tree, root.unwalked)]
            self._mounted = {tree: trees.pop(tree) for tree in gone}
        return Plan(
            trees,
            exclusions,
            frozenset(immutable),
            differences,
            dict(sources(inventory)),
            unfinished(inventory),
            areas.stores,
            inner,
            sorted(inner),
        )

    def _changed(self, before: Plan, old: _Inputs, inputs: _Inputs, inventory: Inventory) -> Plan | None:
        """The plan before with what has changed; None where that has to be made anew."""
        differences = dict(before.differences)
        replaced = self._replace_objects(old.objects, inputs.objects, differences)
        if replaced is None:
            return None
        affected, settled = replaced
        loosened = {tree for tree in affected if tree in before.immutable} - settled
        settled -= before.immutable
        for store, names in inputs.names.items():
            affected.update((*store, name) for name in names.since(old.names[store]))
        anew = {tree: self._collector(tree, inputs, inventory) for tree in affected}
        trees, moved = dict(before.trees), inputs.mounts ^ old.mounts
        for tree in affected | moved:
            collector = anew[tree] if tree in anew else before.trees.get(tree) or self._mounted.get(tree)
            here, elsewhere = (self._mounted, trees) if tree in inputs.mounts else (trees, self._mounted)
            elsewhere.pop(tree, None)
            if collector is None:
                here.pop(tree, None)
            else:
                here[tree] = collector
        change = PlanChange(
            before.mark,
            {tree for tree in affected | moved if tree in trees and tree not in before.trees},
            {tree for tree in affected | moved if tree not in trees and tree in before.trees},
            settled,
            loosened,
        )
        inner = self._exclude(before, anew, inputs, moved)
        return replace(
            before,
            trees=trees,
            immutable=(before.immutable - loosened) | settled if loosened or settled else before.immutable,
            differences=differences,
            sources=dict(sources(inventory)),
            unfinished=unfinished(inventory),
            inner=inner,
            in_order=before.in_order if inner is before.inner else _in_order(before, inner),
            change=change,
            mark=object(),
        )

    def _replace_objects(
        self,
        old: tuple[Sequence[object], ...],
        new: tuple[Sequence[object], ...],
        differences: dict[LayerKey, Changes],
    ) -> tuple[set[Tree], set[Tree]] | None:
        """Replace what objects have; return their trees, and those that are immutable. None: two have the same tree."""
        affected, settled = set[Tree](), set[Tree]()
        changes = [change(before, now) for before, now in zip(old, new, strict=True)]
        for one in (one for kind in changes for one in kind.removed):
            for tree, _ in _claim(one):
                del self._owned[tree]
                affected.add(tree)
            if isinstance(one, Layer):
                differences.pop(one.key, None)
        for one in (one for kind in changes for one in kind.added):
            for tree, collector in _claim(one):
                if tree in self._owned:
                    return None
                self._owned[tree] = collector
                affected.add(tree)
            if isinstance(one, Layer):
                _note_layer(one, settled, differences)
        return affected, settled

    def _collector(self, tree: Tree, inputs: _Inputs, inventory: Inventory) -> Collector | None:
        owned = self._owned.get(tree)
        if owned is not None:
            return owned
        if tree[-1] in inputs.names.get(tree[:-1], ()):
            return table().of(tree[:-1]).collector
        return Collector.DIRECTORIES if tree in inventory.top_level else None

    def _exclude(
        self, before: Plan, anew: Mapping[Tree, object], inputs: _Inputs, moved: Collection[Tree]
    ) -> frozenset[Tree]:
        """Bring the exclusions up to date; return the trees that are no entries of stores.

        `anew`: what has come, and what has gone, which is None. `moved`: what has become a mount, or is none any more.
        """
        came = {tree for tree, one in anew.items() if tree[:-1] not in inputs.names and one is not None}
        went = {tree for tree, one in anew.items() if tree in before.inner and one is None}
        inner = (before.inner | came) - went if came or went else before.inner
        for tree in {*came, *went, *moved}:
            mount = tree in inputs.mounts
            before.exclusions.put(tree, leaf=mount or tree in inner, mount=mount)
        return inner


def _claim(one: object) -> _Claim:
    if isinstance(one, Layer):
        return tuple((tree, _LAYER_COLLECTORS.get(one.use, Collector.IMAGES)) for tree in one.trees)
    if isinstance(one, Volume):
        return ((one.tree, Collector.VOLUMES),) if one.tree else ()
    return ((one.checkpoints, Collector.CONTAINERS),) if isinstance(one, Container) and one.checkpoints else ()


def _note_layer(layer: Layer, immutable: set[Tree], differences: dict[LayerKey, Changes]) -> None:
    if layer.use is Use.IMAGE or layer.chain or layer.committed:
        immutable.update(layer.trees)
    if layer.changes is not None:
        differences[layer.key] = layer.changes


def _in_order(before: Plan, inner: frozenset[Tree]) -> list[Tree]:
    """Some trees in order, of which most are in a plan before."""
    gone, come = before.inner - inner, inner - before.inner
    left = [tree for tree in before.in_order if tree not in gone] if gone else [*before.in_order]
    return in_order(left, come)


def _walked(root: DataRoot, inventory: Inventory) -> Iterator[Tree]:
    """The trees of volumes that are mounts. Each is measured as a tree of its own, as `docker system df -v` does."""
    for volume in inventory.volumes:
        yield from (
            tree for tree in (volume.tree, volume.home) if tree and tree in root.mounts and _answers(root, tree)
        )


def _answers(root: DataRoot, tree: Tree) -> bool:
    """Whether the filesystem that is mounted there answers, and is to be measured."""
    if is_within(tree, root.unwalked):
        return False
    try:
        root.lstat(tree)
    except OSError:
        return False
    return True


def _names(root: DataRoot, store: Tree) -> Names:
    try:
        return root.names(store)
    except OSError:  # it is gone, or may not be read: then a reader has counted the error
        return Names()
