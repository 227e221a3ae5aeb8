"""What is mounted at and below the data root, from /proc/self/mountinfo (format: proc(5))."""

import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from msgspec import Struct

from exporter.core.measured import Tree, root_of
from exporter.core.model import Filesystem

#: Filesystems of this host whose device is no path.
_LOCAL_TYPES = ("tmpfs", "zfs")
#: Types of filesystems in which a directory can have a device number of its own.
WITH_SUBVOLUMES = ("btrfs", "bcachefs")
#: Types of filesystems on disks of this machine, in its memory, or made of other directories of it. All others are
#: taken for network filesystems, unknown ones too: of FUSE, only the type tells what is behind it.
_LOCAL = frozenset(
    (
        *("aufs", "bcachefs", "btrfs", "ecryptfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk"),
        *("fuse.exfat", "fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.ntfs-3g", "hfsplus", "iso9660", "jfs", "nilfs2"),
        *("ntfs", "ntfs3", "overlay", "ramfs", "reiserfs", "squashfs", "tmpfs", "ubifs", "udf", "vfat", "xfs", "zfs"),
    )
)
_UPPER = "upperdir="
_ESCAPE = re.compile(r"\\([0-7]{3})")


class MountPoint(Struct, frozen=True):
    """One line of mountinfo: `inside` is the directory of the filesystem that is mounted at `path`."""

    number: str
    parent: str
    path: str
    inside: str
    device_number: str
    device: str
    fstype: str
    #: Whether the filesystem itself is read-only, and not this mount of it alone.
    readonly: bool = False


def read_mounts(source: str = "/proc/self/mountinfo") -> Sequence[MountPoint]:
    """List this process' mounts in the order in which they were made; empty where /proc is not there."""
    try:
        with open(source, "rb") as file:
            return _parse_all(file.read())
    except OSError:
        return ()


@lru_cache(maxsize=1)
def _parse_all(table: bytes) -> tuple[MountPoint, ...]:
    """The mounts of a table. It is read every few seconds, and most often it is the same."""
    lines = table.decode("utf-8", "surrogateescape").split("\n")
    return tuple(mount for line in lines if (mount := _parse(line)) is not None)


def only_the_mount_is_readonly(path: str, source: str = "/proc/self/mountinfo") -> bool:
    """Whether the filesystem that is mounted at `path` can be written to, by other mounts than this one.

    It reads the third field after the hyphen, the options of the superblock: a container in which the data root is
    mounted read-only sees the flag of that mount in statvfs.
    """
    escaped = "".join(f"\\{ord(one):03o}" if one in " \t\n\\" else one for one in path)
    try:
        with open(source, encoding="utf-8", errors="surrogateescape") as file:
            found = [mount for line in file if f" {escaped} " in line and (mount := _parse(line)) is not None]
    except OSError:
        return False
    here = [mount for mount in found if mount.path == path]
    return bool(here) and not here[-1].readonly


def overlay_directories(source: str = "/proc/self/mountinfo") -> list[str]:
    """The upper directories of the overlay mounts of this process, without those named twice."""
    try:
        with open(source, encoding="utf-8", errors="surrogateescape") as file:
            ends = [line.rstrip("\n").partition(" - ")[2].split(" ") for line in file]
    except OSError:
        return []
    # A comma in a path is escaped as a space is (Linux seq_file.h, seq_show_option), and shown with the backslash that
    # it had when it was mounted (seen with Linux 6.18).
    options = (option for end in ends if len(end) > 2 and end[0] == "overlay" for option in end[2].split(","))
    found = (_unescape(one.removeprefix(_UPPER)) for one in options if one.startswith(_UPPER))
    return list(dict.fromkeys(re.sub(r"\\([,\\])", r"\1", path) for path in found))


def _parse(line: str) -> MountPoint | None:
    before, separator, after = line.rstrip("\n").partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if not separator or len(left) < 5 or len(right) < 2:
        return None
    return MountPoint(
        number=left[0],
        parent=left[1],
        path=_unescape(left[4]),
        inside=_unescape(left[3]),
        device_number=left[2],
        fstype=right[0],
        device=_unescape(right[1]),
        readonly="ro" in right[2].split(",") if len(right) > 2 else False,
    )


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


def mount_of(path: str, mounts: Sequence[MountPoint]) -> MountPoint | None:
    """The mount on which `path` lies: the last one made among those with the longest matching path."""
    best: MountPoint | None = None
    for mount in mounts:
        if _covers(mount.path, path) and (best is None or len(mount.path) >= len(best.path)):
            best = mount
    return best


