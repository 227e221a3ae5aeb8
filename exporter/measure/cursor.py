"""Moves down and up in a directory tree of any depth with a bounded number of open descriptors."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from exporter.core.data_root import open_directory
from exporter.core.measured import Tree

#: Called with (error, path of the entry below the root) for each entry that could not be read.
OnError = Callable[[OSError, Tree], None]

#: How many ancestors stay open. The others are closed, and reopened through ".." on the way up.
KEPT_OPEN = 48


class Cursor:
    """A position in a directory tree.

    Entering opens a directory relative to its parent, so that neither PATH_MAX nor a component swapped for
    a symlink matters. Leaving goes back to the parent's descriptor, or reopens it through ".." and checks
    that it is the directory that was left.
    """

    def __init__(self, descriptor: int) -> None:
        """Start at an open directory; the cursor closes the descriptor."""
        self._open: list[int | None] = [descriptor]
        self._statuses: list[os.stat_result | None] = [None]

    @property
    def descriptor(self) -> int:
        """The open descriptor of the directory the cursor stands at."""
        top = self._open[-1]
        assert top is not None, "the top of the stack is always open"
        return top

    def enter(self, name: str) -> os.stat_result:
        """Go down into `name`; raises OSError and stays where it is when that is no real directory."""
        descriptor = open_directory(name, self.descriptor)
        try:
            status = os.fstat(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        self._open.append(descriptor)
        self._statuses.append(status)
        far = len(self._open) - 1 - KEPT_OPEN
        if far > 0 and (old := self._open[far]) is not None:
            os.close(old)
            self._open[far] = None
        return status

    def leave(self) -> None:
        """Go back up; raises OSError (ESTALE) when the directory was moved elsewhere in the meantime."""
        child = self.descriptor
        try:
            if self._open[-2] is None:
                self._open[-2] = self._reopen(child, self._statuses[-2])
        finally:
            os.close(child)
            self._open.pop()
            self._statuses.pop()

    @staticmethod
    def _reopen(child: int, before: os.stat_result | None) -> int:
        descriptor = open_directory("..", child)
        if before is None or not os.path.samestat(os.fstat(descriptor), before):
            os.close(descriptor)
            raise OSError(errno.ESTALE, "directory was moved while it was walked")
        return descriptor

    def close(self) -> None:
        """Close every descriptor that is still open."""
        for descriptor in self._open:
            if descriptor is not None:
                os.close(descriptor)
        self._open.clear()


def list_names(descriptor: int, path: Tree, on_error: OnError) -> list[str]:
    """The names in a directory; an empty list where it cannot be listed."""
    try:
        return os.listdir(descriptor)
    except OSError as error:
        on_error(error, path)
        return []


def stat_entries(
    descriptor: int, names: Iterable[str], path: Tree, on_error: OnError
) -> Iterator[tuple[str, os.stat_result]]:
    """Stat entries of a directory without following links; yields (name, status) of those that could be."""
    for name in names:
        try:
            yield name, os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except OSError as error:
            on_error(error, (*path, name))


class TreeVisitor(Protocol):
    """The part of a depth-first walk that differs from walk to walk."""

    def visit(self, path: Tree) -> list[str]:
        """Read the directory that the cursor is at; return the names of the directories to enter."""

    def entered(self, name: str, status: os.stat_result) -> bool:
        """Follow the cursor down; return whether to visit that directory."""

    def left(self) -> None:
        """Follow the cursor up."""


def depth_first(cursor: Cursor, tree: Tree, visitor: TreeVisitor, on_error: OnError) -> None:
    """Visit the cursor's directory and all directories below it; `tree` is its path below the root."""
    path = list(tree)
    pending = [visitor.visit(tree)]
    while pending:
        if not pending[-1]:
            pending.pop()
            if pending and not _leave(cursor, visitor, path, on_error):
                return
            continue
        name = pending[-1].pop()
        try:
            status = cursor.enter(name)
        except OSError as error:
            on_error(error, (*path, name))
            continue
        path.append(name)
        pending.append(visitor.visit(tuple(path)) if visitor.entered(name, status) else [])


def _leave(cursor: Cursor, visitor: TreeVisitor, path: list[str], on_error: OnError) -> bool:
    try:
        cursor.leave()
        visitor.left()
    except OSError as error:
        on_error(error, tuple(path))
        return False
    path.pop()
    return True
