"""Kernel watches, by watchdog, on the directories in which objects come and go.

With watches, changes are served sooner; looks find the same changes without them. Each check names the fault of
kernel watches that it detects.
"""

import contextlib
import glob
import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping

from exporter.core.measured import Tree
from exporter.core.proc_file import read_proc
from exporter.schedule.event_reader import EventReader, Mailbox

_JOIN_SECONDS = 2.0
_WATCHED_INODE = re.compile(rb"^inotify wd:\S+ ino:([0-9a-f]+) ", re.MULTILINE)
_LIMIT = "/proc/sys/fs/inotify/max_user_watches"

_Place = tuple[int, int] | None


class Watcher:
    """The watches of one data root; started and stopped as a whole."""

    def __init__(self) -> None:
        self.mailbox = Mailbox()
        self._reader: EventReader | None = None
        self._directories: dict[Tree, _Place] = {}
        self._root = ""
        #: The number of kernel watches at the last check.
        self.held = 0
        #: Stands for what the last check has compared, where it found a watch on every directory.
        self._checked: int | None = None
        #: Whether all directories had one; None before the first check after a start.
        self._whole: bool | None = None

    @property
    def running(self) -> bool:
        """Whether watches were started."""
        return self._reader is not None

    @property
    def complete(self) -> bool:
        """Whether the last check found a watch on every directory."""
        return self.running and self._whole is True

    @property
    def deaf(self) -> bool:
        """Whether some directory has no watch, so that changes in it raise no event.

        In a deep directory, one beyond the limit, or one that may not be read, is left out.
        """
        return not self.running or self._whole is False

    @property
    def directories(self) -> frozenset[Tree]:
        """The watched directories below the root."""
        return frozenset(self._directories)

    def start(
        self, root: str, directories: Iterable[Tree], deep: Collection[Tree] = (), written: Collection[Tree] = ()
    ) -> str:
        """Watch `root` and directories below it. Return why that is not possible, or "".

        The directories inside those that are `deep` are watched as well. In those that are `written`, each write to a
        file is an event.
        """
        self.stop()
        self._root = root
        reader: EventReader | None = None
        try:
            reader = EventReader(self.mailbox)
            for tree in ((), *directories):
                self._directories[tree] = _place(os.path.join(root, *tree))
                reader.watch(root, tree, deep=tree in deep, written=tree in written)
            reader.start()
        except (OSError, RuntimeError, MemoryError) as error:  # no descriptor, no thread, no memory
            self._directories.clear()
            if reader is not None:
                _stop(reader)
            return (error.strerror if isinstance(error, OSError) else None) or str(error) or "out of memory"
        self._reader = reader
        self.held = len(_inodes(_watches()))
        return ""

    def stop(self) -> None:
        """Remove all watches."""
        if self._reader is not None:
            _stop(self._reader)
        self._reader = None
        self._directories = {}
        self.held, self._whole, self._checked = 0, None, None

    def fault(self, directories: Iterable[Tree]) -> str:
        """Why the watches must be restarted, as the label of a metric; "" if these directories are watched.

        A watch on a directory that was replaced, or that something was mounted on, stays on the old directory. That of
        one that was removed is gone, also where another one has its inode number now.
        """
        if self.directories != {(), *directories} or any(
            _place(os.path.join(self._root, *tree)) != place for tree, place in self._directories.items()
        ):
            return "directory"
        if self._reader is not None and not self._reader.is_alive():
            return "thread"
        return "directory" if self.dead() else ""

    def dead(self) -> bool:
        """Whether the events of a directory come no more: its watch is gone, or the thread that reads them has ended.

        The thread is never restarted by itself.
        """
        reader = self._reader
        return reader is not None and (not reader.is_alive() or any(one.gone for one in reader.directories))

    def check(self, containers: Mapping[Tree, int]) -> bool:
        """Read from /proc which watches the kernel has. Return whether all directories given to `start` have one.

        An unmount removes the watches on that filesystem. `containers`: the directories inside deep ones, with their
        inodes. They need watches as well, unless they have been removed meanwhile.
        """
        watches = _watches()
        # Of ten thousand watches the kernel writes a megabyte. That is read, and most often it is the same as before.
        compared = hash((watches, frozenset(containers.items())))
        if compared == self._checked:
            return True
        held = _inodes(watches)
        self.held, inodes = len(held), {*held}
        own = all(place is None or place[1] in inodes for place in self._directories.values())
        missing = [tree for tree, inode in containers.items() if inode not in inodes]
        places = ((_place(os.path.join(self._root, *tree)), containers[tree]) for tree in missing)
        self._whole = own and not any(place is not None and place[1] == inode for place, inode in places)
        self._checked = compared if self._whole else None
        return own


def _watches() -> bytes:
    """What the kernel says of the watches of this process (proc(5), fdinfo)."""
    found: list[bytes] = []
    for file in glob.glob("/proc/self/fdinfo/*"):
        with contextlib.suppress(OSError), open(file, "rb") as info:
            content = info.read()
            if b"inotify" in content:
                found.append(content)
    return b"".join(found)


def _inodes(watches: bytes) -> list[int]:
    """The inodes of the directories that have these watches."""
    return [int(inode, 16) for inode in _WATCHED_INODE.findall(watches)]


def limit() -> int | None:
    """The maximum number of watches of one user; None if it cannot be read."""
    try:
        return int(read_proc(_LIMIT))
    except (OSError, ValueError):
        return None


def _place(path: str) -> _Place:
    """The identity of the directory at a path: inode numbers are unique only together with the device.

    None where there is none, and for what somebody has put in its place: a file has no watch.
    """
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def _stop(reader: EventReader) -> None:
    reader.stop()
    with contextlib.suppress(RuntimeError):  # it was never started
        reader.join(_JOIN_SECONDS)
