"""With which prune each container, image, volume and layer of a graph driver goes, while these come and go.

A rank is the place of a category among all, in the order in which they are removed; `KEPT`, after all, is what stays.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

from exporter.core.counting import comes_or_goes, count
from exporter.core.measured import Tree
from exporter.core.model import Container, ContainerState, Image, ImageKey, LayerId, LayerKey, Volume
from exporter.figures.difference import Difference
from exporter.figures.prunes import Category

#: The rank of what stays.
KEPT = len(Category)
RANKS: Mapping[Category, int] = {category: rank for rank, category in enumerate(Category)}
_STOPPED_STATES = frozenset(ContainerState) - {
    *(ContainerState.UNKNOWN, ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING),
    ContainerState.STALE,
}
_CONTAINERS, _VOLUMES = RANKS[Category.CONTAINERS_STOPPED], RANKS[Category.VOLUMES_UNUSED]
_DANGLING, _UNUSED = RANKS[Category.IMAGES_DANGLING], RANKS[Category.IMAGES_UNUSED]
_BUILDS = RANKS[Category.BUILD_CACHE]

#: Called with trees of an object, its rank before and its rank now; None: it is not there.
Move = Callable[[tuple[Tree, ...], int | None, int | None], None]


class Going:
    """The ranks of all objects. What a category that is `skipped` would remove stays."""

    def __init__(self, skipped: Collection[Category]) -> None:
        self.skipped = frozenset(skipped)
        self._ranks_run = frozenset(RANKS[one] for one in Category if one not in skipped)
        #: How many objects go with each rank, as Docker counts them.
        self.objects: Counter[int] = Counter()
        self._images: dict[ImageKey, Image] = {}
        self._children: dict[ImageKey, set[ImageKey]] = {}
        self._goes: dict[ImageKey, int] = {}
        #: By how many of the containers that stay each image and each volume is used.
        self._used: Counter[ImageKey] = Counter()
        self._mounted: Counter[str] = Counter()
        #: By rank and driver, how many of the objects that go then need each layer; containers on one chain count once.
        self._needs: dict[int, dict[str, Counter[LayerId]]] = {}
        #: What lies below containers, by rank and driver: thousands may be of one image, with a hundred layers.
        self._chains: Counter[tuple[int, str, tuple[LayerId, ...]]] = Counter()

    def advance(self, difference: Difference, move: Move) -> dict[LayerKey, int | None]:
        """Go on to the next snapshot; return the layers that may go at another time, with the rank before."""
        layers = _Layers(self._needs)
        for volume in difference.volumes.removed:
            self._move(volume, move, self.volume(volume), None)
        mounted = self._mounted.copy() if difference.containers else self._mounted
        pending = self._go_on_with_containers(difference, move, layers)
        self._go_on_with_images(difference, move, layers, pending)
        for volume in difference.volumes.added:
            self._move(volume, move, None, self.volume(volume))
        if (mounted.keys() ^ self._mounted.keys()) and difference.now.inventory.volumes:
            self._remount(mounted, difference, move)
        self._go_on_with_layers(difference, layers)
        return layers.before

    def container(self, one: Container) -> int:
        """The rank of a container: `docker container prune` removes those that do not run.

        What may run, or be started again, stays. A removal that was cut off, or failed, leaves a container `removing`.
        The engine calls it dead after a failure, and when it is started again, and prunes it (Docker 20.10
        daemon/daemon.go, restore).
        """
        return _CONTAINERS if is_stopped(one) and _CONTAINERS in self._ranks_run else KEPT

    def volume(self, one: Volume) -> int:
        """The rank of a volume: `docker volume prune --all` removes local ones that no container that is left mounts.

        Those with driver options stay.
        """
        return self._volume(one, self._mounted)

    def _volume(self, one: Volume, mounted: Counter[str]) -> int:
        taken = one.driver == "local" and not one.optioned and one.name not in mounted
        return _VOLUMES if taken and _VOLUMES in self._ranks_run else KEPT

    def images(self, among: Iterable[Image], rank: int) -> list[Image]:
        """Those of a rank, children before what they were built on. Those of containerd go name by name."""
        mine = [one.key for one in among if _is_counted(one) and self._goes.get(one.key) == rank]
        return children_first({key: self._images[key] for key in mine})

    def layer(self, key: LayerKey) -> int | None:
        """The rank of the last object that needs a layer; None where none does."""
        return _Layers(self._needs).rank(key)

    def _move(self, one: Container | Image | Volume, move: Move, before: int | None, now: int | None) -> None:
        """Note that an object goes at another time, or came or went."""
        counted = one.listed if isinstance(one, Image) else True
        for rank, sign in ((before, -1), (now, 1)):
            if rank is not None and rank != KEPT and counted:
                self.objects[rank] += sign
        if before != now:
            move(trees_of(one), before, now)

    def _go_on_with_containers(self, difference: Difference, move: Move, layers: "_Layers") -> set[ImageKey]:
        """Return the images that containers began or ceased to use."""
        used: dict[ImageKey, bool] = {}
        for several, sign in ((difference.containers.removed, -1), (difference.containers.added, 1)):
            for one in several:
                rank = self.container(one)
                self._move(one, move, *((rank, None) if sign < 0 else (None, rank)))
                if one.unloaded and one.going:
                    continue
                self._count_layers(one, layers, rank, sign)
                if rank != KEPT:
                    continue
                if (key := one.image_key) is not None:
                    used.setdefault(key, key in self._used)
                    count(self._used, (key,), sign)
                count(self._mounted, (mount.source for mount in one.mounts if mount.kind == "volume"), sign)
        return {key for key, known in used.items() if known != (key in self._used)}

    def _count_layers(self, one: Container, layers: "_Layers", rank: int, sign: int) -> None:
        """Count the layers that a container needs, those of a chain when its first container comes, and its last goes.

        Those of containerd are kept by its store.
        """
        if one.namespace:
            return
        layers.need(one.driver, (name for name in (one.layer, one.init) if name is not None), rank, sign)
        if comes_or_goes(self._chains, (rank, one.driver, one.chain), sign):
            layers.need(one.driver, one.chain, rank, sign)

    def _go_on_with_images(self, difference: Difference, move: Move, layers: "_Layers", pending: set[ImageKey]) -> None:
        """Go on with the images. `pending`: those that containers began or ceased to use."""
        for one in difference.images.removed:
            self._remove(one, move, layers, pending)
        new: set[ImageKey] = set()
        for one in difference.images.added:
            self._add(one, move, layers, pending, new)
        for key, before in self._rank_again(pending | new).items():
            one, now = self._images[key], self._goes.get(key, KEPT)
            was = None if key in new else before
            if was != now:
                self._move(one, move, was, now)
                if was is not None:
                    layers.need(one.driver, one.layers, was, -1)
                layers.need(one.driver, one.layers, now, 1)

    def _remove(self, image: Image, move: Move, layers: "_Layers", pending: set[ImageKey]) -> None:
        if not _is_counted(image):
            move(trees_of(image), KEPT, None)
            return
        rank = self._goes.pop(image.key, KEPT)
        self._move(image, move, rank, None)
        layers.need(image.driver, image.layers, rank, -1)
        del self._images[image.key]
        if (parent := parent_of(image)) is not None:
            left = self._children.pop(parent) - {image.key}
            self._children.update({parent: left} if left else {})
            pending.add(parent)

    def _add(self, image: Image, move: Move, layers: "_Layers", pending: set[ImageKey], new: set[ImageKey]) -> None:
        """Add an image. It is ranked later. Of several with one key the last one counts."""
        key = image.key
        if not _is_counted(image):
            move(trees_of(image), None, KEPT)
            return
        if key in new:
            move(trees_of(self._images[key]), None, KEPT)
        elif (other := self._images.get(key)) is not None:
            rank = self._goes.pop(key, KEPT)
            self._move(other, move, rank, KEPT)
            layers.need(other.driver, other.layers, rank, -1)
        new.add(key)
        self._images[key] = image
        if (parent := parent_of(image)) is not None:
            self._children.setdefault(parent, set()).add(key)
            pending.add(parent)

    def _rank_again(self, keys: Iterable[ImageKey]) -> dict[ImageKey, int]:
        """Rank these images again, and those that they were built on; return them with their ranks before."""
        before: dict[ImageKey, int] = {}
        for key in keys:
            at: ImageKey | None = key
            while at is not None and at in self._images and at not in before:
                before[at] = self._goes.pop(at, KEPT)
                at = parent_of(self._images[at])
        pending: Iterable[ImageKey] = before
        while pending:  # once for all that were built on one: there may be thousands
            parents: dict[ImageKey, None] = {}
            for key in pending:
                rank = self._rank(key, self._images[key])
                if rank < self._goes.get(key, KEPT):
                    self._goes[key] = rank
                    parent = parent_of(self._images[key])
                    if parent is not None and parent in self._images:
                        parents[parent] = None
            pending = parents
        return before

    def _rank(self, key: ImageKey, image: Image) -> int:
        """The rank of an image, as far as its children are ranked.

        `docker image prune` removes images without a tag that nothing is built on, then their nameless parents; with
        `--all` it removes every image that no container uses and that nothing left is built on.
        """
        if key in self._used:
            return KEPT
        last = max((self._goes.get(one, KEPT) for one in self._children.get(key, ())), default=None)
        wanted = image.dangling if last is None else not image.named
        if wanted and last in (None, _DANGLING) and _DANGLING in self._ranks_run:
            return _DANGLING
        return _UNUSED if last in (None, _DANGLING, _UNUSED) and _UNUSED in self._ranks_run else KEPT

    def _remount(self, before: Counter[str], difference: Difference, move: Move) -> None:
        """Go on with the volumes that containers began or ceased to mount."""
        moved = before.keys() ^ self._mounted.keys()
        new = set(map(id, difference.volumes.added))
        for one in difference.now.inventory.volumes:
            if one.name in moved and id(one) not in new:
                self._move(one, move, self._volume(one, before), self.volume(one))

    def _go_on_with_layers(self, difference: Difference, layers: "_Layers") -> None:
        """Go on with what else needs layers: the build cache, and entries of `layerdb`.

        An engine reads such an entry when it starts, whether its container or an image with it is there or not, and
        removes no layer that one stands on (Docker 20.10 layer/layer_store.go, loadMount and newStoreFromGraphDriver).
        """
        before, now = difference.before.inventory.build_cache, difference.now.inventory.build_cache
        builds = _BUILDS if _BUILDS in self._ranks_run else KEPT
        for old, new, rank in ((before.holds, now.holds, builds), (before.kept, now.kept, KEPT)):
            for driver in old.keys() | new.keys() if old is not new else ():
                was, stays = old.get(driver, frozenset()), new.get(driver, frozenset())
                layers.need(driver, was - stays, rank, -1)
                layers.need(driver, stays - was, rank, 1)
        for several, sign in ((difference.layers.removed, -1), (difference.layers.added, 1)):
            for layer in several:
                if layer.stays:
                    layers.need(layer.driver, (layer.id,), KEPT, sign)


class _Layers:
    """Counts which layers objects need. `before`: the ranks of the layers that were touched, as they were before."""

    def __init__(self, needs: dict[int, dict[str, Counter[LayerId]]]) -> None:
        self._needs = needs
        self.before: dict[LayerKey, int | None] = {}

    def need(self, driver: str, layers: Iterable[LayerId], rank: int, sign: int) -> None:
        """Count that an object of this rank needs layers, or needs them no more."""
        needed = self._needs.setdefault(rank, defaultdict(Counter))[driver]
        for layer in layers:
            key = LayerKey(driver, layer)
            if key not in self.before:
                self.before[key] = self.rank(key)
            count(needed, (layer,), sign)

    def rank(self, key: LayerKey) -> int | None:
        """The rank of the last object that needs a layer; None where none does."""
        found = (rank for rank, by_driver in self._needs.items() if key.id in by_driver.get(key.driver, ()))
        return max(found, default=None)


def is_stopped(container: Container) -> bool:
    """Whether `docker container prune` removes it."""
    return container.state in _STOPPED_STATES and not (container.unloaded or container.foreign)


def _is_counted(image: Image) -> bool:
    return not (image.unloaded or image.namespace)


def children_first(images: Mapping[ImageKey, Image]) -> list[Image]:
    """Each image after those that were built on it. Images that are built on each other in a circle are left out."""
    pending = Counter(parent for one in images.values() if (parent := parent_of(one)) in images)
    ready = [key for key in images if not pending[key]]
    for key in ready:  # which grows
        parent = parent_of(images[key])
        if parent is not None and parent in images:
            pending[parent] -= 1
            ready += [parent] if not pending[parent] else []
    return [images[key] for key in ready]


def parent_of(image: Image) -> ImageKey | None:
    """The key of the image that another one was built on, whether that is there or not; None where it is not known."""
    if image.parent is None:
        return None
    return ImageKey("" if image.namespace else image.driver, image.namespace, image.parent)


def layers_of(container: Container) -> tuple[LayerId, ...]:
    """The layers of a graph driver that a container needs. Those of containerd are kept by its store."""
    if container.namespace:
        return ()
    return (*container.chain, *(name for name in (container.layer, container.init) if name is not None))


def trees_of(one: Container | Image | Volume) -> tuple[Tree, ...]:
    """What is kept of an object besides its layers."""
    if isinstance(one, Volume):
        return tuple(tree for tree in (one.home, one.tree) if tree)
    return one.metadata
