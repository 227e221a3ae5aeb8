"""What a host with many images and containers costs: first figures, scrapes, one change, memory, idling."""

import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import containerd, standing
from benchmarks.roots import container, many_objects
from benchmarks.rows import Row
from benchmarks.scrapes import percentiles, scrape_times
from benchmarks.shapes import first_figures
from benchmarks.subject import Subject, subject
from exporter.demo.writer import GraphWriter

_SCRAPED_SECONDS = 5
#: All objects are served, and not only the largest.
_NO_LIMIT = [word for kind in ("containers", "images", "layers") for word in (f"--collector.{kind}.max-series", "0")]


@dataclass(frozen=True, slots=True)
class Host:
    """A host with so many images and as many containers, and what it may cost."""

    objects: int
    #: Milliseconds of CPU until a container that was made is served.
    change: float
    #: Megabytes of all processes.
    memory: float
    #: Percent of a core.
    idle: float
    #: A part of the budgets holds for the usual host only.
    usual: bool

    @property
    def what(self) -> str:
        """What each row is about, where it is not about the usual host."""
        return "" if self.usual else f"{self.objects:,} images and {self.objects:,} containers: "


MANY = Host(1000, 50, 55, 0.1, usual=True)
VERY_MANY = Host(10_000, 150, 250, 0.5, usual=False)


def host(root: Path, size: Host, idle_seconds: float) -> Iterator[Row]:
    """The rows of one host."""
    for row in _rows(root, size, idle_seconds):
        yield row if row.what.startswith("... ") else replace(row, what=f"{size.what}{row.what}")


def _rows(root: Path, size: Host, idle_seconds: float) -> Iterator[Row]:
    """Audits are put off: the budget of an idle host is without them."""
    writer = many_objects(root, size.objects)
    took, cpu = first_figures(root, "image_virtual_size_bytes{")
    what = (
        f"first figures of {size.objects:,} images and {size.objects:,} containers" if size.usual else "first figures"
    )
    yield Row(what, f"{took:.2f} s", *(("<= 1 s", took <= 1) if size.usual else ()))
    yield Row("... CPU time until then, all processes", f"{1000 * cpu:.0f} ms")
    with subject(root, "--cache.file", "none", "--scan.interval", "86400") as running:
        running.ready()
        series = running.get().decode().count("\ndocker_storage_")
        for kind in ("identity", "gzip") if size.usual else ("gzip",):
            yield percentiles(scrape_times(running, kind, _SCRAPED_SECONDS), f"at {series:,} series", kind)
        yield from _one_change(running, root, writer, size)
        yield standing.memory(running, size.memory)
        yield standing.idle(running, idle_seconds, size.idle)
        if size.usual:
            yield standing.busy(running, root)
        assert running.sums()["up"] == 1
    if not size.usual:
        yield _all_series(root)


def _all_series(root: Path) -> Row:
    """Scrapes without a limit on what is served."""
    with subject(root, "--cache.file", "none", "--scan.interval", "86400", *_NO_LIMIT) as running:
        running.ready()
        series = running.get().decode().count("\ndocker_storage_")
        return percentiles(scrape_times(running, "gzip", _SCRAPED_SECONDS), f"at {series:,} series, no limit", "gzip")


def _one_change(running: Subject, root: Path, writer: GraphWriter, size: Host) -> Iterator[Row]:
    """What it costs that one container is made."""
    running.wait("containers", size.objects)
    before = _inodes(root)
    container(writer, "new")
    start = time.perf_counter()
    running.wait("containers", size.objects + 1)
    served = time.perf_counter() - start
    changed, looked_at = _inodes(root) - before, _event_entries(running)
    times = looked_at / changed
    figure = f"{times:.1f} x ({looked_at:.0f} for {changed} changed)"
    among = f" among {size.objects:,}" if size.usual else ""
    yield Row(f"one container made{among}: entries looked at", figure, "<= 2 x", times <= 2)
    yield Row("... until it is served", f"{served:.2f} s", "<= 2 s", served <= 2)
    names = (f"further {number}" for number in range(containerd.CHANGES))
    costs = containerd.costs_of_changes(running, lambda: container(writer, next(names)))
    running.wait("containers", size.objects + 1 + containerd.CHANGES)
    change, first = 1000 * statistics.median(costs), 1000 * costs[0]
    figure = f"{change:.0f} ms (the median of {len(costs)}; the first one {first:.0f} ms)"
    yield Row("... CPU time of all processes", figure, f"<= {size.change:g} ms", change <= size.change)


def _inodes(root: Path) -> int:
    return int(subprocess.run(["du", "-s", "--inodes", str(root)], capture_output=True, check=True).stdout.split()[0])


def _event_entries(running: Subject) -> float:
    """The entries that were read by the collectors whose last scan was started by an event."""
    lines = running.get().decode().splitlines()
    entries = dict(_labelled(line) for line in lines if line.startswith("docker_storage_scan_entries{"))
    events = [
        _labelled(line.replace(',trigger="event"', ""))
        for line in lines
        if line.startswith("docker_storage_scans_total{") and 'trigger="event"' in line
    ]
    return sum(entries.get(collector, 0) for collector, count in events if count)


def _labelled(line: str) -> tuple[str, float]:
    labels, value = line.partition("{")[2].split("} ")
    return labels, float(value)
