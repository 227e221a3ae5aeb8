"""The result of the last scan of each collector, and the counters of scans and errors."""

from collections.abc import Collection

from msgspec.structs import replace

from exporter.core.clock import Clock
from exporter.core.model import Collector, CollectorScan, Counters
from exporter.scan.scan_run import ScanRun


class Outcomes:
    """Keeps the result of each collector, and increases `counters`."""

    def __init__(self, counters: Counters, clock: Clock) -> None:
        self.collectors: dict[Collector, CollectorScan] = {}
        self._counters = counters
        self._clock = clock

    def count_run(self, run: ScanRun, collectors: Collection[Collector]) -> None:
        """Count a run for each collector of `collectors`, and keep its time and entries."""
        for collector in collectors:
            self.collectors[collector] = run.stats.result(collector)
            key = (collector, run.trigger)
            self._counters.scans[key] = self._counters.scans.get(key, 0) + 1

    def note_end(self, run: ScanRun, collectors: Collection[Collector], failing: Collection[Collector]) -> None:
        """Count the errors of a run. `failing`: the collectors with problems; the others have succeeded."""
        for at, count in run.stats.errors.items():
            self._counters.errors[at] = self._counters.errors.get(at, 0) + count
        for collector, was in self.collectors.items():
            success = collector not in failing
            self.collectors[collector] = replace(was, success=success)
            if success and (was.success is False or collector in collectors):
                self._counters.last_success[collector] = self._clock.now()
