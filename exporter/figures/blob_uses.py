"""What the blobs of a containerd image store are for, and what they occupy: pure functions of a `Snapshot`."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.core.content import BlobUse, ContentStore, Hold, Holder, Marker
from exporter.core.measured import Tree
from exporter.core.model import Snapshot
from exporter.figures.build_cache import totals

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


def uses_of_blobs(content: ContentStore) -> dict[str, BlobUse]:
    """The use of each blob by digest."""
    by_use: dict[BlobUse, list[Hold]] = defaultdict(list)
    for hold in content.holds:
        by_use[_use(content, hold)].append(hold)
    marker = Marker(content)
    found: dict[str, BlobUse] = {}
    for use in _ORDER:
        for node in marker.mark(by_use[use]):
            if not node.snapshotter:
                found.setdefault(node.name, use)
    # What nothing keeps was written a moment ago, or is about to be collected.
    left = ((digest, BlobUse.ORPHANED if digest in content.orphaned else BlobUse.INGEST) for digest in content.blobs)
    return {**dict(left), **{digest: use for digest, use in found.items() if digest in content.blobs}}


def _use(content: ContentStore, hold: Hold) -> BlobUse:
    """What a root of the graph is for. Without Docker all namespaces are alike."""
    use = _BY_HOLDER[hold.holder]
    own = not content.engine or hold.namespace in (content.engine, content.history)
    return use if own or use is BlobUse.INGEST else BlobUse.OTHER_NAMESPACE


def blobs(snapshot: Snapshot, content: ContentStore, uses: Mapping[str, BlobUse]) -> dict[BlobUse, BlobSum]:
    """The blobs by use; `uses` has that of each.

    Those that are being written count with the directories that they are written in.
    """
    trees: dict[BlobUse, list[Tree | None]] = {use: [] for use in BlobUse}
    for digest, use in uses.items():
        trees[use].append(content.blobs[digest].tree)
    trees[BlobUse.INGEST] += [one.tree for one in content.ingests]
    return {use: BlobSum(len(those), _allocated(snapshot, those)) for use, those in trees.items()}


def _allocated(snapshot: Snapshot, trees: list[Tree | None]) -> int | None:
    known = [tree for tree in trees if tree is not None]
    if len(known) < len(trees) or any(snapshot.whole(tree) is None for tree in known):
        return None
    (usage,) = totals(snapshot, [known])
    return None if usage is None else usage.allocated
