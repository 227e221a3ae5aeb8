"""What is mounted into a container, from `config.json` or `config.v2.json`, and `hostconfig.json`.

Facts: Docker 1.0 to 1.7 daemon/volumes.go (`Volumes`, `VolumesRW`: destination to host path; both empty until the
first start), 1.8 on `MountPoints` (volume/mounts/mounts.go, MountPoint). hostconfig.json has what was asked for:
`Binds` (`source:destination:mode`; since 1.9 a source that is no path is a volume), `VolumesFrom`
(`container:mode`), since 1.13 `Mounts` and `Tmpfs`. `Config.Volumes` are the anonymous volumes of the image and
of `-v /destination`. `SecretReferences` and `ConfigReferences`: container/container.go since 17.05.
"""

import posixpath
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from exporter.core.data_root import UnreadableError
from exporter.core.measured import Reason
from exporter.core.model import Container, Mount
from exporter.inventory.files.values import Json, flag, items, table, text
from exporter.inventory.volumes import volume_of

_LONGEST_MODE = 64
#: What has mounts in the files of a container.
_WRITTEN_DOWN = ("MountPoints", "Volumes", "SecretReferences", "ConfigReferences")
_ASKED_FOR = ("Binds", "Mounts", "Tmpfs")
#: How many mounts all containers together may have from others: chains of a thousand containers, about one second.
_MOST_INHERITED = 2_000_000


def read_mounts(config: Json, host: Json) -> tuple[Mount, ...]:
    """All that is mounted into a container, by destination.

    What the engine has written down comes first. What only was asked for follows: then the former is damaged, or the
    container of an old engine has not been started.
    """
    asked = any(map(host.get, _ASKED_FOR)) or table(config, "Config", "Volumes")
    if not asked and not any(map(config.get, _WRITTEN_DOWN)):
        return ()  # as of many
    mounts: dict[str, Mount] = {}
    for mount in (
        *_points(config),
        *_paths(config),
        *_asked(host),
        *_memory(host),
        *_given(config),
        *_anonymous(config),
        *_damaged(config),
    ):
        destination = _clean(mount.destination)
        mounts.setdefault(destination, replace(mount, destination=destination))
    return tuple(mounts[destination] for destination in sorted(mounts))


def volumes_from(config: Json, host: Json) -> tuple[str, ...]:
    """The containers whose mounts this one has as well, where the engine has not written those down yet."""
    if table(config, "MountPoints") or table(config, "Volumes"):
        return ()
    asked = [*items(host, "VolumesFrom"), *text(config, "Config", "VolumesFrom").split(",")]  # the latter up to 1.0
    return tuple(one for one in asked if isinstance(one, str) and one)


def origin(config: Json) -> str:
    """The data root as the engine called it, found from the paths of the container's own files; "" if unknown."""
    for key in ("LogPath", "HostnamePath", "HostsPath", "ResolvConfPath"):
        root, found, _ = text(config, key).rpartition("/containers/")
        if found:
            return root
    return ""


def is_unresolved(container: Container) -> bool:
    """Whether a container has mounts that depend on other containers, or on which volumes there are."""
    return bool(container.volumes_from) or any(
        one.kind == "bind" and volume_of(one.source)[1] for one in container.mounts
    )


