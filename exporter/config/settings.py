"""Every setting, as one frozen value that the command line builds and the rest is given."""

from dataclasses import dataclass

from exporter.config.limits import EVERYTHING, Shown

DEFAULT_PORT = 9588
DEFAULT_ROOT = "/var/lib/docker"


class SettingsError(Exception):
    """A settings or web configuration file cannot be read or is wrong; the message begins with file and line."""


@dataclass(frozen=True, slots=True)
class Config:
    """The effective configuration. Times are seconds; `duty_cycle` is a fraction of one core.

    `workers` 0 is one for each core. `cache_file` is empty where nothing is to be kept.
    """

    root: str = DEFAULT_ROOT
    listen: tuple[str, ...] = (f":{DEFAULT_PORT}",)
    scan_interval: float = 60.0
    duty_cycle: float = 0.05
    workers: int = 0
    tree_timeout: float = 30.0
    cache_file: str = ""
    watch: bool = True
    look_interval: float = 15.0
    orphaned_after: float = 600.0
    shown: Shown = EVERYTHING
    log_level: str = "info"
    log_format: str = "logfmt"
    web_config_file: str = ""
    lifecycle: bool = False
