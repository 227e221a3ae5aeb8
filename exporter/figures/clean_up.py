"""What each prune removes, one category after the other, and which layers, blobs and trees go with it.

A graph driver's layers go with the last image, container or build record that needs them; blobs and snapshots of
containerd go as its garbage collector frees them.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from msgspec import Struct

from exporter.core.content import ContentStore, StoreNode
from exporter.core.engine_version import PRUNES
from exporter.core.kept import changed_keys
from exporter.core.measured import Tree
from exporter.core.model import Image, Inventory, Layer, LayerKey, Use
from exporter.core.splices import splice
from exporter.core.text import SHORT, escape
from exporter.figures.difference import Difference
from exporter.figures.going import RANKS, Going, Move, is_stopped
from exporter.figures.image_names import names_to_remove
from exporter.figures.prunes import Category, Command, command
from exporter.figures.sweep import Sweep, kinds_of

ORPHANED = RANKS[Category.LAYERS_ORPHANED]
NO_CONTENT = ContentStore()


class Freed(Struct, frozen=True):
    """What one category frees: bytes of disk blocks, and how many objects; None where that is not known.

    `why` says why nothing is known of a category, and so nothing is advised.
    """

    allocated: int | None
    objects: int | None
    make_how: Callable[[], Command] = lambda: Command("")
    why: str = ""

    def __eq__(self, other: object) -> bool:
        """Whether the same is known. What would be typed follows from the objects, and is not made for a comparison."""
        return isinstance(other, Freed) and self._known == other._known

    def __hash__(self) -> int:
        return hash(self._known)

    @property
    def _known(self) -> tuple[int | None, int | None, str]:
        return self.allocated, self.objects, self.why

    @property
    def how(self) -> Command:
        """How it is freed. It may have the names of many objects, and is made only when somebody asks."""
        return self.make_how()


class CleanUp:
    """Removes one category after the other, for one snapshot after the other.

    `others`: when the trees of containerd's store and of BuildKit go that are no layers, no blobs and no snapshots that
    something needs; None: they stay. `orphans` are the blobs and snapshots of containerd that nothing refers to.
    """

    def __init__(self, why: Mapping[Category, str]) -> None:
        """`why`: what nobody is told to run does not count as run for those after it, see `reasons_against`."""
        self._why = why
        self._inventory = Inventory()
        self._going = Going(why.keys())
        self._kinds = b""
        self._sweep: Sweep | None = None
        #: The images of containerd's store that lose their last name, by category.
        self._nameless: dict[Category, int] = {}
        self.stages = b""
        self.others: dict[Tree, Category | None] = {}
        self.orphans: set[StoreNode] = set()
        #: The orphaned snapshots, how many orphaned layers and blobs there are, and the files of blobs of no namespace.
        self._snapshots: set[StoreNode] = set()
        self._orphaned = 0
        self._alone: dict[str, Tree] = {}

    def goes_on(self, why: Mapping[Category, str]) -> bool:
        """Whether this can go on to a snapshot in which these reasons stand against prunes."""
        return self._why.keys() == why.keys()

    def advance(self, difference: Difference, why: Mapping[Category, str], move: Move) -> dict[LayerKey, int | None]:
        """Go on to the next snapshot; return the layers that may go at another time, with their ranks before."""
        self._why = why
        self._inventory = difference.now.inventory
        layers = self._going.advance(difference, move)
        self._sweep_store(difference)
        self._note_orphans(difference)
        self._note_others(difference)
        return layers

    def layer(self, layer: Layer, needed: int | None) -> int:
        """When a layer of a graph driver goes that something of this rank needs."""
        if layer.use is Use.ORPHANED:
            return ORPHANED
        return len(Category) if needed is None else needed

    def needed(self, key: LayerKey) -> int | None:
        """The rank of the last object that needs a layer of a graph driver."""
        return self._going.layer(key)

    def _sweep_store(self, difference: Difference) -> None:
        """Do what each prune does in containerd's store."""
        inventory, content = self._inventory, self._inventory.content
        self._kinds = _kinds(difference, self._kinds)
        self._nameless = {}
        if content is None:
            self._sweep, self.stages = None, b""
            return
        sweep = self._sweep = Sweep(inventory, content, self._kinds)
        left = [one for one in inventory.containers if not (one.foreign or one.unloaded)]
        for category in Category:
            if category in self._why:
                continue
            if category is Category.CONTAINERS_STOPPED:
                sweep.remove_containers(category, [one for one in left if is_stopped(one)])
                left = [one for one in left if not is_stopped(one)]
            elif category in (Category.IMAGES_DANGLING, Category.IMAGES_UNUSED):
                gone = sweep.remove_images(category, left, every=category is Category.IMAGES_UNUSED)
                self._nameless[category] = sum(one.listed for one in gone)
            elif category is Category.BUILD_CACHE:
                sweep.remove_builds(category)
            elif category is Category.BUILD_HISTORY:
                self._nameless[category] = sweep.remove_history(category)
        self.stages = sweep.stages()

    def _note_orphans(self, difference: Difference) -> None:
        """The layers that nothing refers to, and blobs of containerd that nothing refers to."""
        for layers, add in ((difference.layers.removed, False), (difference.layers.added, True)):
            for layer in layers:
                if layer.use is not Use.ORPHANED:
                    continue
                self._orphaned += 1 if add else -1
                if layer.namespace:
                    node = StoreNode(layer.namespace, layer.driver, layer.name)
                    (self._snapshots.add if add else self._snapshots.discard)(node)
        self.orphans = self._snapshots | orphaned_blobs(self._inventory.content or NO_CONTENT)

    def _note_others(self, difference: Difference) -> None:
        """The trees of containerd's store and of BuildKit that are no blob and no snapshot of a namespace."""
        cache, content = self._inventory.build_cache, self._inventory.content or NO_CONTENT
        before = difference.before.inventory.content or NO_CONTENT
        for digest in changed_keys(content.blobs, before.blobs):
            blob = content.blobs.get(digest)
            if blob is None or blob.namespaces or blob.tree is None:
                self._alone.pop(digest, None)
            else:
                self._alone[digest] = blob.tree
        self.others = dict.fromkeys((*cache.files, *cache.content, *content.files))
        self.others.update(dict.fromkeys(one.tree for one in content.ingests))
        for digest, tree in self._alone.items():
            self.others[tree] = Category.LAYERS_ORPHANED if digest in content.orphaned else None

    def freed(self, category: Category, allocated: int | None) -> Freed:
        """What a category frees, if the trees that go with it have so many bytes of blocks."""
        if why := self._why.get(category):
            return Freed(None, None, why=why)
        return Freed(allocated, self._objects(category), partial(self._how, category))

    def _objects(self, category: Category) -> int:
        if category is Category.BUILD_CACHE:
            return len(self._inventory.build_cache.records)
        if category is Category.LAYERS_ORPHANED:
            content = self._inventory.content or NO_CONTENT
            return self._orphaned + sum(digest in content.blobs for digest in content.orphaned)
        return self._going.objects[RANKS[category]] + self._nameless.get(category, 0)

    def _how(self, category: Category) -> Command:
        if category is Category.BUILD_HISTORY and self._sweep is None:
            return Command("")
        engine = self._inventory.engine
        names = list(map(escape, self._names(category))) if engine.has(PRUNES) is False else []
        return command(category, engine, names)

    def _names(self, category: Category) -> Iterator[str]:
        """What an engine without prunes calls the objects that a category removes."""
        if category is Category.CONTAINERS_STOPPED:
            yield from (one.id[:SHORT] for one in self._inventory.containers if is_stopped(one))
        elif category in (Category.IMAGES_DANGLING, Category.IMAGES_UNUSED):
            for image in self._going.images(self._inventory.images, RANKS[category]):
                yield from _image_names(image) if image.listed else ()
        elif category is Category.VOLUMES_UNUSED:
            rank = RANKS[category]
            yield from (one.name for one in self._inventory.volumes if self._going.volume(one) == rank)


