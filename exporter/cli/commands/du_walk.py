"""Measures a tree as `measure.walk` does, and keeps the sums of its directories down to a depth.

Of each directory that is kept, its largest files are kept as well. All else is in sums, so that memory does not grow
with the number of files.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from heapq import heappush, heappushpop
from itertools import count

from msgspec import Struct

from exporter.cli.commands import du_entries
from exporter.cli.commands.du_entries import DiskEntry, Whiteouts, deleted_name, is_opaque, kind_of
from exporter.cli.commands.du_inodes import Seen
from exporter.core.data_root import DataRoot, reason_of
from exporter.core.measured import Reason, Tree
from exporter.measure.entries import DirectoryEntry
from exporter.measure.exclusions import Exclusions
from exporter.measure.path import Path
from exporter.measure.plausible import is_possible
from exporter.measure.start import WHOLE
from exporter.measure.total import Total
from exporter.measure.walk import Pending, Walk

#: So many errors are named.
_MOST_PROBLEMS = 20


class _Total(Total):
    """Running sums that are right at any time: the inodes with several links are all looked up."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self._seen = seen

    def first_link(self, status: os.stat_result) -> bool:
        """Note one link of an inode with several; say whether to count it."""
        return self._seen.of(status.st_dev).add(status.st_ino)

    def counted(self, status: os.stat_result) -> bool:
        """Whether an inode was counted already."""
        return status.st_nlink > 1 and status.st_ino in self._seen.of(status.st_dev)


class _Path(Path):
    """A path that tells where directories begin and end, as far up as they are kept."""

    def __init__(self, depth: int, on_enter: Callable[[str], None], on_leave: Callable[[], None]) -> None:
        super().__init__()
        self._depth, self._on_enter, self._on_leave = depth, on_enter, on_leave

    def push(self, name: str) -> None:
        """Go down."""
        super().push(name)
        if len(self) <= self._depth:
            self._on_enter(name)

    def pop(self) -> None:
        """Go up."""
        if len(self) <= self._depth:
            self._on_leave()
        super().pop()


class _Frame(Struct):
    """A directory that is kept and being measured, and the sums when it began."""

    entry: DiskEntry
    before: tuple[int, int, int, int]


