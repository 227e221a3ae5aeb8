"""The entries of a directory that a walk counts."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol


class DirectoryEntry(Protocol):
    """The part of `os.DirEntry` that a walk uses."""

    @property
    def name(self) -> str:
        """The name of the entry."""

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a directory; raises OSError."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Its status; raises OSError."""


class _Closing(Protocol):
    def close(self) -> None:
        """Close the directory."""


class Listing(NamedTuple):
    """A directory that is being listed, and those of its entries that count."""

    whole: _Closing
    entries: Iterator[os.DirEntry[str]]


def entries_named(names: Sequence[str], parent: int) -> Iterator[DirectoryEntry]:
    """The files of an open directory that are given by name, as `os.scandir` would yield them."""
    return (_NamedFile(name, parent) for name in names)


class _NamedFile:
    """A file that another worker listed, and that was no directory then."""

    __slots__ = ("_parent", "name")

    def __init__(self, name: str, parent: int) -> None:
        self.name = name
        self._parent = parent

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002 - the signature of os.DirEntry
        """False, as it was when the directory was listed."""
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """The status of the file; raises OSError, also where a directory has taken its place."""
        status = os.stat(self.name, dir_fd=self._parent, follow_symlinks=follow_symlinks)
        if stat.S_ISDIR(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "a directory took its place")
        return status
