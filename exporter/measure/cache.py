"""What is immutable is measured once: a file beside the exporter, never below the data root.

A tree is known again by its path and the identity of its directory (device, inode, ctime): a layer that
was removed and pulled again is another one. The file is replaced as a whole; one that is damaged, foreign
or of another version is as good as none, and of two exporters that use one the last to write wins.
"""

import binascii
import contextlib
import errno
import json
import os
import stat
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from exporter.core.atomic_write import Forbidden, atomic_write, overwrite, require_replaceable
from exporter.core.links import Links
from exporter.core.measured import Identity, Measured, Tree, Usage, root_of

_VERSION = 3
_MAX_BYTES = 256 * 1024 * 1024
#: Bytes of links of all trees: they are encoded and written at once. Trees with more are measured again.
_MAX_LINK_BYTES = 4 << 20
#: Seconds after which a file that could not be written is tried again.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0
_LARGEST = 2**63

Sized = tuple[Identity, int]


class Cache:
    """Measured trees and differences of image layers that survive a restart."""

    def __init__(self, path: str | None, forbidden: Forbidden | None = None, *, in_place: bool = False) -> None:
        """`path`: the file; None keeps nothing. `forbidden` says of a directory that nothing may be written there.

        `in_place`: this process may write to the file only, and to nothing beside it.
        """
        self.path = path
        self._in_place = in_place
        self._forbidden = forbidden
        self._trees: dict[Tree, Measured] = {}
        self._sizes: dict[Tree, Sized] = {}
        self.changed = False
        #: Why the file could not be written the last time; "" where it could.
        self.error = ""
        self._pause = 0.0
        self._not_before = 0.0
        if path is not None:
            self._load(path)

    def __len__(self) -> int:
        return len(self._trees)

    def tree(self, tree: Tree, identity: Identity) -> Measured | None:
        """What is known of a tree that has this identity now."""
        known = self._trees.get(tree)
        return known if known is not None and known.identity == identity else None

    def size(self, tree: Tree, identity: Identity) -> int | None:
        """The difference in bytes that was taken for the layer with this tree."""
        known = self._sizes.get(tree)
        return known[1] if known is not None and known[0] == identity else None

    def update(self, trees: Mapping[Tree, Measured], sizes: Mapping[Tree, Sized]) -> None:
        """Hold these and nothing else from now on."""
        if self.path is None:
            return
        kept, left = {}, _MAX_LINK_BYTES
        for tree, one in trees.items():
            left -= (size := one.links.packed_size)
            if left >= 0 or not size:
                kept[tree] = one
        if kept != self._trees or sizes != self._sizes:
            self._trees, self._sizes = kept, dict(sizes)
            self.changed = True

    def save(self) -> None:
        """Write what has changed. Where that fails, `error` says why, and it is tried again after 5, 10 ... 60 s."""
        if self.path is None or not self.changed or time.monotonic() < self._not_before:
            return
        try:
            self._write(self.path)
        except OSError as error:
            self.error = error.strerror or str(error)
            self._pause = min(max(2 * self._pause, _SHORTEST_PAUSE), _LONGEST_PAUSE)
            self._not_before = time.monotonic() + self._pause
        else:
            self.changed = False
            self.error = ""
            self._pause = 0.0

    def _write(self, path: str) -> None:
        directory = os.path.dirname(os.path.abspath(path))
        if self._forbidden is not None and self._forbidden(directory):
            raise OSError(errno.EPERM, "it is in the data root, where nothing is written", path)
        if self._in_place:
            overwrite(path, _encode(self._trees, self._sizes))
            return
        os.makedirs(directory, mode=0o700, exist_ok=True)
        atomic_write(path, _encode(self._trees, self._sizes), mode=0o600, forbidden=self._forbidden)

    def _load(self, path: str) -> None:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError, MemoryError, zlib.error):
            self._trees, self._sizes = _decode(_read(path))


def _read(path: str) -> bytes:
    require_replaceable(path)  # before it is opened, which may do something to a device
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError
    return content


def _encode(trees: Mapping[Tree, Measured], sizes: Mapping[Tree, Sized]) -> bytes:
    body = {
        "trees": [
            [
                _name(tree),
                one.identity,
                [one.usage.size, one.usage.allocated, one.usage.inodes, one.entries, one.skipped_mounts],
                [binascii.b2a_base64(block, newline=False).decode() for block in one.links.blocks],
            ]
            for tree, one in trees.items()
        ],
        "sizes": [[_name(tree), identity, size] for tree, (identity, size) in sizes.items()],
    }
    raw = json.dumps(body, separators=(",", ":")).encode()
    return json.dumps({"version": _VERSION, "checksum": zlib.crc32(raw)}).encode() + b"\n" + raw


def _decode(content: bytes) -> tuple[dict[Tree, Measured], dict[Tree, Sized]]:
    """Read what `_encode` wrote; raises ValueError, TypeError or KeyError for anything else."""
    head, _, raw = content.partition(b"\n")
    header = json.loads(head)
    if header["version"] != _VERSION or header["checksum"] != zlib.crc32(raw):
        raise ValueError
    body = json.loads(raw)
    trees = {}
    for name, identity, numbers, links in body["trees"]:
        size, allocated, inodes, entries, skipped = (_number(number) for number in numbers)
        packed = Links.received(binascii.a2b_base64(block, strict_mode=True) for block in links)
        usage = Usage(size, allocated, inodes)
        trees[_tree(name)] = Measured(usage, _identity(identity), packed, entries, skipped)
    sizes = {_tree(name): (_identity(identity), _number(size)) for name, identity, size in body["sizes"]}
    return trees, sizes


def _name(tree: Tree) -> str | list[str]:
    """A path as text. One in a further root has that of the root apart."""
    top = root_of(tree)
    return [top[0], "/".join(tree[1:])] if top else "/".join(tree)


def _tree(name: Any) -> Tree:
    if isinstance(name, list):
        top, below = map(_text, name)
        return (top, *below.split("/"))
    return tuple(_text(name).split("/"))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _identity(value: Any) -> Identity:
    device, inode, changed = value
    return _number(device), _number(inode), _number(changed)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST * 2:
        raise ValueError
    return value


def identities(trees: list[Tree], lstat: Callable[[Tree], os.stat_result]) -> dict[Tree, Identity]:
    """The identities of the roots of trees. A tree whose lstat fails is left out."""
    found: dict[Tree, Identity] = {}
    for tree in trees:
        with contextlib.suppress(OSError):
            status = lstat(tree)
            found[tree] = (status.st_dev, status.st_ino, status.st_ctime_ns)
    return found
