"""What the blobs of a containerd image store are for, and what they occupy."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.core.content import BlobUse, ContentStore, Hold, Holder, first_marks
from exporter.core.kept import changed_keys
from exporter.core.measured import Tree
from exporter.core.model import Snapshot
from exporter.figures.difference import Difference

_BY_HOLDER: Mapping[Holder, BlobUse] = {
    Holder.IMAGE: BlobUse.IMAGE,
    # What a container, or a lease of some other program, keeps is the content of an image as well.
    Holder.CONTAINER: BlobUse.IMAGE,
    Holder.OTHER: BlobUse.IMAGE,
    Holder.BUILD: BlobUse.BUILD_CACHE,
    Holder.HISTORY: BlobUse.BUILD_HISTORY,
    Holder.PULL: BlobUse.INGEST,
    Holder.TEMPORARY: BlobUse.INGEST,
}
#: Work under way comes last: a blob that something else needs as well is no longer on its way.
_ORDER = (BlobUse.IMAGE, BlobUse.BUILD_CACHE, BlobUse.BUILD_HISTORY, BlobUse.OTHER_NAMESPACE, BlobUse.INGEST)


@dataclass(frozen=True, slots=True)
class BlobSum:
    """The blobs of one use: how many, and their disk blocks in bytes; None where those of one are not known."""

    count: int
    allocated: int | None


class BlobUses:
    """The use of each blob by digest, and the blobs of each use."""

    def __init__(self) -> None:
        self.uses: dict[str, BlobUse] = {}
        self._trees: dict[Tree, BlobUse] = {}
        self._sums: dict[BlobUse, list[int]] = {use: [0, 0, 0] for use in BlobUse}

    def advance(self, difference: Difference) -> None:
        """Go on to the next snapshot."""
        old, new = difference.before.inventory.content, difference.now.inventory.content
        if new is not old:
            self.uses = {} if new is None else uses_of_blobs(new)
        trees = {} if new is None else self._places(new)
        moved = changed_keys(self._trees, trees) | {tree for tree in difference.trees if tree in trees}
        for snapshot, uses, sign in ((difference.before, self._trees, -1), (difference.now, trees, 1)):
            for tree in moved:
                if (use := uses.get(tree)) is not None:
                    self._count(snapshot, tree, use, sign)
        self._trees = trees

    def _places(self, content: ContentStore) -> dict[Tree, BlobUse]:
        """The file of each blob. Those that are being written are directories, which count with these."""
        blobs = content.blobs
        files = {tree: use for digest, use in self.uses.items() if (tree := blobs[digest].tree) is not None}
        return files | dict.fromkeys((one.tree for one in content.ingests), BlobUse.INGEST)

    def _count(self, snapshot: Snapshot, tree: Tree, use: BlobUse, sign: int) -> None:
        """Count the bytes of disk blocks of a file, or that these are not known."""
        measured, total = snapshot.whole(tree), self._sums[use]
        total[0] += sign
        total[1] += sign * (measured is None)
        total[2] += sign * (0 if measured is None else measured.usage.allocated)

    def sums(self, content: ContentStore) -> dict[BlobUse, BlobSum]:
        """The blobs by use, of the store of the snapshot that this has come to."""
        counts = Counter(self.uses.values())
        counts[BlobUse.INGEST] += len(content.ingests)
        return {
            use: BlobSum(counts[use], None if unknown or files < counts[use] else allocated)
            for use, (files, unknown, allocated) in self._sums.items()
        }


def uses_of_blobs(content: ContentStore) -> dict[str, BlobUse]:
    """The use of each blob by digest."""
    by_use: dict[BlobUse, list[Hold]] = defaultdict(list)
    for hold in content.holds:
        by_use[_use(content, hold)].append(hold)
    found: dict[str, BlobUse] = {}
    order = {use: at for at, use in enumerate(_ORDER)}
    for node, use in first_marks(content, [(use, by_use[use]) for use in _ORDER]).items():
        if not node.snapshotter:
            known = found.get(node.name)
            if known is None or order[use] < order[known]:
                found[node.name] = use
    # What nothing keeps was written a moment ago, or is about to be collected.
    left = BlobUse.INGEST
    return {
        digest: found.get(digest) or (BlobUse.ORPHANED if digest in content.orphaned else left)
        for digest in content.blobs
    }


def _use(content: ContentStore, hold: Hold) -> BlobUse:
    """What a root of the graph is for. Without Docker all namespaces are alike."""
    use = _BY_HOLDER[hold.holder]
    own = not content.engine or hold.namespace in (content.engine, content.history)
    return use if own or use is BlobUse.INGEST else BlobUse.OTHER_NAMESPACE
