"""Processes of the exporter that are killed or stopped."""

import contextlib
import os
import signal

from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.product import scanning, workers
from tests.support.roots import GraphRoot, change


def test_a_worker_that_is_killed(built: GraphRoot) -> None:
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        for number in range(3):
            for child in workers(running.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            change(built, f"more{number}")
            becomes_as_fresh(running, built.path)


def test_a_scanner_that_does_not_move(built: GraphRoot) -> None:
    with exporter(built.path, "--scan.tree-timeout", "2") as running:
        becomes_as_fresh(running, built.path)
        before = running.figures().sum("scans_total")
        os.kill(scanning(running.process.pid)[0], signal.SIGSTOP)
        running.log_line("scanner.stuck")
        change(built)
        assert becomes_as_fresh(running, built.path).sum("scans_total") > before
