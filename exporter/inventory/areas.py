"""The table of areas: the known directories and files of a data root, and those that a given root has.

Whatever needs to know what a path is asks this table. The rows of graph drivers and layouts stand with those.
"""

from collections.abc import Iterable, Iterator
from functools import cache

from msgspec import Struct
from msgspec.structs import force_setattr

from exporter.core.area import DRIVER, FURTHER, FURTHER_ROOT, Area, AreaTable, Signature
from exporter.core.data_root import DataRoot
from exporter.core.knowledge import Input
from exporter.core.measured import Tree, root_of
from exporter.core.model import Collector
from exporter.inventory import drivers, layouts
from exporter.inventory.layouts.buildkit_databases import AREA as BUILDKIT

CONTAINERS = Area(
    ("containers",),
    "the containers' settings and logs",
    Collector.CONTAINERS,
    store=True,
    watched=True,
    deep=True,
    signature=Signature(changes=True, files=("config.v2.json", "hostconfig.json", "config.json"), has_events=True),
    objects=Collector.CONTAINERS,
    divided=(),
    input=Input.CONTAINERS,
    entry_input=Input.CONTAINER_CONFIGS,
)
VOLUMES = Area(
    ("volumes",),
    "the volumes",
    Collector.VOLUMES,
    store=True,
    watched=True,
    signature=Signature(changes=True, files=("_data", "opts.json", "config.json", "json")),
    objects=Collector.VOLUMES,
    divided=("_data",),
    input=Input.VOLUMES,
)
#: What belongs to no single object.
_OTHERS = {
    "builder": "the classic builder's files",
    "engine-id": "the engine's id",
    "execdriver": "the states of running containers (up to Docker 1.10)",
    "init": "dockerinit (up to Docker 1.10)",
    "linkgraph.db": "the containers' names and links (up to Docker 1.9)",
    "network": "the engine's networks",
    "plugins": "the engine's plugins",
    "runtimes": "the engine's runtimes",
    "swarm": "the swarm's state",
    "tmp": "the engine's temporary files: leftovers of loads and imports",
    "tmp-old": "temporary files that the engine has put aside to remove",
    "trust": "keys for signed images",
}
_COMMON = (
    FURTHER_ROOT,
    CONTAINERS,
    VOLUMES,
    BUILDKIT,
    *(Area((name,), label) for name, label in _OTHERS.items()),
)


@cache
def table() -> AreaTable:
    """The rows of this module, of all graph drivers and of all layouts."""
    of_drivers = (area for driver in drivers.DRIVERS for area in driver.areas)
    of_layouts = (area for layout in layouts.LAYOUTS for area in layout.areas)
    return AreaTable((*_COMMON, *of_drivers, *of_layouts))


class RootAreas(Struct, frozen=True):
    """The areas that one root has as directories. `stores` and `watched` are in the order of their paths.

    `tops`: the directories of the data root and of its further roots.
    """

    stores: tuple[Tree, ...] = ()
    watched: tuple[Tree, ...] = ()
    tops: tuple[Tree, ...] = ((),)
    _stores: frozenset[Tree] = frozenset()

    def __post_init__(self) -> None:
        force_setattr(self, "_stores", frozenset(self.stores))

    def is_store(self, tree: Tree) -> bool:
        """Whether a path is that of a store."""
        return tree in self._stores

    def entry_of(self, path: Tree) -> Tree:
        """The entry of a store, or of a root, in which a path lies. A further root is an entry of none but itself."""
        top = len(root_of(path))
        ends = range(len(path) - 1, top, -1)
        return path[: next((end for end in ends if path[:end] in self._stores), top) + 1]

    @property
    def deep(self) -> frozenset[Tree]:
        """The watched directories whose own directories have a watch, too."""
        return frozenset(tree for tree in self.watched if table().of(tree).deep)

    @property
    def written(self) -> frozenset[Tree]:
        """The watched directories with files that are kept open, so that each write is an event."""
        return frozenset(tree for tree in self.watched if table().of(tree).written)


def find_areas(root: DataRoot) -> RootAreas:
    """Find the stores and the watched directories of a root; one that is not there, or is no directory, is left out."""
    try:
        names = root.names(())
    except OSError:
        names = None
    wanted = [area for area in table().areas if area.store or area.watched]
    if names is not None:  # most known directories are in no root
        wanted = [area for area in wanted if DRIVER in area.path[0] or area.path[0] in names]
    found = {tree: area for area in wanted for tree in paths_of(root, area.path) if root.is_directory(tree)}
    trees = sorted(found)
    return RootAreas(
        tuple(tree for tree in trees if found[tree].store),
        tuple(tree for tree in trees if found[tree].watched),
        root.tops,
    )


def paths_of(root: DataRoot, path: Tree) -> Iterator[Tree]:
    """The paths below a root that an area's path stands for."""
    found: list[Tree] = [()]
    for name in path:
        found = [*_below(root, found, name)] if DRIVER in name else [(*store, name) for store in found]
    yield from found


def _below(root: DataRoot, stores: Iterable[Tree], pattern: str) -> Iterator[Tree]:
    """The paths that one component with `DRIVER` stands for, below each of these directories."""
    beginning = pattern.partition(DRIVER)[0]
    for store in stores:
        if pattern == FURTHER:
            yield from ((path,) for path in root.further)
            continue
        try:
            names = root.names(store)
        except OSError:  # not there, or it may not be read: then its reader counts that
            continue
        yield from ((*store, name) for name in names if name.startswith(beginning))
