"""Which trees may be measured without a worker: few, and none on which a filesystem may not answer."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.core.model import Trigger
from exporter.core.mountinfo import MountPoint
from exporter.inventory import opening
from exporter.measure.pool.here import FEW
from exporter.measure.pool.task import Task
from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool
from tests.support.roots.layerdb import DbRoot


class _Noting(LocalPool):
    """Notes which of the trees need no worker."""

    def submit(self, tasks: list[Task], near: Sequence[Task] = ()) -> None:
        self.trees = {task.tree for task in tasks}
        self.near = {task.tree for task in near}
        super().submit(tasks)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DbRoot:
    """A root with many volumes, of which one is on a disk of its own."""
    made = DbRoot(tmp_path).volume("disk", 5000).volume("plain", 7)
    for number in range(FEW):
        made.volume(f"v{number}", 1)
    device = os.stat(made.path).st_dev
    own = MountPoint("1", "0", "/", "/", f"{os.major(device)}:{os.minor(device)}", "/dev/vda", "ext4")
    disk = MountPoint("2", "1", str(made.path / "volumes/disk/_data"), "/", "0:99", "/dev/vdb", "ext4")
    monkeypatch.setattr(opening, "read_mounts", lambda: [own, disk])
    return made


def _again(scanner: Scanner, *volumes: str) -> None:
    scanner.begin(Trigger.EVENT, Dirty(frozenset(("volumes", name) for name in volumes)))
    while scanner.runs:
        scanner.collect(0.0)


def test_a_few_trees_of_a_later_scan_need_none(built: DbRoot) -> None:
    pool = _Noting()
    scanner = Scanner(str(built.path), 600, pool)
    scanner.scan()
    assert len(pool.trees) > FEW
    assert not pool.near
    _again(scanner, "disk", "plain")
    expected: set[Tree] = {("volumes", "disk"), ("volumes", "plain"), ("volumes", "plain", "_data")}
    assert pool.near & pool.trees == pool.near
    assert pool.trees - pool.near == {("volumes", "disk", "_data")}, "something is mounted there"
    assert pool.near >= expected
    _again(scanner, *(f"v{number}" for number in range(FEW)))
    assert not pool.near, "a worker pays for so many"


def test_what_could_not_be_read_needs_one(built: DbRoot) -> None:
    pool = _Noting()
    scanner = Scanner(str(built.path), 600, pool)
    scanner.scan()
    scanner._measurements._problems["volumes", "plain"] = []
    _again(scanner, "plain")
    assert ("volumes", "plain") in pool.trees - pool.near
    assert ("volumes", "plain", "_data") in pool.near
    scanner.remeasure([("volumes", "v0")], 1.0)
    assert not pool.near, "where something is mounted was not read for an audit"
