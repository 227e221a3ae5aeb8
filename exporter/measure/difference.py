"""The size of a layer as the difference to the one below it, as Docker's NaiveDiffDriver computes it.

Docker 1.0 to 1.9: daemon/graphdriver/fsdiff.go (DiffSize) and pkg/archive/changes.go (addChanges,
ChangesSize). The drivers vfs and overlay size layers this way.
"""

import os
import stat
from collections.abc import Callable, Sequence

from exporter.core.data_root import DataRoot
from exporter.core.measured import Changes, Tree
from exporter.measure.cursor import Cursor, OnError, depth_first, list_names, stat_entries

_SECOND = 1_000_000_000
#: In a large directory, `on_step` is called after so many entries.
_CHUNK = 256


class _Older:
    """A tree that is compared with, moved in step with the newer one; it may lack the directory."""

    def __init__(self, cursor: Cursor | None) -> None:
        self._cursor = cursor
        self._absent = 0

    def lstat(self, name: str) -> os.stat_result | None:
        if self._cursor is None or self._absent:
            return None
        try:
            return os.stat(name, dir_fd=self._cursor.descriptor, follow_symlinks=False)
        except OSError:
            return None

    def capability(self, name: str) -> bytes:
        return _capability(self._cursor.descriptor, name) if self._cursor else b""

    def enter(self, name: str) -> None:
        if self._cursor is None or self._absent:
            self._absent += 1
            return
        try:
            self._cursor.enter(name)
        except OSError:
            self._absent = 1

    def leave(self) -> None:
        if self._absent:
            self._absent -= 1
        elif self._cursor is not None:
            self._cursor.leave()

    def close(self) -> None:
        if self._cursor is not None:
            self._cursor.close()


def difference(
    root: DataRoot, changes: Changes, on_error: OnError, on_step: Callable[[], None] = lambda: None
) -> tuple[int, int]:
    """Sum st_size of everything but directories that `changes.new` adds or alters, each inode once.

    Returns (bytes, entries looked at). Raises OSError when `new` cannot be opened. A tree of `old` that is missing
    counts as an empty one, as in Docker. `on_step` is called between directories, and often in a large one.
    """
    newer = Cursor(root.open(changes.new))
    older = [_Older(_cursor(root, tree)) for tree in changes.old]
    comparison = _Comparison(newer, older, on_error, on_step)
    try:
        depth_first(newer, changes.new, comparison, on_error)
    finally:
        newer.close()
        for side in older:
            side.close()
    return comparison.size, comparison.entries


def _cursor(root: DataRoot, tree: Tree) -> Cursor | None:
    try:
        return Cursor(root.open(tree))
    except OSError:
        return None


class _Comparison:
    """Sums up the differences, directory by directory, in parallel with the older trees."""

    def __init__(self, newer: Cursor, older: Sequence[_Older], on_error: OnError, on_step: Callable[[], None]) -> None:
        self._on_step = on_step
        self.size = 0
        self.entries = 0
        self._newer = newer
        self._older = older
        self._on_error = on_error
        self._seen: set[int] = set()
        self._device = os.fstat(newer.descriptor).st_dev

    def entered(self, name: str, status: os.stat_result) -> bool:
        for side in self._older:
            side.enter(name)
        return status.st_dev == self._device

    def left(self) -> None:
        for side in self._older:
            side.leave()

    def visit(self, path: Tree) -> list[str]:
        descriptor = self._newer.descriptor
        names = list_names(descriptor, path, self._on_error)
        self.entries += len(names)
        directories: list[str] = []
        for number, (name, status) in enumerate(stat_entries(descriptor, names, path, self._on_error)):
            if number % _CHUNK == 0:
                self._on_step()
            if status.st_dev != self._device:
                continue
            if stat.S_ISDIR(status.st_mode):
                directories.append(name)
            elif _counts(status, self._seen) and _changed(self._newer, name, status, self._older):
                self.size += status.st_size
                if status.st_nlink > 1:
                    self._seen.add(status.st_ino)
        return directories


def _counts(status: os.stat_result, seen: set[int]) -> bool:
    """Whether an entry can add to the size: overlay's whiteouts (0/0 devices) stand for removed files."""
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        return False
    return status.st_size > 0 and not (status.st_nlink > 1 and status.st_ino in seen)


def _changed(newer: Cursor, name: str, new: os.stat_result, older: Sequence[_Older]) -> bool:
    for side in older:
        old = side.lstat(name)
        if old is not None:
            return (
                new.st_mode != old.st_mode
                or new.st_uid != old.st_uid
                or new.st_gid != old.st_gid
                or new.st_rdev != old.st_rdev
                or new.st_size != old.st_size
                or not _same_time(new.st_mtime_ns, old.st_mtime_ns)
                or _capability(newer.descriptor, name) != side.capability(name)
            )
    return True


def _same_time(one: int, other: int) -> bool:
    """Compare as archive.sameFsTime: a side without nanoseconds was cut by tar, so only seconds count."""
    if one == other:
        return True
    return one // _SECOND == other // _SECOND and (one % _SECOND == 0 or other % _SECOND == 0)


def _capability(directory: int, name: str) -> bytes:
    """The file's capabilities, which Docker compares too; empty where there are none or they are not kept."""
    try:
        return os.getxattr(f"/proc/self/fd/{directory}/{name}", "security.capability", follow_symlinks=False)
    except OSError:
        return b""
