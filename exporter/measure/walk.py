"""One tree to one `Measured`: what `du -x` would say, in one pass, with nothing remembered per file.

A walk can give away directories that it has not entered yet, and files of a huge one that it has not looked at,
so that another worker takes them.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from exporter.core.data_root import DataRoot
from exporter.core.measured import Identity, Measured, Tree
from exporter.measure.cursor import Cursor, OnError
from exporter.measure.exclusions import NOTHING, Exclusions
from exporter.measure.total import Total

#: In a large directory, look up from the work this often: on a slow disk that may be some seconds.
_CHUNK = 512
#: So many files of a huge directory are given away at once: some 60 ms of work, and half a megabyte of names.
_HANDFUL = 32_768

#: Where a walk begins: at a path below its tree with all that is there, or with only these files of that directory.
Start = tuple[Tree, tuple[str, ...]]
WHOLE: Start = ((), ())


def measure(root: DataRoot, tree: Tree, prune: Exclusions, on_error: OnError) -> Measured:
    """Measure what stands at `tree`, a directory with all below it or a single file, in one go.

    `prune` is relative to `tree`. Raises OSError when `tree` itself cannot be looked at; what fails below
    it goes to `on_error` and is left out.
    """
    total = Total()
    identity = Walk(root, tree, prune, on_error, total).run([WHOLE])
    return total.result(identity)


class Walk:
    """Measures one tree, or parts of one, into a `Total`."""

    def __init__(  # noqa: PLR0913 - what a walk is about
        self,
        root: DataRoot,
        tree: Tree,
        prune: Exclusions,
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

        Returns the identity of the tree. Raises OSError when the tree itself cannot be looked at.
        """
        status = self._root.lstat(self._tree)
        self._device = status.st_dev
        self._starts = list(starts)
        while self._starts:
            start, files = self._starts.pop()
            if files:
                self._some(start, files)
                continue
            try:
                self._below(start, status)
            except OSError as error:
                if not start:
                    raise
                self._not_entered(start, error)
        return status.st_dev, status.st_ino, status.st_ctime_ns

    def give(self) -> list[Start]:
        """Give away half of what is not begun, of what is nearest to the top."""
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
        """Give away files of the huge directory that is being looked at."""
        names: list[str] = []
        try:
            for entry in islice(self._listing or (), _HANDFUL):
                if entry.is_dir(follow_symlinks=False):
                    self._directories.append(entry.name)
                    self._total.entries += 1
                else:
                    names.append(entry.name)
        except OSError as error:
            self._on_error(error, (*self._tree, *self._path))
        return [(tuple(self._path), tuple(names))] if names else []

    def _some(self, start: Tree, files: tuple[str, ...]) -> None:
        """Count some files of one directory; the directory itself is counted by who gave them away."""
        try:
            with self._root.directory((*self._tree, *start)) as descriptor:
                if os.fstat(descriptor).st_dev != self._device:
                    return  # something was mounted there meanwhile, and is counted there
                self._path = list(start)
                given = iter([_Given(name, descriptor) for name in files])
                while self._chunk(given, []):
                    self._look_up()
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

    def _descend(self, cursor: Cursor, prune: Exclusions) -> None:
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
            self._starts = self.give_all()
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

    def _visit(self, descriptor: int, prune: Exclusions) -> list[str]:
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
                    self._listing, self._directories = entries, directories
                    self._look_up()
        except OSError as error:
            self._on_error(error, (*self._tree, *self._path))
        self._listing = None
        return directories

    def _unpruned(self, listing: Iterator[os.DirEntry[str]], prune: Exclusions) -> Iterator[os.DirEntry[str]]:
        """Leave out what is not to be looked at here."""
        for entry in listing:
            below = prune.below.get(entry.name)
            if below is not None and below.leaf:
                self._total.skipped_mounts += below.mount
            elif not prune.store:
                yield entry

    def _chunk(self, listing: "Iterator[_Entry]", directories: list[str]) -> bool:
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


class _Entry(Protocol):
    """What is counted: what `os.scandir` yields, or a file that was given away."""

    @property
    def name(self) -> str: ...

    def is_dir(self, *, follow_symlinks: bool = True) -> bool: ...

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result: ...


class _Given:
    """A file that was given away, looked at as an entry of a listing is."""

    __slots__ = ("_parent", "name")

    def __init__(self, name: str, parent: int) -> None:
        self.name = name
        self._parent = parent

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002 - as that of os.DirEntry
        """It was none when it was listed."""
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Look at it; raises OSError."""
        status = os.stat(self.name, dir_fd=self._parent, follow_symlinks=follow_symlinks)
        if stat.S_ISDIR(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "a directory took its place")
        return status
