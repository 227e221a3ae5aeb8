"""Moves down and up in a directory tree of any depth with a bounded number of open descriptors."""

import errno
import os
from array import array
from collections import deque
from collections.abc import Callable

from exporter.core.descent import open_directory
from exporter.core.measured import Tree

#: Called with (error, path of the entry below the root) for each entry that could not be read. Of a long path, names in
#: the middle are left out.
OnError = Callable[[OSError, Tree], None]

#: How many ancestors stay open. The others are closed, and reopened through ".." on the way up.
KEPT_OPEN = 48
_PER_LEVEL = 2


class Cursor:
    """A position in a directory tree.

    Entering opens a directory relative to its parent, so that neither PATH_MAX nor a component swapped for
    a symlink matters. Leaving goes back to the parent's descriptor, or reopens it through ".." and checks
    that it is the directory that was left. Of each level, 16 bytes are kept.
    """

    def __init__(self, descriptor: int) -> None:
        """Start at an open directory; the cursor closes the descriptor. Raises OSError."""
        self._open = deque([descriptor])
        try:
            #: The status of the directory that it started at.
            self.top = os.fstat(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        self._statuses = deque([self.top])
        #: Device and inode of each directory on the way that was closed.
        self._closed = array("Q")

    @property
    def depth(self) -> int:
        """How many levels below its start it stands."""
        return len(self._closed) // _PER_LEVEL + len(self._open) - 1

    @property
    def descriptor(self) -> int:
        """The open descriptor of the directory the cursor stands at."""
        return self._open[-1]

    def enter(self, name: str) -> os.stat_result:
        """Go down into `name`; raises OSError and stays where it is when that is no real directory."""
        descriptor = open_directory(name, self._open[-1])
        try:
            status = os.fstat(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        self._open.append(descriptor)
        self._statuses.append(status)
        if len(self._open) > KEPT_OPEN + 1:
            os.close(self._open.popleft())
            above = self._statuses.popleft()
            self._closed.extend((above.st_dev, above.st_ino))
        return status

    def leave(self) -> None:
        """Go back up; raises OSError (ESTALE) when the directory was moved elsewhere in the meantime.

        After an error, the cursor stands nowhere and can only be closed.
        """
        child = self._open.pop()
        self._statuses.pop()
        try:
            if not self._open:
                self._reopen(child)
        finally:
            os.close(child)

    def _reopen(self, child: int) -> None:
        """Open the directory above `child`, which was closed on the way down."""
        before = (*self._closed[-_PER_LEVEL:],)
        del self._closed[-_PER_LEVEL:]
        descriptor = open_directory("..", child)
        self._open.append(descriptor)
        self._statuses.append(os.fstat(descriptor))
        if (self._statuses[0].st_dev, self._statuses[0].st_ino) != before:
            raise OSError(errno.ESTALE, "directory was moved while it was walked")

    def close(self) -> None:
        """Close every descriptor that is still open."""
        while self._open:
            os.close(self._open.pop())
