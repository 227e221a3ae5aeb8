"""All settings, as frozen values. A command makes them from its flags. Times are in seconds."""

from enum import StrEnum

from msgspec import Struct, field

from exporter.config.limits import EVERYTHING, Shown

DEFAULT_PORT = 9588
DEFAULT_ROOT = "/var/lib/docker"
#: Values of `containerd_root` that are no paths: find the root of the host's containerd, or read none.
FIND_CONTAINERD, NO_CONTAINERD = "auto", "none"


class SettingsError(Exception):
    """A settings or web configuration file cannot be read or is wrong; the message begins with file and line."""


class SandboxMode(StrEnum):
    """What the processes of `run` give up: as much as the system allows, all or it does not start, or nothing."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


class BindSettings(Struct, frozen=True):
    """`include`: the regular expression that a source must match to be measured; "" measures none.

    `rootfs`: where the host's / is mounted; "" is /, unless that is a container's own. `network`: sources on network
    filesystems are measured, too.
    """

    include: str = ""
    rootfs: str = ""
    network: bool = False


class ScanSettings(Struct, frozen=True):
    """How often trees are measured, and the CPU time for it. `duty_cycle` is a fraction of one core.

    `workers`: 0 is one for each core, and more for a slow disk. `cache_file`: "" keeps nothing across restarts.
    `orphaned_after`: a layer counts as orphaned once nothing has referred to it for so long. `network`: volumes on
    network filesystems are measured, too.
    """

    interval: float = 60.0
    duty_cycle: float = 0.05
    workers: int = 0
    tree_timeout: float = 30.0
    cache_file: str = ""
    orphaned_after: float = 600.0
    network: bool = False


class WatchSettings(Struct, frozen=True):
    """`enabled`: use kernel watches. `look_interval`: the time between two looks for changes without an event."""

    enabled: bool = True
    look_interval: float = 15.0


class WebSettings(Struct, frozen=True):
    """`listen`: addresses. `config_file`: "" without TLS and passwords. `lifecycle`: allow POST /-/reload.

    `allowed_hosts`: the names by which clients may ask for this server; empty for every name. `telemetry_path`: where
    the metrics are. `max_requests`: how many answers with metrics are made at a time, 0 without a limit.
    `exporter_metrics`: serve what is about the exporter's own processes.
    """

    listen: tuple[str, ...] = (f":{DEFAULT_PORT}",)
    config_file: str = ""
    lifecycle: bool = False
    allowed_hosts: tuple[str, ...] = ()
    telemetry_path: str = "/metrics"
    max_requests: int = 0
    exporter_metrics: bool = True


class LogSettings(Struct, frozen=True):
    """`level`: the lowest level that is logged. `style`: the format of a line, logfmt or json."""

    level: str = "info"
    style: str = "logfmt"


class Config(Struct, frozen=True):
    """The effective configuration of a command.

    `containerd_root`: the root of a containerd of the host that keeps the images; or FIND_CONTAINERD, or NO_CONTAINERD.
    """

    root: str = DEFAULT_ROOT
    scan: ScanSettings = field(default_factory=ScanSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
    web: WebSettings = field(default_factory=WebSettings)
    log: LogSettings = field(default_factory=LogSettings)
    shown: Shown = EVERYTHING
    binds: BindSettings = BindSettings()
    sandbox: SandboxMode = SandboxMode.AUTO
    containerd_root: str = FIND_CONTAINERD
