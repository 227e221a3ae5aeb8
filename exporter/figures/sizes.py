"""Sizes of layers, containers, volumes, directories and the build cache: pure functions of a `Snapshot`."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from exporter.core.barrier import Barrier
from exporter.core.links import Links, sweep
from exporter.core.measured import Measured, Tree, Usage, is_within, root_of
from exporter.core.model import (
    BuildRecord,
    Collector,
    Container,
    ContainerKey,
    ImageKey,
    Inventory,
    Layer,
    LayerId,
    LayerKey,
    Snapshot,
    Use,
)
from exporter.figures.image_sizes import ImageFigures
from exporter.inventory.drivers import driver_named


@dataclass(frozen=True, slots=True)
class ContainerFigures:
    """The sizes of a container in bytes. None: the layers could not be measured."""

    writable_size: int | None
    writable: Usage | None
    virtual: int | None


@dataclass(frozen=True, slots=True)
class LayerSum:
    """The layers of one driver, namespace and use. `size`, `usage`: None where those of one of them are not known."""

    count: int
    size: int | None
    usage: Usage | None


def disjoint(groups: Iterable[Iterable[Measured]]) -> list[Usage]:
    """The usage of groups of trees, so that an inode linked from several of them counts once, for the first."""
    sums: list[list[int]] = []
    linked: dict[int, list[tuple[list[int], Links]]] = defaultdict(list)
    for group in groups:
        total = [0, 0, 0]
        sums.append(total)
        for tree in group:
            usage = tree.usage
            total[0], total[1], total[2] = total[0] + usage.size, total[1] + usage.allocated, total[2] + usage.inodes
            if tree.links.blocks:
                linked[tree.device].append((total, tree.links))
    for many in linked.values():
        if len(many) > 1:
            _uncount(many)
    return [Usage(*total) for total in sums]


def _uncount(linked: Sequence[tuple[list[int], Links]]) -> None:
    """Subtract from the sum of each tree what it shares with those before it."""
    for pieces in sweep([links for _, links in linked]):
        seen: set[int] = set()
        for piece in pieces:
            known = seen.intersection(piece.inodes)
            seen.update(piece.inodes)
            if known:
                total = linked[piece.tree][0]
                for inode, size, allocated in zip(piece.inodes, piece.sizes, piece.allocated, strict=True):
                    if inode in known:
                        total[0], total[1], total[2] = total[0] - size, total[1] - allocated, total[2] - 1


_UNCLAIMED = (Use.PENDING, Use.ORPHANED)


def layer_sizes(snapshot: Snapshot) -> dict[LayerKey, int]:
    """Every layer's own size as Docker counts it; layers whose size cannot be known are left out."""
    sizes: dict[LayerKey, int] = {}
    for layer in snapshot.inventory.layers:
        key = layer.key
        if layer.recorded_size is not None:
            sizes[key] = layer.recorded_size
        elif layer.changes is not None:
            if key in snapshot.differences:
                sizes[key] = snapshot.differences[key]
        elif layer.size_known and (measured := snapshot.whole(layer.content)):
            sizes[key] = measured.usage.allocated if layer.by_blocks else measured.usage.size
    return sizes


def spaces(inventory: Inventory) -> list[tuple[str, str]]:
    """The drivers of a root with the namespaces of containerd in which each has objects; "" for other layouts.

    Snapshots of no namespace, which are being made or are left over, have no totals but those of layers.
    """
    listed = (one for one in inventory.layers if one.namespace or not one.by_blocks)
    found: dict[str, set[str]] = defaultdict(set)
    for objects in (listed, inventory.images, inventory.containers):
        for driver, namespace in {(one.driver, one.namespace) for one in objects}:
            found[driver].add(namespace)
    return [
        (driver, namespace)
        for driver in inventory.drivers
        for namespace in sorted(found[driver] or {_default_namespace(inventory, driver)})
    ]


def _default_namespace(inventory: Inventory, driver: str) -> str:
    """Where the objects of a driver will be that has none yet."""
    content = inventory.content
    mixed = len(inventory.layouts) > 1 and driver_named(driver).layers
    return "" if content is None or mixed else content.engine


