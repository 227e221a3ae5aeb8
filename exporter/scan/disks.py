"""The filesystems that a root lies on, and what kind they are."""

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.core.data_root import DataRoot
from exporter.core.measured import Tree, is_within, root_of
from exporter.core.model import Filesystem, FurtherRoot, Inventory, RemarkKind
from exporter.core.mountinfo import WITH_SUBVOLUMES, filesystems_by_path, mount_of


@dataclass(frozen=True, slots=True)
class Disks:
    """The filesystems that a root lies on, and where below it each of them is."""

    filesystems: tuple[Filesystem, ...]
    places: Mapping[Tree, Filesystem]


def disks_of(root: DataRoot, inventory: Inventory) -> Disks:
    """The filesystem of the root, those of parts, layers and volumes that have one of their own, those behind links.

    Further roots, and the parts of these, are parts as well.
    """
    parts: list[Tree] = [*root.tops[1:], *inventory.top_level]
    parts += _of_layers(root, inventory)
    mounted = (one for volume in inventory.volumes for one in (volume.home, volume.tree) if one in root.mounts)
    parts += [one for one in mounted if one is not None and not is_within(one, root.unwalked)]
    behind = [one.where for one in inventory.remarks if one.where and one.kind is RemarkKind.LINK]
    by_path = filesystems_by_path(root.path, parts, behind, root.mountinfo, root.device)
    tops = [(), *(one for one in parts if one in root.mounts or one == root_of(one))]
    places = {tree: by_path[root.absolute(tree) if tree else root.path] for tree in tops}
    return Disks(tuple(dict.fromkeys(by_path.values())), places)


def _of_layers(root: DataRoot, inventory: Inventory) -> list[Tree]:
    """The directories that layers lie in, and the layers that are mounted themselves."""
    homes = [one.home or one.content for one in inventory.layers]
    known = {home for home in homes if home is not None}
    return [*{home[:-1]: None for home in known}, *sorted(known & root.mounts)]


def has_subvolumes(root: DataRoot, top: Tree = ()) -> bool:
    """Whether directories on the own filesystem of a root can have device numbers of their own."""
    around = mount_of(root.absolute(top), root.mountinfo)
    return around is not None and around.fstype in WITH_SUBVOLUMES


def further_roots(root: DataRoot) -> tuple[FurtherRoot, ...]:
    """What figures need to know of the further roots."""
    return tuple(FurtherRoot(top[0], root.device_of(top), has_subvolumes(root, top)) for top in root.tops[1:])
