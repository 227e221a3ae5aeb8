"""Inodes with several links, packed: there may be millions of them.

They are kept in the order of their numbers, in blocks. A block has columns of numbers that are as narrow as the largest
number of the column: about 12 bytes for each inode, 32 at the most.
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice
from operator import ge
from typing import NamedTuple

#: (inode number, st_size, bytes allocated, links that it has, links that were seen).
Row = tuple[int, int, int, int, int]

_ROWS = 2048
#: The number of the first inode, the number of rows, and the type of each column; the first column are differences to
#: the first inode's number.
_HEAD = struct.Struct("<QH5c")
_TYPES = (("B", 0xFF), ("H", 0xFFFF), ("I", 0xFFFFFFFF), ("Q", 0xFFFFFFFFFFFFFFFF))
_WIDTHS = {name.encode(): array(name).itemsize for name, _ in _TYPES}
_LARGEST = _TYPES[-1][1]
#: So many rows are unpacked at once where links of several trees are compared ...
_SWEPT = 4_096
#: ... as far as every so-manieth row tells.
_SAMPLE = 64


class Piece(NamedTuple):
    """A part of the inodes of one tree: column by column. `tree` is the number of that tree among several."""

    tree: int
    inodes: Sequence[int]
    sizes: Sequence[int]
    allocated: Sequence[int]
    links: Sequence[int]
    seen: Sequence[int]

    def rows(self) -> Iterator[Row]:
        """Its rows one by one."""
        return zip(self.inodes, self.sizes, self.allocated, self.links, self.seen, strict=True)


class Links:
    """Inodes that may also be linked from other trees, each once. They are never changed.

    No class of this module, and of others that a worker needs, is a dataclass or a struct: to load what these need
    would be a quarter of its start.
    """

    __slots__ = ("blocks",)

    def __init__(self, blocks: tuple[bytes, ...] = ()) -> None:
        self.blocks = blocks

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Links) and self.blocks == other.blocks

    def __hash__(self) -> int:
        return hash(self.blocks)

    def __repr__(self) -> str:
        return f"Links({self.blocks})"

    @classmethod
    def of(cls, links: Mapping[int, tuple[int, int, int, int]]) -> "Links":
        """Pack `inode -> (size, allocated, links it has, links seen)`."""
        return cls.packed((inode, *numbers) for inode, numbers in sorted(links.items()))

    @classmethod
    def packed(cls, rows: Iterable[Row]) -> "Links":
        """Pack rows that are in the order of the inodes' numbers."""
        waiting, blocks = iter(rows), []
        while some := [*islice(waiting, _ROWS)]:
            blocks.append(_block(*zip(*some, strict=True)))
        return cls(tuple(blocks))

    @classmethod
    def columns(cls, *columns: Sequence[int]) -> "Links":
        """Pack what `packed` takes, column by column."""
        starts = range(0, len(columns[0]), _ROWS)
        return cls(tuple(_block(*(column[at : at + _ROWS] for column in columns)) for at in starts))

    @classmethod
    def received(cls, blocks: Iterable[bytes]) -> "Links":
        """Take blocks that another process, or an earlier one, has packed; raises ValueError where these are none."""
        links = cls(tuple(blocks))
        last = -1
        for block in links.blocks:
            first, distances, _ = _Block.of(block)
            if first + distances[0] <= last or any(map(ge, distances, islice(distances, 1, None))):
                raise ValueError("inodes that are not in order")
            last = first + distances[-1]
            if last > _LARGEST:
                raise ValueError("numbers that are too large")
        return links

    def rows(self) -> Iterator[Row]:
        """Yield all rows in the order of the inodes' numbers."""
        for block in map(_Block.of, self.blocks):
            yield from block.part(0, 0, len(block.distances)).rows()

    def items(self) -> Iterator[tuple[int, tuple[int, int]]]:
        """Yield (inode, (size, allocated))."""
        return ((inode, (size, allocated)) for inode, size, allocated, _, _ in self.rows())

    def counts(self) -> Iterator[tuple[int, int, int]]:
        """Yield (inode, links it has, links seen in this tree)."""
        return ((inode, links, seen) for inode, _, _, links, seen in self.rows())

    def without(self, others: "Links") -> "Links":
        """These without the inodes of others."""
        return Links.packed(self._rows_without(others))

    def _rows_without(self, others: "Links") -> Iterator[Row]:
        for pieces in sweep([others, self]):
            left_out: set[int] = set()
            for piece in pieces:
                if piece.tree == 0:
                    left_out.update(piece.inodes)
                else:
                    yield from (row for row in piece.rows() if row[0] not in left_out)

    @property
    def packed_size(self) -> int:
        """How many bytes these take."""
        return sum(map(len, self.blocks))

    def __len__(self) -> int:
        return sum(_HEAD.unpack_from(block)[1] for block in self.blocks)


