"""The data root as a directory descriptor: every path below it is opened component by component.

Nothing is followed: not a symlink in the last component, and not one on the way. So no name and no
content on the disk can lead a reader out of the root, also not one that is swapped while it is read.

Further roots can belong to a data root, as the directory of a containerd of the host does. A path in one
of them has the absolute path of that root as its first component.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Self

from exporter.core.descent import Descent, check_name, open_directory
from exporter.core.listings import Listings, Names
from exporter.core.measured import Reason, Tree, root_of

if TYPE_CHECKING:  # a worker needs nothing of the model that this refers to: to read it is half of its start
    from exporter.core.mountinfo import MountPoint

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

#: No metadata file of any Docker comes near this; a larger one is damage or an attack.
MAX_FILE_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 16 * 1024

_REASONS = {
    errno.EACCES: Reason.PERMISSION,
    errno.EPERM: Reason.PERMISSION,
    errno.ENOENT: Reason.VANISHED,
    errno.ESTALE: Reason.VANISHED,
    errno.ELOOP: Reason.NOT_REGULAR,
    errno.ENOTDIR: Reason.NOT_REGULAR,
    errno.ENXIO: Reason.NOT_REGULAR,
    errno.ETIMEDOUT: Reason.TIMEOUT,
    errno.EOVERFLOW: Reason.INTERNAL,
}


class UnreadableError(Exception):
    """Something below the root could not be read, for a reason that is counted."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail or reason.value)
        self.reason = reason
        self.detail = detail


def reason_of(error: OSError) -> Reason:
    """Say which counted reason an operating system error is."""
    return _REASONS.get(error.errno or 0, Reason.IO)


class _Top(NamedTuple):
    """The directory of one root: an open descriptor, its device and inode, and the way to what was read last in it."""

    descriptor: int
    identity: tuple[int, int]
    descent: Descent

    @classmethod
    def open(cls, path: str) -> "_Top":
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        return cls(descriptor, (status.st_dev, status.st_ino), Descent(descriptor))


class Untaken(NamedTuple):
    """A directory that is not read as a further root, and why; `path` is "" where none is known.

    `possible`: it may be the right one all the same.
    """

    path: str
    why: str
    possible: bool = False


