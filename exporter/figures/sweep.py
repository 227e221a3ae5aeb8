"""What each prune frees in a containerd image store: by mark and sweep, as containerd's garbage collector does it.

A prune removes roots of the graph: leases, and names of images. What no root of any namespace keeps any more is freed.
Rules: moby 28.5 daemon/containerd/image_prune.go and image_snapshot.go, buildkit v0.25 cache/manager.go (prune) and
control/control.go (Prune), containerd 2.1 core/metadata/gc.go.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from exporter.core.content import ContentStore, Hold, Holder
from exporter.core.model import Container, Image, Inventory
from exporter.figures.image_names import dangling_name, is_by_digest, kept_names
from exporter.figures.prunes import Category

#: The length of a container's id.
_ID = 64
_HOLDERS = tuple(Holder)
#: What the last roots keep stays, what those before keep besides is freed with these.
_STAGES: Mapping[Category, int] = {category: len(Category) - rank for rank, category in enumerate(Category)}


class Sweep:
    """The roots of one store, and with which category each is removed. Only those of Docker's namespaces are."""

    def __init__(self, inventory: Inventory, content: ContentStore, kinds: bytes) -> None:
        """`kinds` are those of the roots, see `kinds_of`."""
        self._content = content
        self._kinds = kinds
        images = [one for one in inventory.images if one.namespace == content.engine]
        self._loaded = is_loaded(inventory)
        self._images = {one.digest: one for one in images if not one.unloaded}
        #: The stage with which all roots of a kind are removed, by the kind; 0: they are not removed all together.
        self._whole = bytearray(256)
        #: By the index of a root, with which category it is removed by itself.
        self._alone: dict[int, Category] = {}
        self._users: tuple[Sequence[Container], tuple[set[str], set[str]]] | None = None
        self._names = {content.holds[at].name: at for at in self._of(Holder.IMAGE)}

    def stages(self) -> bytes:
        """By root, when it goes: from the end, 0 for one that stays. See `Stages`, and `rank_of`."""
        stages = bytearray(self._kinds.translate(self._whole))
        for at, category in self._alone.items():
            stages[at] = _STAGES[category]
        return bytes(stages)

    def _kept_by(self, containers: Sequence[Container]) -> tuple[set[str], set[str]]:
        """See `_kept_by`. Both prunes of images ask for the same containers."""
        if self._users is None or self._users[0] is not containers:
            self._users = containers, _kept_by(containers)
        return self._users[1]

    def _of(self, holder: Holder) -> list[int]:
        """The roots of a kind that are not removed alone, by their index."""
        kind = _HOLDERS.index(holder)
        return [at for at, one in enumerate(self._kinds) if one == kind] if self._loaded else []

    def targets(self) -> Iterator[tuple[int, str]]:
        """The places of the roots that are names of images, with the digests that they lead to."""
        for at in self._names.values():
            yield at, _target(self._content.holds[at])

    def _remove_all(self, category: Category, *holders: Holder) -> None:
        """Remove all roots of these kinds that no category before has removed."""
        for kind in map(_HOLDERS.index, holders if self._loaded else ()):
            self._whole[kind] = self._whole[kind] or _STAGES[category]

    def remove_containers(self, category: Category, containers: Iterable[Container]) -> None:
        """Remove Docker's leases of these containers."""
        gone = {one.id for one in containers if one.namespace == self._content.engine}
        # The lease of an image that a container has mounted has the id of the container before the name of the image.
        for at in self._of(Holder.CONTAINER) if gone else ():
            name = self._content.holds[at].name
            if name in gone or name[:_ID] in gone:
                self._alone[at] = category

    def remove_builds(self, category: Category) -> None:
        """`docker builder prune --all`: all records of the engine's snapshotter, and what is left of work."""
        self._remove_all(category, Holder.BUILD, Holder.TEMPORARY)

    def remove_history(self, category: Category) -> int:
        """`docker buildx history rm --all`: how many entries there are."""
        self._remove_all(category, Holder.HISTORY)
        return len(self._content.entries or ()) if self._loaded else 0

    def remove_images(self, category: Category, containers: Sequence[Container], *, every: bool) -> list[Image]:
        """`docker image prune`, with `--all` where `every`: it decides by name. The images that lost their last one.

        It removes the leases of pulls that were cut off, too.
        """
        self._remove_all(category, Holder.PULL)
        names = {name: at for name, at in self._names.items() if at not in self._alone}
        targets = {name: _target(self._content.holds[at]) for name, at in names.items()}
        wanted = {
            name
            for name, target in targets.items()
            if target in self._images and (every or name == dangling_name(target))
        }
        kept, by_digest = self._kept_by(containers)
        wanted -= kept
        left = Counter(targets.values())
        for name in sorted(wanted):
            target = targets[name]
            if left[target] > 1 or target not in by_digest:
                left[target] -= 1
                self._alone[names[name]] = category
        return [self._images[target] for target in {targets[name] for name in wanted} if not left[target]]


def kinds_of(inventory: Inventory, content: ContentStore, holds: Iterable[Hold]) -> bytes:
    """The kinds of roots: who holds, and another kind for those that no prune removes.

    These are those of other namespaces, and leases of records and builds that the engine does not know of.
    """
    unlisted = {Holder.BUILD: inventory.build_cache.unlisted, Holder.HISTORY: content.unlisted}
    none = frozenset[str]()
    return bytes(
        len(_HOLDERS)
        if hold.namespace != (content.history if hold.holder is Holder.HISTORY else content.engine)
        or hold.name in unlisted.get(hold.holder, none)
        else _HOLDERS.index(hold.holder)
        for hold in holds
    )


def rank_of(stage: int) -> int:
    """The place of the category among all that a stage stands for; the place after all of them for what stays."""
    return len(Category) - stage


def is_loaded(inventory: Inventory) -> bool:
    """Whether an engine works with the store of a root. One that works with another store removes nothing from it."""
    engine = inventory.content.engine if inventory.content is not None else ""
    images = [one for one in inventory.images if one.namespace == engine]
    return bool(engine) and not (images and all(one.unloaded for one in images))


def _target(hold: Hold) -> str:
    return hold.nodes[0].name if hold.nodes else ""


def _kept_by(containers: Iterable[Container]) -> tuple[set[str], set[str]]:
    """The names that containers keep, and the digests of which one name has to stay.

    The latter are those of images that a user has given by id or digest. One whose name has moved to another image
    since keeps nothing of its old image but Docker's own name for it.
    """
    kept, by_digest = set[str](), set[str]()
    for given, image in {(one.image, one.image_id) for one in containers}:
        if image is not None:
            digest = f"sha256:{image}"
            kept.add(dangling_name(digest))
            if is_by_digest(given, digest):
                by_digest.add(digest)
        kept.update(kept_names(given))
    return kept, by_digest
