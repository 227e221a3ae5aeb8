"""Containers from their own directories: `config.json` or `config.v2.json`, and `hostconfig.json`.

Facts: Docker 1.0 to 1.9 daemon/container.go (toDisk, Volumes, MountPoints), daemon/state.go and
daemon/logger/jsonfilelog. `config.v2.json` took the place of `config.json` in 1.8 to 1.10. Docker 20.10
daemon/logger/loggerutils/cache (container-cached.log), daemon/logger/local, container/state.go.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from exporter.layouts.files import Json, Reader, flag, is_id, items, moment, table, text
from exporter.layouts.volumes import volume_of
from exporter.measured import Tree
from exporter.model import Container, ContainerId, ContainerState, ImageId, Log, Mount

_CONFIGS = ("config.v2.json", "config.json")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", re.ASCII | re.IGNORECASE)
_FILE_LOG = "json-file"
_LOCAL_LOG = "local"
_LOCAL_LIMIT = (20 * 1024 * 1024, 5)
_CACHED_LOG = "container-cached.log"
_LARGEST_PID = 2**31


def read_containers(
    reader: Reader, volumes: frozenset[str], previous: Mapping[ContainerId, Container]
) -> tuple[Container, ...]:
    """Read every container; one whose config does not parse keeps what `previous` knew of it."""
    found = (_kept(reader, ContainerId(name), previous) for name in reader.objects(("containers",), is_id))
    return tuple(_name_volumes(container, volumes) for container in found)


def _kept(reader: Reader, container: ContainerId, previous: Mapping[ContainerId, Container]) -> Container:
    return reader.once("container", ("containers", container), lambda: _read(reader, container, previous))


def _name_volumes(container: Container, volumes: frozenset[str]) -> Container:
    """Tell the binds that are volumes' data from the others: old Dockers write down the path alone."""
    mounts = tuple(
        replace(mount, kind="volume", source=name)
        if mount.kind == "bind" and (name := volume_of(mount.source)) in volumes
        else mount
        for mount in container.mounts
    )
    return container if mounts == container.mounts else replace(container, mounts=mounts)


def _read(reader: Reader, container: ContainerId, previous: Mapping[ContainerId, Container]) -> Container:
    home = ("containers", container)
    names = reader.names(home)
    name = next((name for name in _CONFIGS if name in names), _CONFIGS[-1])
    config = reader.json((*home, name))
    if config is None:
        return previous.get(container) or Container("", container, metadata=(home,))
    host = reader.json((*home, "hostconfig.json"), optional=True) or {}
    image = text(config, "Image").removeprefix("sha256:")
    return Container(
        driver=text(config, "Driver"),
        id=container,
        name=text(config, "Name").removeprefix("/"),
        image_id=ImageId(image) if is_id(image) else None,
        image=text(config, "Config", "Image"),
        state=_state(config),
        created=moment(config, "Created"),
        finished=moment(config, "State", "FinishedAt"),
        log=_log(reader, home, names, config, host),
        compose_project=text(config, "Config", "Labels", "com.docker.compose.project"),
        compose_service=text(config, "Config", "Labels", "com.docker.compose.service"),
        mounts=_mounts(config, host),
        pid=_pid(config),
        started=moment(config, "State", "StartedAt"),
        checkpoints=(*home, "checkpoints")
        if "checkpoints" in names and reader.is_directory((*home, "checkpoints"))
        else None,
        metadata=(home,),
    )


def _pid(config: Json) -> int:
    pid = table(config, "State").get("Pid")
    return pid if type(pid) is int and 0 < pid < _LARGEST_PID else 0


def _state(config: Json) -> ContainerState:
    """As StateString of Docker 1.9; `State` before 1.6 has no Dead, and a StartedAt of zero is `created`."""
    state = table(config, "State")
    if not state:
        return ContainerState.UNKNOWN
    if flag(state, "Running"):
        if flag(state, "Paused"):
            return ContainerState.PAUSED
        return ContainerState.RESTARTING if flag(state, "Restarting") else ContainerState.RUNNING
    if flag(state, "RemovalInProgress"):
        return ContainerState.REMOVING
    if flag(state, "Dead"):
        return ContainerState.DEAD
    return ContainerState.EXITED if moment(state, "StartedAt") is not None else ContainerState.CREATED


