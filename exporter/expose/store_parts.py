"""The parts of a containerd image store for people: what they are called, and what is said of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Protocol

from msgspec import Struct

from exporter.core.units import human
from exporter.expose.snapshot_api.rows import ContentRow, LayerRow, NamespaceRow

#: What the uses of blobs and snapshots are called.
BLOBS = {
    "image": "content of images: compressed layers, manifests, configs",
    "build_cache": "content of the build cache",
    "build_history": "build history: logs, traces, provenance",
    "ingest": "content on its way: downloads and builds under way",
    "other_namespace": "content that only other namespaces need",
    "orphaned": "content that nothing needs",
}
SNAPSHOTS = {
    "image": "snapshots of images: unpacked layers",
    "container": "snapshots of containers",
    "build_cache": "snapshots of the build cache",
    "pending": "snapshots on their way",
    "orphaned": "snapshots that nothing needs",
}


class StorePart(Struct, frozen=True):
    """One part: what it is, its disk blocks in bytes, how many objects it has."""

    what: str
    allocated: int | None
    objects: int


class LayersOf(Struct, frozen=True):
    """The layers of one driver and namespace with one use: how many, and their disk blocks in bytes."""

    driver: str
    namespace: str
    use: str
    count: int
    allocated: int | None


def layers_of(rows: Iterable[LayerRow]) -> Iterator[LayersOf]:
    """The layers of a document by driver, namespace and use."""
    found: dict[tuple[str, str, str], list[int | None]] = defaultdict(list)
    for row in rows:
        found[row.driver, row.namespace, row.use].append(row.allocated)
    for key, sizes in found.items():
        yield LayersOf(*key, len(sizes), _sum(sizes))


def store_parts(layers: Iterable[LayersOf], content: Iterable[ContentRow]) -> Iterator[StorePart]:
    """The snapshots and the blobs by use, without parts that have nothing."""
    snapshots: dict[str, list[LayersOf]] = defaultdict(list)
    for one in layers:
        if one.namespace and one.count:
            snapshots[one.use].append(one)
    for use, what in SNAPSHOTS.items():
        if of_use := snapshots[use]:
            yield StorePart(what, _sum([one.allocated for one in of_use]), sum(one.count for one in of_use))
    for row in content:
        if row.blobs or row.allocated:
            yield StorePart(BLOBS.get(row.use, row.use), row.allocated, row.blobs)


def several(namespaces: Iterable[NamespaceRow]) -> tuple[NamespaceRow, ...]:
    """The namespaces that have something, if they are several; else none."""
    found = tuple(row for row in namespaces if row.images or row.containers or row.layers or row.blobs)
    return found if len(found) > 1 else ()


class OfStore(Protocol):
    """What an image says of the store that it is in."""

    @property
    def driver(self) -> str:
        """The graph driver."""

    @property
    def namespace(self) -> str:
        """That of containerd; "" where it is not in such a store."""

    @property
    def listed(self) -> bool:
        """As `docker images` lists it."""


def store_notes(
    images: Iterable[OfStore],
    layers: Iterable[LayersOf],
    content: Iterable[ContentRow],
    history: int | None,
    engine: str,
) -> Iterator[str]:
    """What to know of the build history, and of the images of a graph driver beside those of containerd."""
    of_builds = next((row.allocated for row in content if row.use == "build_history"), None)
    if history:
        yield (
            f"The build history has {history} entries, with {_size(of_builds)} of its own. docker system df leaves it "
            "out, and no prune frees it: docker buildx history rm --all does."
        )
    others = [one for one in images if not one.namespace]
    if not others or not engine:
        return
    drivers = {one.driver for one in others}
    total = _sum([one.allocated for one in layers if not one.namespace and one.driver in drivers and one.count])
    yield (
        f"{', '.join(sorted(drivers))}: an image store of its own, with {sum(one.listed for one in others)} images and "
        f"{_size(total)} of layers, beside that of containerd. An engine shows the images and containers of one store "
        "only: switching (containerd-snapshotter in daemon.json) hides those of the other and frees nothing. To free "
        "them, switch back, docker image prune --all, and switch again."
    )


def _sum(sizes: list[int | None]) -> int | None:
    return None if None in sizes else sum(one or 0 for one in sizes)


def _size(size: int | None) -> str:
    return "?" if size is None else human(size)
