"""The figures of one `Snapshot`. Each is computed when it is first asked for, and kept.

Metrics, the document and the pages show the same figures. One whose inputs were not read whole is None, or left out.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TypeVar

from exporter.core.barrier import Barrier
from exporter.core.content import BlobUse
from exporter.core.measured import Usage
from exporter.core.model import (
    Collector,
    ContainerKey,
    Filesystem,
    Image,
    ImageKey,
    ImageState,
    LayerKey,
    Snapshot,
    Use,
)
from exporter.figures import blob_uses, filesystems, image_sizes, needs, sizes
from exporter.figures.blob_uses import BlobSum
from exporter.figures.clean_up import Freed
from exporter.figures.image_sizes import ImageFigures
from exporter.figures.needs import Figure
from exporter.figures.prunes import Category
from exporter.figures.reclaim import Reclaim, reclaim
from exporter.figures.sizes import BuildCacheFigures, ContainerFigures, LayerSum

T = TypeVar("T")

_FAILED = "the exporter failed to work it out, see its log"
_NOT_RECKONED = Reclaim({category: Freed(None, None, why=_FAILED) for category in Category}, None)


class Figures:
    """The figures of one snapshot, which does not change."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        #: Counts the errors of working the figures out, and of rendering them.
        self.barrier = Barrier()
        self._known: dict[tuple[Figure | Category, str], bool] = {}

    def is_known(self, figure: Figure | Category, driver: str = "") -> bool:
        """Whether the inputs of a figure were read whole, for one graph driver or for all ("")."""
        key = figure, driver
        if key not in self._known:
            self._known[key] = not self.why_not(figure, driver)
        return self._known[key]

    def why_not(self, figure: Figure | Category, driver: str = "") -> str:
        """One line that says why a figure is not known; "" where it is."""
        inventory = self.snapshot.inventory
        if figure is Figure.BUILD_SHARES and inventory.build_cache.unsure:
            return inventory.build_cache.unsure
        # Of all drivers it is known only where it is of each: one may need more than another.
        asked = (driver,) if driver else ("", *inventory.drivers)
        return next((why for one in asked if (why := needs.why_not(inventory.knowledge, figure, one))), "")

    def _attempt(self, collector: Collector, what: str, work: Callable[[Snapshot], T], instead: T) -> T:
        """Work out figures of many objects together. Where that fails, they are not known."""
        return self.barrier.attempt(collector, what, partial(work, self.snapshot), instead)

    @cached_property
    def layer_sizes(self) -> Mapping[LayerKey, int]:
        """Every layer's own size as Docker counts it, bytes."""
        return self._attempt(Collector.IMAGES, "sizes of layers", sizes.layer_sizes, {})

    @cached_property
    def _image_sizes(self) -> Mapping[ImageKey, ImageFigures]:
        """The figures of images, also where their inputs were not read whole."""
        return image_sizes.images(self.snapshot.inventory, self.layer_sizes, self.barrier)

    @cached_property
    def images(self) -> Mapping[ImageKey, ImageFigures]:
        """The figures of every image."""
        found = self._image_sizes
        return {one.key: self._image(one, found[one.key]) for one in self.snapshot.inventory.images}

    def _image(self, image: Image, figures: ImageFigures) -> ImageFigures:
        """Leave out what is not known. A name or a user that was read is one, whatever else was not."""
        if not self.is_known(Figure.IMAGE_SHARES, image.driver):
            figures = replace(figures, unique=None, proportional=None)
        if not self.is_known(Figure.IMAGE_USERS):
            figures = replace(figures, containers=None, state=figures.state if _in_use(figures) else None)
        certain = figures.state is ImageState.USED and image.named
        if not (certain or self.is_known(Figure.IMAGE_LISTED, image.driver)):
            figures = replace(figures, state=None)
        return figures

    @cached_property
    def spaces(self) -> Sequence[tuple[str, str]]:
        """The drivers with the namespaces in which each has objects."""
        return sizes.spaces(self.snapshot.inventory)

    @cached_property
    def image_states(self) -> Mapping[tuple[str, str, ImageState], int]:
        """How many images of each driver and namespace have each state, for the states that are known."""
        images, known, found = self.snapshot.inventory.images, self.images, self._image_sizes
        counts = Counter((one.driver, one.namespace, known[one.key].state) for one in images)
        failed = {one.driver for one in images if found[one.key].state is None}
        return {
            (driver, namespace, state): counts[driver, namespace, state]
            for driver, namespace in self.spaces
            for state in ImageState
            if driver not in failed
            and self.is_known(Figure.IMAGE_LISTED if state is ImageState.INTERMEDIATE else Figure.IMAGE_STATES, driver)
        }

    @cached_property
    def layers(self) -> Mapping[tuple[str, str, Use], LayerSum]:
        """The layers on disk by driver, namespace and use, for the uses that are known."""
        nothing: dict[tuple[str, str, Use], LayerSum] = {}
        sums = self._attempt(Collector.IMAGES, "sums of layers", lambda it: sizes.layers(it, self.layer_sizes), nothing)
        return {
            (driver, namespace, use): total
            for (driver, namespace, use), total in sums.items()
            if self.is_known(Figure.LAYERS_OF_IMAGES if use is Use.IMAGE else Figure.LAYERS_OF_OTHERS, driver)
        }

    @cached_property
    def missing(self) -> Mapping[str, frozenset[str]]:
        """The layers that are referred to and not on disk, by driver, for the drivers of which that is known."""
        found = self.snapshot.inventory.missing
        return {driver: names for driver, names in found.items() if self.is_known(Figure.MISSING_LAYERS, driver)}

    @cached_property
    def containers(self) -> Mapping[ContainerKey, ContainerFigures]:
        """The figures of every container."""
        return sizes.containers(self.snapshot, self.layer_sizes, self.images, self.barrier)

    @cached_property
    def directories(self) -> Mapping[str, Usage | None]:
        """The usage of every top-level entry, and of the root itself as `.`; None where it is not known."""
        return self._attempt(Collector.DIRECTORIES, "sums of directories", sizes.directories, {})

    @cached_property
    def allocated(self) -> Mapping[Filesystem, int]:
        """The disk blocks of all that is measured on each filesystem, where they are known."""
        nothing: dict[Filesystem, int] = {}
        work = partial(filesystems.allocated, directories=self.directories)
        return self._attempt(Collector.DIRECTORIES, "sums of filesystems", work, nothing)

    @cached_property
    def reclaimable(self) -> Mapping[Filesystem, int]:
        """What all prunes free on each filesystem, where that is known."""
        freed = [one.allocated for one in self.reclaim.freed.values()]
        nothing: dict[Filesystem, int] = {}
        work = partial(filesystems.reclaimable, freed=freed, elsewhere=self.reclaim.elsewhere)
        return self._attempt(Collector.DIRECTORIES, "what is freed on filesystems", work, nothing)

    @cached_property
    def volumes(self) -> Mapping[str, Usage | None]:
        """What every volume holds, by name."""
        return sizes.volumes(self.snapshot)

    @cached_property
    def volume_containers(self) -> Mapping[str, int | None]:
        """How many containers mount each volume; None where that is not known."""
        users, known = sizes.volume_containers(self.snapshot), self.is_known(Figure.VOLUME_USERS)
        names = {*users, *(one.name for one in self.snapshot.inventory.volumes)}
        return {name: users[name] if known else None for name in names}

    @cached_property
    def uses_of_blobs(self) -> Mapping[str, BlobUse]:
        """The use of each blob of containerd's image store, by digest; nothing where that is not known."""
        content = self.snapshot.inventory.content
        if content is None or not self.is_known(Figure.BLOBS):
            return {}
        return self._attempt(Collector.IMAGES, "uses of blobs", lambda _: blob_uses.uses_of_blobs(content), {})

    @cached_property
    def blobs(self) -> Mapping[BlobUse, BlobSum]:
        """The blobs of containerd's image store by use; nothing where there is none, or it was not read whole."""
        content, uses = self.snapshot.inventory.content, self.uses_of_blobs
        if content is None or not self.is_known(Figure.BLOBS) or (content.blobs and not uses):
            return {}
        return self._attempt(Collector.IMAGES, "blobs", lambda it: blob_uses.blobs(it, content, uses), {})

    @cached_property
    def history(self) -> int | None:
        """How many entries the build history has that Docker keeps in containerd's image store."""
        content = self.snapshot.inventory.content
        return len(content.entries) if content is not None and content.history and self.blobs else None

    def _build_cache(self, snapshot: Snapshot) -> BuildCacheFigures:
        blobs = self.blobs[BlobUse.BUILD_CACHE].allocated if self.blobs else None
        return sizes.build_cache(snapshot, self.layer_sizes, 0 if snapshot.inventory.content is None else blobs)

    @cached_property
    def build_cache(self) -> BuildCacheFigures:
        """BuildKit's cache."""
        if not self.is_known(Figure.BUILD_CACHE):
            return BuildCacheFigures(None, {}, {})
        nothing = BuildCacheFigures(None, {}, {})
        found = self._attempt(Collector.BUILD_CACHE, "build cache", self._build_cache, nothing)
        if not self.is_known(Figure.BUILD_SHARES):
            found = replace(found, size=None)
        if self.is_known(Figure.LAYERS_OF_OTHERS):
            return found
        return replace(found, allocated={name: size for name, size in found.allocated.items() if name != "snapshots"})

    @cached_property
    def reclaim(self) -> Reclaim:
        """What a clean-up would free."""
        found = self._attempt(Collector.DIRECTORIES, "what a prune frees", reclaim, _NOT_RECKONED)
        freed = {
            category: Freed(None, None, why=one.why or why) if (why := self.why_not(category)) else one
            for category, one in found.freed.items()
        }
        known = self.is_known(Figure.UNATTRIBUTED)
        return replace(found, freed=freed, unattributed=found.unattributed if known else None)


def _in_use(figures: ImageFigures) -> bool:
    return figures.state in (ImageState.USED, ImageState.INTERMEDIATE)
