"""The command line: each command builds a `Config` and calls one function.

What only one command needs it imports itself: `once` is over before a web server is loaded.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from exporter.cli import options
from exporter.cli.check_config import check_config
from exporter.cli.commands.group import COMMANDS
from exporter.config.settings import DEFAULT_PORT, Config, SettingsError
from exporter.core.exit_status import INTERRUPTED

if TYPE_CHECKING:
    from exporter.expose.metrics.render import Format


def _tell_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from exporter.core.version import REVISION, VERSION  # noqa: PLC0415

        click.echo(f"docker-storage-exporter, version {VERSION}{f', revision {REVISION}' if REVISION else ''}")
        context.exit()


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C is no error to write about."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Tell Prometheus where a Docker host's disk goes.

    Reads Docker's data root (/var/lib/docker) from the disk: layers, images, containers, volumes and
    directories with their sizes. It never asks the daemon and needs no socket, so it also works when dockerd
    is down; it only needs to be allowed to read the root (root, or the capability CAP_DAC_READ_SEARCH).
    """


main.add_command(check_config)


@main.command()
@options.config_file
@options.root
@options.option(
    "--web.listen-address",
    "listen",
    multiple=True,
    default=(f":{DEFAULT_PORT}",),
    metavar="HOST:PORT",
    help="Where to serve; repeat it for several. Without a host, on every address of the machine. "
    "Not used when systemd hands sockets over.",
)
@options.option(
    "--web.config.file",
    "web_config_file",
    default="",
    metavar="FILE",
    help="TLS, passwords, headers and rate limit, in the format that Prometheus exporters share.",
)
@options.option(
    "--web.enable-lifecycle",
    "lifecycle",
    is_flag=True,
    help="Let POST /-/reload scan everything again and read the web configuration again, as SIGHUP does.",
)
@options.option(
    "--scan.interval",
    "scan_interval",
    default=60.0,
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Measure what a running container may let grow this often; what is quiet, up to every 15 minutes.",
)
@options.option(
    "--scan.duty-cycle",
    "duty_cycle",
    default=0.05,
    type=click.FloatRange(min=0.001, max=1),
    metavar="FRACTION",
    help="The share of one core that scans may take on average, after the first one.",
)
@options.workers
@options.timeout
@options.option(
    "--cache.file",
    "cache_file",
    default="",
    metavar="FILE",
    help="Where the sizes of image layers are kept across restarts.  [default: in the state directory; 'none': off]",
)
@options.option(
    "--watch/--no-watch",
    "watch",
    default=True,
    help="Let the kernel tell of changes. Without it they are found by a look.",
)
@options.option(
    "--watch.look-interval",
    "look_interval",
    default=15.0,
    type=click.FloatRange(min=0.5),
    metavar="SECONDS",
    help="Look this often for changes that no event has told.",
)
@options.intermediate
@options.each_layer
@options.limits
@options.grace
@options.option(
    "--log.level",
    "log_level",
    default="info",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="The least important log lines to write.",
)
@options.option(
    "--log.format",
    "log_format",
    default="logfmt",
    type=click.Choice(["logfmt", "json"]),
    help="The form of log lines.",
)
def run(  # noqa: PLR0913 - one parameter for each flag
    root: str,
    listen: tuple[str, ...],
    web_config_file: str,
    lifecycle: bool,
    scan_interval: float,
    duty_cycle: float,
    workers: int,
    tree_timeout: float,
    cache_file: str,
    watch: bool,
    look_interval: float,
    intermediate: bool,
    each_layer: bool,
    orphaned_after: float,
    log_level: str,
    log_format: str,
    **limits: int,
) -> None:
    """Serve the metrics at /metrics until stopped.

    A root that is missing or unreadable is no reason to fail: it is served as docker_storage_up 0, and
    read as soon as it is there.
    """
    import asyncio  # noqa: PLC0415

    from exporter.config.state_paths import cache_file_for  # noqa: PLC0415
    from exporter.core import log  # noqa: PLC0415
    from exporter.service.main import serve  # noqa: PLC0415
    from exporter.web.connections.addresses import AddressError  # noqa: PLC0415

    log.configure(log_level, log_format)
    try:
        config = Config(
            root=root,
            listen=listen,
            scan_interval=scan_interval,
            duty_cycle=duty_cycle,
            workers=workers,
            tree_timeout=tree_timeout,
            cache_file=cache_file_for(cache_file, root),
            watch=watch,
            look_interval=look_interval,
            orphaned_after=orphaned_after,
            shown=options.shown(intermediate=intermediate, each_layer=each_layer, limits=limits),
            log_level=log_level,
            log_format=log_format,
            web_config_file=web_config_file,
            lifecycle=lifecycle,
        )
        asyncio.run(serve(config))
    except (AddressError, SettingsError) as error:
        raise click.ClickException(str(error)) from None


