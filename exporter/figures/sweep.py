"""What each prune frees in a containerd image store: by mark and sweep, as containerd's garbage collector does it.

A prune removes roots of the graph: leases, and names of images. What no root of any namespace keeps any more is freed.
Rules: moby 28.5 daemon/containerd/image_prune.go and image_snapshot.go, buildkit v0.25 cache/manager.go (prune) and
control/control.go (Prune), containerd 2.1 core/metadata/gc.go.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from exporter.core.content import ContentStore, Hold, Holder, StoreNode, first_marks
from exporter.core.model import Container, Image, Inventory
from exporter.figures.image_names import dangling_name, is_by_digest, kept_names
from exporter.figures.prunes import Category

#: The length of a container's id.
_ID = 64
_BUILDS = (Holder.BUILD, Holder.TEMPORARY)


class Sweep:
    """The roots of one store, and with which category each is removed. Only those of Docker's namespaces are."""

    def __init__(self, inventory: Inventory, content: ContentStore) -> None:
        self._content = content
        #: By the index of a root, with which category it is removed.
        self.removed: dict[int, Category] = {}
        images = [one for one in inventory.images if one.namespace == content.engine]
        self._loaded = is_loaded(inventory)
        self._images = {one.digest: one for one in images if not one.unloaded}
        self._idle = inventory.build_cache.idle
        self._own: dict[Holder, list[int]] = defaultdict(list)
        for index, hold in enumerate(content.holds if self._loaded else ()):
            space = content.history if hold.holder is Holder.HISTORY else content.engine
            if hold.namespace == space:
                self._own[hold.holder].append(index)

    def remove_containers(self, category: Category, containers: Iterable[Container]) -> None:
        """Remove Docker's leases of these containers."""
        gone = {one.id for one in containers if one.namespace == self._content.engine}
        # The lease of an image that a container has mounted has the id of the container before the name of the image.
        self._remove(category, (Holder.CONTAINER,), lambda hold: hold.name in gone or hold.name[:_ID] in gone)

    def remove_builds(self, category: Category) -> None:
        """`docker builder prune --all`: all records of the engine's snapshotter, and what is left of work."""
        self._remove(category, _BUILDS, lambda hold: not self._is_idle(hold))

    def _is_idle(self, hold: Hold) -> bool:
        """Whether this is a lease of a record that the engine does not know of. Some have a suffix."""
        return hold.name.partition("-")[0] in self._idle

    def remove_history(self, category: Category) -> int:
        """`docker buildx history rm --all`: how many entries there are."""
        self._remove(category, (Holder.HISTORY,), lambda _: True)
        return len(self._content.entries) if self._loaded else 0

    def remove_images(self, category: Category, containers: Iterable[Container], *, every: bool) -> list[Image]:
        """`docker image prune`, with `--all` where `every`: it decides by name. The images that lost their last one.

        It removes the leases of pulls that were cut off, too.
        """
        self._remove(category, (Holder.PULL,), lambda _: True)
        names = {self._content.holds[at].name: at for at in self._left(Holder.IMAGE)}
        targets = {name: _target(self._content.holds[at]) for name, at in names.items()}
        wanted = {
            name
            for name, target in targets.items()
            if target in self._images and (every or name == dangling_name(target))
        }
        by_digest = _keep(wanted, containers)
        left = Counter(targets.values())
        for name in sorted(wanted):
            target = targets[name]
            if left[target] > 1 or target not in by_digest:
                left[target] -= 1
                self.removed[names[name]] = category
        return [self._images[target] for target in {targets[name] for name in wanted} if not left[target]]

    def _left(self, holder: Holder) -> list[int]:
        """The roots of a kind that are not removed, by their index."""
        return [at for at in self._own[holder] if at not in self.removed]

    def _remove(self, category: Category, holders: Iterable[Holder], which: Callable[[Hold], bool]) -> None:
        for holder in holders:
            for at in self._left(holder):
                if which(self._content.holds[at]):
                    self.removed[at] = category

    def freed(self) -> dict[StoreNode, Category | None]:
        """With which category each object that is kept now is freed; None for one that stays.

        From the end: what the last roots keep stays, what those before keep besides is freed with these.
        """
        by_stage: dict[Category | None, list[Hold]] = defaultdict(list)
        for at, hold in enumerate(self._content.holds):
            by_stage[self.removed.get(at)].append(hold)
        return first_marks(self._content, [(stage, by_stage[stage]) for stage in (None, *reversed(Category))])


def is_loaded(inventory: Inventory) -> bool:
    """Whether an engine works with the store of a root. One that works with another store removes nothing from it."""
    engine = inventory.content.engine if inventory.content is not None else ""
    images = [one for one in inventory.images if one.namespace == engine]
    return bool(engine) and not (images and all(one.unloaded for one in images))


def _target(hold: Hold) -> str:
    return hold.nodes[0].name if hold.nodes else ""


def _keep(names: set[str], containers: Iterable[Container]) -> set[str]:
    """Take the names away that containers keep. The result: the digests of which one name has to stay.

    These are the ones of images that a user has given by id or digest. One whose name has moved to another image since
    keeps nothing of its old image but Docker's own name for it.
    """
    by_digest: set[str] = set()
    for container in containers:
        if container.image_id is not None:
            digest = f"sha256:{container.image_id}"
            names.discard(dangling_name(digest))
            if is_by_digest(container.image, digest):
                by_digest.add(digest)
        names.difference_update(kept_names(container.image))
    return by_digest
