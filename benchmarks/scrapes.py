"""How long scrapes take."""

import statistics
import time

from benchmarks.rows import Row
from benchmarks.subject import Subject

_BUDGET_MS = 10
NAMES = {"identity": "plain", "gzip": "gzip"}


def scrape_times(running: Subject, encoding: str, seconds: float) -> list[float]:
    """Scrape again and again; the times in milliseconds."""
    times = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        start = time.perf_counter()
        running.get(encoding=encoding)
        times.append(1000 * (time.perf_counter() - start))
    return times


def percentiles(times: list[float], when: str, encoding: str) -> Row:
    """The row for these scrape times."""
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    figure = f"{p50:.1f} / {p99:.1f} ms ({len(times):,} scrapes)"
    return Row(f"scrape {when}, {NAMES[encoding]}, p50 / p99", figure, f"p99 <= {_BUDGET_MS} ms", p99 <= _BUDGET_MS)
