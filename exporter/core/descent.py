"""Opens directories below another one component by component, and keeps those open that are on the way to the last."""

import errno
import os
from collections.abc import Sequence

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: So many levels below the top stay open, and beside them the directory that was asked for last.
_KEPT = 8


def open_directory(name: str, parent: int) -> int:
    """Open the directory `name` of the open directory `parent`; raises OSError, also for a symlink."""
    return os.open(name, _DIRECTORY, dir_fd=parent)


def check_name(name: str) -> None:
    """Raise FileNotFoundError for a string that is not the name of one directory entry: there is none by it."""
    if "/" in name or "\0" in name or name in ("", ".", ".."):
        raise FileNotFoundError(errno.ENOENT, "not a file name")


class Descent:
    """The open directories from the top down to the one that was asked for last.

    Who reads a data root asks for many directories of one directory, one after the other. These are opened relative to
    the descriptor of that one. Only the way to the last one is kept open: it is what the names led to a moment ago.
    """

    __slots__ = ("_descriptors", "_names")

    def __init__(self, top: int) -> None:
        """`top` is an open directory. It stays open when this is closed."""
        self._names: Sequence[str] = ()
        self._descriptors = [top]

    def to(self, names: Sequence[str]) -> int:
        """The descriptor of a directory. It stays open until another one is asked for. Raises OSError."""
        if names == self._names:
            return self._descriptors[-1]
        descriptors = self._descriptors
        kept = 0
        for one, other in zip(self._names[:_KEPT], names, strict=False):
            if one != other:
                break
            kept += 1
        while len(descriptors) > kept + 1:
            os.close(descriptors.pop())
        self._names = names
        try:
            for name in names[kept:]:
                check_name(name)
                below = open_directory(name, descriptors[-1])
                if len(descriptors) > _KEPT + 1:
                    os.close(descriptors.pop())
                descriptors.append(below)
        except OSError:
            self._cut(min(len(descriptors) - 1, _KEPT))
            raise
        return descriptors[-1]

    def open(self, names: Sequence[str]) -> int:
        """Open a directory that the caller closes; raises OSError."""
        if not names:
            return os.dup(self._descriptors[0])
        check_name(names[-1])
        return open_directory(names[-1], self.to(names[:-1]))

    def close(self) -> None:
        """Close all but the top."""
        self._cut(0)

    def _cut(self, length: int) -> None:
        while len(self._descriptors) > length + 1:
            os.close(self._descriptors.pop())
        self._names = self._names[:length]
