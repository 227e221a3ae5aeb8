"""The size of a layer as the difference to the one below it, as Docker's NaiveDiffDriver computes it.

Docker 1.0 to 1.9: daemon/graphdriver/fsdiff.go (DiffSize) and pkg/archive/changes.go (addChanges,
ChangesSize). The drivers vfs and overlay size layers this way.
"""

import os
import stat
from collections.abc import Callable, Sequence

from exporter.core.data_root import DataRoot
from exporter.core.measured import Changes, Tree
from exporter.measure.cursor import Cursor, OnError
from exporter.measure.path import Path
from exporter.measure.total import Total

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

    Returns (bytes, entries looked at). Raises TooManyLinksError, and OSError when `new` cannot be opened. A tree of
    `old` that is missing counts as an empty one, as in Docker. `on_step` is called between directories, and often in a
    large one.
    """
    newer = Cursor(root.open(changes.new))
    older = [_Older(_cursor(root, tree)) for tree in changes.old]
    comparison = _Comparison(changes.new, newer, older, on_error, on_step)
    try:
        comparison.run()
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

    def __init__(
        self, tree: Tree, newer: Cursor, older: Sequence[_Older], on_error: OnError, on_step: Callable[[], None]
    ) -> None:
        self._on_step = on_step
        self.entries = 0
        self._tree = tree
        self._path = Path()
        self._newer = newer
        self._older = older
        self._on_error = on_error
        #: Of what has changed; entries with several links count once.
        self._changed = Total()
        self._device = newer.top.st_dev

    @property
    def size(self) -> int:
        """Bytes of what has changed. Raises TooManyLinksError."""
        self._changed.settle()
        return self._changed.size

    def run(self) -> None:
        """Visit the directories depth first."""
        levels = [(0, self._visit())]
        while levels:
            depth, names = levels[-1]
            if not names:
                levels.pop()
                continue
            if not self._go_up(depth):
                return
            self._on_step()
            name = names.pop()
            if not names:
                levels.pop()  # a chain of directories needs no room for each
            try:
                status = self._newer.enter(name)
            except OSError as error:
                self._report(error, name)
                continue
            self._path.push(name)
            for side in self._older:
                side.enter(name)
            if status.st_dev == self._device and (below := self._visit()):
                levels.append((len(self._path), below))

    def _go_up(self, depth: int) -> bool:
        try:
            while len(self._path) > depth:
                self._newer.leave()
                for side in self._older:
                    side.leave()
                self._path.pop()
        except OSError as error:
            self._report(error)
            return False
        return True

    def _report(self, error: OSError, *more: str) -> None:
        self._on_error(error, (*self._tree, *self._path.shown(*more)))

    def _visit(self) -> list[str]:
        """Compare what is in one directory; return the names of the directories in it."""
        directories: list[str] = []
        descriptor = self._newer.descriptor
        try:
            with os.scandir(descriptor) as listing:
                for number, entry in enumerate(listing):
                    if number % _CHUNK == 0:
                        self._on_step()
                    self._compare(descriptor, entry.name, directories)
        except OSError as error:
            self._report(error)
        return directories

    def _compare(self, descriptor: int, name: str, directories: list[str]) -> None:
        self.entries += 1
        try:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except OSError as error:
            self._report(error, name)
            return
        if status.st_dev != self._device:
            return
        if stat.S_ISDIR(status.st_mode):
            directories.append(name)
        elif _counts(status) and _changed(self._newer, name, status, self._older):
            self._note_changed(status)

    def _note_changed(self, status: os.stat_result) -> None:
        if status.st_nlink == 1 or self._changed.first_link(status):
            self._changed.size += status.st_size


def _counts(status: os.stat_result) -> bool:
    """Whether an entry can add to the size: overlay's whiteouts (0/0 devices) stand for removed files."""
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        return False
    return status.st_size > 0


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
