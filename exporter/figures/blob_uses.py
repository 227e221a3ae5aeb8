"""What the blobs of a containerd image store are for, and what they occupy."""

from collections.abc import Mapping

from msgspec import Struct

from exporter.core.content import Blob, BlobUse, ContentStore, Hold, Holder, StoreNode
from exporter.core.kept import changed_keys
from exporter.core.measured import Tree
from exporter.core.model import Snapshot
from exporter.core.splices import splice
from exporter.figures.difference import Difference
from exporter.figures.stages import Stages

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

_NOTHING = ContentStore()


class BlobSum(Struct, frozen=True):
    """The blobs of one use: how many, and their disk blocks in bytes; None where those of one are not known."""

    count: int
    allocated: int | None


class BlobUses:
    """The use of each blob by digest, and the blobs of each use."""

    def __init__(self) -> None:
        self.uses: dict[str, BlobUse] = {}
        self._stages = Stages(lambda node: not node.snapshotter)
        self._of_roots = b""
        self._spaces = set[str]()
        self._files: dict[Tree, str] = {}
        #: By use, how many blobs there are, of how many the disk blocks are not known, and the bytes of the others.
        self._sums: dict[BlobUse, list[int]] = {use: [0, 0, 0] for use in BlobUse}

    def advance(self, difference: Difference) -> None:
        """Go on to the next snapshot."""
        old, new = (one.inventory.content or _NOTHING for one in (difference.before, difference.now))
        moved = set(changed_keys(new.blobs, old.blobs))
        kept = self._keep(old, new) if new is not old else set()
        changed = moved | {digest for digest in kept if digest in old.blobs or digest in new.blobs}
        changed |= set(difference.touched(self._files))
        for digest in changed:
            if digest in old.blobs:
                self._count(difference.before, old.blobs[digest], -1)
        for digest in changed:
            if digest in new.blobs:
                self.uses[digest] = self._use(new, digest)
                self._count(difference.now, new.blobs[digest], 1)
            else:
                del self.uses[digest]

    def _keep(self, old: ContentStore, new: ContentStore) -> set[str]:
        """Go on with what keeps the blobs; return the digests of which that has changed, or may have."""
        self._of_roots = _stages_of(old, self._of_roots, new)
        moved = self._stages.update(new, self._of_roots)
        self._spaces.update(node.namespace for node in moved)
        return {node.name for node in moved} | (old.orphaned ^ new.orphaned)

    def _use(self, content: ContentStore, digest: str) -> BlobUse:
        known = (self._stages.stages.get(StoreNode(space, "", digest)) for space in self._spaces)
        first = min((stage for stage in known if stage is not None), default=None)
        if first is not None:
            return _ORDER[first]
        # What nothing keeps was written a moment ago, or is about to be collected.
        return BlobUse.ORPHANED if digest in content.orphaned else BlobUse.INGEST

    def _count(self, snapshot: Snapshot, blob: Blob, sign: int) -> None:
        """Count a blob with the bytes of disk blocks of its file, or that these are not known."""
        measured, total = snapshot.whole(blob.tree), self._sums[self.uses[blob.digest]]
        total[0] += sign
        total[1] += sign * (measured is None)
        total[2] += sign * (0 if measured is None else measured.usage.allocated)
        if blob.tree is not None and sign > 0:
            self._files[blob.tree] = blob.digest
        elif blob.tree is not None:
            del self._files[blob.tree]

    def sums(self, snapshot: Snapshot) -> dict[BlobUse, BlobSum]:
        """The blobs by use, of the snapshot that this has come to. Those being written count with the ingests."""
        content = snapshot.inventory.content or _NOTHING
        written = [snapshot.whole(one.tree) for one in content.ingests]
        sums = {use: tuple(total) for use, total in self._sums.items()}
        count, unknown, allocated = sums[BlobUse.INGEST]
        more = sum(0 if one is None else one.usage.allocated for one in written)
        sums[BlobUse.INGEST] = count + len(written), unknown + written.count(None), allocated + more
        return {use: BlobSum(count, None if unknown else size) for use, (count, unknown, size) in sums.items()}


def _stages_of(old: ContentStore, known: bytes, new: ContentStore) -> bytes:
    """The place in `_ORDER` of the use that each root makes; `known` are those of the roots before."""
    if (old.engine, old.history) != (new.engine, new.history):
        return bytes(_ORDER.index(_use(new, hold)) for hold in new.holds)
    start, end_before, end_now = splice(old.holds, new.holds)
    come = bytes(_ORDER.index(_use(new, hold)) for hold in new.holds[start:end_now])
    return known[:start] + come + known[end_before:]


def _use(content: ContentStore, hold: Hold) -> BlobUse:
    """What a root of the graph is for. Without Docker all namespaces are alike."""
    use = _BY_HOLDER[hold.holder]
    own = not content.engine or hold.namespace in (content.engine, content.history)
    return use if own or use is BlobUse.INGEST else BlobUse.OTHER_NAMESPACE
