"""When each tree of a root is measured again, on a clock that the test moves."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.core.measured import Measured, Tree, Usage
from exporter.core.model import Collector, Container, ContainerState, Inventory, LayerId, Trigger, Use
from exporter.measure.pool.task import SMALL_ENTRIES
from exporter.scan.plan import Plan
from exporter.scan.scan_run import ScanRun, ScanStats
from exporter.schedule.remeasure import RemeasureSchedule
from tests.support.snapshots import container, layer, volume

_INTERVAL = 60.0
_HOUR = 3600.0
_LONGEST = 900.0
_NOTHING = Inventory()


def _schedule(trees: Iterable[Tree], inventory: Inventory = _NOTHING, interval: float = _INTERVAL) -> RemeasureSchedule:
    """A schedule of these trees, made at 0 on the clock and at the date 1000."""
    schedule = RemeasureSchedule(interval)
    schedule.plan(_plan(trees), inventory, [], 0, 1000)
    return schedule


def _plan(trees: Iterable[Tree], immutable: Iterable[Tree] = ()) -> Plan:
    return Plan(dict.fromkeys(trees, Collector.DIRECTORIES), immutable=frozenset(immutable))


def _entries(count: int) -> Measured:
    return Measured(Usage(), entries=count)


def _container(name: str, state: ContainerState, **fields: Any) -> Container:
    return container(name, state=state, layer=LayerId(name), **fields)


_RUNNING, _EXITED = ContainerState.RUNNING, ContainerState.EXITED


@pytest.mark.parametrize(
    ("tree", "grows"),
    [
        (("image",), True),
        (("tmp",), True),
        (("volumes", "metadata.db"), True),
        (("graph", "_tmp"), True),
        (("graph", "a" * 64), False),
        (("image", "overlay2", "layerdb", "sha256", "a" * 64), False),
        (("image", "overlay2"), False),
        (("overlay2", "l", "SHORT"), False),
        (("overlay2", "l"), True),
        (("fuse-overlayfs", "l", "SHORT"), False),
        (("aufs", "mnt", "a"), False),
        (("aufs", "layers", "a"), False),
        (("devicemapper", "mnt", "a"), False),
        (("devicemapper", "devicemapper"), True),
    ],
)
def test_what_can_grow_unseen_is_measured_again_and_what_comes_complete_is_not(tree: Tree, grows: bool) -> None:
    schedule = _schedule([tree])
    assert schedule.next_due == (_INTERVAL if grows else None)
    assert schedule.due(_INTERVAL) == ([tree] if grows else [])
    assert schedule.due(_INTERVAL - 1) == []


def test_what_is_immutable_is_never_measured_again() -> None:
    schedule = RemeasureSchedule(_INTERVAL)
    schedule.plan(_plan([("a",), ("b",)], immutable=[("a",)]), Inventory(), [], 0, 0)
    assert schedule.due(10**9) == [("b",)]


@pytest.mark.parametrize(
    ("use", "chain", "state", "pause"),
    [
        (Use.IMAGE, "", _RUNNING, None),
        (Use.BUILD_CACHE, "chain", _RUNNING, None),
        (Use.BUILD_CACHE, "", _EXITED, _INTERVAL),
        (Use.PENDING, "", _EXITED, _INTERVAL),
        (Use.ORPHANED, "", _EXITED, _HOUR),
        (Use.CONTAINER, "", _EXITED, _HOUR),
        (Use.CONTAINER, "", _RUNNING, _INTERVAL),
        (Use.CONTAINER, "", ContainerState.UNKNOWN, _INTERVAL),
        (Use.CONTAINER, "", ContainerState.STALE, _HOUR),
    ],
)
def test_a_layer_is_measured_again_soon_where_something_may_write_to_it(
    use: Use, chain: str, state: ContainerState, pause: float | None
) -> None:
    one = layer("web", use, chain=chain)
    inventory = Inventory(layers=(one,), containers=(_container("web", state),))
    immutable = one.trees if pause is None else ()
    schedule = RemeasureSchedule(_INTERVAL)
    schedule.plan(_plan(one.trees, immutable), inventory, [], 0, 0)
    assert schedule.next_due == pause


def test_the_layer_of_a_running_container_of_another_driver_is_another_layer() -> None:
    inventory = Inventory(
        layers=(layer("web", Use.CONTAINER),),
        containers=(_container("web", _RUNNING, driver="vfs"),),
    )
    assert _schedule([("overlay2", "web")], inventory).next_due == _HOUR


def test_a_containers_files_and_checkpoints_and_volumes_go_by_whether_it_runs() -> None:
    inventory = Inventory(
        containers=(
            _container("runs", _RUNNING, volumes=("live",), checkpoints=("containers", "runs", "checkpoints")),
            _container("ended", _EXITED, volumes=("kept",), checkpoints=("containers", "ended", "checkpoints")),
        ),
        volumes=(volume("live"), volume("kept"), volume("away", tree=None)),
    )
    soon: set[Tree] = {("containers", "runs"), ("containers", "runs", "checkpoints"), ("volumes", "live", "_data")}
    late: set[Tree] = {("containers", "ended"), ("containers", "ended", "checkpoints"), ("volumes", "kept", "_data")}
    late |= {("volumes", "live"), ("volumes", "kept"), ("volumes", "away")}
    schedule = _schedule(soon | late, inventory)
    assert {*schedule.due(_INTERVAL)} == soon
    assert {*schedule.due(_HOUR)} == soon | late


def test_what_could_not_be_measured_is_tried_again_as_long_as_it_is_planned() -> None:
    one: Tree = ("image", "overlay2", "repositories.json")
    schedule = RemeasureSchedule(_INTERVAL)
    schedule.plan(_plan([one], immutable=[one]), Inventory(), [one, ("gone",)], 0, 0)
    assert schedule.due(_INTERVAL) == [one]
    schedule.plan(_plan([one], immutable=[one]), Inventory(), [], 1, 0)
    assert schedule.due(_INTERVAL) == []


def test_what_is_planned_already_keeps_its_time_and_what_is_gone_has_none() -> None:
    schedule = _schedule([("a",), ("b",)])
    schedule.plan(_plan([("b",), ("c",)]), Inventory(), [], 50, 1050)
    assert schedule.due(_INTERVAL) == [("b",)]
    assert schedule.due(50 + _INTERVAL) == [("b",), ("c",)]


def test_the_longest_overdue_is_measured_first() -> None:
    schedule = _schedule([("a",), ("b",), ("c",)])
    for now, name in ((1, "b"), (2, "c"), (3, "a")):
        schedule.done((name,), now, 0, grew=True)
    assert schedule.due(100) == [("b",), ("c",), ("a",)]
    assert schedule.due(61) == [("b",)]
    assert schedule.next_due == 61
    assert schedule.due(60) == []


def test_what_is_being_measured_is_not_due_meanwhile() -> None:
    schedule = _schedule([("a",), ("b",)])
    assert schedule.next_due == _INTERVAL
    schedule.begun([("a",), ("none",)], 100)
    assert schedule.due(100) == [("b",)]
    schedule.begun([("b",)], 200)
    assert schedule.next_due == 100 + _HOUR
    schedule = _schedule([("a",), ("b",)])
    schedule.begun([("a",)], 100)
    assert schedule.due(100 + _HOUR - 1) == [("b",)]
    assert schedule.due(100 + _HOUR) == [("b",), ("a",)]


@given(st.lists(st.integers(0, SMALL_ENTRIES), min_size=1, max_size=60))
@example([SMALL_ENTRIES] * 12)
def test_a_batch_of_small_trees_is_bounded_and_all_of_them_have_their_turn(sizes: list[int]) -> None:
    measured: dict[Tree, Measured] = {("t", str(at)): _entries(size) for at, size in enumerate(sizes)}
    schedule, left = _schedule(measured), set(measured)
    while left:
        batch = schedule.next_batch(_INTERVAL, measured, large=False)
        assert batch
        assert {*batch} <= left
        assert sum(measured[tree].entries for tree in batch[:-1]) <= 20_000, "the last one may exceed it"
        left -= {*batch}
        assert not left or sum(measured[tree].entries for tree in batch) > 20_000, "and what fits is not put off"
    assert not schedule.next_batch(_INTERVAL, measured, large=False)


def test_a_large_tree_is_measured_alone_and_only_where_large_ones_are_asked_for() -> None:
    measured: dict[Tree, Measured] = {
        ("a",): _entries(SMALL_ENTRIES + 1),
        ("b",): _entries(SMALL_ENTRIES),
        ("c",): _entries(SMALL_ENTRIES + 1),
    }
    schedule = _schedule([*measured, ("unmeasured",)])
    assert schedule.next_batch(_INTERVAL, measured, large=True) == [("a",)]
    assert schedule.next_batch(_INTERVAL, measured, large=False) == [("b",), ("unmeasured",)]
    assert schedule.next_batch(_INTERVAL, measured, large=True) == [("c",)]
    assert schedule.next_batch(_INTERVAL, measured, large=True) == []


@given(st.lists(st.booleans(), max_size=12), st.sampled_from([15.0, 60.0, 900.0, 2000.0]))
def test_the_pause_doubles_while_a_tree_is_quiet_and_is_short_again_when_it_grew(
    grew: list[bool], interval: float
) -> None:
    schedule, now, pause = _schedule([("a",)], interval=interval), 0.0, interval
    for one in grew:
        now += pause
        schedule.done(("a",), now, now, grew=one)
        pause = interval if one else min(2 * pause, max(_LONGEST, interval))
        assert schedule.next_due == now + pause


def test_the_pause_of_what_has_stopped_stays_an_hour_whatever_is_found() -> None:
    inventory = Inventory(layers=(layer("web", Use.CONTAINER),), containers=(_container("web", _EXITED),))
    schedule = _schedule([("overlay2", "web")], inventory)
    for grew in (True, False):
        schedule.done(("overlay2", "web"), 100, 0, grew=grew)
        assert schedule.next_due == 100 + _HOUR


@given(st.lists(st.booleans(), max_size=12), st.sampled_from([15.0, 60.0, 900.0, 2000.0, 7200.0]))
def test_what_has_stopped_and_could_not_be_measured_is_tried_again_after_longer_and_longer_pauses(
    failed: list[bool], interval: float
) -> None:
    inventory = Inventory(layers=(layer("web", Use.CONTAINER),), containers=(_container("web", _EXITED),))
    schedule = _schedule([("overlay2", "web")], inventory, interval)
    pause = 0.0
    for one in failed:
        schedule.done(("overlay2", "web"), 100, 0, grew=True, failed=one)
        longer = min(2 * pause, max(_LONGEST, interval)) if pause else interval
        pause = longer if one else 0.0
        assert schedule.next_due == 100 + (pause or _HOUR)


def test_an_audit_that_fails_makes_its_tree_due_again_soon() -> None:
    inventory = Inventory(layers=(layer("web", Use.CONTAINER),), containers=(_container("web", _EXITED),))
    schedule = _schedule([("overlay2", "web")], inventory)
    run = ScanRun(Trigger.AUDIT, ScanStats(), grew={("overlay2", "web"): True})
    schedule.note_runs([run], [("overlay2", "web")], 100, 0)
    assert schedule.next_due == 100 + _INTERVAL


def test_what_starts_and_what_stops_is_measured_at_once_and_then_by_its_new_pause() -> None:
    tree: Tree = ("overlay2", "web")
    runs, ended = (
        Inventory(layers=(layer("web", Use.CONTAINER),), containers=(_container("web", state),))
        for state in (_RUNNING, _EXITED)
    )
    schedule = _schedule([tree], runs)
    for now, inventory, pause in ((10.0, ended, _HOUR), (20.0, runs, _INTERVAL)):
        schedule.plan(_plan([tree]), inventory, [], now, 0)
        assert schedule.due(now) == [tree]
        schedule.done(tree, now, 0, grew=True)
        schedule.plan(_plan([tree]), inventory, [], now + 1, 0)
        assert schedule.next_due == now + pause


def test_the_layer_that_a_container_leaves_behind_is_measured_once_more() -> None:
    """It may have run, written and ended since it was measured."""
    mine = layer("web", Use.CONTAINER)
    schedule = _schedule(mine.trees, Inventory(layers=(mine,), containers=(_container("web", _EXITED),)))
    left = Inventory(layers=(layer("web", Use.ORPHANED),))
    schedule.plan(_plan(mine.trees), left, [], 20, 1020)
    assert schedule.due(20) == [*mine.trees]
    assert schedule.oldest() == {}, "it is no container's any more"
    schedule.done(mine.trees[0], 21, 1021, grew=True)
    schedule.plan(_plan(mine.trees), left, [], 30, 1030)
    assert schedule.next_due == 21 + _HOUR


def test_what_was_started_again_and_is_quiet_has_the_pauses_of_what_runs() -> None:
    tree: Tree = ("overlay2", "web")
    ended, runs = (
        Inventory(layers=(layer("web", Use.CONTAINER),), containers=(_container("web", state),))
        for state in (_EXITED, _RUNNING)
    )
    schedule = _schedule([tree], ended)
    schedule.plan(_plan([tree]), runs, [], 10, 0)
    schedule.done(tree, 10, 0, grew=False)
    assert schedule.next_due == 10 + 2 * _INTERVAL


def test_what_a_container_may_have_written_is_measured_at_once() -> None:
    inventory = Inventory(
        layers=(layer("web", Use.CONTAINER), layer("other", Use.CONTAINER), layer("web", Use.CONTAINER, driver="vfs")),
        containers=(_container("web", _EXITED, volumes=("data",)), _container("other", _EXITED, volumes=("more",))),
        volumes=(volume("data"), volume("more"), volume("away", tree=None)),
    )
    trees: list[Tree] = [("overlay2", "web"), ("overlay2", "other"), ("vfs", "web")]
    trees += [("volumes", "data", "_data"), ("volumes", "more", "_data")]
    schedule = _schedule(trees, inventory)
    schedule.used(["web", "none"], inventory, 5)
    assert schedule.due(5) == [("overlay2", "web"), ("volumes", "data", "_data")]
    schedule.used(["web"], inventory, 7)
    assert schedule.next_due == 5, "what is due longer stays so"


def test_space_that_vanishes_makes_due_what_runs_and_answers() -> None:
    inventory = Inventory(layers=(layer("ended", Use.CONTAINER),))
    schedule = _schedule([("a",), ("hangs",), ("overlay2", "ended")], inventory)
    schedule.done(("hangs",), 1, 0, grew=False, hangs=True)
    schedule.hurry(5)
    assert schedule.due(5) == [("a",)]
    schedule.hurry(7)
    assert schedule.next_due == 5


def test_links_to_nobody_knows_where_make_due_all_that_answers_at_most_every_fifteen_minutes() -> None:
    schedule = _schedule([("a",), ("hangs",)])
    schedule.done(("hangs",), 1, 0, grew=False, hangs=True)
    schedule.recheck(5)
    assert schedule.due(5) == [("a",)]
    for _ in range(5):
        schedule.done(("a",), 6, 0, grew=False)
    assert schedule.due(904) == [("hangs",)]
    schedule.recheck(10)
    assert schedule.due(904) == [("hangs",)]
    assert schedule.due(5 + _LONGEST) == [("hangs",), ("a",)]


def test_the_date_of_the_oldest_measurement_is_told_by_area_and_what_hangs_grows_old() -> None:
    inventory = Inventory(
        layers=(layer("web", Use.CONTAINER), layer("web-init", Use.CONTAINER), layer("left", Use.ORPHANED)),
        containers=(_container("web", _RUNNING),),
        volumes=(volume("data"), volume("more")),
    )
    data, more, web = ("volumes", "data", "_data"), ("volumes", "more", "_data"), ("overlay2", "web")
    schedule = _schedule([data, more, web, ("overlay2", "web-init"), ("overlay2", "left"), ("tmp",)], inventory)
    assert schedule.oldest() == {"containers": 1000, "volumes": 1000}
    schedule.done(web, 10, 2000, grew=False)
    schedule.done(data, 10, 3000, grew=False)
    assert schedule.oldest() == {"containers": 2000, "volumes": 1000}
    schedule.done(more, 10, 4000, grew=False, hangs=True)
    assert schedule.oldest() == {"containers": 2000, "volumes": 1000}
    schedule.done(more, 10, 4000, grew=False)
    assert schedule.oldest() == {"containers": 2000, "volumes": 3000}


def test_what_is_not_in_the_schedule_is_no_matter() -> None:
    schedule = _schedule([("a",)])
    schedule.done(("none",), 5, 0, grew=True)
    assert schedule.next_due == _INTERVAL
    assert RemeasureSchedule(_INTERVAL).next_due is None
    assert RemeasureSchedule(_INTERVAL).due(10**9) == []


def test_what_lies_in_a_further_root_is_due_as_what_lies_in_the_data_root() -> None:
    beside, database = ("/containerd", "tmpmounts"), ("/containerd", "io.containerd.runtime.v2.task")
    schedule = _schedule([beside, database, ("tmp",)])
    assert {*schedule.due(_INTERVAL)} == {beside, database, ("tmp",)}
