"""Sizes of containers: what each has written, and that with its image."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from exporter.core.barrier import Barrier
from exporter.core.measured import Usage
from exporter.core.model import Collector, Container, ContainerKey, LayerId, LayerKey, Snapshot
from exporter.figures.counting import count
from exporter.figures.difference import Difference
from exporter.figures.image_sizes import ImageSizes
from exporter.figures.layer_sizes import LayerSizes


@dataclass(frozen=True, slots=True)
class ContainerFigures:
    """The sizes of a container in bytes. None: the layers could not be measured."""

    writable_size: int | None
    writable: Usage | None
    virtual: int | None


UNKNOWN_CONTAINER = ContainerFigures(None, None, None)


class ContainerSizes:
    """The figures of every container."""

    def __init__(self) -> None:
        self.figures: dict[ContainerKey, ContainerFigures] = {}
        self._of_layer: dict[LayerKey, list[Container]] = defaultdict(list)
        #: The layers below containers, and below how many each is.
        self._below: Counter[LayerKey] = Counter()

    def advance(self, difference: Difference, sizes: LayerSizes, images: ImageSizes, barrier: Barrier) -> None:
        """Go on to the next snapshot, with the sizes of its layers and images."""
        for one in difference.containers.removed:
            self.figures.pop(one.key, None)
            count(self._below, _keys_below(one), -1)
            if (key := _layer(one)) is not None:
                self._of_layer[key].remove(one)
                if not self._of_layer[key]:
                    del self._of_layer[key]
        for one in difference.containers.added:
            if (key := _layer(one)) is not None:
                self._of_layer[key].append(one)
        work = _Work(difference.now, sizes, images)
        for one in self._touched(difference, sizes, images):
            self.figures[one.key] = barrier.attempt(
                Collector.CONTAINERS, f"container {one.id}", partial(_container, one, work), UNKNOWN_CONTAINER
            )

    def _touched(self, difference: Difference, sizes: LayerSizes, images: ImageSizes) -> list[Container]:
        """The containers whose figures may be other ones."""
        added = difference.containers.added
        if images.resized or not self._below.keys().isdisjoint(sizes.changed):
            touched = list(difference.now.inventory.containers)
        else:
            keys = sizes.changed.keys() | {sizes.of_tree[tree] for tree in difference.trees if tree in sizes.of_tree}
            changed = {one.key: one for key in keys for one in self._of_layer.get(key, ())}
            touched = list({**changed, **{one.key: one for one in added}}.values())
        for one in added:
            count(self._below, _keys_below(one), 1)
        return touched


class _Work:
    """What the figures of a container are made of."""

    def __init__(self, snapshot: Snapshot, sizes: LayerSizes, images: ImageSizes) -> None:
        self.snapshot = snapshot
        self.sizes = sizes
        self.images = images
        self._sums: dict[tuple[str, tuple[LayerId, ...]], int | None] = {}

    def sum(self, driver: str, chain: tuple[LayerId, ...]) -> int | None:
        """The sum of the sizes of layers, None where one is not known. Containers of one image have the same."""
        key = driver, chain
        if key not in self._sums:
            sizes = [self.sizes.sizes.get(LayerKey(driver, layer)) for layer in chain]
            self._sums[key] = None if None in sizes else sum(size for size in sizes if size is not None)
        return self._sums[key]


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
    below = _below(container)
    if below or container.namespace:
        return work.sum(container.driver, below)
    image = work.images.figures.get(key) if (key := container.image_key) is not None else None
    return None if image is None else image.virtual


def _keys_below(container: Container) -> Iterator[LayerKey]:
    return (LayerKey(container.driver, layer) for layer in _below(container))


def _below(container: Container) -> tuple[LayerId, ...]:
    """The layers below a container.

    Docker counts the init layer of a container of containerd, and not that of one of a graph driver. What the image has
    is not the same: its blobs count, too.
    """
    below = container.chain
    if container.namespace and container.init and container.init not in below:
        return (container.init, *below)
    return below
