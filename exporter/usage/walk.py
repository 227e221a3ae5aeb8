"""One tree to one `Measured`: what `du -x` would say, in one pass, with nothing remembered per file.

A walk can give away directories that it has not entered yet, so that another worker takes them.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from exporter.measured import Identity, Measured, Tree
from exporter.root import DataRoot
from exporter.usage.cursor import Cursor, OnError
from exporter.usage.prune import NOTHING, Prune
from exporter.usage.total import Total

#: In a huge directory, look up from the work this often.
_CHUNK = 4096


def measure(root: DataRoot, tree: Tree, prune: Prune, on_error: OnError) -> Measured:
    """Measure what stands at `tree`, a directory with all below it or a single file, in one go.

    `prune` is relative to `tree`. Raises OSError when `tree` itself cannot be looked at; what fails below
    it goes to `on_error` and is left out.
    """
    total = Total()
    identity = Walk(root, tree, prune, on_error, total).run([()])
    return total.result(identity)


class Walk:
    """Measures one tree, or parts of one, into a `Total`."""

    def __init__(  # noqa: PLR0913 - what a walk is about
        self,
        root: DataRoot,
        tree: Tree,
        prune: Prune,
        on_error: OnError,
        total: Total,
        look_up: Callable[[], None] = lambda: None,
    ) -> None:
        """`look_up` is called again and again during the walk; it may call `give`."""
        self._root = root
        self._tree = tree
        self._prune = prune
        self._on_error = on_error
        self._total = total
        self._look_up = look_up
        self._starts: list[Tree] = []
        self._path: list[str] = []
        self._pending: list[list[str]] = []
        self._device = -1

    def run(self, starts: Sequence[Tree]) -> Identity:
        """Measure what is below each of `starts`, paths below the tree; `()` is the tree itself.

        Returns the identity of the tree. Raises OSError when the tree itself cannot be looked at.
        """
        status = self._root.lstat(self._tree)
        self._device = status.st_dev
        self._starts = list(starts)
        while self._starts:
            start = self._starts.pop()
            try:
                self._below(start, status)
            except OSError as error:
                if not start:
                    raise
                self._not_entered(start, error)
        return status.st_dev, status.st_ino, status.st_ctime_ns

    def give(self, *, everything: bool) -> list[Tree]:
        """Give away work that is not begun: half of what is nearest to the top, or everything."""
        if everything:
            given, self._starts = self._starts, []
            base = len(self._path) - len(self._pending) + 1
            for depth, names in enumerate(self._pending):
                given += [(*self._path[: base + depth], name) for name in names]
                names.clear()
            return given
        if self._starts:
            half = (len(self._starts) + 1) // 2
            given, self._starts = self._starts[:half], self._starts[half:]
            return given
        base = len(self._path) - len(self._pending) + 1
        for depth, names in enumerate(self._pending):
            if names:
                half = (len(names) + 1) // 2
                given = [(*self._path[: base + depth], name) for name in names[:half]]
                del names[:half]
                return given
        return []

    def _below(self, start: Tree, top: os.stat_result) -> None:
        if not start:
            self._total.entries += 1
            if not stat.S_ISDIR(top.st_mode):
                self._count(top)
                return
        cursor = Cursor(self._root.open((*self._tree, *start)))
        try:
            status = os.fstat(cursor.descriptor)
            self._path = list(start)
            self._pending = []
            if self._enters(status):
                self._descend(cursor, self._prune.at(start))
        finally:
            self._pending = []
            cursor.close()

    def _enters(self, status: os.stat_result) -> bool:
        """Count a directory that was opened; say whether it is on the tree's device."""
        if status.st_dev != self._device:
            self._total.skipped_mounts += 1
            return False
        self._total.blocks += status.st_blocks
        self._total.inodes += 1
        return True

    def _descend(self, cursor: Cursor, prune: Prune) -> None:
        prunes, pending, path = [prune], self._pending, self._path
        look_up, enter, visit, device, total = self._look_up, cursor.enter, self._visit, self._device, self._total
        pending.append(visit(cursor.descriptor, prune))
        while pending:
            if not pending[-1]:
                pending.pop()
                prunes.pop()
                if pending and not self._left(cursor):
                    return
                continue
            look_up()
            if not pending[-1]:
                continue  # given away
            name = pending[-1].pop()
            try:
                status = enter(name)
            except OSError as error:
                self._not_entered((*path, name), error)
                continue
            path.append(name)
            inner = prunes[-1].below.get(name, NOTHING)
            prunes.append(inner)
            if status.st_dev == device:
                total.blocks += status.st_blocks
                total.inodes += 1
                pending.append(visit(cursor.descriptor, inner))
            else:
                total.skipped_mounts += 1
                pending.append([])

    def _left(self, cursor: Cursor) -> bool:
        """Go up; where the directory was moved meanwhile, begin again at each that is left, by its path."""
        try:
            cursor.leave()
        except OSError as error:
            self._on_error(error, (*self._tree, *self._path))
            self._path.pop()
            self._starts += self.give(everything=True)
            return False
        self._path.pop()
        return True

    def _not_entered(self, path: Tree, error: OSError) -> None:
        """A directory that may not be opened is there all the same, and counts itself."""
        self._on_error(error, (*self._tree, *path))
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return
        try:
            status = self._root.lstat((*self._tree, *path))
        except OSError:
            return
        self._enters(status)

    def _visit(self, descriptor: int, prune: Prune) -> list[str]:
        """Count what is in one directory; return the names of the directories to enter.

        They are counted when they are entered, so that each is looked at once.
        """
        directories: list[str] = []
        try:
            with os.scandir(descriptor) as listing:
                entries: Iterator[os.DirEntry[str]] = listing
                if prune.below or prune.store:
                    entries = self._unpruned(listing, prune)
                while self._chunk(entries, directories):
                    self._look_up()
        except OSError as error:
            self._on_error(error, (*self._tree, *self._path))
        return directories

    def _unpruned(self, listing: Iterator[os.DirEntry[str]], prune: Prune) -> Iterator[os.DirEntry[str]]:
        """Leave out what is not to be looked at here."""
        for entry in listing:
            below = prune.below.get(entry.name)
            if below is not None and below.leaf:
                self._total.skipped_mounts += below.mount
            elif not prune.store:
                yield entry

    def _chunk(self, listing: Iterator[os.DirEntry[str]], directories: list[str]) -> bool:
        """Count so many entries; say whether there may be more. The hottest loop of the program."""
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
