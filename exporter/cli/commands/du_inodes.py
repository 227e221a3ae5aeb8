"""Sets of inodes in little memory: a tree may have millions with several links."""

from array import array
from bisect import bisect_left
from heapq import merge

#: So many numbers are looked up in a set; the others are packed, 8 bytes each.
_RECENT = 65_536


class Inodes:
    """A set of inode numbers in little memory."""

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._packed: list[array[int]] = []

    def __contains__(self, inode: int) -> bool:
        if inode in self._recent:
            return True
        for some in self._packed:
            at = bisect_left(some, inode)
            if at < len(some) and some[at] == inode:
                return True
        return False

    def add(self, inode: int) -> bool:
        """Add a number; return whether it was not in the set."""
        if inode in self:
            return False
        self._recent.add(inode)
        if len(self._recent) >= _RECENT:
            self._packed.append(array("Q", sorted(self._recent)))
            self._recent.clear()
            while len(self._packed) > 1 and len(self._packed[-2]) <= len(self._packed[-1]):
                last, before = self._packed.pop(), self._packed.pop()
                self._packed.append(array("Q", merge(before, last)))
        return True


class Seen:
    """The inodes with several links that were counted, by device: several trees of one object count each once."""

    def __init__(self) -> None:
        self._by_device: dict[int, Inodes] = {}

    def of(self, device: int) -> Inodes:
        """Those of one device."""
        return self._by_device.setdefault(device, Inodes())
