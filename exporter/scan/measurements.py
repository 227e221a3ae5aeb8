"""The figures of the trees of a plan, and the trees that could not be measured."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.kept import Edition
from exporter.core.measured import Measured, Reason, Tree
from exporter.core.model import Collector, LayerKey, Problem
from exporter.measure.cache import Cache, identities
from exporter.measure.plausible import MOST_BLOCKS, impossible
from exporter.measure.pool.task import Result, Task
from exporter.scan.hard_links import unaccounted, without_unaccounted
from exporter.scan.plan import Plan, PlanChange

#: Bytes of packed links of all trees together: of ten million inodes with links in several trees.
MOST_LINK_BYTES = 128 << 20


class Measurements:
    """The figures of one plan; `changes` goes up whenever one of them may have changed."""

    def __init__(self) -> None:
        self.plan = Plan()
        self.changes = 0
        #: The figures of each tree. It is replaced where it changes after `for_sums`.
        self.measured: Edition[Tree, Measured] = Edition()
        #: The bytes that they take on the disk, by the number of their device.
        self.allocated = Counter[int]()
        #: The sizes in bytes that Docker finds by comparing two trees.
        self.differences: dict[LayerKey, int] = {}
        self._problems: dict[Tree, list[Problem]] = {}
        #: Trees with outdated figures: layers that were measured while they were made, and layers to whose files
        #: other trees got hard links later.
        self._stale: set[Tree] = set()
        #: Trees of which a part could not be read when they were measured last.
        self._partial: set[Tree] = set()
        #: How many bytes the links of trees take, where there are any.
        self._link_bytes: dict[Tree, int] = {}
        #: The directories of the roots: these are measured, and no trees of the plan.
        self._tops: set[Tree] = set()
        self._all_link_bytes = 0
        #: What was made for sums last, the trees that have other figures since, and those made provisionally for it.
        self._sums: Edition[Tree, Measured] = Edition()
        #: The figures that others have, and that do not change any more.
        self._given = self.measured
        self._touched: set[Tree] = set()
        self._made: frozenset[Tree] = frozenset()

    @property
    def problems(self) -> list[Problem]:
        """The problems of measuring, as far as they were kept."""
        return [one for many in self._problems.values() for one in many]

    @property
    def failed(self) -> list[Tree]:
        """The trees that could not be measured completely."""
        return list(self._problems)

    @property
    def provisional(self) -> frozenset[Tree]:
        """The trees of which `for_sums` has left out inodes that no measured tree accounts for."""
        return self._made

    @property
    def unmeasured(self) -> set[Tree]:
        """The trees of the plan that nobody has measured or tried to measure yet."""
        return self.plan.trees.keys() - self.measured.keys() - self._problems.keys()

    @property
    def incomplete(self) -> frozenset[Tree]:
        """The trees that could not be measured, or not whole. Those that vanished meanwhile are none."""
        lost = {tree for tree in self._problems if tree not in self.measured and self._is_lost(tree)}
        return frozenset(lost | (self._partial & self.measured.keys()))

    def _is_lost(self, tree: Tree) -> bool:
        return any(one.reason is not Reason.VANISHED for one in self._problems[tree])

    def for_sums(self) -> Mapping[Tree, Measured]:
        """The measured trees for sums: an inode that got a link after its tree was measured counts once."""
        provisional = self.plan.unfinished | self.plan.behind(self._stale)
        made = without_unaccounted(self.measured, provisional & self.measured.keys())
        changed = self._touched | made.keys() | self._made
        if changed:
            before = self._sums
            if made:
                self._sums = Edition({**self.measured, **made})
            else:
                self._renew()
                self._sums = self._given = self.measured  # once and not twice, until one of them changes
            self._sums.follow(before, changed)
            self._touched, self._made = set(), frozenset(made)
        return self._sums

    def _renew(self) -> None:
        """Have figures that nobody else has."""
        if self.measured is self._given:
            self.measured = Edition(self.measured)

    def _touch(self, trees: Iterable[Tree]) -> None:
        """Note that the figures of trees are about to be others."""
        self._renew()
        self._touched.update(trees)

    def doubtful(self, linked: Collection[Tree]) -> bool:
        """Whether `linked` trees have unaccounted inodes, and the plan does not explain with which trees they share."""
        known = self.plan.unfinished | self.plan.sources.keys()
        return bool(unaccounted(self.measured, ({*linked} - known) & self.measured.keys()))

    def adopt(self, plan: Plan, tops: Mapping[Tree, Measured], dirty: Dirty) -> set[Tree]:
        """Replace the plan, forget the trees that are not in it, and return the trees to measure.

        `tops`: the directories of all roots, without their entries.
        """
        change = plan.since(self.plan)
        gone = [tree for tree in change.lost if tree in self.measured]
        for tree in gone:
            self._forget(tree)
        for tree in self.measured.keys() & self._tops - tops.keys():
            self._forget(tree)
        wanted = plan.to_measure(dirty, change).union(self._unknown(plan, change))
        for key in [one for one in self.differences if one not in plan.differences]:
            del self.differences[key]
        # A difference of sets would go through all trees of the plan.
        for tree in [one for one in self._problems if one not in plan.trees]:
            del self._problems[tree]
        self._partial = {tree for tree in self._partial if tree in plan.trees}
        # A layer that is being pulled is measured at its beginning. The files written later raise no event.
        finished = {*change.settled} | (plan.sources.keys() & self.plan.unfinished)
        finished &= self.measured.keys()
        wanted |= finished | self._outdated(plan, finished)
        self._stale = {tree for tree in self._stale | finished if tree in plan.trees}
        self._tops = {*tops}
        for top, entry in tops.items():
            self._note_root(top, entry)
        self.changes += bool(gone)
        self.plan = plan
        return wanted

    def _unknown(self, plan: Plan, change: PlanChange) -> Collection[Tree]:
        """The trees of a plan of which nothing is known. Most often these are the new ones."""
        known = len(self.measured) - len(self._tops & self.measured.keys())
        if known == len(plan.trees) - len(change.gained) and self._problems.keys().isdisjoint(change.gained):
            return change.gained
        return plan.trees.keys() - self.measured.keys() - self._problems.keys()

    def _note_root(self, top: Tree, entry: Measured) -> None:
        """Note the directory of a root itself. On a FUSE filesystem, what it says may be impossible."""
        self._remember(top, entry, self.measured.get(top))
        if not 0 <= entry.usage.allocated < 512 * MOST_BLOCKS:
            self._partial.add(top)
            path = "/".join(top) or "."
            self._problems[top] = [Problem(Collector.DIRECTORIES, Reason.INTERNAL, path, impossible().strerror or "")]

    def recall(self, root: DataRoot, wanted: Collection[Tree], cache: Cache) -> set[Tree]:
        """Use the cached figures of image layers among the wanted trees; return the trees of these layers."""
        found = identities([tree for tree in wanted if tree in self.plan.immutable], root.lstat)
        recalled = {
            tree: known for tree, identity in found.items() if (known := cache.tree(tree, identity)) is not None
        }
        for tree, known in recalled.items():
            self._remember(tree, known, self.measured.get(tree))
        for key, changes in self.plan.differences.items():
            size = cache.size(changes.new, found[changes.new]) if changes.new in found else None
            if size is not None:
                self.differences[key] = size
        return set(recalled)

    def linked(self, wanted: Collection[Tree]) -> set[Tree]:
        """The trees to measure again because a new tree among the wanted ones has hard links to their files."""
        if not self.plan.sources:  # most roots
            return set()
        return self._outdated(self.plan, [tree for tree in wanted if tree not in self.measured])

    def _outdated(self, plan: Plan, linking: Collection[Tree]) -> set[Tree]:
        """Note that the sources of these trees have outdated figures; return the sources."""
        sources = {one for tree in linking for one in plan.sources.get(tree, ())} & plan.trees.keys()
        self._stale |= sources & self.measured.keys()
        return sources

    def store_in(self, cache: Cache) -> None:
        """Save the figures of image layers for the next start."""
        complete = self.plan.immutable - self._stale - self._partial
        trees = {tree: self.measured[tree] for tree in complete if tree in self.measured}
        sizes = {
            changes.new: (self.measured[changes.new].identity, self.differences[key])
            for key, changes in self.plan.differences.items()
            if changes.new in trees and key in self.differences
        }
        cache.update(trees, sizes)
        cache.save()

    def comparisons(self, measured_anew: Collection[Tree], *, unknown: bool) -> set[LayerKey]:
        """The layers to compare again after these trees were measured; with `unknown`, also those never compared."""
        found = {key for key, changes in self.plan.differences.items() if changes.new in measured_anew}
        return found | {key for key in self.plan.differences if unknown and key not in self.differences}

    def tasks(
        self,
        trees: Collection[Tree],
        comparisons: Collection[LayerKey],
        pace: float,
        *,
        first: Collection[Tree] = (),
    ) -> list[Task]:
        """The tasks for the pool, those of the `first` trees before others of the same weight.

        `pace` is the fraction of a core that a large tree may use.
        """
        exclusions = self.plan.exclusions
        tasks = [Task(tree, exclusions.at(tree), pace=pace, weight=self._weight(tree)) for tree in sorted(trees)]
        for key in sorted(comparisons):
            changes = self.plan.differences[key]
            if changes.new in self.plan.trees:
                tasks.append(Task(changes.new, changes=changes, key=key, pace=pace, weight=self._weight(changes.new)))
        return sorted(tasks, key=lambda task: task.tree not in first) if first else tasks

    def _weight(self, tree: Tree) -> int:
        known = self.measured.get(tree)
        return known.entries if known else 0

    def note_result(self, result: Result, collector: Collector) -> bool | None:
        """Note one result; return whether the size of its tree has changed, None for a comparison."""
        task = result.task
        if task.changes is not None:
            if result.size is not None and self.differences.get(task.key) != result.size:
                self.differences[task.key] = result.size
                self.changes += 1
            return None
        if task.trouble is not None or self._problems:
            self._note_trouble(task, collector)
        before = self.measured.get(task.tree)
        if result.measured is not None:
            self._stale.discard(task.tree)
            lacks = task.trouble is not None and self._lacks(task)
            (self._partial.add if lacks else self._partial.discard)(task.tree)
            self._remember(task.tree, result.measured, before)
            self.changes += before is None or _differs(before, result.measured)
        elif before is not None and task.trouble and Reason.VANISHED in task.trouble.counts:
            self._stale.discard(task.tree)
            self._forget(task.tree)
            self.changes += 1
        return result.measured is None or before is None or before.usage != result.measured.usage

    def note_found(self, found: Mapping[Tree, Measured]) -> dict[Tree, bool]:
        """Note the figures of many trees that were read whole and have no links; return whether each has another size.

        Nothing is known of them most often: that is noted of all together.
        """
        if any(not one.keys().isdisjoint(found.keys()) for one in (self.measured, self._problems)):
            nowhere = Collector.DIRECTORIES  # where there is no trouble, it is noted nowhere
            return {tree: self.note_result(Result(Task(tree), one), nowhere) is True for tree, one in found.items()}
        for doubtful in (self._stale, self._partial):
            doubtful.difference_update(found)
        self._touch(found)
        self.measured.update(found)
        for measured in found.values():
            self.allocated[measured.device] += measured.usage.allocated
        self.changes += len(found)
        return dict.fromkeys(found, True)

    def refuse_excess(self, result: Result) -> None:
        """Make a result an error that has more links to other trees than are remembered of all trees together."""
        task, measured = result.task, result.measured
        if measured is None or not measured.links.blocks:
            return
        size = measured.links.packed_size
        if self._all_link_bytes - self._link_bytes.get(task.tree, 0) + size > MOST_LINK_BYTES:
            task.fail(Reason.TOO_LARGE, task.tree, "more hard links to other trees than are remembered")
            result.measured = None
            self._forget(task.tree)

    def _remember(self, tree: Tree, measured: Measured, before: Measured | None) -> None:
        if measured == before:  # the same object stays: nothing that is made of it is made again
            return
        if measured.links.blocks or self._link_bytes:
            self._count_links(tree, measured.links.packed_size)
        self._touch((tree,))
        if before is not None:
            self.allocated[before.device] -= before.usage.allocated
        self.allocated[measured.device] += measured.usage.allocated
        self.measured[tree] = measured

    def _forget(self, tree: Tree) -> None:
        if self._link_bytes:
            self._count_links(tree, 0)
        self._touch((tree,))
        if (before := self.measured.pop(tree, None)) is not None:
            self.allocated[before.device] -= before.usage.allocated

    def _count_links(self, tree: Tree, size: int) -> None:
        self._all_link_bytes += size - self._link_bytes.pop(tree, 0)
        if size:
            self._link_bytes[tree] = size

    @staticmethod
    def _lacks(task: Task) -> bool:
        """Whether something in a tree could not be read and is still there."""
        return task.trouble is not None and bool(task.trouble.counts.keys() - {Reason.VANISHED})

    def _note_trouble(self, task: Task, collector: Collector) -> None:
        standing = self._problems.pop(task.tree, None)
        self.changes += bool(standing) != bool(task.trouble)
        if task.trouble:
            self._problems[task.tree] = [
                Problem(collector, reason, "/".join(path) or ".", detail) for reason, path, detail in task.trouble.kept
            ]


def _differs(one: Measured, other: Measured) -> bool:
    """Whether a figure differs. The number of entries read is no figure."""
    return (one.usage, one.links, one.skipped_mounts) != (other.usage, other.links, other.skipped_mounts)
