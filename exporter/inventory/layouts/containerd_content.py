"""The contents of a containerd image store as one value: blobs, ingests, and what keeps what."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from exporter.core.content import Blob, ContentStore, HistoryEntry, Hold, Holder, Marker, StoreNode
from exporter.core.measured import Tree
from exporter.core.model import Container, LayerId, LayerKey, Use
from exporter.inventory.image_store.graph import Graph, history_of
from exporter.inventory.image_store.meta import NamespaceEntry
from exporter.inventory.image_store.store import CONTENT, METADATA, ROWS_FILE, SNAPSHOTTER, StoreFiles
from exporter.inventory.layouts.claims import Grace
from exporter.inventory.layouts.containerd_snapshots import SnapshotLayers, Snapshots

DEFAULT_NAMESPACE = "moby"
_HISTORY_LEASE = "ref_"
#: The use of what these keep, the first that counts first. What only others keep is pending.
_USES = {Holder.IMAGE: Use.IMAGE, Holder.CONTAINER: Use.CONTAINER, Holder.BUILD: Use.BUILD_CACHE}


def find_engine(files: StoreFiles, containers: Iterable[Container]) -> str:
    """Docker's namespace: the one with snapshots for its containers, else the one that it takes by default.

    Another one is configured (`--containerd-namespace`), or has the ids of a remapped user added to the default
    (moby 28 daemon/daemon.go, NewDaemon).
    """
    ids = {str(one.id) for one in containers}
    matched = {
        name: sum(len(ids & entries.keys()) for entries in space.snapshots.values())
        for name, space in files.namespaces.items()
    }
    best = max(sorted(matched), key=lambda name: matched[name], default="")
    if best and matched[best]:
        return best
    named = [one for one in sorted(matched) if one.startswith(DEFAULT_NAMESPACE) and not one.endswith(history_of(""))]
    return DEFAULT_NAMESPACE if DEFAULT_NAMESPACE in named or not named else named[0]


def layer_uses(content: ContentStore) -> dict[StoreNode, Use]:
    """The use of each snapshot that something keeps. What only work under way keeps is pending."""
    by_use: dict[Use, list[Hold]] = {use: [] for use in (*_USES.values(), Use.PENDING)}
    for hold in content.holds:
        by_use[_USES.get(hold.holder, Use.PENDING)].append(hold)
    marker = Marker(content)
    return {node: use for use, holds in by_use.items() for node in marker.mark(holds)}


def with_orphans(content: ContentStore, grace: Grace, *, doubtful: bool) -> ContentStore:
    """Note the blobs without any use for the whole grace time. `doubtful`: what refers to blobs is not known."""
    used = {node.name for node in content.marked(content.holds) if not node.snapshotter}
    waiting = set() if doubtful else {LayerKey("", LayerId(digest)) for digest in content.blobs.keys() - used}
    orphaned = frozenset(str(one.id) for one in waiting if grace.over(one, math.inf))
    grace.keep({key for key in grace.seen if key.driver} | waiting)
    return replace(content, orphaned=orphaned)


def leases_of_lost(content: ContentStore, containers: Iterable[Container]) -> dict[StoreNode, str]:
    """The ids of Docker's containers that are gone while their leases are there, by the nodes that these keep."""
    there = {one.id for one in containers}
    return {
        node: hold.name.partition("-")[0]
        for hold in content.holds
        if hold.holder is Holder.CONTAINER and hold.namespace == content.engine and hold.name not in there
        for node in content.marked([hold])
    }


def make_content(
    files: StoreFiles, snapshots: Snapshots, layers: Mapping[str, SnapshotLayers], graph: Graph, engine: str
) -> ContentStore:
    """Make the value of one store. `graph` is what keeps what, `engine` Docker's namespace."""
    blobs = _blobs(files)
    trees: dict[StoreNode, tuple[Tree, ...]] = {
        node: layers[node.snapshotter].trees(one.layer.id) for node, one in snapshots.by_node.items()
    }
    for name, space in files.namespaces.items():
        for digest in space.blobs:
            place = files.place(digest)
            trees[StoreNode(name, "", digest)] = () if place is None else (place,)
    history = history_of(engine) if engine else ""
    return ContentStore(
        home=files.home,
        engine=engine,
        history=history,
        namespaces=tuple(sorted(name for name, space in files.namespaces.items() if not space.empty)),
        blobs=blobs,
        ingests=files.ingests,
        entries=tuple(_entries(files.namespaces.get(history))) if history else (),
        references=graph.references,
        parents=graph.parents,
        holds=tuple(graph.holds),
        layers={node: one.layer for node, one in snapshots.by_node.items()},
        trees=trees,
        files=tuple(_own_files(files)),
    )


def _own_files(files: StoreFiles) -> Iterator[Tree]:
    yield (*files.home, METADATA)
    yield (*files.home, CONTENT)
    for name, one in files.snapshotters.items():
        if one.home is not None:
            yield (*files.home, SNAPSHOTTER + name, ROWS_FILE)


def _blobs(files: StoreFiles) -> dict[str, Blob]:
    """All blobs by digest: those that a namespace knows, and files that none knows."""
    known: dict[str, list[str]] = {}
    for name, space in files.namespaces.items():
        for digest in space.blobs:
            known.setdefault(digest, []).append(name)
    found = {}
    for digest in {**known, **dict.fromkeys(files.blobs or ())}:
        names = known.get(digest, [])
        size = files.namespaces[names[0]].blobs[digest].size if names else None
        found[digest] = Blob(digest, files.place(digest), size, tuple(names))
    return found


def _entries(history: NamespaceEntry | None) -> Iterator[HistoryEntry]:
    for name, lease in (history.leases if history else {}).items():
        if name.startswith(_HISTORY_LEASE):
            yield HistoryEntry(name.removeprefix(_HISTORY_LEASE), lease.created)
