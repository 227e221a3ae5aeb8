"""The values that measuring returns. A worker process imports this without the rest of the model."""

from array import array
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

#: Path components below the data root, of a directory tree or a file that is measured as one thing.
Tree = tuple[str, ...]

#: (st_dev, st_ino, st_ctime_ns) of a tree's root, to tell it from another tree that gets the same path later.
Identity = tuple[int, int, int]


def is_within(tree: Tree, tops: Collection[Tree]) -> bool:
    """Whether a tree is one of `tops`, or lies in one."""
    return bool(tops) and any(tree[:end] in tops for end in range(1, len(tree) + 1))


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


@dataclass(frozen=True, slots=True)
class Usage:
    """What a set of inodes occupies.

    `size` is the sum of st_size of all that is not a directory, `allocated` 512 x st_blocks of everything.
    """

    size: int = 0
    allocated: int = 0
    inodes: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.size + other.size, self.allocated + other.allocated, self.inodes + other.inodes)


#: Kept of such an inode: its number, st_size, bytes allocated, and in one number the links that it has and those seen.
_PACKED_NUMBERS = 4
LINK_BYTES = 8 * _PACKED_NUMBERS
_HALF = 32
_MOST = (1 << _HALF) - 1


@dataclass(frozen=True, slots=True)
class Links:
    """Inodes that may also be linked from other trees, packed into 32 bytes each, because there may be millions."""

    packed: bytes = b""

    @classmethod
    def of(cls, links: Mapping[int, tuple[int, int, int, int]]) -> Self:
        """Pack `inode -> (size, allocated, links it has, links seen)`."""
        if not links:
            return cls()
        numbers = array("Q")
        for inode, (size, allocated, count, seen) in links.items():
            numbers.extend((inode, size, allocated, min(count, _MOST) << _HALF | min(seen, _MOST)))
        return cls(numbers.tobytes())

    def items(self) -> Iterator[tuple[int, tuple[int, int]]]:
        """Yield (inode, (size, allocated))."""
        numbers = self._numbers()
        for at in range(0, len(numbers), _PACKED_NUMBERS):
            yield numbers[at], (numbers[at + 1], numbers[at + 2])

    def counts(self) -> Iterator[tuple[int, int, int]]:
        """Yield (inode, links it has, links seen in this tree)."""
        numbers = self._numbers()
        for at in range(0, len(numbers), _PACKED_NUMBERS):
            both = numbers[at + 3]
            yield numbers[at], both >> _HALF, both & _MOST

    def inodes(self) -> set[int]:
        """The numbers of all these inodes."""
        return {*self._numbers()[::_PACKED_NUMBERS]}

    def without(self, inodes: Container[int]) -> "Links":
        """These without some inodes, given by number."""
        numbers, kept = self._numbers(), array("Q")
        for at in range(0, len(numbers), _PACKED_NUMBERS):
            if numbers[at] not in inodes:
                kept += numbers[at : at + _PACKED_NUMBERS]
        return Links(kept.tobytes())

    def _numbers(self) -> "array[int]":
        numbers = array("Q")
        numbers.frombytes(self.packed)
        return numbers

    def __len__(self) -> int:
        return len(self.packed) // LINK_BYTES


NO_LINKS = Links()


@dataclass(frozen=True, slots=True)
class Measured:
    """The sums of one tree: every inode once, without other filesystems.

    `links` are the inodes that may also be linked from other trees: sums over several trees need them.
    `entries` is how many directory entries were looked at.
    """

    usage: Usage
    identity: Identity = (0, 0, 0)
    links: Links = NO_LINKS
    entries: int = 0
    skipped_mounts: int = 0

    @property
    def device(self) -> int:
        """The st_dev of the tree."""
        return self.identity[0]


@dataclass(frozen=True, slots=True)
class Changes:
    """The two sides that Docker's NaiveDiffDriver compares to size a layer.

    `old` is a stack of trees, uppermost first; an entry of `new` is compared with the first that has its path.
    """

    new: Tree
    old: tuple[Tree, ...]
