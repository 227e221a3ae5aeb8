"""The plugins that the engine has installed, by name.

Facts: Docker 1.13 on keeps each in `plugins/<id>`, with `config.json` beside `rootfs` (plugin/manager.go,
configFileName; plugin/v2/plugin.go, Plugin: `plugin.Name`, and `plugin.Config.Interface.Types` such as
`docker.logdriver/1.0`).
"""

from functools import partial

from exporter.core.model import Plugin
from exporter.inventory.files.reader import Reader, is_id
from exporter.inventory.files.values import items, text

_HOME = "plugins"


def read_plugins(reader: Reader) -> tuple[Plugin, ...]:
    """List the plugins, once for as long as their directory is the same. One that cannot be read has no name."""
    return reader.once("plugins", (_HOME,), lambda: _list(reader), instead=())


def _list(reader: Reader) -> tuple[Plugin, ...]:
    found = (name for name in reader.names((_HOME,)) if is_id(name))
    return tuple(reader.attempt((_HOME, one), partial(_read, reader, one), Plugin(one, "", ())) for one in found)


def _read(reader: Reader, name: str) -> Plugin:
    config = reader.json((_HOME, name, "config.json"), optional=True) or {}
    kinds = (one for one in items(config, "plugin", "Config", "Interface", "Types") if isinstance(one, str))
    # A type is written as a string, prefix.capability/version (api/types/plugin_interface_type.go).
    interfaces = tuple(sorted({one.partition("/")[0].rpartition(".")[2] for one in kinds}))
    return Plugin(name, text(config, "plugin", "Name"), interfaces)
