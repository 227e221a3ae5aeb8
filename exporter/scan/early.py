"""The trees that workers are given before the metadata is read, so that both is done at the same time.

It is for a command that waits for the whole of one scan. Into which trees a root is divided is only known when its
metadata has been read, but most entries of stores are divided as their area says. What is divided otherwise is measured
again as it should be.

A layer counts as complete when an entry of another store says so. All stores are listed before the first tree is given
away, and a scan reads what it has listed: so what it takes for complete was so when its tree was measured. BuildKit's
databases say nothing of that: a snapshot that is complete for good is a layer of `layerdb`, and others may change.
"""

from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct, field

from exporter.core.data_root import DataRoot
from exporter.core.listings import Names
from exporter.core.measured import Tree, is_within, root_of
from exporter.inventory.areas import RootAreas, table
from exporter.measure.exclusions import NOTHING, Exclusions
from exporter.measure.pool.task import Lot, Task

#: So many entries are a lot: some milliseconds of work.
_TOGETHER = 256


class EarlyTrees(Struct, frozen=True):
    """The lots that the pool has, and the listings that they are made of."""

    lots: list[Lot] = field(default_factory=list)
    listings: dict[Tree, Names] = field(default_factory=dict)

    def begun(self, root: DataRoot) -> list[Lot]:
        """The lots that may be used; none where a store was listed again, and has changed."""
        try:
            same = all(root.names(store) is names for store, names in self.listings.items())
        except OSError:
            same = False
        return self.lots if same else []


def early_trees(root: DataRoot, areas: RootAreas, give: Callable[[list[Task]], object]) -> EarlyTrees:
    """Find the trees that can be measured before the metadata is read; none with a mount in it, or in a mount.

    `give` is called with the lots of each store, so that they are begun while those of the next are made.
    """
    found = EarlyTrees()
    around = {one[:end] for one in (*root.mounts, *areas.stores) for end in range(1, len(one) + 1)}
    for store in areas.stores:
        area = table().of(store)
        if area.divided is None or root_of(store) or is_within(store, root.mounts):
            continue
        with suppress(OSError):  # then a reader counts that
            found.listings[store] = root.names(store)
    for store, names in found.listings.items():
        inner = table().of(store).divided or ()
        outside = _without(inner)
        mine = [name for name in names if (*store, name) not in around]
        lots = [
            Lot(store, outside, names=tuple(mine[at : at + _TOGETHER]), inner=inner)
            for at in range(0, len(mine), _TOGETHER)
        ]
        give([*lots])
        found.lots.extend(lots)
    return found


def _without(inner: Tree) -> Exclusions:
    """What is left out of an entry, as the plan of a root has it."""
    if not inner:
        return NOTHING
    around = Exclusions()
    around.add(("", *inner))
    return around.at(("",))
