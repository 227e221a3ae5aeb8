"""Removes what prunes remove, one category after the other, and notes what goes with each.

A graph driver's layers go with the last image, container or build record that needs them; blobs and snapshots of
containerd go as its garbage collector frees them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain

from exporter.core.engine_version import PRUNES
from exporter.core.measured import Tree
from exporter.core.model import Container, ContainerState, Image, ImageKey, Layer, LayerId, LayerKey, Snapshot, Use
from exporter.core.text import SHORT, escape
from exporter.figures.prunable import reasons_against
from exporter.figures.prunes import Category, Command, command
from exporter.figures.sweep import Sweep
from exporter.inventory.areas import table


@dataclass(frozen=True, slots=True)
class Freed:
    """What one category frees: bytes of disk blocks, and how many objects; None where that is not known.

    `how` frees it. `why` says why nothing is known of a category, and so nothing is advised.
    """

    allocated: int | None
    objects: int | None
    how: Command = field(default=Command(""), compare=False)
    why: str = ""


def _image_names(image: Image) -> tuple[str, ...]:
    """What `docker rmi` needs to remove an image: all its tags, else its digests, else its id."""
    tags = tuple(f"{repository}:{tag}" for repository, tag in image.references)
    return tags or image.digests or (image.id[:SHORT],)


def _is_stopped(container: Container) -> bool:
    """Whether `docker container prune` removes it."""
    stopped = container.runs is False and container.state is not ContainerState.STALE
    return stopped and not (container.unloaded or container.foreign)


def _parent(image: Image) -> ImageKey | None:
    return None if image.parent is None else ImageKey(image.driver, image.namespace, image.parent)


class CleanUp:
    """Removes one category after the other, and notes which trees go with each."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        inventory = self._inventory = snapshot.inventory
        self.owners: dict[Tree, Category | None] = {}
        self.objects: dict[Category, int] = dict.fromkeys(Category, 0)
        self.unknown: set[Category] = set()
        self._names: dict[Category, list[str]] = defaultdict(list)
        self._by_name = inventory.engine.has(PRUNES) is False
        self._why = reasons_against(inventory)
        self._images = {one.key: one for one in inventory.images if not (one.unloaded or one.namespace)}
        self._containers = [one for one in inventory.containers if not (one.unloaded and one.going)]
        self._building = True
        self._layers: dict[LayerKey, Layer] = {one.key: one for one in inventory.layers}
        self._sweep = Sweep(inventory, inventory.content) if inventory.content is not None else None

    def run(self) -> None:
        """Decide for every tree of an object with which category it is removed."""
        self._keep_everything()
        held = self._held()
        steps = (
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
            step(category)
            now = self._held()
            for driver, names in held.items():
                for name in names - now[driver]:
                    self._free(category, self._layers.get(LayerKey(driver, name)))
            held = now
        if self._sweep is not None:
            self._free_swept(self._sweep)
        self._free_orphans(Category.LAYERS_ORPHANED)

    def _free_swept(self, sweep: Sweep) -> None:
        """Free the blobs and snapshots of containerd that nothing keeps any more."""
        freed: dict[Category, list[Tree]] = defaultdict(list)
        for tree, category in sweep.trees().items():
            if category is not None:
                freed[category].append(tree)
        for category, trees in freed.items():
            self._remove_trees(category, trees, due=True)
        for key, category in sweep.layers():
            self._note_unknown(category, self._layers.get(key))

    def _free_orphans(self, category: Category) -> None:
        """Free the layers that nothing refers to, and blobs of containerd that nothing refers to."""
        orphans = [layer for layer in self._inventory.layers if layer.use is Use.ORPHANED]
        for layer in orphans:
            self._free(category, layer)
        content = self._inventory.content
        known = content.blobs if content is not None else {}
        blobs = [known[digest].tree for digest in (content.orphaned if content else ()) if digest in known]
        self._remove_trees(category, (tree for tree in blobs if tree is not None), due=True)
        self.objects[category] = len(orphans) + len(blobs)

    def freed(self, category: Category, allocated: int) -> Freed:
        """What a category frees, if the trees that go with it have so many bytes of blocks."""
        if why := self._why.get(category):
            return Freed(None, None, why=why)
        how = command(category, self._inventory.engine, self._names[category])
        if category is Category.BUILD_HISTORY and self._sweep is None:
            how = Command("")
        return Freed(None if category in self.unknown else allocated, self.objects[category], how)

    def _count(self, category: Category, names: Iterable[str]) -> None:
        """Count an object that a category removes, and note what an engine without prunes calls it."""
        self.objects[category] += 1
        if self._by_name:
            self._names[category].extend(map(escape, names))

    def _keep_everything(self) -> None:
        inventory = self._inventory
        for layer in inventory.layers:
            self.owners.update(dict.fromkeys((*layer.trees, *layer.metadata)))
        for image in inventory.images:
            self.owners.update(dict.fromkeys(image.metadata))
        for container in inventory.containers:
            self.owners.update(dict.fromkeys(container.metadata))
        for volume in inventory.volumes:
            self.owners.update(dict.fromkeys(tree for tree in (volume.home, volume.tree) if tree))
        self.owners.update(dict.fromkeys((*inventory.build_cache.files, *inventory.build_cache.content)))
        if (content := inventory.content) is not None:
            self.owners.update(dict.fromkeys(content.files))
            self.owners.update(dict.fromkeys(one.tree for one in content.ingests))
            self.owners.update(dict.fromkeys(chain.from_iterable(content.trees.values())))
            alone = (one.tree for one in content.blobs.values() if not one.namespaces)
            self.owners.update(dict.fromkeys(tree for tree in alone if tree is not None))

    def _held(self) -> dict[str, set[LayerId]]:
        """The layers of graph drivers that the remaining objects need, by driver.

        So are those that an entry of `layerdb/mounts` holds.
        An engine reads such an entry when it starts, whether its container is there or not, and removes no layer that
        one stands on (Docker 20.10 layer/layer_store.go, loadMount).
        """
        held: dict[str, set[LayerId]] = defaultdict(set)
        for layer in self._inventory.layers:
            if layer.held and not layer.namespace:
                held[layer.driver].add(layer.id)
        for image in self._images.values():
            held[image.driver].update(image.layers)
        for one in self._containers:
            if one.namespace:
                continue  # a lease or a container of containerd keeps its layers
            own = (name for name in (one.layer, one.init) if name is not None)
            held[one.driver].update((*own, *one.chain))
        cache = self._inventory.build_cache
        for driver, names in (*cache.kept.items(), *(cache.holds.items() if self._building else ())):
            held[driver].update(names)
        return held

    def _free(self, category: Category, layer: Layer | None) -> None:
        if layer is None:
            return
        self._remove_trees(category, (*layer.trees, *layer.metadata))
        self._note_unknown(category, layer)

    def _note_unknown(self, category: Category, layer: Layer | None) -> None:
        """Layers of some drivers are no directories, or share blocks: what goes with them is not known."""
        if layer is not None and (layer.shares or not layer.trees):
            self.unknown.add(category)

    def _remove_trees(self, category: Category, trees: Iterable[Tree], *, due: bool = False) -> None:
        """Note that trees go with a category. `due`: they must have been measured, whatever they are."""
        for tree in trees:
            self.owners[tree] = category
            if ((due or self._is_due(tree)) and self._snapshot.whole(tree) is None) or self._is_lost(tree):
                self.unknown.add(category)

    def _is_lost(self, tree: Tree) -> bool:
        """Whether a tree, or a directory on the way to it, could not be measured whole."""
        lost = self._snapshot.incomplete
        return bool(lost) and any(tree[:end] in lost for end in range(1, len(tree) + 1))

    @staticmethod
    def _is_due(tree: Tree) -> bool:
        """Whether a tree must have been measured. Small metadata need not be there."""
        return table().around(tree).audited

    def _used(self) -> set[ImageKey]:
        return {key for one in self._containers if (key := one.image_key) is not None}

    def _prune_dangling(self, category: Category) -> None:
        """`docker image prune`: images without a tag that nothing is built on, then their nameless parents."""
        self._remove_images(category, lambda image, head: image.dangling if head else not image.named)
        self._remove_names(category, every=False)

    def _prune_unused(self, category: Category) -> None:
        """`docker image prune -a`: every image that no container uses and that nothing left is built on."""
        self._remove_images(category, lambda _image, _head: True)
        self._remove_names(category, every=True)

    def _remove_names(self, category: Category, *, every: bool) -> None:
        """Remove images of containerd, name by name."""
        if self._sweep is not None:
            docker = [one for one in self._containers if not (one.foreign or one.unloaded)]
            gone = self._sweep.remove_images(category, docker, every=every)
            self.objects[category] += sum(one.listed for one in gone)

    def _remove_images(self, category: Category, wanted: Callable[[Image, bool], bool]) -> None:
        """Remove images that no container uses, children before parents; `wanted` decides by image and head."""
        used = self._used()
        children: dict[ImageKey, int] = defaultdict(int)
        for image in self._images.values():
            if (parent := _parent(image)) is not None:
                children[parent] += 1
        heads = {key for key in self._images if not children[key]}
        pending = list(heads)
        while pending:
            key = pending.pop()
            image = self._images[key]
            if key in used or children[key] or not wanted(image, key in heads):
                continue
            del self._images[key]
            self._remove_trees(category, image.metadata)
            if image.listed:
                self._count(category, _image_names(image))
            if (parent := _parent(image)) in self._images:
                children[parent] -= 1
                pending.append(parent)

    def _prune_containers(self, category: Category) -> None:
        """`docker container prune`: those that do not run. What may run, or be started again, stays.

        A removal that was cut off, or failed, leaves a container `removing`. The engine calls it dead after a failure,
        and when it is started again, and prunes it (Docker 20.10 daemon/daemon.go, restore).
        """
        gone = [one for one in self._containers if _is_stopped(one)]
        for one in gone:
            self._remove_trees(category, one.metadata)
            self._count(category, (one.id[:SHORT],))
        if self._sweep is not None:
            self._sweep.remove_containers(category, gone)
        self._containers = [one for one in self._containers if not _is_stopped(one)]

    def _prune_volumes(self, category: Category) -> None:
        """`docker volume prune --all`: local volumes without driver options that no container that is left mounts."""
        used = {mount.source for one in self._containers for mount in one.mounts if mount.kind == "volume"}
        for volume in self._inventory.volumes:
            if volume.name not in used and volume.driver == "local" and not volume.optioned:
                self._remove_trees(category, (tree for tree in (volume.home, volume.tree) if tree))
                self._count(category, (volume.name,))

    def _prune_builds(self, category: Category) -> None:
        """`docker builder prune --all`: all records, and the layers that only they need. Its files do not shrink."""
        self._building = False
        self.objects[category] = len(self._inventory.build_cache.records)
        if self._sweep is not None:
            self._sweep.remove_builds(category)

    def _prune_history(self, category: Category) -> None:
        """`docker buildx history rm --all`. Its database does not shrink."""
        if self._sweep is not None:
            self.objects[category] = self._sweep.remove_history(category)
