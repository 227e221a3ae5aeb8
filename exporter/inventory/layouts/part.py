"""The arguments with which a layout reads a root, and its result: a `Part` of the inventory."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, Protocol, runtime_checkable

from msgspec import Struct, field

from exporter.core.content import ContentStore
from exporter.core.data_root import DataRoot
from exporter.core.kept import changed_keys
from exporter.core.measured import Tree
from exporter.core.model import BuildCache, Collector, Container, ContainerId, Image, ImageId, LayerId
from exporter.inventory.drivers import INIT
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.reader import Reader
from exporter.inventory.layouts.buildkit_databases import Builds
from exporter.inventory.layouts.claims import Claims


class Reading(Struct):
    """One reading of a root.

    `previous`: the images that the last reading found, by id. `builds`: what BuildKit wrote down. `containers`: those
    that the engine has, without their layers. `drivers` and `layers`: those of the layouts that were read before. Newer
    layouts are read first: an engine that changes to a newer layout takes layers over, and leaves the old descriptions
    of these behind.
    """

    root: DataRoot
    readers: Mapping[Collector, Reader]
    previous: Mapping[str, Image]
    builds: Builds
    containers: Sequence[Container] = ()
    drivers: set[str] = field(default_factory=set)
    layers: set[LayerId] = field(default_factory=set)


class ContainerLayers(Struct, frozen=True):
    """Where a container's layers are.

    `layer` and `init` are None where they are not on disk; `chain` are the image layers below, nearest first;
    `metadata` is what describes these layers. `cut`: those below are too many to be read.
    `namespace` is that of containerd.
    """

    layer: LayerId | None
    init: LayerId | None = None
    chain: tuple[LayerId, ...] = ()
    metadata: tuple[Tree, ...] = ()
    cut: bool = False
    namespace: str = ""


class Renewed(NamedTuple):
    """The ids of containers, and those of the images of containers, of which something else may be said than before."""

    containers: AbstractSet[str] = frozenset()
    images: AbstractSet[str] = frozenset()


@runtime_checkable
class ContainerPlaces(Protocol):
    """What all that a part says of containers depends on."""

    def changed(self, before: object) -> Renewed | None:
        """The containers and images of which something else may be said than before; None: it may be any."""


class PartPlaces(Struct, frozen=True):
    """What a part says of containers by their ids and their images alone: the names of layers, and the images.

    `turn` and `renewed` are those of the layers, see `LayerStore`.
    """

    names: frozenset[str]
    images: Mapping[str, object]
    turn: int
    renewed: set[str] | None

    def changed(self, before: object) -> Renewed | None:
        """The containers and images of which something else may be said than before; None: it may be any."""
        if not isinstance(before, PartPlaces):
            return None
        known = self.renewed if self.turn == before.turn + 1 else None
        names = self.names ^ before.names if known is None else known
        containers = {name.removesuffix(INIT) for name in names}
        return Renewed(containers, changed_keys(self.images, before.images))


class DriverPart(Protocol):
    """What one layout says of the layers of one graph driver."""

    @property
    def store(self) -> LayerStore:
        """The layers that the driver has on disk."""

    @property
    def images(self) -> Sequence[Image]:
        """The images whose layers the driver keeps."""

    @property
    def missing(self) -> Iterable[str]:
        """The layers that images or names refer to and that are not on disk."""

    @property
    def describes_containers(self) -> bool:
        """Whether the layout writes down which layers each container has. Else a layer has its container's id."""

    def knows_layer(self, container: ContainerId) -> bool:
        """Whether it is written down which layer is a container's own, on disk or not."""

    def container_layers(self, container: ContainerId) -> ContainerLayers | None:
        """Find the layers of a container; None where the layout does not know it."""

    def places_of(self, container: Container) -> object:
        """What all that this part says of a container and its layers depends on.

        Where it is equal to that of an earlier reading, so is what the part says. None: it is not known.
        """

    @property
    def places(self) -> object:
        """What all that this part says of any container depends on: see `places_of`. None: it is not known."""

    def why_not_loaded(self, container: ContainerId) -> str:
        """Why the engine does not load a container because of its layers; "" if it does."""

    def missing_below(self, container: Container) -> Iterable[str]:
        """The layers that a container stands on and that are not on disk."""

    def claim(self, containers: Sequence[Container]) -> Claims:
        """Say what needs each layer. `containers` are those of this driver, with their layers."""


class Part(Struct, frozen=True):
    """What one layout says of a root.

    `build_cache`: None where the layout keeps none. `layers`: those that it describes, if it can take over layers of
    an older layout. `counts`: the entries of stores that all drivers share, by driver and short name. `measured`: where
    it is false, its objects are not known, and any layer may be one of its. `leftovers`: the entries of the root that
    were its own and that no engine reads any more. `renamed`: the new ids of images by their old ids, where an engine
    has moved them. `content`: the containerd image store. `containers` are those that are not Docker's. `active`: when
    Docker last worked with a driver, in Unix seconds, where that cannot be told from the driver's directory.
    `unused`: the digests of the blobs of the image store that nothing keeps.
    """

    drivers: Sequence[DriverPart] = ()
    build_cache: BuildCache | None = None
    layers: frozenset[LayerId] = frozenset()
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    measured: bool = True
    leftovers: tuple[str, ...] = ()
    renamed: Mapping[ImageId, ImageId] = field(default_factory=dict)
    content: ContentStore | None = None
    containers: tuple[Container, ...] = ()
    active: Mapping[str, float] = field(default_factory=dict)
    unused: Collection[str] = ()
