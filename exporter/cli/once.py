"""One scan that someone waits for, printed; with a progress bar on a terminal."""

import contextlib
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

import click

from exporter.config.settings import Config
from exporter.core import log
from exporter.core.dirty import Dirty
from exporter.core.measured import Reason
from exporter.core.model import Filesystem, Snapshot, Trigger
from exporter.core.stall_detector import StallDetector
from exporter.inventory.opening import RootError
from exporter.measure.pool.pool import Pool
from exporter.scan.progress_bar import Bar, on_terminal
from exporter.scan.scanner import Scanner

if TYPE_CHECKING:
    from exporter.expose.metrics.render import Format

_TURN_SECONDS = 0.2


def print_metrics(pool: Pool, config: Config, style: "Format", output: str | None) -> int:
    """Scan once and write the metrics to `output`, or standard output; return the exit status.

    Raises OSError when the file cannot be written.
    """
    scanner = Scanner(config.root, config.orphaned_after, pool)
    snapshot = scan(scanner, config.tree_timeout, lambda: importlib.import_module("exporter.expose.publication"))
    from exporter.expose.publication import exposition  # noqa: PLC0415

    statuses = [(one, status) for one in snapshot.filesystems if (status := statvfs(one)) is not None]
    _write(exposition(snapshot, scanner.counters, statuses, config.shown, style), output)
    return complain(snapshot)


def scan(scanner: Scanner, patience: float, meanwhile: Callable[[], object] = lambda: None) -> Snapshot:
    """Scan everything and wait for it; where standard error is a terminal, show how far that is.

    `meanwhile` is done while the workers walk.

    A filesystem that hangs while its metadata is read is waited for `patience` seconds: then the snapshot says so.
    Whoever waits in the kernel cannot be called back, so that is done in a thread, and the thread left behind.
    """
    outcome: Future[Snapshot] = Future()
    thread = threading.Thread(target=_settle, args=(outcome, scanner, meanwhile), daemon=True)
    thread.start()
    stuck = StallDetector(os.getpid(), patience, time.monotonic(), thread.native_id)
    while not wait([outcome], patience / 4).done:
        if stuck.look(time.monotonic()):
            return Snapshot(scanner.path, time.time(), error="a filesystem in it does not answer")
    return outcome.result()


def _settle(outcome: Future[Snapshot], scanner: Scanner, meanwhile: Callable[[], object]) -> None:
    try:
        outcome.set_result(_scan(scanner, meanwhile))
    except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
        outcome.set_exception(error)


def _scan(scanner: Scanner, meanwhile: Callable[[], object]) -> Snapshot:
    try:
        scanner.begin(Trigger.STARTUP, Dirty(everything=True))
    except RootError:
        return scanner.snapshot()
    threading.Thread(target=meanwhile, daemon=True).start()
    with Bar() if on_terminal() else contextlib.nullcontext() as bar:
        while scanner.runs:
            scanner.collect(_TURN_SECONDS)
            if bar is not None and (now := scanner.snapshot().progress) is not None:
                bar.show(now)
    return scanner.snapshot()


def statvfs(filesystem: Filesystem) -> os.statvfs_result | None:
    """Ask a filesystem for its space; None when it does not say."""
    try:
        return os.statvfs(filesystem.path)
    except OSError:
        return None


def _write(content: bytes, output: str | None) -> None:
    """Write to standard output, or to a file by way of a temporary one beside it, so that no half is seen."""
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    import tempfile  # noqa: PLC0415 - it takes a while to load

    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=os.path.dirname(os.path.abspath(output)))
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644)  # node_exporter is another user
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, output)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def complain(snapshot: Snapshot) -> int:
    """Say what could not be read; return the exit status. What vanished while it was read is no error."""
    if snapshot.error:
        click.echo(f"{snapshot.root}: {snapshot.error}", err=True)
        return 1
    problems = [problem for problem in snapshot.problems if problem.reason is not Reason.VANISHED]
    for problem in problems:
        line = f"{snapshot.root}/{problem.path}: {problem.reason.value} {problem.detail}"
        click.echo(log.printable(line.rstrip()), err=True)
    for name in snapshot.inventory.nested:
        click.echo(f"{snapshot.root}: {name} is the root of a remapped user: pass --root for it as well", err=True)
    for layout in snapshot.inventory.unmeasured:
        click.echo(f"{snapshot.root}: layout {layout} is measured by directory only", err=True)
    return 1 if problems or snapshot.inventory.unmeasured else 0
