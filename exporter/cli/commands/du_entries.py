"""What `du` keeps of a tree: entries with their sums, and what a layer says is deleted."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from enum import Flag
from heapq import nlargest
from operator import attrgetter

from msgspec import Struct, field

#: Of one directory, so many directories are kept, the largest; the others are one sum.
MOST_DIRECTORIES = 5_000
#: Extended attributes that say of a directory of an upper layer that nothing of the layers below shows through
#: (Linux fs/overlayfs, "trusted.overlay.opaque" and with the option userxattr "user.overlay.opaque"; fuse-overlayfs).
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque")
#: aufs: a name that is deleted, a directory that is opaque, and files of its own (aufs5 Documentation, AUFS_WH_PFX).
_AUFS_PREFIX, _AUFS_OPAQUE, _AUFS_OWN = ".wh.", ".wh..wh..opq", ".wh..wh."


class Whiteouts(Flag):
    """How a layer says that something of the layers below it is deleted: by names (aufs), by devices (overlay)."""

    NONE = 0
    NAMES = 1
    DEVICES = 2


class Sums(Struct):
    """What a number of entries take: apparent size and disk blocks in bytes, inodes; `deleted` are whiteouts."""

    size: int = 0
    allocated: int = 0
    inodes: int = 0
    deleted: int = 0
    entries: int = 0

    def add(self, size: int, allocated: int, inodes: int, deleted: int = 0) -> None:
        """Add one entry."""
        self.size += size
        self.allocated += allocated
        self.inodes += inodes
        self.deleted += deleted
        self.entries += 1


class DiskEntry(Struct):
    """A file or directory with all below it. Not `whole`: a part of it could not be read.

    `kind` is directory, file, link, other or deleted. Of a directory that is shown from inside: `directories` by name,
    `files` as a heap with the smallest first, names that are `gone` (deleted), and sums of those that are not kept.
    """

    name: str
    kind: str = "directory"
    size: int = 0
    allocated: int = 0
    inodes: int = 0
    deleted: int = 0
    whole: bool = True
    opaque: bool = False
    directories: dict[str, "DiskEntry"] = field(default_factory=dict)
    files: list[tuple[int, int, int, "DiskEntry"]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    more_directories: Sums = field(default_factory=Sums)
    more_files: Sums = field(default_factory=Sums)

    def children(self) -> Iterator["DiskEntry"]:
        """The entries that are kept, in no order."""
        yield from self.directories.values()
        yield from (one for *_, one in self.files)

    def drop_small(self) -> None:
        """Keep the largest directories only; the others are added up."""
        kept = nlargest(MOST_DIRECTORIES, self.directories.values(), key=attrgetter("allocated"))
        names = {one.name for one in kept}
        for name in [*self.directories]:
            if name not in names:
                one = self.directories.pop(name)
                self.more_directories.add(one.size, one.allocated, one.inodes, one.deleted)


def deleted_name(whiteouts: Whiteouts, name: str, status: os.stat_result) -> str | None:
    """The name that a whiteout deletes, "" of one that makes its directory opaque; None for all other files.

    overlay: a character device 0/0 (Linux Documentation/filesystems/overlayfs.rst). aufs and fuse-overlayfs: a file
    whose name is `.wh.` and the name.
    """
    if Whiteouts.DEVICES in whiteouts and stat.S_ISCHR(status.st_mode) and not status.st_rdev:
        return name
    if Whiteouts.NAMES not in whiteouts or not name.startswith(_AUFS_PREFIX):
        return None
    if name == _AUFS_OPAQUE:
        return ""
    return None if name.startswith(_AUFS_OWN) else name.removeprefix(_AUFS_PREFIX)


def is_opaque(descriptor: int) -> bool:
    """Whether an open directory hides all that the layers below have in it."""
    for name in _OPAQUE:
        with suppress(OSError):  # there is none, or this process may not read it
            if os.getxattr(descriptor, name) == b"y":
                return True
    return False


def kind_of(mode: int) -> str:
    """What a file is that is no directory: file, link or other."""
    if stat.S_ISREG(mode):
        return "file"
    return "link" if stat.S_ISLNK(mode) else "other"
