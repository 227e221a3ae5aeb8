"""Which objects prunes remove, one category after the other, and which layers and trees go with each.

A graph driver's layers go with the last image, container or build record that needs them; blobs and snapshots of
containerd go as its garbage collector frees them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from exporter.core.content import StoreNode
from exporter.core.engine_version import PRUNES
from exporter.core.measured import Tree
from exporter.core.model import (
    Container,
    ContainerState,
    Image,
    ImageKey,
    Inventory,
    Layer,
    LayerId,
    Use,
    Volume,
)
from exporter.core.text import SHORT, escape
from exporter.figures.prunable import reasons_against
from exporter.figures.prunes import Category, Command, command
from exporter.figures.sweep import Sweep

_STOPPED = frozenset(ContainerState) - {
    *(ContainerState.UNKNOWN, ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING),
    ContainerState.STALE,
}


@dataclass(frozen=True, slots=True)
class Freed:
    """What one category frees: bytes of disk blocks, and how many objects; None where that is not known.

    `why` says why nothing is known of a category, and so nothing is advised.
    """

    allocated: int | None
    objects: int | None
    make_how: Callable[[], Command] = field(default=lambda: Command(""), compare=False)
    why: str = ""

    @property
    def how(self) -> Command:
        """How it is freed. It may have the names of many objects, and is made only when somebody asks."""
        return self.make_how()


def _image_names(image: Image) -> tuple[str, ...]:
    """What `docker rmi` needs to remove an image: all its tags, else its digests, else its id."""
    tags = tuple(f"{repository}:{tag}" for repository, tag in image.references)
    return tags or image.digests or (image.id[:SHORT],)


def _is_stopped(container: Container) -> bool:
    """Whether `docker container prune` removes it."""
    return container.state in _STOPPED and not (container.unloaded or container.foreign)


def _parent(image: Image) -> ImageKey | None:
    return None if image.parent is None else ImageKey(image.driver, image.namespace, image.parent)


#: By driver, the layers that objects need.
_Layers = dict[str, set[LayerId]]


class CleanUp:
    """Removes one category after the other.

    `removed` are the containers, images and volumes that go with each. `layers` has, by driver, with which category
    each layer of a graph driver goes that something needs; None: it stays. `others` has the same for the trees of
    containerd's store and of BuildKit that are no layers, no blobs and no snapshots that something needs.
    """

    def __init__(self, inventory: Inventory, kinds: bytes) -> None:
        """`kinds` are those of the roots of containerd's store, see `kinds_of`."""
        self._inventory = inventory
        self.removed: dict[Category, Sequence[Container | Image | Volume]] = {}
        self.layers: dict[str, dict[LayerId, Category | None]] = defaultdict(dict)
        #: The blobs and snapshots of containerd that nothing refers to.
        self.orphans: set[StoreNode] = set()
        self.others: dict[Tree, Category | None] = {}
        self.objects: dict[Category, int] = dict.fromkeys(Category, 0)
        self._names: dict[Category, list[str]] = defaultdict(list)
        self._by_name = inventory.engine.has(PRUNES) is False
        self._why = reasons_against(inventory)
        self._images = {one.key: one for one in inventory.images if not (one.unloaded or one.namespace)}
        self._containers = [one for one in inventory.containers if not (one.unloaded and one.going)]
        self._building = True
        self._sweep = Sweep(inventory, inventory.content, kinds) if inventory.content is not None else None
        self._run()
        self._note_others()
        self._note_orphans(Category.LAYERS_ORPHANED)

    @property
    def stages(self) -> bytes:
        """When each root of containerd's store goes, see `Sweep.stages`."""
        return b"" if self._sweep is None else self._sweep.stages()

    def _run(self) -> None:
        """Do what each prune does, and note with which category each layer goes: with the last that needs it."""
        steps: tuple[tuple[Category, Callable[[Category], _Layers]], ...] = (
            (Category.CONTAINERS_STOPPED, self._prune_containers),
            (Category.IMAGES_DANGLING, self._prune_dangling),
            (Category.IMAGES_UNUSED, self._prune_unused),
            (Category.VOLUMES_UNUSED, self._prune_volumes),
            (Category.BUILD_CACHE, self._prune_builds),
            (Category.BUILD_HISTORY, self._prune_history),
        )
        for category, step in steps:
            if category in self._why:
                continue  # nobody is told to run it, so it does not count as run for those after it
            for driver, names in step(category).items():
                self.layers[driver].update(dict.fromkeys(names, category))
        for driver, names in self._kept().items():
            self.layers[driver].update(dict.fromkeys(names))

    def _kept(self) -> _Layers:
        """The layers of graph drivers that what is left needs.

        So are those that an entry of `layerdb/mounts` holds.
        An engine reads such an entry when it starts, whether its container is there or not, and removes no layer that
        one stands on (Docker 20.10 layer/layer_store.go, loadMount).
        """
        kept = _of_images(self._images.values())
        cache = self._inventory.build_cache
        for driver, names in (
            *_of_containers(self._containers).items(),
            *cache.kept.items(),
            *(cache.holds.items() if self._building else ()),
        ):
            kept[driver].update(names)
        for layer in self._inventory.layers:
            if layer.held and not layer.namespace:
                kept[layer.driver].add(layer.id)
        return kept

    def _note_others(self) -> None:
        """The trees of containerd's store and of BuildKit that are no blob and no snapshot of a namespace."""
        cache, content = self._inventory.build_cache, self._inventory.content
        self.others.update(dict.fromkeys((*cache.files, *cache.content)))
        if content is None or self._sweep is None:
            return
        self.others.update(dict.fromkeys(content.files))
        self.others.update(dict.fromkeys(one.tree for one in content.ingests))
        alone = (one.tree for one in content.blobs.values() if not one.namespaces)
        self.others.update(dict.fromkeys(tree for tree in alone if tree is not None))

    def _note_orphans(self, category: Category) -> None:
        """The layers that nothing refers to, and blobs of containerd that nothing refers to."""
        orphans = [layer for layer in self._inventory.layers if layer.use is Use.ORPHANED]
        for layer in orphans:
            if layer.namespace:
                self.orphans.add(StoreNode(layer.namespace, layer.driver, layer.name))
            else:
                self.layers[layer.driver][layer.id] = category
        content = self._inventory.content
        known = content.blobs if content is not None else {}
        blobs = [known[digest] for digest in (content.orphaned if content else ()) if digest in known]
        for blob in blobs:
            for namespace in blob.namespaces:
                self.orphans.add(StoreNode(namespace, "", blob.digest))
            if blob.tree is not None and not blob.namespaces:
                self.others[blob.tree] = category
        self.objects[category] = len(orphans) + len(blobs)

    def freed(self, category: Category, allocated: int | None) -> Freed:
        """What a category frees, if the trees that go with it have so many bytes of blocks."""
        if why := self._why.get(category):
            return Freed(None, None, why=why)
        return Freed(allocated, self.objects[category], partial(self._how, category))

    def _how(self, category: Category) -> Command:
        if category is Category.BUILD_HISTORY and self._sweep is None:
            return Command("")
        return command(category, self._inventory.engine, list(map(escape, self._names[category])))

    def _count(self, category: Category, names: Iterable[str]) -> None:
        """Count an object that a category removes, and note what an engine without prunes calls it."""
        self.objects[category] += 1
        if self._by_name:
            self._names[category].extend(names)

    def _prune_containers(self, category: Category) -> _Layers:
        """`docker container prune`: those that do not run. What may run, or be started again, stays.

        A removal that was cut off, or failed, leaves a container `removing`. The engine calls it dead after a failure,
        and when it is started again, and prunes it (Docker 20.10 daemon/daemon.go, restore).
        """
        gone = [one for one in self._containers if _is_stopped(one)]
        self.removed[category] = gone
        for one in gone:
            self._count(category, (one.id[:SHORT],))
        if self._sweep is not None:
            self._sweep.remove_containers(category, gone)
        self._containers = [one for one in self._containers if not _is_stopped(one)]
        return _of_containers(gone)

    def _prune_dangling(self, category: Category) -> _Layers:
        """`docker image prune`: images without a tag that nothing is built on, then their nameless parents."""
        gone = self._remove_images(category, lambda image, head: image.dangling if head else not image.named)
        self._remove_names(category, every=False)
        return gone

    def _prune_unused(self, category: Category) -> _Layers:
        """`docker image prune -a`: every image that no container uses and that nothing left is built on."""
        gone = self._remove_images(category, lambda _image, _head: True)
        self._remove_names(category, every=True)
        return gone

    def _remove_names(self, category: Category, *, every: bool) -> None:
        """Remove images of containerd, name by name."""
        if self._sweep is not None:
            docker = [one for one in self._containers if not (one.foreign or one.unloaded)]
            gone = self._sweep.remove_images(category, docker, every=every)
            self.objects[category] += sum(one.listed for one in gone)

    def _remove_images(self, category: Category, wanted: Callable[[Image, bool], bool]) -> _Layers:
        """Remove images that no container uses, children before parents; `wanted` decides by image and head."""
        used = {key for one in self._containers if (key := one.image_key) is not None}
        children = Counter(parent for one in self._images.values() if (parent := _parent(one)) is not None)
        heads = {key for key in self._images if not children[key]}
        pending, gone = list(heads), list[Image]()
        while pending:
            key = pending.pop()
            image = self._images[key]
            if key in used or children[key] or not wanted(image, key in heads):
                continue
            gone.append(self._images.pop(key))
            if image.listed:
                self._count(category, _image_names(image))
            if (parent := _parent(image)) in self._images:
                children[parent] -= 1
                pending.append(parent)
        self.removed[category] = gone
        return _of_images(gone)

    def _prune_volumes(self, category: Category) -> _Layers:
        """`docker volume prune --all`: local volumes without driver options that no container that is left mounts."""
        used = {mount.source for one in self._containers for mount in one.mounts if mount.kind == "volume"}
        volumes = self._inventory.volumes
        gone = [one for one in volumes if one.name not in used and one.driver == "local" and not one.optioned]
        for one in gone:
            self._count(category, (one.name,))
        self.removed[category] = gone
        return {}

    def _prune_builds(self, category: Category) -> _Layers:
        """`docker builder prune --all`: all records, and the layers that only they need. Its files do not shrink."""
        self._building = False
        cache = self._inventory.build_cache
        self.objects[category] = len(cache.records)
        if self._sweep is not None:
            self._sweep.remove_builds(category)
        return {driver: set(names) for driver, names in cache.holds.items()}

    def _prune_history(self, category: Category) -> _Layers:
        """`docker buildx history rm --all`. Its database does not shrink."""
        if self._sweep is not None:
            self.objects[category] = self._sweep.remove_history(category)
        return {}


def is_unsized(layer: Layer | None) -> bool:
    """Whether it is not known what goes with a layer: those of some drivers are no directories, or share blocks."""
    return layer is not None and (layer.shares or not layer.trees)


def _of_images(images: Iterable[Image]) -> _Layers:
    needed: _Layers = defaultdict(set)
    for one in images:
        needed[one.driver].update(one.layers)
    return needed


def _of_containers(containers: Iterable[Container]) -> _Layers:
    """The layers that containers need. Those of containerd are kept by a lease, or a container, of containerd."""
    needed: _Layers = defaultdict(set)
    for one in containers:
        if not one.namespace:
            needed[one.driver].update(one.chain)
            needed[one.driver].update(name for name in (one.layer, one.init) if name is not None)
    return needed
