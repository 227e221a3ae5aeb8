"""Kernel watches, by watchdog, on the directories in which objects come and go.

They make the figures fresh sooner; looks find the same changes without them. Each check says which fault of kernel
watches it is for.
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
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from exporter.core.measured import Tree
from exporter.schedule.debounce import MOST_ENTRIES

#: One filter for all: two watches of one directory with different ones leave one of them deaf.
_FILTER: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
]
_JOIN_SECONDS = 2.0
_COLLECT_SECONDS = 0.1
_WATCHED_INODE = re.compile(r"^inotify wd:\S+ ino:([0-9a-f]+) ", re.MULTILINE)
_LIMIT = "/proc/sys/fs/inotify/max_user_watches"
_OVERFLOWS = "watchdog.observers.inotify_c"

_Place = tuple[int, int] | None


class Mailbox(FileSystemEventHandler):
    """Collects the paths of events. watchdog's threads only add to it: an exception would end them.

    A busy engine raises hundreds of events a second. After `take_paths`, `readable` is not written to until `due`, so
    that the caller takes many at once.
    """

    def __init__(self) -> None:
        #: On a monotonic clock; what comes later wakes.
        self.due = 0.0
        self._paths: deque[str] = deque(maxlen=2 * MOST_ENTRIES)
        self._lost = 0
        self._events = 0
        self.readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note the paths that an event names."""
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
        """Wake who waits for `readable`."""
        with contextlib.suppress(OSError):  # full: it will wake anyway
            os.write(self._writable, b".")

    def take_paths(self) -> tuple[list[str], bool, int]:
        """Return the paths, whether there may have been more than these, and the number of overflows."""
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
    """watchdog tells of a queue overflow in its log alone."""

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
        #: The inodes of the directories that had a watch in the kernel when that was looked at last.
        self._held: list[int] = []
        #: Whether that was all of them; None as long as nobody has looked since the start.
        self._whole: bool | None = None
        handler = _Overflows(self.mailbox)
        logging.getLogger("watchdog").propagate = False
        logger = logging.getLogger(_OVERFLOWS)
        logger.handlers = [one for one in logger.handlers if not isinstance(one, _Overflows)] + [handler]

    @property
    def running(self) -> bool:
        """Whether there are watches at all."""
        return self._observer is not None

    @property
    def held(self) -> int:
        """How many watches there are in the kernel."""
        return len(self._held)

    @property
    def complete(self) -> bool:
        """Whether all that is to be watched is known to be."""
        return self.running and self._whole is True

    @property
    def deaf(self) -> bool:
        """Whether there is something without a watch, so that not every change raises an event.

        A recursive watch that meets the limit, or a directory that may not be read, is silently not watched.
        """
        return not self.running or self._whole is False

    @property
    def directories(self) -> frozenset[Tree]:
        """The watched directories below the root."""
        return frozenset(self._directories)

    def start(self, root: str, directories: Iterable[Tree], deep: Collection[Tree] = ()) -> str:
        """Watch directories below `root`, and that itself; return why that is not possible, or "".

        Of those that are `deep`, the directories in them are watched, too.
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
                observer.schedule(self.mailbox, path, recursive=tree in deep, event_filter=_FILTER)
        except OSError as error:
            self._threads = []
            self._directories.clear()
            if observer is not None:
                _stop(observer)
            return error.strerror or str(error)
        self._observer = observer
        self._threads = [thread for thread in threading.enumerate() if thread not in before]
        self._held = _held()
        return ""

    def stop(self) -> None:
        """Take all watches away."""
        if self._observer is not None:
            _stop(self._observer)
        self._observer = None
        self._threads = []
        self._directories = {}
        self._held, self._whole = [], None

    def fault(self, directories: Iterable[Tree]) -> str:
        """Why the watches are to be made anew, as a reason to count; "" where these directories are watched.

        A directory that is removed ends its thread; one that was replaced or mounted over is watched where it was.
        """
        if self.directories != {(), *directories} or any(
            _place(os.path.join(self._root, *tree)) != place for tree, place in self._directories.items()
        ):
            return "directory"
        return "thread" if self.dead() else ""

    def dead(self) -> bool:
        """Whether a thread of watchdog's has ended, which it does for good."""
        return any(not thread.is_alive() for thread in self._threads)

    def check(self, containers: Mapping[Tree, int]) -> bool:
        """Ask the kernel which watches there are; return whether the directories themselves have theirs.

        An unmount takes them away, and brings none back. `containers` are the inodes of the directories of
        containers, which are watched with theirs; one that is removed by now is not missed.
        """
        self._held = _held()
        inodes = {*self._held}
        own = all(place is None or place[1] in inodes for place in self._directories.values())
        missing = [tree for tree, inode in containers.items() if inode not in inodes]
        places = ((_place(os.path.join(self._root, *tree)), containers[tree]) for tree in missing)
        self._whole = own and not any(place is not None and place[1] == inode for place, inode in places)
        return own

    def tree_of(self, path: str) -> Tree | None:
        """The path of an event below the root; None for the root itself, and what is not below it."""
        above = self._root.rstrip("/") + "/"
        return tuple(path[len(above) :].split("/")) if path.startswith(above) and path != above else None


def _held() -> list[int]:
    """The inodes of the directories that this process has kernel watches on."""
    inodes: list[int] = []
    for file in glob.glob("/proc/self/fdinfo/*"):
        with contextlib.suppress(OSError), open(file, encoding="ascii") as info:
            inodes += (int(inode, 16) for inode in _WATCHED_INODE.findall(info.read()))
    return inodes


def limit() -> int | None:
    """How many watches one user may have."""
    try:
        with open(_LIMIT, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def _place(path: str) -> _Place:
    """Which directory stands at a path: device and inode, as another disk may have the same inode number."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _stop(observer: BaseObserver) -> None:
    observer.stop()
    with contextlib.suppress(RuntimeError):  # it was never started
        observer.join(_JOIN_SECONDS)