def foreign_mounts(root: str, mounts: Sequence[MountPoint]) -> list[MountPoint]:
    """The mounts below `root` that show other files than the directory itself.

    Old Dockers mount a driver's directory on itself to make it private (Docker 1.5 pkg/mount,
    MakePrivate): such a mount shows the same files and does not count.
    """
    by_number = {mount.number: mount for mount in mounts}
    below = [mount for mount in mounts if mount.path != root and _covers(root, mount.path)]
    return [mount for mount in below if not _same_files(mount, by_number.get(mount.parent))]


def _same_files(mount: MountPoint, below: MountPoint | None) -> bool:
    if below is None:
        return False
    relative = os.path.relpath(mount.path, below.path)
    expected = os.path.normpath(os.path.join(below.inside, relative))
    return mount.device_number == below.device_number and os.path.normpath(mount.inside) == expected


def _covers(directory: str, path: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def foreign_trees(root: str, mounts: Sequence[MountPoint]) -> dict[Tree, MountPoint]:
    """The paths below `root` at which other filesystems are mounted, each with what is seen there."""
    return {tuple(os.path.relpath(one.path, root).split("/")): one for one in foreign_mounts(root, mounts)}


def foreign_trees_of(tops: Iterable[Tree], root: str, mounts: Sequence[MountPoint]) -> dict[Tree, MountPoint]:
    """The same for the data root `root` and its further roots, which are among its `tops`."""
    found: dict[Tree, MountPoint] = {}
    for top in tops:
        below = foreign_trees(os.path.join(root, *top), mounts)
        found.update({(*top, *tree): mount for tree, mount in below.items()})
    return found


def is_local(fstype: str) -> bool:
    """Whether a filesystem is known not to be on another machine."""
    return fstype in _LOCAL


def filesystems(
    root: str, parts: Iterable[Tree], others: Iterable[str], mounts: Sequence[MountPoint], device: int
) -> tuple[Filesystem, ...]:
    """The filesystems of the root, of its `parts` that may have a disk of their own, and of `others` by their path.

    A part that is a further root is among `parts` with its path alone. What is mounted there, or below it, has its
    absolute path as `directory`.

    `device` is the st_dev of the root. It stands for a mount that mountinfo does not list: in a chroot whose `/` is no
    mount point, and where /proc is not mounted.
    """
    return tuple(dict.fromkeys(filesystems_by_path(root, parts, others, mounts, device).values()))


def filesystems_by_path(
    root: str, parts: Iterable[Tree], others: Iterable[str], mounts: Sequence[MountPoint], device: int
) -> dict[str, Filesystem]:
    """The same, by the absolute path of the root, of each part and of each of `others`."""
    known = list(parts)
    paths = [root, *(os.path.join(root, *part) for part in known), *others]
    further = [part[0] for part in known if part == root_of(part)]
    found: list[tuple[MountPoint, Filesystem]] = []
    by_path: dict[str, Filesystem] = {}
    for path in dict.fromkeys(paths):
        mount = mount_of(path, mounts) or _unlisted(root, device, mounts)
        same = next((filesystem for one, filesystem in found if _same_filesystem(one, mount)), None)
        if same is None:
            below, own = _below(root, mount.path, further), _is_own(root, mount)
            same = Filesystem(mount.path, mount.device, mount.path, mount.fstype, below, own)
            found.append((mount, same))
        by_path[path] = same
    return by_path


def _below(root: str, path: str, further: Iterable[str]) -> str:
    if any(_covers(top, path) for top in further):
        return path
    return os.path.relpath(path, root) if path != root and _covers(root, path) else ""


def _is_own(root: str, mount: MountPoint) -> bool:
    """Whether the root is the top directory of a filesystem of this host, so that no other files are on it.

    The space of an overlay, and of a network filesystem, is that of a filesystem with other files.
    """
    here = mount.device.startswith("/") or mount.fstype in _LOCAL_TYPES
    return mount.number != "" and mount.path == root and mount.inside == "/" and here


def _unlisted(root: str, device: int, mounts: Sequence[MountPoint]) -> MountPoint:
    """Stands for the mount of the root where mountinfo lists none.

    Device and type are those of another mount of the same filesystem. If there is none, the device is its number and
    the type is unknown (""). The mount point is the root itself: the real one lies outside of what the process sees.
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    other = next((mount for mount in mounts if mount.device_number == number), None)
    name, fstype = (other.device, other.fstype) if other else (number, "")
    return MountPoint(number="", parent="", path=root, inside="/", device_number=number, device=name, fstype=fstype)


def _same_filesystem(one: MountPoint, other: MountPoint) -> bool:
    """Whether two mounts show one filesystem. The device of a tmpfs or an overlay is only a name, and any has it."""
    if one.device_number == other.device_number:
        return True
    return "/" in one.device and (one.device, one.fstype) == (other.device, other.fstype)
