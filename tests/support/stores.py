"""Stores of containerd without a disk: blobs, snapshots and what keeps them, said in names and numbers."""

from dataclasses import dataclass, field
from typing import Any

from exporter.core.content import Blob, ContentStore, Hold, Holder, Ingest, StoreNode
from exporter.core.measured import Measured, Tree
from exporter.core.model import Image, ImageId, Layer, LayerId, LayerKey, Snapshot, Use
from tests.support.snapshots import snapshot, tree

MOBY, KUBERNETES = "moby", "k8s.io"
SNAPSHOTTER = "overlayfs"


@dataclass
class Store:
    """A store in the making. A blob of `size` bytes has two times as many on the disk, as all that `tree` makes."""

    engine: str = MOBY
    blobs: dict[str, Blob] = field(default_factory=dict)
    layers: dict[StoreNode, Layer] = field(default_factory=dict)
    references: dict[StoreNode, tuple[StoreNode, ...]] = field(default_factory=dict)
    parents: dict[StoreNode, StoreNode] = field(default_factory=dict)
    holds: list[Hold] = field(default_factory=list)
    measured: dict[Tree, Measured] = field(default_factory=dict)
    ingests: list[Ingest] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)

    def blob(self, name: str, size: int, *needs: StoreNode, namespaces: tuple[str, ...] = (MOBY,)) -> StoreNode:
        """A blob that these namespaces know; in the first one it refers to what it needs."""
        place = ("blobs", name)
        self.blobs[name] = Blob(name, place, size, namespaces)
        self.measured[place] = tree(size)
        if not namespaces:
            return StoreNode("", "", name)
        node = StoreNode(namespaces[0], "", name)
        if needs:
            self.references[node] = needs
        return node

    def snapshot(
        self,
        name: str,
        size: int,
        parent: StoreNode | None = None,
        *,
        namespace: str = MOBY,
        use: Use = Use.IMAGE,
        **fields: Any,
    ) -> StoreNode:
        """A snapshot with files of `size` bytes, which is written down as well."""
        node = StoreNode(namespace, fields.pop("driver", SNAPSHOTTER), name)
        number = LayerId(str(len(self.layers) + 1))
        home = ("snapshots", node.snapshotter, number)
        fields.setdefault("recorded_size", size)
        self.layers[node] = Layer(
            node.snapshotter, number, use, (*home, "fs"), home, namespace=namespace, name=name, **fields
        )
        self.measured.update({home: tree(0), (*home, "fs"): tree(size)})
        if parent is not None:
            self.parents[node] = parent
        return node

    def hold(self, holder: Holder, name: str, *nodes: StoreNode, namespace: str = MOBY, flat: bool = False) -> Hold:
        """Something that keeps these."""
        self.holds.append(Hold(namespace, holder, name, nodes, flat))
        return self.holds[-1]

    def image(
        self, target: StoreNode, *names: str, blobs: tuple[str, ...] = (), layers: tuple[str, ...] = (), **fields: Any
    ) -> Image:
        """An image with these names. `layers` are the names of its snapshots in its namespace."""
        for name in names:
            self.hold(Holder.IMAGE, name, target, namespace=target.namespace)
        keys = [self.key(StoreNode(target.namespace, SNAPSHOTTER, name)) for name in layers]
        fields.setdefault("digest", target.name)
        made = Image(
            SNAPSHOTTER,
            ImageId(target.name.removeprefix("sha256:")),
            tuple(one.id for one in keys),
            namespace=target.namespace,
            blobs=blobs,
            **fields,
        )
        self.images.append(made)
        return made

    def key(self, node: StoreNode) -> LayerKey:
        """The key of a snapshot as a layer."""
        return self.layers[node].key

    def content(self, **fields: Any) -> ContentStore:
        """The store as it is now."""
        nodes = [StoreNode(space, "", one.digest) for one in self.blobs.values() for space in one.namespaces]
        trees = {node: (("blobs", node.name),) for node in nodes} | {
            node: layer.trees for node, layer in self.layers.items()
        }
        names = {node.namespace for node in (*nodes, *self.layers)} | {one.namespace for one in self.holds}
        fields.setdefault("history", f"{self.engine}_history" if self.engine else "")
        return ContentStore(
            engine=self.engine,
            namespaces=tuple(sorted(names)),
            blobs=self.blobs,
            ingests=tuple(self.ingests),
            references=self.references,
            parents=self.parents,
            holds=tuple(self.holds),
            layers={node: layer.key for node, layer in self.layers.items()},
            trees=trees,
            **fields,
        )

    def told(self, *, content: ContentStore | None = None, **inventory: Any) -> Snapshot:
        """A snapshot of a root with this store."""
        inventory.setdefault("drivers", (SNAPSHOTTER,))
        inventory.setdefault("layouts", ("containerd",))
        inventory.setdefault("layers", tuple(self.layers.values()))
        inventory.setdefault("images", tuple(self.images))
        return snapshot(self.measured, content=content or self.content(), **inventory)