def layers(snapshot: Snapshot, sizes: Mapping[LayerKey, int]) -> dict[tuple[str, str, Use], LayerSum]:
    """The layers on disk by driver, namespace and use; shared inodes count for the first use.

    Of a driver whose layers cannot be listed, those that nothing refers to are not known. containerd lists its own.
    """
    groups: dict[tuple[str, str, Use], list[Layer]] = defaultdict(list)
    for layer in snapshot.inventory.layers:
        groups[layer.driver, layer.namespace, layer.use].append(layer)
    sums: dict[tuple[str, str, Use], LayerSum] = {}
    places = {space: _uses_of(*space) for space in spaces(snapshot.inventory)}
    for driver in dict.fromkeys(driver for driver, namespace in places if namespace):
        places.setdefault((driver, ""), list(_UNCLAIMED))
    for (driver, namespace), uses in places.items():
        trees = [[tree for layer in groups[driver, namespace, use] for tree in layer.trees] for use in uses]
        for use, total in zip(uses, totals(snapshot, trees), strict=True):
            group = groups[driver, namespace, use]
            usage = total if all(layer.trees for layer in group) else None
            sums[driver, namespace, use] = LayerSum(len(group), _size(group, sizes, use, usage), usage)
    return sums


def _uses_of(driver: str, namespace: str) -> list[Use]:
    return [use for use in Use if use not in _UNCLAIMED or namespace or driver_named(driver).listed]


def _size(group: list[Layer], sizes: Mapping[LayerKey, int], use: Use, usage: Usage | None) -> int | None:
    """The sum of Docker's sizes. A layer that nothing refers to has none: there it is the size of its files."""
    if use in _UNCLAIMED:
        return None if usage is None else usage.size
    keys = [layer.key for layer in group]
    return sum(sizes[key] for key in keys) if all(key in sizes for key in keys) else None


def containers(
    snapshot: Snapshot,
    sizes: Mapping[LayerKey, int],
    image_figures: Mapping[ImageKey, ImageFigures],
    barrier: Barrier,
) -> dict[ContainerKey, ContainerFigures]:
    """The figures of every container."""
    virtual = {key: figures.virtual for key, figures in image_figures.items()}
    chains = _Chains(sizes)
    contents = {layer.key: layer.content for layer in snapshot.inventory.layers}
    return {
        container.key: barrier.attempt(
            Collector.CONTAINERS,
            f"container {container.id}",
            partial(_container, snapshot, container, sizes, chains, virtual, contents),
            ContainerFigures(None, None, None),
        )
        for container in snapshot.inventory.containers
    }


class _Chains:
    """The sums of the sizes of chains of layers. Containers of one image stand on one chain."""

    def __init__(self, sizes: Mapping[LayerKey, int]) -> None:
        self._sizes = sizes
        self._sums: dict[tuple[str, tuple[LayerId, ...]], int | None] = {}

    def __call__(self, driver: str, chain: tuple[LayerId, ...]) -> int | None:
        """The sum; None where the size of one layer is not known."""
        key = driver, chain
        if key not in self._sums:
            sizes = [self._sizes.get(LayerKey(driver, layer)) for layer in chain]
            self._sums[key] = None if None in sizes else sum(size for size in sizes if size is not None)
        return self._sums[key]


def _container(  # noqa: PLR0913 - all that is known of layers
    snapshot: Snapshot,
    container: Container,
    sizes: Mapping[LayerKey, int],
    chains: _Chains,
    virtual: dict[ImageKey, int | None],
    contents: dict[LayerKey, Tree | None],
) -> ContainerFigures:
    if container.layer is None:
        return ContainerFigures(None, None, None)
    key = LayerKey(container.driver, container.layer)
    size = sizes.get(key)
    measured = snapshot.whole(contents.get(key))
    image = _below(container, chains, virtual)
    return ContainerFigures(
        writable_size=size,
        writable=measured.usage if measured else None,
        virtual=None if size is None or image is None else size + image,
    )


def _below(container: Container, chains: _Chains, virtual: dict[ImageKey, int | None]) -> int | None:
    """The size of the layers below a container. They stay when `docker rmi -f` removes the image."""
    if container.missing or container.cut:
        return None
    below = container.chain
    if container.namespace:
        # Docker counts the init layer of a container of containerd, and not that of one of a graph driver. What the
        # image has is not the same: its blobs count, too.
        below = (container.init, *below) if container.init and container.init not in below else below
    if below or container.namespace:
        return chains(container.driver, below)
    key = container.image_key
    return None if key is None else virtual.get(key)