NO_LINKS = Links()


def _block(inodes: Sequence[int], *columns: Sequence[int]) -> bytes:
    first = inodes[0]
    types, packed = [], []
    for column in ([inode - first for inode in inodes], *columns):
        name, fitting = _fit(column)
        types.append(name.encode())
        packed.append(fitting.tobytes())
    return b"".join((_HEAD.pack(first, len(inodes), *types), *packed))


def _fit(column: Sequence[int]) -> "tuple[str, array[int]]":
    """The narrowest column that holds these numbers. A filesystem may say anything: what no number can be is cut."""
    largest = max(column)
    name = next((name for name, most in _TYPES if largest <= most), _TYPES[-1][0])
    try:
        return name, array(name, column)
    except OverflowError:
        return _fit([min(max(number, 0), _LARGEST) for number in column])


class _Block(NamedTuple):
    """The columns of a block, where they are: nothing is copied."""

    first: int
    distances: "memoryview[int]"
    others: "list[memoryview[int]]"

    @classmethod
    def of(cls, packed: bytes) -> "_Block":
        """Take a block apart; raises ValueError where it is none."""
        try:
            first, rows, *types = _HEAD.unpack_from(packed)
            widths = [_WIDTHS[one] for one in types]
        except (struct.error, KeyError):
            raise ValueError("no block of links") from None
        if not rows or len(packed) != _HEAD.size + rows * sum(widths):
            raise ValueError("a block of links of another length")
        columns: list[memoryview[int]] = []
        at, whole = _HEAD.size, memoryview(packed)
        for name, width in zip(types, widths, strict=True):
            columns.append(whole[at : at + rows * width].cast(name.decode()))
            at += rows * width
        return cls(first, columns[0], columns[1:])

    def part(self, tree: int, begin: int, end: int) -> Piece:
        """Some of its rows, as those of a tree."""
        first, (sizes, allocated, links, seen) = self.first, self.others
        inodes = [first + distance for distance in self.distances[begin:end]]
        return Piece(tree, inodes, sizes[begin:end], allocated[begin:end], links[begin:end], seen[begin:end])


class _Reader:
    """The rows of one tree, from the first to the last. It holds nothing but its place: there may be many."""

    __slots__ = ("_at", "_blocks", "_number", "next", "tree")

    def __init__(self, tree: int, links: Links) -> None:
        self.tree = tree
        self._blocks = links.blocks
        self._number = self._at = 0
        #: The number of the next inode; None at the end.
        self.next: int | None = None
        self._go_on()

    def _go_on(self) -> None:
        self.next = None
        if self._number < len(self._blocks):
            block = _Block.of(self._blocks[self._number])
            self.next = block.first + block.distances[self._at]

    def below(self, end: int) -> Iterator[Piece]:
        """Take the rows of inodes with smaller numbers."""
        while self.next is not None and self.next < end:
            block = _Block.of(self._blocks[self._number])
            to = bisect_left(block.distances, end - block.first, self._at)
            yield block.part(self.tree, self._at, to)
            if to < len(block.distances):
                self._at = to
            else:
                self._number, self._at = self._number + 1, 0
            self._go_on()


def sweep(many: Sequence[Links]) -> Iterator[list[Piece]]:
    """Go through the inodes of several trees together, in ranges of their numbers.

    Yields for each range the pieces of all trees, in the order of the trees. Only one range is unpacked at a time, with
    some thousand rows.
    """
    readers = [_Reader(tree, links) for tree, links in enumerate(many)]
    waiting = [(one.next, one.tree) for one in readers if one.next is not None]
    heapify(waiting)
    for end in (*_ends(many), _LARGEST + 1):
        here: list[int] = []
        while waiting and waiting[0][0] < end:
            here.append(heappop(waiting)[1])
        pieces: list[Piece] = []
        for tree in sorted(here):
            pieces += readers[tree].below(end)
            if (inode := readers[tree].next) is not None:
                heappush(waiting, (inode, tree))
        if pieces:
            yield pieces


def _ends(many: Sequence[Links]) -> list[int]:
    """The numbers at which ranges of about so many rows end."""
    sampled = sorted(
        first + distance
        for links in many
        for first, distances, _ in map(_Block.of, links.blocks)
        for distance in distances[::_SAMPLE]
    )
    return sampled[_SWEPT // _SAMPLE :: _SWEPT // _SAMPLE]


def have_others(some: Links, others: Links) -> bool:
    """Whether there is an inode among `some` that is not one of `others`."""
    for pieces in sweep([others, some]):
        known: set[int] = set()
        for piece in pieces:
            if piece.tree == 0:
                known.update(piece.inodes)
            elif not known.issuperset(piece.inodes):
                return True
    return False
