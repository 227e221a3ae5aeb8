"""The values that measuring returns. A worker process imports this without the rest of the model."""

import os
import struct
from collections.abc import Collection
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from exporter.core.links import NO_LINKS, Links

#: Path components below the data root, of a directory tree or a file that is measured as one thing. Of one that lies
#: in a further root, the first component is the absolute path of that root.
Tree = tuple[str, ...]

#: (st_dev, st_ino, st_ctime_ns) of a tree's root, to tell it from another tree that gets the same path later.
Identity = tuple[int, int, int]
#: Of an identity, what differs from tree to tree. The device is nearly always the same.
_OWN = struct.Struct("<Qq")


def root_of(tree: Tree) -> Tree:
    """The root that a path lies in: () for the data root, and the first component for a further root."""
    return tree[:1] if tree and tree[0].startswith("/") else ()


def is_within(tree: Tree, tops: Collection[Tree]) -> bool:
    """Whether a tree is one of `tops`, or lies in one."""
    return bool(tops) and any(tree[:end] in tops for end in range(1, len(tree) + 1))


def mount_around(tree: Tree, mounts: Collection[Tree]) -> Tree:
    """The mount below the root on which a tree lies; () for the root's own filesystem."""
    return next((tree[:end] for end in range(len(tree), 0, -1) if tree[:end] in mounts), ())


class Reason(StrEnum):
    """Why something below the data root could not be read or measured."""

    PERMISSION = "permission"
    VANISHED = "vanished"
    IO = "io"
    DECODE = "decode"
    TOO_LARGE = "too_large"
    NOT_REGULAR = "not_regular"
    LOOP = "loop"
    TIMEOUT = "timeout"
    #: A database that was written to each time that it was read.
    CHANGING = "changing"
    #: An error in the exporter itself. It is counted for one object, and hides no other.
    INTERNAL = "internal"


class Usage(NamedTuple):
    """What a set of inodes occupies.

    `size` is the sum of st_size of all that is not a directory, `allocated` 512 x st_blocks of everything.
    """

    size: int = 0
    allocated: int = 0
    inodes: int = 0

    def __add__(self, other: "Usage") -> "Usage":  # type: ignore[override] # sums, not one behind the other
        return Usage(self.size + other.size, self.allocated + other.allocated, self.inodes + other.inodes)


@lru_cache(1024)
def usage_of(size: int, allocated: int, inodes: int) -> Usage:
    """The same object for the same numbers, most often: many trees are files of few bytes, or empty directories."""
    return Usage(size, allocated, inodes)


@lru_cache(64)
def _same(device: int) -> int:
    """The same object for the same device."""
    return device


def _packed(inode: int, changed: int) -> bytes | tuple[int, int]:
    try:
        return _OWN.pack(inode, changed)
    except struct.error:  # a filesystem may say anything
        return inode, changed


class Measured:
    """The sums of one tree: every inode once, without other filesystems. It is never changed.

    `links` are the inodes that may also be linked from other trees: sums over several trees need them.
    `entries` is how many directory entries were looked at. `device` is the st_dev of the tree. There are tens of
    thousands of these, so the other numbers of the identity are packed: as objects they take four times as much.
    """

    __slots__ = ("_own", "device", "entries", "links", "skipped_mounts", "usage")

    def __init__(
        self,
        usage: Usage,
        identity: Identity = (0, 0, 0),
        links: Links = NO_LINKS,
        entries: int = 0,
        skipped_mounts: int = 0,
    ) -> None:
        self.usage = usage
        self.links = links
        self.entries = entries
        self.skipped_mounts = skipped_mounts
        device, inode, changed = identity
        self.device = _same(device)
        self._own = _packed(inode, changed)

    @property
    def identity(self) -> Identity:
        """What tells the tree from another one."""
        own = self._own
        inode, changed = _OWN.unpack(own) if isinstance(own, bytes) else own
        return self.device, inode, changed

    def is_as_it_was(self, status: os.stat_result) -> bool:
        """Whether the tree itself is the same directory or file, unchanged."""
        return self.device == status.st_dev and self._own == _packed(status.st_ino, status.st_ctime_ns)

    def counting(self, usage: Usage, links: Links) -> "Measured":
        """The same tree with other sums."""
        return Measured(usage, self.identity, links, self.entries, self.skipped_mounts)

    def _key(self) -> tuple[object, ...]:
        return self.usage, self.device, self._own, self.links, self.entries, self.skipped_mounts

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Measured) and self._key() == other._key())

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Measured({self.usage}, {self.identity}, {self.links}, {self.entries}, {self.skipped_mounts})"


class Changes(NamedTuple):
    """The two sides that Docker's NaiveDiffDriver compares to size a layer.

    `old` is a stack of trees, uppermost first; an entry of `new` is compared with the first that has its path.
    """

    new: Tree
    old: tuple[Tree, ...]
