"""Whether a data root can be read, and which directory it is."""

import glob
import os

from exporter.config import DEFAULT_ROOT
from exporter.layouts import detect, nested_roots
from exporter.root import DataRoot

_MOST_NAMED = 5


class RootError(Exception):
    """The data root cannot be read at all, for a reason to tell a person."""


def open_root(path: str) -> DataRoot:
    """Open a data root that holds a known layout; raises RootError with the reason otherwise."""
    try:
        root = DataRoot(path)
    except FileNotFoundError:
        raise RootError(f"does not exist{_rootless(path)}") from None
    except NotADirectoryError:
        raise RootError("is not a directory") from None
    except OSError as error:
        raise RootError(f"cannot be opened: {error.strerror}") from None
    try:
        root.names(())
        if detect(root):
            return root
        message = f"holds no known Docker layout{_remapped(root) or _rootless(path)}"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    root.__exit__()
    raise RootError(message)


def _remapped(root: DataRoot) -> str:
    """Name the roots of remapped users below: dockerd --userns-remap keeps everything in one of them."""
    names = nested_roots(root)
    return (
        f"; it holds roots of remapped users: pass --root {' or '.join(f'{root.path}/{one}' for one in names)}"
        if names
        else ""
    )


def _rootless(path: str) -> str:
    """Name the roots of rootless engines, where the default root was asked for and is not there."""
    if path != DEFAULT_ROOT:
        return ""
    found = sorted(glob.glob("/home/*/.local/share/docker"))[:_MOST_NAMED]
    return f"; rootless engines keep theirs elsewhere: pass --root {' or '.join(found)}" if found else ""


def identify(path: str) -> tuple[int, int] | None:
    """Say which directory is the root now, so that a caller sees it replaced; None when there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
