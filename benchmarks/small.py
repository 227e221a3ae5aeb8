"""Many small trees compared with `du`: per tree there is little to walk, and what else a tree costs is seen."""

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.roots import small_layers, small_volumes
from benchmarks.rows import Row, ratio
from benchmarks.timing import du_seconds, scan_seconds
from exporter.demo.writer import GraphWriter

_TURNS = 3
_BUDGET = 2.0

SHAPES: dict[str, Callable[[Path], None]] = {
    "16,000 volumes of three files": lambda root: small_volumes(root, 16_000, 3),
    "5,000 layers of twenty files and 5,000 containers": lambda root: small_layers(root, 5_000, 20),
}


def small_trees(scratch: Path) -> Iterator[Row]:
    """The first scan of each shape, and all that `once` does but its start."""
    start_up = start_seconds(scratch)
    for shape, build in SHAPES.items():
        root = _root(scratch, shape)
        build(root)
        yield from beside_du(root, shape, start_up)


def start_seconds(scratch: Path) -> float:
    """How long `once` takes for a root without anything in it."""
    empty = GraphWriter(scratch / "none", "aufs").root
    return statistics.median(scan_seconds(empty)[1] for _ in range(_TURNS))


def beside_du(root: Path, shape: str, start_up: float) -> Iterator[Row]:
    """The first scan of a root compared with `du`, and all that `once` does but its start."""
    du_seconds(root)
    turns = [(*scan_seconds(root), du_seconds(root)) for _ in range(_TURNS)]
    yield ratio(f"first scan / `du -s`, {shape}", [(scan, by_du) for scan, _, by_du in turns], _BUDGET)
    rest = [(whole - start_up, by_du) for _, whole, by_du in turns]
    yield ratio("... `once`, with metadata and output, without start-up / `du -s`", rest, _BUDGET)


def small_roots(scratch: Path) -> dict[str, Path]:
    """The roots of many volumes that `small_trees` has built, by shape."""
    return {shape: _root(scratch, shape) for shape in SHAPES if "volumes of" in shape}


def _root(scratch: Path, shape: str) -> Path:
    return scratch / shape.replace(" ", "-")
