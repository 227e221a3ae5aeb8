"""Which numbers of lstat can be true. A FUSE filesystem may say anything."""

import errno
from os import stat_result

#: 512 PiB in blocks of 512 bytes: more than any filesystem has.
MOST_BLOCKS = 1 << 50


def is_possible(status: stat_result) -> bool:
    """Whether a file or directory can have this size and so many blocks."""
    return 0 <= status.st_blocks < MOST_BLOCKS and status.st_size >= 0


def impossible() -> OSError:
    """The error for one that says what cannot be true: it is left out, and its tree is not known whole."""
    return OSError(errno.EOVERFLOW, "its size or its number of blocks cannot be true")