class DataRoot:
    """An open data root. The path is resolved once, when it is opened; use as a context manager.

    Raises OSError when the root, or one of the `further` ones, is missing, no directory, or may not be entered.
    """

    def __init__(self, path: str, further: Iterable[str] = ()) -> None:
        self.path = os.path.realpath(path)
        self._tops: dict[Tree, _Top] = {(): _Top.open(self.path)}
        self.device, self.inode = self._tops[()].identity
        #: Where other things are mounted, as far as the caller has said: they may hang, and are only touched
        #: on the way to metadata, and when `answers` says of the path that they do not.
        self.mounts: frozenset[Tree] = frozenset()
        #: The mounts of volumes that are not to be measured, with the types of their filesystems.
        self.unwalked: Mapping[Tree, str] = {}
        #: Directories that may be further roots, and are not read as such.
        self.untaken: tuple[Untaken, ...] = ()
        self.answers: Callable[[str], bool] = lambda _: True
        #: The mount table from which `mounts` was made.
        self.mountinfo: Sequence[MountPoint] = ()
        #: The mounts that were to be touched and did not answer.
        self.silent: set[Tree] = set()
        self._asked: set[Tree] = set()
        self._listings: dict[Tree, Names] = {}
        #: What earlier openings of this root have listed.
        self.listings = Listings()
        try:
            for one in further:
                self.add(one)
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptors of all roots."""
        for top in self._tops.values():
            top.descent.close()
            os.close(top.descriptor)
        self._tops.clear()

    def add(self, path: str) -> Tree:
        """Open a further root, and return its path as a tree; raises OSError.

        The caller makes sure that it is not the data root, and that neither lies in the other.
        """
        top: Tree = (os.path.realpath(path),)
        if top not in self._tops:
            self._tops[top] = _Top.open(top[0])
        return top

    @property
    def tops(self) -> tuple[Tree, ...]:
        """The directories of all roots: () for the data root, and then those of further roots."""
        return tuple(self._tops)

    @property
    def further(self) -> tuple[str, ...]:
        """The absolute paths of the further roots."""
        return tuple(top[0] for top in self._tops if top)

    @property
    def identities(self) -> dict[Tree, tuple[int, int]]:
        """The device and inode of each root."""
        return {top: one.identity for top, one in self._tops.items()}

    def device_of(self, tree: Tree) -> int:
        """The st_dev of the root that a path lies in."""
        return self._tops[root_of(tree)].identity[0]

    def absolute(self, tree: Tree) -> str:
        """The absolute path of a tree, for mount tables and for people. It is not opened by that."""
        return os.path.join(self.path, *tree)

    @contextmanager
    def directory(self, tree: Tree) -> Iterator[int]:
        """Open a directory below the root for the length of a `with` block; raises OSError."""
        descriptor = self.open(tree)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def open(self, tree: Tree) -> int:
        """Open a directory below the root; the caller closes the descriptor. Raises OSError."""
        top, names = self._split(tree)
        self._require_answer(tree)
        return top.descent.open(names)

    def borrow(self, tree: Tree) -> int:
        """The descriptor of a directory below the root. It stays open until the next call. Raises OSError."""
        top, names = self._split(tree)
        if self.mounts:
            self._require_answer(tree)
        return top.descent.to(names)

    def lstat(self, tree: Tree) -> os.stat_result:
        """Call lstat for a path below the root: a symbolic link is not followed. Raises OSError."""
        top, names = self._split(tree)
        if not names:
            self._require_answer(tree)
            return os.fstat(top.descriptor)
        check_name(names[-1])
        if self.mounts:
            self._require_answer(tree)
        return os.stat(names[-1], dir_fd=top.descent.to(names[:-1]), follow_symlinks=False)

    def modified(self, tree: Tree) -> float:
        """When something below the root changed last, in Unix seconds; 0 where that cannot be told."""
        try:
            return self.lstat(tree).st_mtime
        except OSError:
            return 0.0

    def link(self, tree: Tree) -> str | None:
        """Where a symbolic link points, as it is written there; None where none stands, or it cannot be read."""
        try:
            check_name(tree[-1])
            return os.readlink(tree[-1], dir_fd=self.borrow(tree[:-1]))
        except OSError:
            return None

    def is_directory(self, tree: Tree) -> bool:
        """Say whether a real directory stands there; False for all else, an error included."""
        try:
            return stat.S_ISDIR(self.lstat(tree).st_mode)
        except OSError:
            return False

    def modes(self, tree: Tree, names: Iterable[str]) -> list[int]:
        """The st_mode of each of these entries of a directory, 0 for one that is not there. Raises OSError.

        It is `lstat` of a few entries of each of many directories. Only for where nothing is mounted: it is touched.
        """
        descriptor = self.borrow(tree)
        found: list[int] = []
        for name in names:
            try:
                found.append(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode)
            except FileNotFoundError:
                found.append(0)
        return found

    def directories(self, tree: Tree, names: Iterable[str]) -> dict[str, float]:
        """Those of these entries of a directory that are real directories, with when each changed last.

        It is `lstat` of each of many. What is mounted is left out, and is not touched; so is what cannot be looked at.
        """
        try:
            descriptor = self.borrow(tree)
        except OSError:
            return {}
        mounted = self._mounted_in(tree)
        found: dict[str, float] = {}
        for name in names:
            if name in mounted:
                continue
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode):
                found[name] = status.st_mtime
        return found

    def listed_directories(self, tree: Tree, names: Iterable[str]) -> set[str]:
        """Those of these entries of a directory that are real directories, as the directory itself says of all.

        What is mounted is left out, and is not touched. Nothing is found where something cannot be looked at.
        """
        wanted = {*names} - self._mounted_in(tree)
        try:
            with os.scandir(self.borrow(tree)) as entries:
                return {one.name for one in entries if one.name in wanted and one.is_dir(follow_symlinks=False)}
        except OSError:
            return set()

    def _mounted_in(self, tree: Tree) -> set[str]:
        return {one[-1] for one in self.mounts if one[:-1] == tree}

    def holders(
        self, tree: Tree, names: Iterable[str], inner: str, file: str = "", *, without: str = ""
    ) -> dict[str, bytes | None]:
        """Those of these directories of a directory that have a directory `inner`, each with what is in its `file`.

        That is None where there is none, or it cannot be read. The names are those of a listing. What has a mount in it
        is left out, and is not touched; so is what cannot be looked at, and what has an entry `without`.
        """
        try:
            parent = self.borrow(tree)
        except OSError:
            return {}
        mounted = {one[len(tree)] for one in self.mounts if one[: len(tree)] == tree != one}
        found: dict[str, bytes | None] = {}
        for name in names:
            if name in mounted:
                continue
            try:
                directory = open_directory(name, parent)
            except OSError:
                continue
            try:
                if without and _is_there(without, directory):
                    continue
                if stat.S_ISDIR(os.stat(inner, dir_fd=directory, follow_symlinks=False).st_mode):
                    found[name] = None
                    if file:
                        found[name] = _content(file, directory)
            except (OSError, UnreadableError):
                pass
            finally:
                os.close(directory)
        return found

    def names(self, tree: Tree) -> Names:
        """List the names in a directory, sorted so that a scan is repeatable; raises OSError.

        It is listed once for as long as this root is open, so that all of a scan sees the same.
        """
        listing = self._listings.get(tree)
        if listing is None:
            listing = self._listings[tree] = self.listings.names(tree, self.borrow(tree))
        return listing

    def is_filled(self, tree: Tree) -> bool:
        """Whether a directory has an entry; False for all else, an error included."""
        if tree in self._listings:
            return bool(self._listings[tree])
        try:
            with os.scandir(self.borrow(tree)) as entries:
                return next(entries, None) is not None
        except OSError:
            return False

    def forget_listings(self) -> None:
        """List directories again from now on."""
        self._listings.clear()

    @contextmanager
    def regular(self, tree: Tree) -> Iterator[int]:
        """Open a regular file for the length of a `with` block; raises OSError or UnreadableError."""
        name, parent = self._place(tree)
        _require_regular(os.stat(name, dir_fd=parent, follow_symlinks=False))  # see `_content`
        descriptor = os.open(name, _FILE, dir_fd=parent)
        try:
            _require_regular(os.fstat(descriptor))
            yield descriptor
        finally:
            os.close(descriptor)

    def _place(self, tree: Tree) -> tuple[str, int]:
        """The name of a file, and the descriptor of its directory, see `borrow`; raises OSError."""
        top, names = self._split(tree)
        name = names[-1] if names else ""
        check_name(name)
        if self.mounts:
            self._require_answer(tree)
        return name, top.descent.to(names[:-1])

    def read(self, tree: Tree) -> bytes:
        """Read one metadata file of at most `MAX_FILE_BYTES`; raises OSError or UnreadableError."""
        return _content(*self._place(tree))

    def _split(self, tree: Tree) -> tuple[_Top, Tree]:
        """The root that a path lies in, and the components below it. Raises FileNotFoundError for a root not open."""
        top: Tree = tree[:1] if tree and tree[0][0:1] == "/" else ()  # as `root_of`: a call less for each of many
        found = self._tops.get(top)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "not a directory of this root")
        return found, tree[len(top) :] if top else tree

    def _require_answer(self, tree: Tree) -> None:
        """Raise TimeoutError, an OSError, where a filesystem on the way does not answer. Each is asked once."""
        if not self.mounts:
            return
        for end in range(1, len(tree) + 1):
            mount = tree[:end]
            if mount not in self.mounts:
                continue
            if mount not in self._asked:
                self._asked.add(mount)
                if not self.answers(self.absolute(mount)):
                    self.silent.add(mount)
            if mount in self.silent:
                raise TimeoutError(errno.ETIMEDOUT, "the filesystem that is mounted there does not answer")


def _is_there(name: str, parent: int) -> bool:
    """Whether an open directory has an entry; raises OSError where that cannot be told."""
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _content(name: str, parent: int) -> bytes:
    """What is in a file of an open directory. lstat comes first: to open a device may have side effects."""
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    _require_regular(status)
    if status.st_size > MAX_FILE_BYTES:
        raise UnreadableError(Reason.TOO_LARGE)
    descriptor = os.open(name, _FILE, dir_fd=parent)
    try:
        _require_regular(os.fstat(descriptor))  # another file may stand there by now
        # One read gets a file that stays as it is: the byte more that it asks for is not there.
        content = os.read(descriptor, status.st_size + 1)
        if len(content) == status.st_size:
            return content
        while piece := os.read(descriptor, _PIECE_BYTES):
            content += piece
            if len(content) > MAX_FILE_BYTES:
                raise UnreadableError(Reason.TOO_LARGE)
        return content
    finally:
        os.close(descriptor)


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError(Reason.NOT_REGULAR)