def directories(snapshot: Snapshot) -> dict[str, Usage | None]:
    """The usage of every top-level entry, and of the root itself as `.`: their sum is `du -sx` of the root.

    An entry of a further root has its absolute path, and that root itself has its own. They add up in the same way.

    Left out, as `du -x` does: an entry that is another filesystem; and one that could not be looked at. A subvolume of
    btrfs is no other filesystem. None: the files are not below the root, or not all of them could be read.
    """
    tops: list[Tree] = [(), *((one.path,) for one in snapshot.further)]
    here = [tree for tree in snapshot.inventory.top_level if tree in snapshot.measured and snapshot.is_here(tree)]
    parts: dict[Tree, list[Measured]] = {tree: [] for tree in here}
    for tree, measured in snapshot.measured.items():
        entry = tree[: len(root_of(tree)) + 1]
        if entry in parts and snapshot.is_here(tree):
            parts[entry].append(measured)
    usages: dict[Tree, Usage | None] = {top: snapshot.measured[top].usage for top in tops if top in snapshot.measured}
    for top in tops:  # apart: each root adds up by itself
        mine = sorted(entry for entry in parts if root_of(entry) == top)
        usages.update(zip(mine, disjoint(parts[entry] for entry in mine), strict=True))
    lost = {tree[: len(root_of(tree)) + 1] for tree in snapshot.incomplete if not is_within(tree, snapshot.mounts)}
    lost |= {(name,) for name in snapshot.inventory.elsewhere}
    usages.update(dict.fromkeys(lost & usages.keys()))
    return {"/".join(tree) or ".": usage for tree, usage in usages.items()}


def place_of(snapshot: Snapshot, directory: str) -> tuple[str, str]:
    """The root of a top-level entry and its name there, `.` for the root itself. The root is "" for the data root."""
    for one in snapshot.further:
        if directory == one.path:
            return one.path, "."
        if directory.startswith(one.path.rstrip("/") + "/"):
            return one.path, directory[len(one.path.rstrip("/")) + 1 :]
    return "", directory


def volumes(snapshot: Snapshot) -> dict[str, Usage | None]:
    """The usage of every volume, by name; None if its data could not be measured."""
    return {
        volume.name: measured.usage if (measured := snapshot.whole(volume.tree)) else None
        for volume in snapshot.inventory.volumes
    }


def volume_containers(snapshot: Snapshot) -> Counter[str]:
    """How many containers mount each volume."""
    users: Counter[str] = Counter()
    for container in snapshot.inventory.containers:
        users.update({mount.source for mount in container.mounts if mount.kind == "volume"})
    return users


@dataclass(frozen=True, slots=True)
class BuildCacheFigures:
    """BuildKit's cache in bytes. `size` is None where a record's is not known; `records` has those that are."""

    size: int | None
    allocated: Mapping[str, int]
    records: Mapping[str, int]


def build_cache(snapshot: Snapshot, sizes: Mapping[LayerKey, int], blobs: int | None) -> BuildCacheFigures:
    """The build cache as `docker system df` counts it, and what it occupies by component.

    `blobs` are the bytes of disk blocks of its blobs in containerd's image store, None where these are not known.
    """
    cache = snapshot.inventory.build_cache
    records = {one.id: size for one in cache.records if (size := _record_size(snapshot, one, sizes)) is not None}
    alone = [records.get(one.id) for one in cache.records if not one.shared]
    engine = snapshot.inventory.content.engine if snapshot.inventory.content is not None else ""
    layers = (one for one in snapshot.inventory.layers if one.use is Use.BUILD_CACHE)
    snapshots = (tree for one in layers if one.namespace in ("", engine) for tree in one.trees)
    content = set(_within(snapshot, cache.content))
    metadata = [tree for tree in _within(snapshot, cache.files) if tree not in content]
    parts = {"snapshots": snapshots, "content": content, "metadata": metadata}
    usages = zip(parts, totals(snapshot, parts.values()), strict=True)
    allocated = {name: usage.allocated for name, usage in usages if usage is not None}
    if blobs is None:
        allocated.pop("content", None)
    elif "content" in allocated:
        allocated["content"] += blobs
    return BuildCacheFigures(
        size=None if None in alone else sum(size for size in alone if size is not None),
        allocated=allocated,
        records=records,
    )


def _within(snapshot: Snapshot, tops: Collection[Tree]) -> Iterator[Tree]:
    """The measured trees that are one of these, or lie in one."""
    firsts = {top[0] for top in tops if top}
    return (tree for tree in snapshot.measured if tree and tree[0] in firsts and is_within(tree, tops))


def _record_size(snapshot: Snapshot, record: BuildRecord, sizes: Mapping[LayerKey, int]) -> int | None:
    if record.size is not None:
        return record.size
    if record.layer is not None:
        return sizes.get(record.layer)
    measured = snapshot.whole(record.content)
    return measured.usage.size if measured else None


def totals(snapshot: Snapshot, groups: Iterable[Iterable[Tree]]) -> list[Usage | None]:
    """The usage of groups of trees; None where one of a group could not be measured whole."""
    wanted = [list(trees) for trees in groups]
    known = ([snapshot.measured[tree] for tree in trees if tree in snapshot.measured] for trees in wanted)
    usages = disjoint(known)
    return [usage if snapshot.are_whole(trees) else None for usage, trees in zip(usages, wanted, strict=True)]
