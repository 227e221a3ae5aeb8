"""The flags that several commands have, and how a flag is made: each is an environment variable, too."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from exporter.cli.config_file import config_file_option
from exporter.config.limits import DEFAULT_SERIES, LIMITED, Shown
from exporter.config.settings import DEFAULT_ROOT

_ENVIRONMENT = "DOCKER_STORAGE_EXPORTER_"
Command = Callable[..., None]


def option(flag: str, name: str, **settings: Any) -> Callable[[Command], Command]:
    """An option that is also an environment variable, and says so in --help."""
    words = flag.partition("/")[0].removeprefix("--")  # a switch has the name of what it switches on
    variable = _ENVIRONMENT + words.replace(".", "_").replace("-", "_").upper()
    return click.option(flag, name, envvar=variable, show_envvar=True, show_default=True, **settings)


config_file = config_file_option(_ENVIRONMENT + "CONFIG_FILE")
root = option(
    "--root",
    "root",
    default=DEFAULT_ROOT,
    metavar="DIRECTORY",  # no click.Path: that refuses what access(2) denies, which knows nothing of capabilities
    help="The Docker data root to read. Nothing below it is ever written.",
)
intermediate = option(
    "--collector.images.intermediate",
    "intermediate",
    is_flag=True,
    help="Serve the sizes of intermediate images too: those without a tag that other images are built on.",
)
workers = option(
    "--scan.workers",
    "workers",
    default=0,
    type=click.IntRange(min=0),
    metavar="NUMBER",
    help="How many processes measure at once; 0 is one for each core.",
)
timeout = option(
    "--scan.tree-timeout",
    "tree_timeout",
    default=30.0,
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Give up on a directory tree when its measuring has made no progress for this long.",
)
each_layer = option(
    "--collector.layers.each",
    "each_layer",
    is_flag=True,
    help="Serve every layer with its size, not only their sums.",
)


def limits(command: Command) -> Command:
    """The limits on series, one option for each collector."""
    for name in reversed(LIMITED):
        command = option(
            f"--collector.{name.replace('_', '-')}.max-series",
            f"most_{name}",
            default=DEFAULT_SERIES,
            type=click.IntRange(min=0),
            metavar="NUMBER",
            help=f"Serve at most so many series of {name.replace('_', ' ')}, those of the largest; 0 is no limit.",
        )(command)
    return command


def shown(*, intermediate: bool, each_layer: bool, limits: Mapping[str, int]) -> Shown:
    """What the flags above ask to be served."""
    return Shown(intermediate, each_layer, tuple((name, limits[f"most_{name}"]) for name in LIMITED))


grace = option(
    "--layers.orphaned-after",
    "orphaned_after",
    default=600.0,
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long nothing must have referred to a layer before it is called orphaned.",
)
