"""Docker's containerd image store: told apart, and not measured by object.

Facts: Docker 23 to 29 daemon/containerd. The engine's own containerd, which every Docker since 18.09 has, keeps
empty stores in `containerd/daemon` as well: they are evidence only where something is in them, or where there is no
other image store. With a containerd of the host, the root has `rootfs/<snapshotter>/<container>` alone.
"""

from collections.abc import Iterator

from exporter.core.area import Area
from exporter.core.data_root import DataRoot
from exporter.core.knowledge import Input
from exporter.core.measured import Tree
from exporter.inventory.layouts import graph_store, layerdb_store
from exporter.inventory.layouts.part import Part, Reading

_HOME: Tree = ("containerd", "daemon")
_CONTENT: Tree = (*_HOME, "io.containerd.content.v1.content", "blobs", "sha256")
_SNAPSHOTTER = "io.containerd.snapshotter.v1."
#: An engine makes these at its first start, after the directory of its image store.
_ENGINE = ("engine-id", "buildkit", "containers")


class ContainerdLayout:
    """The store below `containerd/daemon`, or that of a containerd of the host."""

    name = "containerd"
    areas = (Area(_HOME[:1], "containerd's files", input=Input.IMAGE_STORE),)

    def detect(self, root: DataRoot) -> bool:
        """Whether containerd keeps, or has kept, the images of this root."""
        if any(_entries(root, tree) for tree in (_CONTENT, ("rootfs",), *_snapshots(root))):
            return True
        if layerdb_store.detect(root) or graph_store.detect(root):
            return False
        there = _entries(root, ())
        return root.is_directory(_HOME) or all(name in there for name in _ENGINE[1:]) or _ENGINE[0] in there

    def read(self, _reading: Reading) -> Part:
        """Read nothing: the objects of this store are not known."""
        return Part(measured=False)


def _snapshots(root: DataRoot) -> Iterator[Tree]:
    for name in _entries(root, _HOME):
        if name.startswith(_SNAPSHOTTER):
            yield (*_HOME, name, "snapshots")


def _entries(root: DataRoot, tree: Tree) -> list[str]:
    try:
        return root.names(tree)
    except OSError:
        return []
