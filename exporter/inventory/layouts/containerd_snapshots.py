"""The snapshots of a containerd image store."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct, field

from exporter.core.content import StoreNode
from exporter.core.kept import Edition, Joined, changed_keys, with_changes
from exporter.core.model import LayerId, LayerKey
from exporter.inventory.drivers import INIT, MOST_LAYERS
from exporter.inventory.files.reader import is_id
from exporter.inventory.image_store.meta import SnapshotEntry
from exporter.inventory.image_store.snapshotter import Row
from exporter.inventory.image_store.store import SnapshotterFiles, StoreFiles
from exporter.inventory.layouts.part import ContainerLayers


class StoredSnapshot(Struct, frozen=True, gc=False):
    """One snapshot: what the main database and the snapshotter say of it. `row` is None where that is not known."""

    node: StoreNode
    entry: SnapshotEntry
    row: Row | None
    layer: LayerKey

    @property
    def recorded(self) -> int | None:
        """Its size in bytes of disk blocks, as it is written down."""
        return None if self.row is None else self.row.recorded


class Chain(Struct, frozen=True):
    """A snapshot and those below it, nearest first. `missing`: the key of one that is not there, "" for none."""

    snapshots: tuple[StoredSnapshot, ...] = ()
    missing: str = ""
    cut: bool = False
    #: The nodes that it was made of, there or not.
    asked: tuple[StoreNode, ...] = ()

    @property
    def size(self) -> int | None:
        """The sum of the recorded sizes; None where one is not known, or a snapshot is missing."""
        sizes = [one.recorded for one in self.snapshots]
        if self.missing or self.cut or None in sizes:
            return None
        return sum(size for size in sizes if size is not None)

    def of_container(self, container: str, namespace: str = "") -> ContainerLayers:
        """Divide it into the layer of a container, its init layer, and those below both."""
        own, *below = self.snapshots or (None,)
        first = below[0] if below and below[0] and below[0].node.name == container + INIT else None
        return ContainerLayers(
            layer=own.layer.id if own else None,
            init=first.layer.id if first else None,
            chain=tuple(one.layer.id for one in below if one is not None and one is not first),
            cut=self.cut,
            namespace=namespace,
        )


class Snapshots(Struct):
    """All snapshots of a store by node, and by snapshotter and layer.

    `lost`: the keys of those that are not on disk, by snapshotter. `doubled`: the snapshotters with two snapshots of
    one layer.
    """

    by_node: Mapping[StoreNode, StoredSnapshot] = field(default_factory=Edition)
    by_layer: Mapping[str, Mapping[LayerId, StoredSnapshot]] = field(default_factory=dict)
    doubled: frozenset[str] = frozenset()
    lost: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: Another object where a snapshot with the id of a container is another one, or one of its chain.
    of_containers: object = field(default_factory=object)
    _chains: dict[StoreNode, Chain] = field(default_factory=dict)

    def keep_chains(self, before: "Snapshots") -> None:
        """Take over the chains of an earlier reading that are as they were."""
        changed, chains = changed_keys(self.by_node, before.by_node), before._chains  # noqa: SLF001 - of its own kind
        self._chains = {top: one for top, one in chains.items() if changed.isdisjoint(one.asked)}
        if len(self._chains) == len(chains) and not any(is_id(node.name) for node in changed):
            self.of_containers = before.of_containers

    def chain(self, top: StoreNode) -> Chain:
        """The snapshot `top` and those below it."""
        chain = self._chains.get(top)
        if chain is None:
            chain = self._chains[top] = self._chain(top)
        return chain

    def _chain(self, top: StoreNode) -> Chain:
        found: list[StoredSnapshot] = []
        asked: list[StoreNode] = []
        at = top
        while len(found) < MOST_LAYERS:
            snapshot = self.by_node.get(at)
            asked.append(at if snapshot is None else snapshot.node)
            if snapshot is None:
                return Chain(tuple(found), at.name, asked=tuple(asked))
            found.append(snapshot)
            if not snapshot.entry.parent:
                return Chain(tuple(found), asked=tuple(asked))
            at = StoreNode(at.namespace, at.snapshotter, snapshot.entry.parent)
        return Chain(tuple(found), cut=True, asked=tuple(asked))


class _Group(Struct):
    """The snapshots of one snapshotter in a namespace, from one reading to the next."""

    snapshots: Mapping[StoreNode, StoredSnapshot] = field(default_factory=Edition)
    lost: frozenset[str] = frozenset()
    _entries: Mapping[str, SnapshotEntry] = field(default_factory=Edition)
    _rows: Mapping[str, Row] | None = None
    _directories: frozenset[str] | None = None
    #: The keys by the names that the snapshotter has for them.
    _keys: Mapping[str, str] = field(default_factory=dict)

    def update(self, namespace: str, of: SnapshotterFiles, entries: Mapping[str, SnapshotEntry]) -> None:
        """Join what the main database and the snapshotter say now."""
        changed = self._changed(of, entries)
        if entries is not self._entries:
            self._keys = {entry.name: key for key, entry in entries.items()}
        self._entries, self._rows, self._directories = entries, of.rows, of.directories
        rows: Mapping[str, Row] = of.rows or {}
        put, gone, lost = dict[StoreNode, StoredSnapshot](), list[StoreNode](), set[str]()
        for key in changed:
            node, entry = StoreNode(namespace, of.name, key), entries.get(key)
            row = None if entry is None else rows.get(entry.name)
            if entry is None or (row is None and of.rows is not None):
                gone.append(node)
                lost.update((key,) if entry else ())
                continue
            lost.update((key,) if of.lacks_directory(entry.name) else ())
            known = self.snapshots.get(node)
            if known is None or known.entry is not entry or known.row is not row:
                directory = row.directory if row and row.directory else entry.name
                put[node] = StoredSnapshot(node, entry, row, LayerKey(of.name, LayerId(directory)))
        self.snapshots = with_changes(self.snapshots, put, gone)
        self.lost = (self.lost - changed) | lost

    def _changed(self, of: SnapshotterFiles, entries: Mapping[str, SnapshotEntry]) -> set[str]:
        """The keys of which one of the two says something else."""
        unsure = len(self._keys) != len(self._entries)  # two of them have the same name
        appeared = (of.rows is None, of.directories is None) != (self._rows is None, self._directories is None)
        if unsure or appeared:
            return {*entries, *self._entries}
        rows = of.rows or {}
        names = changed_keys(rows, self._rows or {})
        moved = (of.directories or frozenset()) ^ (self._directories or frozenset())
        if moved:
            names.update(name for name, row in rows.items() if row.directory in moved)
        named = {key for name in names if (key := self._keys.get(name)) is not None}
        return named | changed_keys(entries, self._entries)


class SnapshotsReader:
    """Joins what the main database and the snapshotters of one store say, from one reading to the next."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], _Group] = {}
        self._joined: Joined[tuple[str, str], StoreNode, StoredSnapshot] = Joined()
        self._last = Snapshots()

    def read(self, files: StoreFiles) -> Snapshots:
        """All snapshots. One is joined by the name that the snapshotter has for it."""
        before, self._groups = self._groups, {}
        lost: dict[str, frozenset[str]] = {}
        for namespace, space in files.namespaces.items():
            for name, entries in space.snapshots.items():
                of = files.snapshotters.get(name)
                if of is None:  # it has no snapshot any more: containerd leaves the bucket (core/metadata/gc.go)
                    continue
                at = (namespace, name)
                group = before.get(at) or _Group()
                group.update(namespace, of, entries)
                self._groups[at] = group
                if group.lost:
                    lost[name] = lost.get(name, frozenset()) | group.lost
        by_node = self._joined.update({at: group.snapshots for at, group in self._groups.items()})
        found = Snapshots(by_node, *_by_layer(by_node, self._last), lost=lost)
        found.keep_chains(self._last)
        self._last = found
        return found


