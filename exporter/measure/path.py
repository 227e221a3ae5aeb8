"""The names on the way to the directory at which a walk stands, in little memory at any depth."""

import os
from array import array

from exporter.core.measured import Tree

#: So many names are kept as they are, the deeper ones as bytes: of a walk that is a million levels deep, too.
_TOP = 1024
#: Of a longer path, people are shown so many names at its beginning and at its end.
_SHOWN = 16
LEFT_OUT = "..."


class Path:
    """A path below the top of a walk."""

    def __init__(self) -> None:
        self._top: list[str] = []
        self._deep = bytearray()
        self._lengths = array("H")

    def __len__(self) -> int:
        return len(self._top) + len(self._lengths)

    def push(self, name: str) -> None:
        """Go down."""
        if len(self._top) < _TOP:
            self._top.append(name)
            return
        raw = os.fsencode(name)
        self._deep += raw
        self._lengths.append(len(raw))

    def pop(self) -> None:
        """Go up."""
        if not self._lengths:
            self._top.pop()
        elif length := self._lengths.pop():
            del self._deep[-length:]

    def names(self, depth: int) -> Tree:
        """The first `depth` names."""
        found, at = self._top[:depth], 0
        for length in self._lengths[: max(0, depth - _TOP)]:
            found.append(os.fsdecode(bytes(self._deep[at : at + length])))
            at += length
        return tuple(found)

    def shown(self, *more: str) -> Tree:
        """The path with further names, for people: names in the middle are left out where there are too many."""
        if len(self) <= 2 * _SHOWN:
            return (*self._top, *more)
        return (*self._top[:_SHOWN], LEFT_OUT, *self._last(), *more)

    def _last(self) -> list[str]:
        found: list[str] = []
        end = len(self._deep)
        for length in reversed(self._lengths[-_SHOWN:]):
            found.append(os.fsdecode(bytes(self._deep[end - length : end])))
            end -= length
        found.reverse()
        return [*self._top[len(self._top) - (_SHOWN - len(found)) :], *found]
