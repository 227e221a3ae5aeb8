"""Which containers an engine does not load when it starts, as far as their own files tell.

Facts: Docker 20.10 daemon/container.go (load) and container/container.go (FromDisk, readHostConfig), the same in 1.0 to
28; seen on 20.10.24 and 26.1.5. A missing `hostconfig.json` is an empty one to all of them.
"""

from exporter.core.data_root import UnreadableError
from exporter.core.measured import Tree
from exporter.inventory.files.reader import Json, Reader, decode


def why_not_loaded(reader: Reader, path: Tree, config: Json | None, host: Json | None) -> str:
    """Why the engine does not load the container with this configuration file; "" if it does.

    `config` and `host` are what the files say, None where they cannot be read. A file that only this program cannot
    read says nothing about the engine.
    """
    if config is None:
        return _damage(reader, path)
    if config.get("ID") != path[-2]:
        return f"{path[-1]} has the id of another container"
    return "" if host is not None else _damage(reader, (*path[:-1], "hostconfig.json"), optional=True)


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
