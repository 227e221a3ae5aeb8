"""The figures of one `Snapshot`. Each is computed when it is first asked for, and kept.

Metrics, the document and the pages show the same figures. One whose inputs were not read whole is None, or left out.
The figures of the next snapshot go on from there: see `figures.difference`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TypeVar

from msgspec.structs import replace

from exporter.core.barrier import Barrier
from exporter.core.content import BlobUse
from exporter.core.measured import Usage, root_of
from exporter.core.model import (
    Collector,
    ContainerKey,
    ContainerState,
    Filesystem,
    Image,
    ImageKey,
    ImageState,
    LayerKey,
    Snapshot,
    Use,
)
from exporter.core.text import ShortIds
from exporter.figures import filesystems, needs
from exporter.figures.blob_uses import BlobSum, BlobUses
from exporter.figures.build_cache import BuildCacheFigures, BuildCacheSizes
from exporter.figures.clean_up import Freed
from exporter.figures.container_sizes import UNKNOWN_CONTAINER, ContainerFigures, ContainerSizes
from exporter.figures.difference import Difference
from exporter.figures.directory_sums import DirectorySums
from exporter.figures.image_sizes import UNKNOWN, ImageFigures, ImageSizes
from exporter.figures.layer_sizes import LayerSizes, LayerSum, LayerSums
from exporter.figures.needs import Figure
from exporter.figures.parts import Changing, Parts
from exporter.figures.prunes import Category
from exporter.figures.reclaim import Reclaim, Reclaimer
from exporter.figures.short_names import ShortNames, ShortRecords
from exporter.figures.spaces import Spaces
from exporter.figures.volume_figures import VolumeFigures

T = TypeVar("T")

_FAILED = "the exporter failed to work it out, see its log"
_NOT_RECKONED = Reclaim({category: Freed(None, None, why=_FAILED) for category in Category}, None)


class Figures:
    """The figures of one snapshot, which does not change."""

    def __init__(self, snapshot: Snapshot, before: "Figures | None" = None) -> None:
        """`before` are the figures of an earlier snapshot, which can be asked no more after this."""
        self.snapshot = snapshot
        #: Counts the errors of working the figures out, and of rendering them.
        self.barrier = Barrier()
        self._known: dict[tuple[Figure | Category, str], bool] = {}
        going_on = before is not None and not before.barrier.failed
        self.parts: Parts = Parts(snapshot, before.parts if before is not None and going_on else None)

    def forget_before(self) -> None:
        """Come to this snapshot with everything, and free what is left of the one before."""
        for _ in (self._sums, self.containers, self._directories, self._volumes, self._blobs):
            pass
        for _ in (self._spaces, self._build_cache, None if self.are_first else self.reclaim):
            pass
        self.parts.forget_before()

    @cached_property
    def are_first(self) -> bool:
        """Whether no tree is measured yet but the roots: what is hardly known without is not worked out for these."""
        return self.snapshot.unfinished and all(tree == root_of(tree) for tree in self.snapshot.measured)

    @property
    def token(self) -> object:
        """Another object for the figures of each snapshot."""
        return self.parts.token

    @property
    def before(self) -> object | None:
        """The token of those that these have gone on from; None where there are none."""
        return None if self.barrier.failed else self.parts.before

    def changed(self, kind: type[Changing]) -> Sequence[object] | None:
        """The objects of which a part of the figures says that they have changed, see `Parts.changed`."""
        return None if self.barrier.failed else self.parts.changed(kind)

    def _part(
        self, kind: type[T], collector: Collector, what: str, advance: Callable[[T, Difference], None]
    ) -> T | None:
        """One part of the figures, come to this snapshot; None where that fails."""
        return self.barrier.attempt(collector, what, lambda: self.parts.advance(kind, advance), None)

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
        if not inventory.knowledge.gaps:
            return ""
        # Of all drivers it is known only where it is of each: one may need more than another.
        asked = (driver,) if driver else ("", *inventory.drivers)
        return next((why for one in asked if (why := needs.why_not(inventory.knowledge, figure, one))), "")

    def _attempt(self, collector: Collector, what: str, work: Callable[[Snapshot], T], instead: T) -> T:
        """Work out figures of many objects together. Where that fails, they are not known."""
        return self.barrier.attempt(collector, what, partial(work, self.snapshot), instead)

    @cached_property
    def short_names(self) -> ShortIds:
        """How the ids of images and containers are shortened."""
        part = self._part(ShortNames, Collector.IMAGES, "short ids", ShortNames.advance)
        return ShortIds() if part is None else part.short

    @cached_property
    def short_records(self) -> ShortIds:
        """How the ids of build records are shortened."""
        part = self._part(ShortRecords, Collector.BUILD_CACHE, "short ids", ShortRecords.advance)
        return ShortIds() if part is None else part.short

    @cached_property
    def _sizes(self) -> LayerSizes:
        return self._part(LayerSizes, Collector.IMAGES, "sizes of layers", LayerSizes.advance) or LayerSizes()

    @property
    def layer_sizes(self) -> Mapping[LayerKey, int]:
        """Every layer's own size as Docker counts it, bytes."""
        return self._sizes.sizes

    @cached_property
    def _images(self) -> ImageSizes:
        """The figures of images, also where their inputs were not read whole."""
        sizes = self._sizes

        def advance(part: ImageSizes, since: Difference) -> None:
            part.advance(since, sizes, self.barrier)

        return self._part(ImageSizes, Collector.IMAGES, "sizes of images", advance) or ImageSizes()

    @cached_property
    def images(self) -> Mapping[ImageKey, ImageFigures]:
        """The figures of every image."""
        found, images = self._images.figures, self.snapshot.inventory.images
        if self.images_known:
            return found
        return {one.key: self._image(one, found.get(one.key, UNKNOWN)) for one in images}

    @cached_property
    def images_known(self) -> bool:
        """Whether all figures of images are known as far as they are worked out."""
        found, images = self._images, self.snapshot.inventory.images
        figures = (Figure.IMAGE_SHARES, Figure.IMAGE_USERS, Figure.IMAGE_LISTED)
        drivers = {driver for driver, _, _ in found.states}
        whole = len(found.figures) == len(images)
        return whole and all(self.is_known(one, driver) for one in figures for driver in drivers)

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
        part, nothing = self._spaces, list[tuple[str, str]]()
        if part is None:
            return nothing
        work = partial(part.spaces, self.snapshot.inventory)
        return self.barrier.attempt(Collector.IMAGES, "drivers and namespaces", work, nothing)

    @cached_property
    def _spaces(self) -> Spaces | None:
        return self._part(Spaces, Collector.IMAGES, "drivers and namespaces", Spaces.advance)

    @cached_property
    def container_states(self) -> Mapping[tuple[str, str, ContainerState], int]:
        """How many containers of each driver and namespace have each state."""
        part = self._spaces
        if part is None:
            return {}
        places = part.of_containers(self.snapshot.inventory, self.spaces)
        return {(*place, state): part.states[*place, state] for place in places for state in ContainerState}

    @cached_property
    def image_states(self) -> Mapping[tuple[str, str, ImageState], int]:
        """How many images of each driver and namespace have each state, for the states that are known."""
        images, found = self.snapshot.inventory.images, self._images
        counts, failed = found.states, {driver for driver, _, state in found.states if state is None}
        if not self.images_known:
            known = self.images
            counts = Counter((one.driver, one.namespace, known[one.key].state) for one in images)
            failed = {one.driver for one in images if found.figures.get(one.key, UNKNOWN).state is None}
        return {
            (driver, namespace, state): counts[driver, namespace, state]
            for driver, namespace in self.spaces
            for state in ImageState
            if driver not in failed
            and self.is_known(Figure.IMAGE_LISTED if state is ImageState.INTERMEDIATE else Figure.IMAGE_STATES, driver)
        }

    @cached_property
    def _sums(self) -> LayerSums | None:
        sizes = self._sizes

        def advance(part: LayerSums, since: Difference) -> None:
            part.advance(since, sizes)

        return self._part(LayerSums, Collector.IMAGES, "sums of layers", advance)

    @cached_property
    def layers(self) -> Mapping[tuple[str, str, Use], LayerSum]:
        """The layers on disk by driver, namespace and use, for the uses that are known."""
        part, nothing = self._sums, dict[tuple[str, str, Use], LayerSum]()
        if part is None:
            return nothing
        sums = self._attempt(Collector.IMAGES, "sums of layers", lambda it: part.sums(it, self.spaces), nothing)
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
        sizes, images = self._sizes, self._images

        def advance(part: ContainerSizes, since: Difference) -> None:
            part.advance(since, sizes, images, self.barrier)

        part = self._part(ContainerSizes, Collector.CONTAINERS, "sizes of containers", advance)
        if part is None:
            return dict.fromkeys((one.key for one in self.snapshot.inventory.containers), UNKNOWN_CONTAINER)
        return part.figures

    @cached_property
    def _directories(self) -> DirectorySums | None:
        return self._part(DirectorySums, Collector.DIRECTORIES, "sums of directories", DirectorySums.advance)

    @cached_property
    def directories(self) -> Mapping[str, Usage | None]:
        """The usage of every top-level entry, and of the root itself as `.`; None where it is not known."""
        part = self._directories
        if part is None:
            return {}
        return self._attempt(Collector.DIRECTORIES, "sums of directories", part.usages, {})

    @cached_property
    def allocated(self) -> Mapping[Filesystem, int]:
        """The disk blocks of all that is measured on each filesystem, where they are known."""
        part, nothing = self._directories, dict[Filesystem, int]()
        if part is None:
            return nothing
        work = partial(filesystems.allocated, directories=self.directories, elsewhere=part.elsewhere())
        return self._attempt(Collector.DIRECTORIES, "sums of filesystems", work, nothing)

    @cached_property
    def reclaimable(self) -> Mapping[Filesystem, int]:
        """What all prunes free on each filesystem, where that is known."""
        if self.are_first:
            return {}
        freed = [one.allocated for one in self.reclaim.freed.values()]
        nothing: dict[Filesystem, int] = {}
        work = partial(filesystems.reclaimable, freed=freed, elsewhere=self.reclaim.elsewhere)
        return self._attempt(Collector.DIRECTORIES, "what is freed on filesystems", work, nothing)

    @cached_property
    def volumes(self) -> Mapping[str, Usage | None]:
        """What every volume holds, by name."""
        found = self._volumes
        return dict.fromkeys(one.name for one in self.snapshot.inventory.volumes) if found is None else found.usages

    @cached_property
    def _volumes(self) -> VolumeFigures | None:
        return self._part(VolumeFigures, Collector.VOLUMES, "sizes of volumes", VolumeFigures.advance)

    def volume_containers(self, volume: str) -> int | None:
        """How many containers mount the volume of this name; None where that is not known."""
        found = self._volumes
        return found.users[volume] if found is not None and self.is_known(Figure.VOLUME_USERS) else None

    @property
    def volume_states(self) -> Mapping[tuple[bool, bool], int] | None:
        """How many volumes are mounted by a container or not, and anonymous or not; None where that is not known."""
        found = self._volumes
        known = self.is_known(Figure.VOLUME_STATES) and self.is_known(Figure.VOLUME_USERS)
        return found.states if found is not None and known else None

    @cached_property
    def _blobs(self) -> BlobUses | None:
        """The uses of blobs; None where there is no image store of containerd, or they are not known."""
        part = self._part(BlobUses, Collector.IMAGES, "uses of blobs", BlobUses.advance)
        return part if self.snapshot.inventory.content is not None and self.is_known(Figure.BLOBS) else None

    @property
    def uses_of_blobs(self) -> Mapping[str, BlobUse]:
        """The use of each blob of containerd's image store, by digest; nothing where that is not known."""
        return self._blobs.uses if self._blobs is not None else {}

    @cached_property
    def blobs(self) -> Mapping[BlobUse, BlobSum]:
        """The blobs of containerd's image store by use; nothing where there is none, or it was not read whole."""
        part = self._blobs
        return {} if part is None else self._attempt(Collector.IMAGES, "blobs", part.sums, {})

    @cached_property
    def history(self) -> int | None:
        """How many entries the build history has that Docker keeps in containerd's image store."""
        content = self.snapshot.inventory.content
        if content is None or content.entries is None or not (content.history and self.blobs):
            return None
        return len(content.entries) if self.is_known(Figure.BUILD_HISTORY) else None

    @cached_property
    def _build_cache(self) -> BuildCacheSizes | None:
        sizes, sums = self._sizes, self._sums

        def advance(part: BuildCacheSizes, since: Difference) -> None:
            part.advance(since, sizes, sums or LayerSums())

        return self._part(BuildCacheSizes, Collector.BUILD_CACHE, "sizes of the build cache", advance)

    @cached_property
    def build_cache(self) -> BuildCacheFigures:
        """BuildKit's cache."""
        if not self.is_known(Figure.BUILD_CACHE):
            return BuildCacheFigures(None, {}, {})
        part, blobs = self._build_cache, self.blobs[BlobUse.BUILD_CACHE].allocated if self.blobs else None
        nothing = BuildCacheFigures(None, {}, {})
        if part is None:
            return nothing
        work = partial(part.figures, blobs=0 if self.snapshot.inventory.content is None else blobs)
        found = self._attempt(Collector.BUILD_CACHE, "build cache", work, nothing)
        if not self.is_known(Figure.BUILD_SHARES):
            found = replace(found, size=None)
        if self.is_known(Figure.LAYERS_OF_OTHERS):
            return found
        return replace(found, allocated={name: size for name, size in found.allocated.items() if name != "snapshots"})

    @cached_property
    def reclaim(self) -> Reclaim:
        """What a clean-up would free."""
        sizes, what = self._sizes, "what a prune frees"

        def advance(part: Reclaimer, since: Difference) -> None:
            part.advance(since, sizes)

        part = self._part(Reclaimer, Collector.DIRECTORIES, what, advance)
        if part is None:
            return _NOT_RECKONED
        found = self._attempt(Collector.DIRECTORIES, what, part.reclaim, _NOT_RECKONED)
        freed = {
            category: Freed(None, None, why=one.why or why) if (why := self.why_not(category)) else one
            for category, one in found.freed.items()
        }
        known = self.is_known(Figure.UNATTRIBUTED)
        return replace(found, freed=freed, unattributed=found.unattributed if known else None)


def _in_use(figures: ImageFigures) -> bool:
    return figures.state in (ImageState.USED, ImageState.INTERMEDIATE)
