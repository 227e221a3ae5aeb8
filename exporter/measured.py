"""What measuring gives: the smallest nouns, importable by a worker process without the rest of the house."""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

#: Path components below the data root, of a directory tree or a file that is measured as one thing.
Tree = tuple[str, ...]

#: (st_dev, st_ino, st_ctime_ns) of a tree's root: what tells it from another one that has its name.
Identity = tuple[int, int, int]


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


@dataclass(frozen=True, slots=True)
class Links:
    """Inodes that may also be linked from other trees, packed: 24 bytes each, for they can be many."""

    packed: bytes = b""

    @classmethod
    def of(cls, links: Mapping[int, tuple[int, int]]) -> Self:
        """Pack `inode -> (size, allocated)`."""
        if not links:
            return cls()
        return cls(array("Q", (part for inode, sizes in links.items() for part in (inode, *sizes))).tobytes())

    def items(self) -> Iterator[tuple[int, tuple[int, int]]]:
        """Yield (inode, (size, allocated))."""
        numbers = array("Q")
        numbers.frombytes(self.packed)
        for at in range(0, len(numbers), 3):
            yield numbers[at], (numbers[at + 1], numbers[at + 2])

    def __len__(self) -> int:
        return len(self.packed) // 24


NO_LINKS = Links()


@dataclass(frozen=True, slots=True)
class Measured:
    """One tree, measured: every inode once, other filesystems left out.

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
        """The st_dev that all of it is on."""
        return self.identity[0]


@dataclass(frozen=True, slots=True)
class Changes:
    """What Docker's NaiveDiffDriver asks: how large is that which differs in `new` from `old`.

    `old` is a stack of trees, uppermost first; an entry is compared with the first that has its path.
    """

    new: Tree
    old: tuple[Tree, ...]
