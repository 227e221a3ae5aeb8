"""Reads the kernel's events of watched directories in a thread of watchdog's, and collects their paths in a mailbox.

An observer of watchdog has one more thread for each directory and makes several objects of each event. What is wanted
here are paths, so these classes take the events where the library reads them.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from exporter.core.lean_import import parts_of
from exporter.core.measured import Tree
from exporter.schedule.debounce import MOST_ENTRIES

with parts_of("watchdog.observers"):
    from watchdog.observers.inotify_c import (
        CallbackId,
        InotifyConstants,
        InotifyEvent,
        InotifyFD,
        Mask,
        WatchCallback,
        WatchDescriptor,
    )

#: A busy engine causes hundreds of events a second. The kernel keeps them meanwhile, and joins equal ones.
_PAUSE_SECONDS = 0.25
#: After so many events in one read there is no pause: the kernel's queue must not overflow.
_MANY_EVENTS = 512
_OF_ENTRIES = (
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MOVE
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_DONT_FOLLOW
)


class Taken(NamedTuple):
    """What a mailbox had: paths, each with the number of its events.

    `many`: there were too many, so some are missing. `overflows`: how often the kernel's queue overflowed.
    """

    paths: Mapping[Tree, int]
    many: bool
    overflows: int


class Mailbox:
    """Collects the paths of events from a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: dict[Tree, int] = {}
        self._overflows = 0
        self.readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def add(self, path: Tree) -> None:
        """Note an event."""
        with self._lock:
            known = self._paths.get(path, 0)
            if known or len(self._paths) < MOST_ENTRIES:
                self._paths[path] = known + 1

    def overflow(self) -> None:
        """Note that the kernel's queue overflowed, so that events were lost."""
        with self._lock:
            self._overflows += 1

    def wake(self) -> None:
        """Make `readable` readable."""
        with contextlib.suppress(OSError):  # the pipe is full, so it is readable
            os.write(self._writable, b".")

    def take(self) -> Taken:
        """Return what has come since the last call."""
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self.readable, 4096)) == 4096:
                pass
        with self._lock:
            taken = Taken(self._paths, len(self._paths) >= MOST_ENTRIES, self._overflows)
            self._paths, self._overflows = {}, 0
        return taken

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.readable)
        os.close(self._writable)


class EventReader(InotifyFD):
    """The thread that reads events, a few times a second at most."""

    def __init__(self, mailbox: Mailbox) -> None:
        """Raises OSError."""
        super().__init__()
        self.mailbox = mailbox
        #: Without those of homes.
        self.directories: list[Directory] = []

    def watch(self, root: str, tree: Tree, *, deep: bool, written: bool) -> None:
        """Watch a directory; raises OSError. See `Watcher.start`. This thread must not run yet."""
        one = DeepDirectory(self, root, tree) if deep else Directory(self.mailbox, tree)
        self.add(os.path.join(root, *tree), one, id(one), InotifyConstants.IN_MODIFY if written else 0)
        self.directories.append(one)
        if isinstance(one, DeepDirectory):
            one.watch_homes()

    def add(self, path: str, directory: "Directory", number: int, more: int = 0) -> WatchDescriptor:
        """Have a directory told of the events at a path, also of those in the mask `more`; raises OSError.

        `number`: stands for this path among those at which a directory is told of events.
        """
        return self.add_callback(os.fsencode(path), Mask(_OF_ENTRIES | more), directory, CallbackId(number))

    def run(self) -> None:
        """Read events until `stop`."""
        while self.should_keep_running():
            events = self.read_events()
            for event in events:
                self.handle_event(event)
            if events:
                self.mailbox.wake()
            if len(events) < _MANY_EVENTS:
                self.stopped_event.wait(_PAUSE_SECONDS)

    def handle_event(self, event: InotifyEvent) -> None:
        """Give an event to its directory. An overflow concerns all."""
        if not event.is_queue_overflow:
            super().handle_event(event)
            return
        self.mailbox.overflow()
        for one in self.directories:
            one.on_queue_overflow()


class Directory(WatchCallback):
    """A watched directory. What it is told by the thread must not raise: that would end the thread."""

    __slots__ = ("_mailbox", "gone", "tree")

    def __init__(self, mailbox: Mailbox, tree: Tree) -> None:
        self._mailbox = mailbox
        self.tree = tree
        #: Whether the kernel has removed the watch: the directory was removed, or unmounted.
        self.gone = False

    def on_event(self, event: InotifyEvent) -> None:
        """Note an event of an entry."""
        if event.name:
            self._mailbox.add((*self.tree, os.fsdecode(event.name)))

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:  # noqa: ARG002 - it has no other watch
        """Note that the watch is gone."""
        self.gone = True

    def on_queue_overflow(self) -> None:
        """Events were lost."""


class DeepDirectory(Directory):
    """A watched directory in which all directories, the homes of objects, are watched as well."""

    __slots__ = ("_homes", "_path", "_reader", "_watches")

    def __init__(self, reader: EventReader, root: str, tree: Tree) -> None:
        super().__init__(reader.mailbox, tree)
        self._reader = reader
        self._path = os.path.join(root, *tree)
        self._homes = _Homes(reader.mailbox, tree)
        self._watches: dict[str, WatchDescriptor] = {}

    def watch_homes(self) -> None:
        """Watch the homes that are there."""
        with contextlib.suppress(OSError), os.scandir(self._path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    self._watch(entry.name)

    def on_event(self, event: InotifyEvent) -> None:
        """Note an event; watch a home that has come, and no longer one that has gone."""
        super().on_event(event)
        if not event.name or not event.is_directory:
            return
        name = os.fsdecode(event.name)
        if event.is_create or event.is_moved_to:
            self._watch(name)
        elif event.is_delete or event.is_moved_from:
            self._unwatch([name])

    def on_queue_overflow(self) -> None:
        """Watch the homes anew: some may have come or gone."""
        self._unwatch([*self._watches])
        self.watch_homes()

    def _watch(self, name: str) -> None:
        """Watch a home. What was made in it before is read with it, since it has just come."""
        if name in self._watches:
            return
        name = sys.intern(name)  # as listings have it
        with contextlib.suppress(OSError):  # it is gone again, or there are no more watches: that is noticed by a look
            watch = self._reader.add(os.path.join(self._path, name), self._homes, id(name))
            self._watches[name], self._homes.names[watch] = watch, name

    def _unwatch(self, names: Iterable[str]) -> None:
        watches = [self._watches.pop(name) for name in names if name in self._watches]
        # Those that are not among the names the kernel has removed.
        known = [(one, self._homes.names.pop(one)) for one in watches if one in self._homes.names]
        with contextlib.suppress(OSError):
            self._reader.remove_callbacks([(watch, CallbackId(id(name))) for watch, name in known])


class _Homes(Directory):
    """The homes in a deep directory: one object for all of them, since there may be ten thousand."""

    __slots__ = ("names",)

    def __init__(self, mailbox: Mailbox, tree: Tree) -> None:
        super().__init__(mailbox, tree)
        self.names: dict[WatchDescriptor, str] = {}

    def on_event(self, event: InotifyEvent) -> None:
        """Note an event of an entry of a home."""
        home = self.names.get(event.wd)
        if event.name and home is not None:
            self._mailbox.add((*self.tree, home, os.fsdecode(event.name)))

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Note that the watch of a home is gone. One with the same number may be that of another home by then."""
        self.names.pop(wd, None)
