"""The log of a container: its driver, its files, and what bounds them.

Facts: the files' names: Docker 1.0 to 1.5 daemon/container.go (logPath), since 1.6 daemon/logger/jsonfilelog, since
18.09 daemon/logger/local (`local-logs`), since 20.10 daemon/logger/loggerutils/cache (`container-cached.log`). Which
drivers are the engine's own: daemon/logdrivers_linux.go and logdrivers_windows.go of Docker 1.6 to 28, where each is
imported. Any other name is that of a plugin (daemon/logger/plugin.go, Docker 17.05 on): nobody knows where it keeps the
logs, which may be in its own directory below `plugins`.
"""

from collections.abc import Sequence

from exporter.core.measured import Tree
from exporter.core.model import Log
from exporter.core.units import parse_size
from exporter.inventory.files.reader import Reader
from exporter.inventory.files.values import Json, table, text

_FILE_LOG = "json-file"
_LOCAL_LOG = "local"
_KEPT_HERE = (_FILE_LOG, _LOCAL_LOG)
#: The engine's own drivers that keep nothing on this disk, but for a cached copy. logentries went with Docker 25.
_SENT_AWAY = frozenset(
    ("awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "logentries", "none", "splunk", "syslog")
)
_LOCAL_LIMIT = (20 * 1024 * 1024, 5)
_CACHED_LOG = "container-cached.log"
_LOCAL_HOME, _LOCAL_FILE = "local-logs", "container.log"


def read_log(reader: Reader, home: Tree, config: Json, host: Json | None) -> Log:
    """Describe the log of the container in `home`. `config` is empty and `host` None where they cannot be read."""
    files = _files(reader, home)
    names = {one[len(home) :] for one in files or ()}
    own = f"{home[-1]}-json.log"
    driver = text(host, "LogConfig", "Type") or _named(names, own)
    if not driver and (text(config, "LogPath") or (host is not None and "LogConfig" not in host)):
        driver = _FILE_LOG  # Docker 1.0 to 1.5 knew no other; later, an empty type is the daemon's default
    if driver and driver not in _SENT_AWAY and driver not in _KEPT_HERE:
        return Log(driver, None)  # nobody knows where a plugin keeps its files
    if host is None:
        return Log(driver, files)
    options = table(host, "LogConfig", "Config")
    cached = any(name[0].startswith(_CACHED_LOG) for name in names)
    limit = _cached_limit(options) if cached and driver in _SENT_AWAY else _limit(driver, options)
    present = {_FILE_LOG: (own,), _LOCAL_LOG: (_LOCAL_HOME, _LOCAL_FILE)}.get(driver)
    missing = bool(config) and files is not None and present is not None and present not in names
    return Log(driver, files, limit, _bounded(driver, limit), missing=missing)


def _files(reader: Reader, home: Tree) -> tuple[Tree, ...] | None:
    """The files of a log, rotated ones included, found by their names; None if a directory cannot be listed."""
    names = reader.listing(home)
    local: Sequence[str] | None = ()
    if names is not None and _LOCAL_HOME in names:
        local = reader.listing((*home, _LOCAL_HOME))
    if names is None or local is None:
        return None
    beginnings = (f"{home[-1]}-json.log", _CACHED_LOG)
    files = [(*home, name) for name in names if name.startswith(beginnings)]
    return (*files, *((*home, _LOCAL_HOME, name) for name in local))


def _named(names: set[Tree], own: str) -> str:
    """The driver, as the names of its files say; "" if they say nothing."""
    if any(name[0].startswith(own) for name in names):
        return _FILE_LOG
    return _LOCAL_LOG if any(name[0] == _LOCAL_HOME for name in names) else ""


def _bounded(driver: str, limit: int | None) -> bool | None:
    """Whether a log on this disk cannot grow for ever; None for that of a plugin, and where the driver is unknown."""
    if driver in _SENT_AWAY:
        return True
    return limit is not None if driver in _KEPT_HERE else None


def _limit(driver: str, options: Json) -> int | None:
    """How large the log can grow in bytes: `max-size` times `max-file`; None where nothing bounds it."""
    size = parse_size(text(options, "max-size"))
    files = _count(text(options, "max-file"))
    if driver == _LOCAL_LOG:
        return (size or _LOCAL_LIMIT[0]) * (files or _LOCAL_LIMIT[1])
    if driver == _FILE_LOG and size is not None:
        return size * (files or 1)
    return None


def _cached_limit(options: Json) -> int:
    """The size limit in bytes of the local copy of a log. Docker 20.10 on keeps one if the log driver cannot read."""
    size, files = parse_size(text(options, "cache-max-size")), _count(text(options, "cache-max-file"))
    return (size or _LOCAL_LIMIT[0]) * (files or _LOCAL_LIMIT[1])


def _count(files: str) -> int | None:
    return int(files) if files.isascii() and files.isdecimal() and len(files) < 7 else None
