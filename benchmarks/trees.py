"""`python -m benchmarks.trees`: the first scan of hostile trees compared with `du`, and the memory that it takes.

A container's user can make such trees with mkdir and ln alone. Each is measured with 1, 2 and 8 workers. Wall time is
the scan's own figure; memory is the PSS of all processes at its highest, without what a scan of an empty root takes.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.rows import Row, ratio
from benchmarks.subject import pss_of
from exporter.demo.writer import GraphWriter

_WORKERS = (1, 2, 8)
_TIMES = 3.0
_MEMORY = 64_000_000
_SAMPLE_SECONDS = 0.02
_TURNS = 3
#: Those of `SHAPES` that `make benchmark` has.
_DEEP = ("20,000 nested", "20,000 nested, 60,000 files at the bottom")


def nested(top: Path, depth: int, name: str = "d", beside: int = 0, files: int = 0) -> int:
    """Make directories in each other, with others and files beside each; return the lowest one, open."""
    at = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        for one in (name, *(f"{name[:200]}{number}" for number in range(beside))):
            os.mkdir(one, dir_fd=at)
        fill(at, files)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    return at


def fill(at: int, count: int, form: str = "f%d", mode: int = 0o100600) -> None:
    """Make empty files in a directory; directories with another mode."""
    for number in range(count):
        if mode == 0o040700:
            os.mkdir(form % number, dir_fd=at)
        else:
            os.mknod(form % number, mode, dir_fd=at)


def two_links(top: Path, other: Path, count: int) -> None:
    """Make files with one link in each of two trees, a thousand in a directory."""
    for number in range(count):
        if number % 1000 == 0:
            for tree in {top, other}:
                (tree / f"d{number}").mkdir(parents=True)
        name = f"d{number - number % 1000}/f{number}"
        (top / name).touch()
        os.link(top / name, other / f"{name}l")


_DIRECTORIES = 0o040700
SHAPES: dict[str, Callable[[Path], object]] = {
    "20,000 nested": lambda top: os.close(nested(top, 20_000)),
    "20,000 nested, long names": lambda top: os.close(nested(top, 20_000, "x" * 255)),
    "200,000 nested": lambda top: os.close(nested(top, 200_000, "dd")),
    "20,000 nested, three in each": lambda top: os.close(nested(top, 20_000, beside=2)),
    "3,000 nested, 30 files in each": lambda top: os.close(nested(top, 3_000, beside=2, files=30)),
    "3,000 nested, 60,000 files at the bottom": lambda top: fill(nested(top, 3_000), 60_000),
    "20,000 nested, 60,000 files at the bottom": lambda top: fill(nested(top, 20_000), 60_000),
    "3,000 nested, 60,000 directories at the bottom": lambda top: fill(nested(top, 3_000), 60_000, mode=_DIRECTORIES),
    "200,000 directories with long names in one": lambda top: fill(nested(top, 1), 200_000, "%0250d", _DIRECTORIES),
    "600,000 files with two links in one tree": lambda top: two_links(top, top, 600_000),
    "600,000 files with links in two trees": lambda top: two_links(top, top.parents[1] / "other/_data", 600_000),
}


def scan(root: Path, workers: int) -> tuple[float, int]:
    """Seconds of the first scan, and the highest PSS of all its processes together."""
    command = [sys.executable, "-m", "exporter", "once", "--root", str(root), "--scan.workers", str(workers)]
    with tempfile.TemporaryFile("w+") as output, subprocess.Popen(command, stdout=output) as process:
        most = 0
        while process.poll() is None:
            most = max(most, sum(map(pss_of, (process.pid, *_below(process.pid)))))
            time.sleep(_SAMPLE_SECONDS)
        output.seek(0)
        found = re.findall(r"^docker_storage_scan_duration_seconds\{.*\} (\S+)$", output.read(), re.MULTILINE)
    return max(map(float, found)), most


def _below(process: int) -> Iterator[int]:
    """The children of a process and theirs: `once` starts its workers in a thread."""
    try:
        tasks = [*Path(f"/proc/{process}/task").iterdir()]
        children = [int(one) for task in tasks for one in (task / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield child
        yield from _below(child)


def _du(root: Path) -> float:
    start = time.perf_counter()
    subprocess.run(["du", "-s", str(root)], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _root(top: Path) -> Path:
    root = GraphWriter(top, "aufs").root
    (root / "volumes/data/_data").mkdir(parents=True)
    return root


def rows(scratch: Path, shapes: list[str]) -> Iterator[str]:
    """Build each root and measure it."""
    empty = _root(scratch / "empty")
    without = {workers: scan(empty, workers)[1] for workers in _WORKERS}
    for shape in shapes:
        root = _root(scratch / re.sub(r"\W+", "-", shape))
        SHAPES[shape](root / "volumes/data/_data")
        _du(root)
        for workers in _WORKERS:
            by_du = _du(root)
            seconds, most = scan(root, workers)
            by_du = (by_du + _du(root)) / 2
            more = most - without[workers]
            met = "met" if seconds <= _TIMES * by_du and more <= _MEMORY else "missed"
            figure = f"{seconds / by_du:.2f} ({seconds:.2f} s, {by_du:.2f} s) | {more / 1e6:.0f} MB"
            yield f"| {shape}, workers: {workers} | {figure} | {met} |"
        subprocess.run(["rm", "-rf", str(root)], check=True)


def deep_trees(scratch: Path) -> Iterator[Row]:
    """The rows of chains of directories, with the number of workers that an exporter has by itself."""
    without = scan(_root(scratch / "empty"), 0)[1]
    for shape in _DEEP:
        root = _root(scratch / re.sub(r"\W+", "-", shape))
        SHAPES[shape](root / "volumes/data/_data")
        _du(root)
        turns = [(*scan(root, 0), _du(root)) for _ in range(_TURNS)]
        yield ratio(f"first scan / `du -s`, {shape}", [(seconds, by_du) for seconds, _, by_du in turns], _TIMES)
        more = max(most for _, most, _ in turns) - without
        yield Row("... more memory (PSS) meanwhile", f"{more / 1e6:.0f} MB", "<= 64 MB", more <= _MEMORY)
        subprocess.run(["rm", "-rf", str(root)], check=True)


def main() -> None:
    """Print a row for each tree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="shapes whose names have this word")
    chosen = parser.parse_args()
    print(f"| tree | scan / `du -s`, budget {_TIMES:.0f} | more memory, budget 64 MB | |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="trees-", ignore_cleanup_errors=True) as directory:
        for row in rows(Path(directory), [shape for shape in SHAPES if chosen.only in shape]):
            print(row, flush=True)


if __name__ == "__main__":
    main()
