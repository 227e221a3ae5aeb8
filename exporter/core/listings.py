"""The listings of directories, from one opening of a data root to the next."""

import os
import stat
import sys
import time
from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from exporter.core.measured import Tree

#: The times of some filesystems have steps of two seconds: within these, a directory may change once more and keep its
#: times.
_RECENT_NANOSECONDS = 2_000_000_000

T = TypeVar("T", str, Tree)
_Signature = tuple[int, int, int, int]


_NONE: frozenset[str] = frozenset()
#: The links of a directory without one in it, or on a filesystem that does not count them.
_NO_DIRECTORY = 2


class Names(list[str]):
    """The sorted names in a directory, which nobody changes. It knows which of them came or went since the one before.

    That one is known by its mark alone, so that it is not kept.
    """

    __slots__ = ("_as_set", "_before", "_changed", "_mark")

    def __init__(
        self,
        names: Iterable[str] = (),
        before: "Names | None" = None,
        changed: Iterable[str] = (),
        as_set: frozenset[str] | None = None,
    ) -> None:
        """`changed`: the names that are only in this listing, or only in the one `before`. `as_set`: see there."""
        super().__init__(names)
        self._mark = object()
        # Since an empty one all came: they are not kept a second time.
        self._before = before._mark if before else None  # noqa: SLF001 - of its own kind
        self._changed = frozenset(changed) if before else _NONE
        self._as_set = as_set

    @property
    def as_set(self) -> frozenset[str]:
        """The names as a set, the same object each time."""
        if self._as_set is None:
            self._as_set = frozenset(self)
        return self._as_set

    def set_with(self, came: Collection[str], gone: frozenset[str]) -> frozenset[str] | None:
        """The same set with others, where somebody has asked for it. Most listings never are."""
        if not self or self._as_set is None:
            return None
        return (self._as_set.difference(gone) if gone else self._as_set).union(came)

    def __contains__(self, name: object) -> bool:
        at = bisect_left(self, name) if isinstance(name, str) else len(self)
        return at < len(self) and self[at] == name

    def since(self, old: Sequence[str]) -> frozenset[str]:
        """The names that are in one of these listings only."""
        if self is old:
            return _NONE
        if isinstance(old, Names) and old._mark is self._before:  # noqa: SLF001 - of its own kind
            return self._changed
        return frozenset(self).symmetric_difference(old)


_NO_NAMES = Names()


class _Listing(NamedTuple):
    """The names in a directory, which had this signature before it was listed.

    `settled`: its last change was some time before. Then a later one gives it another signature.
    `links`: st_nlink, on most filesystems one for each directory in it and two more.
    `followed`: it is made of a listing before and of what was told since.
    """

    signature: _Signature
    settled: bool
    names: Names
    links: int
    followed: bool = False


class Listings:
    """What directories were listed before. One without a change since is not listed again."""

    def __init__(self) -> None:
        self._known: dict[Tree, _Listing] = {}
        self._used: set[Tree] = set()
        self._told: Mapping[Tree, Collection[str]] = {}
        self._corrected: set[Tree] = set()

    @property
    def followed(self) -> list[Tree]:
        """The directories of which the last listing is made of one before."""
        return [tree for tree, known in self._known.items() if known.followed]

    def take_corrected(self) -> set[Tree]:
        """The directories in which there was something else than had been told, as was found since the last call."""
        corrected, self._corrected = self._corrected, set()
        return corrected

    def follow(self, told: Mapping[Tree, Collection[str]]) -> None:
        """Until `end`: of these directories, only these names may have come or gone since they were listed last.

        What comes or goes meanwhile may be left out: it is told later.
        """
        self._told = told

    def names(self, tree: Tree, descriptor: int) -> Names:
        """The names in an open directory; raises OSError."""
        status, now = os.fstat(descriptor), time.time_ns()
        signature = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        known = self._known.get(tree)
        self._used.add(tree)
        if known is not None and known.settled and known.signature == signature:
            return known.names
        settled = now - max(status.st_mtime_ns, status.st_ctime_ns) > _RECENT_NANOSECONDS
        if known is not None and known.signature[:2] == signature[:2] and tree in self._told:
            same = known.signature == signature
            followed = _followed(known, self._told[tree], descriptor, status.st_nlink, same=same)
            if followed is not None:
                # Until it has been listed, nobody knows whether all was told.
                self._known[tree] = _Listing(
                    signature, settled=False, names=followed, links=status.st_nlink, followed=True
                )
                return followed
        found = _sorted(os.listdir(descriptor), known.names if known else _NO_NAMES)
        if known is not None and known.followed and known.signature == signature and found is not known.names:
            self._corrected.add(tree)
        self._known[tree] = _Listing(signature, settled, found, status.st_nlink)
        return found

    def end(self) -> None:
        """Forget the directories that were not asked for since the last call."""
        for tree in self._known.keys() - self._used:
            del self._known[tree]
        self._used.clear()
        self._told = {}

    def clear(self) -> None:
        """List all directories again."""
        self._known.clear()


def _followed(known: _Listing, told: Collection[str], directory: int, links: int, *, same: bool) -> Names | None:
    """The names in a directory, of which only these have come or gone; None where that is not so.

    That is seen by how many directories are in it. `same`: it has the signature that it had.
    """
    came, gone, directories = list[str](), list[str](), 0
    for name in told:
        try:
            mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        except FileNotFoundError:
            if name in known.names:
                gone.append(name)
                directories -= known.links > _NO_DIRECTORY
        except (OSError, ValueError):
            return None
        else:
            if name not in known.names:
                came.append(sys.intern(name))
                directories += stat.S_ISDIR(mode)
    if links != known.links + directories or not (came or gone or same):
        return None
    return _with(known.names, came, frozenset(gone))


def _sorted(names: list[str], before: Names) -> Names:
    """The names in their order; the listing `before` where it has the same.

    The names are shared: the same ids stand in many places, and for as long as the exporter runs.
    """
    if not before:
        return Names(sorted(map(sys.intern, names))) if names else before
    now, known = {*names}, before.as_set
    new = now.difference(known)
    gone = known.difference(now) if len(now) - len(new) < len(known) else _NONE
    if not new and not gone:
        return before
    return _with(before, [*map(sys.intern, new)], gone)


def _with(before: Names, came: Collection[str], gone: frozenset[str]) -> Names:
    """The next listing of a directory."""
    if not came and not gone:
        return before
    left = [name for name in before if name not in gone] if gone else list(before)
    return Names(in_order(left, came), before, (*came, *gone), before.set_with(came, gone))


def in_order(ordered: list[T], more: Collection[T]) -> list[T]:
    """What is in order already, with some more. The list is used up."""
    if 16 * len(more) >= len(ordered):
        ordered += more
        return sorted(ordered)
    for one in more:
        insort(ordered, one)
    return ordered
