"""The snapshots of a containerd image store, as layers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from exporter.core.content import StoreNode
from exporter.core.measured import Tree
from exporter.core.model import Layer, LayerId, LayerKey, Use
from exporter.inventory.drivers import INIT, MOST_LAYERS, Driver, snapshotter
from exporter.inventory.drivers.layer_store import LayerStore, Place
from exporter.inventory.files.reader import Reader
from exporter.inventory.image_store.meta import SnapshotEntry
from exporter.inventory.image_store.snapshotter import Kind, Row
from exporter.inventory.image_store.store import SNAPSHOTS, StoreFiles
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

    def chain(self, top: StoreNode) -> Chain:
        """The snapshot `top` and those below it."""
        found: list[StoredSnapshot] = []
        at = top
        while len(found) < MOST_LAYERS:
            snapshot = self.by_node.get(at)
            if snapshot is None:
                return Chain(tuple(found), missing=at.name)
            found.append(snapshot)
            if not snapshot.entry.parent:
                return Chain(tuple(found))
            at = StoreNode(at.namespace, at.snapshotter, snapshot.entry.parent)
        return Chain(tuple(found), cut=True)


def find_snapshots(reader: Reader, files: StoreFiles) -> Snapshots:
    """Join what the main database and the snapshotters say. A snapshot is joined by the snapshotter's name for it."""
    found = Snapshots()
    before = reader.derived("snapshots", files.home, Snapshots)
    for namespace, space in files.namespaces.items():
        for name, entries in space.snapshots.items():
            of = files.snapshotters[name]
            for key, entry in entries.items():
                row = None if of.rows is None else of.rows.get(entry.name)
                if row is None and of.rows is not None:
                    found.lost.setdefault(name, set()).add(key)
                    continue
                if of.lacks_directory(entry.name):
                    found.lost.setdefault(name, set()).add(key)
                node = StoreNode(namespace, name, key)
                known = before.by_node.get(node)
                if known is None or known.entry is not entry or known.row is not row:
                    directory = row.directory if row and row.directory else entry.name
                    known = StoredSnapshot(node, entry, row, LayerKey(name, LayerId(directory)))
                found.by_node[node] = known
    before.by_node = found.by_node
    return found


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
        #: What only the snapshotter knows of: a snapshot that is being made, or what is left of one.
        self._rows = {LayerId(row.directory): row for row in (own.rows or {}).values()}
        self._names = {LayerId(row.directory): name for name, row in (own.rows or {}).items()}
        self._places: dict[LayerId, Place | None] = {}
        #: What was described before, and of what.
        self._known: dict[LayerId, tuple[tuple[object, ...], Layer]] = reader.derived("layers", directory, dict)

    def _place(self, name: LayerId) -> Place | None:
        if name not in self._places:
            self._places[name] = self.store.place(name)
        return self._places[name]

    def trees(self, name: LayerId) -> tuple[Tree, ...]:
        """The trees of a layer."""
        place = self._place(name)
        return () if place is None else tuple(tree for tree in (place.content, place.home) if tree is not None)

    def unlisted(self) -> Iterator[Layer]:
        """The snapshots of a snapshotter without directories that the main database does not know."""
        if not self.store.listed:
            yield from (self(name, Use.PENDING) for name in self._rows if name not in self.by_id)

    def __call__(self, name: LayerId, use: Use) -> Layer:
        """Describe one layer."""
        unknown = Layer(self.store.driver.name, name, use, size_known=False)
        return self.store.attempt(name, lambda: self._describe_once(name, use), unknown)

    def _describe_once(self, name: LayerId, use: Use) -> Layer:
        """Describe a layer, or take what was made of the same things before."""
        snapshot, place = self.by_id.get(name), self._place(name)
        row = snapshot.row if snapshot else self._rows.get(name)
        of = (snapshot, row, place, use, self._parent(snapshot))
        known = self._known.get(name)
        if known is None or any(one is not other for one, other in zip(of, known[0], strict=True)):
            known = self._known[name] = of, self._describe(name, use, snapshot, row, place)
        return known[1]

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
            parent=self._parent(snapshot),
            namespace=snapshot.node.namespace if snapshot else space,
            name=key,
            by_blocks=True,
            committed=row is not None and row.kind is Kind.COMMITTED,
        )

    def _parent(self, snapshot: StoredSnapshot | None) -> LayerId | None:
        if snapshot is None or not snapshot.entry.parent:
            return None
        node = StoreNode(snapshot.node.namespace, snapshot.node.snapshotter, snapshot.entry.parent)
        below = self._snapshots.by_node.get(node)
        return below.layer.id if below else None
