"""Every setting, as one frozen value that a command makes of its flags. Times are seconds."""

from dataclasses import dataclass, field

from exporter.config.limits import EVERYTHING, Shown

DEFAULT_PORT = 9588
DEFAULT_ROOT = "/var/lib/docker"


class SettingsError(Exception):
    """A settings or web configuration file cannot be read or is wrong; the message begins with file and line."""


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """How often is measured, and what it may cost. `duty_cycle` is a fraction of one core.

    `workers` 0 is one for each core. `cache_file` is "" where nothing is kept across restarts. A layer to which nothing
    refers is called orphaned after `orphaned_after`.
    """

    interval: float = 60.0
    duty_cycle: float = 0.05
    workers: int = 0
    tree_timeout: float = 30.0
    cache_file: str = ""
    orphaned_after: float = 600.0


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Whether the kernel is asked to tell of changes, and how often is looked for those that it does not tell of."""

    enabled: bool = True
    look_interval: float = 15.0


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where is served. `config_file` is "" without TLS and passwords; `lifecycle` allows POST /-/reload."""

    listen: tuple[str, ...] = (f":{DEFAULT_PORT}",)
    config_file: str = ""
    lifecycle: bool = False


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The least important level that is logged, and the form of a line: logfmt or json."""

    level: str = "info"
    style: str = "logfmt"


@dataclass(frozen=True, slots=True)
class Config:
    """The effective configuration of a command."""

    root: str = DEFAULT_ROOT
    scan: ScanSettings = field(default_factory=ScanSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
    web: WebSettings = field(default_factory=WebSettings)
    log: LogSettings = field(default_factory=LogSettings)
    shown: Shown = EVERYTHING
