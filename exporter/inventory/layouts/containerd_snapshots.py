"""The snapshots of a containerd image store, as layers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from exporter.core.content import StoreNode
from exporter.core.kept import changed_keys
from exporter.core.measured import Tree
from exporter.core.model import Layer, LayerId, LayerKey, Use
from exporter.inventory.drivers import INIT, MOST_LAYERS, Driver, snapshotter
from exporter.inventory.drivers.layer_store import LayerStore, Place
from exporter.inventory.files.reader import Reader
from exporter.inventory.image_store.meta import SnapshotEntry
from exporter.inventory.image_store.snapshotter import Kind, Row
from exporter.inventory.image_store.store import SNAPSHOTS, SnapshotterFiles, StoreFiles
from exporter.inventory.layouts.part import ContainerLayers

_CHAIN = "sha256:"


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """One snapshot: what the main database and the snapshotter say of it. `row` is None where that is not known."""

    node: StoreNode
    entry: SnapshotEntry
    row: Row | None
    layer: LayerKey

    @property
    def recorded(self) -> int | None:
        """Its size in bytes of disk blocks, as it is written down."""
        return None if self.row is None else self.row.recorded


@dataclass(frozen=True, slots=True)
class Chain:
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


@dataclass(slots=True)
class Snapshots:
    """All snapshots of a store by node. `lost`: those that are not on disk, by snapshotter."""

    by_node: dict[StoreNode, StoredSnapshot] = field(default_factory=dict)
    lost: dict[str, set[str]] = field(default_factory=dict)
    _chains: dict[StoreNode, Chain] = field(default_factory=dict)

    def keep_chains(self, before: "Snapshots") -> None:
        """Take over the chains of an earlier reading that are as they were."""
        changed = changed_keys(self.by_node, before.by_node)
        chains = before._chains.items()  # noqa: SLF001 - of its own kind
        self._chains = (
            {top: one for top, one in chains if changed.isdisjoint(one.asked)} if changed else {**dict(chains)}
        )

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
            asked.append(at)
            snapshot = self.by_node.get(at)
            if snapshot is None:
                return Chain(tuple(found), at.name, asked=tuple(asked))
            found.append(snapshot)
            if not snapshot.entry.parent:
                return Chain(tuple(found), asked=tuple(asked))
            at = StoreNode(at.namespace, at.snapshotter, snapshot.entry.parent)
        return Chain(tuple(found), cut=True, asked=tuple(asked))


def find_snapshots(reader: Reader, files: StoreFiles) -> Snapshots:
    """Join what the main database and the snapshotters say. A snapshot is joined by the snapshotter's name for it."""
    found = Snapshots()
    before = reader.derived("snapshots", files.home, dict[tuple[str, str], dict[str, StoredSnapshot]])
    for gone in before.keys() - {(space, name) for space, one in files.namespaces.items() for name in one.snapshots}:
        del before[gone]
    for namespace, space in files.namespaces.items():
        for name, entries in space.snapshots.items():
            joined = _joined(namespace, files.snapshotters[name], entries, before.get((namespace, name), {}), found)
            found.by_node.update((one.node, one) for one in joined.values())
            before[namespace, name] = joined
    last = reader.derived("chains", files.home, dict[str, Snapshots])
    found.keep_chains(last.get("", Snapshots()))
    last[""] = found
    return found


def _joined(
    namespace: str,
    of: SnapshotterFiles,
    entries: Mapping[str, SnapshotEntry],
    before: Mapping[str, StoredSnapshot],
    found: Snapshots,
) -> dict[str, StoredSnapshot]:
    """The snapshots of one snapshotter in a namespace, by key."""
    joined: dict[str, StoredSnapshot] = {}
    rows: Mapping[str, Row | None] = of.rows or {}
    for key, entry in entries.items():
        row = rows.get(entry.name)
        if row is None and of.rows is not None:
            found.lost.setdefault(of.name, set()).add(key)
            continue
        known = before.get(key)
        if known is None or known.entry is not entry or known.row is not row:
            directory = row.directory if row and row.directory else entry.name
            known = StoredSnapshot(
                StoreNode(namespace, of.name, key), entry, row, LayerKey(of.name, LayerId(directory))
            )
        joined[key] = known
    if of.lacks([one.entry.name for one in joined.values()]):
        lost = (key for key, one in joined.items() if of.lacks_directory(one.entry.name))
        found.lost.setdefault(of.name, set()).update(lost)
    return joined


