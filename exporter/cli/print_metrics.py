"""The work of `once`: scan, print the exposition, and name the files that could not be read."""

import importlib
import os
import sys
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from exporter.cli.gap_lines import gap_lines
from exporter.cli.remapped import remapped_line
from exporter.config.settings import Config
from exporter.config.state_paths import is_below
from exporter.core import log
from exporter.core.atomic_write import atomic_write
from exporter.core.measured import Reason
from exporter.core.model import Snapshot
from exporter.measure.pool.pool import Pool
from exporter.scan.one_shot import scan_once, with_space
from exporter.scan.scanner import Scanner

if TYPE_CHECKING:
    from exporter.expose.metrics.render import Format

#: node_exporter, which reads the file, runs as another user.
_MODE = 0o644
_NONE: Mapping[str, str] = MappingProxyType({})


def scanner_of(pool: Pool, config: Config) -> Scanner:
    """The scanner of a root. A process that ends at once keeps it until then: to free all that it has takes a while."""
    return Scanner(
        config.root,
        config.scan.orphaned_after,
        pool,
        network=config.scan.network,
        containerd=config.containerd_root,
        binds=config.binds,
    )


def print_metrics(  # noqa: PLR0913 - what is scanned, and what is printed of it
    pool: Pool, scanner: Scanner, config: Config, style: "Format", output: str | None, labels: Mapping[str, str] = _NONE
) -> int:
    """Scan once and write the metrics to `output`, or standard output; return the exit status.

    `labels` are added to all series.
    Raises OSError when the file cannot be written.
    """
    timeout = config.scan.tree_timeout
    snapshot = scan_once(scanner, timeout, lambda: importlib.import_module("exporter.expose.publication"))
    pool.end_workers()
    from exporter.expose.publication import exposition  # noqa: PLC0415 - imported while the workers measured

    snapshot, spaces = with_space(snapshot)
    statuses = [(one, status) for one, status in spaces if status is not None]
    roots = (config.root, *(one.path for one in snapshot.further))
    _write(exposition(snapshot, scanner.counters, statuses, config.shown, style, labels), output, roots)
    return _report_problems(snapshot)


def _write(content: bytes, output: str | None, roots: Collection[str]) -> None:
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    atomic_write(
        output,
        content,
        mode=_MODE,
        keep=True,
        forbidden=lambda directory: any(is_below(directory, root) for root in roots),
    )


def _report_problems(snapshot: Snapshot) -> int:
    """Write the problems to standard error; return the exit status. A file that vanished is no problem."""
    from exporter.expose.containerd_advice import containerd_advice  # noqa: PLC0415 - as above
    from exporter.expose.snapshot_api.objects import remarks  # noqa: PLC0415

    if snapshot.error:
        click.echo(f"{snapshot.root}: {snapshot.error}", err=True)
        return 1
    problems = [problem for problem in snapshot.problems if problem.reason is not Reason.VANISHED]
    for problem in problems:
        line = f"{os.path.join(snapshot.root, problem.path)}: {problem.reason.value} {problem.detail}"
        click.echo(log.printable(line.rstrip()), err=True)
    for name in snapshot.inventory.nested:
        click.echo(remapped_line(snapshot.root, name), err=True)
    for line in containerd_advice(remarks(snapshot)):
        click.echo(log.printable(f"{snapshot.root}: {line}"), err=True)
    for layout in snapshot.inventory.unmeasured:
        click.echo(f"{snapshot.root}: layout {layout} is measured by directory only", err=True)
    gaps = [(one.input.value, one.path, one.why) for one in snapshot.inventory.knowledge.gaps]
    for line in gap_lines(snapshot.root, gaps, {one.path for one in problems}):
        click.echo(line, err=True)
    return 1 if problems or snapshot.inventory.unmeasured or gaps else 0
