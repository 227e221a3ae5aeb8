"""Writes a bolt database as bbolt does: page by page, in the order of its commits, on the pages that it would take.

Facts: etcd-io/bbolt v1.3 db.go (beginRWTx, freePages, allocate), tx.go (Commit, write, writeMeta), freelist.go
(allocate, free, release). A commit writes the pages that have changed to free ones, the lowest first, then the free
list, then one meta page. With no reader open, what commit N has freed is free for commit N+1, that is, before state
N is the newest but one.
"""

import struct
from collections.abc import Iterator

from exporter.demo.bolt import PAGE, leaf, meta

#: One write: an offset and bytes.
Write = tuple[int, bytes]
_ROWS = 8  # in a leaf
_FREE_LIST = struct.Struct("<QHHI")


class BoltWriter:
    """One database: a bucket `rows` with branch and leaf pages of its own."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self._transaction = 1
        self._end = 4  # the high water mark
        self._free: set[int] = set()
        self._leaves: dict[int, tuple[int, dict[str, bytes]]] = {}
        self._others: list[int] = [2, 3]  # the free list and the tops

    def first(self) -> bytes:
        """The file as it is made: without any bucket."""
        empty = leaf(3, {}).ljust(PAGE, b"\0")
        return meta(0, 0) + meta(1, 1) + _free_list(2, set()) + empty

    def commit(self, rows: dict[str, bytes]) -> Iterator[Write]:
        """The writes of the commit that makes these the rows of the bucket."""
        self._transaction += 1
        freed, written, leaves = list(self._others), {}, {}
        for index, part in enumerate(_parts(rows)):
            number, before = self._leaves.get(index, (0, None))
            if part != before:
                number = self._allocate()
                written[number] = leaf(number, dict(part))
            leaves[index] = (number, part)
        freed += [number for index, (number, _) in self._leaves.items() if leaves.get(index, (0,))[0] != number]
        top, root, free = self._allocate(), self._allocate(), self._allocate()
        below = b"".join(struct.pack("<IIQ", 0, 0, number) for number, _ in leaves.values())
        written[top] = struct.pack("<QHHI", top, 1, len(leaves), 0) + below
        bucket = struct.pack("<IIII", 1, 16, 4, 16) + b"rows" + struct.pack("<QQ", top, 0)
        written[root] = struct.pack("<QHHI", root, 2, 1, 0) + bucket
        self._leaves, self._others, self.rows = leaves, [top, root, free], rows
        for number in sorted(written):
            yield number * PAGE, written[number].ljust(PAGE, b"\0")
        yield free * PAGE, _free_list(free, self._free | set(freed))
        yield self._transaction % 2 * PAGE, meta(self._transaction % 2, self._transaction, root, self._end)
        self._free |= set(freed)  # what this commit has freed the next one takes

    def _allocate(self) -> int:
        if self._free:
            number = min(self._free)
            self._free.remove(number)
            return number
        self._end += 1
        return self._end - 1


def _parts(rows: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
    names = sorted(rows)
    for start in range(0, max(len(names), 1), _ROWS):
        yield {name: rows[name] for name in names[start : start + _ROWS]}


def _free_list(number: int, free: set[int]) -> bytes:
    content = _FREE_LIST.pack(number, 16, len(free), 0) + struct.pack(f"<{len(free)}Q", *sorted(free))
    return content.ljust(PAGE, b"\0")
