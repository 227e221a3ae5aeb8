"""What was read whole, and what was not: the inputs of the figures, and the gaps in them.

An exporter that takes unread for empty calls objects unused that are in use. So every gap is kept with the inventory,
and every figure that needs the input is absent.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

from msgspec import Struct


class Input(StrEnum):
    """One kind of data that figures are made of. The names are the label `input` of `docker_storage_known`."""

    CONTAINERS = "containers"
    CONTAINER_CONFIGS = "container_configs"
    NAMES = "names"
    IMAGE_CONFIGS = "image_configs"
    LAYER_STORES = "layer_stores"
    VOLUMES = "volumes"
    BUILD_CACHE = "build_cache"
    IMAGE_STORE = "image_store"


#: What each input is called in a sentence for people.
INPUT_LABELS = {
    Input.CONTAINERS: "the list of containers",
    Input.CONTAINER_CONFIGS: "the configuration of a container",
    Input.NAMES: "the names of images",
    Input.IMAGE_CONFIGS: "the description of an image",
    Input.LAYER_STORES: "the layer database",
    Input.VOLUMES: "the volumes",
    Input.BUILD_CACHE: "the build cache's databases",
    Input.IMAGE_STORE: "the image store",
}

#: What can refer to a layer: without all of these, none can be called unreferenced.
REFER_TO_LAYERS = (
    Input.CONTAINERS,
    Input.CONTAINER_CONFIGS,
    Input.IMAGE_CONFIGS,
    Input.LAYER_STORES,
    Input.BUILD_CACHE,
    Input.IMAGE_STORE,
)

_KEPT_OF_ONE_INPUT = 100


class Gap(Struct, frozen=True):
    """One thing that was not read.

    `path` is relative to the data root. `driver`: only objects of this graph driver are affected; "" for all.
    `object_id`: the object that is not known; "" where it may be any number of objects. `damaged`: it was read, and is
    not what an engine writes, so an engine cannot use it either.
    """

    input: Input
    path: str
    why: str
    driver: str = ""
    object_id: str = ""
    damaged: bool = False


class Knowledge(Struct, frozen=True):
    """The gaps of one reading of a root. An input without a gap was read whole."""

    gaps: tuple[Gap, ...] = ()

    @classmethod
    def of(cls, gaps: Iterable[Gap]) -> "Knowledge":
        """Keep each gap once, and a hundred of them for each input and driver: more add nothing to what is known."""
        kept: dict[tuple[Input, str], dict[Gap, None]] = {}
        for gap in gaps:
            same = kept.setdefault((gap.input, gap.driver), {})
            if len(same) < _KEPT_OF_ONE_INPUT:
                same[gap] = None
        return cls(tuple(gap for same in kept.values() for gap in same))

    def whole(self, inputs: Iterable[Input], driver: str = "") -> bool:
        """Whether all these inputs were read whole, for the objects of one graph driver, or for all ("")."""
        return next(self.gaps_of(inputs, driver), None) is None

    def gaps_of(self, inputs: Iterable[Input], driver: str = "") -> Iterator[Gap]:
        """The gaps of these inputs that affect objects of a graph driver, or of any ("")."""
        wanted = frozenset(inputs)
        for gap in self.gaps:
            if gap.input in wanted and ("" in (driver, gap.driver) or gap.driver == driver):
                yield gap

    def why(self, inputs: Iterable[Input], driver: str = "") -> str:
        """One line for people: what could not be read. "" where all was."""
        gaps = list(self.gaps_of(inputs, driver))
        if not gaps:
            return ""
        first = gaps[0]
        more = f", and {len(gaps) - 1} more" if len(gaps) > 1 else ""
        return f"{INPUT_LABELS[first.input]} could not be read whole: {first.path}: {first.why}{more}"
