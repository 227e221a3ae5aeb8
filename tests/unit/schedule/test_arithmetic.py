"""Debounce, duty cycle and disk pressure to the second, the share and the byte."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.schedule import disk_pressure as module
from exporter.schedule.cpu_budget import Budget
from exporter.schedule.debounce import MOST_ENTRIES, Debounce
from exporter.schedule.disk_pressure import Disk, DiskPressure

_MIB = 1 << 20
_LEAST = 64 * _MIB


def test_what_is_collected_is_handed_over_once() -> None:
    debounce = Debounce()
    assert debounce.due is None
    debounce.add(1, {("a",)})
    debounce.add(2, {("b",)})
    assert debounce.waiting.entries == {("a",), ("b",)}
    assert debounce.take_dirty().entries == {("a",), ("b",)}
    assert not debounce.take_dirty().entries
    assert debounce.due is None
    debounce.add(10, {("c",)})
    assert debounce.due == 11
    assert debounce.take_dirty().entries == {("c",)}


def test_no_change_makes_nothing_wait() -> None:
    debounce = Debounce()
    debounce.add(1, set())
    assert debounce.due is None
    debounce.add(1, {("a",)})
    debounce.add(1.5, set())
    assert debounce.due == 2


def test_what_does_not_postpone_is_scanned_a_second_after_the_first_of_it() -> None:
    debounce = Debounce()
    debounce.add(1, {("meta.db",)}, postpones=False)
    debounce.add(1.9, {("meta.db",)}, postpones=False)
    assert debounce.due == 2
    debounce.add(1.95, {("blob",)})
    debounce.add(2.5, {("meta.db",)}, postpones=False)
    assert debounce.due == 2.95
    assert debounce.take_dirty().entries == {("meta.db",), ("blob",)}
    debounce.add(4, {("meta.db",)}, postpones=False)
    assert debounce.due == 5


def test_everything_stands_until_it_is_taken() -> None:
    debounce = Debounce()
    debounce.add(1, {("a",)})
    debounce.add(2, set(), everything=True)
    debounce.add(3, {("b",)})
    assert debounce.due == 4
    dirty = debounce.take_dirty()
    assert (dirty.everything, dirty.entries) == (True, frozenset())
    debounce.add(5, {("c",)})
    assert not debounce.waiting.everything


def test_as_many_entries_as_are_worth_telling_apart_are_told_apart() -> None:
    debounce = Debounce()
    debounce.add(0, {(str(number),) for number in range(MOST_ENTRIES)})
    assert not debounce.waiting.everything
    assert len(debounce.waiting.entries) == MOST_ENTRIES


_SHARES = st.sampled_from([0.01, 0.05, 0.25, 1.0])


@given(_SHARES, st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_budget_begins_with_what_a_minute_gives(share: float, now: float, cpu: float) -> None:
    budget = Budget(share)
    budget.update(now, cpu)
    assert budget.balance == share * 60
    assert budget.wait() == budget.wait(audit=True) == 0


@given(_SHARES, st.lists(st.tuples(st.integers(0, 100), st.integers(0, 10)), max_size=20))
def test_a_budget_is_what_came_in_less_what_went_and_at_most_what_a_minute_gives(
    share: float, turns: list[tuple[int, int]]
) -> None:
    budget, now, cpu, balance = Budget(share), 5.0, 3.0, share * 60
    budget.update(now, cpu)
    for pause, cost in turns:
        now, cpu = now + pause, cpu + cost
        balance = min(balance + pause * share - cost, share * 60)
        budget.update(now, cpu)
        assert budget.balance == pytest.approx(balance)
        assert budget.wait() == pytest.approx(max(0.0, -balance / share))
        assert budget.wait(audit=True) == pytest.approx(max(0.0, 10 - balance / share))


def test_a_large_audit_may_take_half_of_the_share() -> None:
    assert Budget(0.05).pace == 0.025


def test_space_counts_as_vanished_beyond_64_mib_of_what_the_trees_have_grown() -> None:
    assert not Disk(1000, 500).is_losing_space(0, 1000 + _LEAST, 500)
    assert Disk(1000, 500).is_losing_space(0, 1001 + _LEAST, 500)
    assert not Disk(1000, 500).is_losing_space(0, 1001 + _LEAST, 501)
    assert Disk(1000, 500).is_losing_space(0, 1001 + _LEAST, 499)


def test_space_that_is_told_is_the_new_level() -> None:
    disk = Disk(0, 0)
    assert disk.is_losing_space(0, 2 * _LEAST, 0)
    assert (disk.used, disk.explained) == (2 * _LEAST, 0)
    assert not disk.is_losing_space(1000, 3 * _LEAST, 0)
    assert disk.is_losing_space(2000, 3 * _LEAST + 1, 0)


def test_trees_that_grew_by_more_than_what_went_are_the_new_level() -> None:
    disk = Disk(0, 0)
    assert not disk.is_losing_space(0, _LEAST, _LEAST + 1)
    assert (disk.used, disk.explained) == (_LEAST, _LEAST + 1)
    assert not disk.is_losing_space(1, 2 * _LEAST, 2 * _LEAST)
    assert (disk.used, disk.explained) == (_LEAST, _LEAST + 1), "what is explained to the byte is not noted"


def test_after_space_was_told_it_is_not_told_before_the_pause_is_over() -> None:
    disk, used = Disk(0, 0), 0
    for now, told in ((0, True), (29, False), (30, True), (89, False), (90, True), (209, False), (210, True)):
        used += 2 * _LEAST
        assert disk.is_losing_space(now, used, 0) == told, now


@pytest.mark.parametrize(("grew", "told"), [(_LEAST, True), (_LEAST - 1, False)])
def test_growth_that_an_audit_explains_ends_the_pause(grew: int, told: bool) -> None:
    disk = Disk(0, 0)
    assert disk.is_losing_space(0, 2 * _LEAST, 0)
    assert disk.is_losing_space(1, 5 * _LEAST, grew) == told


@pytest.mark.parametrize(("quiet", "pause"), [(900, 60), (901, 30)])
def test_a_quarter_of_an_hour_after_the_pause_it_is_short_again(quiet: int, pause: int) -> None:
    disk = Disk(0, 0)
    assert disk.is_losing_space(0, 2 * _LEAST, 0)
    assert disk.is_losing_space(30 + quiet, 4 * _LEAST, 0)
    assert not disk.is_losing_space(30 + quiet + pause - 1, 6 * _LEAST, 0)
    assert disk.is_losing_space(30 + quiet + pause, 6 * _LEAST, 0)


@dataclass
class _Filesystems:
    """Stands in for what the kernel says: by path the device and the bytes used, None where it does not say."""

    said: dict[str, tuple[int, int] | None]

    def __call__(self, path: str) -> tuple[int, int] | None:
        return self.said[path]


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> _Filesystems:
    disks = _Filesystems({"/root": (1, 0), "/below": (2, 0)})
    monkeypatch.setattr(module, "_used_space", disks)
    return disks


def test_growth_explains_space_on_the_filesystem_that_it_is_on(disks: _Filesystems) -> None:
    pressure = DiskPressure()
    assert not pressure.is_losing_space(0, "/root", ["/below"], {})
    disks.said["/below"] = (2, 2 * _LEAST)
    assert not pressure.is_losing_space(1, "/root", ["/below"], {2: 2 * _LEAST})
    disks.said["/below"] = (2, 4 * _LEAST)
    assert pressure.is_losing_space(2, "/root", ["/below"], {2: 2 * _LEAST, 1: 2 * _LEAST})


def test_growth_on_a_filesystem_that_is_not_looked_at_is_that_of_the_root(disks: _Filesystems) -> None:
    pressure = DiskPressure()
    assert not pressure.is_losing_space(0, "/root", ["/below"], {})
    disks.said["/root"] = (1, 2 * _LEAST)
    assert not pressure.is_losing_space(1, "/root", ["/below"], {9: 2 * _LEAST})


def test_what_does_not_say_how_full_it_is_is_left_out(disks: _Filesystems) -> None:
    pressure = DiskPressure()
    disks.said["/root"] = None
    assert not pressure.is_losing_space(0, "/root", ["/below"], {})
    disks.said["/below"] = None
    assert not pressure.is_losing_space(1, "/root", ["/below"], {})
    disks.said["/below"] = (2, 2 * _LEAST)
    assert pressure.is_losing_space(2, "/root", ["/below"], {})


def test_a_filesystem_that_is_mounted_twice_counts_once(disks: _Filesystems) -> None:
    pressure = DiskPressure()
    disks.said["/below"] = (1, 0)
    assert not pressure.is_losing_space(0, "/root", ["/below"], {})
    disks.said |= {"/root": (1, 2 * _LEAST), "/below": (1, 9 * _LEAST)}
    assert not pressure.is_losing_space(1, "/root", ["/below"], {1: 2 * _LEAST}), "the root's word stands"


def test_what_is_used_is_what_is_not_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((4096, 512, 100, 30, 20, 9, 9, 9, 0, 255)))
    assert module._used_space(str(tmp_path)) == (tmp_path.stat().st_dev, 70 * 512)
    assert module._used_space(str(tmp_path / "none")) is None
