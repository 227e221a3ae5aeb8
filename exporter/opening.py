"""Whether a data root can be read, and which directory it is."""

import os

from exporter.layouts import detect
from exporter.root import DataRoot


class RootError(Exception):
    """The data root cannot be read at all, for a reason to tell a person."""


def open_root(path: str) -> DataRoot:
    """Open a data root that holds a known layout; raises RootError with the reason otherwise."""
    try:
        root = DataRoot(path)
    except FileNotFoundError:
        raise RootError("does not exist") from None
    except NotADirectoryError:
        raise RootError("is not a directory") from None
    except OSError as error:
        raise RootError(f"cannot be opened: {error.strerror}") from None
    try:
        root.names(())
        if detect(root):
            return root
        message = "holds no known Docker layout"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    root.__exit__()
    raise RootError(message)


def identify(path: str) -> tuple[int, int] | None:
    """Say which directory is the root now, so that a caller sees it replaced; None when there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
