"""Containers from their own directories: `config.json` or `config.v2.json`, and `hostconfig.json`.

Facts: Docker 1.0 to 1.9 daemon/container.go (toDisk), daemon/state.go. `config.v2.json` took the place of `config.json`
in 1.8 to 1.10. Docker 20.10 container/state.go.
"""

from collections.abc import Mapping
from functools import partial
from itertools import compress, count

from msgspec.structs import replace

from exporter.core.measured import Reason
from exporter.core.model import Container, ContainerId, ContainerState, ImageId
from exporter.core.splices import Mapped
from exporter.core.units import parse_size
from exporter.inventory.areas import CONTAINERS
from exporter.inventory.container_logs import read_log
from exporter.inventory.container_mounts import MountResolver, is_unresolved, origin, read_mounts, volumes_from
from exporter.inventory.engine_version import written_by
from exporter.inventory.files.reader import Reader, is_id
from exporter.inventory.files.values import Json, flag, moment, table, text
from exporter.inventory.image_store.store import is_containerd_root, is_young
from exporter.inventory.unloaded import odd_image, of_wrong_type, why_not_loaded

_CONFIGS = ("config.v2.json", "config.json")
_HOST_CONFIG = "hostconfig.json"
_RESTARTED = ("always", "on-failure", "unless-stopped")
_LARGEST_PID = 2**31


def read_containers(
    reader: Reader, volumes: frozenset[str] | None, previous: Mapping[ContainerId, Container]
) -> tuple[Container, ...]:
    """Read every container. One with an invalid config is taken from `previous`.

    `volumes` are the names of all volumes; None where they are not known.
    """
    required = not is_containerd_root(reader.root)
    names = reader.objects(CONTAINERS.path, is_id, required=required, links=True)

    def read(name: str) -> Container:
        return _read(reader, ContainerId(name), previous)

    def lost(name: str) -> Container:
        known = ContainerId(name)
        return previous.get(known) or Container("", known, metadata=((*CONTAINERS.path, name),))

    found = [*reader.each("container", CONTAINERS.path, names, read, lost).values()]
    unresolved: Mapped[Container, bool] = reader.derived("mounts", CONTAINERS.path, Mapped)
    asked = [*compress(count(), unresolved.update(found, partial(_is_unresolved, reader)))]
    if not asked:
        return tuple(found)
    resolved, resolver = [*found], MountResolver(found, volumes)
    for at in asked:
        resolved[at] = _resolved(reader, resolver, found[at])
    return tuple(resolved)


def _is_unresolved(reader: Reader, container: Container) -> bool:
    return reader.attempt((*CONTAINERS.path, container.id), partial(is_unresolved, container), instead=True)


def _resolved(reader: Reader, resolver: MountResolver, container: Container) -> Container:
    return reader.attempt((*CONTAINERS.path, container.id), partial(resolver.resolve, container), container)


