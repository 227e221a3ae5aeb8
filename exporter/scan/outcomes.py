"""How each collector did in its last scan, and how often scans ran and failed."""

from collections.abc import Collection
from dataclasses import replace

from exporter.core.clock import Clock
from exporter.core.model import Collector, CollectorScan, Counters
from exporter.scan.scan_run import ScanRun


class Outcomes:
    """Keeps the result of each collector, and adds to `counters`."""

    def __init__(self, counters: Counters, clock: Clock) -> None:
        self.collectors: dict[Collector, CollectorScan] = {}
        self._counters = counters
        self._clock = clock

    def count_run(self, run: ScanRun, looked: Collection[Collector]) -> None:
        """Count a run for the collectors that `looked` at anything, and keep what it cost them."""
        for collector in looked:
            self.collectors[collector] = run.stats.result(collector)
            key = (collector, run.trigger)
            self._counters.scans[key] = self._counters.scans.get(key, 0) + 1

    def note_end(self, run: ScanRun, looked: Collection[Collector], failing: Collection[Collector]) -> None:
        """Count the errors of a run, and note of each collector whether it succeeds now."""
        for at, count in run.stats.errors.items():
            self._counters.errors[at] = self._counters.errors.get(at, 0) + count
        for collector, was in self.collectors.items():
            success = collector not in failing
            self.collectors[collector] = replace(was, success=success)
            if success and (was.success is False or collector in looked):
                self._counters.last_success[collector] = self._clock.now()
