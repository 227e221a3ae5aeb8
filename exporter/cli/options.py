"""The flags of all commands, each declared once. Those made by `option` have an environment variable as well."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from exporter.cli.config_file import config_file_option
from exporter.cli.param_types import DurationType, LevelType, ShareType, SizeType, own_path, regular_expression
from exporter.config.limits import COLLECTORS, DEFAULT_SERIES, LIMITED, NAMED, Shown
from exporter.config.settings import (
    DEFAULT_PORT,
    DEFAULT_ROOT,
    FIND_CONTAINERD,
    LogSettings,
    SandboxMode,
    ScanSettings,
    WatchSettings,
    WebSettings,
)

_ENVIRONMENT = "DOCKER_STORAGE_EXPORTER_"
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


# -- what is read, and how -------------------------------------------------------------------------------------------

config_file = config_file_option(_ENVIRONMENT + "CONFIG_FILE")
root = option(
    "--root",
    "root",
    cls=_OnceOption,
    advice="One exporter reads one data root: run another one for the other, or give the root of a containerd with "
    "--containerd.root.",
    default=DEFAULT_ROOT,
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

# -- what is served, and where ---------------------------------------------------------------------------------------

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
    callback=own_path,
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
                callback=regular_expression,
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


sandbox = option(
    "--sandbox",
    "sandbox",
    default=SandboxMode.AUTO.value,
    type=click.Choice([one.value for one in SandboxMode]),
    help="Give up rights after the start: auto, what this system can take away; required, all of it or do not start; "
    "off, none, for a host on which that hinders.",
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

# -- the terminal commands -------------------------------------------------------------------------------------------


def _quiet(flag: str, name: str, **settings: Any) -> Decorator:
    """An option without its default in --help."""
    return option(flag, name, show_default=False, **settings)


from_url = _quiet("--from", "url", default="", metavar="URL", help="Ask this running exporter instead of scanning.")
from_user = _quiet("--from.user", "user", default="", metavar="NAME", help="The user name, if the exporter wants one.")
from_password_file = _quiet(
    "--from.password-file",
    "password_file",
    default=None,
    metavar="FILE",
    type=click.File(errors="surrogateescape"),
    help="A file whose first line is the password.",
)
from_ca_file = _quiet(
    "--from.ca-file",
    "ca_file",
    default=None,
    metavar="FILE",
    help="The certificate authority that signed the exporter's certificate, PEM.",
)
from_cert_file = _quiet(
    "--from.cert-file", "cert_file", default=None, metavar="FILE", help="A client certificate, PEM."
)
from_key_file = _quiet(
    "--from.key-file", "key_file", default=None, metavar="FILE", help="Its key, if that is another file."
)
tree = click.option("--tree", is_flag=True, help="Draw the tree, as docker images -tree of Docker 1.x did.")
all_images = click.option("--all", "-a", "intermediate", is_flag=True, help="List intermediate images too.")
all_containers = click.option(
    "--all", "-a", "every", is_flag=True, help="For the habit of docker ps: all containers are listed anyway."
)
orphaned = click.option("--orphaned", is_flag=True, help="List only layers that nothing refers to.")
host_root = click.option(
    "--host-root", default="", metavar="DIR", help="Where the data root is on the host, if it is elsewhere there."
)
prefix = click.option(
    "--prefix", default="", metavar="DIR", help="Where the host's / is mounted here; goes before bind mounts' paths."
)
size_to_free = click.argument("wanted", metavar="[SIZE]", type=SizeType(), required=False)
until = click.option(
    "--until", type=ShareType(), metavar="SHARE", help="Free until so much of the filesystem is used, such as 80%."
)
filesystem = click.option(
    "--filesystem", "mountpoint", default="", metavar="DIR", help="The mount point of it; by default of the data root."
)
measure_binds = click.option(
    "--measure-binds", "measure", is_flag=True, help="Measure the directories that are bind-mounted."
)
docker = click.option(
    "--docker/--no-docker",
    "docker",
    default=True,
    help="Save with Docker's own commands; with --no-docker as files, for a host where no daemon starts.",
)

depth = click.option(
    "--depth",
    "-d",
    "depth",
    default=1,
    show_default=True,
    type=click.IntRange(0, 100),
    metavar="N",
    help="Show so many levels of directories; 0 is the sum alone.",
)
largest_files = click.option(
    "--files",
    "files",
    default=10,
    show_default=True,
    type=click.IntRange(0, 10_000),
    metavar="N",
    help="Show so many files of each directory, the largest; the others are one line.",
)
interactive = click.option(
    "--interactive", "-i", "interactive", is_flag=True, help="Look around with the arrow keys. Nothing is changed."
)

since = click.option(
    "--since",
    default=None,
    type=DurationType(min=1),
    metavar="TIME",
    help="Compare with so long ago, such as 24h or 7d.",
)
from_prometheus = _quiet(
    "--from-prometheus", "url", default="", metavar="URL", help="Ask this Prometheus for the series of the exporter."
)
instance = click.option("--instance", default="", metavar="NAME", help="The host, where the Prometheus has several.")
prometheus_job = click.option("--job", default="", metavar="NAME", help="The job of the exporter in the Prometheus.")
prometheus_labels = click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another label of the host, such as cluster=a. Repeat it for several.",
)
prometheus_user = _quiet(
    "--prometheus.user", "user", default="", metavar="NAME", help="The user name, if the Prometheus wants one."
)
prometheus_password_file = _quiet(
    "--prometheus.password-file",
    "password_file",
    default=None,
    metavar="FILE",
    type=click.File(errors="surrogateescape"),
    help="A file whose first line is the password.",
)
prometheus_ca_file = _quiet(
    "--prometheus.ca-file",
    "ca_file",
    default=None,
    metavar="FILE",
    help="The certificate authority that signed the certificate of the Prometheus, PEM.",
)

# -- demo and rules --------------------------------------------------------------------------------------------------

busy = click.option(
    "--busy", is_flag=True, help="Keep changing it until Ctrl-C: layers come, logs grow, images are pruned."
)
host = click.option(
    "--host",
    "host",
    type=click.Choice(("wiki", "build", "containerd")),
    default="wiki",
    show_default=True,
    help="wiki: Docker 1.5 with aufs, two images, 37 layers. build: Docker 20.10 with overlay2 and BuildKit. "
    "containerd: Docker 28 with the containerd image store, and two pods of Kubernetes.",
)
job = option(
    "--job", "job", default="docker-storage", metavar="NAME", help="The job name of the exporters in Prometheus."
)
thresholds = option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a threshold: a size (2GB), a share (15%) or a time (6h). Repeat it for several; --list names all.",
)
runbooks = option(
    "--runbooks",
    "runbooks",
    default="",
    metavar="URL",
    help="Where the runbooks are served; alerts have a runbook_url then. The name of the alert is added, or replaces "
    "NAME in the URL. The exporter serves them: http://{{ $labels.instance }}/runbooks",
)
labels_of_fleets = option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME",
    help="A label by which hosts with the same job and instance differ, such as cluster. Repeat it for several.",
)
bridge = option(
    "--bridge",
    "bridge",
    default="10m",
    show_default=True,
    metavar="TIME",
    help="A gap in the samples that is shorter changes no alert. At least four times the scrape interval.",
)
textfile = option(
    "--textfile",
    "textfile",
    default="",
    metavar="TIME",
    help="How often `once` writes for node_exporter, where the figures come by its textfile collector, such as 1h.",
)
speed = option(
    "--speed",
    "speed",
    default=1.0,
    type=click.FloatRange(min=1),
    metavar="FACTOR",
    help="Divide all durations in the rules by this, to try the alerts out.",
)
rules_form = option(
    "--format",
    "form",
    default="prometheus",
    type=click.Choice(["prometheus", "json", "prometheus-rule"]),
    help="prometheus: a file for rule_files. json: the same for jsonnet. prometheus-rule: a PrometheusRule for the "
    "operator on Kubernetes.",
)
listed = click.option("--list", "listed", is_flag=True, help="List the thresholds instead of printing rules.")
