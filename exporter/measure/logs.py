"""The sizes of containers' logs: one stat for each file, never a walk."""

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress

from exporter.core.data_root import DataRoot, open_directory
from exporter.core.measured import Reason, Tree
from exporter.core.model import ContainerId


def log_sizes(
    root: DataRoot,
    store: Tree,
    logs: Mapping[ContainerId, tuple[Tree, ...]],
    on_problem: Callable[[Reason, Tree], None],
) -> dict[ContainerId, int]:
    """Add up st_size of each container's log files, rotated ones included, in bytes. `store` has the containers.

    A file that is gone counts nothing: it was rotated away, or its container is removed, and the next scan
    knows. `store` is opened once: there may be a thousand in it, and this is done every few seconds.
    """
    sizes = dict.fromkeys(logs, 0)
    with suppress(OSError), root.directory(store) as descriptor:
        for container, files in logs.items():
            if files:
                sizes[container] = _size(root, descriptor, (*store, container), files, on_problem)
    return sizes


def _size(
    root: DataRoot,
    containers: int,
    container: Tree,
    files: tuple[Tree, ...],
    on_problem: Callable[[Reason, Tree], None],
) -> int:
    size = 0
    try:
        home = open_directory(container[-1], containers)
    except OSError:
        return 0
    try:
        for file in files:
            try:
                own = file[:-1] == container
                status = os.stat(file[-1], dir_fd=home, follow_symlinks=False) if own else root.lstat(file)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                size += status.st_size
            else:
                on_problem(Reason.NOT_REGULAR, file)
    finally:
        os.close(home)
    return size
