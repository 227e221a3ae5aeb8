"""Debounce, budget, audits and space: what is due when, on a clock that the test moves."""

import itertools
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.measured import Measured, Tree, Usage
from exporter.demo.writer import State
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from exporter.schedule.cpu_budget import Budget
from exporter.schedule.debounce import MOST_ENTRIES, Debounce
from exporter.schedule.disk_pressure import Disk, DiskPressure
from exporter.schedule.remeasure import RemeasureSchedule
from tests.support.proc import FakeProc
from tests.support.roots import graph_root, hex_id


@given(st.lists(st.floats(0, 3), min_size=1, max_size=30))
def test_a_change_waits_for_quiet_but_never_longer_than_five_seconds(pauses: list[float]) -> None:
    debounce, now, first = Debounce(), 100.0, 100.0
    for pause in pauses:
        if debounce.due is not None and debounce.due <= now:
            debounce.take_dirty()
            first = now
        debounce.add(now, {("containers", "c")})
        assert debounce.due == min(now + 1, first + 5)
        now += pause
    assert debounce.take_dirty().entries == {("containers", "c")}
    assert debounce.due is None


def test_more_entries_than_are_worth_telling_apart_are_everything() -> None:
    debounce = Debounce()
    debounce.add(0, {(str(number),) for number in range(MOST_ENTRIES)})
    debounce.add(0, {("one more",)})
    dirty = debounce.take_dirty()
    assert dirty.everything
    assert not dirty.entries


@given(st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 10)), max_size=30))
def test_what_is_spent_stays_within_the_share(turns: list[tuple[float, float]]) -> None:
    """As long as nothing is spent when there is nothing to spend, the average keeps to the share."""
    budget, now, cpu, largest = Budget(0.05), 0.0, 0.0, 0.0
    budget.update(now, cpu)
    for pause, cost in turns:
        now += pause
        if not budget.wait():
            cpu += cost
            largest = max(largest, cost)
        budget.update(now, cpu)
    assert cpu <= 0.05 * (now + 60) + largest + 1e-6


def test_an_overdrawn_account_says_how_long_to_wait() -> None:
    budget = Budget(0.05)
    budget.update(0, 0)
    budget.update(0, 4)
    assert budget.wait() == 20
    budget.update(20, 4)
    assert budget.wait() == 0
    assert budget.wait(audit=True) == 10  # so much is left to what events tell of


def _remeasure(tmp_path: Path, pool: Pool) -> RemeasureSchedule:
    built = graph_root(tmp_path).image("base", size=3, tag="base:1")
    proc = FakeProc(tmp_path / "proc")
    proc.container(7, hex_id("busy"))
    built.container("busy", image="base", writable={"w": 1}, state=State(running=True, pid=7))
    built.container("done", image="base", writable={"w": 1})
    scanner = Scanner(str(built.path), 600, pool, proc=str(proc.path))
    scanner.scan()
    remeasure = RemeasureSchedule(60)
    remeasure.plan(scanner.plan, scanner.inventory, [], now=0, date=1000)
    return remeasure


def test_a_quiet_tree_is_audited_ever_more_rarely_and_a_growing_one_often(tmp_path: Path, pool: Pool) -> None:
    remeasure, busy = _remeasure(tmp_path, pool), ("aufs", "diff", hex_id("busy"))
    now, pauses = 60.0, []
    for _ in range(6):
        assert busy in remeasure.due(now)
        remeasure.begun([busy], now)
        assert busy not in remeasure.due(now)
        remeasure.done(busy, now, now, grew=False)
        before = now
        while busy not in remeasure.due(now):
            now += 1
        pauses.append(now - before)
    assert pauses == [120, 240, 480, 900, 900, 900]
    remeasure.done(busy, now, now, grew=True)
    assert busy in remeasure.due(now + 60)


