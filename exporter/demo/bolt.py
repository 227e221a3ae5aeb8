"""Writes bolt databases: two meta pages, a free list, and for each bucket leaf and branch pages of its own.

A bucket without further buckets that takes at most a quarter of a page lies in its parent's page.
Facts: bbolt 1.3 page.go, db.go (meta), bucket.go (inline buckets), node.go (split, write), freelist.go.
"""

import os
import struct
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

PAGE = 4096
#: A bucket: values and further buckets by name. A name is a text or bytes; a value is bytes, or a bucket.
Tree = Mapping[Any, Any]

_LEAF, _BRANCH = 2, 1
_LARGEST_INLINE = PAGE // 4
_FIRST = 3
#: A leaf page with more bytes than this ends before one in so many keys.
_SMALLEST, _ONE_IN = PAGE // 4, 16
#: One element of a leaf: 1 for a bucket, key, value.
_Element = tuple[int, bytes, bytes]


def fnv(data: bytes) -> int:
    """The checksum of a meta page: FNV-1a of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def meta(number: int, transaction: int, root: int = _FIRST, pages: int = 4) -> bytes:
    """A meta page; of both, the one with the higher transaction number is valid."""
    summed = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, PAGE, 0, root, 0, 2, pages, transaction)
    return (struct.pack("<QHHI", number, 4, 0, 0) + summed + struct.pack("<Q", fnv(summed))).ljust(PAGE, b"\0")


def leaf(number: int, tree: Tree) -> bytes:
    """A leaf page with all that is in a bucket, or with number 0 the page of an inline bucket."""
    items = []
    for name, value in _sorted(tree):
        inner = value if isinstance(value, bytes) else struct.pack("<QQ", 0, 0) + leaf(0, value)
        items.append((0 if isinstance(value, bytes) else 1, name, inner))
    return _leaf_page(number, items)


def bolt(tree: Tree) -> bytes:
    """A whole database with these buckets."""
    pages = _State()
    root = pages.tree(pages.elements(tree))
    head = meta(0, 6, root, pages.end) + meta(1, 7, root, pages.end) + _free_list()
    return head + b"".join(page for _, page in sorted(pages.written.items()))


def write_bolt(path: Path, tree: Tree) -> None:
    """Write a database and rename it into place, so that a reader sees the old or the new one.

    One that has these contents is left alone, as an engine leaves one in which nothing changes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = bolt(tree)
    if path.exists() and path.read_bytes() == content:
        return
    made = path.with_name("." + path.name)
    made.write_bytes(content)
    os.replace(made, path)


