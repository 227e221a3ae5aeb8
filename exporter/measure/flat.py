"""Measures a tree without subdirectories in few steps: there may be tens of thousands, with a few files each."""

import os
import stat
from itertools import islice

from exporter.core.data_root import DataRoot
from exporter.core.measured import Identity, Tree
from exporter.measure.exclusions import Exclusions
from exporter.measure.plausible import MOST_BLOCKS, is_possible
from exporter.measure.total import Sums

#: Of a larger directory the walk tells how far it is, and gives parts away.
_MOST = 512


def measure_flat(root: DataRoot, tree: Tree, exclusions: Exclusions) -> tuple[Identity, Sums] | None:
    """Measure a directory with at most `_MOST` files, each with one link, and without subdirectories that count.

    Or a tree that is a single file. None for all else, and where anything could not be read: the walk measures that, or
    says what is wrong with it.
    """
    if exclusions.store:
        return None
    try:
        try:
            return _measure(root.borrow(tree), exclusions.below)
        except NotADirectoryError:
            return _alone(root.lstat(tree))
    except OSError:
        return None


def _measure(descriptor: int, below: dict[str, Exclusions]) -> tuple[Identity, Sums] | None:
    status = os.fstat(descriptor)
    device, blocks = status.st_dev, status.st_blocks
    if not 0 <= blocks < MOST_BLOCKS:
        return None
    size = skipped = left_out = files = 0
    with os.scandir(descriptor) as listing:
        for entry in islice(listing, _MOST):
            if below and (one := below.get(entry.name)) is not None and one.leaf:
                skipped += one.mount
                left_out += 1
                continue
            if entry.is_dir(follow_symlinks=False):
                return None
            file = entry.stat(follow_symlinks=False)
            count = file.st_blocks
            if file.st_nlink != 1 or file.st_dev != device or not 0 <= count < MOST_BLOCKS or file.st_size < 0:
                return None
            size += file.st_size
            blocks += count
            files += 1
    if files + left_out >= _MOST:
        return None
    return (device, status.st_ino, status.st_ctime_ns), (size, blocks, 1 + files, 1 + files, skipped)


def _alone(status: os.stat_result) -> tuple[Identity, Sums] | None:
    if stat.S_ISDIR(status.st_mode) or status.st_nlink != 1 or not is_possible(status):
        return None
    return (status.st_dev, status.st_ino, status.st_ctime_ns), (status.st_size, status.st_blocks, 1, 1, 0)
