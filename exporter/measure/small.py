"""Measures a small tree in few steps: there may be tens of thousands, with a few files each."""

import os
import stat
from itertools import islice

from exporter.core.data_root import DataRoot
from exporter.core.descent import open_directory
from exporter.core.measured import Identity, Tree
from exporter.measure.exclusions import NOTHING, Exclusions
from exporter.measure.plausible import MOST_BLOCKS, is_possible
from exporter.measure.total import Sums

#: Of a larger directory the walk tells how far it is, and gives parts away.
MOST_ENTRIES = 512
#: With subdirectories, a tree has no more entries, and no more of these in each other: what was looked at in vain here
#: is little of what the walk looks at.
_MOST_NESTED, _DEEPEST = 64, 8


def measure_small(root: DataRoot, tree: Tree, exclusions: Exclusions) -> tuple[Identity, Sums] | None:
    """Measure a tree with few files, each with one link, or a tree that is a single file.

    None for all else, and where anything could not be read: the walk measures that, or says what is wrong with it.
    """
    try:
        try:
            return _measure(root.borrow(tree), exclusions)
        except NotADirectoryError:
            return _alone(root.lstat(tree))
    except OSError:
        return None


def _measure(descriptor: int, exclusions: Exclusions) -> tuple[Identity, Sums] | None:
    status = os.fstat(descriptor)
    if not 0 <= status.st_blocks < MOST_BLOCKS:
        return None
    sums = _Sums(status)
    if not _add(descriptor, exclusions, sums, 0):
        return None
    found = sums.size, sums.blocks, sums.inodes, sums.inodes, sums.skipped
    return (status.st_dev, status.st_ino, status.st_ctime_ns), found


class _Sums:
    """The sums of what was looked at, beginning with the directory that is the tree."""

    __slots__ = ("blocks", "device", "inodes", "size", "skipped")

    def __init__(self, top: os.stat_result) -> None:
        self.device, self.blocks, self.inodes = top.st_dev, top.st_blocks, 1
        self.size = self.skipped = 0


def _add(descriptor: int, exclusions: Exclusions, sums: _Sums, depth: int) -> bool:
    """Add what is in a directory; return whether all of it could be added. May raise OSError."""
    below = exclusions.below
    if exclusions.store:  # its entries are trees of their own: it only has to be readable
        with os.scandir(descriptor) as listing:
            next(listing, None)
        return not any(one.mount for one in below.values())  # the walk counts these
    device, room = sums.device, _MOST_NESTED - sums.inodes if depth else MOST_ENTRIES
    size = blocks = files = left_out = 0
    directories: list[str] = []
    with os.scandir(descriptor) as listing:
        for entry in islice(listing, room):
            if below and (one := below.get(entry.name)) is not None and one.leaf:
                sums.skipped += one.mount
                left_out += 1
                continue
            if entry.is_dir(follow_symlinks=False):
                directories.append(entry.name)
                if files + len(directories) >= _MOST_NESTED:
                    return False
                continue
            file = entry.stat(follow_symlinks=False)
            count = file.st_blocks
            if file.st_nlink != 1 or file.st_dev != device or not 0 <= count < MOST_BLOCKS or file.st_size < 0:
                return False
            size += file.st_size
            blocks += count
            files += 1
    if files + left_out + len(directories) >= room:
        return False
    sums.size += size
    sums.blocks += blocks
    sums.inodes += files
    return not directories or _add_inner(descriptor, directories, below, sums, depth)


def _add_inner(descriptor: int, directories: list[str], below: dict[str, Exclusions], sums: _Sums, depth: int) -> bool:
    """Add some directories of a directory, as `_add` does."""
    if depth >= _DEEPEST or sums.inodes + len(directories) >= _MOST_NESTED:
        return False
    for name in directories:
        inner = below.get(name, NOTHING) if below else NOTHING
        opened = open_directory(name, descriptor)
        try:
            status = os.fstat(opened)
            if status.st_dev != sums.device or not 0 <= status.st_blocks < MOST_BLOCKS:
                return False
            sums.blocks += status.st_blocks
            sums.inodes += 1
            if not _add(opened, inner, sums, depth + 1):
                return False
        finally:
            os.close(opened)
    return True


def _alone(status: os.stat_result) -> tuple[Identity, Sums] | None:
    if stat.S_ISDIR(status.st_mode) or status.st_nlink != 1 or not is_possible(status):
        return None
    return (status.st_dev, status.st_ino, status.st_ctime_ns), (status.st_size, status.st_blocks, 1, 1, 0)