class BoltFile:
    """A database that is written several times as bbolt does it: what has not changed stays in its pages.

    A commit writes pages that the present state does not use, and then a meta page.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = _State()
        self._state.tree([])
        self._transaction = 1

    def write(self, tree: Tree) -> None:
        """Commit a state of the database, unless it is the one that is there; raises OSError."""
        state = _State(self._state)
        root = state.tree(state.elements(tree))
        if not state.written and self._path.exists():
            return
        self._transaction += 1
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_bytes(meta(0, 0) + meta(1, 1) + _free_list() + leaf(_FIRST, {}).ljust(PAGE, b"\0"))
        with self._path.open("r+b") as file:
            for number, page in sorted(state.written.items()):
                os.pwrite(file.fileno(), page, number * PAGE)
            newest = meta(self._transaction % 2, self._transaction, root, state.end)
            os.pwrite(file.fileno(), newest, self._transaction % 2 * PAGE)
        self._state = state


def _free_list() -> bytes:
    return struct.pack("<QHHI", 2, 16, 0, 0).ljust(PAGE, b"\0")


class _State:
    """The pages of one state of a database. Those that the state before has stay where they are; `written` are new.

    No page has the number `end` or a higher one. `places` are the numbers of the pages by what is in them.
    """

    def __init__(self, before: "_State | None" = None) -> None:
        self.written: dict[int, bytes] = {}
        self.end: int = before.end if before else _FIRST
        self.used: set[int] = set()
        self.places: dict[bytes, list[int]] = defaultdict(list)
        self._old = {body: numbers[::-1] for body, numbers in before.places.items()} if before else {}
        busy = before.used if before else ()
        self._free = [number for number in range(self.end - 1, _FIRST - 1, -1) if number not in busy]

    def elements(self, tree: Tree) -> list[_Element]:
        """The elements of a bucket, after the pages of the buckets in it were written."""
        return [
            (0, name, value) if isinstance(value, bytes) else (1, name, self._bucket(value))
            for name, value in _sorted(tree)
        ]

    def tree(self, elements: list[_Element]) -> int:
        """Write a bucket's leaf pages and the branch pages above them; return the number of the first page."""
        level = [(part[0][1] if part else b"", self._add(_leaf_page(1, part))) for part in _parts(elements)]
        while len(level) > 1:
            most = max(2, PAGE // (16 + max(len(key) for key, _ in level)) - 1)
            level = [self._branch(level[at : at + most]) for at in range(0, len(level), most)]
        return level[0][1]

    def _bucket(self, tree: Tree) -> bytes:
        """The value of a bucket: the number of its first page, or its only page itself."""
        elements = self.elements(tree)
        size = sum(16 + len(key) + len(value) for _, key, value in elements) + 16
        if size <= _LARGEST_INLINE and not any(flags for flags, _, _ in elements):
            return struct.pack("<QQ", 0, 0) + _leaf_page(0, elements)
        return struct.pack("<QQ", self.tree(elements), 0)

    def _branch(self, below: list[tuple[bytes, int]]) -> tuple[bytes, int]:
        size = 16 + sum(16 + len(key) for key, _ in below)
        page, data = struct.pack("<QHHI", 1, _BRANCH, len(below), (size - 1) // PAGE), b""
        for index, (key, number) in enumerate(below):
            page += struct.pack("<IIQ", 16 * (len(below) - index) + len(data), len(key), number)
            data += key
        return below[0][0], self._add(page + data)

    def _add(self, page: bytes) -> int:
        """Have a page somewhere: where it is already, on a free page, or at the end. Its number is written here."""
        body = page[8:]
        count = -(-len(page) // PAGE)
        if known := self._old.get(body):
            number = known.pop()
        else:
            number = self._free.pop() if count == 1 and self._free else self.end
            self.end = max(self.end, number + count)
            self.written[number] = (struct.pack("<Q", number) + body).ljust(count * PAGE, b"\0")
        self.places[body].append(number)
        self.used.update(range(number, number + count))
        return number


def _sorted(tree: Tree) -> list[tuple[bytes, bytes | Tree]]:
    names = ((name if isinstance(name, bytes) else name.encode(), value) for name, value in tree.items())
    return sorted(names, key=lambda one: one[0])


def _parts(elements: list[_Element]) -> list[list[_Element]]:
    """Split elements into those of each leaf page; an element that is larger than a page has pages of its own.

    Some keys are always the first of a page. So one more element changes the pages around it and no others, as where
    bbolt splits one page into two.
    """
    parts: list[list[_Element]] = [[]]
    size = 16
    for element in elements:
        needed = 16 + len(element[1]) + len(element[2])
        begins = size > _SMALLEST and crc32(element[1]) % _ONE_IN == 0
        if parts[-1] and (begins or size + needed > PAGE):
            parts.append([])
            size = 16
        parts[-1].append(element)
        size += needed
    return parts


def _leaf_page(number: int, elements: list[_Element]) -> bytes:
    size = sum(len(key) + len(value) for _, key, value in elements) + 16 * (len(elements) + 1)
    overflow = (size - 1) // PAGE if number else 0
    page, data = [struct.pack("<QHHI", number, _LEAF, len(elements), overflow)], []
    at = 0
    for index, (flags, key, value) in enumerate(elements):
        page.append(struct.pack("<IIII", flags, 16 * (len(elements) - index) + at, len(key), len(value)))
        data += [key, value]
        at += len(key) + len(value)
    return b"".join([*page, *data])