class MountResolver:
    """Adds the mounts that containers have from others, and tells volumes from other directories of the host."""

    def __init__(self, containers: Iterable[Container], volumes: frozenset[str] | None) -> None:
        """`volumes`: None where they are not known. Then a path that can be that of a volume is taken for one."""
        found = tuple(containers)
        self._named = {one.name: one for one in found} | {one.id: one for one in found}
        self._roots = frozenset(one.origin for one in found if one.origin)
        self._volumes = volumes
        self._left = _MOST_INHERITED

    def resolve(self, container: Container) -> Container:
        """The container with all its mounts; raises UnreadableError where it has too many."""
        mounts = {one.destination: one for one in container.mounts}
        for mount in self._inherited(container):
            mounts.setdefault(mount.destination, mount)
        resolved = tuple(self._volume(mounts[destination]) for destination in sorted(mounts))
        return container if resolved == container.mounts else replace(container, mounts=resolved)

    def _volume(self, mount: Mount) -> Mount:
        """Old Dockers write down the path of a volume's data alone."""
        if mount.kind != "bind":
            return mount
        root, name = volume_of(mount.source)
        strange = self._roots and root not in self._roots
        if not name or (self._volumes is not None and name not in self._volumes) or strange:
            return mount
        return replace(mount, kind="volume", source=name, path=mount.source)

    def _inherited(self, container: Container) -> Iterator[Mount]:
        """The mounts that a container has from others, nearest first.

        A chain may be as long as there are containers: this does not recurse, and all of them share one limit.
        """
        seen = {container.id}
        waiting = [(iter(container.volumes_from), False)]
        while waiting:
            others, read_only = waiting[-1]
            asked = next(others, None)
            if asked is None:
                waiting.pop()
                continue
            name, _, mode = asked.partition(":")
            other = self._named.get(name.removeprefix("/"))
            if other is None or other.id in seen:
                continue
            seen.add(other.id)
            read_only = read_only or mode == "ro"
            self._left -= 1 + len(other.mounts)
            if self._left < 0:
                raise UnreadableError(Reason.TOO_LARGE, "containers have too many mounts from each other")
            for mount in other.mounts:
                if mount.kind in ("bind", "volume"):
                    yield replace(mount, mode="ro") if read_only else mount
            waiting.append((iter(other.volumes_from), read_only))


def _points(config: Json) -> Iterator[Mount]:
    for destination, point in table(config, "MountPoints").items():
        kind, name, source = text(point, "Type"), text(point, "Name"), text(point, "Source")
        mode = "rw" if flag(point, "RW") else "ro"
        if name:
            yield Mount("volume", name, destination, mode, source, text(point, "Driver"))
        elif kind == "tmpfs":
            yield Mount("tmpfs", "", destination, mode)
        elif kind == "image":
            yield Mount("image", text(point, "Spec", "Source") or source, destination, mode)
        elif source:
            yield Mount("bind", source, destination, mode)


def _paths(config: Json) -> Iterator[Mount]:
    writable = table(config, "VolumesRW")
    for destination, path in table(config, "Volumes").items():
        if isinstance(path, str) and path:
            yield Mount("bind", path, destination, "ro" if writable.get(destination) is False else "rw")


def _asked(host: Json) -> Iterator[Mount]:
    for bind in items(host, "Binds"):
        words = bind.split(":") if isinstance(bind, str) else []
        last = words.pop() if len(words) > 1 and not words[-1].startswith("/") else ""  # destinations are absolute
        source, _, destination = ":".join(words).rpartition(":")
        if destination.startswith("/") and len(last) <= _LONGEST_MODE:
            kind = "bind" if source.startswith("/") else "volume"
            yield Mount(kind, source, destination, "ro" if "ro" in last.split(",") else "rw")
    for one in items(host, "Mounts"):
        if destination := text(one, "Target"):
            kind = text(one, "Type") or "bind"
            source = "" if kind == "tmpfs" else text(one, "Source")
            driver = text(one, "VolumeOptions", "DriverConfig", "Name")
            kind = "volume" if kind == "cluster" else kind
            yield Mount(kind, source, destination, "ro" if flag(one, "ReadOnly") else "rw", driver=driver)


def _memory(host: Json) -> Iterator[Mount]:
    for destination, options in table(host, "Tmpfs").items():
        words = options.split(",") if isinstance(options, str) else []
        yield Mount("tmpfs", "", destination, "ro" if "ro" in words else "rw")


def _given(config: Json) -> Iterator[Mount]:
    """The secrets and configs of a swarm: files that it lays into the container."""
    for kind, list_name, home in (("secret", "SecretReferences", "/run/secrets"), ("config", "ConfigReferences", "/")):
        for one in items(config, list_name):
            name = text(one, f"{kind.title()}Name")
            file = text(one, "File", "Name") or name
            if file:
                yield Mount(kind, name, posixpath.join(home, file), "ro")


def _anonymous(config: Json) -> Iterator[Mount]:
    for destination in table(config, "Config", "Volumes"):
        yield Mount("volume", "", destination, "rw")


def _damaged(config: Json) -> Iterator[Mount]:
    """Where something is mounted, and what that is cannot be read."""
    for destination in (*table(config, "MountPoints"), *table(config, "Volumes")):
        yield Mount("bind", "", destination, "rw")


def _clean(destination: str) -> str:
    cleaned = posixpath.normpath(destination) if destination else "/"
    return "/" + cleaned.lstrip("/") if destination.startswith("/") else cleaned
