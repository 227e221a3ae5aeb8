"""Writes small bolt databases: two meta pages, a free list, and one leaf page with inline buckets.

Facts: bbolt 1.3 page.go, db.go (meta), bucket.go (inline buckets), freelist.go.
"""

import os
import struct
from collections.abc import Mapping
from pathlib import Path

PAGE = 4096
#: A bucket: values and further buckets by name.
Tree = Mapping[str, "bytes | Tree"]


def fnv(data: bytes) -> int:
    """The checksum of a meta page: FNV-1a of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def meta(number: int, transaction: int, root: int = 3, pages: int = 4) -> bytes:
    """A meta page; of both, the one with the higher transaction number is valid."""
    summed = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, PAGE, 0, root, 0, 2, pages, transaction)
    return (struct.pack("<QHHI", number, 4, 0, 0) + summed + struct.pack("<Q", fnv(summed))).ljust(PAGE, b"\0")


def leaf(number: int, tree: Tree) -> bytes:
    """A leaf page, or with number 0 the page of an inline bucket."""
    items = []
    for name, value in sorted(tree.items()):
        inner = value if isinstance(value, bytes) else struct.pack("<QQ", 0, 0) + leaf(0, value)
        items.append((0 if isinstance(value, bytes) else 1, name.encode(), inner))
    size = sum(len(key) + len(value) for _, key, value in items) + 16 * (len(items) + 1)
    overflow = (size - 1) // PAGE if number else 0
    page, data = struct.pack("<QHHI", number, 2, len(items), overflow), b""
    for index, (flags, key, value) in enumerate(items):
        offset = 16 * (len(items) - index) + len(data)
        page += struct.pack("<IIII", flags, offset, len(key), len(value))
        data += key + value
    return page + data


def bolt(tree: Tree) -> bytes:
    """A whole database with these buckets."""
    root = leaf(3, tree)
    pages = 3 + (len(root) + PAGE - 1) // PAGE
    free = struct.pack("<QHHI", 2, 16, 0, 0).ljust(PAGE, b"\0")
    metas = meta(0, 6, pages=pages) + meta(1, 7, pages=pages)
    return metas + free + root.ljust((pages - 3) * PAGE, b"\0")


def write_bolt(path: Path, tree: Tree) -> None:
    """Write a database and rename it into place, so that a reader sees the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name("." + path.name)
    made.write_bytes(bolt(tree))
    os.replace(made, path)
