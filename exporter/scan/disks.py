"""The filesystems that a root lies on, and what kind they are."""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from exporter.core.counting import count
from exporter.core.data_root import DataRoot
from exporter.core.measured import Tree, is_within, root_of
from exporter.core.model import Filesystem, FurtherRoot, Inventory, Layer, RemarkKind
from exporter.core.mountinfo import WITH_SUBVOLUMES, filesystems_by_path, mount_of
from exporter.core.splices import change


class Disks(Struct, frozen=True):
    """The filesystems that a root lies on, and where below it each of them is."""

    filesystems: tuple[Filesystem, ...]
    places: Mapping[Tree, Filesystem]


class LayerHomes:
    """The directories that layers lie in, from one inventory to the next."""

    def __init__(self) -> None:
        self._layers: Sequence[Layer] = ()
        #: These directories, and how many layers lie in each.
        self._above = Counter[Tree]()

    def update(self, layers: Sequence[Layer]) -> None:
        """Come to these layers."""
        changed, self._layers = change(self._layers, layers), layers
        for some, by in ((changed.added, 1), (changed.removed, -1)):
            count(self._above, (home[:-1] for one in some if (home := _home(one)) is not None), by)

    def parts(self, mounts: frozenset[Tree]) -> list[Tree]:
        """These directories, and the layers that are `mounts`."""
        possible = {one for one in mounts if one[:-1] in self._above}
        mounted = possible.intersection(map(_home, self._layers)) if possible else ()
        return [*self._above, *sorted(mounted)]


def _home(layer: Layer) -> Tree | None:
    return layer.home or layer.content


def disks_of(root: DataRoot, inventory: Inventory, homes: LayerHomes) -> Disks:
    """The filesystem of the root, those of parts, layers and volumes that have one of their own, those behind links.

    Further roots, and the parts of these, are parts as well. `homes` are those of an earlier inventory.
    """
    parts: list[Tree] = [*root.tops[1:], *inventory.top_level]
    homes.update(inventory.layers)
    parts += homes.parts(root.mounts)
    volumes = inventory.volumes if root.mounts else ()
    mounted = (one for volume in volumes for one in (volume.home, volume.tree) if one in root.mounts)
    parts += [one for one in mounted if one is not None and not is_within(one, root.unwalked)]
    behind = [one.where for one in inventory.remarks if one.where and one.kind is RemarkKind.LINK]
    by_path = filesystems_by_path(root.path, parts, behind, root.mountinfo, root.device)
    tops = [(), *(one for one in parts if one in root.mounts or one == root_of(one))]
    places = {tree: by_path[root.absolute(tree) if tree else root.path] for tree in tops}
    return Disks(tuple(dict.fromkeys(by_path.values())), places)


def has_subvolumes(root: DataRoot, top: Tree = ()) -> bool:
    """Whether directories on the own filesystem of a root can have device numbers of their own."""
    around = mount_of(root.absolute(top), root.mountinfo)
    return around is not None and around.fstype in WITH_SUBVOLUMES


def further_roots(root: DataRoot) -> tuple[FurtherRoot, ...]:
    """What figures need to know of the further roots."""
    return tuple(FurtherRoot(top[0], root.device_of(top), has_subvolumes(root, top)) for top in root.tops[1:])
