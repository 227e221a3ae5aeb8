"""The filesystems that a root lies on, and what kind they are."""

from exporter.core.data_root import DataRoot
from exporter.core.measured import Tree, is_within
from exporter.core.model import Filesystem, FurtherRoot, Inventory, RemarkKind
from exporter.core.mountinfo import WITH_SUBVOLUMES, filesystems, mount_of


def filesystems_of(root: DataRoot, inventory: Inventory) -> tuple[Filesystem, ...]:
    """The filesystem of the root, those of parts, layers and volumes that have one of their own, those behind links.

    Further roots, and the parts of these, are parts as well.
    """
    parts: list[Tree] = [*root.tops[1:], *inventory.top_level]
    parts += [one.trees[0][:-1] for one in inventory.layers if one.trees]
    mounted = (one for volume in inventory.volumes for one in (volume.home, volume.tree) if one in root.mounts)
    parts += [one for one in mounted if one is not None and not is_within(one, root.unwalked)]
    behind = [one.where for one in inventory.remarks if one.where and one.kind is RemarkKind.LINK]
    return filesystems(root.path, parts, behind, root.mountinfo, root.device)


def has_subvolumes(root: DataRoot, top: Tree = ()) -> bool:
    """Whether directories on the own filesystem of a root can have device numbers of their own."""
    around = mount_of(root.absolute(top), root.mountinfo)
    return around is not None and around.fstype in WITH_SUBVOLUMES


def further_roots(root: DataRoot) -> tuple[FurtherRoot, ...]:
    """What figures need to know of the further roots."""
    return tuple(FurtherRoot(top[0], root.device_of(top), has_subvolumes(root, top)) for top in root.tops[1:])
