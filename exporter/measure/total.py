"""The running totals of one tree, of one part of it, and how parts become one."""

from array import array
from dataclasses import dataclass, field
from os import stat_result
from typing import NamedTuple

from exporter.core.framing import ProtocolError
from exporter.core.measured import NO_LINKS, Identity, Links, Measured, Usage

#: How many inodes with links elsewhere one tree may have: about 200 bytes of a worker's memory each.
MAX_LINKS = 2_000_000


class TooManyLinksError(Exception):
    """A tree has more multi-link inodes than are remembered: its figure would not be exact."""


class PackedTotal(NamedTuple):
    """A total as it is sent: 40 bytes for each inode of `links`, 8 for each that is `complete`; None for none.

    `sums` are size, blocks, inodes, entries and skipped mounts.
    """

    sums: tuple[int, int, int, int, int]
    links: bytes | None = None
    complete: bytes | None = None


@dataclass(slots=True)
class Total:
    """Sums of one walk. Inodes with several links are kept until all their links were seen.

    `links` is inode -> [size, blocks, links it has, links seen].
    """

    size: int = 0
    blocks: int = 0
    inodes: int = 0
    entries: int = 0
    skipped_mounts: int = 0
    links: dict[int, list[int]] = field(default_factory=dict)
    complete: set[int] = field(default_factory=set)

    def first_link(self, status: stat_result) -> bool:
        """Note one link of an inode with several; say whether it is the first in this tree.

        An inode all of whose links lie in this tree cannot be in another one: only its number is kept.
        """
        inode = status.st_ino
        if inode in self.complete:
            return False
        seen = self.links.get(inode)
        if seen is None:
            if len(self.links) + len(self.complete) >= MAX_LINKS:
                raise TooManyLinksError
            self.links[inode] = [status.st_size, status.st_blocks, status.st_nlink, 1]
            return True
        seen[3] += 1
        if seen[3] >= seen[2]:
            del self.links[inode]
            self.complete.add(inode)
        return False

    def join(self, part: "Total") -> None:
        """Add another part of the same tree; what both have links to counts once.

        Only links that were made meanwhile can be of an inode that was complete before: it was counted then. One
        complete in both parts was moved from one to the other, as a file with one link may be, and counts twice.
        """
        self.size += part.size
        self.blocks += part.blocks
        self.inodes += part.inodes
        self.entries += part.entries
        self.skipped_mounts += part.skipped_mounts
        for inode in part.complete - self.complete:
            if (mine := self.links.pop(inode, None)) is not None:
                self._uncount(mine)
            self.complete.add(inode)
        for inode, theirs in part.links.items():
            if inode in self.complete:
                self._uncount(theirs)
            elif (mine := self.links.get(inode)) is None:
                self.links[inode] = [*theirs]
            else:
                self._uncount(theirs)
                mine[3] += theirs[3]
                if mine[3] >= mine[2]:
                    del self.links[inode]
                    self.complete.add(inode)
        if len(self.links) + len(self.complete) > MAX_LINKS:
            raise TooManyLinksError

    def _uncount(self, link: list[int]) -> None:
        self.size -= link[0]
        self.blocks -= link[1]
        self.inodes -= 1

    def result(self, identity: Identity) -> Measured:
        """The figures of the whole tree."""
        return Measured(
            usage=Usage(self.size, self.blocks * 512, self.inodes),
            identity=identity,
            links=self._links(),
            entries=self.entries,
            skipped_mounts=self.skipped_mounts,
        )

    def _links(self) -> Links:
        if not self.links:
            return NO_LINKS
        # In order: the same tree is the same value, in whatever order and parts it was walked.
        ordered = sorted(self.links.items())
        return Links.of({inode: (size, 512 * blocks, count, seen) for inode, (size, blocks, count, seen) in ordered})

    def pack(self, *, alone: bool = False) -> PackedTotal:
        """Make what is sent of it; where it is `alone`, no other part is joined to it."""
        sums = (self.size, self.blocks, self.inodes, self.entries, self.skipped_mounts)
        if not self.links and (alone or not self.complete):
            return PackedTotal(sums)
        numbers = array("Q")
        for inode, link in self.links.items():
            numbers.append(inode)
            numbers.extend(link)
        complete = array("Q", () if alone else self.complete)
        return PackedTotal(
            sums,
            numbers.tobytes() if numbers else None,
            complete.tobytes() if complete else None,
        )

    @classmethod
    def unpack(cls, packed: PackedTotal) -> "Total":
        """Make a total of what `pack` made; raises ProtocolError where that is none."""
        if packed.links is None and packed.complete is None:
            return cls(*packed.sums)
        numbers = iter(_numbers(packed.links))
        try:
            links = {inode: [*link] for inode, *link in zip(*[numbers] * 5, strict=True)}
        except ValueError:
            raise ProtocolError("half a link") from None
        return cls(*packed.sums, links, {*_numbers(packed.complete)})


def _numbers(packed: bytes | None) -> "array[int]":
    numbers = array("Q")
    try:
        numbers.frombytes(packed or b"")
    except ValueError:
        raise ProtocolError("half a number") from None
    return numbers
