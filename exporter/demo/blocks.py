"""Gives the sparse files of an example the disk blocks that their sizes say, where there is room."""

import ctypes
import os
from pathlib import Path

#: FALLOC_FL_KEEP_SIZE of linux/falloc.h.
_KEEP_SIZE = 1
_BLOCK = 512
#: The example may take this part of what is free.
_ONE_OF = 8
#: Without room, each file gets this part of its blocks.
SHARE = 100
#: The blocks of these are memory.
_OF_MEMORY = ("tmpfs", "ramfs")


def fill(root: Path) -> bool:
    """Allocate the blocks of all files; return whether there was room for all. A hundredth of them is, otherwise.

    Nothing is written to these blocks: a filesystem notes that they are zeros. Where it cannot do that, the files stay
    as they are.
    """
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    wanted = {(status := path.stat()).st_ino: max(status.st_size - status.st_blocks * _BLOCK, 0) for path in files}
    free = os.statvfs(root)
    whole = sum(wanted.values()) * _ONE_OF <= free.f_bavail * free.f_frsize and _filesystem(root) not in _OF_MEMORY
    for path in files:
        whole &= _allocate(path, 1 if whole else SHARE)
    return whole


def _allocate(path: Path, part: int) -> bool:
    status = path.stat()
    length = status.st_size // part
    if status.st_blocks * _BLOCK >= length:
        return True
    with path.open("r+b") as file:
        # glibc's posix_fallocate would write all blocks where the filesystem cannot allocate them.
        library = ctypes.CDLL(None, use_errno=True)
        failed = library.fallocate(file.fileno(), _KEEP_SIZE, ctypes.c_longlong(0), ctypes.c_longlong(length))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return not failed


def _filesystem(root: Path) -> str:
    """The type of the filesystem that a directory lies on, "" where that is not known."""
    device = os.stat(root).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(" - ")[2].split()[0] for line in lines if line.split()[2] == number), "")