@main.command()
@options.config_file
@options.root
@options.option(
    "--format",
    "style",
    default="text",
    type=click.Choice(["text", "openmetrics"]),
    help="The exposition format.",
)
@options.option(
    "--output",
    "output",
    default=None,
    type=click.Path(dir_okay=False, readable=False),
    metavar="FILE",
    help="Write there, all at once, instead of to standard output: for node_exporter's textfile collector.",
)
@options.workers
@options.timeout
@options.intermediate
@options.each_layer
@options.limits
@options.grace
def once(  # noqa: PLR0913 - one parameter for each flag
    root: str,
    style: "Format",
    output: str | None,
    workers: int,
    tree_timeout: float,
    intermediate: bool,
    each_layer: bool,
    orphaned_after: float,
    **limits: int,
) -> None:
    """Scan once and print the metrics.

    Exits with 1 and says what on standard error when something could not be read; what could be read is
    printed all the same.
    """
    if output is not None:
        from exporter.config.state_paths import is_below  # noqa: PLC0415

        if is_below(output, root):
            raise click.ClickException("--output must not be below the data root: nothing is written there")
    config = Config(
        root=root,
        workers=workers,
        tree_timeout=tree_timeout,
        shown=options.shown(intermediate=intermediate, each_layer=each_layer, limits=limits),
        orphaned_after=orphaned_after,
    )
    from exporter.measure.pool.pool import Pool, default_workers  # noqa: PLC0415

    try:
        with Pool(workers or default_workers(), tree_timeout) as pool:
            pool.warm()
            from exporter.cli.once import print_metrics  # noqa: PLC0415 - while the workers start

            status = print_metrics(pool, config, style, output)
    except OSError as error:
        raise click.ClickException(f"cannot write {output or 'standard output'}: {error.strerror}") from None
    os._exit(status)  # all is written: to take down an interpreter takes a tenth of the time that its work took


@main.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--busy", is_flag=True, help="Keep it busy until Ctrl-C: layers come, logs grow, a prune happens.")
@click.option(
    "--host",
    "host",
    type=click.Choice(("wiki", "build")),
    default="wiki",
    show_default=True,
    help="wiki: Docker 1.5 with aufs, two images, 37 layers. build: Docker 20.10 with overlay2 and BuildKit.",
)
def demo(directory: Path, busy: bool, host: Literal["wiki", "build"]) -> None:
    """Build an example data root in DIRECTORY: a small wiki's host of 2015, or a build host of today.

    Its files are sparse: they show gigabytes and take a few megabytes.
    """
    from exporter import demo as examples  # noqa: PLC0415 - the exporter itself has no use for it

    try:
        if busy:
            examples.keep_busy(directory, host)
        examples.build(directory, host)
    except OSError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"An example data root is in {directory}.")


@main.command()
@options.option(
    "--job", "job", default="docker-storage", metavar="NAME", help="The job that Prometheus scrapes exporters as."
)
@options.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a threshold: a size (2GiB), a share (15%) or a time (6h). Repeat it for several; --list names all.",
)
@options.option(
    "--runbooks", "runbooks", default="docs/runbooks/", metavar="URL", help="Where the runbooks are served."
)
@options.option(
    "--speed",
    "speed",
    default=1.0,
    type=click.FloatRange(min=1),
    metavar="FACTOR",
    help="Divide how long things must last and how far is looked back: to try the alerts out.",
)
@click.option("--list", "listed", is_flag=True, help="List the thresholds instead.")
def rules(job: str, thresholds: tuple[str, ...], runbooks: str, speed: float, listed: bool) -> None:
    """Print recording and alert rules for Prometheus."""
    from exporter import rules as source  # noqa: PLC0415 - `run` has no use for it

    try:
        limits = source.Thresholds().changed(thresholds)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    settings = source.Settings(job, limits, runbooks, speed)
    click.echo(source.described(limits) if listed else source.rules(settings), nl=False)


for _one in COMMANDS:
    options.config_file(_one)
    main.add_command(_one)