def _by_layer(
    now: Mapping[StoreNode, StoredSnapshot], last: Snapshots
) -> tuple[Mapping[str, Mapping[LayerId, StoredSnapshot]], frozenset[str]]:
    """The snapshots by snapshotter and layer, and the snapshotters where two have the same layer.

    The one with the first node counts there.
    """
    put: dict[str, dict[LayerId, StoredSnapshot]] = {}
    gone: dict[str, set[LayerId]] = {}
    for node in changed_keys(now, last.by_node):
        if node in last.by_node:
            gone.setdefault(node.snapshotter, set()).add(last.by_node[node].layer.id)
        if node in now:
            put.setdefault(node.snapshotter, {})[now[node].layer.id] = now[node]
    found = dict(last.by_layer)
    for name in put.keys() | gone.keys():
        come = put.get(name, {})
        found[name] = with_changes(found.get(name, Edition()), come, gone.get(name, set()) - come.keys())
    if sum(map(len, found.values())) == len(now) and not last.doubled:
        return found, frozenset()
    counts = Counter(node.snapshotter for node in now)
    for name in counts:
        mine = sorted((one for one in now.values() if one.node.snapshotter == name), key=lambda one: one.node)
        found[name] = Edition({one.layer.id: one for one in reversed(mine)}, last.by_layer.get(name))
    return found, frozenset(name for name, count in counts.items() if count != len(found[name]))
