"""What lies on which filesystem: pure functions of a `Snapshot`."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from exporter.core.measured import Tree, Usage
from exporter.core.model import Filesystem, Snapshot
from exporter.figures.directory_sums import place_of

_VOLUMES: Tree = ("volumes",)


def of_directories(snapshot: Snapshot) -> dict[Tree, Filesystem]:
    """The filesystem of each top-level entry, and of each root itself; without those of which it is not known."""
    tops: list[Tree] = [(), *((one.path,) for one in snapshot.further), *snapshot.inventory.top_level]
    return {tree: found for tree in tops if (found := snapshot.filesystem_of(tree)) is not None}


def of_volumes(snapshot: Snapshot) -> dict[str, Filesystem]:
    """The filesystem of each volume that is on another one than the directory `volumes`, by the volume's name."""
    usual = snapshot.filesystem_of(_VOLUMES)
    if {*snapshot.places.values()} <= {usual}:  # most roots are on one
        return {}
    places = ((one.name, one.directory) for one in snapshot.inventory.volumes)
    found = ((name, snapshot.filesystem_of(tree)) for name, tree in places if tree is not None)
    return {name: where for name, where in found if where is not None and where != usual}


def allocated(
    snapshot: Snapshot, directories: Mapping[str, Usage | None], elsewhere: Mapping[Filesystem, int]
) -> dict[Filesystem, int]:
    """The disk blocks on each filesystem in bytes; without filesystems of which a part was not read whole.

    `directories` are those of `DirectorySums`: they add up to what lies on the filesystems of the roots. `elsewhere` is
    what lies on others.
    """
    tops: list[Tree] = [(), *((one.path,) for one in snapshot.further)]
    sums: dict[Filesystem, int] = defaultdict(int)
    lost = snapshot.incomplete if snapshot.mounts else {tree[:1] for tree in snapshot.incomplete}
    unknown = {snapshot.filesystem_of(tree) for tree in lost}
    for top in tops:
        where = snapshot.filesystem_of(top)
        if where is None:
            continue
        mine = [usage for name, usage in directories.items() if place_of(snapshot, name)[0] == "".join(top)]
        sums[where] += sum(usage.allocated for usage in mine if usage is not None)
        if None in mine or not mine:
            unknown.add(where)
    for where, blocks in elsewhere.items():
        sums[where] += blocks
    return {where: blocks for where, blocks in sums.items() if where not in unknown}


def reclaimable(
    snapshot: Snapshot, freed: Iterable[int | None], elsewhere: Mapping[Filesystem, int]
) -> dict[Filesystem, int]:
    """What all prunes free on each filesystem in bytes; nothing where that of one of them is not known.

    `freed` is that of each prune, and `elsewhere` what of it is not on the root's own filesystem.
    """
    total, own = 0, snapshot.filesystem_of(())
    for one in freed:
        if one is None:
            return {}
        total += one
    others = {where: blocks for where, blocks in elsewhere.items() if where != own}
    sums = dict.fromkeys(snapshot.places.values(), 0) | others
    if own is not None:
        sums[own] = max(0, total - sum(others.values()))
    return sums
