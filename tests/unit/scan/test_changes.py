"""After random changes, what was read change by change is what a fresh process reads; all else stays as it was."""

import shutil
from pathlib import Path

import pytest
from msgspec.structs import asdict

from exporter.core.data_root import DataRoot
from exporter.core.model import BuildRecord, Container, Image, Inventory, Layer, Snapshot, Trigger, Volume
from exporter.inventory.areas import find_areas
from exporter.measure.pool.pool import Pool
from exporter.scan.planner import Planner
from exporter.scan.scanner import Scanner
from tests.support.changing import HOSTS, GraphHost, Host
from tests.support.local_pool import LocalPool

_STEPS = 16
_COMPARED_EVERY = 4


def _read(scanner: Scanner, host: Host) -> Snapshot:
    scanner.begin(Trigger.EVENT, host.dirty())
    while scanner.runs:
        scanner.collect(0.0)
    return scanner.snapshot()


def _objects(one: Inventory) -> list[Layer | Image | Container | Volume | BuildRecord]:
    return [*one.layers, *one.images, *one.containers, *one.volumes, *one.build_cache.records]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", HOSTS)
def test_what_is_read_change_by_change_is_what_a_fresh_process_reads(
    kind: type[Host], seed: int, tmp_path: Path, pool: Pool
) -> None:
    host = kind(tmp_path / "root", seed)
    host.change()
    scanner = Scanner(str(host.path), 600.0, pool)
    host.dirty()
    before = scanner.scan()
    for step in range(1, _STEPS + 1):
        host.change()
        if step % _COMPARED_EVERY == 0:
            host.settle()
        taken = _read(scanner, host)
        old = {hash(one): one for one in _objects(before.inventory)}
        for one in _objects(taken.inventory):
            assert old.get(hash(one), one) is one, "equal, and another object"
        for name in ("layers", "images", "containers", "volumes", "build_cache", "content"):
            was, now = getattr(before.inventory, name), getattr(taken.inventory, name)
            assert was is now or was != now
        if step % _COMPARED_EVERY == 0:
            with LocalPool() as another, DataRoot(str(host.path)) as root:
                fresh = Scanner(str(host.path), 600.0, another).scan()
                plan = Planner().make(root, fresh.inventory, find_areas(root))
            assert taken.inventory == fresh.inventory
            own = {"change": None, "mark": None}  # of each plan
            assert asdict(scanner.plan) | own == asdict(plan) | own
            assert {tree: one.usage for tree, one in taken.measured.items()} == {
                tree: one.usage for tree, one in fresh.measured.items()
            }
            assert (taken.logs, taken.filesystems) == (fresh.logs, fresh.filesystems)
            assert taken.incomplete == fresh.incomplete
        before = taken


def test_images_whose_layer_is_lost_are_worked_out_again(tmp_path: Path, pool: Pool) -> None:
    host = GraphHost(tmp_path / "root", 1)
    scanner = Scanner(str(host.path), 600.0, pool)
    host.dirty()
    before = scanner.scan()
    for layer in [one.id for one in before.inventory.images]:
        shutil.rmtree(host.path / "aufs" / "diff" / layer)
        taken = _read(scanner, host)
        with LocalPool() as another:
            assert taken.inventory == Scanner(str(host.path), 600.0, another).scan().inventory
        assert layer in taken.inventory.missing["aufs"]
