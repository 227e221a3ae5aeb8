"""`run`: serves the metrics until it is stopped."""

from typing import Any

import click

from exporter.cli import options, served_options
from exporter.config.settings import (
    Config,
    LogSettings,
    SandboxMode,
    ScanSettings,
    SettingsError,
    WatchSettings,
    WebSettings,
)


@click.command()
@options.config_file
@options.root
@options.containerd_root
@served_options.listen
@served_options.web_config_file
@served_options.lifecycle
@served_options.allowed_hosts
@served_options.telemetry_path
@served_options.max_requests
@served_options.exporter_metrics
@options.scan_interval
@options.duty_cycle
@options.workers
@options.tree_timeout
@options.cache_file
@options.watch
@options.look_interval
@served_options.intermediate
@served_options.each_layer
@served_options.network
@served_options.binds
@served_options.rootfs
@served_options.collectors
@served_options.chosen_by_name
@served_options.limits
@options.orphaned_after
@served_options.sandbox
@options.log_level
@options.log_format
def run(**flags: Any) -> None:
    """Serve the metrics at /metrics (--web.telemetry-path) until stopped.

    A missing or unreadable data root is no reason to fail: the exporter serves docker_storage_up 0, and reads the
    root as soon as it is there.
    """
    from exporter.core import log  # noqa: PLC0415 - the other commands need none of these
    from exporter.service.start import give  # noqa: PLC0415

    log.configure(flags["log_level"], flags["log_format"])
    if why := options.why_this_root():
        log.Logger().info("root.chosen", root=flags["root"], why=why, advice="--root names another one")
    try:
        config = _config(**flags)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    give(config)


def _config(root: str, intermediate: bool, each_layer: bool, **flags: Any) -> Config:
    """Make the configuration from the flags; raises SettingsError."""
    from exporter.config.state_paths import cache_file_for  # noqa: PLC0415 - see above

    def given(*names: str) -> dict[str, Any]:
        return {name: flags[name] for name in names}

    return Config(
        root=root,
        containerd_root=flags["containerd_root"],
        scan=ScanSettings(
            **given("interval", "duty_cycle", "workers", "tree_timeout", "orphaned_after", "network"),
            cache_file=cache_file_for(flags["cache_file"], root),
        ),
        watch=WatchSettings(enabled=flags["watch"], look_interval=flags["look_interval"]),
        web=WebSettings(
            **given("listen", "lifecycle", "allowed_hosts", "telemetry_path", "max_requests"),
            config_file=flags["web_config_file"],
            exporter_metrics=not flags["no_exporter_metrics"],
        ),
        log=LogSettings(level=flags["log_level"], style=flags["log_format"]),
        sandbox=SandboxMode(flags["sandbox"]),
        binds=served_options.bind_settings(flags),
        shown=served_options.shown(intermediate=intermediate, each_layer=each_layer, flags=flags),
    )
