"""Symbolic links in the place of parts of a data root. They are not followed; it is said where they lead.

Engines follow some of these: with `volumes`, `containers` or `image` as a link Docker 20.10 works, with that of a graph
driver it lists images and starts nothing.
"""

import os
from collections.abc import Callable, Mapping, Sequence

from exporter.core.data_root import DataRoot
from exporter.core.measured import Tree
from exporter.core.model import Remark, RemarkKind
from exporter.core.mountinfo import MountPoint, mount_of
from exporter.inventory.areas import paths_of, table

#: As many links as Linux follows in one path (path_resolution(7)).
_MOST_LINKS = 40


def links(root: DataRoot, others: Mapping[Tree, str]) -> tuple[Remark, ...]:
    """The links in the place of known parts, and `others` that readers have met, by path. Each with its target."""
    found = {**others, **_parts(root)}
    way = Way(root.mountinfo, root.answers)
    return tuple(_remark(root, tree, found[tree], way) for tree in sorted(found))


def _parts(root: DataRoot) -> dict[Tree, str]:
    """The known parts in whose place a link stands, by path."""
    found: dict[Tree, str] = {}
    directories: set[Tree] = {()}
    for area in sorted(table().areas, key=lambda one: len(one.path)):
        for path in paths_of(root, area.path):
            for tree in (path[:end] for end in range(1, len(path) + 1)):
                if tree in directories or tree in found or tree[:-1] not in directories:
                    continue
                if (target := root.link(tree)) is not None:
                    found[tree] = target
                elif root.is_directory(tree):
                    directories.add(tree)
    return found


def _remark(root: DataRoot, tree: Tree, target: str, way: "Way") -> Remark:
    around = os.path.join(root.path, *tree[:-1])
    return Remark(RemarkKind.LINK, tree, target, way.end(os.path.join(around, target)))


class Way:
    """Finds where a path leads, and asks each filesystem on the way first whether it answers."""

    def __init__(self, mounts: Sequence[MountPoint], answers: Callable[[str], bool]) -> None:
        self._mounts = mounts
        self._answers = answers
        self._asked: dict[str, bool] = {}

    def end(self, path: str) -> str:
        """The path without links; "" where that does not exist, or cannot be looked at."""
        done, left, links_left = "/", _names(path), _MOST_LINKS
        while left:
            name, left = left[0], left[1:]
            if name == "..":
                done = os.path.dirname(done)
                continue
            at = os.path.join(done, name)
            try:
                target = self._target(at)
            except OSError:
                return ""
            if target is None:
                done = at
            elif links_left:
                links_left -= 1
                done, left = "/" if target.startswith("/") else done, [*_names(target), *left]
            else:
                return ""
        return done

    def _target(self, path: str) -> str | None:
        """Where a link points; None for all else. Raises OSError, also where its filesystem does not answer."""
        mount = mount_of(path, self._mounts)
        if mount is not None and mount.path != "/" and not self._does_answer(mount.path):
            raise TimeoutError
        try:
            return os.readlink(path)
        except OSError:
            os.lstat(path)
            return None

    def _does_answer(self, mount: str) -> bool:
        if mount not in self._asked:
            self._asked[mount] = self._answers(mount)
        return self._asked[mount]


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]