def test_what_is_stopped_is_audited_hourly_and_image_layers_never(tmp_path: Path, pool: Pool) -> None:
    remeasure, done = _remeasure(tmp_path, pool), ("aufs", "diff", hex_id("done"))
    assert done not in remeasure.due(3599)
    assert done in remeasure.due(3600)
    assert ("aufs", "diff", hex_id("base")) not in remeasure.due(10**9)


def test_what_stops_is_measured_once_more(tmp_path: Path, pool: Pool) -> None:
    built = graph_root(tmp_path).image("base", size=3, tag="base:1")
    proc = FakeProc(tmp_path / "proc")
    proc.container(7, hex_id("web"))
    built.container("web", image="base", writable={"w": 1}, state=State(running=True, pid=7))
    scanner = Scanner(str(built.path), 600, pool, proc=str(proc.path))
    scanner.scan()
    remeasure, layer = RemeasureSchedule(60), ("aufs", "diff", hex_id("web"))
    remeasure.plan(scanner.plan, scanner.inventory, [], now=0, date=0)
    assert layer not in remeasure.due(10)
    file = built.path / "containers" / hex_id("web") / "config.json"
    file.write_text(file.read_text().replace('"Running": true', '"Running": false'))
    assert scanner.scan().inventory.containers[0].state == "exited"
    remeasure.plan(scanner.plan, scanner.inventory, [], now=10, date=10)
    assert layer in remeasure.due(10)
    remeasure.done(layer, 10, 10, grew=True)
    assert layer not in remeasure.due(3609)


def test_space_that_nothing_explains_brings_forward_what_runs(tmp_path: Path, pool: Pool) -> None:
    remeasure = _remeasure(tmp_path, pool)
    remeasure.hurry(5)
    due = remeasure.due(5)
    assert ("aufs", "diff", hex_id("busy")) in due
    assert ("aufs", "diff", hex_id("done")) not in due


def test_the_oldest_measurement_of_an_area_is_told(tmp_path: Path, pool: Pool) -> None:
    remeasure = _remeasure(tmp_path, pool)
    assert remeasure.oldest() == {"containers": 1000}
    remeasure.done(("aufs", "diff", hex_id("busy")), 10, 2000, grew=True)
    assert remeasure.oldest() == {"containers": 1000}
    remeasure.done(("aufs", "diff", hex_id("done")), 10, 3000, grew=True)
    assert remeasure.oldest() == {"containers": 2000}


