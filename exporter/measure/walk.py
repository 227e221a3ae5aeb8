"""Measures one tree in one pass, as `du -x` does, and keeps nothing in memory for a file with one link.

A walk can give away directories that it has not entered yet, and files of a huge directory that it has not counted yet,
to another worker.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from exporter.core.data_root import DataRoot
from exporter.core.measured import Identity, Measured, Tree
from exporter.measure.cursor import Cursor, OnError
from exporter.measure.entries import DirectoryEntry, entries_named
from exporter.measure.exclusions import NOTHING, Exclusions
from exporter.measure.total import Total

#: In a large directory, `on_step` is called after so many entries: on a slow disk these may take some seconds.
_CHUNK = 512
#: How many files of a huge directory are given away at once: about 60 ms of work, and half a megabyte of names.
_GIVEN_FILES = 32_768

#: Where a walk begins: at a path below its tree, with everything there, or with only these files of that directory.
Start = tuple[Tree, tuple[str, ...]]
WHOLE: Start = ((), ())


def measure(root: DataRoot, tree: Tree, exclusions: Exclusions, on_error: OnError) -> Measured:
    """Measure `tree`, a directory with everything below it or a single file, without interruption.

    `exclusions` is relative to `tree`. Raises OSError when `tree` itself cannot be read; errors below it go to
    `on_error`, and what they are about is left out.
    """
    total = Total()
    identity = Walk(root, tree, exclusions, on_error, total).run([WHOLE])
    return total.result(identity)


class Walk:
    """Measures one tree, or parts of one, into a `Total`."""

    def __init__(  # noqa: PLR0913 - a walk's inputs
        self,
        root: DataRoot,
        tree: Tree,
        exclusions: Exclusions,
        on_error: OnError,
        total: Total,
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_step` is called between directories, and often in a large one; it may call `give`."""
        self._root = root
        self._tree = tree
        self._exclusions = exclusions
        self._on_error = on_error
        self._total = total
        self._on_step = on_step
        self._starts: list[Start] = []
        self._path: list[str] = []
        #: By level, the names of the directories to enter; the first level is that of `self._path[:self._base]`.
        self._pending: list[list[str]] = []
        self._base = 0
        self._listing: Iterator[os.DirEntry[str]] | None = None
        self._directories: list[str] = []
        self._device = -1

    def run(self, starts: Sequence[Start]) -> Identity:
        """Measure what is at each of `starts`; `WHOLE` is the tree itself.

        Returns the identity of the tree. Raises OSError when the tree itself cannot be read.
        """
        status = self._root.lstat(self._tree)
        self._device = status.st_dev
        self._starts = list(starts)
        while self._starts:
            start, files = self._starts.pop()
            if files:
                self._count_files(start, files)
                continue
            try:
                self._below(start, status)
            except OSError as error:
                if not start:
                    raise
                self._not_entered(start, error)
        return status.st_dev, status.st_ino, status.st_ctime_ns

    def give(self) -> list[Start]:
        """Give away half of the directories that are not begun, those nearest to the top."""
        if self._starts:
            half = (len(self._starts) + 1) // 2
            given, self._starts = self._starts[:half], self._starts[half:]
            return given
        for depth, names in enumerate(self._pending):
            if names:
                half = (len(names) + 1) // 2
                given = self._at(depth, names[:half])
                del names[:half]
                return given
        return self._give_files()

    def give_all(self) -> list[Start]:
        """Give away all directories that are not begun."""
        given, self._starts = self._starts, []
        for depth, names in enumerate(self._pending):
            given += self._at(depth, names)
            names.clear()
        return given

    def _at(self, depth: int, names: list[str]) -> list[Start]:
        above = self._path[: self._base + depth]
        return [((*above, name), ()) for name in names]

    def _give_files(self) -> list[Start]:
        """Give away files of the huge directory that is being counted."""
        names: list[str] = []
        try:
            for entry in islice(self._listing or (), _GIVEN_FILES):
                if entry.is_dir(follow_symlinks=False):
                    self._directories.append(entry.name)
                    self._total.entries += 1
                else:
                    names.append(entry.name)
        except OSError as error:
            self._on_error(error, (*self._tree, *self._path))
        return [(tuple(self._path), tuple(names))] if names else []

    def _count_files(self, start: Tree, files: tuple[str, ...]) -> None:
        """Count some files of one directory. The walk that gave them away counts the directory itself."""
        try:
            with self._root.directory((*self._tree, *start)) as descriptor:
                if os.fstat(descriptor).st_dev != self._device:
                    return  # a filesystem was mounted there meanwhile; the walk that gave the files away counts that
                self._path = list(start)
                given = entries_named(files, descriptor)
                while self._chunk(given, []):
                    self._on_step()
        except OSError as error:
            self._on_error(error, (*self._tree, *start))

    def _below(self, start: Tree, top: os.stat_result) -> None:
        if not start:
            self._total.entries += 1
            if not stat.S_ISDIR(top.st_mode):
                self._count(top)
                return
        cursor = Cursor(self._root.open((*self._tree, *start)))
        try:
            status = os.fstat(cursor.descriptor)
            self._path, self._base = list(start), len(start)
            self._pending = []
            if self._enters(status):
                self._descend(cursor, self._exclusions.at(start))
        finally:
            self._pending = []
            cursor.close()

    def _enters(self, status: os.stat_result) -> bool:
        """Count a directory that was opened; return whether it is on the tree's device."""
        if status.st_dev != self._device:
            self._total.skipped_mounts += 1
            return False
        self._total.blocks += status.st_blocks
        self._total.inodes += 1
        return True

    def _descend(self, cursor: Cursor, exclusions: Exclusions) -> None:
        excluded, pending, path = [exclusions], self._pending, self._path
        on_step, enter, visit, device, total = self._on_step, cursor.enter, self._visit, self._device, self._total
        pending.append(visit(cursor.descriptor, exclusions))
        while pending:
            if not pending[-1]:
                pending.pop()
                excluded.pop()
                if pending and not self._left(cursor):
                    return
                continue
            on_step()
            if not pending[-1]:
                continue  # given away
            name = pending[-1].pop()
            try:
                status = enter(name)
            except OSError as error:
                self._not_entered((*path, name), error)
                continue
            path.append(name)
            inner = excluded[-1].below.get(name, NOTHING)
            excluded.append(inner)
            if status.st_dev == device:
                total.blocks += status.st_blocks
                total.inodes += 1
                pending.append(visit(cursor.descriptor, inner))
            else:
                total.skipped_mounts += 1
                pending.append([])

    def _left(self, cursor: Cursor) -> bool:
        """Go up. Where the directory was moved meanwhile, go on at the path of each directory that is not begun."""
        try:
            cursor.leave()
        except OSError as error:
            self._on_error(error, (*self._tree, *self._path))
            self._path.pop()
            self._starts = self.give_all()
            return False
        self._path.pop()
        return True

    def _not_entered(self, path: Tree, error: OSError) -> None:
        """Count a directory that may not be opened: its own blocks and inode are known."""
        self._on_error(error, (*self._tree, *path))
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return
        try:
            status = self._root.lstat((*self._tree, *path))
        except OSError:
            return
        self._enters(status)

    def _visit(self, descriptor: int, exclusions: Exclusions) -> list[str]:
        """Count what is in one directory; return the names of the directories to enter.

        Those are counted when they are entered, so that each is read once.
        """
        directories: list[str] = []
        try:
            with os.scandir(descriptor) as listing:
                entries: Iterator[os.DirEntry[str]] = listing
                if exclusions.below or exclusions.store:
                    entries = self._included(listing, exclusions)
                while self._chunk(entries, directories):
                    self._listing, self._directories = entries, directories
                    self._on_step()
        except OSError as error:
            self._on_error(error, (*self._tree, *self._path))
        self._listing = None
        return directories

    def _included(self, listing: Iterator[os.DirEntry[str]], exclusions: Exclusions) -> Iterator[os.DirEntry[str]]:
        """Leave out the entries that are excluded here."""
        for entry in listing:
            below = exclusions.below.get(entry.name)
            if below is not None and below.leaf:
                self._total.skipped_mounts += below.mount
            elif not exclusions.store:
                yield entry

    def _chunk(self, listing: Iterator[DirectoryEntry], directories: list[str]) -> bool:
        """Count up to `_CHUNK` entries; return whether there may be more. The hottest loop of the program."""
        total, device = self._total, self._device
        size = blocks = inodes = others = 0
        known = len(directories)
        for entry in islice(listing, _CHUNK):
            try:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.name)
                    continue
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                self._on_error(error, (*self._tree, *self._path, entry.name))
                others += 1
                continue
            if status.st_dev == device and (status.st_nlink == 1 or total.first_link(status)):
                size += status.st_size
                blocks += status.st_blocks
                inodes += 1
            else:
                total.skipped_mounts += status.st_dev != device
                others += 1
        total.size += size
        total.blocks += blocks
        total.inodes += inodes
        entries = inodes + others + len(directories) - known
        total.entries += entries
        return entries >= _CHUNK

    def _count(self, status: os.stat_result) -> None:
        """Count a tree that is a single file."""
        total = self._total
        if status.st_nlink > 1:
            total.first_link(status)
        total.size += status.st_size
        total.blocks += status.st_blocks
        total.inodes += 1
