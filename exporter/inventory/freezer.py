"""Whether a container is paused, by its cgroup: engines before 1.10 do not write that down.

`docker pause` freezes the cgroup of the container. cgroup v1: `freezer.state` of the controller `freezer` (Linux
Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst). v2: `cgroup.freeze` (cgroup-v2.rst). The path is that of a
process of the container (/proc/PID/cgroup, cgroups(7)), so it does not matter how the engine names cgroups.
"""

import os

_MOST_BYTES = 64
_FROZEN = {b"FROZEN": True, b"FREEZING": True, b"THAWED": False, b"1": True, b"0": False}


def is_frozen(listed: bytes, container: str, cgroups: str = "/sys/fs/cgroup") -> bool | None:
    """Whether the cgroup of a container is frozen; None where that cannot be seen.

    `listed` is the content of /proc/PID/cgroup of one of its processes, `cgroups` where the host's cgroups are mounted.
    """
    for line in listed.decode("utf-8", "surrogateescape").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        group = _group_of(path, container)
        if not group:
            continue
        if controllers == "":
            found = _read(f"{cgroups}{group}/cgroup.freeze")
        else:
            found = _read(f"{cgroups}/freezer{group}/freezer.state") if "freezer" in controllers.split(",") else b""
        if found in _FROZEN:
            return _FROZEN[found]
    return None


def _group_of(path: str, container: str) -> str:
    """The cgroup that the engine made: the path up to the container's id; "" where it is not in the path.

    A container may have cgroups of its own below that. In another cgroup namespace the path begins with `..`, and is
    not below the mount.
    """
    names = path.split("/")
    at = next((at for at, name in enumerate(names) if container in name), None)
    return "" if at is None or ".." in names else "/".join(names[: at + 1])


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(descriptor, _MOST_BYTES).strip()
    except OSError:
        return b""
    finally:
        os.close(descriptor)
