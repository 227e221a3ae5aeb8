"""Sizes, shares and states of images: pure functions of a `Snapshot`.

An image of a graph driver is a chain of layers. One of containerd's image store is blobs and snapshots: its shares are
of both. A blob is there once for all namespaces, a snapshot belongs to one.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from exporter.core.barrier import Barrier
from exporter.core.model import Collector, Image, ImageKey, ImageState, Inventory, LayerId, LayerKey
from exporter.figures.difference import Difference
from exporter.figures.layer_sizes import LayerSizes


@dataclass(frozen=True, slots=True)
class ImageFigures:
    """An image's sizes in bytes, its users and its state; None where these are not known.

    `content` and `unpacked` are the blobs and the snapshots of an image of containerd, and None for others.
    """

    virtual: int | None
    unique: int | None
    proportional: float | None
    containers: int | None
    state: ImageState | None
    content: int | None = None
    unpacked: int | None = None


UNKNOWN = ImageFigures(None, None, None, None, None)

#: What images share: the bytes of one part, None where not known, and how many listed images have it.
_Part = tuple[int | None, int]


class _Parts:
    """What the images are made of, and how many listed images have each part."""

    def __init__(self, inventory: Inventory, sizes: Mapping[LayerKey, int]) -> None:
        self._sizes = sizes
        self._blobs = inventory.content.blobs if inventory.content is not None else {}
        # By driver, then by layer: a key for each layer of each image would take most of the memory.
        self._having: dict[str, Counter[LayerId]] = defaultdict(Counter)
        self._having_blob: Counter[str] = Counter()
        #: The layers of all images, by driver.
        self.layers: dict[str, set[LayerId]] = defaultdict(set)
        for image in inventory.images:
            for driver, layers in _layers_of(image):
                self.layers[driver].update(layers)
                if image.listed:
                    self._having[driver].update(iter(layers))  # not a mapping: that would be counts
            if image.listed:
                self._having_blob.update(set(image.blobs))

    def of(self, image: Image) -> Iterator[_Part]:
        """The parts of an image, each once."""
        for driver, layers in _layers_of(image):
            having = self._having[driver]
            for layer in layers:
                yield self._sizes.get(LayerKey(driver, layer)), having[layer]
        for digest in set(image.blobs):
            blob = self._blobs.get(digest)
            yield blob.size if blob is not None else None, self._having_blob[digest]


def _layers_of(image: Image) -> Iterator[tuple[str, Sequence[LayerId]]]:
    """The layers of an image by driver, each once."""
    if not image.further:
        yield image.driver, tuple(dict.fromkeys(image.layers)) if image.namespace else image.layers
        return
    by_driver = {image.driver: dict.fromkeys(image.layers)}
    for driver, layer in image.further:
        by_driver.setdefault(driver, {})[layer] = None
    for driver, layers in by_driver.items():
        yield driver, tuple(layers)


class ImageSizes:
    """The figures of every image. Sharing is counted among the listed images only.

    `resized`: the size of an image is another one than in the snapshot before.
    """

    def __init__(self) -> None:
        self.figures: dict[ImageKey, ImageFigures] = {}
        self.resized = False
        self._parts = _Parts(Inventory(), {})
        self._users: Counter[ImageKey | None] = Counter()
        self._images: dict[ImageKey, Image] = {}

    def advance(self, difference: Difference, sizes: LayerSizes, barrier: Barrier) -> None:
        """Go on to the next snapshot, with the sizes of its layers."""
        before, now = difference.before.inventory, difference.now.inventory
        users = [one.image_key for one in difference.containers.removed]
        self._users.subtract(users)
        come = [one.image_key for one in difference.containers.added]
        self._users.update(come)
        self.resized = False
        layers = self._parts.layers
        resized = any(key.id in layers.get(key.driver, ()) for key in sizes.changed)
        if resized or difference.images or before.content is not now.content:
            self._work_out_all(now, sizes, barrier)
        else:
            for key in {*users, *come}:
                if key is not None and key in self._images:
                    self.figures[key] = self._figures(self._images[key], barrier)

    def _work_out_all(self, inventory: Inventory, sizes: LayerSizes, barrier: Barrier) -> None:
        """An image that comes or goes is another one that shares, or does not share, what others have."""
        self._parts = _Parts(inventory, sizes.sizes)
        self._images = {one.key: one for one in inventory.images}
        before = self.figures
        self.figures = {one.key: self._figures(one, barrier) for one in inventory.images}
        self.resized = {key: one.virtual for key, one in before.items()} != {
            key: one.virtual for key, one in self.figures.items()
        }

    def _figures(self, image: Image, barrier: Barrier) -> ImageFigures:
        figures = _of_store if image.namespace else _of_layers
        work = partial(figures, image, self._parts, self._users[image.key])
        return barrier.attempt(Collector.IMAGES, f"image {image.id}", work, UNKNOWN)


def _of_layers(image: Image, parts: _Parts, containers: int) -> ImageFigures:
    own = list(parts.of(image))
    sizes = [size for size, _ in own if size is not None]
    sized = (bool(own) or not image.broken) and len(sizes) == len(own)
    known = sized and not (image.broken and image.digest) and not image.cut
    # What a layer that is not on disk shared is nothing; of a layer that is not loaded it is not known.
    shared = sized and image.listed and not image.cut and not image.unloaded
    return ImageFigures(
        virtual=sum(sizes) if known else None,
        unique=_unique(own) if shared and known else None,
        proportional=_proportional(own) if shared else None,
        containers=containers,
        state=_state(image, containers),
    )


def _of_store(image: Image, parts: _Parts, containers: int) -> ImageFigures:
    """An image of containerd. Its reader has added up what Docker shows: platforms that share count twice there.

    One that the engine does not load still keeps what it has: the store is containerd's.
    """
    own = list(parts.of(image))
    content, unpacked = image.content_size, image.unpacked_size
    shared = image.listed and not image.cut and all(size is not None for size, _ in own)
    return ImageFigures(
        virtual=None if content is None or unpacked is None else content + unpacked,
        unique=_unique(own) if shared and not image.broken else None,
        proportional=_proportional(own) if shared else None,
        containers=containers,
        state=_state(image, containers),
        content=content,
        unpacked=unpacked,
    )


def _unique(parts: Iterable[_Part]) -> int:
    """The sum of the parts that no other listed image has."""
    return sum(size for size, having in parts if size is not None and having == 1)


def _proportional(parts: Iterable[_Part]) -> float:
    """The sum of sizes, each divided by how many share it: exact until the end."""
    by_count: Counter[int] = Counter()
    for size, having in parts:
        by_count[having] += size or 0
    common = math.lcm(*by_count)
    return sum(size * (common // count) for count, size in by_count.items()) / common


def _state(image: Image, containers: int) -> ImageState:
    if not image.listed:
        return ImageState.INTERMEDIATE
    if containers:
        return ImageState.USED
    return ImageState.DANGLING if image.dangling else ImageState.UNUSED
