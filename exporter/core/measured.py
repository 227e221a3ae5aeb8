"""The values that measuring returns. A worker process imports this without the rest of the model."""

import os
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


#: The bits of the numbers in `Measured._own` that are not the highest.
_INODE_AT, _ENTRIES_AT, _DEVICE_AT = 64, 128, 160
_LOW = (1 << _INODE_AT) - 1
_MOST_ENTRIES = (1 << _DEVICE_AT - _ENTRIES_AT) - 1
#: Added to times, which may lie before 1970.
_EARLIEST = 1 << _INODE_AT - 1


class _Rest(NamedTuple):
    """What is known of a tree besides its usage."""

    identity: Identity
    links: Links
    entries: int
    skipped_mounts: int


class Measured:
    """The sums of one tree: every inode once, without other filesystems. It is never changed.

    `links` are the inodes that may also be linked from other trees: sums over several trees need them.
    `entries` is how many directory entries were looked at. There are tens of thousands of these, so nearly all of them
    are two objects: the usage, which many have in common, and one number.
    """

    __slots__ = ("_own", "usage")

    def __init__(
        self,
        usage: Usage,
        identity: Identity = (0, 0, 0),
        links: Links = NO_LINKS,
        entries: int = 0,
        skipped_mounts: int = 0,
    ) -> None:
        self.usage = usage
        device, inode, changed = identity
        time = changed + _EARLIEST
        usual = 0 <= inode <= _LOW and 0 <= time <= _LOW and 0 <= entries <= _MOST_ENTRIES and device >= 0
        #: All but the usage: one number, where there are no links, and numbers as they are on most filesystems.
        self._own: int | _Rest = (
            time | inode << _INODE_AT | entries << _ENTRIES_AT | device << _DEVICE_AT
            if usual and not (links.blocks or skipped_mounts)
            else _Rest(identity, links, entries, skipped_mounts)
        )

    @property
    def device(self) -> int:
        """The st_dev of the tree."""
        own = self._own
        return own >> _DEVICE_AT if isinstance(own, int) else own.identity[0]

    @property
    def identity(self) -> Identity:
        """What tells the tree from another one."""
        own = self._own
        if isinstance(own, int):
            return own >> _DEVICE_AT, own >> _INODE_AT & _LOW, (own & _LOW) - _EARLIEST
        return own.identity

    @property
    def links(self) -> Links:
        """The inodes that may also be linked from other trees."""
        own = self._own
        return NO_LINKS if isinstance(own, int) else own.links

    @property
    def entries(self) -> int:
        """How many directory entries were looked at."""
        own = self._own
        return own >> _ENTRIES_AT & _MOST_ENTRIES if isinstance(own, int) else own.entries

    @property
    def skipped_mounts(self) -> int:
        """How many directories of other filesystems are in it."""
        own = self._own
        return 0 if isinstance(own, int) else own.skipped_mounts

    def is_as_it_was(self, status: os.stat_result) -> bool:
        """Whether the tree itself is the same directory or file, unchanged."""
        return self.identity == (status.st_dev, status.st_ino, status.st_ctime_ns)

    def counting(self, usage: Usage, links: Links) -> "Measured":
        """The same tree with other sums."""
        return Measured(usage, self.identity, links, self.entries, self.skipped_mounts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Measured):
            return NotImplemented
        return self is other or (self.usage, self._own) == (other.usage, other._own)

    def __hash__(self) -> int:
        return hash((self.usage, self._own))

    def __repr__(self) -> str:
        return f"Measured({self.usage}, {self.identity}, {self.links}, {self.entries}, {self.skipped_mounts})"


class Changes(NamedTuple):
    """The two sides that Docker's NaiveDiffDriver compares to size a layer.

    `old` is a stack of trees, uppermost first; an entry of `new` is compared with the first that has its path.
    """

    new: Tree
    old: tuple[Tree, ...]
