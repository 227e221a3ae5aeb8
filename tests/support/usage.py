"""What a directory takes on the disk, counted anew in the simplest way: tests/process compares this with `du`."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def allocated(*paths: Path) -> int:
    """The disk blocks of each path in bytes, as `du -sx --block-size=1` counts them."""
    return sum(status.st_blocks * 512 for path in paths for status in _inodes(path))


def inodes(path: Path) -> int:
    """The inodes of a path, as `du -sx --inodes` counts them."""
    return sum(1 for _ in _inodes(path))


def _inodes(top: Path) -> Iterator[os.stat_result]:
    """Every inode of the filesystem that the path is on, once."""
    status = top.lstat()
    device, seen = status.st_dev, {status.st_ino}
    yield status
    if not stat.S_ISDIR(status.st_mode):
        return
    for _, directories, files, descriptor in os.fwalk(top):  # by descriptors: paths may be too long
        for name in [*directories, *files]:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if status.st_dev != device:
                directories.remove(name)
            elif status.st_ino not in seen:
                seen.add(status.st_ino)
                yield status
