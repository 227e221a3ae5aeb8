"""Replaces a file as a whole: a reader sees the old content or the new one, never a part of it.

Only a regular file is replaced, or nothing. A link, device, FIFO, socket or directory stays as it is.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator

_TEMPORARY = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LEFT = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_DIRECTORY = os.O_DIRECTORY | os.O_CLOEXEC
_PERMISSIONS = 0o777
_KINDS = {
    stat.S_IFLNK: "a symbolic link stands there",
    stat.S_IFIFO: "a FIFO stands there",
    stat.S_IFSOCK: "a socket stands there",
    stat.S_IFCHR: "a device stands there",
    stat.S_IFBLK: "a device stands there",
    stat.S_IFDIR: "a directory stands there",
}
#: Errors by which a filesystem says that its directories cannot be synced.
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)

#: Says of the real path of a directory whether nothing may be written there.
Forbidden = Callable[[str], bool]


def atomic_write(
    path: str, content: bytes, *, mode: int, keep: bool = False, forbidden: Forbidden | None = None
) -> None:
    """Write a file with permission bits `mode`, by way of a temporary file in the same directory.

    `keep`: where a file is replaced, the new one has its permission bits, and its owner and group as far as that is
    allowed, unless its owner is neither root, nor this user, nor that of the directory: whoever may write to a
    directory can put a file into it. Other hard links of the old file keep the old content.
    File and directory are synced, so that a power failure leaves one of the two contents as well. Raises OSError; then
    the file is as it was, unless it was the directory that could not be synced. No temporary file is left, and those of
    writers that were killed are removed.
    """
    directory, name = os.path.split(os.path.abspath(path))
    with _opened(directory) as parent:
        if forbidden is not None and forbidden(_real_path(parent, directory)):
            raise OSError(errno.EPERM, "it is in the data root, where nothing is written", path)
        before = _replaceable(name, parent)
        if before is not None and not (keep and before.st_uid in (0, os.geteuid(), os.fstat(parent).st_uid)):
            before = None
        label = f".{zlib.crc32(os.fsencode(name)):08x}-"
        _remove_left(label, parent)
        _replace(parent, label, name, content, _Access(mode, before))
        _sync(parent)


def overwrite(path: str, content: bytes) -> None:
    """Write a regular file that exists, in its place: where only the file itself may be written. Raises OSError.

    A reader may see a part of the content, and so may everybody after a power failure: it needs a checksum.
    """
    _replaceable(path, None)  # before it is opened, which may do something to a device
    descriptor = os.open(path, _LEFT & ~os.O_RDONLY | os.O_WRONLY)
    with open(descriptor, "wb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EEXIST, "it is no regular file", path)
        file.write(content)
        file.truncate()
        file.flush()
        os.fsync(descriptor)


def require_replaceable(path: str) -> None:
    """Raise OSError where `atomic_write` does not replace what stands at a path, or cannot look at it."""
    try:
        _replaceable(path, None)
    except FileNotFoundError:  # the directory may be made later
        return


def _replaceable(name: str, parent: int | None) -> os.stat_result | None:
    """The status of the regular file that stands there; None where nothing does. Raises OSError for all else."""
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(status.st_mode):
        return status
    kind = stat.S_IFMT(status.st_mode)
    what = _KINDS.get(kind, "something else stands there")
    number = errno.EISDIR if kind == stat.S_IFDIR else errno.EEXIST
    raise OSError(number, f"{what}, and only a regular file is replaced", name)


class _Access:
    """The permissions of the new file."""

    def __init__(self, mode: int, like: os.stat_result | None) -> None:
        self._mode = mode
        self._like = like

    def give(self, descriptor: int) -> None:
        """Set owner, group and permission bits. A group that is not kept gets no more than all others have."""
        mode, like = self._mode, self._like
        if like is not None:
            mode = stat.S_IMODE(like.st_mode) & _PERMISSIONS
            for owner in (like.st_uid, -1):
                with contextlib.suppress(OSError):
                    os.fchown(descriptor, owner, like.st_gid)
                    break
            else:
                mode &= ~0o070 | (mode & 0o007) << 3
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:  # a sandbox may refuse it
            os.fchmod(descriptor, mode)


def _replace(parent: int, label: str, name: str, content: bytes, access: _Access) -> None:
    # Not by `tempfile`, which takes long to import. Its name does not end in `.prom`, which node_exporter would read.
    temporary = f"{label}{os.urandom(8).hex()}.tmp"
    descriptor = os.open(temporary, _TEMPORARY, 0o600, dir_fd=parent)
    try:
        with open(descriptor, "wb") as file:
            with contextlib.suppress(OSError):  # a filesystem without locks: then others remove nothing, either
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(content)
            access.give(descriptor)
            file.flush()
            os.fsync(descriptor)
            _replaceable(name, parent)  # who puts something else there after this may replace the file as well
            os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=parent)
        raise


@contextlib.contextmanager
def _opened(directory: str) -> Iterator[int]:
    try:
        descriptor = os.open(directory, os.O_RDONLY | _DIRECTORY)
    except PermissionError:  # one may write to it without being allowed to list it
        descriptor = os.open(directory, os.O_PATH | _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _real_path(descriptor: int, directory: str) -> str:
    """The path of an open directory as the kernel knows it; it was opened by `directory`."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return os.path.realpath(directory)


def _remove_left(label: str, parent: int) -> None:
    """Remove the temporary files of writers that were killed: one that writes holds a lock on its file."""
    pattern = re.compile(rf"{re.escape(label)}[0-9a-f]{{16}}\.tmp")
    try:
        names = [name for name in os.listdir(parent) if pattern.fullmatch(name)]
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                _remove_unlocked(name, parent)


def _remove_unlocked(name: str, parent: int) -> None:
    descriptor = os.open(name, _LEFT, dir_fd=parent)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=parent)
    finally:
        os.close(descriptor)


def _sync(parent: int) -> None:
    """Make the rename last; not every filesystem can sync a directory, and the file is complete without it."""
    try:
        os.fsync(parent)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
