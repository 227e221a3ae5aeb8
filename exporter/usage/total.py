"""The running totals of one tree, of one part of it, and how parts become one."""

from dataclasses import dataclass, field
from os import stat_result
from typing import Any

from exporter.measured import NO_LINKS, Identity, Links, Measured, Usage

#: How many inodes with links elsewhere one tree may have: about 200 bytes of a worker's memory each.
MAX_LINKS = 2_000_000


class TooManyLinksError(Exception):
    """A tree has more multi-link inodes than are remembered: its figure would not be exact."""


@dataclass(slots=True)
class Total:
    """Sums of one walk. Inodes with several links are held until all their links were seen.

    `links` is inode -> [size, blocks, links it has, links seen].
    """

    size: int = 0
    blocks: int = 0
    inodes: int = 0
    entries: int = 0
    skipped_mounts: int = 0
    links: dict[int, list[int]] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)

    def first_link(self, status: stat_result) -> bool:
        """Note one link of an inode with several; say whether it is the first in this tree.

        An inode all of whose links lie in this tree cannot be in another one: only its number is kept.
        """
        inode = status.st_ino
        if inode in self.settled:
            return False
        seen = self.links.get(inode)
        if seen is None:
            if len(self.links) + len(self.settled) >= MAX_LINKS:
                raise TooManyLinksError
            self.links[inode] = [status.st_size, status.st_blocks, status.st_nlink, 1]
            return True
        seen[3] += 1
        if seen[3] >= seen[2]:
            del self.links[inode]
            self.settled.add(inode)
        return False

    def join(self, part: "Total") -> None:
        """Add another part of the same tree; what both have links to counts once."""
        self.size += part.size
        self.blocks += part.blocks
        self.inodes += part.inodes
        self.entries += part.entries
        self.skipped_mounts += part.skipped_mounts
        if len(self.links) + len(part.links) > MAX_LINKS:
            raise TooManyLinksError
        for inode, (size, blocks, count, seen) in part.links.items():
            mine = self.links.get(inode)
            if mine is None:
                self.links[inode] = [size, blocks, count, seen]
                continue
            self.size -= size
            self.blocks -= blocks
            self.inodes -= 1
            mine[3] += seen
            if mine[3] >= mine[2]:
                del self.links[inode]

    def result(self, identity: Identity) -> Measured:
        """Say what the whole tree comes to."""
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

    def pack(self) -> tuple[Any, ...]:
        """Make plain values of it, to send."""
        return (self.size, self.blocks, self.inodes, self.entries, self.skipped_mounts, self.links)

    @classmethod
    def unpack(cls, packed: tuple[Any, ...]) -> "Total":
        """Make a total of what `pack` made."""
        return cls(*packed)
