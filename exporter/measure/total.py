"""The running totals of one tree, of one part of it, and how parts become one."""

from collections.abc import Iterator
from itertools import chain
from os import stat_result

from exporter.core.framing import ProtocolError
from exporter.core.links import NO_LINKS, Links, Row, sweep
from exporter.core.measured import Identity, Measured, usage_of

#: How many inodes with several links one tree may have.
MAX_LINKS = 2_000_000
#: So many of them are looked up in memory; the others are packed, and joined from time to time.
_RECENT = 4_096
#: Packed rows are joined when they are twice as many as after the last time, and so many more.
_LEAST = 262_144
#: So many blocks of links are sent at once: some hundred kilobytes.
_BLOCKS_SENT = 16

#: Size, blocks, inodes, entries and skipped mounts.
Sums = tuple[int, int, int, int, int]


def unlinked(identity: Identity, sums: Sums) -> Measured:
    """The figures of a tree without links to others."""
    size, blocks, inodes, entries, skipped = sums
    return Measured(usage_of(size, 512 * blocks, inodes), identity, NO_LINKS, entries, skipped)


class TooManyLinksError(Exception):
    """A tree has more multi-link inodes than are remembered: its figure would not be exact."""


class Total:
    """Sums of one walk. Inodes with several links are kept, packed, about 12 bytes each.

    An inode is looked for among those that were met last. One that was packed before counts once more when another link
    is met, until the packed ones are joined: sums with links are right after `settle`.
    """

    def __init__(
        self, size: int = 0, blocks: int = 0, inodes: int = 0, entries: int = 0, skipped_mounts: int = 0
    ) -> None:
        self.size = size
        self.blocks = blocks
        self.inodes = inodes
        self.entries = entries
        self.skipped_mounts = skipped_mounts
        #: inode -> [size, blocks, links it has, links seen].
        self._recent: dict[int, list[int]] = {}
        self._packed: list[Links] = []
        self._rows = 0
        self._join_at = _LEAST

    @property
    def has_links(self) -> bool:
        """Whether an inode with several links was met."""
        return bool(self._recent or self._packed)

    def first_link(self, status: stat_result) -> bool:
        """Note one link of an inode with several; say whether to count it."""
        inode = status.st_ino
        known = self._recent.get(inode)
        if known is not None:
            known[3] += 1
            return False
        if len(self._recent) >= _RECENT:
            self._pack_recent()
        self._recent[inode] = [status.st_size, status.st_blocks, status.st_nlink, 1]
        return True

    def _pack_recent(self) -> None:
        if self._recent:
            inodes = sorted(self._recent)
            sizes, blocks, links, seen = zip(*[self._recent[inode] for inode in inodes], strict=True)
            self._add(Links.columns(inodes, sizes, [512 * one for one in blocks], links, seen))
            self._recent.clear()

    def _add(self, links: Links) -> None:
        self._packed.append(links)
        self._rows += len(links)
        if self._rows > self._join_at:
            self._join()
            self._join_at = 2 * self._rows + _LEAST

    def _join(self) -> None:
        """Make one of the packed parts: what several of them have counts once."""
        if len(self._packed) > 1:
            self._packed = [Links.packed(self._joined(self._packed))]
        self._rows = sum(map(len, self._packed))
        if self._rows > MAX_LINKS:
            raise TooManyLinksError

    def _joined(self, parts: list[Links]) -> Iterator[Row]:
        """Yield each inode once.

        Only links that were made meanwhile can be of an inode all of whose links were seen in one part: it was counted
        there. One complete in two parts was moved from one to the other, as a file with one link may be, and counts
        twice.
        """
        for pieces in sweep(parts):
            last: Row | None = None
            for row in sorted(chain.from_iterable(piece.rows() for piece in pieces)):
                if last is None:
                    last = row
                elif last[0] == row[0]:
                    last = self._one_of(last, row)
                else:
                    yield last
                    last = row
            if last is not None:
                yield last

    def _one_of(self, one: Row, other: Row) -> Row:
        """Make one row of two for the same inode, and count it once."""
        inode, _, _, links, seen = one
        if seen >= links:
            if other[4] < other[3]:
                self._uncount(other)
            return one
        self._uncount(one)
        if other[4] >= other[3]:
            return other
        return inode, other[1], other[2], max(links, other[3]), seen + other[4]

    def _uncount(self, row: Row) -> None:
        self.size -= row[1]
        self.blocks -= row[2] // 512
        self.inodes -= 1

    def join(self, part: "Total") -> None:
        """Add another part of the same tree."""
        self.size += part.size
        self.blocks += part.blocks
        self.inodes += part.inodes
        self.entries += part.entries
        self.skipped_mounts += part.skipped_mounts
        part._pack_recent()  # noqa: SLF001 - of its own kind
        for links in part._packed:  # noqa: SLF001
            self._add(links)

    def settle(self) -> None:
        """Have each inode counted once. Raises TooManyLinksError."""
        self._pack_recent()
        self._join()

    def result(self, identity: Identity) -> Measured:
        """The figures of the whole tree."""
        self.settle()
        return Measured(
            usage=usage_of(self.size, self.blocks * 512, self.inodes),
            identity=identity,
            links=self._elsewhere(),
            entries=self.entries,
            skipped_mounts=self.skipped_mounts,
        )

    def _elsewhere(self) -> Links:
        """The inodes with links that were not seen. All others cannot be in another tree."""
        return Links.packed(row for one in self._packed for row in one.rows() if row[4] < row[3])

    def sums(self) -> Sums:
        """What is sent of it beside the links, after `settle`."""
        return self.size, self.blocks, self.inodes, self.entries, self.skipped_mounts

    def take_links(self, *, alone: bool) -> Iterator[list[bytes]]:
        """Settle, and yield the links as they are sent; they are forgotten.

        Where it is `alone`, no other part is joined to it: then only links to other trees are sent.
        """
        self.settle()
        if alone:
            self._packed = [self._elsewhere()]
        blocks = [*self._packed[0].blocks] if self._packed else []
        self._packed.clear()
        blocks.reverse()
        while blocks:
            some = blocks[-_BLOCKS_SENT:]
            del blocks[-_BLOCKS_SENT:]
            some.reverse()
            yield some

    @classmethod
    def of(cls, sums: Sums, blocks: list[bytes]) -> "Total":
        """Make a total of what was sent; raises ProtocolError where that is none."""
        total = cls(*sums)
        if blocks:
            try:
                total._packed = [Links.received(blocks)]
            except ValueError as error:
                raise ProtocolError(str(error)) from None
            total._rows = len(total._packed[0])
        return total
