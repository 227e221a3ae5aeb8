"""Which containers an engine does not load when it starts, as far as their own files tell.

Facts: Docker 20.10 daemon/container.go (load) and container/container.go (FromDisk, readHostConfig), the same in 1.0 to
28; seen on 20.10.24 and 26.1.5. A missing `hostconfig.json` is an empty one to all of them.
"""

from collections.abc import Mapping

from exporter.core.data_root import UnreadableError
from exporter.core.measured import Tree
from exporter.inventory.files.reader import Json, Reader, decode

_HOST = "hostconfig.json"
#: Of what type the engine expects a value, where there is one that is not null. Go refuses the whole file otherwise.
_CONFIG: Mapping[str, type] = {
    **dict.fromkeys(("ID", "Created", "Path", "Image", "Name", "Driver", "LogPath"), str),
    **dict.fromkeys(("Config", "State", "NetworkSettings", "MountPoints"), dict),
    "Args": list,
}
_HOST_CONFIG: Mapping[str, type] = {
    **dict.fromkeys(("Binds", "Mounts", "VolumesFrom", "Devices"), list),
    **dict.fromkeys(("LogConfig", "RestartPolicy", "PortBindings"), dict),
    **dict.fromkeys(("NetworkMode", "VolumeDriver", "Runtime"), str),
    "Privileged": bool,
}


def why_not_loaded(reader: Reader, path: Tree, config: Json | None, host: Json | None) -> str:
    """Why the engine does not load the container with this configuration file; "" if it does.

    `config` and `host` are what the files say, None where they cannot be read. A file that only this program cannot
    read says nothing about the engine.
    """
    if config is None:
        return _damage(reader, path)
    if config.get("ID") != path[-2]:
        return f"{path[-1]} has the id of another container"
    if host is None:
        return _damage(reader, (*path[:-1], _HOST), optional=True)
    return _odd(path[-1], config, _CONFIG) or _odd(_HOST, host, _HOST_CONFIG)


def _odd(file: str, content: Json, types: Mapping[str, type]) -> str:
    odd = (name for name, kind in types.items() if not isinstance(content.get(name), (kind, type(None))))
    name = next(odd, "")
    return f"{name} in {file} is of the wrong type" if name else ""


def _damage(reader: Reader, path: Tree, *, optional: bool = False) -> str:
    try:
        raw = reader.root.read(path)
    except FileNotFoundError:
        return "" if optional else f"{path[-1]} is missing"
    except (OSError, UnreadableError):
        return ""
    if not raw.strip():
        return f"{path[-1]} is empty"
    return "" if decode(raw) is not None else f"{path[-1]} is damaged"
