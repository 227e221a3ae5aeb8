"""The totals of one snapshot that growth is worked out from: by kind, by part of the roots, and of each object."""

from array import array
from collections.abc import Iterable, Mapping
from itertools import islice

from msgspec import Struct

from exporter.core.content import BlobUse
from exporter.core.knowledge import Input
from exporter.core.model import Container, RemarkKind, Use
from exporter.expose.snapshot_api.rows import keeps_log_here
from exporter.figures.figures import Figures
from exporter.figures.needs import Figure

#: The names of all kinds, in the order of a page.
ROOT, IMAGES, CONTENT, WRITABLE, LOGS, VOLUMES, CACHE = KINDS = (
    "everything below the data root",
    "layers of images",
    "compressed content of images",
    "writable layers of containers",
    "logs of containers",
    "volumes",
    "build cache",
)
_CACHE_COMPONENTS = 3
#: A root has some twenty entries. Of one with thousands, not all are kept.
_MOST_PARTS = 500
#: In place of a size: it is not known; there was no such object.
UNKNOWN, ABSENT = -1, -2


class KindTotal(Struct, frozen=True):
    """A sum in bytes; None where it is not known. Of `unknown` objects the size is not known: they are not in it.

    `which` is the same number where these are the same objects.
    """

    size: int | None
    unknown: int = 0
    which: int = 0


class Totals(Struct, frozen=True):
    """The totals of one snapshot. `containers` and `volumes` have the sizes by slot.

    `containers_whole`, `volumes_whole`: all such were listed. `parts_whole`: the parts are all parts.
    """

    token: object
    kinds: Mapping[str, KindTotal]
    parts: Mapping[str, int | None]
    containers: "array[int]"
    volumes: "array[int]"
    containers_whole: bool
    volumes_whole: bool
    parts_whole: bool


class Slots:
    """A number for each name of objects, so that sizes of many objects at many times are arrays of numbers."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def sizes(self, sizes: Mapping[str, int | None]) -> "array[int]":
        """The sizes as an array. New names get the next numbers."""
        for name in sizes:
            self._numbers.setdefault(name, len(self._numbers))
        found = array("q", [ABSENT]) * len(self._numbers)
        for name, size in sizes.items():
            found[self._numbers[name]] = UNKNOWN if size is None else size
        return found

    def size(self, sizes: "array[int]", name: str) -> int:
        """The size of an object in such an array, or UNKNOWN or ABSENT."""
        number = self._numbers.get(name)
        return ABSENT if number is None or number >= len(sizes) else sizes[number]

    def forget(self, kept: Iterable["array[int]"]) -> list["array[int]"]:
        """Forget the names that none of these arrays has, and return them with the numbers that are left."""
        arrays = list(kept)
        left = [
            (name, number)
            for name, number in self._numbers.items()
            if any(number < len(one) and one[number] != ABSENT for one in arrays)
        ]
        self._numbers = {name: at for at, (name, _) in enumerate(left)}
        return [array("q", [one[number] if number < len(one) else ABSENT for _, number in left]) for one in arrays]

    def __len__(self) -> int:
        return len(self._numbers)


def key_of(container: Container) -> str:
    """What a container is called here: its id, in containerd's namespaces with that."""
    return f"{container.namespace}/{container.id}" if container.namespace else container.id


def written(figures: Figures, container: Container) -> int | None:
    """The bytes of a container's writable layer and log together; None where one of them is not known."""
    size, log = figures.containers[container.key].writable_size, _log(figures, container)
    return None if size is None or log is None else size + log


def _log(figures: Figures, container: Container) -> int | None:
    """The bytes of a log on this disk."""
    log = figures.snapshot.logs.get(container.id)
    return 0 if log is None and not keeps_log_here(container.log.driver) else log


def container_sizes(figures: Figures) -> dict[str, int | None]:
    """What each container has written, by `key_of`."""
    return {key_of(one): written(figures, one) for one in figures.snapshot.inventory.containers}


def volume_sizes(figures: Figures) -> dict[str, int | None]:
    """The disk blocks of each volume in bytes."""
    return {name: None if usage is None else usage.allocated for name, usage in figures.volumes.items()}


def totals(figures: Figures, containers: Slots, volumes: Slots) -> Totals:
    """The totals of a snapshot."""
    knowledge = figures.snapshot.inventory.knowledge
    return Totals(
        token=figures.token,
        kinds=kinds(figures),
        parts=dict(islice(parts(figures).items(), _MOST_PARTS)),
        containers=containers.sizes(container_sizes(figures)),
        volumes=volumes.sizes(volume_sizes(figures)),
        containers_whole=knowledge.whole((Input.CONTAINERS, Input.CONTAINER_CONFIGS, Input.IMAGE_STORE)),
        volumes_whole=knowledge.whole((Input.VOLUMES,)),
        parts_whole=len(figures.directories) <= _MOST_PARTS,
    )


def parts(figures: Figures) -> dict[str, int | None]:
    """The disk blocks of each part of the roots. Of one behind a link that is not followed they are not known."""
    snapshot = figures.snapshot
    links = {"/".join(one.path) for one in snapshot.inventory.remarks if one.kind is RemarkKind.LINK}
    lost = links & {one.path for one in snapshot.problems}
    found = figures.directories.items()
    return {name: None if usage is None or name in lost else usage.allocated for name, usage in found}


def kinds(figures: Figures) -> dict[str, KindTotal]:
    """The disk blocks of each kind in bytes; those of logs are their lengths."""
    knowledge = figures.snapshot.inventory.knowledge
    logs = {key_of(one): _log(figures, one) for one in figures.snapshot.inventory.containers}
    found = {
        ROOT: KindTotal(_sum(parts(figures).values())),
        IMAGES: _layers(figures, Use.IMAGE, Figure.LAYERS_OF_IMAGES),
        WRITABLE: _layers(figures, Use.CONTAINER, Figure.LAYERS_OF_OTHERS),
        LOGS: _of_objects(logs, whole=knowledge.whole((Input.CONTAINERS,))),
        VOLUMES: _of_objects(volume_sizes(figures), whole=knowledge.whole((Input.VOLUMES,))),
        CACHE: _cache(figures),
    }
    if figures.snapshot.inventory.content is not None:
        found[CONTENT] = KindTotal(figures.blobs[BlobUse.IMAGE].allocated if figures.blobs else None)
    return {name: found[name] for name in KINDS if name in found}


def _of_objects(sizes: Mapping[str, int | None], *, whole: bool) -> KindTotal:
    """The sum of sizes by name. Where not all objects are known, it is not."""
    if not whole:
        return KindTotal(None)
    unknown = frozenset(name for name, size in sizes.items() if size is None)
    return KindTotal(sum(size for size in sizes.values() if size is not None), len(unknown), hash(unknown))


def _layers(figures: Figures, use: Use, figure: Figure) -> KindTotal:
    if not figures.is_known(figure):
        return KindTotal(None)
    sums = [one for (_, _, of), one in figures.layers.items() if of is use]
    if not sums and figures.snapshot.inventory.layers:  # they could not be added up
        return KindTotal(None)
    return KindTotal(_sum(None if one.usage is None else one.usage.allocated for one in sums))


def _cache(figures: Figures) -> KindTotal:
    found = figures.build_cache.allocated
    return KindTotal(sum(found.values()) if len(found) == _CACHE_COMPONENTS else None)


def _sum(sizes: Iterable[int | None]) -> int | None:
    known = [*sizes]
    return None if None in known else sum(size for size in known if size is not None)