def _read(reader: Reader, container: ContainerId, previous: Mapping[ContainerId, Container]) -> Container:
    home = (*CONTAINERS.path, container)
    names = {*reader.names(home)}
    if home in reader.links:  # an engine follows it
        return previous.get(container) or Container("", container, metadata=(home,))
    whole = _CONFIGS[1] in names or names.issuperset((_CONFIGS[0], _HOST_CONFIG))
    if not whole and is_young(reader.root, home):  # an engine makes, or removes, the directory just now
        reader.wait()
        names = {*reader.names(home)}
    name = next((name for name in _CONFIGS if name in names), "") or _newest_config(reader)
    config = reader.json((*home, name))
    if name == _CONFIGS[0] and _HOST_CONFIG not in names:  # older engines wrote none for some containers
        reader.expect((*home, _HOST_CONFIG), damaged=True)
    asked = reader.json((*home, _HOST_CONFIG), optional=True)
    odd = {name: of_wrong_type(name, config), _HOST_CONFIG: of_wrong_type(_HOST_CONFIG, asked)}
    unloaded = why_not_loaded(reader, (*home, name), config, asked, odd[name] or odd[_HOST_CONFIG])
    host = asked or {}
    if config is not None and config.get("ID") != container:
        reader.problem(Reason.DECODE, (*home, name), "has the id of another container")
        config = None
    if config is None:
        odd[name] = ""
    else:
        odd[name] = odd[name] or odd_image(name, config)
    for file, wrong in odd.items():
        if wrong:
            reader.problem(Reason.DECODE, (*home, file), wrong)
    # The first engines wrote none for a container that was never started (Docker 1.0 daemon/container.go).
    known = {} if config is not None and name != _CONFIGS[0] and _HOST_CONFIG not in names else asked
    log = read_log(reader, home, config or {}, known)
    if config is None:
        before = previous.get(container)
        if before is None:
            mounts, others = read_mounts({}, host), volumes_from({}, host)
            before = Container("", container, mounts=mounts, volumes_from=others, log=log, metadata=(home,))
        log = replace(before.log, files=log.files) if asked is None else log
        return replace(before, log=log, unloaded=unloaded)
    image, labels = text(config, "Image").removeprefix("sha256:"), table(config, "Config", "Labels")
    started = moment(config, "State", "StartedAt")
    return Container(
        driver=text(config, "Driver"),
        id=container,
        name=text(config, "Name").removeprefix("/"),
        image_id=ImageId(image) if is_id(image) else None,
        image=text(config, "Config", "Image"),
        state=_state(config, started),
        created=moment(config, "Created"),
        finished=moment(config, "State", "FinishedAt"),
        log=log,
        compose_project=text(labels, "com.docker.compose.project"),
        compose_service=text(labels, "com.docker.compose.service"),
        stack=text(labels, "com.docker.stack.namespace"),
        swarm_service=text(labels, "com.docker.swarm.service.name"),
        writable_limit=_writable_limit(host),
        mounts=read_mounts(config, host),
        volumes_from=volumes_from(config, host),
        origin=origin(config),
        pid=_pid(config),
        started=started,
        waits_unwritten=_waits_unwritten(config, host, old=name != _CONFIGS[0]),
        checkpoints=(*home, "checkpoints")
        if "checkpoints" in names and reader.is_directory((*home, "checkpoints"))
        else None,
        metadata=(home,),
        unloaded=unloaded,
        written_by=written_by(config, host),
    )


def _newest_config(reader: Reader) -> str:
    """The name of the configuration that the newest engine of a root has written."""
    return _CONFIGS[0 if reader.exists(("image",)) else -1]


def _waits_unwritten(config: Json, host: Json, *, old: bool) -> bool:
    """Whether a container is restarted when it ends, by an engine that does not write down that it waits to do so.

    Docker 1.2 to 1.10 leave what they wrote at the last start (daemon/monitor.go, Start; container/monitor.go): it is
    running, with a process that has ended. 1.11 and newer write it as restarting (daemon/monitor.go, StateChanged).
    `old` is 1.9 and older. 1.10 writes `SeccompProfile` and not yet `NoNewPrivileges` (container/container_unix.go).
    """
    before = old or ("SeccompProfile" in config and "NoNewPrivileges" not in config)
    return before and text(host, "RestartPolicy", "Name") in _RESTARTED


def _pid(config: Json) -> int:
    pid = table(config, "State").get("Pid")
    return pid if type(pid) is int and 0 < pid < _LARGEST_PID else 0


def _state(config: Json, started: float | None) -> ContainerState:
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
    return ContainerState.EXITED if started is not None else ContainerState.CREATED


def _writable_limit(host: Json) -> int | None:
    """The option `size` of `--storage-opt` in bytes; None for none.

    Docker 1.12 and newer have it, in `hostconfig.json`. All drivers read it with units.RAMInBytes, in powers of 1024,
    and its name in any case (daemon/graphdriver/overlay2/overlay.go, parseStorageOpt). 0 is no limit.
    """
    options = table(host, "StorageOpt")
    given = next((value for name, value in options.items() if name.lower() == "size"), "")
    return parse_size(given, 1024) if isinstance(given, str) else None
