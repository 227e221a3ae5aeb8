"""Opens the root of the containerd that keeps the images of a data root, where that is a directory of its own.

dockerd starts a containerd of its own only where it finds none on the host. Distribution packages and docker-ce bring
one, with the root /var/lib/containerd, and nothing below the data root names it.
"""

import os

from exporter.config.settings import FIND_CONTAINERD, NO_CONTAINERD
from exporter.core.data_root import DataRoot
from exporter.core.hang_probe import HANG_PROBE
from exporter.core.shortage import is_shortage
from exporter.inventory.opening import add_further

#: containerd 1.0 and newer names its directories after its plugins, `io.containerd.<type>.<name>`.
METADATA = "io.containerd.metadata.v1.bolt"
#: Where dockerd's own containerd has its root, below the data root (Docker 18.09 and newer, libcontainerd/supervisor).
OWN = ("containerd", "daemon")


class ContainerdRoot:
    """Finds one root, and opens it with each data root that is opened."""

    def __init__(self, setting: str) -> None:
        """`setting`: a path, FIND_CONTAINERD or NO_CONTAINERD."""
        self._setting = setting

    def attach(self, root: DataRoot) -> None:
        """Open the root of the containerd beside a data root. Where that cannot be, `untaken` of the root says why.

        Raises OSError only where this process has no descriptor or memory left for it.
        """
        if self._setting in (FIND_CONTAINERD, NO_CONTAINERD):
            return
        path = os.path.abspath(self._setting)
        try:
            why = _take(root, path)
        except OSError as error:
            if is_shortage(error):
                raise
            why = f"cannot be opened: {error.strerror}"
        if why:
            root.untaken[path] = why


def _take(root: DataRoot, path: str) -> str:
    """Open a directory as a further root; return why it is none, "" if it is one or needs none. Raises OSError."""
    if why := why_none(path):
        return why
    real = os.path.realpath(path)
    if is_same_or_below(real, root.path) or _is_own(root, real):
        return ""  # it is read with the data root
    if is_same_or_below(root.path, real):
        return "the data root lies in it"
    add_further(root, real)
    return ""


def why_none(path: str) -> str:
    """Why a path is not the root of a containerd; "" if it is one. Raises OSError."""
    if not HANG_PROBE.answers(path):
        return "its filesystem does not answer"
    if not os.path.lexists(path):
        return "does not exist"
    if not os.path.isdir(path):
        return "is not a directory"
    if not os.path.isdir(os.path.join(path, METADATA)):
        return f"is not the root of a containerd: there is no {METADATA} in it"
    return ""


def is_same_or_below(path: str, top: str) -> bool:
    """Whether a path is a directory or lies in it, by their names."""
    return path == top or path.startswith(top.rstrip("/") + "/")


def _is_own(root: DataRoot, path: str) -> bool:
    """Whether a path is another name of the data root, or of the root of its own containerd in it: a bind mount."""
    status = os.stat(path)
    identity = status.st_dev, status.st_ino
    if identity == (root.device, root.inode):
        return True
    try:
        own = root.lstat(OWN)
    except OSError:
        return False
    return identity == (own.st_dev, own.st_ino)
