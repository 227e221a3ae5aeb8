"""The listings of directories, from one opening of a data root to the next."""

import os
import sys
import time
from typing import NamedTuple

from exporter.core.measured import Tree

#: The times of some filesystems have steps of two seconds: within these, a directory may change once more and keep its
#: times.
_RECENT_NANOSECONDS = 2_000_000_000

_Signature = tuple[int, int, int, int]


class _Listing(NamedTuple):
    """The names in a directory, which had this signature before it was listed.

    `settled`: its last change was some time before. Then a later one gives it another signature.
    """

    signature: _Signature
    settled: bool
    names: list[str]


class Listings:
    """What directories were listed before. One without a change since is not listed again."""

    def __init__(self) -> None:
        self._known: dict[Tree, _Listing] = {}
        self._used: set[Tree] = set()

    def names(self, tree: Tree, descriptor: int) -> list[str]:
        """The names in an open directory, sorted; raises OSError. Nobody may change the list."""
        status, now = os.fstat(descriptor), time.time_ns()
        signature = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        known = self._known.get(tree)
        self._used.add(tree)
        if known is not None and known.settled and known.signature == signature:
            return known.names
        settled = now - max(status.st_mtime_ns, status.st_ctime_ns) > _RECENT_NANOSECONDS
        found = _sorted(os.listdir(descriptor), known.names if known else [])
        self._known[tree] = _Listing(signature, settled, found)
        return found

    def end(self) -> None:
        """Forget the directories that were not asked for since the last call."""
        for tree in self._known.keys() - self._used:
            del self._known[tree]
        self._used.clear()

    def clear(self) -> None:
        """List all directories again."""
        self._known.clear()


def _sorted(names: list[str], before: list[str]) -> list[str]:
    """The names in their order; the list `before` where it has the same.

    The names are shared: the same ids stand in many places, and for as long as the exporter runs.
    """
    now = {*names}
    if len(before) == len(now) and now.issuperset(before):
        return before
    left = [name for name in before if name in now]
    return sorted((*left, *map(sys.intern, now.difference(left))))
