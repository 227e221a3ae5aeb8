"""The contents of a containerd image store as one value: blobs, ingests, and what keeps what."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec.structs import replace

from exporter.core.content import Blob, ContentStore, HistoryEntry, Holder, StoreNode
from exporter.core.kept import Edition, Joined, Kept, changed_keys, with_changes
from exporter.core.measured import Tree
from exporter.core.model import Container, LayerId, LayerKey, Use
from exporter.inventory.image_store.graph import Graph, history_of
from exporter.inventory.image_store.meta import BlobEntry, NamespaceEntry
from exporter.inventory.image_store.store import (
    CONTENT,
    DEFAULT_NAMESPACE,
    METADATA,
    ROWS_FILE,
    SNAPSHOTTER,
    StoreFiles,
)
from exporter.inventory.layouts.buildkit_databases import HISTORY_LEASE
from exporter.inventory.layouts.claims import Grace
from exporter.inventory.layouts.containerd_layers import SnapshotLayers
from exporter.inventory.layouts.containerd_snapshots import Snapshots, StoredSnapshot


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


class Contents:
    """What was made of a store, from one reading to the next."""

    def __init__(self) -> None:
        self.graph = Graph()
        self._spaces: Mapping[str, Mapping[str, BlobEntry]] = {}
        self._files: Mapping[str, Tree] = {}
        self._blobs: Mapping[str, Blob] = Edition()
        self._blob_trees: Mapping[StoreNode, tuple[Tree, ...]] = Edition()
        self._layers: Kept[StoreNode, StoredSnapshot, LayerKey] = Kept()
        self._trees: Joined[str, StoreNode, tuple[Tree, ...]] = Joined()
        self._history: NamespaceEntry | None = None
        self._builds: frozenset[str] | None = None
        self._entries: tuple[HistoryEntry, ...] | None = None
        self._unlisted: frozenset[str] = frozenset()
        #: The blobs that nothing keeps, and the uses and blobs of which that was found.
        self._unused: frozenset[str] = frozenset()
        self._uses: Mapping[str, Mapping[StoreNode, Use]] = {}
        self._of_unused: Mapping[str, Blob] = {}

    def make(
        self,
        files: StoreFiles,
        snapshots: Snapshots,
        layers: Mapping[str, SnapshotLayers],
        engine: str,
        builds: frozenset[str] | None,
    ) -> ContentStore:
        """Make the value of one store. `engine`: Docker's namespace. `builds`: those in its history, if known."""
        graph = self.graph
        history = history_of(engine) if engine else ""
        blobs = self._blobs_of(files)
        self._read_history(files.namespaces.get(history) if history else None, builds)
        trees = {"": self._blob_trees, **{name: one.trees for name, one in layers.items()}}
        return ContentStore(
            home=files.home,
            engine=engine,
            history=history,
            namespaces=tuple(sorted(name for name, space in files.namespaces.items() if not space.empty)),
            blobs=blobs,
            ingests=files.ingests,
            entries=self._entries,
            unlisted=self._unlisted,
            references=graph.references,
            parents=graph.parents,
            holds=graph.holds,
            kept=graph.kept,
            layers=self._layers.update(snapshots.by_node, lambda _, one: one.layer),
            trees=self._trees.update(trees),
            files=tuple(_own_files(files)),
        )

    def unused(self) -> frozenset[str]:
        """The digests of the blobs that nothing keeps, after `make`."""
        uses = {name: space.uses for name, space in self.graph.spaces.items()}
        changed = changed_keys(self._blobs, self._of_unused)
        nothing: Mapping[StoreNode, Use] = {}
        for name in uses.keys() | self._uses.keys():
            nodes = changed_keys(uses.get(name, nothing), self._uses.get(name, nothing))
            changed.update(node.name for node in nodes if not node.snapshotter)
        if changed:
            found = changed & self._blobs.keys()
            for name, of in uses.items():  # a node is equal to its fields, which are made faster
                found = {digest for digest in found if (name, "", digest) not in of}
            self._unused = (self._unused - changed) | found
        self._uses, self._of_unused = uses, self._blobs
        return self._unused

    def _read_history(self, history: NamespaceEntry | None, builds: frozenset[str] | None) -> None:
        if history is self._history and builds == self._builds:
            return
        self._history, self._builds = history, builds
        if builds is None:
            self._entries, self._unlisted = None, frozenset()
            return
        leases = history.leases if history else {}
        of_builds = {name: leases.get(HISTORY_LEASE + name) for name in sorted(builds)}
        self._entries = tuple(HistoryEntry(name, lease.created if lease else None) for name, lease in of_builds.items())
        self._unlisted = frozenset(leases).difference(HISTORY_LEASE + name for name in builds)

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
        blobs, trees = dict[str, Blob](), dict[StoreNode, tuple[Tree, ...]]()
        lists = dict[tuple[str, ...], tuple[str, ...]]()  # most blobs are known to the same namespaces
        for digest in changed:
            found = tuple(name for name, known in spaces.items() if digest in known)
            names = lists.setdefault(found, found)
            if names or digest in places:
                size = spaces[names[0]][digest].size if names else None
                blobs[digest] = Blob(digest, places.get(digest), size, names)
            file = (places[digest],) if digest in places else ()
            trees.update((self.graph.blob(name, digest), file) for name in names)
        former = {StoreNode(name, "", digest) for digest in changed for name in before}
        made = with_changes(self._blobs, blobs, changed - blobs.keys())
        self._blob_trees = with_changes(self._blob_trees, trees, former - trees.keys())
        # Where something fails on the way, the next reading finds the same changes.
        self._spaces, self._files, self._blobs = spaces, places, made
        return made


def _own_files(files: StoreFiles) -> Iterator[Tree]:
    yield (*files.home, METADATA)
    yield (*files.home, CONTENT)
    for name, one in files.snapshotters.items():
        if one.home is not None:
            yield (*files.home, SNAPSHOTTER + name, ROWS_FILE)
