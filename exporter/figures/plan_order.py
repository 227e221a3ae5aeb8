"""The steps of a plan that frees space, in their order, and which objects go in each.

What is cheap to lose goes first: the build cache, images without a name, containers that ended long ago, then images
that no container uses, the oldest first. What is removed with what follows the rules of the prunes, see
`figures.reclaim`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct, field

from exporter.core.content import Hold, Holder
from exporter.core.engine_version import PRUNES
from exporter.core.measured import Tree
from exporter.core.model import Container, Filesystem, Image, ImageKey, Snapshot
from exporter.figures.clean_up import NO_CONTENT
from exporter.figures.difference import Difference, blank
from exporter.figures.going import RANKS, Going, children_first, is_stopped, parent_of
from exporter.figures.prunes import Category
from exporter.figures.sweep import Sweep, is_loaded, kinds_of

#: The length of a container's id.
_ID = 64
#: What has no time counts as new, and goes last.
_NEW = float("inf")
_BUILDS = (Holder.BUILD, Holder.TEMPORARY)


class StepKind(StrEnum):
    """What goes in a step: all that a prune removes, or one object."""

    BUILD_CACHE = "build_cache"
    BUILD_HISTORY = "build_history"
    IMAGES_DANGLING = "images_dangling"
    CONTAINER = "container"
    IMAGE = "image"
    LAYERS_ORPHANED = "layers_orphaned"


class Step(Struct, frozen=True):
    """One step. `allocated` are the bytes of disk blocks that it frees, None where that is not known.

    `elsewhere`: the same on each filesystem, where the root has parts on several.
    """

    kind: StepKind
    of: Container | Image | None = None
    allocated: int | None = None
    elsewhere: Mapping[Filesystem, int | None] = field(default_factory=dict)


class Order:
    """The steps in their order, and in which of them each object goes: its number, and `kept` for what stays."""

    def __init__(self, snapshot: Snapshot, skipped: frozenset[Category]) -> None:
        self.inventory = inventory = snapshot.inventory
        self.content = inventory.content or NO_CONTENT
        self.steps: list[Step] = []
        self._skipped = skipped
        self._snapshot = snapshot
        #: By the identity of a container or an image, the step in which it goes.
        self.objects: dict[int, int] = {}
        #: By the place of a root of containerd's store.
        self.roots: dict[int, int] = {}
        self._kinds = kinds_of(inventory, self.content, self.content.holds) if is_loaded(inventory) else b""
        self.builds = self._add_whole(Category.BUILD_CACHE, StepKind.BUILD_CACHE, *_BUILDS)
        if self._kinds:
            self._add_whole(Category.BUILD_HISTORY, StepKind.BUILD_HISTORY, Holder.HISTORY)
        self._add_dangling()
        self._add_containers()
        self._add_images()
        self.orphans = self._add_whole(Category.LAYERS_ORPHANED, StepKind.LAYERS_ORPHANED)

    @property
    def kept(self) -> int:
        """The number of what stays."""
        return len(self.steps)

    def _add(self, kind: StepKind, of: Container | Image | None = None) -> int:
        self.steps.append(Step(kind, of))
        return len(self.steps) - 1

    def _add_whole(self, category: Category, kind: StepKind, *holders: Holder) -> int | None:
        """All that a prune removes."""
        if category in self._skipped:
            return None
        number = self._add(kind)
        self.roots.update((at, number) for at, _ in self._roots(*holders) if at not in self.roots)
        return number

    def _roots(self, *holders: Holder) -> Iterator[tuple[int, Hold]]:
        """The roots of these kinds that Docker removes, with their places."""
        order = tuple(Holder)
        for at, kind in enumerate(self._kinds):
            if kind < len(order) and order[kind] in holders:
                yield at, self.content.holds[at]

    def _add_dangling(self) -> None:
        """What `docker image prune` removes now: a container that is stopped keeps its image."""
        if Category.IMAGES_DANGLING in self._skipped or self.inventory.engine.has(PRUNES) is False:
            return
        going = Going({*self._skipped, Category.CONTAINERS_STOPPED})
        going.advance(self._from_nothing(), _ignore)
        images = going.images(self.inventory.images, RANKS[Category.IMAGES_DANGLING])
        sweep = Sweep(self.inventory, self.content, self._kinds)
        gone = sweep.remove_images(Category.IMAGES_DANGLING, self._users(stopped=True), every=False)
        if not (images or gone or any(self._roots(Holder.PULL))):
            return
        number = self._add_whole(Category.IMAGES_DANGLING, StepKind.IMAGES_DANGLING, Holder.PULL)
        self._note_images(((one, number) for one in (*images, *gone)), sweep)

    def _add_containers(self) -> None:
        """The containers that are stopped, each by itself: that which ended first goes first."""
        if Category.CONTAINERS_STOPPED in self._skipped:
            return
        stopped = [one for one in self.inventory.containers if is_stopped(one)]
        steps: dict[str, int] = {}
        for one in sorted(stopped, key=lambda one: (one.finished or one.created or _NEW, one.id)):
            steps[one.id] = self.objects[id(one)] = self._add(StepKind.CONTAINER, one)
        # The lease of an image that a container has mounted has the id of the container before the name of the image.
        for at, hold in self._roots(Holder.CONTAINER):
            number = steps.get(hold.name, steps.get(hold.name[:_ID]))
            if number is not None:
                self.roots[at] = number

    def _add_images(self) -> None:
        """The images that no container uses that stays, each by itself: the oldest goes first."""
        if Category.IMAGES_UNUSED in self._skipped:
            return
        going = Going(self._skipped)
        going.advance(self._from_nothing(), _ignore)
        ranks = (RANKS[Category.IMAGES_DANGLING], RANKS[Category.IMAGES_UNUSED])
        found = [one for rank in ranks for one in going.images(self.inventory.images, rank)]
        sweep = Sweep(self.inventory, self.content, self._kinds)
        found += self._of_store(sweep)
        self._note_images(self._by_age([one for one in found if id(one) not in self.objects]), sweep)

    def _of_store(self, sweep: Sweep) -> list[Image]:
        """The images of containerd that `docker rmi` removes, each after those that were built on it.

        Docker keeps one that another one was built on, under a name of its own, until that is removed (moby 28.5
        daemon/containerd/image_delete.go, imageDeleteHelper).
        """
        users = self._users(stopped=Category.CONTAINERS_STOPPED in self._skipped)
        gone: dict[ImageKey, Image] = {}
        for category in (Category.IMAGES_DANGLING, Category.IMAGES_UNUSED):
            if category not in self._skipped:
                every = category is Category.IMAGES_UNUSED
                gone.update((one.key, one) for one in sweep.remove_images(category, users, every=every))
        for one in self.inventory.images:
            if one.namespace and one.key not in gone:
                self._keep(parent_of(one), gone)
        return children_first(gone)

    @staticmethod
    def _keep(at: ImageKey | None, gone: dict[ImageKey, Image]) -> None:
        """Keep what an image that stays was built on."""
        while at is not None and (one := gone.pop(at, None)) is not None:
            at = parent_of(one)

    def _by_age(self, images: Sequence[Image]) -> Iterator[tuple[Image, int]]:
        """Give each image its step; one that nothing names, and that others were built on, goes with the last of these.

        `images`: each after those that were built on it. It has no step before them: Docker refuses that.
        """
        ages: dict[ImageKey, float] = {}
        children: dict[ImageKey, list[Image]] = defaultdict(list)
        for one in images:
            ages[one.key] = max(one.created or _NEW, *(ages[child.key] for child in children[one.key]), 0)
            if (parent := parent_of(one)) is not None:
                children[parent].append(one)
        numbers: dict[ImageKey, int] = {}
        for one in sorted(images, key=lambda one: ages[one.key]):  # which keeps the order of those of one age
            below = children[one.key]
            alone = one.listed or not below
            numbers[one.key] = self._add(StepKind.IMAGE, one) if alone else max(numbers[child.key] for child in below)
            yield one, numbers[one.key]

    def _note_images(self, images: Iterable[tuple[Image, int | None]], sweep: Sweep) -> None:
        """Note in which step images go, and the names of those of containerd."""
        by_digest: dict[str, int] = {}
        for one, number in images:
            if number is None:
                continue
            self.objects[id(one)] = number
            if one.namespace:
                by_digest[one.digest] = number
        for at, digest in sweep.targets():
            if digest in by_digest and at not in self.roots:
                self.roots[at] = by_digest[digest]

    def _users(self, *, stopped: bool) -> list[Container]:
        """The containers whose images stay, also those that are `stopped`."""
        known = (one for one in self.inventory.containers if not (one.foreign or one.unloaded))
        return [one for one in known if stopped or not is_stopped(one)]

    def _from_nothing(self) -> Difference:
        return Difference(blank(self._snapshot), self._snapshot)


def _ignore(_trees: tuple[Tree, ...], _before: int | None, _now: int | None) -> None:
    """Take no note of what goes when: only the order of images is asked for."""
