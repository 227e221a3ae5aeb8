"""Kernel watches, by watchdog, on the directories in which objects come and go.

With watches, changes are served sooner; looks find the same changes without them. Each check names the fault of
kernel watches that it detects.
"""

import contextlib
import glob
import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from exporter.core.measured import Tree, root_of
from exporter.schedule.debounce import MOST_ENTRIES

#: One filter for all watches of a directory: of two with different filters, one would get no events.
_FILTER: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
]
#: For databases that are kept open: no file is closed when they are written to.
_FILTER_WRITTEN = [*_FILTER, FileModifiedEvent]
_JOIN_SECONDS = 2.0
_COLLECT_SECONDS = 0.1
_WATCHED_INODE = re.compile(r"^inotify wd:\S+ ino:([0-9a-f]+) ", re.MULTILINE)
_LIMIT = "/proc/sys/fs/inotify/max_user_watches"
_OVERFLOWS = "watchdog.observers.inotify_c"

_Place = tuple[int, int] | None


class Mailbox(FileSystemEventHandler):
    """Collects the paths of events. watchdog's threads only append paths: an exception would end them.

    A busy engine causes hundreds of events a second. So after `take_paths`, nothing is written to `readable` until
    `due`, and the next call gets many paths at once.
    """

    def __init__(self) -> None:
        #: Monotonic clock. Only an event after this time wakes the reader.
        self.due = 0.0
        self._paths: deque[str] = deque(maxlen=2 * MOST_ENTRIES)
        self._lost = 0
        self._events = 0
        self.readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Append the paths of an event."""
        self._events += 1
        for path in (event.src_path, event.dest_path):
            if path:
                self._paths.append(os.fsdecode(path))
        if time.monotonic() >= self.due:
            self.wake()

    def overflow(self) -> None:
        """Note that the kernel's queue overflowed, so that events were lost."""
        self._lost += 1
        self.wake()

    def wake(self) -> None:
        """Make `readable` readable."""
        with contextlib.suppress(OSError):  # the pipe is full, so it is readable
            os.write(self._writable, b".")

    def take_paths(self) -> tuple[list[str], bool, int]:
        """Return the paths, whether they are too many (then some may be lost), and how often the queue overflowed."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.readable, 4096):
                pass
        many = len(self._paths) >= MOST_ENTRIES
        paths = []
        with contextlib.suppress(IndexError):
            while True:
                paths.append(self._paths.popleft())
        if paths:
            self.due = time.monotonic() + _COLLECT_SECONDS
        lost, self._lost = self._lost, 0
        return paths, many, lost

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.readable)
        os.close(self._writable)


class _Overflows(logging.Handler):
    """Detects an overflow of the kernel's queue: watchdog only logs it."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(logging.WARNING)
        self._mailbox = mailbox

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._mailbox.overflow()


class Watcher:
    """The watches of one data root; started and stopped as a whole."""

    def __init__(self) -> None:
        self.mailbox = Mailbox()
        self._observer: BaseObserver | None = None
        self._threads: list[threading.Thread] = []
        self._directories: dict[Tree, _Place] = {}
        self._root = ""
        #: The inodes of the directories that had a kernel watch at the last check.
        self._held: list[int] = []
        #: Whether all directories had one; None before the first check after a start.
        self._whole: bool | None = None
        handler = _Overflows(self.mailbox)
        logging.getLogger("watchdog").propagate = False
        logger = logging.getLogger(_OVERFLOWS)
        logger.handlers = [one for one in logger.handlers if not isinstance(one, _Overflows)] + [handler]

    @property
    def running(self) -> bool:
        """Whether watches were started."""
        return self._observer is not None

    @property
    def held(self) -> int:
        """The number of kernel watches at the last check."""
        return len(self._held)

    @property
    def complete(self) -> bool:
        """Whether the last check found a watch on every directory."""
        return self.running and self._whole is True

    @property
    def deaf(self) -> bool:
        """Whether some directory has no watch, so that changes in it raise no event.

        watchdog's recursive watch silently leaves out a directory beyond the limit, or one that may not be read.
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
        before = set(threading.enumerate())
        observer: BaseObserver | None = None
        try:
            observer = Observer()
            observer.start()
            for tree in ((), *directories):
                path = os.path.join(root, *tree)
                self._directories[tree] = _place(path)
                kinds = _FILTER_WRITTEN if tree in written else _FILTER
                observer.schedule(self.mailbox, path, recursive=tree in deep, event_filter=kinds)
        except (OSError, RuntimeError, MemoryError) as error:  # no descriptor, no thread, no memory
            self._threads = []
            self._directories.clear()
            if observer is not None:
                _stop(observer)
            return (error.strerror if isinstance(error, OSError) else None) or str(error) or "out of memory"
        self._observer = observer
        self._threads = [thread for thread in threading.enumerate() if thread not in before]
        self._held = _held()
        return ""

    def stop(self) -> None:
        """Remove all watches."""
        if self._observer is not None:
            _stop(self._observer)
        self._observer = None
        self._threads = []
        self._directories = {}
        self._held, self._whole = [], None

    def fault(self, directories: Iterable[Tree]) -> str:
        """Why the watches must be restarted, as the label of a metric; "" if these directories are watched.

        The thread of a removed directory ends. A watch on a directory that was replaced, or that something was mounted
        on, stays on the old directory.
        """
        if self.directories != {(), *directories} or any(
            _place(os.path.join(self._root, *tree)) != place for tree, place in self._directories.items()
        ):
            return "directory"
        return "thread" if self.dead() else ""

    def dead(self) -> bool:
        """Whether a thread of watchdog has ended. It is never restarted by itself."""
        return any(not thread.is_alive() for thread in self._threads)

    def check(self, containers: Mapping[Tree, int]) -> bool:
        """Read from /proc which watches the kernel has. Return whether all directories given to `start` have one.

        An unmount removes the watches on that filesystem. `containers`: the directories inside deep ones, with their
        inodes. They need watches as well, unless they have been removed meanwhile.
        """
        self._held = _held()
        inodes = {*self._held}
        own = all(place is None or place[1] in inodes for place in self._directories.values())
        missing = [tree for tree, inode in containers.items() if inode not in inodes]
        places = ((_place(os.path.join(self._root, *tree)), containers[tree]) for tree in missing)
        self._whole = own and not any(place is not None and place[1] == inode for place, inode in places)
        return own

    def tree_of(self, path: str) -> Tree | None:
        """The path of an event relative to its root; None for a root itself and for paths outside of all."""
        for top in (tree for tree in self._directories if tree == root_of(tree)):
            above = os.path.join(self._root, *top).rstrip("/") + "/"
            if path.startswith(above) and path != above:
                return (*top, *path[len(above) :].split("/"))
        return None


def _held() -> list[int]:
    """The inodes of the directories that this process has kernel watches on."""
    inodes: list[int] = []
    for file in glob.glob("/proc/self/fdinfo/*"):
        with contextlib.suppress(OSError), open(file, encoding="ascii") as info:
            inodes += (int(inode, 16) for inode in _WATCHED_INODE.findall(info.read()))
    return inodes


def limit() -> int | None:
    """The maximum number of watches of one user; None if it cannot be read."""
    try:
        with open(_LIMIT, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def _place(path: str) -> _Place:
    """The identity of the directory at a path: inode numbers are unique only together with the device."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _stop(observer: BaseObserver) -> None:
    observer.stop()
    with contextlib.suppress(RuntimeError):  # it was never started
        observer.join(_JOIN_SECONDS)
