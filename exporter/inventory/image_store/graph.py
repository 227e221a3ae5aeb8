"""What keeps each blob and snapshot: the roots and references of containerd's garbage collector.

Facts: containerd 2.1 core/metadata/gc.go (scanRoots, references, sendLabelRefs). Conditional references (`gc.cond`,
2.2 on) can keep more than is known here, so a snapshot that names one is kept.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from operator import is_
from typing import NamedTuple, Protocol, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from exporter.core.content import ContentStore, Hold, Holder, StoreNode
from exporter.core.kept import Edition, Joined, changed_keys, with_changes
from exporter.core.kept import Kept as KeptValues
from exporter.core.marks import Closures, Kept, Marks
from exporter.core.model import Use
from exporter.inventory.files.reader import is_id
from exporter.inventory.image_store.meta import (
    GC,
    BlobEntry,
    ContainerEntry,
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
_OF_RECORD = ("", "-variants", "-view")
_RECORD = re.compile(rf"[0-9a-z]{{25}}(?:{'|'.join(_OF_RECORD)})", re.ASCII)

#: The use of what these keep. What only others keep is pending. The first that counts is the first.
_USES = {Holder.IMAGE: Use.IMAGE, Holder.CONTAINER: Use.CONTAINER, Holder.BUILD: Use.BUILD_CACHE}
_USE_ORDER = (*_USES.values(), Use.PENDING)

Labels = Iterable[tuple[str, str]]
T = TypeVar("T")


class _Named(Protocol):
    @property
    def node(self) -> StoreNode:
        """The node of it."""


#: Objects by node, each with a node that is equal.
Nodes = Mapping[StoreNode, _Named]
_NO_NODES: Nodes = {}


class Graph(Struct):
    """The graph of one store, see `core.content.ContentStore`, from one reading to the next."""

    references: Mapping[StoreNode, tuple[StoreNode, ...]] = field(default_factory=dict)
    parents: Mapping[StoreNode, StoreNode] = field(default_factory=dict)
    holds: tuple[Hold, ...] = ()
    kept: tuple[Kept, ...] = ()
    #: The graphs of the namespaces. No edge and no root leads from one into another.
    spaces: dict[str, "SpaceGraph"] = field(default_factory=dict)
    _references: Joined[str, StoreNode, tuple[StoreNode, ...]] = field(default_factory=Joined)
    _parents: Joined[str, StoreNode, StoreNode] = field(default_factory=Joined)

    def update(self, namespaces: Mapping[str, NamespaceEntry], now: float, nodes: Nodes = _NO_NODES) -> None:
        """Make the graph of all namespaces. `now`: Unix seconds; an expired lease keeps nothing.

        `nodes`: the snapshots. Their nodes are used in the graph as well.
        """
        before, self.spaces = self.spaces, {}
        for name, entry in namespaces.items():
            # Any BuildKit keeps its history beside its own namespace, Docker's or not (buildkit v0.25
            # solver/llbsolver/history.go).
            space = before.get(name) or SpaceGraph(name, is_history=name.endswith(history_of("")))
            space.update(entry, now, nodes)
            self.spaces[name] = space
        spaces = self.spaces
        self.references = self._references.update({name: one.references for name, one in spaces.items()})
        self.parents = self._parents.update({name: one.parents for name, one in spaces.items()})
        self.holds = tuple(chain.from_iterable(one.holds for one in spaces.values()))
        whole = all(len(one.kept) == len(one.holds) for one in spaces.values())
        self.kept = tuple(chain.from_iterable(one.kept for one in spaces.values())) if whole else ()

    def blob(self, namespace: str, digest: str) -> StoreNode:
        """The node of a blob: the same object as in this graph."""
        space = self.spaces.get(namespace)
        known = None if space is None else space.blobs.get(digest)
        return StoreNode(namespace, "", digest) if known is None else known.node

    def use(self, node: StoreNode) -> Use | None:
        """The use of a blob or a snapshot that something keeps. What only work under way keeps is pending."""
        space = self.spaces.get(node.namespace)
        return None if space is None else space.uses.get(node)


def is_of_record(lease: str) -> bool:
    """Whether a lease is one of a record of BuildKit's cache."""
    return _RECORD.fullmatch(lease) is not None


