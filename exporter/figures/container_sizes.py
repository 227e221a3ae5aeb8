"""Sizes of containers: what each has written, and that with its image."""

from collections import Counter
from functools import partial
from typing import TypeVar

from msgspec import Struct

from exporter.core.barrier import Barrier
from exporter.core.counting import comes_or_goes, count
from exporter.core.measured import Tree, Usage
from exporter.core.model import Collector, Container, ContainerKey, ImageKey, LayerId, LayerKey, Snapshot
from exporter.figures.difference import Difference
from exporter.figures.image_sizes import ImageSizes
from exporter.figures.layer_sizes import LayerSizes

K = TypeVar("K", LayerKey, ImageKey, Tree)
#: A driver, and some of its layers.
_Chain = tuple[str, tuple[LayerId, ...]]


class ContainerFigures(Struct, frozen=True, gc=False):
    """The sizes of a container in bytes. None: the layers could not be measured."""

    writable_size: int | None
    writable: Usage | None
    virtual: int | None


UNKNOWN_CONTAINER = ContainerFigures(None, None, None)


class ContainerSizes:
    """The figures of every container.

    `changed` are the containers of which a size, the log or the checkpoints may be other ones than in the snapshot
    before. Not `sound`: two containers have one key.
    """

    def __init__(self) -> None:
        self.figures: dict[ContainerKey, ContainerFigures] = {}
        self.changed: list[Container] = []
        self.sound = True
        self._of_layer: dict[LayerKey, list[Container]] = {}
        #: Those that have no layers of their own below the writable one, but the size of their image.
        self._of_image: dict[ImageKey, list[Container]] = {}
        self._with_checkpoints: dict[Tree, list[Container]] = {}
        #: What lies below containers, and below how many: thousands may be of one image, with more than a hundred
        #: layers. And the layers in these chains, with the number of chains that each is in.
        self._chains: Counter[_Chain] = Counter()
        self._below: Counter[LayerKey] = Counter()

    def advance(self, difference: Difference, sizes: LayerSizes, images: ImageSizes, barrier: Barrier) -> None:
        """Go on to the next snapshot, with the sizes of its layers and images."""
        for one in difference.containers.removed:
            self.figures.pop(one.key, None)
            self._count_chain(_chain(one), -1)
            _forget(self._of_layer, _layer(one), one)
            _forget(self._of_image, _sized_by_image(one), one)
            _forget(self._with_checkpoints, one.checkpoints, one)
        touched = self._touched(difference, sizes, images)
        work = _Work(difference.now, sizes, images)
        for one in difference.containers.added:
            self.sound &= one.key not in self.figures
            _note(self._of_layer, _layer(one), one)
            _note(self._of_image, _sized_by_image(one), one)
            self._count_chain(_chain(one), 1)
            _note(self._with_checkpoints, one.checkpoints, one)
            self._work_out(one, work, barrier)
        for one in touched:
            self._work_out(one, work, barrier)
        self.changed = [*touched, *self._elsewhere(difference)]

    def _count_chain(self, chain: _Chain, sign: int) -> None:
        """Count the layers of a chain when the first container on it comes, and when the last one goes."""
        if comes_or_goes(self._chains, chain, sign):
            driver, layers = chain
            count(self._below, (LayerKey(driver, layer) for layer in layers), sign)

    def _work_out(self, one: Container, work: "_Work", barrier: Barrier) -> None:
        self.figures[one.key] = barrier.attempt(
            Collector.CONTAINERS, f"container {one.id}", partial(_container, one, work), UNKNOWN_CONTAINER
        )

    def _touched(self, difference: Difference, sizes: LayerSizes, images: ImageSizes) -> list[Container]:
        """The containers of before that are still there, and whose figures may be other ones."""
        if not self._below.keys().isdisjoint(sizes.resized):
            new = set(map(id, difference.containers.added))
            return [one for one in difference.now.inventory.containers if id(one) not in new]
        keys = sizes.resized.keys() | set(difference.touched(sizes.of_tree))
        # One that came or went may have files, and no size either way.
        keys |= {one.key for one in (*difference.layers.added, *difference.layers.removed)}
        found = [one for key in keys for one in self._of_layer.get(key, ())]
        found += [one for image in images.resized for one in self._of_image.get(image, ())]
        return list({id(one): one for one in found}.values())

    def _elsewhere(self, difference: Difference) -> list[Container]:
        """The containers of before whose log, or whose checkpoints, are other ones now."""
        logs = difference.logs.difference(one.id for one in difference.containers.added)
        found = [one for one in difference.now.inventory.containers if one.id in logs] if logs else []
        return found + [one for many in difference.touched(self._with_checkpoints) for one in many]


def _note(places: dict[K, list[Container]], key: K | None, one: Container) -> None:
    if key is not None:
        places.setdefault(key, []).append(one)


def _forget(places: dict[K, list[Container]], key: K | None, one: Container) -> None:
    if key is not None:
        left = [other for other in places.pop(key) if other is not one]
        if left:
            places[key] = left


class _Work:
    """What the figures of a container are made of."""

    def __init__(self, snapshot: Snapshot, sizes: LayerSizes, images: ImageSizes) -> None:
        self.snapshot = snapshot
        self.sizes = sizes
        self.images = images
        self._sums: dict[_Chain, int | None] = {}

    def sum(self, chain: _Chain) -> int | None:
        """The sum of the sizes of layers, None where one is not known. Containers of one image have the same."""
        if chain not in self._sums:
            driver, layers = chain
            sizes = [self.sizes.sizes.get(LayerKey(driver, layer)) for layer in layers]
            self._sums[chain] = None if None in sizes else sum(size for size in sizes if size is not None)
        return self._sums[chain]


def _sized_by_image(container: Container) -> ImageKey | None:
    """The image of which a container has its size, where it is not that of layers."""
    return None if container.chain or container.namespace else container.image_key


def _layer(container: Container) -> LayerKey | None:
    return None if container.layer is None else LayerKey(container.driver, container.layer)


def _container(container: Container, work: _Work) -> ContainerFigures:
    key = _layer(container)
    if key is None:
        return UNKNOWN_CONTAINER
    size, layer = work.sizes.sizes.get(key), work.sizes.layers.get(key)
    measured = work.snapshot.whole(layer.content) if layer is not None else None
    image = _size_below(container, work)
    return ContainerFigures(
        writable_size=size,
        writable=measured.usage if measured else None,
        virtual=None if size is None or image is None else size + image,
    )


def _size_below(container: Container, work: _Work) -> int | None:
    """The size of the layers below a container. They stay when `docker rmi -f` removes the image."""
    if container.missing or container.cut:
        return None
    key = _sized_by_image(container)
    if container.chain or container.namespace:
        return work.sum(_chain(container))
    image = work.images.figures.get(key) if key is not None else None
    return None if image is None else image.virtual


def _chain(container: Container) -> _Chain:
    """The layers below a container.

    Docker counts the init layer of a container of containerd, and not that of one of a graph driver. What the image has
    is not the same: its blobs count, too.
    """
    below = container.chain
    if container.namespace and container.init and container.init not in below:
        below = (container.init, *below)
    return container.driver, below
