"""Decides where the exporter may write: never below the data root, also not through a link or a bind mount."""

import os
from collections.abc import Iterator, Sequence

from exporter.config.settings import SettingsError
from exporter.core.atomic_write import require_replaceable
from exporter.core.hang_probe import HANG_PROBE
from exporter.core.hashes import sha256
from exporter.core.mountinfo import MountPoint, mount_of, read_mounts


def cache_file_for(given: str, root: str) -> str:
    """The path of the cache; "" for none. `given` is the flag: a path, "none", or "" for the default.

    The default is in the state directory of systemd, of root, or of the user. Raises SettingsError if the given path
    is below the data root, or something else than a regular file stands there.
    """
    if given == "none":
        return ""
    if given:
        if is_below(given, root):
            raise SettingsError("--cache.file must not be below the data root: nothing is written there")
        try:
            require_replaceable(given)
        except OSError as error:
            raise SettingsError(f"--cache.file cannot be {given}: {error.strerror}") from None
        return given
    directory = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if not directory and os.geteuid() == 0:
        directory = "/var/lib/docker-storage-exporter"
    if not directory:
        home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        directory = os.path.join(home, "docker-storage-exporter")
    if not os.path.isabs(directory):
        return ""  # a user without a home directory: it would be below the current directory, which may be any
    name = sha256(os.fsencode(_resolved(root))).hexdigest()[:12]
    file = os.path.join(directory, f"layers-{name}.json")
    return "" if is_below(file, root) else file


def is_below(path: str, root: str) -> bool:
    """Whether a file would be written below the data root, also through a link or a bind mount."""
    if _names_below(os.path.abspath(path), os.path.abspath(root)):
        return True
    if not HANG_PROBE.answers(root):
        return False  # it hangs, and realpath would hang as well
    path, root = os.path.realpath(path), os.path.realpath(root)
    if _names_below(path, root) or any(_same(one, root) for one in _above(path)):
        return True
    return _is_mounted_from(path, root, read_mounts())


def _is_mounted_from(path: str, root: str, mounts: Sequence[MountPoint]) -> bool:
    """Whether a path lies on a mount of a directory of the root.

    The mount of `/` does not count: in a container it may be a directory of the root, and is the container's own.
    """
    mount, of_root = mount_of(path, mounts), mount_of(root, mounts)
    if mount is None or of_root is None or mount.path == "/" or mount.device_number != of_root.device_number:
        return False
    return _names_below(_inside(path, mount), _inside(root, of_root))


def _inside(path: str, mount: MountPoint) -> str:
    """The path in the filesystem that is mounted."""
    return os.path.normpath(os.path.join(mount.inside, os.path.relpath(path, mount.path)))


def _above(path: str) -> Iterator[str]:
    """The directories that hold a path, up to `/`."""
    while (above := os.path.dirname(path)) != path:
        yield above
        path = above


def _names_below(path: str, top: str) -> bool:
    return os.path.commonpath([top, path]) == top


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them does not exist yet
        return False


def _resolved(root: str) -> str:
    """The real path of the root; if it hangs, the given path made absolute."""
    return os.path.realpath(root) if HANG_PROBE.answers(root) else os.path.abspath(root)
