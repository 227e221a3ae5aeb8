"""The messages between a pool and its workers. A pool sends orders, a worker answers.

`number` is that of the piece of work (`WorkItem`), `cpu` the seconds of CPU time that the worker has used so far,
`waited` the seconds that it has waited for the disk.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from exporter.core.framing import Frame, ProtocolError
from exporter.core.measured import Identity, Reason, Tree
from exporter.core.messages import Messages
from exporter.measure.exclusions import Excluded
from exporter.measure.start import Start
from exporter.measure.total import Sums

#: Bytes of the number of a piece, as a worker tells it on a pipe of its own when it begins that piece.
NUMBER_BYTES = 8
#: A piece that takes longer than this is worth sharing with a worker that has nothing to do.
SHARE_AFTER_SECONDS = 0.02


class UseRoot(NamedTuple):
    """The data root of the orders that follow: its path, and the directory that was there when they were planned.

    `further`: the same of its further roots.
    """

    path: str
    device: int
    inode: int
    further: list[tuple[str, int, int]]


class MeasureTree(NamedTuple):
    """Measure what is at `starts` of a tree, or the whole tree for None, using the fraction `pace` of a core.

    After `most` entries, unless that is 0, the worker gives the rest back: the tree was thought to be small.
    """

    number: int
    pace: float
    tree: Tree
    starts: list[Start] | None
    exclusions: tuple[Excluded, ...]
    most: int


class MeasureTrees(NamedTuple):
    """Measure several whole trees, one after the other; each is a piece of its own, as of `MeasureTree`.

    `exclusions` are those that differ, `which` has the number of its own for each tree.
    """

    numbers: list[int]
    pace: float
    trees: list[Tree]
    exclusions: list[tuple[Excluded, ...]]
    which: list[int]
    most: int

    def each(self) -> Iterator[MeasureTree]:
        """The orders one by one."""
        for number, tree, at in zip(self.numbers, self.trees, self.which, strict=True):
            yield MeasureTree(number, self.pace, tree, None, self.exclusions[at], self.most)


class MeasureLot(NamedTuple):
    """Measure the entries `names` of the store `tree`, and what stands at `inner` in each; nothing more for ().

    The entries are measured without their `exclusions`, what stands in them whole. It is one piece. Only what is small
    is measured, and the rest is left to whoever gave this.
    """

    number: int
    pace: float
    tree: Tree
    names: tuple[str, ...]
    inner: Tree
    exclusions: tuple[Excluded, ...]

    def trees(self) -> Iterator[Tree]:
        """The trees, in the order of their numbers in this lot: each entry, and what stands in it."""
        store, inner = self.tree, self.inner
        for name in self.names:
            tree = (*store, name)
            yield tree
            if inner:
                yield tree + inner


class CompareTrees(NamedTuple):
    """Take the size of the difference between the tree `new` and the stack of trees `old`, uppermost first."""

    number: int
    pace: float
    new: Tree
    old: tuple[Tree, ...]


class ShareWork(NamedTuple):
    """Give back half of the work that is not begun."""


class Errors(NamedTuple):
    """What could not be read: how often for each reason, and of some the path and the system's message."""

    counts: dict[Reason, int]
    kept: list[tuple[Reason, Tree, str]]


class SharedWork(NamedTuple):
    """What a worker gives back: `whole` pieces that it has not begun, and `starts` that are left of piece `number`.

    `paced` tells that the rest of that piece turned out to be too much for work that is done at once.
    """

    whole: list[int]
    number: int
    starts: list[Start]
    paced: bool


class Working(NamedTuple):
    """A worker is at a piece of work, and has looked at so many entries for it."""

    number: int
    entries: int
    cpu: float
    waited: float


class FoundLinks(NamedTuple):
    """Some of the inodes with several links of a piece, packed. They come before its sums, a few at a time."""

    number: int
    blocks: list[bytes]


class MeasuredTree(NamedTuple):
    """The sums over what is at the starts of a piece; `errors` is None where all could be read."""

    number: int
    identity: Identity
    sums: Sums
    errors: Errors | None
    cpu: float


class MeasuredTrees(NamedTuple):
    """The sums of several pieces without links and errors, packed: see `Row`."""

    rows: bytes
    cpu: float
    waited: float


class MeasuredLot(NamedTuple):
    """The sums of what was measured of a lot, packed: see `Row`. The number in a row is that of a tree in the lot."""

    number: int
    rows: bytes
    cpu: float
    waited: float


class ComparedTrees(NamedTuple):
    """The size of a difference in bytes, and how many entries were looked at."""

    number: int
    size: int
    entries: int
    errors: Errors | None
    cpu: float


class FailedWork(NamedTuple):
    """A piece of work has no result; `tree` is where that showed, () for nowhere in particular.

    `traceback`: that of an error inside of the worker, else "".
    """

    number: int
    reason: Reason
    tree: Tree
    detail: str
    cpu: float
    traceback: str = ""


Work = MeasureTree | MeasureLot | CompareTrees
Order = UseRoot | Work | MeasureTrees | ShareWork
Answer = SharedWork | Working | FoundLinks | MeasuredTree | MeasuredTrees | MeasuredLot | ComparedTrees | FailedWork

_ORDERS: Messages[Order] = Messages(UseRoot, MeasureTree, MeasureTrees, MeasureLot, CompareTrees, ShareWork)
_ANSWERS: Messages[Answer] = Messages(
    SharedWork, Working, FoundLinks, MeasuredTree, MeasuredTrees, MeasuredLot, ComparedTrees, FailedWork
)

#: The number of a piece or of a tree in a lot, its identity and its sums.
Row = tuple[int, int, int, int, int, int, int, int, int]
_ROW = struct.Struct("<QQQqQQQQQ")
ROW_BYTES = _ROW.size


def pack_row(number: int, identity: Identity, sums: Sums) -> bytes:
    """A row of `MeasuredTrees` or of a `MeasuredLot`; raises struct.error where a number is too large for it."""
    return _ROW.pack(number, *identity, *sums)


def unpack_rows(rows: bytes) -> Iterator[Row]:
    """The rows of an answer; raises ProtocolError."""
    try:
        return _ROW.iter_unpack(rows)
    except struct.error as error:
        raise ProtocolError(str(error)) from None


def encode_orders(orders: list[Order]) -> bytes:
    """Encode orders for a worker."""
    return b"".join(_ORDERS.encode(orders))


def decode_orders(frames: list[Frame]) -> list[Order]:
    """What a pool has sent; raises ProtocolError."""
    return [order for frame in frames for order in _ORDERS.decode(frame)]


def encode_answers(answers: list[Answer]) -> bytes:
    """Encode answers for a pool."""
    return b"".join(_ANSWERS.encode(answers))


def decode_answers(frames: list[Frame]) -> list[Answer]:
    """What a worker has sent; raises ProtocolError."""
    return [answer for frame in frames for answer in _ANSWERS.decode(frame)]