def record_of(lease: str) -> str:
    """The record that such a lease is of."""
    return lease.partition("-")[0]


def leases_of_record(record: str) -> list[str]:
    """The names of all leases that a record can have."""
    return [record + suffix for suffix in _OF_RECORD]


def is_temporary(lease: LeaseEntry) -> bool:
    """Whether BuildKit made a lease for work under way."""
    return _TEMPORARY in lease.labels


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


#: Makes that of a blob or a snapshot, by its name.
Make = Callable[[str, T], _Labelled]


class SpaceGraph:
    """The graph of one namespace, from one reading to the next.

    A node is the same object wherever the graph names it: there are tens of thousands.
    """

    def __init__(self, name: str, *, is_history: bool) -> None:
        self._name = name
        self._is_history = is_history
        self._entry: NamespaceEntry | None = None
        self._over: list[str] = []
        #: In an update: the nodes of snapshots, and the nodes that it has made.
        self._nodes = _NO_NODES
        self._fresh: dict[StoreNode, StoreNode] = {}
        self._blobs: KeptValues[str, BlobEntry, _Labelled] = KeptValues()
        self._snapshots: dict[str, KeptValues[str, SnapshotEntry, _Labelled]] = {}
        self._images: KeptValues[str, ImageEntry, Hold] = KeptValues()
        self._containers: KeptValues[str, ContainerEntry, Hold] = KeptValues()
        self._leases: KeptValues[str, LeaseEntry, Hold] = KeptValues()
        #: The objects whose labels do more than refer to others, sorted; another mapping where one has changed.
        self._special: dict[StoreNode, _Labelled] = {}
        #: Leases, and whether one of these names an image.
        self._leases_seen: tuple[object, bool] = (None, False)
        #: By kind, what the roots of that kind were made of, and these.
        self._made: dict[str, tuple[tuple[object, ...], list[Hold]]] = {}
        self._plain: Mapping[StoreNode, tuple[StoreNode, ...]] = Edition()
        self._marks = Marks(_USE_ORDER)
        self._closures = Closures()
        self.references: Mapping[StoreNode, tuple[StoreNode, ...]] = self._plain
        self.parents: Mapping[StoreNode, StoreNode] = Edition()
        self.holds: Sequence[Hold] = ()
        #: What each of these keeps; empty where that is too much.
        self.kept: Sequence[Kept] = ()

    @property
    def uses(self) -> Mapping[StoreNode, Use]:
        """The use of each blob and snapshot that something keeps."""
        return self._marks.labels

    def update(self, entry: NamespaceEntry, now: float, nodes: Nodes) -> None:
        """Make the graph of what the namespace has now."""
        over = [name for name, lease in entry.leases.items() if _EXPIRE in lease.labels and _is_over(lease, now)]
        if entry is self._entry and over == self._over:
            return
        self._entry, self._over = None, over  # where this fails, the next reading makes it again
        self._nodes, self._fresh = nodes, {}
        self._renew(entry)
        self._find_back()
        self.references = with_changes(self._plain, self._special_references(entry))
        self.holds = [hold for section in self._sections(entry) for hold in section]
        self.kept = self._closures.update(self.holds, self.references, self.parents, self.uses)
        graph = ContentStore(
            references=self.references, parents=self.parents, holds=tuple(self.holds), kept=tuple(self.kept)
        )
        self._marks.update(graph, [_USES.get(hold.holder, Use.PENDING) for hold in self.holds])
        self._entry, self._nodes, self._fresh = entry, _NO_NODES, {}

    def _renew(self, entry: NamespaceEntry) -> None:
        """Renew what the labels of blobs and snapshots say, where these have changed."""
        before, now = dict[StoreNode, _Labelled](), dict[StoreNode, _Labelled]()

        def renew(kept: KeptValues[str, T, _Labelled], entries: Mapping[str, T], make: Make[T]) -> None:
            old = kept.values
            new = kept.update(entries, make)
            changed = changed_keys(new, old)
            before.update((old[key].node, old[key]) for key in changed if key in old)
            now.update((new[key].node, new[key]) for key in changed if key in new)

        renew(self._blobs, entry.blobs, self._blob_of)
        for name in self._snapshots.keys() | entry.snapshots.keys():
            kept = self._snapshots.setdefault(name, KeptValues())
            renew(kept, entry.snapshots.get(name, {}), partial(self._snapshot_of, name))
            if name not in entry.snapshots:
                del self._snapshots[name]
        special = {node: one for node, one in now.items() if one.holds or one.back or one.names}
        if special or not before.keys().isdisjoint(self._special):
            others = {node: one for node, one in self._special.items() if node not in before}
            self._special = dict(sorted((others | special).items()))
        named = {node: one.named for node, one in now.items() if one.named}
        parents = {node: one.parent for node, one in now.items() if one.parent is not None}
        self._plain = with_changes(self._plain, named, before.keys() - named.keys())
        self.parents = with_changes(self.parents, parents, before.keys() - parents.keys())

    @property
    def blobs(self) -> Mapping[str, _Named]:
        """The blobs of the namespace, by digest."""
        return self._blobs.values

    def _blob(self, digest: str) -> StoreNode:
        known = self._blobs.values.get(digest)
        if known is not None:
            return known.node
        node = StoreNode(self._name, "", digest)
        return self._fresh.setdefault(node, node)

    def _snapshot(self, snapshotter: str, key: str) -> StoreNode:
        of = self._snapshots.get(snapshotter)
        known = None if of is None else of.values.get(key)
        if known is not None:
            return known.node
        node = StoreNode(self._name, snapshotter, key)
        made = self._nodes.get(node)
        return self._fresh.setdefault(node, node) if made is None else made.node

    def _blob_of(self, digest: str, blob: BlobEntry) -> _Labelled:
        node = self._blob(digest)
        return self._labelled(node, None, blob.gc) if blob.gc else _Labelled(node)

    def _snapshot_of(self, snapshotter: str, key: str, snapshot: SnapshotEntry) -> _Labelled:
        node = self._snapshot(snapshotter, key)
        parent = self._snapshot(snapshotter, snapshot.parent) if snapshot.parent else None
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

    def _find_back(self) -> None:
        """Find what refers to its owner by itself."""
        self._of_owner: dict[StoreNode, list[StoreNode]] = defaultdict(list)
        self._of_container: dict[str, list[StoreNode]] = defaultdict(list)
        self._of_image: dict[str, list[StoreNode]] = defaultdict(list)
        for node, one in self._special.items():
            for label, value in one.back:
                if _is(label, _BACK_CONTENT):
                    self._of_owner[self._blob(value)].append(node)
                elif label.startswith(_BACK_SNAPSHOT):
                    self._of_owner[self._snapshot(_snapshotter(label, _BACK_SNAPSHOT), value)].append(node)
                elif _is(label, _BACK_CONTAINER):
                    self._of_container[value].append(node)
                elif _is(label, _BACK_IMAGE):
                    self._of_image[value].append(node)

    def _sections(self, entry: NamespaceEntry) -> Iterator[Sequence[Hold]]:
        """All roots. Those of one kind are made again only where what they are made of is another object."""
        for kind, make, sources in (
            ("special", self._holds_of_special, (self._special,)),
            ("images", self._holds_of_images, (entry.images, self._special)),
            ("containers", self._holds_of_containers, (entry.containers, entry.images, self._special)),
            ("leases", self._holds_of_leases, (entry.leases, self._named_by_leases(entry), *self._over)),
            ("sandboxes", self._sandboxes, (entry.sandboxes, entry.images)),
        ):
            known = self._made.get(kind)
            if known is None or len(known[0]) != len(sources) or not all(map(is_, known[0], sources)):
                self._made[kind] = known = sources, [*make(entry)]
            yield known[1]

    def _named_by_leases(self, entry: NamespaceEntry) -> object:
        """The images, where a lease names one: an image can become another one."""
        if entry.leases is not self._leases_seen[0]:
            self._leases_seen = entry.leases, any(one.images for one in entry.leases.values())
        return entry.images if self._leases_seen[1] else None

    def _holds_of_special(self, _entry: NamespaceEntry) -> Iterator[Hold]:
        for one in self._special.values():
            yield from one.holds

    def _special_references(self, entry: NamespaceEntry) -> dict[StoreNode, tuple[StoreNode, ...]]:
        """The references that depend on more than the labels of one object."""
        found = {
            node: tuple(self._named(self._labels_of(entry, node), entry.images))
            for node, one in self._special.items()
            if one.names
        }
        for owner, nodes in self._of_owner.items():
            found[owner] = (*found.get(owner, self._plain.get(owner, ())), *nodes)
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
                yield self._snapshot(_snapshotter(label, _SNAPSHOT), value)
            elif _is(label, _IMAGE) and (image := images.get(value)) is not None:
                yield self._blob(image.target)

    def _holds_of_images(self, entry: NamespaceEntry) -> Iterator[Hold]:
        """The images. One whose time is over is kept here: the engine shows it until it is collected."""
        known = self._images.update(entry.images, self._image)
        for name, image in entry.images.items():
            yield self._with_others(known[name], image.labels, entry.images, self._of_image.get(name, ()))

    def _image(self, name: str, image: ImageEntry) -> Hold:
        """What an image keeps, but for images, which can become others."""
        nodes = (self._blob(image.target), *self._named(image.labels.items(), {}))
        return Hold(self._name, Holder.IMAGE, name, nodes)

    def _holds_of_containers(self, entry: NamespaceEntry) -> Iterator[Hold]:
        known = self._containers.update(entry.containers, self._container)
        for name, container in entry.containers.items():
            hold = self._with_others(known[name], container.labels, entry.images, self._of_container.get(name, ()))
            if hold.nodes:
                yield hold

    def _container(self, name: str, container: ContainerEntry) -> Hold:
        """What a container keeps, but for images, which can become others."""
        own = () if container.snapshot is None else (self._snapshot(*container.snapshot),)
        nodes = (*own, *self._named(container.labels.items(), {}))
        return Hold(self._name, Holder.CONTAINER, name, nodes)

    def _with_others(
        self, hold: Hold, labels: Mapping[str, str], images: Mapping[str, ImageEntry], back: Sequence[StoreNode]
    ) -> Hold:
        """A root with the images that its labels name, and with what refers to its owner by itself."""
        names = [(label, value) for label, value in labels.items() if label.startswith(_IMAGE)]
        if not names and not back:
            return hold
        return replace(hold, nodes=(*hold.nodes, *self._named(names, images), *back))

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
        nodes = (*map(self._blob, lease.content), *(self._snapshot(*key) for key in lease.snapshots))
        holder = self._holder(name, lease)
        # That of an image that is mounted in a container is named after both.
        owner = name[:_ID_LENGTH] if holder is Holder.CONTAINER else name
        return Hold(self._name, holder, owner, nodes, flat=_FLAT in lease.labels)

    def _holder(self, name: str, lease: LeaseEntry) -> Holder:
        if is_of_record(name) and not self._is_history:
            return Holder.BUILD
        if _PULL in lease.labels:
            return Holder.PULL
        # Logs and traces have such leases, too, until they are those of a build (buildkit v0.25 history.go).
        if is_temporary(lease) or _EXPIRE in lease.labels:
            return Holder.TEMPORARY
        if self._is_history:
            return Holder.HISTORY
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
