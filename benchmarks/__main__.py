"""`make benchmark`: measures each figure on this machine, compares it with its budget, writes benchmarks/results.md."""

import argparse
import compileall
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import exporter
from benchmarks import containerd, hosts
from benchmarks.bare import bare_times, bare_walk_seconds
from benchmarks.cold import cold
from benchmarks.engine import engine_seconds
from benchmarks.roots import many_files, many_objects, volume
from benchmarks.rows import Last, Row, head, ratio
from benchmarks.scrapes import percentiles, scrape_times
from benchmarks.shapes import shapes
from benchmarks.small import small_roots, small_trees
from benchmarks.subject import Subject, subject
from benchmarks.timing import du_seconds, scan_seconds, seconds
from benchmarks.trees import deep_trees
from exporter.demo.writer import GraphWriter

_RESULTS = Path(__file__).parent / "results.md"
_README = Path(__file__).parent.parent / "README.md"
_MANUAL = re.compile(r'^docker_storage_scans_total\{.*trigger="manual"\} (\S+)$', re.MULTILINE)
_BLOCK = re.compile(r"(?<=<!-- benchmark -->\n).*?(?=<!-- /benchmark -->)", re.DOTALL)
_PAIRS = 7
#: Fewer pairs than for du: one run takes eight seconds.
_GDU_PAIRS = 3
#: How long scrapes are timed during full scans, in each encoding.
_SCANNED_SECONDS = 15
#: This many images and containers have about ten thousand series.
_SCANNED_OBJECTS = 550


def first_scan(root: Path, shape: str) -> list[Row]:
    """The first scan of half a million entries compared with du."""
    du_seconds(root)
    turns = [(*scan_seconds(root), bare_walk_seconds(root), du_seconds(root)) for _ in range(_PAIRS)]
    cores = len(os.sched_getaffinity(0))
    floor = f"... a bare `os.scandir` loop's CPU time, on {cores} cores / `du -s`, {shape}"
    return [
        ratio(f"first scan / `du -s`, {shape}", [(scan, by_du) for scan, _, _, by_du in turns], 0.8),
        ratio(floor, [(bare / cores, by_du) for _, _, bare, by_du in turns]),
        ratio(f"`once`, with start-up and output / `du -s`, {shape}", [(whole, by_du) for _, whole, _, by_du in turns]),
    ]


def beside_gdu(root: Path) -> Row:
    """The first scan compared with gdu, if that is installed."""
    what = "first scan / `gdu -n`"
    if not shutil.which("gdu"):
        return Row(what, "gdu is not installed")
    return ratio(what, [(scan_seconds(root)[0], seconds(["gdu", "-n", str(root)])) for _ in range(_GDU_PAIRS)])


def restart(root: Path, scratch: Path) -> list[Row]:
    """A restart with a warm cache compared with the first scan."""
    durations = []
    for _ in range(2):
        with subject(root, "--cache.file", str(scratch / "cache")) as running:
            running.ready()
            text = running.get().decode()
            found = [line for line in text.splitlines() if line.startswith("docker_storage_scan_duration_seconds{")]
            durations.append(max(float(line.split()[-1]) for line in found))
    first, second = durations
    figure = f"{first / second:.0f} ({first:.2f} s, {1000 * second:.1f} ms)"
    return [Row("first scan / restart with a warm cache", figure, ">= 50", first / second >= 50)]


def during_scan(root: Path) -> Iterator[Row]:
    """Scrapes of ten thousand series while all of the root, with half a million files, is scanned again and again.

    `root` has the files; the objects are added.
    """
    many_objects(root, _SCANNED_OBJECTS)
    times, sizes = {}, {}
    with subject(root, "--cache.file", "none", "--watch.look-interval", "600") as running:
        running.ready()
        series = running.get().decode().count("\ndocker_storage_")
        for encoding in ("identity", "gzip"):
            times[encoding] = _while_scanning(running, encoding)
            sizes[encoding] = len(running.get(encoding=encoding))
    for encoding, found in times.items():
        yield percentiles(found, f"of {series:,} series during full scans", encoding)
        bare = percentiles(bare_times(sizes[encoding], root, 5), "", encoding)
        yield Row("... as many bytes from a bare socket, `du` on each core", bare.figure)