def _image_names(image: Image) -> tuple[str, ...]:
    tags = tuple(f"{repository}:{tag}" for repository, tag in image.references)
    return names_to_remove(tags, image.digests, image.id)


def _kinds(difference: Difference, known: bytes) -> bytes:
    """The kinds of the roots of containerd's store, of which those of the roots before are `known`."""
    before, now = difference.before.inventory, difference.now.inventory
    old, new = before.content or NO_CONTENT, now.content or NO_CONTENT
    if _besides_roots(before, old) != _besides_roots(now, new):
        return kinds_of(now, new, new.holds)
    start, end_before, end_now = splice(old.holds, new.holds)
    return known[:start] + kinds_of(now, new, new.holds[start:end_now]) + known[end_before:]


def _besides_roots(inventory: Inventory, content: ContentStore) -> tuple[object, ...]:
    """What `kinds_of` looks at besides the roots themselves."""
    return content.engine, content.history, inventory.build_cache.unlisted, content.unlisted


def orphaned_blobs(content: ContentStore) -> set[StoreNode]:
    """The blobs of containerd that nothing refers to, as the namespaces know them."""
    blobs = (content.blobs[digest] for digest in content.orphaned if digest in content.blobs)
    return {StoreNode(namespace, "", blob.digest) for blob in blobs for namespace in blob.namespaces}


def is_unsized(layer: Layer | None) -> bool:
    """Whether it is not known what goes with a layer: those of some drivers are no directories, or share blocks."""
    return layer is not None and (layer.shares or not layer.trees)
