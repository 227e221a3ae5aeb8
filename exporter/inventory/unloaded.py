"""Which containers an engine does not load when it starts, and of which it is not known what they use, by their files.

Facts: Docker 20.10 daemon/container.go (load) and container/container.go (FromDisk, readHostConfig), the same in 1.0 to
28; seen on 20.10.24 and 26.1.5. A missing `hostconfig.json` is an empty one to all of them.
"""

from collections.abc import Mapping
from typing import cast

from msgspec import Struct

from exporter.core.data_root import UnreadableError
from exporter.core.measured import Tree
from exporter.inventory.files.reader import Reader, is_id
from exporter.inventory.files.values import Json, decode

_HOST = "hostconfig.json"


class _Each(Struct, frozen=True):
    """An array or an object of which each value has the same shape."""

    container: type
    of: "_Shape"


_Shape = type | Mapping[str, "_Shape"] | _Each
_VALUE_OF = {str: "a string", bool: "true or false", int: "a whole number", list: "an array", dict: "an object"}

#: Of what type the engine expects a value, where there is one that is not null. Go refuses the whole file otherwise.
_POINT: _Shape = {**dict.fromkeys(("Name", "Source", "Destination", "Driver", "Type"), str), "RW": bool}
_ASKED: _Shape = {**dict.fromkeys(("Type", "Source", "Target"), str), "ReadOnly": bool}
_STATE: _Shape = {
    **dict.fromkeys(("Running", "Paused", "Restarting", "RemovalInProgress", "Dead"), bool),
    **dict.fromkeys(("StartedAt", "FinishedAt"), str),
    "Pid": int,
}
_CONFIG: _Shape = {
    **dict.fromkeys(("ID", "Created", "Path", "Image", "Name", "Driver", "LogPath"), str),
    "NetworkSettings": dict,
    "Args": list,
    "State": _STATE,
    "Config": {"Image": str, "Labels": _Each(dict, str), "Volumes": dict},
    "MountPoints": _Each(dict, _POINT),
    "Volumes": _Each(dict, str),
    "VolumesRW": _Each(dict, bool),
}
_HOST_CONFIG: _Shape = {
    **dict.fromkeys(("Binds", "VolumesFrom"), _Each(list, str)),
    "Mounts": _Each(list, _ASKED),
    "Devices": list,
    "LogConfig": {"Type": str, "Config": dict},
    "RestartPolicy": {"Name": str},
    "PortBindings": dict,
    **dict.fromkeys(("NetworkMode", "VolumeDriver", "Runtime"), str),
    "Privileged": bool,
}


def why_not_loaded(reader: Reader, path: Tree, config: Json | None, host: Json | None, odd: str) -> str:
    """Why the engine does not load the container with this configuration file; "" if it does.

    `config` and `host` are what the files say, None where they cannot be read. A file that only this program cannot
    read says nothing about the engine. `odd`: the first value of a wrong type in both, see `of_wrong_type`.
    """
    if config is None:
        return _damage(reader, path)
    if config.get("ID") != path[-2]:
        return f"{path[-1]} has the id of another container"
    if host is None:
        return _damage(reader, (*path[:-1], _HOST), optional=True)
    return odd


def odd_image(file: str, content: Json) -> str:
    """Say that a configuration file of a container names no image as an engine does; "" if it does."""
    image = str(content.get("Image") or "").removeprefix("sha256:")
    # A container that was made of nothing has an empty one.
    return f"Image in {file} is no id" if image and not is_id(image) else ""


def of_wrong_type(file: str, content: Json | None) -> str:
    """Say which value in a configuration file of a container is not what an engine writes; "" for none.

    What such a container uses is not known: its image, its volumes, its layers.
    """
    if content is None:
        return ""
    odd = _odd(content, _HOST_CONFIG if file == _HOST else _CONFIG, "")
    return f"{odd[0]} in {file} is {odd[1]}" if odd else ""


def _odd(value: object, shape: _Shape, name: str) -> tuple[str, str] | None:
    """The first value that has another type than the engine expects, and what is wrong with it."""
    if isinstance(shape, type):
        return None if type(value) is shape else (name, f"not {_VALUE_OF[shape]}")
    kind = shape.container if isinstance(shape, _Each) else dict
    if type(value) is not kind:
        return name, f"not {_VALUE_OF[kind]}"
    if isinstance(shape, _Each):
        each = value.values() if isinstance(value, dict) else cast("list[object]", value)
        of, inner = shape.of, f"a value of {name}"
        found = (_odd(one, of, inner) for one in each if one is not None and type(one) is not of)
        return next(filter(None, found), None)
    known = cast("Json", value)
    for key, of in shape.items():
        one = known.get(key)
        # Most are texts and numbers of the type that they must have.
        if one is None or type(one) is of:
            continue
        if odd := _odd(one, of, f"{name}.{key}" if name else key):
            return odd
    return None


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
