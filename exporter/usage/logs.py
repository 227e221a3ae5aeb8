"""The sizes of containers' logs: one look at each file, never a walk."""

import os
import stat
from collections.abc import Callable, Iterable

from exporter.measured import Reason, Tree
from exporter.root import DataRoot


def log_size(root: DataRoot, files: Iterable[Tree], on_problem: Callable[[Reason, Tree], None]) -> int:
    """Add up st_size of one container's log files, rotated ones included; one that is gone counts nothing."""
    size = 0
    directory: Tree | None = None
    descriptor = -1
    try:
        for file in files:
            try:
                if file[:-1] != directory:
                    if descriptor >= 0:
                        os.close(descriptor)
                        descriptor = -1
                    descriptor, directory = root.open(file[:-1]), file[:-1]
                status = os.stat(file[-1], dir_fd=descriptor, follow_symlinks=False)
            except OSError:
                continue  # rotated away, or the container is gone: the next scan knows
            if stat.S_ISREG(status.st_mode):
                size += status.st_size
            else:
                on_problem(Reason.NOT_REGULAR, file)
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return size
