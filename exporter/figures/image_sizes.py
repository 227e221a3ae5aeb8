"""Sizes, shares and states of images: pure functions of a `Snapshot`.

An image of a graph driver is a chain of layers. One of containerd's image store is blobs and snapshots: its shares are
of both. A blob is there once for all namespaces, a snapshot belongs to one.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from msgspec import Struct

from exporter.core.barrier import Barrier
from exporter.core.content import Blob
from exporter.core.counting import count
from exporter.core.kept import changed_keys
from exporter.core.model import Collector, Image, ImageKey, ImageState, LayerId, LayerKey
from exporter.figures.difference import Difference
from exporter.figures.layer_sizes import LayerSizes


class ImageFigures(Struct, frozen=True, gc=False):
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
        #: The same for images that are not listed. An image has a part of its own, or shares it with others.
        self._unlisted: dict[str, Counter[LayerId]] = defaultdict(Counter)
        self._unlisted_blob: Counter[str] = Counter()

    def count(self, images: Iterable[Image], sign: int) -> None:
        """Count the parts of images, or take them out."""
        for image in images:
            having = self._having if image.listed else self._unlisted
            for driver, layers in _layers_of(image):
                count(having[driver], layers, sign)
            count(self._having_blob if image.listed else self._unlisted_blob, set(image.blobs), sign)

    def of_others(
        self, removed: Iterable[Image], added: Iterable[Image], resized: Iterable[LayerKey], blobs: Iterable[str]
    ) -> tuple[dict[str, set[LayerId]], set[str]]:
        """The layers, by driver, and blobs of other images than those added by which the figures of these change.

        They have another size, as `resized` and `blobs` say, or listed images have come with them or gone with them.
        """
        come = Counter(part for image in added for part in _names(image))
        moved = Counter(part for image in added if image.listed for part in _names(image))
        moved.subtract(part for image in removed if image.listed for part in _names(image))
        parts = {part for part, number in moved.items() if number}
        parts.update(resized)
        parts.update((None, digest) for digest in blobs)
        layers: dict[str, set[LayerId]] = defaultdict(set)
        found: set[str] = set()
        for part in parts:
            driver, name = part
            if driver is None:
                if self._having_blob[name] + self._unlisted_blob[name] > come[part]:
                    found.add(name)
            else:
                layer = LayerId(name)
                if self._having[driver][layer] + self._unlisted[driver][layer] > come[part]:
                    layers[driver].add(layer)
        return layers, found

    def of(self, image: Image) -> Iterator[_Part]:
        """The parts of an image, each once."""
        for driver, layers in _layers_of(image):
            having = self._having[driver]
            for layer in layers:
                yield self.sizes.get(LayerKey(driver, layer)), having[layer]
        for digest in set(image.blobs):
            blob = self.blobs.get(digest)
            yield blob.size if blob is not None else None, self._having_blob[digest]


def _names(image: Image) -> Iterator[tuple[str | None, str]]:
    """The layers of an image with their driver, and its blobs, each once."""
    for driver, layers in _layers_of(image):
        for layer in layers:
            yield driver, layer
    for digest in set(image.blobs):
        yield None, digest


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

    `changed` are the images that have other figures than in the snapshot before, or are other ones, `resized` the keys
    of those whose size is another one or that have come or gone. `states`: how many images of each driver and namespace
    have each state. Not `sound`: two images have one key.
    """

    def __init__(self) -> None:
        self.figures: dict[ImageKey, ImageFigures] = {}
        self.states: Counter[tuple[str, str, ImageState | None]] = Counter()
        self.changed: list[Image] = []
        self.resized: set[ImageKey] = set()
        self.sound = True
        self._by_key: dict[ImageKey, Image] = {}
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
        before = {one.key: self._forget(one) for one in removed}
        for one in added:
            self.sound &= one.key not in self._by_key
            self._by_key[one.key] = one
        used = {key for key in (*users, *come) if key in self._by_key}
        touched = {key: self._by_key[key] for key in used if key is not None}
        if len(added) < len(self._by_key):  # there are others
            layers, blobs = self._parts.of_others(removed, added, sizes.resized, blobs)
            images = difference.now.inventory.images if layers or blobs else ()
            touched.update((one.key, one) for one in images if _has(one, layers, blobs))
        touched.update((one.key, one) for one in added)
        self.changed, self.resized = [*added], before.keys() - touched.keys()
        for key, one in touched.items():
            self._note(key, one, before.get(key) or self.figures.get(key), self._figures(one, barrier))

    def _forget(self, image: Image) -> ImageFigures | None:
        self._by_key.pop(image.key, None)
        known = self.figures.pop(image.key, None)
        if known is not None:
            count(self.states, ((image.driver, image.namespace, known.state),), -1)
        return known

    def _note(self, key: ImageKey, image: Image, known: ImageFigures | None, now: ImageFigures) -> None:
        """Note the figures of an image; `known` are those before, where there was one with its key."""
        if known is None or known.virtual != now.virtual:
            self.resized.add(key)
        before = self.figures.get(key)
        if before == now:
            return
        if before is not None:
            count(self.states, ((image.driver, image.namespace, before.state),), -1)
            self.changed.append(image)
        count(self.states, ((image.driver, image.namespace, now.state),), 1)
        self.figures[key] = now

    def _blobs(self, difference: Difference) -> set[str]:
        """The blobs that came, went or are other ones than in the snapshot before."""
        content = difference.now.inventory.content
        before, self._parts.blobs = self._parts.blobs, content.blobs if content is not None else {}
        return set(changed_keys(self._parts.blobs, before))

    def _figures(self, image: Image, barrier: Barrier) -> ImageFigures:
        figures = _of_store if image.namespace else _of_layers
        work = partial(figures, image, self._parts, self._users[image.key])
        return barrier.attempt(Collector.IMAGES, f"image {image.id}", work, UNKNOWN)


def _has(image: Image, layers: Mapping[str, set[LayerId]], blobs: set[str]) -> bool:
    """Whether an image has one of these parts."""
    if blobs and not blobs.isdisjoint(image.blobs):
        return True
    names = layers.get(image.driver)
    if names and not names.isdisjoint(image.layers):
        return True
    return any(key.id in layers.get(key.driver, ()) for key in image.further) if image.further else False


def _of_layers(image: Image, parts: _Parts, containers: int) -> ImageFigures:
    own = list(parts.of(image))
    sizes = [size for size, _ in own if size is not None]
    sized = (bool(own) or not image.broken) and len(sizes) == len(own)
    known = sized and not (image.broken and image.digest) and not image.cut
    # What a layer that is not on disk shared is nothing; of a layer with a damaged description it is not known.
    shared = sized and image.listed and not image.cut and not image.damaged
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
