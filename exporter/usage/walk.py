"""One tree to one `Measured`: what `du -x` would say, in one pass, with nothing remembered per file."""

import os
import stat
from dataclasses import dataclass, field
from typing import Final

from exporter.model import Measured, Tree, Usage
from exporter.root import DataRoot
from exporter.usage.cursor import Cursor, OnError, depth_first, list_names, look


@dataclass(slots=True)
class Prune:
    """Where a walk must not go: names with nothing below are left out, the others are passed through.

    `mount` marks a mount point, to be counted in `skipped_mounts`; else it is another tree's root.
    """

    below: dict[str, "Prune"] = field(default_factory=dict)
    leaf: bool = False
    mount: bool = False

    def add(self, tree: Tree, *, mount: bool = False) -> None:
        """Leave out `tree`, given by its components from here."""
        node = self
        for name in tree:
            node = node.below.setdefault(name, Prune())
        node.leaf = True
        node.mount = node.mount or mount

    def at(self, tree: Tree) -> "Prune":
        """The part of this that lies below `tree`."""
        node = self
        for name in tree:
            node = node.below.get(name, NOTHING)
        return node


NOTHING: Final = Prune()


@dataclass(slots=True)
class _Sum:
    """The running totals of one walk. Multi-link inodes are held until all their links were seen."""

    device: int
    size: int = 0
    blocks: int = 0
    inodes: int = 0
    entries: int = 0
    skipped_mounts: int = 0
    links: dict[int, list[int]] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)

    def result(self) -> Measured:
        return Measured(
            usage=Usage(self.size, self.blocks * 512, self.inodes),
            device=self.device,
            links={inode: (size, blocks * 512) for inode, (size, blocks, _) in self.links.items()},
            entries=self.entries,
            skipped_mounts=self.skipped_mounts,
        )

    def first_link(self, status: os.stat_result) -> bool:
        """Note one link of an inode with several; say whether it is the first in this tree.

        An inode all of whose links lie in this tree cannot be in another one: only its number is kept.
        """
        inode = status.st_ino
        if inode in self.settled:
            return False
        seen = self.links.get(inode)
        if seen is None:
            self.links[inode] = [status.st_size, status.st_blocks, status.st_nlink - 1]
            return True
        seen[2] -= 1
        if seen[2] <= 0:
            del self.links[inode]
            self.settled.add(inode)
        return False


def measure(root: DataRoot, tree: Tree, prune: Prune, on_error: OnError) -> Measured:
    """Measure what stands at `tree`, a directory with all below it or a single file.

    `prune` is relative to `tree`. Raises OSError when `tree` itself cannot be looked at; what fails below
    it goes to `on_error` and is left out.
    """
    status = root.lstat(tree)
    total = _Sum(device=status.st_dev)
    _count(total, status)
    if stat.S_ISDIR(status.st_mode):
        cursor = Cursor(root.open(tree))
        try:
            depth_first(cursor, tree, _Walk(total, cursor, prune, on_error), on_error)
        finally:
            cursor.close()
    return total.result()


class _Walk:
    """Counts every directory's entries, keeping pace with the prune tree."""

    def __init__(self, total: _Sum, cursor: Cursor, prune: Prune, on_error: OnError) -> None:
        self._total = total
        self._cursor = cursor
        self._prunes = [prune]
        self._on_error = on_error

    def entered(self, name: str, status: os.stat_result) -> bool:
        self._prunes.append(self._prunes[-1].below.get(name, NOTHING))
        if status.st_dev == self._total.device:
            return True
        self._total.skipped_mounts += 1  # mounted over between the look and the step
        return False

    def left(self) -> None:
        self._prunes.pop()

    def visit(self, path: Tree) -> list[str]:
        total, descriptor, skip = self._total, self._cursor.descriptor, self._prunes[-1].below
        names = list_names(descriptor, path, self._on_error)
        total.entries += len(names)
        if skip:
            total.skipped_mounts += sum(name in skip and skip[name].mount for name in names)
            names = [name for name in names if name not in skip or not skip[name].leaf]
        directories: list[str] = []
        for name, status in look(descriptor, names, path, self._on_error):
            if status.st_dev != total.device:
                total.skipped_mounts += 1
            elif _count(total, status):
                directories.append(name)
        return directories


def _count(total: _Sum, status: os.stat_result) -> bool:
    """Add one entry to the totals; say whether it is a directory."""
    if stat.S_ISDIR(status.st_mode):
        total.blocks += status.st_blocks
        total.inodes += 1
        return True
    if status.st_nlink > 1 and not total.first_link(status):
        return False
    total.size += status.st_size
    total.blocks += status.st_blocks
    total.inodes += 1
    return False
