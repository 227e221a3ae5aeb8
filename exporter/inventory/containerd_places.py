"""Where the root of a containerd of the host may be. Nothing below a data root names it.

Sources: containerd 1.7 and 2.1 cmd/containerd/server/config/config.go (`root`, `imports`, the defaults); moby 28
cmd/dockerd/daemon.go (a containerd that dockerd starts itself has its root below that of dockerd, not below the root of
a remapped user).
"""

import glob
import os
from collections.abc import Callable, Iterator

from exporter.core.mountinfo import overlay_directories

CONFIG = "/etc/containerd/config.toml"
DEFAULT = "/var/lib/containerd"
_MAX_BYTES = 1024 * 1024
_MOST_IMPORTS = 50
#: A snapshot's files are in `<root>/<this><snapshotter>/snapshots/<number>/fs`.
_SNAPSHOTTER = "/io.containerd.snapshotter.v1."


OnError = Callable[[OSError, str], object]


def places(root: str, on_error: OnError) -> dict[str, bool]:
    """The paths where the root of the containerd of a data root may be, most likely first.

    Each with whether it is one of the host's: of its containerd's configuration, or the default. `on_error` is called
    with the error and the path where the configuration may not be read.
    """
    found = dict.fromkeys(of_mounts(), False)
    for path in _of_host(on_error):
        found[path] = True
    above = os.path.dirname(root)
    # Of a disk that is mounted elsewhere; and of dockerd's own containerd, for the root of a remapped user.
    for path in (os.path.join(above, "containerd"), os.path.join(above, "containerd/daemon")):
        found.setdefault(path, False)
    return found


def of_mounts() -> Iterator[str]:
    """The roots in which containers that run have their snapshots, this one too if it is in a container."""
    for path in overlay_directories():
        before, found, _ = path.partition(_SNAPSHOTTER)
        if found and os.path.isabs(before):
            yield os.path.normpath(before)


def _of_host(on_error: OnError) -> Iterator[str]:
    yield os.path.normpath(configured_root(CONFIG, on_error) or DEFAULT)
    yield DEFAULT


def configured_root(file: str, on_error: OnError) -> str:
    """`root` of a configuration of containerd, or of what it imports; "" where it says none. See `places`."""
    found = ""
    waiting, seen = [file], 0
    while waiting and seen < _MOST_IMPORTS:
        at = waiting.pop(0)
        seen += 1
        settings = _read(at, on_error)
        root, imports = settings.get("root"), settings.get("imports")
        if isinstance(root, str) and os.path.isabs(root):
            found = root  # what is imported goes before
        for pattern in imports if isinstance(imports, list) else ():
            if isinstance(pattern, str):
                waiting += sorted(glob.glob(os.path.join(os.path.dirname(at), pattern)))[:_MOST_IMPORTS]
    return found


def _read(file: str, on_error: OnError) -> dict[str, object]:
    """The settings of a TOML file; none where it is not there, or no such file."""
    try:
        if not os.path.isfile(file):  # opening something else may hang
            return {}
        import tomllib  # noqa: PLC0415 - most hosts have no such file

        with open(file, "rb") as opened:
            content = opened.read(_MAX_BYTES + 1)
        return tomllib.loads(content.decode()) if len(content) <= _MAX_BYTES else {}
    except PermissionError as error:
        on_error(error, file)
    except (OSError, ValueError, RecursionError):  # ValueError: no UTF-8, or no TOML
        pass
    return {}
