"""Flags of several commands, each declared once. Those made by `option` have an environment variable as well."""

from collections.abc import Callable, Mapping
from typing import Any

import click
from click.core import ParameterSource

from exporter.cli.config_file import config_file_option
from exporter.cli.param_types import DurationType, LevelType, ShareType
from exporter.config.default_root import ROOTLESS, SNAP, choose_root
from exporter.config.settings import (
    DEFAULT_ROOT,
    FIND_CONTAINERD,
    LogSettings,
    ScanSettings,
    WatchSettings,
)

_ENVIRONMENT = "DOCKER_STORAGE_EXPORTER_"
#: Where a context has why a root was chosen.
_WHY = "exporter.why_this_root"
Function = Callable[..., Any]
Decorator = Callable[[Function], Function]


def option(flag: str, name: str, **settings: Any) -> Decorator:
    """An option with an environment variable, which --help names."""
    words = flag.partition("/")[0].removeprefix("--")  # a switch is named by its positive form
    variable = _ENVIRONMENT + words.replace(".", "_").replace("-", "_").upper()
    return click.option(flag, name, envvar=variable, show_envvar=True, **{"show_default": True, **settings})


class _OnceOption(click.Option):
    """An option that may be given once. click takes the last of two values silently."""

    def __init__(self, *names: Any, advice: str = "", **settings: Any) -> None:
        """`advice`: what the error says of two values."""
        super().__init__(*names, **settings)
        self._advice = advice

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ARG002 - click calls it
        """Have the parser collect all values."""
        parser.add_option(obj=self, opts=self.opts, dest=self.name, action="append", nargs=1)

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> Any:
        """Take the only value; raises click.UsageError for several."""
        given = opts.get(str(self.name))
        if isinstance(given, list):
            if len(given) > 1:
                raise click.UsageError(
                    f"{self.opts[0]} is given {len(given)} times: {', '.join(given)}. {self._advice}"
                )
            opts = {**opts, str(self.name): given[0]}
        return super().consume_value(ctx, opts)


def _chosen(context: click.Context, parameter: click.Parameter, given: str) -> str:
    """The root that is given; where none is, that which is there."""
    if context.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT:
        return given
    root, context.meta[_WHY] = choose_root()
    return root


def why_this_root() -> str:
    """Why this root is read where none was named; "" where there is nothing to say."""
    return str(click.get_current_context().meta.get(_WHY, ""))


def say_why_this_root(root: str) -> None:
    """Say it on standard error."""
    if why := why_this_root():
        click.echo(f"docker-storage-exporter: reads {root}: {why}; --root names another one", err=True)


# -- what is read, and how -------------------------------------------------------------------------------------------

config_file = config_file_option(_ENVIRONMENT + "CONFIG_FILE")
root = option(
    "--root",
    "root",
    cls=_OnceOption,
    advice="One exporter reads one data root: run another one for the other, or give the root of a containerd with "
    "--containerd.root.",
    default="",
    show_default=f"{DEFAULT_ROOT}; where that is none, {SNAP} or ~/{ROOTLESS}",
    callback=_chosen,
    metavar="DIRECTORY",  # not click.Path: it checks with access(2), which ignores capabilities
    help="The Docker data root to read. Nothing below it is ever written.",
)
containerd_root = option(
    "--containerd.root",
    "containerd_root",
    cls=_OnceOption,
    advice="A data root has its images in one containerd.",
    default=FIND_CONTAINERD,
    metavar="DIRECTORY",
    help="The root of the containerd that keeps the images of the data root, where that is a containerd of the host. "
    "auto: find it, and read it only if it has the containers of the data root; none: read no second root.",
)
scan_interval = option(
    "--scan.interval",
    "interval",
    default=ScanSettings().interval,
    type=DurationType(min=1),
    metavar="DURATION",
    help="How often to measure directories that a running container may write to. Those that do not change are "
    "measured less often, down to every 15 minutes.",
)
duty_cycle = option(
    "--scan.duty-cycle",
    "duty_cycle",
    default=ScanSettings().duty_cycle,
    type=ShareType(min=0.001),
    metavar="SHARE",
    help="The share of one core that scans may use on average, after the first scan.",
)
workers = option(
    "--scan.workers",
    "workers",
    default=ScanSettings().workers,
    type=click.IntRange(min=0),
    metavar="NUMBER",
    help="How many processes measure at once; 0 is one for each core, and more while these wait for the disk.",
)
tree_timeout = option(
    "--scan.tree-timeout",
    "tree_timeout",
    default=ScanSettings().tree_timeout,
    type=DurationType(min=1),
    metavar="DURATION",
    help="Give up on a directory tree when measuring it has made no progress for this long.",
)
cache_file = option(
    "--cache.file",
    "cache_file",
    default="",
    metavar="FILE",
    help="Where the sizes of image layers are kept across restarts.  [default: in the state directory; 'none': off]",
)
orphaned_after = option(
    "--layers.orphaned-after",
    "orphaned_after",
    default=ScanSettings().orphaned_after,
    type=DurationType(min=0),
    metavar="DURATION",
    help="Call a layer orphaned after nothing has referred to it for this long.",
)
watch = option(
    "--watch/--no-watch",
    "watch",
    default=WatchSettings().enabled,
    help="Let the kernel report changes (inotify). Without it, changes are found by looking regularly.",
)
look_interval = option(
    "--watch.look-interval",
    "look_interval",
    default=WatchSettings().look_interval,
    type=DurationType(min=0.5),
    metavar="DURATION",
    help="How often to look for changes that the kernel has not reported.",
)

# -- the log ---------------------------------------------------------------------------------------------------------

log_level = option(
    "--log.level",
    "log_level",
    default=LogSettings().level,
    type=LevelType(["debug", "info", "warning", "error"]),
    help="The least important log lines to write.",
)
log_format = option(
    "--log.format",
    "log_format",
    default=LogSettings().style,
    type=click.Choice(["logfmt", "json"]),
    help="The form of log lines.",
)
