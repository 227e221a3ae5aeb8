"""A tree may be in two scans that are under way: the figure of the later one counts."""

from exporter.core.model import Trigger
from exporter.measure.pool.task import Lot, Task
from exporter.scan.runs import Runs
from exporter.scan.scan_run import ScanRun, ScanStats


def _begin(runs: Runs, *names: str) -> tuple[ScanRun, list[Task]]:
    tasks = [Task((name,)) for name in names]
    run = ScanRun(Trigger.AUDIT, ScanStats(), pending={*tasks}, trees=len(tasks))
    runs.add(run, tasks)
    return run, tasks


def test_a_result_belongs_to_the_run_of_its_task() -> None:
    runs = Runs()
    first, (one, other) = _begin(runs, "a", "b")
    second, (third,) = _begin(runs, "c")
    assert [runs.finish(task) for task in (one, third, other)] == [first, second, first]
    assert (first.trees, second.trees) == (0, 0)


def test_a_later_task_for_the_same_tree_takes_the_place_of_an_earlier_one() -> None:
    runs = Runs()
    first, (early, other) = _begin(runs, "a", "b")
    second, (late,) = _begin(runs, "a")
    assert runs.finish(early) is None
    assert runs.finish(late) is second
    assert runs.finish(other) is first
    assert runs.remove_done() == [first, second]


def test_an_earlier_task_that_is_done_later_counts_no_more() -> None:
    runs = Runs()
    first, (early,) = _begin(runs, "a")
    second, (late,) = _begin(runs, "a")
    assert runs.finish(late) is second
    assert runs.finish(early) is None
    assert not first.pending


def test_a_task_that_was_done_before_takes_nobodys_place() -> None:
    runs = Runs()
    first, (early, _) = _begin(runs, "a", "b")
    assert runs.finish(early) is first
    second, (late,) = _begin(runs, "a")
    assert runs.finish(late) is second


def test_what_is_forgotten_counts_no_more() -> None:
    runs = Runs()
    _, (task,) = _begin(runs, "a")
    runs.forget()
    assert runs.finish(task) is None


def test_of_a_lot_only_the_trees_count_that_no_later_task_measures() -> None:
    runs = Runs()
    lot = Lot(("store",), names=("a", "b"), wanted={("store", "a"), ("store", "b")})
    first = ScanRun(Trigger.STARTUP, ScanStats(), pending={lot}, trees=2)
    runs.add(first, [lot])
    second = ScanRun(Trigger.AUDIT, ScanStats(), pending={(late := Task(("store", "a")))}, trees=1)
    runs.add(second, [late])
    assert runs.finish(lot) is first
    assert lot.wanted == {("store", "b")}
    runs.go_on(first, [left := Task(("store", "b"))])
    assert first.trees == 1
    assert runs.finish(left) is first
    assert runs.finish(late) is second
    assert runs.remove_done() == [first, second]
