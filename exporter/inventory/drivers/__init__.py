"""The graph drivers: which directories each has below the data root, and which of them holds which layer.

Facts: Docker 1.0 to 20.10, daemon/graphdriver/*. To add a driver, add one `Driver` with its areas to `DRIVERS`.
"""

from msgspec import Struct
from msgspec.structs import replace

from exporter.core.area import Area
from exporter.core.content import WALKABLE
from exporter.core.knowledge import REFER_TO_LAYERS, Input
from exporter.core.measured import Tree

#: What follows a container's id in the name of its init layer, which Docker makes below the writable layer.
INIT = "-init"
#: More layers on each other than any engine makes: 125 (layer/layer.go, MaxLayerDepth), and 127 before 1.10
#: (image/image.go, MaxImageDepth). A chain that is longer is damage or an attack, and is an error.
MOST_LAYERS = 256


class Driver(Struct, frozen=True):
    """One graph driver.

    `areas`: its directories below the root.
    `layers`: the directory with one entry for each layer.
    `walkable`: such an entry is a directory with the layer's files.
    `listed`: there is an entry for each layer, whether something is mounted from it or not.
    `subvolumes`: a layer is a snapshot of the one below it. It holds everything below it once more by name, and shares
    the blocks with it; its directory has a device number of its own.
    `pool`: the file with the files of all layers, where the driver was not given a device for that.
    `parents`: the directory with one file for each layer that lists the layers below it, nearest first.
    `full_copies`: a layer holds everything below it once more.
    `sums_files`: Docker sizes a layer by adding up its files.
    `inner`: the directories in a layer's own that can hold its files; the first that is there does.
    `links`: the directory of the layers' short names.
    `links_files`: an image layer begins as hard links to all files of its parent.
    `lower_file`: a layer's file `lower-id` names the layer whose `root` is merged below it.
    `own`: entries of `layers` that are no layers.
    `graph`: Docker 1.0 to 1.9 had it, so the graph layout may use it.
    """

    name: str
    layers: Tree
    areas: tuple[Area, ...] = ()
    walkable: bool = True
    listed: bool = True
    subvolumes: bool = False
    pool: Tree | None = None
    parents: Tree | None = None
    full_copies: bool = False
    sums_files: bool = False
    inner: tuple[str, ...] = ()
    links: Tree | None = None
    links_files: bool = False
    lower_file: bool = False
    own: tuple[str, ...] = ()
    graph: bool = False

    @property
    def referring(self) -> tuple[Input, ...]:
        """The inputs that can refer to its layers: without all of these, none can be called unreferenced.

        Up to Docker 1.8, volumes are entries of the directory of vfs: without their list, any may be a layer.
        """
        return (*REFER_TO_LAYERS, Input.VOLUMES) if self.full_copies else REFER_TO_LAYERS


def _named(name: str, more: str = "") -> Area:
    """The driver's own directory, where its layers are further down."""
    return Area((name,), label=f"layers of the {name} driver{more}", input=Input.LAYER_STORES)


def _layers(*path: str, fixed: bool = False, divided: Tree = ()) -> Area:
    """A directory with one entry for each layer."""
    label = f"layers of the {path[0]} driver" if len(path) == 1 else ""
    source = Input.LAYER_STORES
    return Area(path, label, store=True, watched=True, fixed=fixed, divided=divided, counted=path[-1], input=source)


def _small(*path: str) -> Area:
    """Mount points or short names, which come and go together with the layers."""
    source = Input.LAYER_STORES
    return Area(path, store=True, audited=False, fixed=True, divided=(), counted=path[-1], input=source)


AUFS = Driver(
    "aufs",
    ("aufs", "diff"),
    (
        _named("aufs"),
        replace(_layers("aufs", "layers", fixed=True), audited=False),
        _layers("aufs", "diff", fixed=True),
        _small("aufs", "mnt"),
    ),
    parents=("aufs", "layers"),
    sums_files=True,
    graph=True,
)
BTRFS = Driver(
    "btrfs", ("btrfs", "subvolumes"), (_named("btrfs"), _layers("btrfs", "subvolumes")), subvolumes=True, graph=True
)
DEVICEMAPPER = Driver(
    "devicemapper",
    ("devicemapper", "metadata"),
    (_named("devicemapper"), _layers("devicemapper", "metadata"), _small("devicemapper", "mnt")),
    walkable=False,
    pool=("devicemapper", "devicemapper", "data"),
    own=("base", "deviceset-metadata", "transaction-metadata"),
    graph=True,
)
OVERLAY = Driver(
    "overlay",
    ("overlay",),
    (_layers("overlay", divided=("root",)),),
    inner=("root", "upper"),
    links_files=True,
    lower_file=True,
    graph=True,
)
VFS = Driver(
    "vfs",
    ("vfs", "dir"),
    (_named("vfs", ", and volumes of Docker up to 1.8"), _layers("vfs", "dir", fixed=True)),
    full_copies=True,
    graph=True,
)
OVERLAY2 = Driver(
    "overlay2",
    ("overlay2",),
    (_layers("overlay2", divided=("diff",)), _small("overlay2", "l")),
    sums_files=True,
    inner=("diff",),
    links=("overlay2", "l"),
    own=("l",),
)
FUSE_OVERLAYFS = Driver(
    "fuse-overlayfs",
    ("fuse-overlayfs",),
    (_layers("fuse-overlayfs", divided=("diff",)), _small("fuse-overlayfs", "l")),
    inner=("diff",),
    links=("fuse-overlayfs", "l"),
    own=("l",),
)
#: A layer is a dataset. Its directory is there while it is mounted (Docker 20.10 daemon/graphdriver/zfs, Get and Put).
ZFS = Driver("zfs", ("zfs", "graph"), (_named("zfs"), _layers("zfs", "graph")), walkable=False, listed=False)

#: The known drivers, oldest first.
DRIVERS = (AUFS, BTRFS, DEVICEMAPPER, OVERLAY, VFS, OVERLAY2, FUSE_OVERLAYFS, ZFS)


def snapshotter(name: str, layers: Tree = ()) -> Driver:
    """A snapshotter of containerd as a driver: a snapshot is a layer. `layers` is its directory of snapshots."""
    walkable = name in WALKABLE
    return Driver(name, layers, walkable=walkable, listed=walkable, inner=WALKABLE.get(name, ()))


def driver_named(name: str) -> Driver:
    """The driver with this name; a graph driver before a snapshotter. Nothing is known of others than the name."""
    return next((one for one in DRIVERS if one.name == name), None) or snapshotter(name)
