"""A scan that someone waits for: with a progress bar on a terminal."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from exporter.layouts.stores import Dirty
from exporter.model import Snapshot, Trigger
from exporter.scanner import RootError, Scanner

_TURN_SECONDS = 0.2


def scan_with_progress(scanner: Scanner) -> Snapshot:
    """Scan everything and wait for it; where standard error is a terminal, it shows how far that is."""
    if not sys.stderr.isatty():
        return scanner.scan()
    try:
        scanner.begin(Trigger.STARTUP, Dirty(everything=True))
    except RootError:
        return scanner.snapshot()
    columns = (
        TextColumn("measuring"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trees, {task.fields[entries]:,} entries"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task("", total=None, entries=0)
        while scanner.rounds:
            scanner.collect(_TURN_SECONDS)
            now = scanner.snapshot().progress
            if now is not None:
                bar.update(shown, total=now.trees, completed=now.trees_done, entries=now.entries)
    return scanner.snapshot()