def _while_scanning(running: Subject, encoding: str) -> list[float]:
    """Scrape while one full scan follows another."""
    found: list[float] = []
    asked_at = -1
    until = time.monotonic() + _SCANNED_SECONDS
    while time.monotonic() < until:
        scans = _manual_scans(running)
        if scans != asked_at:
            running.process.send_signal(signal.SIGHUP)
            asked_at = scans
        found += scrape_times(running, encoding, 0.2)
    return found


def _manual_scans(running: Subject) -> int:
    return sum(int(float(count)) for count in _MANUAL.findall(running.get().decode()))


def engine(scratch: Path) -> list[Row]:
    """`docker system df -v` of a real engine compared with a scrape."""
    seconds, scrape, what = engine_seconds(scratch)
    if seconds is None or scrape is None:
        return [Row("`docker system df -v` / scrape", what)]
    ratio = seconds / scrape
    figure = f"{ratio:.0f} ({1000 * seconds:.0f} ms, {1000 * scrape:.1f} ms; {what})"
    return [Row("`docker system df -v` / scrape", figure, ">= 100", ratio >= 100)]


def containerd_store(scratch: Path) -> Iterator[Row]:
    """What a large containerd image store costs, and what `docker system df -v` takes on the same."""
    root = scratch / "docker"
    store = containerd.LargeStore(root)
    seconds, counts = containerd.inventory_seconds(root)
    what = "{} images, {:,} snapshots and {} containers of containerd, {:,} blobs".format(*counts, containerd.BLOBS)
    yield Row(f"inventory of {what}", f"{seconds:.2f} s", "<= 0.5 s", seconds <= 0.5)
    by_engine, which = containerd.engine_seconds(root)
    figure = which if by_engine is None else f"{by_engine:.2f} s ({which})"
    yield Row("... `docker system df -v` of the same store", figure)
    memory = containerd.memory_of_the_store(root, scratch / "without") / 1e6
    yield Row(
        "... memory of all processes (PSS) beyond the root without it", f"{memory:.1f} MB", "<= 30 MB", memory <= 30
    )
    reading = 1000 * containerd.cpu_of_reading(scratch / "read")
    yield Row(
        "... an image that is pulled, to read and to measure it", f"{reading:.0f} ms of CPU", "<= 50 ms", reading <= 50
    )
    with subject(root, "--cache.file", "none", "--scan.interval", "86400") as running:
        running.ready()
        change = 1000 * containerd.cpu_of_a_change(running, store.change)
        running.wait("images", containerd.IMAGES + containerd.CHANGES)
    yield Row("... until it is served, all processes", f"{change:.0f} ms of CPU")


def measured(scratch: Path, objects: int, idle_seconds: float) -> Iterator[Row]:
    """Measure everything."""
    files, one_volume = scratch / "files", scratch / "volume"
    print(f"building roots of {many_files(files):,} entries", file=sys.stderr)
    volume(GraphWriter(one_volume, "aufs").root)
    yield from first_scan(files, "100 layers")
    yield from first_scan(one_volume, "one volume")
    yield beside_gdu(files)
    yield from small_trees(scratch / "small")
    roots = {"100 layers": files, "one volume": one_volume, **small_roots(scratch / "small")}
    yield from cold(roots, scratch / "small" / "none")
    yield from restart(files, scratch)
    yield from during_scan(one_volume)
    yield from engine(scratch)
    yield from containerd_store(scratch / "containerd")
    yield from shapes(scratch / "shapes")
    yield from deep_trees(scratch / "deep")
    for number, one in enumerate((replace(hosts.MANY, objects=objects), hosts.VERY_MANY)):
        yield from hosts.host(scratch / f"host{number}", one, idle_seconds)
    yield Row("rules and dashboards of 500 hosts in a Prometheus", "of `make fleet`, in `benchmarks/fleet.md`")


def main() -> None:
    """Measure everything; print and keep each row at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle-seconds", type=float, default=300)
    parser.add_argument("--objects", type=int, default=1000)
    chosen = parser.parse_args()
    compileall.compile_dir(Path(exporter.__file__).parent, quiet=1)  # as it is installed
    last = Last(_RESULTS.read_text() if _RESULTS.exists() else "")
    result = head(last)
    print(result, end="", flush=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        for row in measured(Path(directory), chosen.objects, chosen.idle_seconds):
            line = last.line(row)  # once: each figure of the last time is taken by one row
            print(line, end="", flush=True)
            result += line
            _RESULTS.write_text(result)
    _README.write_text(_BLOCK.sub(lambda _: result, _README.read_text()))


if __name__ == "__main__":
    main()
