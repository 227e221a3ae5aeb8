"""Areas: the directories and files of a data root that the exporter knows, and the lookup of a path among them.

Nothing here reads the disk. The rows are in `inventory/areas.py`, in the graph drivers and in the layouts.
"""

from collections.abc import Iterable

from msgspec import Struct

from exporter.core.knowledge import Input
from exporter.core.measured import Tree
from exporter.core.model import Collector

#: Stands in an area's path for the name of a graph driver or snapshotter: a whole component, or the end of one.
DRIVER = "<driver>"
#: Stands for each further root, as the first component of an area's path.
FURTHER = "/" + DRIVER


class Signature(Struct, frozen=True):
    """The parts of each entry that a look compares, besides the listing of the store.

    A directory must be the same one (device and inode), a file must have the same time and size, too.
    `changes`: a directory must have the same ctime, so that files that came or went in it are seen.
    `files`: the files in an entry that Docker rewrites in place; their inodes, sizes and ctimes are compared.
    `has_events`: kernel watches report all these changes, or a rename makes a complete entry. While watches work, only
    every eighth look compares these entries.
    """

    changes: bool = False
    files: tuple[str, ...] = ()
    has_events: bool = False


class Area(Struct, frozen=True):
    """One known directory or file of a data root. A row also applies to all paths below it without a row of their own.

    `path`: its components; some may hold `DRIVER`, and the first one may be `FURTHER`.
    `label`: its name for people.
    `collector`: the collector for which it is measured.
    `store`: a directory with one entry for each object; each entry is measured as a tree of its own.
    `watched`: the directory has a kernel watch of its own.
    `deep`: the directories in it have a watch, too.
    `written`: its files are databases that are kept open: the watch reports each write to them.
    `signature`: the parts of its entries that a look compares; None: only the listing.
    `audited`: its content may grow without an event, so it is measured again from time to time. Other areas have small
    metadata that is written once.
    `immutable`: an entry whose name is an id does not change once it was written, so it is not audited.
    `fixed`: an engine adds nothing to the directory of an entry later on: after events, its entries need no comparison.
    `objects`: the kind of objects that are described there. Events, and filesystems that do not answer, are counted
    under it.
    `images`: it belongs to a copy of all images.
    `input`: the input of figures that is read there. `entry_input`: the input that is read in its entries, where that
    is another one.
    `divided`: how most of its entries are measured: () is each as one tree, a path that this path in each of them is
    one beside the rest. None: metadata that is no entry of a store says how, or that they are complete.
    `counted`: the short name under which the metric `store_entries` counts its entries; "" for none.
    """

    path: Tree
    label: str = ""
    collector: Collector = Collector.DIRECTORIES
    store: bool = False
    watched: bool = False
    deep: bool = False
    written: bool = False
    signature: Signature | None = None
    audited: bool = True
    immutable: bool = False
    fixed: bool = False
    objects: Collector | None = None
    images: bool = False
    divided: Tree | None = None
    counted: str = ""
    input: Input | None = None
    entry_input: Input | None = None


#: The data root itself: its entries are watched and compared, and each is measured as one tree.
ROOT = Area((), watched=True, signature=Signature())
#: A further root, like the data root.
FURTHER_ROOT = Area((FURTHER,), watched=True, signature=Signature())


class _Node:
    """One component of the paths of a table: the row that ends here, and the components that follow."""

    __slots__ = ("area", "below", "variable")

    def __init__(self, area: Area) -> None:
        self.area = area
        self.below: dict[str, _Node] = {}
        #: The components that hold `DRIVER`, by what they begin with.
        self.variable: list[tuple[str, _Node]] = []

    def child(self, name: str) -> "_Node | None":
        """The node of the component that `name` is; a component without `DRIVER` comes first."""
        exact = self.below.get(name)
        if exact is not None or not self.variable:
            return exact
        return next((node for beginning, node in self.variable if name.startswith(beginning)), None)


class AreaTable:
    """All known areas. A lookup takes one step for each component of a path, however many rows there are."""

    def __init__(self, areas: Iterable[Area]) -> None:
        self.areas = tuple(areas)
        self._top = _Node(ROOT)
        for area in sorted(self.areas, key=lambda one: len(one.path)):
            self._add(area)

    def _add(self, area: Area) -> None:
        node = self._top
        for name in area.path:
            beginning, variable, _ = name.partition(DRIVER)
            found = dict(node.variable).get(beginning) if variable else node.below.get(name)
            if found is None:
                found = _Node(node.area)
                if variable:
                    node.variable.append((beginning, found))
                else:
                    node.below[name] = found
            node = found
        node.area = area

    def of(self, tree: Tree) -> Area:
        """The row of `tree`, or of the nearest area around it; `ROOT` where no row is nearer."""
        node = self._top
        for name in tree:
            below = node.child(name)
            if below is None:
                break
            node = below
        return node.area

    def around(self, tree: Tree) -> Area:
        """The row of the nearest area that `tree` lies in."""
        return self.of(tree[:-1])