def _log(reader: Reader, home: Tree, names: list[str], config: Json, host: Json) -> Log:
    own = f"{home[-1]}-json.log"
    files = [(*home, name) for name in names if name.removesuffix(".gz").startswith((own, _CACHED_LOG))]
    cached = any(name.startswith(_CACHED_LOG) for name in names)
    files += [(*home, "local-logs", name) for name in reader.names((*home, "local-logs")) if "local-logs" in names]
    driver = text(host, "LogConfig", "Type")
    if not driver and (files or text(config, "LogPath") or "LogConfig" not in host):
        driver = _FILE_LOG  # Docker 1.0 to 1.5 knew no other; later, an empty type is the daemon's default
    options = table(host, "LogConfig", "Config")
    limit = _cached_limit(options) if cached and driver not in (_FILE_LOG, _LOCAL_LOG) else _limit(driver, options)
    bounded = None if not driver else limit is not None or driver not in (_FILE_LOG, _LOCAL_LOG)
    return Log(driver, tuple(files), limit, bounded)


def _limit(driver: str, options: Json) -> int | None:
    """How large the log can grow in bytes: `max-size` times `max-file`; None where nothing bounds it."""
    size = _bytes(text(options, "max-size"))
    files = _count(text(options, "max-file"))
    if driver == _LOCAL_LOG:
        return (size or _LOCAL_LIMIT[0]) * (files or _LOCAL_LIMIT[1])
    if driver == _FILE_LOG and size is not None:
        return size * (files or 1)
    return None


def _cached_limit(options: Json) -> int:
    """How large the copy can grow that Docker 20.10 and newer keep of a log it cannot read back."""
    size, files = _bytes(text(options, "cache-max-size")), _count(text(options, "cache-max-file"))
    return (size or _LOCAL_LIMIT[0]) * (files or _LOCAL_LIMIT[1])


def _count(files: str) -> int | None:
    return int(files) if files.isascii() and files.isdecimal() and len(files) < 7 else None


def _bytes(size: str) -> int | None:
    """Docker's human sizes, powers of 1000 (units.FromHumanSize); None for no or a malformed limit."""
    found = _SIZE.fullmatch(size)
    if found is None:
        return None
    return int(float(found[1]) * 1000 ** " kmgtp".index(found[2].lower() or " ")) or None


def _mounts(config: Json, host: Json) -> tuple[Mount, ...]:
    """All that is mounted into a container, by destination: MountPoints (1.8 on) before Volumes before Binds."""
    mounts: dict[str, Mount] = {}
    for bind in items(host, "Binds"):
        source, _, rest = bind.partition(":") if isinstance(bind, str) else ("", "", "")
        destination, _, mode = rest.partition(":")
        if source.startswith("/") and destination:
            mounts[destination] = _mount(source, destination, "ro" not in mode.split(","))
    writable = table(config, "VolumesRW")
    for destination, path in table(config, "Volumes").items():
        if isinstance(path, str) and path:
            mounts[destination] = _mount(path, destination, writable.get(destination) is not False)
    for destination, point in table(config, "MountPoints").items():
        mount = _mount(text(point, "Source"), destination, flag(point, "RW"))
        if name := text(point, "Name"):
            mount = Mount("volume", name, destination, mount.mode)
        elif text(point, "Type") == "tmpfs":
            mount = Mount("tmpfs", "", destination, mount.mode)
        mounts[destination] = mount
    for mount in _memory(host):
        mounts.setdefault(mount.destination, mount)
    return tuple(mounts[destination] for destination in sorted(mounts))


def _memory(host: Json) -> Iterator[Mount]:
    """What hostconfig.json mounts of memory: `--mount type=tmpfs` and `--tmpfs`."""
    for one in items(host, "Mounts"):
        if text(one, "Type") == "tmpfs" and (destination := text(one, "Target")):
            yield Mount("tmpfs", "", destination, "ro" if flag(one, "ReadOnly") else "rw")
    for destination in table(host, "Tmpfs"):
        yield Mount("tmpfs", "", destination, "rw")


def _mount(source: str, destination: str, writable: bool) -> Mount:
    return Mount("bind", source, destination, "rw" if writable else "ro")
