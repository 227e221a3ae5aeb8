"""Measures one tree in one pass, as `du -x` does, and keeps nothing in memory for a file with one link.

A walk can give away directories that it has not entered yet, and files of a huge directory that it has not counted yet,
to another worker. Who takes a part opens its path from the top, so parts far down are not given away.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from exporter.core.data_root import DataRoot
from exporter.core.measured import Identity, Measured, Tree
from exporter.measure.cursor import Cursor, OnError
from exporter.measure.entries import DirectoryEntry, Listing, entries_named
from exporter.measure.exclusions import NOTHING, Exclusions
from exporter.measure.path import Path
from exporter.measure.plausible import MOST_BLOCKS, impossible, is_possible
from exporter.measure.start import WHOLE, Level, Start
from exporter.measure.total import Total

#: In a large directory, `on_step` is called after so many entries: on a slow disk these may take some seconds.
_CHUNK = 512
#: How many files of a huge directory are given away at once: about 60 ms of work ...
_GIVEN_FILES = 32_768
#: ... and at most so many characters of their names; the same for directories.
_GIVEN_CHARACTERS = 1 << 19
#: When so many directories of one directory are known, they are entered before its listing is read on ...
_MOST_NAMES = 8192
#: ... unless the listings of so many directories on the path are open.
_MOST_LISTINGS = 16
#: Only what is so near to the top is given away: opening it costs little, compared with the 20 ms after which it is.
_GIVEN_DEPTH = 64
#: So often in one walk a directory may be moved away while it is walked. After that, the rest is given up.
_MOST_MOVES = 16


def measure(root: DataRoot, tree: Tree, exclusions: Exclusions, on_error: OnError) -> Measured:
    """Measure `tree`, a directory with everything below it or a single file, without interruption.

    `exclusions` is relative to `tree`. Raises OSError when `tree` itself cannot be read; errors below it go to
    `on_error`, and what they are about is left out.
    """
    total = Total()
    identity = Walk(root, tree, exclusions, on_error, total).run([WHOLE])
    return total.result(identity)


class Pending:
    """The directories to enter at one level of the path, and what to leave out below them.

    `more`: the rest of a long listing, which is read when these are done.
    """

    __slots__ = ("depth", "exclusions", "more", "names")

    def __init__(self, depth: int, names: list[str], exclusions: Exclusions, more: "Listing | None" = None) -> None:
        self.depth = depth
        self.names = names
        self.exclusions = exclusions
        self.more = more


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
        self._path = Path()
        #: Downwards; only levels with directories to enter.
        self._levels: list[Pending] = []
        self._listing: Iterator[os.DirEntry[str]] | None = None
        self._directories: list[str] = []
        self._unread: Listing | None = None
        self._device = -1
        self._moves = 0

    @property
    def device(self) -> int:
        """The st_dev of the tree, once it was opened."""
        return self._device

    def run(self, starts: Sequence[Start]) -> Identity:
        """Measure what is at each of `starts`; `WHOLE` is the tree itself.

        Returns the identity of the tree. Raises OSError when the tree itself cannot be read.
        """
        self._starts = [one for one in starts if one != WHOLE]
        status = self._parts() if self._starts else self._whole()
        while self._starts:
            start = self._starts.pop()
            if start.files:
                self._count_files(start)
            else:
                self._from(Cursor(self._root.open(self._tree)), start)
        return status.st_dev, status.st_ino, status.st_ctime_ns

    def _new_path(self) -> Path:
        """The path at the top of the tree, where the walk begins, once more for each part."""
        return Path()

    def _parts(self) -> os.stat_result:
        """Make ready for parts of a tree that another walk has begun; return the status of the tree."""
        status = self._root.lstat(self._tree)
        self._device = status.st_dev
        return status

    def _whole(self) -> os.stat_result:
        """Count the tree with all that is in it, unless that is given away; return its status."""
        try:
            cursor = Cursor(self._root.open(self._tree))
        except NotADirectoryError:
            status = self._root.lstat(self._tree)
            if stat.S_ISDIR(status.st_mode):
                raise
            self._count_alone(status)
            return status
        self._device = cursor.top.st_dev
        self._from(cursor, WHOLE)
        return cursor.top

    # -- parts for others --------------------------------------------------------------------------------------------

    def give(self) -> list[Start]:
        """Give away half of the directories that are not begun, of those nearest to the top, if that is worth it."""
        if self._starts:
            half = (len(self._starts) + 1) // 2
            given, self._starts = self._starts[:half], self._starts[half:]
            return given
        level = next((one for one in self._levels if one.names), None)
        # Further down, as many directories as the path has: whoever opens that has more to do than to open it.
        if level is not None and level.depth <= max(_GIVEN_DEPTH, len(level.names) // 2):
            alone = self._listing is None and len(self._levels) == 1 and len(level.names) == 1 and not level.more
            return [] if alone else [self._half_of(level)]  # the one who gave its only directory would have no work
        return self._give_files() if len(self._path) <= _GIVEN_DEPTH else []

    def _half_of(self, level: Pending) -> Start:
        given: list[str] = []
        left = _GIVEN_CHARACTERS
        for name in level.names[: (len(level.names) + 1) // 2]:
            given.append(name)
            left -= len(name)
            if left <= 0:
                break
        del level.names[: len(given)]
        return Start(self._path.names(level.depth), (Level(level.depth, tuple(given)),))

    def give_all(self) -> list[Start]:
        """Give away all directories that are not begun."""
        given, self._starts = self._starts, []
        return [*given, *self._rest()]

    def _rest(self) -> list[Start]:
        """Take all that is known of and not begun; one start has it all."""
        levels = tuple(Level(one.depth, tuple(one.names)) for one in self._levels if one.names)
        for one in self._levels:
            one.names.clear()
        return [Start(self._path.names(levels[-1].depth), levels)] if levels else []

    def _give_files(self) -> list[Start]:
        """Give away files of the huge directory that is being counted."""
        names: list[str] = []
        left = _GIVEN_CHARACTERS
        try:
            for entry in islice(self._listing or (), _GIVEN_FILES):
                if entry.is_dir(follow_symlinks=False):
                    self._directories.append(entry.name)
                    self._total.entries += 1
                    continue
                names.append(entry.name)
                left -= len(entry.name)
                if left <= 0:
                    break
        except OSError as error:
            self._report(error)
        return [Start(self._path.names(len(self._path)), (), tuple(names))] if names else []

    # -- parts from others -------------------------------------------------------------------------------------------

    def _count_files(self, start: Start) -> None:
        """Count some files of one directory. The walk that gave them away counts the directory itself."""
        self._path = self._new_path()
        for name in start.path:
            self._path.push(name)
        try:
            with self._root.directory((*self._tree, *start.path)) as descriptor:
                if os.fstat(descriptor).st_dev != self._device:
                    return  # a filesystem was mounted there meanwhile; the walk that gave the files away counts that
                given = entries_named(start.files, descriptor)
                while self._chunk(given, []):
                    self._on_step()
        except OSError as error:
            self._report(error)

    def _from(self, cursor: Cursor, start: Start) -> None:
        """Count what is at a start; the cursor stands at the top of the tree, and is closed."""
        try:
            if start is WHOLE:
                self._begin(cursor)
            else:
                self._path = self._new_path()
                self._go_down(cursor, start)
            if self._levels:
                self._descend(cursor)
        finally:
            for level in self._levels:
                if level.more:
                    level.more.whole.close()
            self._levels = []
            cursor.close()

    def _begin(self, cursor: Cursor) -> None:
        """Count the top of the tree."""
        self._total.entries += 1
        self._count_directory(cursor.top)
        if names := self._visit(cursor.descriptor, self._exclusions):
            self._levels.append(Pending(0, names, self._exclusions, self._unread))

    def _go_down(self, cursor: Cursor, start: Start) -> None:
        """Go to where a part begins, as far as that is still there."""
        exclusions, levels = self._exclusions, iter(start.levels)
        level = next(levels, None)
        for name in (*start.path, None):
            while level is not None and level.depth == len(self._path):
                self._levels.append(Pending(level.depth, [*level.names], exclusions))
                level = next(levels, None)
            if name is None or level is None:
                return
            try:
                status = cursor.enter(name)
            except OSError as error:
                self._report(error, name)
                return
            self._path.push(name)
            if status.st_dev != self._device:
                return  # a filesystem was mounted there meanwhile; the walk that gave this away counts that
            exclusions = exclusions.below.get(name, NOTHING)

    # -- the walk ----------------------------------------------------------------------------------------------------

    def _descend(self, cursor: Cursor) -> None:
        levels, path, total, device = self._levels, self._path, self._total, self._device
        on_step, visit, enter, leave = self._on_step, self._visit, cursor.enter, cursor.leave
        push, pop, depth = path.push, path.pop, len(path)
        while levels:
            level = levels[-1]
            if not level.names and not level.more:
                levels.pop()
                continue
            try:
                while depth > level.depth:
                    leave()
                    pop()
                    depth -= 1
            except OSError as error:
                self._moved(error)
                return
            on_step()
            if not level.names:  # given away, or at the end of a part of a long listing
                self._read_on(level)
                continue
            name = level.names.pop()
            try:
                status = enter(name)
            except OSError as error:
                self._not_entered(cursor, name, error)
                continue
            if not level.names and not level.more:
                levels.pop()  # a chain of directories needs no room for each
            push(name)
            depth += 1
            if status.st_dev == device:
                self._count_directory(status)
                inner = level.exclusions.below.get(name, NOTHING)
                if names := visit(cursor.descriptor, inner):
                    levels.append(Pending(depth, names, inner, self._unread))
            else:
                total.skipped_mounts += 1

    def _moved(self, error: OSError) -> None:
        """Note that a directory was moved while it was walked: begin again at the path of what is left."""
        self._report(error)
        for level in self._levels:
            while level.more:
                self._read_on(level)
        self._moves += 1
        if self._moves <= _MOST_MOVES:
            self._starts += self._rest()
        else:
            self._report(OSError(errno.EBUSY, "directories are moved while they are walked, again and again"))

    def _report(self, error: OSError, *more: str) -> None:
        """Tell of an error at the path, or at a name below it."""
        self._on_error(error, (*self._tree, *self._path.shown(*more)))

    def _not_entered(self, cursor: Cursor, name: str, error: OSError) -> None:
        """Count a directory that may not be opened: its own blocks and inode are known."""
        self._report(error, name)
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return
        try:
            status = os.stat(name, dir_fd=cursor.descriptor, follow_symlinks=False)
        except OSError:
            return
        if status.st_dev != self._device:
            self._total.skipped_mounts += 1
            return
        self._count_directory(status, name)

    def _count_directory(self, status: os.stat_result, *names: str) -> None:
        """Count a directory itself: the one at the path, or one in it."""
        if not is_possible(status):
            self._report(impossible(), *names)
            return
        self._total.blocks += status.st_blocks
        self._total.inodes += 1

    def _visit(self, descriptor: int, exclusions: Exclusions) -> list[str]:
        """Count what is in one directory; return the names of the directories to enter.

        Those are counted when they are entered, so that each is read once.
        """
        directories: list[str] = []
        self._unread = None
        try:
            listing = os.scandir(descriptor)
            if exclusions.store and not any(one.mount for one in exclusions.below.values()):
                # All of its entries are trees of their own, and none is to be counted as a mount: it only has to be
                # readable.
                with listing:
                    next(listing, None)
                return directories
        except OSError as error:
            self._report(error)
            return directories
        entries = self._included(listing, exclusions) if exclusions.below or exclusions.store else listing
        self._unread = self._read(Listing(listing, entries), directories)
        return directories

    def _read_on(self, level: Pending) -> None:
        if level.more:
            level.more = self._read(level.more, level.names)

    def _read(self, listing: Listing, directories: list[str]) -> Listing | None:
        """Read a listing to its end, or until there are many directories: then it is returned, to be read on later."""
        more = False
        try:
            while self._chunk(listing.entries, directories):
                self._listing, self._directories = listing.entries, directories
                self._on_step()
                if len(directories) >= _MOST_NAMES and sum(bool(one.more) for one in self._levels) < _MOST_LISTINGS:
                    more = True
                    return listing
        except OSError as error:
            self._report(error)
        finally:
            self._listing = None
            if not more:
                listing.whole.close()
        return None

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
                self._report(error, entry.name)
                others += 1
                continue
            count = status.st_blocks
            if not 0 <= count < MOST_BLOCKS or status.st_size < 0:
                self._report(impossible(), entry.name)
                others += 1
            elif status.st_dev == device and (status.st_nlink == 1 or total.first_link(status)):
                size += status.st_size
                blocks += count
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

    def _count_alone(self, status: os.stat_result) -> None:
        """Count a tree that is a single file."""
        total = self._total
        total.entries += 1
        if not is_possible(status):
            raise impossible()
        if status.st_nlink > 1:
            total.first_link(status)
        total.size += status.st_size
        total.blocks += status.st_blocks
        total.inodes += 1
