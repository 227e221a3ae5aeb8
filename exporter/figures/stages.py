"""By which of its roots each object of an image store is kept, while roots come and go.

Unlike `core.marks.Marks` this remembers no counts: where an object has lost the root that counted, the other roots are
asked. That is seldom, and takes a third of the memory.
"""

from collections.abc import Callable, Iterable
from itertools import compress, count
from operator import is_not, ne

from exporter.core.content import ContentStore, Hold, StoreNode, first_marks
from exporter.core.marks import Kept
from exporter.core.splices import splice

#: The stage of what no root keeps.
NOT_KEPT = -1
_LAST = 255


class Stages:
    """The first stage of the roots that keep an object, by object; what no root keeps has none.

    Each root has a stage, a number from 0 on.
    """

    __slots__ = ("_content", "_of_roots", "_wanted", "stages")

    def __init__(self, wanted: Callable[[StoreNode], bool] = lambda _: True) -> None:
        """Only what is `wanted` gets a stage."""
        self._wanted = wanted
        self._content = ContentStore()
        self._of_roots = b""
        self.stages: dict[StoreNode, int] = {}

    def update(self, content: ContentStore, of_roots: bytes) -> dict[StoreNode, int]:
        """Go on to a store whose roots have these stages, in their order.

        Returns the objects that have another stage than before, each with its old one.
        """
        before, self._content = self._content, content
        old, self._of_roots = self._of_roots, of_roots
        if len(content.kept) != len(content.holds) or len(before.kept) != len(before.holds):
            return self._mark_all(content, of_roots)
        gone, come = _changed(before, old, content, of_roots)
        first = self._first((content.kept[at], of_roots[at]) for at in come)
        without = self._first((before.kept[at], old[at]) for at in gone)
        lost = {node for node, stage in without.items() if stage == self.stages[node] < first.get(node, _LAST)}
        moved: dict[StoreNode, int] = {}
        for node, stage in first.items():
            if node not in lost and stage < self.stages.get(node, _LAST):
                self._move(node, stage, moved)
        if lost:
            keeping = (at for at, kept in enumerate(content.kept) if not lost.isdisjoint(kept))
            left = self._first((content.kept[at], of_roots[at]) for at in keeping)
            for node in lost:
                self._move(node, left.get(node, NOT_KEPT), moved)
        return moved

    def _move(self, node: StoreNode, stage: int, moved: dict[StoreNode, int]) -> None:
        before = self.stages.pop(node, NOT_KEPT)
        if stage != NOT_KEPT:
            self.stages[node] = stage
        if stage != before:
            moved[node] = before

    def _first(self, roots: Iterable[tuple[Kept, int]]) -> dict[StoreNode, int]:
        """The first stage of these roots that keep an object, by object."""
        found: dict[StoreNode, int] = {}
        for kept, stage in roots:
            for node in kept:
                if stage < found.get(node, _LAST):
                    found[node] = stage
        return {node: stage for node, stage in found.items() if self._wanted(node)}

    def _mark_all(self, content: ContentStore, of_roots: bytes) -> dict[StoreNode, int]:
        """Mark all: it is not known what each root keeps."""
        by_stage: dict[int, list[Hold]] = {}
        for hold, stage in zip(content.holds, of_roots, strict=True):
            by_stage.setdefault(stage, []).append(hold)
        marks = first_marks(content, sorted(by_stage.items(), key=lambda one: one[0]))
        moved: dict[StoreNode, int] = {}
        for node in self.stages.keys() | {node for node in marks if self._wanted(node)}:
            self._move(node, marks.get(node, NOT_KEPT), moved)
        return moved


def _changed(before: ContentStore, old: bytes, now: ContentStore, new: bytes) -> tuple[list[int], list[int]]:
    """The places of the roots that have gone, and of those that have come; one that changed is in both."""
    start, end_before, end_now = splice(before.holds, now.holds)
    gone, come = list(range(start, end_before)), list(range(start, end_now))
    for at_before, at_now, length in ((0, 0, start), (end_before, end_now, len(now.holds) - end_now)):
        was, becomes = slice(at_before, at_before + length), slice(at_now, at_now + length)
        others = set[int]()
        if before.kept[was] != now.kept[becomes]:
            others.update(compress(count(), map(is_not, before.kept[was], now.kept[becomes])))
        if old[was] != new[becomes]:
            others.update(compress(count(), map(ne, old[was], new[becomes])))
        gone += [at_before + at for at in others]
        come += [at_now + at for at in others]
    return gone, come
