"""What is served, and where: flags of `run` and `once`."""

from collections.abc import Mapping
from typing import Any

import click

from exporter.cli.options import Function, option
from exporter.cli.param_types import OwnPathType, RegexType
from exporter.config.limits import COLLECTORS, DEFAULT_SERIES, LIMITED, NAMED, Shown
from exporter.config.settings import (
    DEFAULT_PORT,
    BindSettings,
    SandboxMode,
    WebSettings,
)

intermediate = option(
    "--collector.images.intermediate",
    "intermediate",
    is_flag=True,
    help="Serve the sizes of intermediate images too: those without a tag that other images are built on.",
)
each_layer = option(
    "--collector.layers.each",
    "each_layer",
    is_flag=True,
    help="Serve the size of every layer, not only sums of layers.",
)
network = option(
    "--collector.volumes.network",
    "network",
    is_flag=True,
    help="Measure volumes on network filesystems (NFS, CIFS, FUSE and others) too. Each file of them is asked for over "
    "the network.",
)
binds = option(
    "--collector.binds.include",
    "binds",
    default="",
    type=RegexType(),
    metavar="REGEX",
    help="Measure the directories and files of the host that containers mount and whose path matches this regular "
    "expression, and serve bind_size_bytes of them. Without it none: they may be anywhere.",
)
rootfs = option(
    "--path.rootfs",
    "rootfs",
    default="",
    show_default=False,
    metavar="DIR",
    help="Where the host's / is mounted here, for --collector.binds.include. Default: /, unless that is a container's.",
)
listen = option(
    "--web.listen-address",
    "listen",
    multiple=True,
    default=(f":{DEFAULT_PORT}",),
    metavar="HOST:PORT",
    help="The address to serve on; repeat it for several. Without a host, on every address of the machine. "
    "Ignored when systemd passes sockets.",
)
web_config_file = option(
    "--web.config.file",
    "web_config_file",
    default="",
    metavar="FILE",
    help="TLS, passwords, headers and rate limit, in the format that Prometheus exporters share.",
)
lifecycle = option(
    "--web.enable-lifecycle",
    "lifecycle",
    is_flag=True,
    help="Let POST /-/reload scan everything again and read the web configuration again, as SIGHUP does. Only SIGHUP "
    "applies one with less protection.",
)
allowed_hosts = option(
    "--web.allowed-hosts",
    "allowed_hosts",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Answer only requests for this host name or address; repeat it, or separate several by commas. Protects from "
    "DNS rebinding. Without it, every name is answered.",
)
telemetry_path = option(
    "--web.telemetry-path",
    "telemetry_path",
    default=WebSettings().telemetry_path,
    type=OwnPathType(),
    metavar="PATH",
    help="Where to serve the metrics.",
)
max_requests = option(
    "--web.max-requests",
    "max_requests",
    default=WebSettings().max_requests,
    type=click.IntRange(min=0),
    metavar="NUMBER",
    help="Make at most this many answers with metrics at a time, and refuse more; 0 is no limit.",
)
exporter_metrics = option(
    "--web.disable-exporter-metrics",
    "no_exporter_metrics",
    is_flag=True,
    help="Leave out the metrics about the exporter's own processes (process_*).",
)
style = option(
    "--format",
    "style",
    default="text",
    type=click.Choice(["text", "openmetrics"]),
    help="The exposition format.",
)
output = option(
    "--output",
    "output",
    default=None,
    type=click.Path(dir_okay=False, readable=False),
    metavar="FILE",
    help="Write to this file instead of standard output, replacing it as a whole: for node_exporter's textfile "
    "collector.",
)
labels = option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="Add a label to all series; repeat it for several. Where two roots are written into one directory of the "
    "textfile collector, each needs one, such as root=/var/lib/docker.",
)


def limits(command: Function) -> Function:
    """The limits on series, one option for each collector."""
    for name in reversed(LIMITED):
        command = option(
            f"--collector.{name.replace('_', '-')}.max-series",
            f"most_{name}",
            default=DEFAULT_SERIES,
            type=click.IntRange(min=0),
            metavar="NUMBER",
            help=f"Serve at most this many series of {name.replace('_', ' ')}, the largest first; 0 is no limit.",
        )(command)
    return command


def collectors(command: Function) -> Function:
    """The switches of collectors."""
    for name in reversed([*COLLECTORS]):
        flag = name.replace("_", "-")
        command = option(
            f"--collector.{flag}/--no-collector.{flag}",
            f"serve_{name}",
            default=True,
            help=f"Serve the metrics of {name.replace('_', ' ')}.",
        )(command)
    return command


def chosen_by_name(command: Function) -> Function:
    """The choice of objects by their names."""
    for name in reversed(NAMED):
        for what, verb in (("exclude", "Leave out"), ("include", "Serve only")):
            command = option(
                f"--collector.{name}.{what}",
                f"{what}_{name}",
                default="",
                type=RegexType(),
                metavar="REGEX",
                help=f"{verb} the series of {name} of which a name matches this regular expression. Sums count all.",
            )(command)
    return command


def shown(*, intermediate: bool, each_layer: bool, flags: Mapping[str, Any]) -> Shown:
    """Make the settings of what is served from these flags."""
    most = tuple((name, flags[f"most_{name}"]) for name in LIMITED)
    off = tuple(name for name in COLLECTORS if not flags[f"serve_{name}"])
    include, exclude = (
        tuple((name, pattern) for name in NAMED if (pattern := flags[f"{what}_{name}"]))
        for what in ("include", "exclude")
    )
    if both := sorted(dict(include).keys() & dict(exclude).keys()):
        raise click.UsageError(f"--collector.{both[0]}.include and --collector.{both[0]}.exclude exclude each other")
    return Shown(intermediate, each_layer, most, off, include, exclude)


def bind_settings(flags: Mapping[str, Any]) -> BindSettings:
    """Make the settings of bind mounts from these flags."""
    return BindSettings(flags["binds"], flags["rootfs"])


sandbox = option(
    "--sandbox",
    "sandbox",
    default=SandboxMode.AUTO.value,
    type=click.Choice([one.value for one in SandboxMode]),
    help="Give up rights after the start: auto, what this system can take away; required, all of it or do not start; "
    "off, none, for a host on which that hinders.",
)