class DirectoryWalk(Walk):
    """Measures one tree. `top` has the sums; `problems` are the first errors, `failed` is how many there were."""

    def __init__(  # noqa: PLR0913 - a walk's inputs
        self,
        root: DataRoot,
        tree: Tree,
        *,
        depth: int,
        files: int,
        whiteouts: Whiteouts = Whiteouts.NONE,
        seen: Seen | None = None,
    ) -> None:
        """Keep directories down to `depth`, and the largest `files` of each of those that are shown from inside."""
        self._sums = _Total(seen or Seen())
        super().__init__(root, tree, _mounts_below(root, tree), lambda *_: None, self._sums, self._step)
        self.top = DiskEntry(tree[-1] if tree else ".")
        self.problems: list[tuple[Reason, Tree, str]] = []
        self.failed = 0
        #: Called between directories, and often in a large one.
        self.on_step: Callable[[], None] = lambda: None
        self._depth, self._files, self._whiteouts = depth, files, whiteouts
        self._deleted = 0
        self._number = count()
        self._frames = [_Frame(self.top, self._now())]
        self._path = self._new_path()

    def measure(self) -> DiskEntry:
        """Measure the tree. Raises OSError when the tree itself cannot be read."""
        self.run([WHOLE])
        self._unwind(0)
        top, (size, blocks, inodes, deleted) = self.top, self._now()
        top.size, top.allocated, top.inodes, top.deleted = size, blocks * 512, inodes, deleted
        return top

    @property
    def entries(self) -> int:
        """How many entries were looked at until now."""
        return self._sums.entries

    @property
    def skipped_mounts(self) -> int:
        """How many mounts were not entered."""
        return self._sums.skipped_mounts

    def _step(self) -> None:
        self.on_step()

    # -- directories -------------------------------------------------------------------------------------------------

    def _new_path(self) -> Path:
        self._unwind(0)
        return _Path(self._depth, self._enter, self._leave)

    def _now(self) -> tuple[int, int, int, int]:
        sums = self._sums
        return sums.size, sums.blocks, sums.inodes, self._deleted

    def _enter(self, name: str) -> None:
        parent = self._frames[-1].entry
        entry = parent.directories.get(name) or parent.directories.setdefault(name, DiskEntry(name))
        self._frames.append(_Frame(entry, self._now()))

    def _leave(self) -> None:
        frame, parent = self._frames.pop(), self._frames[-1].entry
        entry = frame.entry
        size, blocks, inodes, deleted = (now - before for now, before in zip(self._now(), frame.before, strict=True))
        entry.size += size
        entry.allocated += blocks * 512
        entry.inodes += inodes
        entry.deleted += deleted
        parent.whole = parent.whole and entry.whole
        if not entry.inodes and entry.whole:  # a mount, or gone before it was counted
            parent.directories.pop(entry.name, None)
        elif len(parent.directories) > 2 * du_entries.MOST_DIRECTORIES:
            parent.drop_small()

    def _unwind(self, depth: int) -> None:
        """End the directories that are deeper than `depth`."""
        while len(self._frames) > depth + 1:
            self._leave()

    def _read_on(self, level: Pending) -> None:
        self._unwind(min(self._depth, level.depth))
        super()._read_on(level)

    def _visit(self, descriptor: int, exclusions: Exclusions) -> list[str]:
        if self._whiteouts and len(self._path) <= self._depth:
            self._frames[-1].entry.opaque |= is_opaque(descriptor)
        return super()._visit(descriptor, exclusions)

    def _count_directory(self, status: os.stat_result, *names: str) -> None:
        super()._count_directory(status, *names)
        if names and len(self._path) < self._depth and is_possible(status):  # one that may not be opened
            own = DiskEntry(names[-1], "directory", 0, status.st_blocks * 512, 1, whole=False)
            self._frames[-1].entry.directories[names[-1]] = own

    def _report(self, error: OSError, *more: str) -> None:
        """Note an error. What has vanished, or was replaced by something else meanwhile, is none."""
        reason = reason_of(error)
        if reason in (Reason.VANISHED, Reason.NOT_REGULAR):
            return
        self._frames[-1].entry.whole = False
        self.failed += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append((reason, self._path.shown(*more), error.strerror or ""))

    # -- files -------------------------------------------------------------------------------------------------------

    def _chunk(self, listing: Iterator[DirectoryEntry], directories: list[str]) -> bool:
        if self._whiteouts or len(self._path) < self._depth:
            listing = self._noted(listing)
        return super()._chunk(listing, directories)

    def _noted(self, listing: Iterator[DirectoryEntry]) -> Iterator[DirectoryEntry]:
        """The same entries, each noted before it is counted. `os.DirEntry` remembers what it was asked."""
        inside = self._frames[-1].entry if len(self._path) < self._depth else None
        for entry in listing:
            with suppress(OSError):  # the walk says so
                if not entry.is_dir(follow_symlinks=False):
                    self._note(inside, entry.name, entry.stat(follow_symlinks=False))
            yield entry

    def _count_alone(self, status: os.stat_result) -> None:
        super()._count_alone(status)
        self.top.kind = kind_of(status.st_mode)

    def _note(self, inside: DiskEntry | None, name: str, status: os.stat_result) -> None:
        if self._whiteouts and (gone := deleted_name(self._whiteouts, name, status)) is not None:
            self._note_deleted(inside, gone)
        elif inside is not None and status.st_dev == self.device and is_possible(status):
            self._keep(inside, name, status)

    def _note_deleted(self, inside: DiskEntry | None, name: str) -> None:
        if not name:
            if inside is not None:
                inside.opaque = True
            return
        self._deleted += 1
        if inside is not None and len(inside.gone) < self._files:
            inside.gone.append(name)

    def _keep(self, inside: DiskEntry, name: str, status: os.stat_result) -> None:
        """Keep a file, if it is among the largest of its directory."""
        if self._sums.counted(status):
            one = DiskEntry(name, kind_of(status.st_mode))
        else:
            one = DiskEntry(name, kind_of(status.st_mode), status.st_size, status.st_blocks * 512, 1)
        row = one.allocated, one.size, next(self._number), one
        if len(inside.files) < self._files:
            heappush(inside.files, row)
            return
        *_, least = heappushpop(inside.files, row) if self._files else row
        inside.more_files.add(least.size, least.allocated, least.inodes)


def _mounts_below(root: DataRoot, tree: Tree) -> Exclusions:
    """What is mounted below a tree, also of the same filesystem: it belongs to somebody else."""
    found = Exclusions()
    for mount in root.mounts:
        if len(mount) > len(tree) and mount[: len(tree)] == tree:
            found.add(mount[len(tree) :], mount=True)
    return found
