"""What keeps each blob and snapshot: the roots and references of containerd's garbage collector.

Facts: containerd 2.1 core/metadata/gc.go (scanRoots, references, sendLabelRefs). Conditional references (`gc.cond`,
2.2 on) can keep more than is known here, so a snapshot that names one is kept.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import NamedTuple

from exporter.core.content import Hold, Holder, StoreNode
from exporter.core.kept import Kept
from exporter.core.model import Use
from exporter.inventory.files.reader import is_id
from exporter.inventory.image_store.meta import (
    GC,
    BlobEntry,
    ImageEntry,
    LeaseEntry,
    NamespaceEntry,
    SnapshotEntry,
)

_CONTENT, _SNAPSHOT, _IMAGE = f"{GC}ref.content", f"{GC}ref.snapshot.", f"{GC}ref.image"
_BACK_CONTENT, _BACK_SNAPSHOT = f"{GC}bref.content", f"{GC}bref.snapshot."
_BACK = f"{GC}bref."
_BACK_CONTAINER, _BACK_IMAGE = f"{GC}bref.container", f"{GC}bref.image"
_ROOT, _EXPIRE, _FLAT, _CONDITION = f"{GC}root", f"{GC}expire", f"{GC}flat", f"{GC}cond"
_ID_LENGTH = 64
_TEMPORARY = "buildkit/lease.temporary"
#: Docker's own lease of a pull or a load (moby 28 daemon/containerd/leases.go).
_PULL = "moby/prune.images"
#: The leases of a record of BuildKit's cache (buildkit v0.25 cache/manager.go, cache/refs.go).
_RECORD = re.compile(r"[0-9a-z]{25}(?:-variants|-view)?", re.ASCII)

Labels = Iterable[tuple[str, str]]


@dataclass(slots=True)
class Graph:
    """The graph of one store, see `core.content.ContentStore`."""

    references: dict[StoreNode, tuple[StoreNode, ...]] = field(default_factory=dict)
    parents: dict[StoreNode, StoreNode] = field(default_factory=dict)
    holds: list[Hold] = field(default_factory=list)
    #: The graphs of the namespaces. No edge and no root leads from one into another.
    spaces: list["SpaceGraph"] = field(default_factory=list)


def make_graph(namespaces: Mapping[str, NamespaceEntry], now: float, known: dict[str, "SpaceGraph"]) -> Graph:
    """Make the graph of all namespaces. `now`: Unix seconds; an expired lease keeps nothing.

    `known` is what an earlier call has left there.
    """
    for gone in known.keys() - namespaces.keys():
        del known[gone]
    graph = Graph()
    for name, entry in namespaces.items():
        # Any BuildKit keeps its history beside its own namespace, Docker's or not (buildkit v0.25
        # solver/llbsolver/history.go).
        space = known.get(name)
        if space is None:
            space = known[name] = SpaceGraph(name, is_history=name.endswith(history_of("")))
        space.update(entry, now)
        graph.spaces.append(space)
        graph.references.update(space.references)
        graph.parents.update(space.parents)
        graph.holds += space.holds
    return graph


def is_of_record(lease: str) -> bool:
    """Whether a lease is one of a record of BuildKit's cache."""
    return _RECORD.fullmatch(lease) is not None


def history_of(engine: str) -> str:
    """The namespace of the build history (moby 28 builder/builder-next/controller.go)."""
    return f"{engine}_history"


class _Labelled(NamedTuple):
    """A blob or a snapshot, and what its labels say: what it refers to, and what it wants to be kept by.

    `names`: it refers to images, which can become others.
    """

    node: StoreNode
    parent: StoreNode | None = None
    named: tuple[StoreNode, ...] = ()
    holds: tuple[Hold, ...] = ()
    back: Labels = ()
    names: bool = False