def test_growth_that_was_measured_explains_the_space_that_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The free space is not the disk's own: other programs write there, too."""
    size = 200 << 20
    real = os.statvfs(tmp_path)
    block = real.f_frsize
    free = {"blocks": size // block + 1000}

    def statvfs(path: str) -> os.statvfs_result:
        os.stat(path)
        return os.statvfs_result((real.f_bsize, block, 1_000_000, free["blocks"], free["blocks"], *real[5:]))

    monkeypatch.setattr(os, "statvfs", statvfs)
    space = DiskPressure()
    assert not space.is_losing_space(0, str(tmp_path), [], {})
    grown = {tmp_path.stat().st_dev: size}
    free["blocks"] -= size // block
    assert not space.is_losing_space(1, str(tmp_path), [], grown)
    assert not space.is_losing_space(2, str(tmp_path / "gone"), [], {})
    assert not DiskPressure().is_losing_space(3, str(tmp_path), [], grown)
    free["blocks"] += size // block
    unexplained = DiskPressure()
    assert not unexplained.is_losing_space(4, str(tmp_path), [], {})
    free["blocks"] -= size // block
    assert unexplained.is_losing_space(5, str(tmp_path), [], {}), "space that no growth explains"


_MIB = 1 << 20


def test_space_that_went_is_told_once_and_again_when_more_went() -> None:
    disk = Disk(used=1000 * _MIB, explained=100 * _MIB)
    assert not disk.is_losing_space(15, 1064 * _MIB, 100 * _MIB)
    assert disk.is_losing_space(30, 1065 * _MIB, 100 * _MIB)
    assert not disk.is_losing_space(45, 1065 * _MIB, 165 * _MIB)  # the audit has found it
    assert not disk.is_losing_space(60, 1129 * _MIB, 165 * _MIB)
    assert disk.is_losing_space(75, 1195 * _MIB, 165 * _MIB)


def test_space_that_is_freed_and_used_again_vanishes() -> None:
    disk = Disk(used=1000 * _MIB, explained=100 * _MIB)
    assert not disk.is_losing_space(15, 900 * _MIB, 100 * _MIB)
    assert disk.is_losing_space(30, 970 * _MIB, 100 * _MIB)


def test_what_grows_elsewhere_is_asked_for_ever_more_rarely() -> None:
    """A neighbour writes 10 MiB a second for an hour; then a container begins to."""
    disk = Disk(0, 0)
    told = [now for now in range(0, 3600, 15) if disk.is_losing_space(now, now * 10 * _MIB, 0)]
    pauses = [later - earlier for earlier, later in itertools.pairwise(told)]
    assert pauses == [30, 60, 120, 240, 480, 900, 900]
    explained = 100 * _MIB  # what the last audit has found
    assert disk.is_losing_space(told[-1] + 15, (told[-1] * 10 + 200) * _MIB, explained)


def test_each_filesystem_has_its_own_account(tmp_path: Path) -> None:
    """Growth that was seen on one explains nothing on another one; what is on none of them is on the root's."""
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one filesystem here")
    space, size = DiskPressure(), 80 * _MIB
    assert not space.is_losing_space(0, str(tmp_path), [str(other)], {})
    with tempfile.NamedTemporaryFile(dir=other) as file:
        os.posix_fallocate(file.fileno(), 0, size)
        elsewhere = {tmp_path.stat().st_dev: size}
        assert space.is_losing_space(1, str(tmp_path), [str(other)], elsewhere)


def test_what_hangs_is_audited_ever_more_rarely_whatever_runs(tmp_path: Path, pool: Pool) -> None:
    remeasure, busy = _remeasure(tmp_path, pool), ("aufs", "diff", hex_id("busy"))
    now, pauses = 60.0, []
    for _ in range(5):
        remeasure.begun([busy], now)
        remeasure.done(busy, now, now, grew=True, hangs=True)
        remeasure.hurry(now)
        before = now
        while busy not in remeasure.due(now):
            now += 1
        pauses.append(now - before)
    assert pauses == [120, 240, 480, 900, 900]
    assert remeasure.oldest() == {"containers": 1000}, "it was never measured again"
    remeasure.done(busy, now, now, grew=True)
    assert busy in remeasure.due(now + 60)


def test_large_trees_are_audited_one_by_one_and_small_ones_beside_them(tmp_path: Path, pool: Pool) -> None:
    remeasure = _remeasure(tmp_path, pool)
    busy: Tree = ("aufs", "diff", hex_id("busy"))
    done: Tree = ("aufs", "diff", hex_id("done"))
    measured = {busy: Measured(Usage(), entries=40_000_000), done: Measured(Usage(), entries=6000)}
    assert remeasure.next_batch(3600, measured, large=True) == [busy]
    small = remeasure.next_batch(3600, measured, large=False)
    assert small
    assert not {busy, done} & {*small}
    assert remeasure.next_batch(3600, measured, large=True) == [done]
    assert not remeasure.next_batch(3600, measured, large=True)


def test_links_to_nobody_knows_where_have_all_that_grows_measured_but_not_again_and_again(
    tmp_path: Path, pool: Pool
) -> None:
    remeasure, done = _remeasure(tmp_path, pool), ("aufs", "diff", hex_id("done"))
    for now in (5, 10):
        remeasure.recheck(now)
        assert (done in remeasure.due(now)) == (now == 5)
        remeasure.done(done, now, now, grew=False)
    remeasure.recheck(20)
    assert done not in remeasure.due(904)
    assert done in remeasure.due(905)
