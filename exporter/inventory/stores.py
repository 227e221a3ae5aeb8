"""Which directories hold one entry for each object: what is watched, and listed instead of walked.

In a store, every entry is measured as a tree of its own, so that one object that comes or goes costs its
own entries and not those of its neighbours.
"""

from dataclasses import dataclass

from exporter.core.data_root import DataRoot
from exporter.core.measured import Tree

_FIXED: tuple[Tree, ...] = (
    ("graph",),
    ("containers",),
    ("volumes",),
    ("aufs", "diff"),
    ("aufs", "layers"),
    ("aufs", "mnt"),
    ("btrfs", "subvolumes"),
    ("devicemapper", "metadata"),
    ("devicemapper", "mnt"),
    ("overlay",),
    ("buildkit",),
    ("fuse-overlayfs",),
    ("fuse-overlayfs", "l"),
    ("overlay2",),
    ("overlay2", "l"),
    ("vfs", "dir"),
    ("zfs", "graph"),
)
_OF_DRIVER: tuple[Tree, ...] = (
    (),
    ("distribution", "diffid-by-digest", "sha256"),
    ("distribution", "v2metadata-by-diffid", "sha256"),
    ("imagedb", "content", "sha256"),
    ("imagedb", "metadata", "sha256"),
    ("layerdb", "mounts"),
    ("layerdb", "sha256"),
    ("layerdb", "tmp"),
)
#: Their entries come and go together with those of another store that is watched.
_UNWATCHED = {("aufs", "mnt"), ("devicemapper", "mnt"), ("overlay2", "l"), ("fuse-overlayfs", "l"), ("buildkit",)}


@dataclass(frozen=True, slots=True)
class Dirty:
    """What is to be read and measured again: entries of stores and of the root itself, or everything."""

    entries: frozenset[Tree] = frozenset()
    everything: bool = False

    def covers(self, tree: Tree) -> bool:
        """Whether a tree is one of the entries, or lies in one."""
        return self.everything or any(tree[:length] in self.entries for length in range(1, len(tree) + 1))


def stores(root: DataRoot) -> tuple[Tree, ...]:
    """The stores that are there, in the order of their paths."""
    try:
        drivers = root.names(("image",))
    except OSError:
        drivers = []
    candidates = [*_FIXED, *(("image", driver, *rest) for driver in drivers for rest in _OF_DRIVER)]
    return tuple(sorted(store for store in candidates if root.is_directory(store)))


def watched(found: tuple[Tree, ...]) -> tuple[Tree, ...]:
    """The directories to watch: the stores in which objects come and go, and that in which drivers do."""
    stores_of = [store for store in found if store not in _UNWATCHED and "distribution" not in store]
    return (*dict.fromkeys(store[:1] for store in found if store[0] == "image"), *stores_of)


def entry_of(path: Tree, found: tuple[Tree, ...]) -> Tree:
    """The entry of a store, or of the root, in which a path lies."""
    depth = max((len(store) for store in found if path[: len(store)] == store and len(path) > len(store)), default=0)
    return path[: depth + 1]
