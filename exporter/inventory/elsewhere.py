"""Says where the data root may be, for a directory that is none.

Docker's packages: snap keeps the root in /var/snap/docker/common/var-lib-docker (docker-snap, bin/dockerd-wrapper),
rootless engines in $XDG_DATA_HOME/docker (Docker 20.10 homedir.GetDataHome). containerd 1.0 and newer names its
directories after its plugins, `io.containerd.<type>.<name>`. Podman: containers/storage store.go.
"""

import glob
import os
from collections.abc import Callable, Iterable, Iterator

from exporter.config.default_root import ROOTLESS, SNAP
from exporter.config.settings import DEFAULT_ROOT
from exporter.core.shell import quote
from exporter.core.text import escape

ADVICE = f"`docker info -f '{{{{.DockerRootDir}}}}'` says where the data root is (snap: {SNAP}, rootless: ~/{ROOTLESS})"
_CONTAINERD = "io.containerd."
_PODMAN = frozenset(("libpod", "overlay-images", "overlay-containers", "vfs-images", "vfs-containers"))
#: Where a data root can be below a directory that somebody takes for it, besides the directory's own entries.
_BELOW = ("common/var-lib-docker", ROOTLESS, "share/docker", "lib/docker", "var/lib/docker")
_MOST_ENTRIES = 20
_MOST_ABOVE = 4
_MOST_NAMED = 5

Detect = Callable[[str], bool]


def lead_on(path: str, names: Iterable[str], detect: Detect) -> str:
    """Say what a directory with these `names` is, as far as that is known, and where the data root may be.

    The text continues an error message. `detect` says of a path whether it is a data root. `names` are empty for a
    directory that does not exist.
    """
    given = sorted(names)
    return f"{_what_it_is(given)}; {_found(_near(path, given, detect))}{ADVICE}"


def _what_it_is(names: list[str]) -> str:
    if any(name.startswith(_CONTAINERD) for name in names):
        return ": it is containerd's own root"
    if _PODMAN & {*names}:
        return ": it is Podman's storage"
    return ""


def _found(paths: list[str]) -> str:
    named = [quote(escape(one)) for one in paths[:_MOST_NAMED]]
    return f"near it is a data root: pass --root {' or '.join(named)}; " if paths else ""


def _near(path: str, names: list[str], detect: Detect) -> list[str]:
    """The data roots above and below a directory, and of other packages where the default root was asked for."""
    return [one for one in dict.fromkeys((*_above(path), *_below(path, names), *_of_packages(path))) if detect(one)]


def _above(path: str) -> Iterator[str]:
    above = os.path.dirname(os.path.abspath(path))
    for _ in range(_MOST_ABOVE):
        yield above
        above = os.path.dirname(above)


def _below(path: str, names: list[str]) -> Iterator[str]:
    if names:
        yield from (os.path.join(path, name) for name in (*names[:_MOST_ENTRIES], *_BELOW))


def _of_packages(path: str) -> tuple[str, ...]:
    return (SNAP, *sorted(glob.glob(f"/home/*/{ROOTLESS}"))) if path == DEFAULT_ROOT else ()
