"""What a containerd image store says of the layers of one snapshotter."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from exporter.core.content import StoreNode
from exporter.core.measured import Tree
from exporter.core.model import Container, ContainerId, Image, Layer, LayerId, Use
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.reader import is_id
from exporter.inventory.image_store.graph import Graph
from exporter.inventory.layouts.claims import Claims
from exporter.inventory.layouts.containerd_layers import SnapshotLayers
from exporter.inventory.layouts.containerd_snapshots import Snapshots
from exporter.inventory.layouts.part import ContainerLayers

#: The length of a container's id.
_ID = 64


class SnapshotterPart:
    """The snapshots of one snapshotter, and the images in them.

    `engine` is Docker's namespace, "" for none. `graph` says what keeps a snapshot. `leases` are Docker's containers
    that are gone while something keeps a snapshot for them, by the node of that. `references`: the files in which a
    reference to a snapshot can come or go.
    """

    def __init__(  # noqa: PLR0913 - the parts of the store
        self,
        layers: SnapshotLayers,
        snapshots: Snapshots,
        images: Sequence[Image],
        engine: str,
        graph: Graph,
        leases: Mapping[StoreNode, str],
        references: Iterable[Tree],
        *,
        loads: bool,
    ) -> None:
        """`loads`: Docker works with this snapshotter, or has worked with it."""
        self._layers = layers
        self._snapshots = snapshots
        self._engine = engine
        self._graph = graph
        self._leases = leases
        self._references = list(references)
        self.images = images
        self.missing = {*self._snapshots.lost.get(self.store.driver.name, ())} | _below(images)
        self.describes_containers = loads

    @property
    def store(self) -> LayerStore:
        """The snapshots that are on disk."""
        return self._layers.store

    def _node(self, key: str) -> StoreNode:
        return StoreNode(self._engine, self.store.driver.name, key)

    def knows_layer(self, _container: ContainerId) -> bool:
        """Whether it is known: a container's layer is the snapshot with its id, whether that is there or not."""
        return bool(self._engine)

    def _has(self, container: ContainerId) -> bool:
        return bool(self._engine) and self._node(container) in self._snapshots.by_node

    def container_layers(self, container: ContainerId) -> ContainerLayers | None:
        """The snapshot with the id of the container, and those below it. The one below is the init layer."""
        if not self._has(container):
            return None
        return self._snapshots.chain(self._node(container)).of_container(container, self._engine)

    def places_of(self, container: Container) -> object:
        """Its snapshots."""
        if not self._has(container.id):
            return self._engine, self.store.has_name(container.id)
        return self._snapshots.chain(self._node(container.id))

    @property
    def places(self) -> object:
        """The snapshots with the ids of containers, those below them, and directories with such an id."""
        return (
            self._engine,
            self._snapshots.of_containers,
            frozenset([name for name in self.store.names if len(name) == _ID and is_id(name)]),
        )

    def why_not_loaded(self, _container: ContainerId) -> str:
        """An engine loads a container of its snapshotter, whatever became of its snapshots."""
        return ""

    def missing_below(self, container: Container) -> Iterable[str]:
        """The key of the snapshot below a container that is not there."""
        if self._has(container.id):
            chain = self._snapshots.chain(self._node(container.id))
            if chain.missing:
                yield chain.missing

    def claim(self, containers: Sequence[Container]) -> Claims:
        """Claim what something keeps, and what `containers` need."""
        found = dict(self._layers.described(self._uses(containers)))
        if self._leases:
            found = {name: self._held(layer) for name, layer in found.items()}
        found.update((one.id, one) for one in self._layers.unlisted() if one.id not in found)
        return Claims(found, references=self._references, describe=self._layers)

    def _uses(self, containers: Iterable[Container]) -> dict[LayerId, Use]:
        """The use of each layer that something keeps, or that a container needs."""
        uses = dict(self._layers.kept(self._graph))
        needed = set[LayerId | None]().union(*((one.layer, one.init, *one.chain) for one in containers))
        uses.update((name, Use.CONTAINER) for name in needed if name is not None and uses.get(name) is not Use.IMAGE)
        return uses

    def _held(self, layer: Layer) -> Layer:
        """Note the container that is gone while its lease is still there: nothing removes the layer then."""
        snapshot = self._layers.by_id.get(layer.id)
        owner = self._leases.get(snapshot.node, "") if snapshot else ""
        return replace(layer, held=owner) if owner else layer


def _below(images: Iterable[Image]) -> set[str]:
    return {key for image in images for key in image.missing}
