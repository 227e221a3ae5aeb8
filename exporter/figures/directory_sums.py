"""The usage of the top-level entries of a root."""

from collections.abc import Callable, Collection, Iterable

from exporter.core.measured import Measured, Tree, Usage, is_within, root_of
from exporter.core.model import Filesystem, Snapshot
from exporter.figures.difference import Difference
from exporter.figures.tally import Tally


class DirectorySums:
    """The usage of every top-level entry, and of the root itself as `.`: their sum is `du -sx` of the root.

    An entry of a further root has its absolute path, and that root itself has its own. They add up in the same way.

    Left out, as `du -x` does: an entry that is another filesystem; and one that could not be looked at. A subvolume of
    btrfs is no other filesystem. None: the files are not below the root, or not all of them could be read.
    """

    def __init__(self) -> None:
        self._tally: Tally[Tree] = Tally()
        self._elsewhere: Tally[Filesystem] = Tally()

    def advance(self, difference: Difference) -> None:
        """Go on to the next snapshot."""
        before, now = difference.measured(difference.trees)
        self._note(difference.before, before, self._tally.remove, self._elsewhere.remove)
        self._note(difference.now, now, self._tally.add, self._elsewhere.add)

    @staticmethod
    def _note(
        snapshot: Snapshot,
        trees: Iterable[tuple[Tree, Measured]],
        here: Callable[[Tree, Tree, Measured], None],
        elsewhere: Callable[[Filesystem, Tree, Measured], None],
    ) -> None:
        """Add or remove trees, those on a root's own filesystem `here`."""
        is_here = snapshot.is_here
        usual = not (snapshot.mounts or snapshot.further)
        device, subvolumes = snapshot.device, snapshot.subvolumes
        for tree, measured in trees:
            if usual and tree and tree[0][:1] != "/" and (subvolumes or measured.device == device):
                here(tree[:1], tree, measured)  # as below, without a call: nearly all
            elif is_here(tree):
                length = 1 + len(root_of(tree))
                if len(tree) >= length:
                    here(tree[:length], tree, measured)
            elif (where := snapshot.filesystem_of(tree)) is not None:
                elsewhere(where, tree, measured)

    def elsewhere(self) -> dict[Filesystem, int]:
        """The disk blocks of trees that are on no root's own filesystem, in bytes, each inode once."""
        return self._elsewhere.allocated()

    def usages(self, snapshot: Snapshot) -> dict[str, Usage | None]:
        """The usages of the snapshot that these have come to."""
        tops: list[Tree] = [(), *((one.path,) for one in snapshot.further)]
        lost = {tree[: len(root_of(tree)) + 1] for tree in _heads(snapshot) if not is_within(tree, snapshot.mounts)}
        lost |= {(name,) for name in snapshot.inventory.elsewhere}
        here = [tree for tree in snapshot.inventory.top_level if tree in snapshot.measured and snapshot.is_here(tree)]
        if snapshot.unfinished:
            # What has links to trees that are not measured yet may count there.
            lost |= {tree for tree in here if self._tally.is_linked(tree)}
            here = [tree for tree in snapshot.inventory.top_level if tree in lost or tree in here]
        usages: dict[Tree, Usage | None] = {
            top: snapshot.measured[top].usage for top in tops if top in snapshot.measured
        }
        for top in tops:  # apart: each root adds up by itself
            mine = sorted(entry for entry in here if root_of(entry) == top)
            usages.update(zip(mine, self._tally.usages(mine), strict=True))
        usages.update(dict.fromkeys(lost & usages.keys()))
        return {"/".join(tree) or ".": usage for tree, usage in usages.items()}


def _heads(snapshot: Snapshot) -> Collection[Tree]:
    """The incomplete trees; the first names of each where the others make no difference: there may be many."""
    return snapshot.incomplete if snapshot.mounts else {tree[:2] for tree in snapshot.incomplete}


def place_of(snapshot: Snapshot, directory: str) -> tuple[str, str]:
    """The root of a top-level entry and its name there, `.` for the root itself. The root is "" for the data root."""
    for one in snapshot.further:
        if directory == one.path:
            return one.path, "."
        if directory.startswith(one.path.rstrip("/") + "/"):
            return one.path, directory[len(one.path.rstrip("/")) + 1 :]
    return "", directory
