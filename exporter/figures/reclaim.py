"""What a clean-up would free, and what belongs to no object.

The categories are removed one after the other, in the order of `docker system prune`, each as Docker's own prune would
do it, so they are disjoint. Docker 20.10: daemon/images/image_prune.go and image_delete.go, daemon/prune.go,
volume/service/service.go (Prune).
"""

from collections import Counter
from collections.abc import Collection, Mapping

from msgspec import Struct, field

from exporter.core.content import StoreNode
from exporter.core.kept import changed_keys
from exporter.core.measured import Tree
from exporter.core.model import Filesystem, Layer, LayerKey, Snapshot
from exporter.figures.clean_up import NO_CONTENT, ORPHANED, CleanUp, Freed, is_unsized
from exporter.figures.difference import Difference, blank
from exporter.figures.going import KEPT
from exporter.figures.layer_sizes import LayerSizes
from exporter.figures.owners import BY_ITSELF, Owners
from exporter.figures.prunable import Loading, reasons_against
from exporter.figures.prunes import Category
from exporter.figures.stages import NOT_KEPT, Stages
from exporter.figures.sweep import rank_of

#: None stands for what stays: it comes last.
_RANK_OF: Mapping[Category | None, int] = {category: rank for rank, category in enumerate((*Category, None))}


class Reclaim(Struct, frozen=True):
    """All categories, and the bytes below the root that belong to no object.

    `elsewhere`: where a root has parts on several filesystems, what all categories free on each, as far as it is known.
    """

    freed: Mapping[Category, Freed]
    unattributed: int | None
    elsewhere: Mapping[Filesystem, int] = field(default_factory=dict)


class Reclaimer:
    """Works out what each prune would free."""

    def __init__(self) -> None:
        self._loading = Loading()
        self._begin({})

    def _begin(self, why: Mapping[Category, str]) -> None:
        """Begin with a root in which nothing is, and these reasons against prunes."""
        self._owners = Owners(KEPT)
        self._clean_up = CleanUp(why)
        self._others: dict[Tree, int] = {}
        #: When the blobs and snapshots of containerd go that something needs, and those that nothing needs.
        self._stages = Stages()
        self._orphans: set[StoreNode] = set()
        #: When the snapshots go of which it is not known what goes with them.
        self._unsized_nodes: dict[StoreNode, int] = {}
        #: The trees that go with a category, and of which it is not known what they hold.
        self._unknown: set[Tree] = set()
        self._unsized: Counter[int] = Counter()

    def advance(self, difference: Difference, sizes: LayerSizes) -> None:
        """Go on to the next snapshot, with its layers."""
        self._loading.advance(difference.containers)
        why = reasons_against(difference.now.inventory, self._loading)
        if not self._clean_up.goes_on(why):
            self._begin(why)
            difference = Difference(blank(difference.now), difference.now)
        clean_up = self._clean_up
        self._claim_layers(difference, clean_up.advance(difference, why, self._move), sizes)
        self._claim_nodes(difference, clean_up, sizes)
        others = {tree: _RANK_OF[category] for tree, category in clean_up.others.items()}
        for tree in changed_keys(others, self._others):
            self._move((tree,), self._others.get(tree), others.get(tree))
        self._others = others
        touched = self._owners.settle(difference)
        if difference.before.incomplete != difference.now.incomplete:  # also for the trees below
            touched |= self._unknown
        asked = touched | difference.trees
        if not difference.now.incomplete:  # nearly always: what is measured is known
            known = {tree for tree in asked if tree in difference.now.measured}
            self._unknown -= known
            asked -= known
        for tree in asked:
            unknown = self._owners.is_unknown(tree, difference.now, others)
            (self._unknown.add if unknown else self._unknown.discard)(tree)
        if not self._unknown:
            self._unknown = set()  # until the end of the first scan it has nearly all trees, and a set never shrinks

    def _move(self, trees: tuple[Tree, ...], before: int | None, now: int | None) -> None:
        """Note that trees go at another time; None: the object is not there."""
        if before is not None:
            self._owners.unclaim(trees, before)
        if now is not None:
            self._owners.claim(trees, now)

    def _claim_layers(self, difference: Difference, moved: dict[LayerKey, int | None], sizes: LayerSizes) -> None:
        """Those of a namespace of containerd are nodes of its store."""
        clean_up = self._clean_up
        changed: list[tuple[Layer, bool, bool]] = [
            *((one, True, False) for one in difference.layers.removed),
            *((one, False, True) for one in difference.layers.added),
        ]
        replaced = {one.key for one, _, _ in changed}
        stayed = (sizes.layers[key] for key in moved.keys() - replaced if key in sizes.layers)
        for layer, was, stays in (*changed, *((one, True, True) for one in stayed)):
            if layer.namespace:
                continue
            needed = clean_up.needed(layer.key)
            old = clean_up.layer(layer, moved.get(layer.key, needed)) if was else None
            new = clean_up.layer(layer, needed) if stays else None
            if old == new:
                continue
            self._move((*layer.trees, *layer.metadata), old, new)
            if is_unsized(layer):
                self._unsized.subtract(() if old is None else (old,))
                self._unsized.update(() if new is None else (new,))

    def _claim_nodes(self, difference: Difference, clean_up: CleanUp, sizes: LayerSizes) -> None:
        """A blob is there once for all namespaces: it goes with the last of them that keeps it."""
        old, new = (one.inventory.content or NO_CONTENT for one in (difference.before, difference.now))
        before, now = self._orphans, clean_up.orphans
        moved = self._stages.update(new, clean_up.stages)
        stages = self._stages.stages
        changed = (
            moved.keys() | (before ^ now) | changed_keys(new.trees, old.trees) | changed_keys(new.layers, old.layers)
        )
        for node in changed:
            known = stages.get(node, NOT_KEPT)
            was, stays = _rank(node, moved.get(node, known), before), _rank(node, known, now)
            self._owners.unclaim(old.trees.get(node, ()), was)
            self._owners.claim(new.trees.get(node, ()), stays)
            if (counted := self._unsized_nodes.pop(node, None)) is not None:
                self._unsized[counted] -= 1
            key = new.layers.get(node)
            if key is not None and is_unsized(sizes.layers.get(key)):
                self._unsized_nodes[node] = stays
                self._unsized[stays] += 1
        self._orphans = now

    def reclaim(self, snapshot: Snapshot) -> Reclaim:
        """What the prunes free of the snapshot that this has come to."""
        clean_up = self._clean_up
        usages, nobody = self._owners.usages()
        unknown = {self._owners.rank(tree) for tree in self._unknown}
        unknown |= {rank for rank, count in self._unsized.items() if count}
        lost = self._owners.unmeasured(snapshot)
        unknown |= lost
        freed = {
            category: clean_up.freed(category, None if rank in unknown else usages[rank].allocated)
            for rank, category in enumerate(Category)
        }
        whole = None not in lost and not (snapshot.unfinished and self._owners.are_linked(None))
        return Reclaim(freed, nobody.allocated if whole else None, self._owners.elsewhere())


def _rank(node: StoreNode, stage: int, orphans: Collection[StoreNode]) -> int:
    """When a blob or a snapshot goes. What nothing keeps goes when the collector of containerd runs."""
    if stage != NOT_KEPT:
        return rank_of(stage)
    return ORPHANED if node in orphans else BY_ITSELF
