"""The usage of groups of trees, kept while trees come and go."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from exporter.core.links import Links, sweep
from exporter.core.measured import Measured, Tree, Usage

Group = TypeVar("Group", bound=Hashable)


class Tally(Generic[Group]):
    """Adds up trees by group. An inode that is linked from several groups counts once, for the first of these."""

    def __init__(self) -> None:
        self._sums: dict[Group, list[int]] = {}
        self._linked: dict[Group, dict[Tree, Measured]] = {}
        self._shared: dict[tuple[Group, ...], list[tuple[int, int, int]]] = {}

    def add(self, group: Group, tree: Tree, measured: Measured) -> None:
        """Add a tree to a group."""
        size, allocated, inodes = measured.usage
        total = self._sums.get(group) or self._begin(group)
        total[0] += size
        total[1] += allocated
        total[2] += inodes
        total[3] += 1
        if measured.links.blocks:
            self._linked.setdefault(group, {})[tree] = measured
            self._shared.clear()

    def remove(self, group: Group, tree: Tree, measured: Measured) -> None:
        """Take a tree out of a group that was added as it was measured then."""
        size, allocated, inodes = measured.usage
        total = self._sums[group]
        total[0] -= size
        total[1] -= allocated
        total[2] -= inodes
        total[3] -= 1
        if measured.links.blocks:
            del self._linked[group][tree]
            self._shared.clear()

    def _begin(self, group: Group) -> list[int]:
        total = self._sums[group] = [0, 0, 0, 0]
        return total

    def is_linked(self, group: Group) -> bool:
        """Whether an inode of a group has links elsewhere: in another group, or in trees that are in none."""
        return bool(self._linked.get(group))

    def usages(self, groups: Iterable[Group]) -> list[Usage]:
        """The usage of each of these groups, which are disjoint."""
        order = tuple(groups)
        shared = self._shared.get(order)
        if shared is None:
            shared = self._shared[order] = self._find_shared(order)
        sums = (self._sums.get(group, (0, 0, 0))[:3] for group in order)
        return [
            Usage(size - less[0], allocated - less[1], inodes - less[2])
            for (size, allocated, inodes), less in zip(sums, shared, strict=True)
        ]

    def allocated(self) -> dict[Group, int]:
        """The disk blocks of each group that has a tree, in bytes; what groups share counts for each."""
        return {group: self.usages((group,))[0].allocated for group, total in self._sums.items() if total[-1]}

    def _find_shared(self, order: Sequence[Group]) -> list[tuple[int, int, int]]:
        """What each group has that a tree before in this order has as well."""
        less = [[0, 0, 0] for _ in order]
        linked: dict[int, list[tuple[list[int], Links]]] = defaultdict(list)
        for at, group in enumerate(order):
            for measured in self._linked.get(group, {}).values():
                linked[measured.device].append((less[at], measured.links))
        for many in linked.values():
            if len(many) > 1:
                _count_shared(many)
        return [(size, allocated, inodes) for size, allocated, inodes in less]


def _count_shared(linked: Sequence[tuple[list[int], Links]]) -> None:
    """Add to the number of each tree what it shares with those before it."""
    for pieces in sweep([links for _, links in linked]):
        seen: set[int] = set()
        for piece in pieces:
            known = seen.intersection(piece.inodes)
            seen.update(piece.inodes)
            if known:
                less = linked[piece.tree][0]
                for inode, size, allocated in zip(piece.inodes, piece.sizes, piece.allocated, strict=True):
                    if inode in known:
                        less[0], less[1], less[2] = less[0] + size, less[1] + allocated, less[2] + 1


def disjoint(groups: Iterable[Iterable[Measured]]) -> list[Usage]:
    """The usage of groups of trees, so that an inode linked from several of them counts once, for the first."""
    tally: Tally[int] = Tally()
    count = 0
    for at, group in enumerate(groups):
        count += 1
        for number, measured in enumerate(group):
            tally.add(at, (str(number),), measured)
    return tally.usages(range(count))