class SpaceGraph:
    """The graph of one namespace, from one reading to the next."""

    def __init__(self, name: str, *, is_history: bool) -> None:
        self._name = name
        self._is_history = is_history
        self._entry: NamespaceEntry | None = None
        self._over: list[str] = []
        self._blobs: Kept[str, BlobEntry, _Labelled] = Kept()
        self._snapshots: dict[str, Kept[str, SnapshotEntry, _Labelled]] = {}
        self._leases: Kept[str, LeaseEntry, Hold] = Kept()
        self.references: Mapping[StoreNode, tuple[StoreNode, ...]] = {}
        self.parents: Mapping[StoreNode, StoreNode] = {}
        self.holds: Sequence[Hold] = ()
        #: What was worked out of this graph; whoever does that puts it here.
        self.uses: dict[StoreNode, Use] | None = None
        #: The digests of the blobs among these.
        self.used: set[str] = set()

    @property
    def blobs(self) -> Mapping[str, _Labelled]:
        """The blobs by digest."""
        return self._blobs.values

    def update(self, entry: NamespaceEntry, now: float) -> None:
        """Make the graph of what the namespace has now."""
        over = [name for name, lease in entry.leases.items() if _EXPIRE in lease.labels and _is_over(lease, now)]
        if entry is self._entry and over == self._over:
            return
        self._entry, self._over, self.uses = entry, over, None
        #: What refers to its owner by itself.
        self._of_blob: dict[str, list[StoreNode]] = defaultdict(list)
        self._of_snapshot: dict[StoreNode, list[StoreNode]] = defaultdict(list)
        self._of_container: dict[str, list[StoreNode]] = defaultdict(list)
        self._of_image: dict[str, list[StoreNode]] = defaultdict(list)
        blobs = self._blobs.update(entry.blobs, self._blob_of).values()
        snapshots = [one for many in self._of_snapshotters(entry) for one in many]
        special = sorted(one for one in (*blobs, *snapshots) if one.holds or one.back or one.names)
        for one in special:
            self._add_back(one)
        references = {one.node: one.named for one in (*blobs, *snapshots) if one.named}
        if special:
            references.update(self._special(entry, special, references))
        self.references = references
        self.parents = {one.node: one.parent for one in snapshots if one.parent is not None}
        self.holds = [
            *(hold for one in special for hold in one.holds),
            *self._images(entry),
            *self._containers(entry),
            *self._holds_of_leases(entry),
            *self._sandboxes(entry),
        ]

    def _of_snapshotters(self, entry: NamespaceEntry) -> Iterator[Iterable[_Labelled]]:
        for gone in self._snapshots.keys() - entry.snapshots.keys():
            del self._snapshots[gone]
        for name, entries in entry.snapshots.items():
            kept = self._snapshots.setdefault(name, Kept())
            yield kept.update(entries, partial(self._snapshot_of, name)).values()

    def _blob(self, digest: str) -> StoreNode:
        return StoreNode(self._name, "", digest)

    def _blob_of(self, digest: str, blob: BlobEntry) -> _Labelled:
        node = self._blob(digest)
        return self._labelled(node, None, blob.gc) if blob.gc else _Labelled(node)

    def _snapshot_of(self, snapshotter: str, key: str, snapshot: SnapshotEntry) -> _Labelled:
        node = StoreNode(self._name, snapshotter, key)
        parent = StoreNode(self._name, snapshotter, snapshot.parent) if snapshot.parent else None
        return self._labelled(node, parent, snapshot.gc) if snapshot.gc else _Labelled(node, parent)

    def _labelled(self, node: StoreNode, parent: StoreNode | None, labels: tuple[tuple[str, str], ...]) -> _Labelled:
        """What the labels of a blob or a snapshot say, but for images, which can become others."""
        holds = [label for label, _ in labels if label.startswith((_ROOT, _CONDITION))]
        return _Labelled(
            node,
            parent,
            tuple(self._named(labels, {})),
            tuple(Hold(self._name, Holder.OTHER, node.name, (node,)) for _ in holds),
            tuple((label, value) for label, value in labels if label.startswith(_BACK)),
            any(_is(label, _IMAGE) for label, _ in labels),
        )

    def _add_back(self, one: _Labelled) -> None:
        """Note what refers to its owner by itself."""
        for label, value in one.back:
            if _is(label, _BACK_CONTENT):
                self._of_blob[value].append(one.node)
            elif label.startswith(_BACK_SNAPSHOT):
                owner = StoreNode(self._name, _snapshotter(label, _BACK_SNAPSHOT), value)
                self._of_snapshot[owner].append(one.node)
            elif _is(label, _BACK_CONTAINER):
                self._of_container[value].append(one.node)
            elif _is(label, _BACK_IMAGE):
                self._of_image[value].append(one.node)

    def _special(
        self,
        entry: NamespaceEntry,
        special: Iterable[_Labelled],
        references: Mapping[StoreNode, tuple[StoreNode, ...]],
    ) -> dict[StoreNode, tuple[StoreNode, ...]]:
        """The references that depend on more than the labels of one object."""
        found = {
            one.node: tuple(self._named(self._labels_of(entry, one.node), entry.images)) for one in special if one.names
        }
        for owner, nodes in (
            *((self._blob(digest), of) for digest, of in self._of_blob.items()),
            *self._of_snapshot.items(),
        ):
            found[owner] = (*found.get(owner, references.get(owner, ())), *nodes)
        return found

    @staticmethod
    def _labels_of(entry: NamespaceEntry, node: StoreNode) -> Labels:
        return entry.snapshots[node.snapshotter][node.name].gc if node.snapshotter else entry.blobs[node.name].gc

    def _named(self, labels: Labels, images: Mapping[str, ImageEntry]) -> Iterator[StoreNode]:
        """What labels refer to."""
        for label, value in labels:
            if _is(label, _CONTENT):
                yield self._blob(value)
            elif label.startswith(_SNAPSHOT):
                yield StoreNode(self._name, _snapshotter(label, _SNAPSHOT), value)
            elif _is(label, _IMAGE) and (image := images.get(value)) is not None:
                yield self._blob(image.target)

    def _images(self, entry: NamespaceEntry) -> Iterator[Hold]:
        """The images. One whose time is over is kept here: the engine shows it until it is collected."""
        for name, image in entry.images.items():
            named = self._named(image.labels.items(), entry.images)
            nodes = (self._blob(image.target), *named, *self._of_image.get(name, ()))
            yield Hold(self._name, Holder.IMAGE, name, nodes)

    def _containers(self, entry: NamespaceEntry) -> Iterator[Hold]:
        for name, container in entry.containers.items():
            own = () if container.snapshot is None else (StoreNode(self._name, *container.snapshot),)
            named = self._named(container.labels.items(), entry.images)
            nodes = (*own, *named, *self._of_container.get(name, ()))
            if nodes:
                yield Hold(self._name, Holder.CONTAINER, name, nodes)

    def _holds_of_leases(self, entry: NamespaceEntry) -> Iterator[Hold]:
        over = {*self._over}
        known = self._leases.update(entry.leases, self._lease)
        for name in entry.leases:
            if name in over:
                continue
            hold = known[name]
            images = entry.leases[name].images
            found = [entry.images[image] for image in images if image in entry.images] if images else ()
            if found:
                nodes = (*hold.nodes, *(self._blob(image.target) for image in found))
                yield Hold(self._name, hold.holder, hold.name, nodes, hold.flat)
            else:
                yield hold

    def _lease(self, name: str, lease: LeaseEntry) -> Hold:
        """What a lease keeps, but for images, which can become others."""
        nodes = (*map(self._blob, lease.content), *(StoreNode(self._name, *key) for key in lease.snapshots))
        holder = self._holder(name, lease)
        # That of an image that is mounted in a container is named after both.
        owner = name[:_ID_LENGTH] if holder is Holder.CONTAINER else name
        return Hold(self._name, holder, owner, nodes, flat=_FLAT in lease.labels)

    def _holder(self, name: str, lease: LeaseEntry) -> Holder:
        if self._is_history:
            return Holder.HISTORY
        if is_of_record(name):
            return Holder.BUILD
        if _PULL in lease.labels:
            return Holder.PULL
        if _TEMPORARY in lease.labels or _EXPIRE in lease.labels:
            return Holder.TEMPORARY
        # That of an image that a container has mounted is named by both (moby 28 daemon/mounts.go).
        rest = name[_ID_LENGTH:]
        return Holder.CONTAINER if is_id(name[:_ID_LENGTH]) and rest[:1] in ("", "-") else Holder.OTHER

    def _sandboxes(self, entry: NamespaceEntry) -> Iterator[Hold]:
        for name, labels in entry.sandboxes.items():
            if nodes := tuple(self._named(labels.items(), entry.images)):
                yield Hold(self._name, Holder.CONTAINER, name, nodes)


def _is(label: str, prefix: str) -> bool:
    """Whether a label is this one, or this one with a name after a dot or a slash."""
    return label.startswith(prefix) and label[len(prefix) : len(prefix) + 1] in ("", ".", "/")


def _snapshotter(label: str, prefix: str) -> str:
    return label.removeprefix(prefix).partition("/")[0]


def _is_over(lease: LeaseEntry, now: float) -> bool:
    """Whether a lease has expired. One with a time that cannot be read never does (gc.go)."""
    given = lease.labels.get(_EXPIRE)
    if given is None:
        return False
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        return False
    return moment.tzinfo is not None and moment.timestamp() < now
