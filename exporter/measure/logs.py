"""The sizes of containers' logs: one stat for each file, never a walk."""

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress

from exporter.core.data_root import DataRoot, reason_of
from exporter.core.descent import open_directory
from exporter.core.measured import Reason, Tree
from exporter.core.model import ContainerId
from exporter.measure.plausible import impossible, is_possible


def log_sizes(
    root: DataRoot,
    store: Tree,
    logs: Mapping[ContainerId, tuple[Tree, ...]],
    on_problem: Callable[[Reason, Tree], None],
) -> dict[ContainerId, int]:
    """Add up st_size of each container's log files, rotated ones included, in bytes. `store` has the containers.

    A file that is gone counts nothing: it was rotated away, or its container is removed, and the next scan
    knows. A log that cannot be measured is left out. `store` is opened once: there may be a thousand in it, and this is
    done every few seconds.
    """
    sizes = {container: 0 for container, files in logs.items() if not files}
    with suppress(OSError), root.directory(store) as descriptor:
        for container, files in logs.items():
            if files and (size := _size(root, descriptor, (*store, container), files, on_problem)) is not None:
                sizes[container] = size
    return sizes


def _size(
    root: DataRoot,
    containers: int,
    container: Tree,
    files: tuple[Tree, ...],
    on_problem: Callable[[Reason, Tree], None],
) -> int | None:
    try:
        home = open_directory(container[-1], containers)
    except OSError as error:
        return _note(error, container, on_problem)
    size: int | None = 0
    try:
        for file in files:
            try:
                own = file[:-1] == container
                status = os.stat(file[-1], dir_fd=home, follow_symlinks=False) if own else root.lstat(file)
            except OSError as error:
                one = _note(error, file, on_problem)
            else:
                one = status.st_size
                if not stat.S_ISREG(status.st_mode):
                    on_problem(Reason.NOT_REGULAR, file)
                    one = None
                elif not is_possible(status):
                    one = _note(impossible(), file, on_problem)
            size = None if one is None or size is None else size + one
    finally:
        os.close(home)
    return size


def _note(error: OSError, tree: Tree, on_problem: Callable[[Reason, Tree], None]) -> int | None:
    """The size of what could not be looked at: 0 if it is gone."""
    reason = reason_of(error)
    if reason is Reason.VANISHED:
        return 0
    on_problem(reason, tree)
    return None
