"""The parts of a root that the detected layouts read, by layout and by graph driver."""

from collections.abc import Collection, Iterable, Sequence
from functools import partial, reduce
from itertools import chain
from operator import attrgetter

from msgspec import Struct, field
from msgspec.structs import replace

from exporter.core.content import ContentStore
from exporter.core.data_root import DataRoot
from exporter.core.model import BuildCache, Collector, Container, Image, ImageId
from exporter.inventory import layouts
from exporter.inventory.drivers import Driver
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.layouts.part import DriverPart, Part, Reading

_DRIVER, _KIND = attrgetter("driver"), attrgetter("driver", "namespace", "unloaded")


def detect(root: DataRoot) -> tuple[str, ...]:
    """The names of the layouts in a root. Empty: it is no data root."""
    return tuple(layout.name for layout in layouts.LAYOUTS if layout.detect(root))


class LayoutParts(Struct):
    """The parts of the detected layouts: by layout, oldest first, and by driver, newest first."""

    by_layout: dict[str, Part] = field(default_factory=dict)
    by_driver: dict[str, list[DriverPart]] = field(default_factory=dict)

    @property
    def stores(self) -> dict[str, LayerStore]:
        """The layers that each driver has on disk."""
        return {driver: parts[0].store for driver, parts in self.by_driver.items()}

    @property
    def images(self) -> Sequence[Image]:
        """All images."""
        lists = [part.images for layout in self.by_layout.values() for part in layout.drivers]
        return lists[0] if len(lists) == 1 else [*chain.from_iterable(lists)]

    def kinds_of_images(self) -> list[Image]:
        """One image of each driver, namespace and reason not to be loaded: of thousands, few are of different kinds."""
        images = self.images
        return [*dict(zip(map(_KIND, images), images, strict=True)).values()]

    def build_cache(self, current: str) -> BuildCache | None:
        """The build cache. With each image store that an engine works with, BuildKit has another one.

        `current`: the driver that the engine works with, "" where that is not known.
        """
        caches = [(part, part.build_cache) for part in self.by_layout.values() if part.build_cache is not None]
        present = [part for part, _ in caches if any(one.store.driver.name == current for one in part.drivers)]
        if len(present) == 1:
            return reduce(_joined, (cache if part is present[0] else _asleep(cache) for part, cache in caches))
        return reduce(_joined, (cache for _, cache in caches)) if caches else None

    @property
    def content(self) -> ContentStore | None:
        """The containerd image store."""
        return next((part.content for part in self.by_layout.values() if part.content is not None), None)

    @property
    def unused(self) -> Collection[str]:
        """The digests of the blobs of the containerd image store that nothing keeps."""
        return next((part.unused for part in self.by_layout.values() if part.content is not None), ())

    @property
    def active(self) -> dict[str, float]:
        """When Docker last worked with a driver, where its layout can tell."""
        return {driver: when for part in self.by_layout.values() for driver, when in part.active.items()}

    @property
    def foreign(self) -> list[Container]:
        """The containers that are not Docker's."""
        return [one for part in self.by_layout.values() for one in part.containers]

    def namespace_of(self, driver: str) -> str:
        """The namespace of Docker's containers, where a driver is a snapshotter that Docker works with; else ""."""
        for part in self.by_layout.values():
            if part.content is not None and driver in {
                one.store.driver.name for one in part.drivers if one.describes_containers
            }:
                return part.content.engine
        return ""

    def is_docker(self, image: Image) -> bool:
        """Whether an image is one of Docker's, and not of another namespace of containerd."""
        return not image.namespace or (self.content is not None and image.namespace == self.content.engine)

    def of_new_image(self, container: Container) -> Container:
        """Name the image of a container by its new id, where an engine has moved the image and not the container."""
        if container.image_id is None:
            return container
        new = next(
            (
                part.renamed[container.image_id]
                for part in self.by_layout.values()
                if container.image_id in part.renamed
            ),
            "",
        )
        return replace(container, image_id=ImageId(new)) if new else container

    @property
    def leftovers(self) -> list[str]:
        """The entries of the root that were parts of a layout, and that no engine reads any more."""
        return [name for part in self.by_layout.values() for name in part.leftovers]

    def of_engines(self, containers: Iterable[Container], images: Iterable[Image]) -> list[Driver]:
        """The drivers that an engine has worked with. Old ones keep volumes in the directory of another driver.

        `images`: one of each kind.
        """
        used = {*map(_DRIVER, containers), *(one.driver for one in images if self.is_docker(one))}
        found = [
            parts[0] for driver, parts in self.by_driver.items() if driver in used or parts[0].describes_containers
        ]
        return [part.store.driver for part in found]

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """The layouts whose objects are not known."""
        return tuple(name for name, part in self.by_layout.items() if not part.measured)


def _joined(one: BuildCache, other: BuildCache) -> BuildCache:
    return BuildCache(
        (*one.records, *other.records),
        {**one.needs, **other.needs},
        {**one.holds, **other.holds},
        tuple(dict.fromkeys((*one.content, *other.content))),
        tuple(dict.fromkeys((*one.files, *other.files))),
        one.history or other.history,
        one.unsure or other.unsure,
        one.idle | other.idle,
        {**one.kept, **other.kept},
        one.unlisted | other.unlisted,
        one.stuck or other.stuck,
    )


def _asleep(cache: BuildCache) -> BuildCache:
    """A cache of an image store that the engine does not work with: it knows none of the records, and keeps them."""
    ids = frozenset(one.id for one in cache.records)
    return replace(cache, records=(), holds={}, unsure="", stuck="", idle=cache.idle | ids, kept=cache.holds)


def read_layouts(reading: Reading) -> LayoutParts:
    """Read all layouts that are detected, newest first."""
    parts = LayoutParts()
    reader = reading.readers[Collector.IMAGES]
    detected = detect(reading.root)
    found: dict[str, Part] = {}
    for layout in reversed(layouts.LAYOUTS):
        if layout.name not in detected:
            continue
        part = found[layout.name] = reader.attempt((), partial(layout.read, reading), Part(measured=False))
        for driver_part in part.drivers:
            parts.by_driver.setdefault(driver_part.store.driver.name, []).append(driver_part)
        reading.drivers.update(parts.by_driver)
        reading.layers |= part.layers
    parts.by_layout = {name: found[name] for name in detected}
    return parts
