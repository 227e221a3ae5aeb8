"""watchdog on the directories in which objects come and go; it only makes things fast, never right.

What can go wrong with kernel watches, and what is done about it, is told at each check.
"""

import contextlib
import glob
import logging
import os
import re
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

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

from exporter.log import Logger
from exporter.measured import Tree
from exporter.watch.debounce import MOST_ENTRIES

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
_WATCHED_INODE = re.compile(r"^inotify wd:\S+ ino:([0-9a-f]+) ", re.MULTILINE)
_LIMIT = "/proc/sys/fs/inotify/max_user_watches"
_OVERFLOWS = "watchdog.observers.inotify_c"

_log = Logger()


class Mailbox(FileSystemEventHandler):
    """Where watchdog's threads put what they saw. They do nothing else: one exception would end them."""

    def __init__(self) -> None:
        self._paths: deque[str] = deque(maxlen=2 * MOST_ENTRIES)
        self._lost = 0
        self._events = 0
        self.readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Put down which paths an event names."""
        self._events += 1
        for path in (event.src_path, event.dest_path):
            if path:
                self._paths.append(os.fsdecode(path))
        self.wake()

    def overflow(self) -> None:
        """Put down that the kernel's queue was too small."""
        self._lost += 1
        self.wake()

    def wake(self) -> None:
        """Wake who waits for `readable`."""
        with contextlib.suppress(OSError):  # full: it will wake anyway
            os.write(self._writable, b".")

    def take(self) -> tuple[list[str], bool, int]:
        """Return the paths, whether there may have been more than these, and the number of overflows."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.readable, 4096):
                pass
        many = len(self._paths) >= MOST_ENTRIES
        paths = []
        with contextlib.suppress(IndexError):
            while True:
                paths.append(self._paths.popleft())
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
        self._directories: dict[Tree, int] = {}
        self._root = ""
        handler = _Overflows(self.mailbox)
        logging.getLogger("watchdog").propagate = False
        logger = logging.getLogger(_OVERFLOWS)
        logger.handlers = [one for one in logger.handlers if not isinstance(one, _Overflows)] + [handler]

    @property
    def running(self) -> bool:
        """Whether there are watches at all."""
        return self._observer is not None

    @property
    def directories(self) -> frozenset[Tree]:
        """The watched directories below the root."""
        return frozenset(self._directories)

    def start(self, root: str, directories: Iterable[Tree]) -> str:
        """Watch directories below `root`, and that itself; return why that is not possible, or ""."""
        self.stop()
        self._root = root
        before = set(threading.enumerate())
        observer: BaseObserver | None = None
        try:
            observer = Observer()
            observer.start()
            for tree in ((), *directories):
                path = os.path.join(root, *tree)
                self._directories[tree] = os.stat(path, follow_symlinks=False).st_ino
                observer.schedule(self.mailbox, path, recursive=tree == ("containers",), event_filter=_FILTER)
        except OSError as error:
            self._threads = []
            self._directories.clear()
            if observer is not None:
                _stop(observer)
            return error.strerror or str(error)
        self._observer = observer
        self._threads = [thread for thread in threading.enumerate() if thread not in before]
        return ""

    def stop(self) -> None:
        """Take all watches away."""
        if self._observer is not None:
            _stop(self._observer)
        self._observer = None
        self._threads = []
        self._directories = {}

    def dead(self) -> bool:
        """Whether a thread of watchdog's has ended, as it does for good when its directory is removed."""
        return any(not thread.is_alive() for thread in self._threads)

    def moved(self) -> bool:
        """Whether another directory, or none, stands where one is watched: that watch is blind for ever."""
        return any(_inode(self._root, tree) != inode for tree, inode in self._directories.items())

    def deaf(self, watched: Iterable[int], containers: Mapping[Tree, int]) -> bool:
        """Whether a directory has no watch in the kernel, by inodes: `watched` is what is `held`.

        `containers` are directories of containers; one that is removed by now is not missed.

        A recursive watch that meets the limit, or a directory that may not be read, is silently not watched.
        """
        inodes = {*watched}
        if not inodes.issuperset(self._directories.values()):
            return True
        missing = [tree for tree, inode in containers.items() if inode not in inodes]
        return any(_inode(self._root, tree) == containers[tree] for tree in missing)

    def tree_of(self, path: str) -> Tree | None:
        """The path of an event below the root; None for the root itself, and what is not below it."""
        relative = os.path.relpath(path, self._root)
        parts = PurePosixPath(relative).parts
        return None if not parts or parts[0] in ("..", ".") else parts


def held() -> list[int]:
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


def _inode(root: str, tree: Tree) -> int | None:
    try:
        return os.stat(os.path.join(root, *tree), follow_symlinks=False).st_ino
    except OSError:
        return None


def _stop(observer: BaseObserver) -> None:
    observer.stop()
    with contextlib.suppress(RuntimeError):  # it was never started
        observer.join(_JOIN_SECONDS)
