"""The space of a filesystem, of what statvfs says."""

import os
from typing import NamedTuple

#: More bytes, or inodes, than any filesystem has.
_BEYOND = 1 << 63


class Space(NamedTuple):
    """Bytes and inodes of a filesystem. None: what it says cannot be true, as a FUSE filesystem may say anything."""

    size: int | None
    free: int | None
    available: int | None
    files: int | None
    files_free: int | None

    @property
    def used(self) -> int | None:
        """The bytes in use."""
        return None if self.size is None or self.free is None else self.size - self.free


def space_of(status: os.statvfs_result) -> Space:
    """The space that a filesystem says it has. Numbers of 2^63 and more are negative in `status`."""
    unit = status.f_frsize
    size = _below(status.f_blocks * unit, _BEYOND)
    most = _BEYOND if size is None else size + 1
    files = _below(status.f_files, _BEYOND)
    return Space(
        size,
        _below(status.f_bfree * unit, most),
        _below(status.f_bavail * unit, most),
        files,
        _below(status.f_ffree, _BEYOND if files is None else files + 1),
    )


def _below(number: int, beyond: int) -> int | None:
    return number if 0 <= number < beyond else None
