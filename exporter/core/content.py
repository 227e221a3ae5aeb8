"""A containerd image store: its blobs, its build history, and what keeps each blob and snapshot from being removed.

containerd removes what nothing keeps: its garbage collector marks from the roots of each namespace along references
(containerd 2.1 core/metadata/gc.go). The same graph says here which use an object has, and what a prune frees.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple, TypeVar

from msgspec import Struct, field

from exporter.core.measured import Tree
from exporter.core.states import LayerKey

Label = TypeVar("Label")

#: The snapshotters that keep each snapshot as a directory with its files, and the directory in there that has them.
WALKABLE: Mapping[str, tuple[str, ...]] = {"overlayfs": ("fs",), "native": ()}


class StoreNode(NamedTuple):
    """A blob or a snapshot as one namespace knows it.

    `snapshotter` is "" for a blob. `name` is the digest of a blob, the key of a snapshot.
    """

    namespace: str
    snapshotter: str
    name: str


class Holder(StrEnum):
    """What keeps an object. `name` of a `Hold` is the name of an image, or the id of a container, record or lease.

    `IMAGE`: an image. `CONTAINER`: a container, or the lease that Docker makes for one. `BUILD`: the lease of a record
    of BuildKit's cache, or of a part of one. `HISTORY`: a lease of the build history. `TEMPORARY`: a
    lease of work under way, which ends by itself. `PULL`: such a lease of Docker's own; it stays after a pull that was
    cut off, and `docker image prune` removes it. `OTHER`: any other lease, and objects that are marked to be kept.
    """

    IMAGE = "image"
    CONTAINER = "container"
    BUILD = "build"
    HISTORY = "history"
    TEMPORARY = "temporary"
    PULL = "pull"
    OTHER = "other"


class Hold(Struct, frozen=True):
    """One root of the garbage collector. `flat`: of what it names, only the parents of snapshots are kept as well."""

    namespace: str
    holder: Holder
    name: str
    nodes: tuple[StoreNode, ...]
    flat: bool = False


class Blob(Struct, frozen=True, gc=False):
    """One blob, of which there is one file for all namespaces.

    `tree`: its file; None where there is none. `size`: its bytes as the store wrote them down. `namespaces`: those
    that know it.
    """

    digest: str
    tree: Tree | None
    size: int | None
    namespaces: tuple[str, ...] = ()


class Ingest(Struct, frozen=True):
    """A blob that is being written, or the rest of one. `total`: the bytes that it will have, None if not known."""

    tree: Tree
    reference: str = ""
    total: int | None = None


class HistoryEntry(Struct, frozen=True):
    """One entry of the build history, by the id of the build; `created` is Unix seconds."""

    id: str
    created: float | None = None


class BlobUse(StrEnum):
    """The use of a blob; one with several uses counts for the first of these.

    `OTHER_NAMESPACE`: only namespaces need it that are not those of the engine. `INGEST` has blobs on their way, too,
    which nothing but work under way needs, and those that have been needed by nothing for less than the grace time.
    """

    IMAGE = "image"
    BUILD_CACHE = "build_cache"
    BUILD_HISTORY = "build_history"
    INGEST = "ingest"
    OTHER_NAMESPACE = "other_namespace"
    ORPHANED = "orphaned"


class ContentStore(Struct, frozen=True):
    """One containerd image store, as its databases describe it.

    `home`: where it is. `engine`: Docker's namespace, "" where the store serves no Docker. `history`: the namespace
    of its build history. `entries`: the builds in there, None where they are not known; `unlisted`: the leases in
    there that are of none of them. `namespaces`: all that have objects, sorted. `references`: the edges of the graph
    but those from a snapshot to its parent, which are `parents`. `layers`: the layer that is the snapshot of a node,
    where there is one. `trees`: what is removed together with a node. `orphaned`: the blobs without any use for the
    whole grace time, by digest. `files`: the trees of the store itself, its databases and what else is no blob and no
    snapshot.
    """

    home: Tree = ()
    engine: str = ""
    history: str = ""
    namespaces: tuple[str, ...] = ()
    blobs: Mapping[str, Blob] = field(default_factory=dict)
    ingests: tuple[Ingest, ...] = ()
    entries: tuple[HistoryEntry, ...] | None = ()
    unlisted: frozenset[str] = frozenset()
    references: Mapping[StoreNode, tuple[StoreNode, ...]] = field(default_factory=dict)
    parents: Mapping[StoreNode, StoreNode] = field(default_factory=dict)
    holds: tuple[Hold, ...] = ()
    #: What each of these keeps, in the same order; empty where that would be too much to be kept.
    kept: tuple[tuple[StoreNode, ...], ...] = ()
    layers: Mapping[StoreNode, LayerKey] = field(default_factory=dict)
    trees: Mapping[StoreNode, tuple[Tree, ...]] = field(default_factory=dict)
    orphaned: frozenset[str] = frozenset()
    files: tuple[Tree, ...] = ()

    def marked(self, holds: Iterable[Hold]) -> set[StoreNode]:
        """What these roots keep: all that the garbage collector would leave if there were no others."""
        return set(first_marks(self, [(None, holds)]))


def first_marks(content: ContentStore, stages: Iterable[tuple[Label, Iterable[Hold]]]) -> dict[StoreNode, Label]:
    """All that roots keep, each with the label of the first of these stages that keeps it.

    A root that is `flat` keeps what it names, and of that the parents of snapshots; of what any other root keeps, all
    that it refers to is kept as well.
    """
    found: dict[StoreNode, Label] = {}
    #: Of these, what they refer to is marked as well.
    passed: set[StoreNode] = set()
    references, parents = content.references.get, content.parents.get
    for label, holds in stages:
        pending: list[StoreNode] = []
        for hold in holds:
            if not hold.flat:
                pending += hold.nodes
                continue
            for node in hold.nodes:
                at: StoreNode | None = node
                while at is not None and at not in found:
                    found[at] = label
                    at = parents(at)
        while pending:
            node = pending.pop()
            if node in passed:
                continue
            passed.add(node)
            found.setdefault(node, label)
            if further := references(node):
                pending += further
            if (parent := parents(node)) is not None:
                pending.append(parent)
    return found
