"""Opens a data root, and says why it cannot be read or which filesystems in it do not answer."""

import os
from collections.abc import Iterable, Mapping

from exporter.core.data_root import DataRoot
from exporter.core.hang_probe import HANG_PROBE
from exporter.core.listings import Listings
from exporter.core.measured import Measured, Reason, Tree, Usage, root_of
from exporter.core.model import Collector
from exporter.core.mountinfo import MountPoint, foreign_trees, is_local, read_mounts
from exporter.core.shell import quote
from exporter.core.shortage import is_shortage, require_descriptors
from exporter.core.text import escape
from exporter.inventory.areas import CONTAINERS, VOLUMES, table
from exporter.inventory.elsewhere import lead_on
from exporter.inventory.files.problems import Problems
from exporter.inventory.layout_parts import detect
from exporter.inventory.read import nested_roots

#: What a reading of a root has open at a time, at the most: the way to a directory, a listing, a file, a database.
_DESCRIPTORS = 8
#: And in each further root the way to a directory.
_FURTHER_DESCRIPTORS = 6


class RootError(Exception):
    """The data root cannot be read. The message is for people.

    `shortage`: because this process, or the host, has no descriptor or memory left.
    """

    def __init__(self, message: str, *, shortage: bool = False) -> None:
        super().__init__(message)
        self.shortage = shortage


def for_shortage(error: Exception) -> bool:
    """Whether a root cannot be read because this process has no descriptor or memory left for it."""
    return error.shortage if isinstance(error, RootError) else is_shortage(error)


def open_mounted(
    path: str, *, network: bool = False, further: Iterable[str] = (), listings: Listings | None = None
) -> DataRoot:
    """Open a data root and read the mount points below it; raises OSError, also if its filesystem hangs.

    It raises one, too, where this process has too few descriptors for a reading: a reader takes what it cannot open for
    what is not there.

    `network`: volumes on network filesystems are to be measured, too. `further`: the paths of further roots.
    `listings`: what was listed when this root was open before.
    """
    _require_answer(path)
    root = DataRoot(path)
    try:
        require_descriptors(_DESCRIPTORS, root.borrow(()))
        root.listings = listings or root.listings
        root.mountinfo = read_mounts()
        found = foreign_trees(root.path, root.mountinfo)
        root.mounts = frozenset(found)
        if not network:
            root.unwalked = _on_networks(root, found)
        root.answers = HANG_PROBE.answers
        for one in further:
            add_further(root, one)
    except OSError:
        root.close()
        raise
    return root


def add_further(root: DataRoot, path: str) -> Tree:
    """Open a further root of an open data root, with the mount points below it; raises OSError."""
    _require_answer(path)
    top = root.add(path)
    require_descriptors(_DESCRIPTORS + _FURTHER_DESCRIPTORS * len(root.further), root.borrow(top))
    below = foreign_trees(top[0], root.mountinfo)
    root.mounts |= {(*top, *tree) for tree in below}
    return top


def _require_answer(path: str) -> None:
    if not HANG_PROBE.answers(path):
        raise TimeoutError(None, "the filesystem does not answer")


def _on_networks(root: DataRoot, mounts: Mapping[Tree, MountPoint]) -> dict[Tree, str]:
    """The mounts of volumes, or of all of them, on other machines than the root itself."""
    own = f"{os.major(root.device)}:{os.minor(root.device)}"
    ends = len(VOLUMES.path)
    return {
        tree: mount.fstype
        for tree, mount in mounts.items()
        if tree[:ends] == VOLUMES.path and mount.device_number != own and not is_local(mount.fstype)
    }


def open_root(path: str, *, network: bool = False, listings: Listings | None = None) -> DataRoot:
    """Open a data root with a known layout; raises RootError if that is not possible.

    `network`: volumes on network filesystems are to be measured, too. `listings`: see `open_mounted`.
    """
    try:
        root = open_mounted(path, network=network, listings=listings)
    except FileNotFoundError:
        raise RootError(f"does not exist{lead_on(path, (), _is_data_root)}") from None
    except NotADirectoryError:
        raise RootError(f"is not a directory{lead_on(path, (), _is_data_root)}") from None
    except OSError as error:
        raise RootError(f"cannot be opened: {error.strerror}", shortage=is_shortage(error)) from None
    shortage = False
    try:
        names = root.names(())
        if detect(root):
            return root
        message = f"holds no known Docker layout{_remapped(root) or lead_on(root.path, names, _is_data_root)}"
    except OSError as error:
        message, shortage = f"cannot be read: {error.strerror}", is_shortage(error)
    root.__exit__()
    raise RootError(message, shortage=shortage)


def _remapped(root: DataRoot) -> str:
    """Name the roots of remapped users below: dockerd --userns-remap keeps everything in one of them."""
    paths = [quote(escape(f"{root.path}/{name}")) for name in nested_roots(root)]
    return f"; it holds roots of remapped users: pass --root {' or '.join(paths)}" if paths else ""


def _is_data_root(path: str) -> bool:
    try:
        with open_mounted(path) as root:
            return bool(detect(root)) and root.is_directory(CONTAINERS.path)
    except OSError:
        return False


def identify(path: str) -> tuple[int, int] | None:
    """The device and inode of the root, by which a caller detects a replacement; None if it does not exist."""
    if HANG_PROBE.hangs(path):
        return None
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def note_silent(root: DataRoot, problems: Problems) -> None:
    """Count the filesystems on the way to metadata that do not answer, unless a reader has counted them."""
    known = {one.path for one in problems.kept if one.reason is Reason.TIMEOUT}
    for mount in sorted(root.silent):
        if "/".join(mount) not in known:
            collector = table().of(mount).objects or Collector.DIRECTORIES
            problems.add(collector, Reason.TIMEOUT, mount, "the filesystem that is mounted there does not answer")


def root_entry(root: DataRoot, top: Tree = ()) -> Measured:
    """The directory of a root without its entries, and the number of mounts at the top, which no walk meets."""
    status = root.lstat(top)
    identity = (status.st_dev, status.st_ino, status.st_ctime_ns)
    mounts = sum(root_of(mount) == top == mount[:-1] for mount in root.mounts)
    return Measured(Usage(0, status.st_blocks * 512, 1), identity, entries=1, skipped_mounts=mounts)
