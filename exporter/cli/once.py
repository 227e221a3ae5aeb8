"""`once`: scans once and prints the metrics."""

import gc
import os
from typing import TYPE_CHECKING, Any

import click

from exporter.cli import options, served_options
from exporter.config.settings import Config, ScanSettings

if TYPE_CHECKING:
    from exporter.expose.metrics.render import Format


@click.command()
@options.config_file
@options.root
@options.containerd_root
@served_options.style
@served_options.output
@served_options.labels
@options.workers
@options.tree_timeout
@served_options.intermediate
@served_options.each_layer
@served_options.network
@served_options.binds
@served_options.rootfs
@served_options.collectors
@served_options.chosen_by_name
@served_options.limits
@options.orphaned_after
def once(  # noqa: PLR0913 - one parameter for each flag
    root: str,
    containerd_root: str,
    style: "Format",
    output: str | None,
    labels: tuple[str, ...],
    workers: int,
    tree_timeout: float,
    intermediate: bool,
    each_layer: bool,
    network: bool,
    orphaned_after: float,
    **flags: Any,
) -> None:
    """Scan once and print the metrics.

    What cannot be read is named on standard error, and the exit status is 1; the rest is printed all the same.
    """
    options.say_why_this_root(root)
    config = Config(
        root=root,
        containerd_root=containerd_root,
        scan=ScanSettings(workers=workers, tree_timeout=tree_timeout, orphaned_after=orphaned_after, network=network),
        shown=served_options.shown(intermediate=intermediate, each_layer=each_layer, flags=flags),
        binds=served_options.bind_settings(flags),
    )
    further = _parse(labels) if labels else {}
    from exporter.core.hang_probe import HANG_PROBE  # noqa: PLC0415
    from exporter.measure.pool.pool import pool_of  # noqa: PLC0415

    gc.disable()  # what is made of a scan lasts until the end, and to look for circles in it costs a twentieth
    try:
        with HANG_PROBE.outside(), pool_of(workers, tree_timeout) as pool:
            pool.warm()
            _require_writable(root, output)
            from exporter.cli.print_metrics import print_metrics, scanner_of  # noqa: PLC0415 - while the workers start

            scanner = scanner_of(pool, config)
            status = print_metrics(pool, scanner, config, style, output, further)
    except OSError as error:
        raise click.ClickException(f"cannot write {output or 'standard output'}: {error.strerror}") from None
    os._exit(status)  # the output is written; an orderly end of the interpreter would add a tenth of the scan's time


def _parse(labels: tuple[str, ...]) -> dict[str, str]:
    """Read the labels; raises click.UsageError with the reason."""
    from exporter.expose.metrics.further_labels import parse_labels  # noqa: PLC0415 - few give any

    try:
        return parse_labels(labels)
    except ValueError as error:
        raise click.UsageError(f"--label: {error}") from None


def _require_writable(root: str, output: str | None) -> None:
    """Find before the scan what would be an error after it. Raises OSError or click.ClickException."""
    if output is not None:
        from exporter.config.state_paths import is_below  # noqa: PLC0415
        from exporter.core.atomic_write import require_replaceable  # noqa: PLC0415

        if is_below(output, root):
            raise click.ClickException("--output must not be below the data root: nothing is written there")
        require_replaceable(output)
