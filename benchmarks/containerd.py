"""A large containerd image store: how long its metadata takes to read, what one change costs, and the memory."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.subject import Subject, subject
from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.core.memory import collect_garbage_rarely, map_large_blocks, settle
from exporter.core.model import Trigger
from exporter.demo import oci
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool
from tests.support.todays_engine import todays_engine, versions

IMAGES, SNAPSHOTS, BLOBS, CONTAINERS = 300, 2000, 5000, 500
_LAYERS = 3
CHANGES = 9
_READINGS = 5
#: Seconds between two changes: long enough for one to be served, and for what it has caused to end.
_PAUSE = 4.0
#: What belongs to the store: containerd's files, and the records of builds in it.
_STORE = ("containerd", "buildkit")
#: Seconds until the workers have ended.
REST_SECONDS = 20.0
#: Reads the inventory of the root in its argument again and again, in a process of its own, and prints the seconds.
_READER = """
import json, sys, time
from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.memory import collect_garbage_rarely
from exporter.core.model import Inventory
from exporter.inventory.files.memo import Memo
from exporter.inventory.files.problems import Problems
from exporter.inventory.layouts.claims import Grace
from exporter.inventory.read import read_inventory
collect_garbage_rarely()  # as the scanning process does
times = []
for _ in range(int(sys.argv[2])):
    with DataRoot(sys.argv[1]) as root:
        memo = Memo()
        start = time.perf_counter()
        memo.begin(Dirty())
        found, _ = read_inventory(root, Inventory(), Grace(600.0), Problems(), memo)
        times.append(time.perf_counter() - start)
print(json.dumps([times, len(found.images), len(found.layers), len(found.containers)]))
"""


class LargeStore:
    """A store of many objects, of which each has a file of some bytes, and further images for the changes."""

    def __init__(self, root: Path) -> None:
        self.writer = ContainerdWriter(root)
        self._made = 0
        base = [self._layer() for _ in range(_LAYERS)]
        self.targets = [self.image([*base[: 1 + at % _LAYERS], self._layer()]) for at in range(IMAGES)]
        for at in range(CONTAINERS):
            self.writer.container(f"c{at}", f"app:{at % IMAGES}", self.targets[at % IMAGES], log=b"{}\n")
        moby, builds = (one.bucket("content", "blob") for one in (self.writer.moby, self.writer.builds))
        while self._snapshots() < SNAPSHOTS:
            layer = self._layer()
            self.writer.build_record(f"step {self._made}", files=layer.files, layer=layer)
        while len(moby) + len(builds) < BLOBS:
            self._made += 1
            self.writer.history(f"build {self._made}", {"log": b"step 1\n", "trace": b"{}", "provenance": b"[]"})
        self.writer.write()

    def image(self, layers: list[oci.OciLayer]) -> oci.OciManifest:
        """Add an image for one platform, with an attestation as builds have it."""
        self._made += 1
        host = oci.manifest(layers, created="2026-09-01T00:00:00Z")
        target = oci.index([host, oci.attestation(host, b'{"_type":"%d"}' % self._made)])
        return self.writer.image(f"docker.io/library/app:{self._made}", target)

    def change(self) -> None:
        """What a pull of an image of one layer does."""
        self.image([self._layer()])
        self.writer.write()

    def _layer(self) -> oci.OciLayer:
        self._made += 1
        return oci.layer({"which": str(self._made).encode()})

    def _snapshots(self) -> int:
        return len(self.writer.moby.bucket("snapshots", "overlayfs"))


def inventory_seconds(root: Path) -> tuple[float, list[int]]:
    """Seconds that the metadata of a root takes to read, and how many images, layers and containers it has."""
    command = [sys.executable, "-c", _READER, str(root), str(_READINGS)]
    times, *counts = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return statistics.median(times), counts


def cpu_of_reading(root: Path) -> float:
    """CPU seconds for one image that is pulled: to read the inventory again and to measure what has come.

    That is the median of some changes in this process, each told as events tell it.
    """
    map_large_blocks()
    collect_garbage_rarely()
    store, times = LargeStore(root), list[float]()
    with LocalPool() as pool:
        scanner = Scanner(str(root), 600.0, pool)
        scanner.scan()
        settle()
        before = _states(root)
        for _ in range(CHANGES):
            store.change()
            now = _states(root)
            entries = {tree for tree, state in now.items() if before.get(tree) != state}
            before = now
            start = time.process_time()
            scanner.begin(Trigger.EVENT, Dirty(entries=frozenset(entries)))
            while scanner.runs:
                scanner.collect(1.0)
            times.append(time.process_time() - start)
    return statistics.median(times)


def _states(root: Path) -> dict[Tree, tuple[int, int, int]]:
    """What tells a change of each file below a root, and of each entry of a directory of snapshots."""
    found: dict[Tree, tuple[int, int, int]] = {}
    for place, _, names in os.walk(root):
        if "snapshots" in Path(place).parts:
            continue
        for name in names:
            status = (file := Path(place, name)).lstat()
            found[file.relative_to(root).parts] = status.st_ino, status.st_mtime_ns, status.st_size
    for snapshot in root.glob("containerd/daemon/*/snapshots/*"):
        found[snapshot.relative_to(root).parts] = snapshot.lstat().st_ino, 0, 0
    return found


def costs_of_changes(running: Subject, change: Callable[[], object]) -> list[float]:
    """CPU seconds of all processes for each of some changes, beyond what they take in as much time without one.

    Nothing is scraped meanwhile.
    """
    idle = statistics.median(_costs(running, lambda: None))
    return [max(0.0, cost - idle) for cost in _costs(running, change)]


def _costs(running: Subject, change: Callable[[], object]) -> Iterator[float]:
    start, before = time.monotonic(), running.cpu_seconds()
    for at in range(CHANGES):
        change()
        time.sleep(max(0.0, start + (at + 1) * _PAUSE - time.monotonic()))
        now = running.cpu_seconds()
        yield now - before
        before = now


def cpu_of_a_change(running: Subject, change: Callable[[], object]) -> float:
    """The median of these costs. So a look that compares everything does not count, which an idle host has as well."""
    return statistics.median(costs_of_changes(running, change))


def memory_of_the_store(root: Path, without: Path) -> float:
    """Bytes (PSS) that all processes of an exporter have for a root beyond those for the same one without its store.

    `without` is made here. Both are measured at rest.
    """
    shutil.copytree(root, without, ignore=shutil.ignore_patterns(*_STORE))
    found = []
    for one in (root, without):
        with subject(one, "--cache.file", "none", "--scan.interval", "86400") as running:
            running.ready()
            time.sleep(REST_SECONDS)
            found.append(running.pss())
    return found[0] - found[1]


def engine_seconds(root: Path) -> tuple[float | None, str]:
    """Seconds of `docker system df -v` of a real engine on a copy of a root, or why there is no such figure."""
    if os.geteuid() != 0:
        return None, "needs root"
    with tempfile.TemporaryDirectory(prefix="e-") as short, contextlib.ExitStack() as stack:
        scratch = root.parent / "engine"
        scratch.mkdir()
        subprocess.run(["cp", "-a", str(root), str(scratch / "root")], check=True)
        try:
            engine = stack.enter_context(todays_engine(scratch, Path(short)))
        except (OSError, subprocess.CalledProcessError, AssertionError) as error:
            return None, f"no engine: {error}"
        times = []
        for _ in range(_READINGS):
            start = time.perf_counter()
            engine.run("system", "df", "-v")
            times.append(time.perf_counter() - start)
        return statistics.median(times), versions()
