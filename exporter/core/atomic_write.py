"""Replaces a file as a whole: a reader sees the old content or the new one, never a part of it."""

import contextlib
import os

_TEMPORARY = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def atomic_write(path: str, content: bytes, *, mode: int) -> None:
    """Write a file with permission bits `mode`, by way of a temporary file in the same directory.

    File and directory are synced, so that a power failure leaves one of the two contents as well. Raises OSError; then
    the file is as it was, and no temporary file is left.
    """
    directory = os.path.dirname(os.path.abspath(path))
    # Not by `tempfile`, which takes long to import. Its name does not end in `.prom`, which node_exporter would read.
    temporary = os.path.join(directory, f".{os.urandom(8).hex()}.tmp")
    descriptor = os.open(temporary, _TEMPORARY, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_directory(directory)


def _sync_directory(directory: str) -> None:
    """Make the rename last; not every filesystem can sync a directory, and the file is complete without it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
