"""What the roots of an image store keep, from one state of the store to the next.

What one root keeps does not depend on the others, so a change costs what the roots keep that came and went.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from exporter.core.content import ContentStore, Hold, StoreNode, first_marks
from exporter.core.kept import Edition, changed_keys, with_changes

Label = TypeVar("Label")

#: Room for the number of roots of one rank; a store has a million elements at most.
_BITS = 24

#: What all roots together keep is remembered up to so many objects: eight bytes each.
_MOST_KEPT = 1_000_000

#: What a root keeps, each object once.
Kept = tuple[StoreNode, ...]
_Root = tuple[Kept, Label]


class Marks(Generic[Label]):
    """The first label of the roots that keep an object, by object. What no root keeps has none."""

    __slots__ = ("_counts", "_order", "_ranks", "_roots", "labels")

    def __init__(self, order: Sequence[Label]) -> None:
        """`order`: all labels, the one that counts first is the first."""
        self._order = order
        self._ranks = {label: rank for rank, label in enumerate(order)}
        #: By the identity of a root: what it keeps, and its label. Whatever has its place later is as good.
        self._roots: dict[int, _Root[Label]] = {}
        #: By object, how many roots of each label keep it: so many bits for each label.
        self._counts: dict[StoreNode, int] = {}
        #: Another edition where something has changed.
        self.labels: Mapping[StoreNode, Label] = Edition()

    def update(self, content: ContentStore, labels: Iterable[Label]) -> None:
        """Go on to a store whose roots have these labels, in their order."""
        if len(content.kept) != len(content.holds):
            self._mark_all(content, labels)
            return
        if not self._roots:
            self._counts, self.labels = {}, Edition()
        before = self._roots
        self._roots = now = dict(zip(map(id, content.holds), zip(content.kept, labels, strict=True), strict=True))
        come = [root for key, root in now.items() if before.get(key) != root]
        gone = [root for key, root in before.items() if now.get(key) != root]
        if come or gone:
            self._count(come, gone)

    def _count(self, come: Iterable[_Root[Label]], gone: Iterable[_Root[Label]]) -> None:
        counts, before = self._counts, dict[StoreNode, int]()
        for sign, roots in ((1, come), (-1, gone)):
            for kept, label in roots:
                one = sign << (_BITS * self._ranks[label])
                for node in kept:
                    count = counts.get(node, 0)
                    before.setdefault(node, count)
                    counts[node] = count + one
        put, lost = dict[StoreNode, Label](), list[StoreNode]()
        same = dict[int, tuple[int, int]]()  # most counts are one of few large numbers
        for node, count in before.items():
            now = counts[node]
            if not now:
                del counts[node]
                lost.append(node)
                continue
            known = same.get(now) or same.setdefault(now, (now, _lowest(now)))
            counts[node] = known[0]
            if not count or known[1] != _lowest(count):
                put[node] = self._order[known[1]]
        self.labels = with_changes(self.labels, put, lost)

    def _mark_all(self, content: ContentStore, labels: Iterable[Label]) -> None:
        """Mark all: it is not known what each root keeps."""
        self._roots, self._counts = {}, {}
        stages: dict[Label, list[Hold]] = {label: [] for label in self._order}
        for hold, label in zip(content.holds, labels, strict=True):
            stages[label].append(hold)
        self.labels = Edition(first_marks(content, stages.items()), self.labels)


def _lowest(count: int) -> int:
    return ((count & -count).bit_length() - 1) // _BITS if count else -1


class Closures:
    """What each root of a graph keeps, from one state of it to the next."""

    __slots__ = ("_known", "_links", "_size", "_too_many")

    def __init__(self) -> None:
        #: By the identity of a root: the root, and what it keeps.
        self._known: dict[int, tuple[Hold, Kept]] = {}
        self._links: tuple[Mapping[StoreNode, object], ...] = ({}, {})
        #: How many objects all of these keep together.
        self._size = 0
        self._too_many = False

    def update(
        self,
        holds: Sequence[Hold],
        references: Mapping[StoreNode, Kept],
        parents: Mapping[StoreNode, StoreNode],
        kept: Container[StoreNode],
    ) -> Sequence[Kept]:
        """What these roots keep, in their order; nothing where that is too much. `kept`: what any root kept before."""
        if self._too_many:
            return ()
        links = (references, parents)
        changed = {key for new, old in zip(links, self._links, strict=True) for key in changed_keys(new, old)}
        # An object that no root kept has no part in what one kept.
        changed = {node for node in changed if node in kept}
        known = self._known
        now = dict(zip(map(id, holds), holds, strict=True))
        gone = {key for key in known if key not in now}
        if changed:
            gone.update(key for key, (_, kept_nodes) in known.items() if not changed.isdisjoint(kept_nodes))
        for key in gone:
            self._size -= len(known.pop(key)[1])
        self._links = links
        for key, hold in now.items():
            if key not in known:
                found = kept_by(hold, references, parents)
                known[key] = hold, found
                self._size += len(found)
                if self._size > _MOST_KEPT:
                    self._known, self._links, self._too_many = {}, ({}, {}), True
                    return ()
        return [known[id(hold)][1] for hold in holds]


def kept_by(hold: Hold, references: Mapping[StoreNode, Kept], parents: Mapping[StoreNode, StoreNode]) -> Kept:
    """What a root keeps, see `first_marks`."""
    found: dict[StoreNode, None] = {}
    pending = list(hold.nodes)
    while pending:
        node = pending.pop()
        if node in found:
            continue
        found[node] = None
        if not hold.flat and (further := references.get(node)):
            pending += further
        if (parent := parents.get(node)) is not None:
            pending.append(parent)
    return tuple(found)
