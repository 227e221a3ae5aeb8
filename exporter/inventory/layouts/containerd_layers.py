"""The snapshots of a containerd image store, as layers."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct, field

from exporter.core.content import StoreNode
from exporter.core.kept import Edition, changed_keys, with_changes
from exporter.core.measured import Tree
from exporter.core.model import Layer, LayerId, Use
from exporter.inventory.drivers import Driver, snapshotter
from exporter.inventory.drivers.layer_store import LayerStore, Place
from exporter.inventory.files.reader import Reader
from exporter.inventory.image_store.graph import Graph
from exporter.inventory.image_store.snapshotter import Kind, Row
from exporter.inventory.image_store.store import SNAPSHOTS, StoreFiles
from exporter.inventory.layouts.containerd_snapshots import Snapshots, StoredSnapshot

_CHAIN = "sha256:"


class _Known(Struct):
    """The layers of one snapshotter that were described, and what they were described by.

    `snapshots`: those of all snapshotters. `failed`: the layers with which something failed.
    """

    snapshots: Snapshots = field(default_factory=Snapshots)
    places: Mapping[str, Place] = field(default_factory=Edition)
    names: frozenset[LayerId] = frozenset()
    listed: bool = True
    uses: Mapping[LayerId, Use] = field(default_factory=dict)
    layers: Mapping[LayerId, Layer] = field(default_factory=Edition)
    failed: set[LayerId] = field(default_factory=set)
    #: The uses of the layers by what keeps their snapshots, and those of the snapshots that they were made of.
    kept: Mapping[LayerId, Use] = field(default_factory=Edition)
    graph: Mapping[str, Mapping[StoreNode, Use]] = field(default_factory=dict)
    trees: Mapping[StoreNode, tuple[Tree, ...]] = field(default_factory=Edition)


class SnapshotLayers:
    """Describes the snapshots of one snapshotter as layers."""

    def __init__(self, reader: Reader, files: StoreFiles, name: str, snapshots: Snapshots) -> None:
        own = files.snapshotters[name]
        directory: Tree = () if own.home is None else (*own.home, SNAPSHOTS)
        driver = snapshotter(name, directory) if directory else Driver(name, (), walkable=False, listed=False)
        self.store = LayerStore(driver, reader)
        self._snapshots = snapshots
        self.by_id: Mapping[LayerId, StoredSnapshot] = snapshots.by_layer.get(name, {})
        self._own = own
        self._known: _Known = reader.derived("layers", (*directory, name), _Known)
        before = self._known
        places = dict(self.store.places)
        for one in self.by_id.keys() - places.keys():
            if (place := self.store.place(one)) is not None:
                places[one] = place
        self._places: Mapping[str, Place] = Edition(places, before.places)
        self._moved = changed_keys(self._places, before.places)
        self._changed = changed_keys(snapshots.by_node, before.snapshots.by_node)
        self.trees = self._trees()
        self._failed: set[LayerId] = set()

    @cached_property
    def _rows(self) -> Mapping[LayerId, Row]:
        """What the snapshotter knows. It alone knows of a snapshot that is being made, and of what is left of one."""
        return {LayerId(row.directory): row for row in (self._own.rows or {}).values()}

    @cached_property
    def _names(self) -> Mapping[LayerId, str]:
        return {LayerId(row.directory): name for name, row in (self._own.rows or {}).items()}

    def _trees(self) -> Mapping[StoreNode, tuple[Tree, ...]]:
        """The trees of each snapshot."""
        name, nodes = self.store.driver.name, self._snapshots.by_node
        changed = {node for node in self._changed if node.snapshotter == name}
        changed.update(self.by_id[LayerId(one)].node for one in self._moved if one in self.by_id)
        if name in self._snapshots.doubled:
            changed.update(node for node in nodes if node.snapshotter == name)
        there = {node: self._places.get(nodes[node].layer.id) for node in changed if node in nodes}
        put = {node: place.trees if place else () for node, place in there.items()}
        return with_changes(self._known.trees, put, changed - put.keys())

    def kept(self, graph: Graph) -> Mapping[LayerId, Use]:
        """The use of each layer whose snapshot something keeps."""
        known, name = self._known, self.store.driver.name
        now, before = {one: space.uses for one, space in graph.spaces.items()}, known.graph
        nothing: Mapping[StoreNode, Use] = {}
        nodes = {*self._changed}.union(
            *(changed_keys(now.get(one, nothing), before.get(one, nothing)) for one in now.keys() | before.keys())
        )
        there, former = self._snapshots.by_node, known.snapshots.by_node
        changed = {
            one.layer.id
            for node in nodes
            if node.snapshotter == name
            for one in (there.get(node), former.get(node))
            if one is not None
        }
        if name in self._snapshots.doubled:
            changed.update(self.by_id, known.kept)
        found = {
            one: use for one in changed & self.by_id.keys() if (use := graph.use(self.by_id[one].node)) is not None
        }
        known.kept, known.graph = with_changes(known.kept, found, changed - found.keys()), now
        return known.kept

    def unlisted(self) -> Iterator[Layer]:
        """The snapshots of a snapshotter without directories that the main database does not know."""
        if not self.store.listed:
            yield from (self(name, Use.PENDING) for name in self._rows if name not in self.by_id)

    def described(self, uses: Mapping[LayerId, Use]) -> Mapping[LayerId, Layer]:
        """Describe the layers with a use, as far as they are there."""
        known, before, names = self._known, self._known.snapshots, self.store.names
        changed = changed_keys(uses, known.uses) | {LayerId(one) for one in self._moved} | (names ^ known.names)
        changed |= changed_keys(self.by_id, before.by_layer.get(self.store.driver.name, {})) | known.failed
        changed |= self._above(before)
        if known.listed != self.store.listed:
            changed.update(uses, known.layers)
        failed, put = set[LayerId](), dict[LayerId, Layer]()
        for name in changed & uses.keys():
            if name in names or not self.store.listed:
                put[name] = self(name, uses[name])
                if name in self._failed or name not in self.by_id:
                    failed.add(name)
        layers = with_changes(known.layers, put, changed - put.keys())
        self._known.snapshots, self._known.places, self._known.names = self._snapshots, self._places, names
        self._known.listed = self.store.listed
        self._known.uses, self._known.layers, self._known.failed = uses, layers, failed
        self._known.trees = self.trees
        return layers

    def _above(self, before: Snapshots) -> set[LayerId]:
        """The layers whose snapshot is on one that came or went, or that has another layer now."""
        then, now = before.by_node, self._snapshots.by_node
        moved = {
            node.name
            for node in self._changed
            if (one := then.get(node)) is None or (other := now.get(node)) is None or one.layer != other.layer
        }
        return {name for name, one in self.by_id.items() if one.entry.parent in moved} if moved else set()

    def __call__(self, name: LayerId, use: Use) -> Layer:
        """Describe one layer."""
        snapshot, place = self.by_id.get(name), self._places.get(name) or self.store.place(name)
        row = snapshot.row if snapshot else self._rows.get(name)
        unknown = Layer(self.store.driver.name, name, use, size_known=False)
        layer = self.store.attempt(name, lambda: self._describe(name, use, snapshot, row, place), unknown)
        if layer is unknown:
            self._failed.add(name)
        return layer

    def _describe(
        self, name: LayerId, use: Use, snapshot: StoredSnapshot | None, row: Row | None, place: Place | None
    ) -> Layer:
        recorded = None if row is None else row.recorded
        if snapshot:
            space, key = snapshot.node.namespace, snapshot.node.name
        else:
            # The snapshotter's name of it is made of its namespace, a number and its key (core/metadata/snapshot.go).
            space, _, rest = self._names.get(name, "").partition("/")
            key = rest.partition("/")[2]
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
            namespace=space,
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
