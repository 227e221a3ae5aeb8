"""What a process that scans may read, as far as the kernel limits it."""

from collections.abc import Collection
from typing import Protocol


class NotAllowedError(Exception):
    """The data root, or the root of its containerd, is another directory, which this process may not read."""


class Rights(Protocol):
    """The rights of one process. Directories are named by device and inode."""

    def allows(self, root: tuple[int, int]) -> bool:
        """Whether it may read a directory as the data root."""

    def is_outdated(self, denied: Collection[tuple[int, int]]) -> bool:
        """Whether another process may read what this one may not of a containerd."""


class AllRights:
    """Those of a process that the kernel does not limit."""

    def allows(self, root: tuple[int, int]) -> bool:  # noqa: ARG002 - see Rights
        """It may read what is there."""
        return True

    def is_outdated(self, denied: Collection[tuple[int, int]]) -> bool:  # noqa: ARG002 - see Rights
        """Another process may read no more."""
        return False