#: What a layer is described by: its snapshot, row, place and use, and the snapshot below.
_Of = tuple[StoredSnapshot | None, Row | None, Place | None, Use, StoredSnapshot | None]


class SnapshotLayers:
    """Describes the snapshots of one snapshotter as layers."""

    def __init__(self, reader: Reader, files: StoreFiles, name: str, snapshots: Snapshots) -> None:
        own = files.snapshotters[name]
        directory: Tree = () if own.home is None else (*own.home, SNAPSHOTS)
        driver = snapshotter(name, directory) if directory else Driver(name, (), walkable=False, listed=False)
        self.store = LayerStore(driver, reader)
        self._snapshots = snapshots
        mine = [one for one in snapshots.by_node.values() if one.layer.driver == name]
        self.by_id: Mapping[LayerId, StoredSnapshot] = {one.layer.id: one for one in mine}
        self._own = own
        #: What was described before, and of what.
        self._known: dict[LayerId, tuple[_Of, Layer]] = reader.derived("layers", (*directory, name), dict)
        if len(self._known) > 2 * len(self.by_id) + len(self.store.names):
            self._known.clear()

    @cached_property
    def _rows(self) -> Mapping[LayerId, Row]:
        """What the snapshotter knows. It alone knows of a snapshot that is being made, and of what is left of one."""
        return {LayerId(row.directory): row for row in (self._own.rows or {}).values()}

    @cached_property
    def _names(self) -> Mapping[LayerId, str]:
        return {LayerId(row.directory): name for name, row in (self._own.rows or {}).items()}

    def trees(self, name: LayerId) -> tuple[Tree, ...]:
        """The trees of a layer."""
        place = self.store.place(name)
        return () if place is None else place.trees

    def unlisted(self) -> Iterator[Layer]:
        """The snapshots of a snapshotter without directories that the main database does not know."""
        if not self.store.listed:
            yield from (self(name, Use.PENDING) for name in self._rows if name not in self.by_id)

    def __call__(self, name: LayerId, use: Use) -> Layer:
        """Describe one layer."""
        snapshot, place, known = self.by_id.get(name), self.store.place(name), self._known.get(name)
        row = snapshot.row if snapshot else self._rows.get(name)
        if known is not None:
            of, layer = known
            if of[0] is snapshot and of[1] is row and of[2] is place and of[3] is use:
                below = of[4]
                if below is None or self._snapshots.by_node.get(below.node) is below:
                    return layer
        of = (snapshot, row, place, use, self._below(snapshot))
        unknown = Layer(self.store.driver.name, name, use, size_known=False)
        layer = self.store.attempt(name, lambda: self._describe(name, use, snapshot, row, place), unknown)
        if layer is not unknown and (of[4] is not None or snapshot is None or not snapshot.entry.parent):
            self._known[name] = of, layer
        return layer

    def _describe(
        self, name: LayerId, use: Use, snapshot: StoredSnapshot | None, row: Row | None, place: Place | None
    ) -> Layer:
        recorded = None if row is None else row.recorded
        # The snapshotter's name of it is made of its namespace, a number and its key (core/metadata/snapshot.go).
        space, _, rest = self._names.get(name, "").partition("/")
        key = snapshot.node.name if snapshot else rest.partition("/")[2]
        return Layer(
            driver=self.store.driver.name,
            id=name,
            use=use,
            content=place.content if place else None,
            home=place.home if place else None,
            recorded_size=recorded,
            size_known=recorded is not None or place is not None,
            chain=key.removeprefix(_CHAIN) if key.startswith(_CHAIN) and not key.endswith("-view") else "",
            parent=below.layer.id if (below := self._below(snapshot)) else None,
            namespace=snapshot.node.namespace if snapshot else space,
            name=key,
            by_blocks=True,
            committed=row is not None and row.kind is Kind.COMMITTED,
        )

    def _below(self, snapshot: StoredSnapshot | None) -> StoredSnapshot | None:
        """The snapshot that another one is on; None where that is not there."""
        if snapshot is None or not snapshot.entry.parent:
            return None
        node = StoreNode(snapshot.node.namespace, snapshot.node.snapshotter, snapshot.entry.parent)
        return self._snapshots.by_node.get(node)
