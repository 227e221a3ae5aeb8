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
from exporter.core.content import Blob
from exporter.core.kept import changed_keys
from exporter.core.model import Collector, Image, ImageKey, ImageState, LayerId, LayerKey
from exporter.figures.counting import count
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

    def __init__(self) -> None:
        self.sizes: Mapping[LayerKey, int] = {}
        self.blobs: Mapping[str, Blob] = {}
        # By driver, then by layer: a key for each layer of each image would take most of the memory.
        self._having: dict[str, Counter[LayerId]] = defaultdict(Counter)
        self._having_blob: Counter[str] = Counter()

    def count(self, images: Iterable[Image], sign: int) -> None:
        """Count the parts of images that are listed, or take them out."""
        for image in images:
            if image.listed:
                for driver, layers in _layers_of(image):
                    count(self._having[driver], layers, sign)
                count(self._having_blob, set(image.blobs), sign)

    def of(self, image: Image) -> Iterator[_Part]:
        """The parts of an image, each once."""
        for driver, layers in _layers_of(image):
            having = self._having[driver]
            for layer in layers:
                yield self.sizes.get(LayerKey(driver, layer)), having[layer]
        for digest in set(image.blobs):
            blob = self.blobs.get(digest)
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
        self._parts = _Parts()
        self._users: Counter[ImageKey | None] = Counter()

    def advance(self, difference: Difference, sizes: LayerSizes, barrier: Barrier) -> None:
        """Go on to the next snapshot, with the sizes of its layers."""
        removed, added = difference.images.removed, difference.images.added
        users = [one.image_key for one in difference.containers.removed]
        count(self._users, users, -1)
        come = [one.image_key for one in difference.containers.added]
        count(self._users, come, 1)
        self._parts.sizes = sizes.sizes
        blobs = self._blobs(difference)
        self._parts.count(removed, -1)
        self._parts.count(added, 1)
        changed = {one.key: self.figures.pop(one.key, None) for one in removed}
        layers = _by_driver(sizes.changed)
        for one in (*removed, *added):  # the others share what it has with one more or one less
            blobs.update(one.blobs)
            for driver, names in _layers_of(one):
                layers[driver].update(names)
        keys = {*users, *come, *(one.key for one in added)}
        for one in difference.now.inventory.images:
            key = one.key
            if key in keys or _has(one, layers, blobs):
                changed.setdefault(key, self.figures.get(key))
                self.figures[key] = self._figures(one, barrier)
        self.resized = any(_virtual(before) != _virtual(self.figures.get(key)) for key, before in changed.items())

    def _blobs(self, difference: Difference) -> set[str]:
        """The blobs that came, went or are other ones than in the snapshot before."""
        content = difference.now.inventory.content
        before, self._parts.blobs = self._parts.blobs, content.blobs if content is not None else {}
        return changed_keys(before, self._parts.blobs)

    def _figures(self, image: Image, barrier: Barrier) -> ImageFigures:
        figures = _of_store if image.namespace else _of_layers
        work = partial(figures, image, self._parts, self._users[image.key])
        return barrier.attempt(Collector.IMAGES, f"image {image.id}", work, UNKNOWN)


def _by_driver(keys: Iterable[LayerKey]) -> dict[str, set[LayerId]]:
    found: dict[str, set[LayerId]] = defaultdict(set)
    for key in keys:
        found[key.driver].add(key.id)
    return found


def _has(image: Image, layers: Mapping[str, set[LayerId]], blobs: set[str]) -> bool:
    """Whether an image has one of these parts."""
    if image.blobs and not blobs.isdisjoint(image.blobs):
        return True
    return any(driver in layers and not layers[driver].isdisjoint(names) for driver, names in _layers_of(image))


def _virtual(figures: ImageFigures | None) -> int | None:
    return None if figures is None else figures.virtual


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
