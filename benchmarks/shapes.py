"""Roots of other shapes than that of a plain host: what a start and one change cost where there is much of one kind."""

import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks.containerd import REST_SECONDS, cpu_of_a_change
from benchmarks.roots import name, small_volumes
from benchmarks.rows import Row
from benchmarks.small import beside_du, start_seconds
from benchmarks.subject import subject
from exporter.demo.bolt import BoltFile
from exporter.demo.layerdb import LayerdbWriter
from exporter.demo.writer import GraphWriter

#: How often an exporter is started for its first figures.
_STARTS = 3

#: The most layers that an image may have (Docker 20.10 layer/layer.go, MaxLayerDepth), and its containers.
_LAYERS, _CONTAINERS = 125, 1000
_RECORDS = 20_000
_VOLUMES = 50_000

Change = Callable[[], object]


class _Builder(LayerdbWriter):
    """Writes BuildKit's databases when it is told to, as BuildKit does: pages without a change stay."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        home = root / "buildkit"
        self._databases = BoltFile(home / "metadata_v2.db"), BoltFile(home / "snapshots.db")
        self._saves = False

    def save(self) -> None:
        """Write the databases now, and from now on with each record."""
        super()._save_builds()  # what an engine with BuildKit has besides
        for database in ("metadata_v2.db", "snapshots.db"):
            (self.path / "buildkit" / database).unlink()
        self._saves = True
        self._save_builds()

    def _save_builds(self) -> None:
        if self._saves:
            records, snapshots = self._databases
            records.write({"_main": self._records, "_index": {"x": b""}})
            snapshots.write(self._snapshots)


def _deep_image(root: Path) -> Change:
    writer, names = LayerdbWriter(root), (f"c{number}" for number in count())
    top = ""
    for number in range(_LAYERS):
        writer.layer(f"l{number}", 5, top)
        top = f"l{number}"
    writer.image("app", top, ["app:1"])

    def change() -> None:
        writer.container(next(names), "app", top, writable={"w": 4}, log=b"{}\n")

    for _ in range(_CONTAINERS):
        change()
    return change


def _empty_volumes(root: Path) -> Change:
    small_volumes(root, _VOLUMES, 0)
    writer, names = GraphWriter(root, "aufs"), (name(f"{number}") for number in count())
    return lambda: writer.volume(next(names), {}, form="1.9")


def _build_cache(root: Path) -> Change:
    writer, names = _Builder(root), (name(f"{number}")[:25] for number in count())
    writer.layer("base", 5).image("base", "base", ["base:1"])
    parents = [""]

    def change() -> None:
        parents.append(next(names))
        writer.build(parents[-1], parent=parents[-2] if len(parents) % 10 else "", size=7)

    for _ in range(_RECORDS):
        change()
    writer.save()
    return change


@dataclass(frozen=True, slots=True)
class Shape:
    """One root: what it is, what builds it and returns what makes one change, and a series that it has at first."""

    what: str
    build: Callable[[Path], Change]
    first: str


SHAPES = (
    Shape(f"one image of {_LAYERS} layers and {_CONTAINERS:,} containers", _deep_image, "container_info{"),
    Shape(f"{_VOLUMES:,} empty volumes", _empty_volumes, "volumes{"),
    Shape(f"a build cache of {_RECORDS:,} records", _build_cache, "build_cache_records "),
)


def first_figures(root: Path, series: str) -> tuple[float, float]:
    """How many seconds after its start an exporter serves a series that the engine has written down, and CPU seconds.

    Both are medians of some starts; the CPU time is that of all processes.
    """
    durations, costs = [], []
    expected = f"\ndocker_storage_{series}".encode()
    for _ in range(_STARTS):
        start = time.perf_counter()
        with subject(root, "--cache.file", "none") as running:
            while expected not in running.get():
                time.sleep(0.01)
            durations.append(time.perf_counter() - start)
            costs.append(running.cpu_seconds())
    return statistics.median(durations), statistics.median(costs)


def shapes(scratch: Path, only: str = "") -> Iterator[Row]:
    """The rows of each shape. Its root is removed after that."""
    start_up = start_seconds(scratch)
    for number, shape in enumerate(SHAPES):
        if only not in shape.what:
            continue
        root = scratch / f"shape{number}"
        change = shape.build(root)
        yield from beside_du(root, shape.what, start_up)
        took, cpu = first_figures(root, shape.first)
        yield Row(f"... first figures of {shape.what}", f"{took:.2f} s ({cpu:.2f} s of CPU)")
        with subject(root, "--cache.file", "none", "--scan.interval", "86400") as running:
            running.ready()
            spent = 1000 * cpu_of_a_change(running, change)
            yield Row("... one change until it is served, all processes", f"{spent:.0f} ms of CPU")
            time.sleep(REST_SECONDS)
            yield Row("... memory of all processes (PSS)", f"{running.pss() / 1e6:.0f} MB")
        subprocess.run(["rm", "-rf", str(root)], check=True)
