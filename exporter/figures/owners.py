"""Which tree of an object each measured tree belongs to, and in which step that goes, kept while both change."""

from collections import Counter
from collections.abc import Container, Iterable

from exporter.core.counting import count
from exporter.core.measured import Measured, Tree, Usage
from exporter.core.model import Filesystem, Snapshot
from exporter.figures.difference import Difference
from exporter.figures.tally import Tally
from exporter.inventory.areas import table

#: What nothing keeps, and no step removes: it stays, unless an object that has it, too, goes in a step.
BY_ITSELF = -1
#: A tree that several objects have goes with the last of them.
_Ranks = int | tuple[int, ...]
#: The loose trees are looked for by so many components.
_FIRST = 2


class Owners:
    """The trees of objects, each with its rank: the number of the step in which it goes; `kept` for what stays.

    A measured tree belongs to the object whose tree it is, or else to that of the innermost tree around it. One that
    belongs to none counts for nobody.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._nobody = kept + 1
        self._ranks: dict[Tree, _Ranks] = {}
        self._tally: Tally[int] = Tally()
        #: What goes in any step, where a root has parts on several filesystems.
        self._elsewhere: Tally[Filesystem] = Tally()
        #: The directories of measured trees that are no object's, but may lie in one's: by their first components, how
        #: many are in each. Most are entries of stores, which have hardly any directories and thousands of entries.
        self._loose: dict[Tree, Counter[Tree]] = {}
        self._gone: list[tuple[Tree, int]] = []
        self._come: list[tuple[Tree, int]] = []

    def unclaim(self, trees: Iterable[Tree], rank: int) -> None:
        """Note that an object has these trees no more, or has another rank now; `settle` makes it so."""
        self._gone += [(tree, rank) for tree in trees]

    def claim(self, trees: Iterable[Tree], rank: int) -> None:
        """Note that an object has these trees; `settle` makes it so."""
        self._come += [(tree, rank) for tree in trees]

    def settle(self, difference: Difference) -> set[Tree]:
        """Go on to the next snapshot with what was noted; return the trees that it is about."""
        touched = {tree for tree, _ in (*self._gone, *self._come)}
        moved = touched | difference.trees | self._loose_in(touched, difference)
        before, now = difference.measured(moved)
        self._count(difference.before, before, add=False)
        for tree, rank in self._gone:
            self._drop(tree, rank)
        for tree, rank in self._come:
            known = self._ranks.get(tree)
            self._ranks[tree] = rank if known is None else (*((known,) if isinstance(known, int) else known), rank)
        self._count(difference.now, now, add=True)
        self._gone, self._come = [], []
        return touched

    def _drop(self, tree: Tree, rank: int) -> None:
        known = self._ranks.pop(tree)
        if isinstance(known, tuple):
            left = list(known)
            left.remove(rank)
            self._ranks[tree] = tuple(left) if len(left) > 1 else left[0]

    def _loose_in(self, tops: Iterable[Tree], difference: Difference) -> set[Tree]:
        """The loose trees that lie in one of these, and maybe others that lie beside these."""
        around: set[Tree] = set()
        for top in tops if self._loose else ():
            buckets = [top[:_FIRST]] if len(top) >= _FIRST else [one for one in self._loose if one[: len(top)] == top]
            for bucket in buckets:
                around.update(one for one in self._loose.get(bucket, ()) if one[: len(top)] == top)
        if not around:  # most often
            return around
        return {tree for tree in difference.before.measured if tree[:-1] in around and tree not in self._ranks}

    def _count(self, snapshot: Snapshot, trees: Iterable[tuple[Tree, Measured]], *, add: bool) -> None:
        several = len({*snapshot.places.values()}) > 1
        note, ranks = self._tally.add if add else self._tally.remove, self._ranks
        for tree, measured in trees:
            own = ranks.get(tree)
            if own is None:
                self._note_loose(tree, add=add)
            rank = own if isinstance(own, int) and own >= 0 else self._rank(tree, own)
            if rank is None:
                if not snapshot.is_here(tree):
                    continue
                rank = self._nobody
            note(rank, tree, measured)
            where = snapshot.filesystem_of(tree) if several and rank < self._kept else None
            if where is not None:
                (self._elsewhere.add if add else self._elsewhere.remove)(where, tree, measured)

    def _rank(self, tree: Tree, own: _Ranks | None) -> int | None:
        return self.rank(tree) if own is None else self._last(own)

    def _note_loose(self, tree: Tree, *, add: bool) -> None:
        first = tree[:_FIRST]
        around = self._loose.get(first)
        if around is None:
            around = self._loose[first] = Counter()
        count(around, (tree[:-1],), 1 if add else -1)
        if not around:
            del self._loose[first]

    def owner(self, tree: Tree) -> Tree | None:
        """The innermost object's tree that a tree is or lies in."""
        if tree in self._ranks:
            return tree
        return next((tree[:end] for end in range(len(tree) - 1, 0, -1) if tree[:end] in self._ranks), None)

    def rank(self, tree: Tree) -> int | None:
        """When a tree goes; None for one that belongs to no object."""
        owner = self.owner(tree)
        return None if owner is None else self._last(self._ranks[owner])

    def _last(self, ranks: _Ranks) -> int:
        last = ranks if isinstance(ranks, int) else max(ranks)
        return self._kept if last == BY_ITSELF else last

    def has(self, tree: Tree) -> bool:
        """Whether a tree is an object's."""
        return tree in self._ranks

    def elsewhere(self) -> dict[Filesystem, int]:
        """The disk blocks that go in all steps on each filesystem, where there are several."""
        return self._elsewhere.allocated()

    def is_unknown(self, tree: Tree, snapshot: Snapshot, others: Container[Tree]) -> bool:
        """Whether a tree goes in a step, and it is not known what it holds. Small metadata need not be there.

        `others` are trees that must be there as well.
        """
        lost = snapshot.incomplete
        if not lost and tree in snapshot.measured:  # nearly all
            return False
        if not self.has(tree) or self.rank(tree) == self._kept:
            return False
        content = snapshot.inventory.content
        of_store = content is not None and tree[: len(content.home)] == content.home
        if snapshot.whole(tree) is None and (of_store or tree in others or table().around(tree).audited):
            return True
        return bool(lost) and any(tree[:end] in lost for end in range(1, len(tree) + 1))

    def unmeasured(self, snapshot: Snapshot) -> set[int | None]:
        """The steps of which trees are not measured, or not whole; None where such a tree belongs to no object."""
        ranks = {self.rank(tree) for tree in snapshot.incomplete}
        if snapshot.unfinished:  # what has links to trees that are not measured yet may stay with these
            ranks.update(rank for rank in range(self._kept) if self.are_linked(rank))
        return ranks

    def are_linked(self, rank: int | None) -> bool:
        """Whether an inode of what goes at this time, or of what belongs to no object (None), has links elsewhere."""
        return self._tally.is_linked(self._nobody if rank is None else rank)

    def usages(self) -> tuple[list[Usage], Usage]:
        """What goes in each step, and what belongs to no object.

        An inode is freed with its last link, so what is removed last is added first. One that an object has a link to,
        too, counts for the object.
        """
        order = [*range(self._kept, -1, -1), self._nobody]
        _, *usages, nobody = self._tally.usages(order)
        return usages[::-1], nobody
