"""What keeps each blob and snapshot: the roots and references of containerd's garbage collector.

Facts: containerd 2.1 core/metadata/gc.go (scanRoots, references, sendLabelRefs). Conditional references (`gc.cond`,
2.2 on) can keep more than is known here, so a snapshot that names one is kept.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from exporter.core.content import Hold, Holder, StoreNode
from exporter.inventory.files.reader import is_id
from exporter.inventory.image_store.meta import GC, ImageEntry, LeaseEntry, NamespaceEntry

_CONTENT, _SNAPSHOT, _IMAGE = f"{GC}ref.content", f"{GC}ref.snapshot.", f"{GC}ref.image"
_BACK_CONTENT, _BACK_SNAPSHOT = f"{GC}bref.content", f"{GC}bref.snapshot."
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


def make_graph(namespaces: Mapping[str, NamespaceEntry], now: float) -> Graph:
    """Make the graph of all namespaces. `now`: Unix seconds; an expired lease keeps nothing."""
    graph = Graph()
    for name, entry in namespaces.items():
        # Any BuildKit keeps its history beside its own namespace, Docker's or not (buildkit v0.25
        # solver/llbsolver/history.go).
        _Space(graph, name, entry, is_history=name.endswith(history_of("")), now=now).add()
    return graph


def is_of_record(lease: str) -> bool:
    """Whether a lease is one of a record of BuildKit's cache."""
    return _RECORD.fullmatch(lease) is not None


def history_of(engine: str) -> str:
    """The namespace of the build history (moby 28 builder/builder-next/controller.go)."""
    return f"{engine}_history"


class _Space:
    """Adds the objects of one namespace to a graph."""

    def __init__(self, graph: Graph, name: str, entry: NamespaceEntry, *, is_history: bool, now: float) -> None:
        self._graph = graph
        self._name = name
        self._entry = entry
        self._is_history = is_history
        self._now = now
        #: What refers to its owner by itself.
        self._of_blob: dict[str, list[StoreNode]] = defaultdict(list)
        self._of_snapshot: dict[StoreNode, list[StoreNode]] = defaultdict(list)
        self._of_container: dict[str, list[StoreNode]] = defaultdict(list)
        self._of_image: dict[str, list[StoreNode]] = defaultdict(list)

    def add(self) -> None:
        """Add everything."""
        graph, entry = self._graph, self._entry
        references: dict[StoreNode, list[StoreNode]] = {}
        for digest, blob in entry.blobs.items():
            if blob.gc:
                self._add_labels(self._blob(digest), blob.gc, references)
        for snapshotter, entries in entry.snapshots.items():
            for key, snapshot in entries.items():
                node = StoreNode(self._name, snapshotter, key)
                if snapshot.parent:
                    graph.parents[node] = StoreNode(self._name, snapshotter, snapshot.parent)
                if snapshot.gc:
                    self._add_labels(node, snapshot.gc, references)
        for digest, nodes in self._of_blob.items():
            references.setdefault(self._blob(digest), []).extend(nodes)
        for owner, nodes in self._of_snapshot.items():
            references.setdefault(owner, []).extend(nodes)
        graph.references.update((node, tuple(found)) for node, found in references.items() if found)
        graph.holds += self._images()
        graph.holds += self._containers()
        graph.holds += self._leases()
        graph.holds += self._sandboxes()

    def _blob(self, digest: str) -> StoreNode:
        return StoreNode(self._name, "", digest)

    def _add_labels(self, node: StoreNode, labels: Labels, references: dict[StoreNode, list[StoreNode]]) -> None:
        """Add what the labels of a blob or a snapshot refer to, and what refers to it by itself."""
        found = list(self._named(labels))
        if found:
            references[node] = found
        for label, value in labels:
            if label.startswith(_CONTENT):
                continue
            if label.startswith((_ROOT, _CONDITION)):
                self._graph.holds.append(Hold(self._name, Holder.OTHER, node.name, (node,)))
            elif _is(label, _BACK_CONTENT):
                self._of_blob[value].append(node)
            elif label.startswith(_BACK_SNAPSHOT):
                owner = StoreNode(self._name, _snapshotter(label, _BACK_SNAPSHOT), value)
                self._of_snapshot[owner].append(node)
            elif _is(label, _BACK_CONTAINER):
                self._of_container[value].append(node)
            elif _is(label, _BACK_IMAGE):
                self._of_image[value].append(node)

    def _named(self, labels: Labels) -> Iterator[StoreNode]:
        """What labels refer to."""
        for label, value in labels:
            if _is(label, _CONTENT):
                yield self._blob(value)
            elif label.startswith(_SNAPSHOT):
                yield StoreNode(self._name, _snapshotter(label, _SNAPSHOT), value)
            elif _is(label, _IMAGE) and (image := self._entry.images.get(value)) is not None:
                yield self._blob(image.target)

    def _images(self) -> Iterator[Hold]:
        """The images. One whose time is over is kept here: the engine shows it until it is collected."""
        for name, image in self._entry.images.items():
            yield Hold(self._name, Holder.IMAGE, name, self._of_entry(name, image))

    def _of_entry(self, name: str, image: ImageEntry) -> tuple[StoreNode, ...]:
        return (self._blob(image.target), *self._named(image.labels.items()), *self._of_image.get(name, ()))

    def _containers(self) -> Iterator[Hold]:
        for name, container in self._entry.containers.items():
            own = () if container.snapshot is None else (StoreNode(self._name, *container.snapshot),)
            nodes = (*own, *self._named(container.labels.items()), *self._of_container.get(name, ()))
            if nodes:
                yield Hold(self._name, Holder.CONTAINER, name, nodes)

    def _leases(self) -> Iterator[Hold]:
        for name, lease in self._entry.leases.items():
            if _is_over(lease, self._now):
                continue
            images = (self._entry.images[image] for image in lease.images if image in self._entry.images)
            nodes = (
                *map(self._blob, lease.content),
                *(StoreNode(self._name, *key) for key in lease.snapshots),
                *(self._blob(image.target) for image in images),
            )
            holder = self._holder(name, lease)
            # That of an image that is mounted in a container is named after both.
            owner = name[:_ID_LENGTH] if holder is Holder.CONTAINER else name
            yield Hold(self._name, holder, owner, nodes, flat=_FLAT in lease.labels)

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

    def _sandboxes(self) -> Iterator[Hold]:
        for name, labels in self._entry.sandboxes.items():
            if nodes := tuple(self._named(labels.items())):
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
