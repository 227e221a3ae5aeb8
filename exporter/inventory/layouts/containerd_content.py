"""The contents of a containerd image store as one value: blobs, ingests, and what keeps what."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from exporter.core.content import Blob, ContentStore, HistoryEntry, Hold, Holder, StoreNode, first_marks
from exporter.core.kept import changed_keys
from exporter.core.measured import Tree
from exporter.core.model import Container, LayerId, LayerKey, Use
from exporter.inventory.image_store.graph import Graph, SpaceGraph, history_of
from exporter.inventory.image_store.meta import BlobEntry, NamespaceEntry
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


def find_uses(graph: Graph) -> dict[StoreNode, Use]:
    """The use of each blob and snapshot that something keeps. What only work under way keeps is pending."""
    found: dict[StoreNode, Use] = {}
    for space in graph.spaces:
        if space.uses is None:
            space.uses = _uses_in(space)
            space.used = {node.name for node in space.uses if not node.snapshotter}
        found.update(space.uses)
    return found


def find_unused(content: ContentStore, graph: Graph) -> frozenset[str]:
    """The digests of the blobs that nothing keeps, after `find_uses`."""
    return frozenset(content.blobs.keys()).difference(*(space.used for space in graph.spaces))


def _uses_in(space: SpaceGraph) -> dict[StoreNode, Use]:
    by_use: dict[Use, list[Hold]] = {use: [] for use in (*_USES.values(), Use.PENDING)}
    for hold in space.holds:
        by_use[_USES.get(hold.holder, Use.PENDING)].append(hold)
    return first_marks(ContentStore(references=space.references, parents=space.parents), by_use.items())


def with_orphans(content: ContentStore, grace: Grace, unused: Collection[str], *, doubtful: bool) -> ContentStore:
    """Note the blobs without any use for the whole grace time. `unused`: the digests of those that nothing keeps.

    `doubtful`: what refers to blobs is not known.
    """
    waiting = set() if doubtful else {LayerKey("", LayerId(digest)) for digest in unused}
    orphaned = frozenset(str(one.id) for one in waiting if grace.over(one, math.inf))
    grace.keep({key for key in grace.seen if key.driver} | waiting)
    return replace(content, orphaned=orphaned) if orphaned else content


def leases_of_lost(content: ContentStore, containers: Iterable[Container]) -> dict[StoreNode, str]:
    """The ids of Docker's containers that are gone while their leases are there, by the nodes that these keep."""
    there = {one.id for one in containers}
    return {
        node: hold.name.partition("-")[0]
        for hold in content.holds
        if hold.holder is Holder.CONTAINER and hold.namespace == content.engine and hold.name not in there
        for node in content.marked([hold])
    }


@dataclass(slots=True)
class Contents:
    """What was made of a store, for the next reading of it."""

    graphs: dict[str, SpaceGraph] = field(default_factory=dict)
    _spaces: Mapping[str, Mapping[str, BlobEntry]] = field(default_factory=dict)
    _files: Mapping[str, Tree] = field(default_factory=dict)
    _blobs: Mapping[str, Blob] = field(default_factory=dict)
    #: The trees of the blobs, as each namespace knows them.
    _trees: dict[StoreNode, tuple[Tree, ...]] = field(default_factory=dict)

    def make(
        self, files: StoreFiles, snapshots: Snapshots, layers: Mapping[str, SnapshotLayers], graph: Graph, engine: str
    ) -> ContentStore:
        """Make the value of one store. `graph` is what keeps what, `engine` Docker's namespace."""
        history = history_of(engine) if engine else ""
        nodes = snapshots.by_node.items()
        blobs = self._blobs_of(files)
        trees = dict(self._trees)
        trees.update({node: layers[one.layer.driver].trees(one.layer.id) for node, one in nodes})
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
            layers={node: one.layer for node, one in nodes},
            trees=trees,
            files=tuple(_own_files(files)),
        )

    def _blobs_of(self, files: StoreFiles) -> Mapping[str, Blob]:
        """All blobs by digest: those that a namespace knows, and files that none knows."""
        spaces = {name: space.blobs for name, space in files.namespaces.items()}
        before, places = self._spaces, files.blobs or {}
        changed = changed_keys(places, self._files)
        for name in spaces.keys() | before.keys():
            changed |= changed_keys(spaces.get(name, {}), before.get(name, {}))
        # Which namespace comes first tells the size.
        if [*spaces] != [*before]:
            changed.update(*spaces.values())
        blobs = dict(self._blobs)
        for digest in changed:
            names = tuple(name for name, known in spaces.items() if digest in known)
            if names or digest in places:
                size = spaces[names[0]][digest].size if names else None
                blobs[digest] = Blob(digest, places.get(digest), size, names)
            else:
                blobs.pop(digest, None)
            for name in before:
                self._trees.pop(StoreNode(name, "", digest), None)
            for name in names:
                self._trees[StoreNode(name, "", digest)] = (places[digest],) if digest in places else ()
        self._spaces, self._files = spaces, places
        if changed:
            self._blobs = blobs
        return self._blobs


def _own_files(files: StoreFiles) -> Iterator[Tree]:
    yield (*files.home, METADATA)
    yield (*files.home, CONTENT)
    for name, one in files.snapshotters.items():
        if one.home is not None:
            yield (*files.home, SNAPSHOTTER + name, ROWS_FILE)


def _entries(history: NamespaceEntry | None) -> Iterator[HistoryEntry]:
    for name, lease in (history.leases if history else {}).items():
        if name.startswith(_HISTORY_LEASE):
            yield HistoryEntry(name.removeprefix(_HISTORY_LEASE), lease.created)
