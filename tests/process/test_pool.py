import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.core.measured import Changes, Measured, Reason, Tree
from exporter.figures.tally import disjoint
from exporter.measure.exclusions import NOTHING, Exclusions
from exporter.measure.pool import pool as pools
from exporter.measure.pool import supervisor, worker_handle
from exporter.measure.pool.pool import Pool
from exporter.measure.pool.supervisor import MAX_STUCK
from exporter.measure.pool.task import Lot, Result, Task
from exporter.measure.start import WHOLE
from exporter.measure.walk import measure
from tests.support.hanging import hanging
from tests.support.starving import starving
from tests.support.usage import allocated, inodes
from tests.support.waiting import eventually, often, with_growing_timeout


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Two trees with hard links within, across directories, and from one to the other."""
    top = tmp_path / "top"
    for tree in ("one", "two"):
        for directory in range(60):
            at = top / tree / f"d{directory % 6}" / f"s{directory}"
            at.mkdir(parents=True)
            for file in range(20):
                (at / f"f{file}").write_bytes(b"x" * file)
            os.link(at / "f5", top / tree / f"link{directory}")
    os.link(top / "one/d0/s0/f7", top / "two/shared")
    return top


def _use(pool: Pool, top: Path) -> None:
    with DataRoot(str(top)) as root:
        pool.use(root.path, root.identities)


def _results(pool: Pool, count: int, meanwhile: Callable[[], None] = lambda: None) -> list[Result]:
    results: list[Result] = []

    def finished() -> bool:
        results.extend(pool.results(0.05))
        meanwhile()
        return len(results) >= count

    often(finished)  # `results` waits: a pause besides may be all the time that several workers are at one tree
    return results


def _measuring(pool: Pool, entries: int) -> list[Result]:
    """Wait until so many entries were looked at; return what was finished by then."""
    done: list[Result] = []

    def there() -> bool:
        done.extend(pool.results(0.05))
        return pool.entries >= entries

    eventually(there)
    return done


def test_trees_that_are_shared_out_are_what_du_says(top: Path) -> None:
    with Pool(3, 30) as pool:
        _use(pool, top)
        pool.submit([Task(("one",)), Task(("two",)), Task((), _without("one", "two"))])
        results = {result.task.tree: result.measured for result in _results(pool, 3)}
        trees = [one for one in results.values() if one is not None]
        usage = disjoint([trees])[0]
    assert (usage.allocated, usage.inodes) == (allocated(top), inodes(top))
    with DataRoot(str(top)) as root:
        for tree in (("one",), ("two",)):
            alone = measure(root, tree, Exclusions(), lambda error, at: pytest.fail(f"{error} {at}"))
            assert results[tree] == alone


def test_workers_go_on_while_nobody_asks_for_results(top: Path) -> None:
    many = top / "many"
    for number in range(3000):  # more than workers are given at once
        (many / str(number)).mkdir(parents=True)
    with Pool(2, 30) as pool:
        _use(pool, top)
        pool.submit([Task(("many", str(number))) for number in range(3000)])
        with pool.attended():
            eventually(lambda: not pool.busy)
        assert len(pool.results()) == 3000


def _without(*names: str) -> Exclusions:
    prune = Exclusions()
    for name in names:
        prune.add((name,))
    return prune


def test_a_worker_that_dies_costs_no_tree(top: Path) -> None:
    with Pool(2, 30) as pool:
        _use(pool, top)
        pool.submit([Task(("one",)), Task(("two",))])
        os.kill(pool.processes[0], signal.SIGKILL)
        assert all(result.measured is not None for result in _results(pool, 2))


def test_a_tree_at_which_workers_die_is_an_error(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_handle, "_START", "import os; os.read(0, 1); os.kill(os.getpid(), 9)")
    with Pool(1, 30) as pool:
        _use(pool, top)
        pool.submit([Task(("one",))])
        (result,) = _results(pool, 1)
        assert result.measured is None
        assert result.task.trouble is not None
        assert result.task.trouble.counts == {Reason.IO: 1}


def test_a_worker_that_hangs_is_given_up_on_and_the_rest_is_measured(top: Path) -> None:
    with_growing_timeout(lambda seconds: _one_of_two_hangs(top, seconds))


def _one_of_two_hangs(top: Path, seconds: float) -> None:
    with Pool(2, seconds) as pool:
        _use(pool, top)
        pool.submit([Task(("one",), pace=0.01, weight=10_000)])
        hung = pool.processes[0]
        os.kill(hung, signal.SIGSTOP)
        pool.submit([Task(("two",))])
        results = {result.task.tree: result for result in _results(pool, 2)}
        assert results["two",].measured is not None
        trouble = results["one",].task.trouble
        assert trouble is not None
        assert trouble.counts == {Reason.TIMEOUT: 1}
        assert hung not in pool.processes


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of more entries than are measured at once when that is not urgent, and a small one."""
    top = tmp_path_factory.mktemp("large")
    (top / "two").mkdir()
    for directory in range(20):
        at = top / "large" / f"d{directory % 4}" / f"s{directory}"
        at.mkdir(parents=True)
        for file in range(1000):
            os.mknod(at / f"f{file}")
        os.link(at / "f0", top / "large" / f"link{directory}")
    return top


def _alone(top: Path, tree: str) -> Measured:
    with DataRoot(str(top)) as root:
        return measure(root, (tree,), Exclusions(), lambda error, at: pytest.fail(f"{error} {at}"))


@pytest.mark.parametrize("weight", [0, 20_000])
def test_what_is_large_and_not_urgent_holds_nothing_up(large: Path, weight: int) -> None:
    """Whether that is known before, or turns out when it is measured; and be there one worker."""
    with Pool(1, 30) as pool:
        _use(pool, large)
        pool.submit([Task(("large",), pace=0.005, weight=weight)])
        done = _measuring(pool, 1000)
        pool.submit([Task(("two",))])
        done += _results(pool, 1)
    assert [result.task.tree for result in done] == [("two",)]


def test_a_comparison_of_what_is_large_is_done_at_a_pace_as_well(large: Path) -> None:
    with Pool(1, 30) as pool:
        _use(pool, large)
        changes = Changes(("large",), (("two",),))
        slow, urgent = (Task(("large",), changes=changes, pace=pace, weight=20_000) for pace in (0.002, 1))
        pool.submit([slow])
        done: list[Result] = []

        def at_it() -> bool:
            done.extend(pool.results(0.05))
            return pool.cpu > 0

        eventually(at_it)
        pool.submit([urgent])
        done += _results(pool, 1)
    assert done[0].task is urgent


def test_what_turns_out_to_be_large_is_measured_in_the_end(large: Path) -> None:
    with Pool(1, 30) as pool:
        _use(pool, large)
        pool.submit([Task(("large",), pace=0.3)])
        (result,) = _results(pool, 1)
    assert result.measured == _alone(large, "large")


def test_workers_that_die_when_they_share_a_tree_count_nothing_twice(large: Path) -> None:
    with Pool(2, 30) as pool:
        _use(pool, large)
        pool.warm()
        killed: list[int] = []

        def measured_with_a_kill() -> bool:
            task = Task(("large",))
            pool.warm()
            for process in pool.processes:  # or it is done before anybody is asked to share it
                os.kill(process, signal.SIGSTOP)
            pool.submit([task])
            eventually(lambda: pool.results(0.05) or any(one.asked for one in pool._supervisor.workers))
            for process in pool.processes:
                os.kill(process, signal.SIGCONT)

            def kill() -> None:
                if task.parts > 1 and not killed:
                    killed.append(pool.processes[0])
                    os.kill(killed[0], signal.SIGKILL)

            (result,) = _results(pool, 1, kill)
            assert result.measured == _alone(large, "large")
            return bool(killed)

        eventually(measured_with_a_kill, otherwise=lambda: "the tree was never shared")


@contextlib.contextmanager
def _warm_pool(large: Path, workers: int, seconds: float) -> Iterator[Pool]:
    with Pool(workers, seconds) as pool:
        _use(pool, large)
        pool.warm()
        yield pool


def test_a_worker_that_gets_no_core_is_given_more_time(large: Path) -> None:
    with_growing_timeout(lambda seconds: _one_starves(large, seconds))


def _one_starves(large: Path, seconds: float) -> None:
    with _warm_pool(large, 1, seconds) as pool:
        (process,) = pool.processes
        (worker,) = pool._supervisor.workers
        with starving(process):
            pool.submit([Task(("large",))])
            eventually(lambda: pool.results(0.05) or worker.starved)
            assert worker.work, "it is done already"
            assert pool.stalled == 0
        (result,) = _results(pool, 1)
        assert result.measured == _alone(large, "large")
        assert pool.processes == [process]


def test_workers_that_hang_in_one_tree_are_one_timeout(large: Path) -> None:
    with_growing_timeout(lambda seconds: _two_hang_in_one(large, seconds))


def _two_hang_in_one(large: Path, seconds: float) -> None:
    with _warm_pool(large, 2, seconds) as pool:
        for process in pool.processes:
            os.kill(process, signal.SIGSTOP)
        task = Task(("large",))
        pool.submit([task])
        task.parts += 1  # as if the first had given the second one a part of it
        pool._put(task, [WHOLE], paced=False)
        pool._dispatch()
        assert all(worker.work for worker in pool._supervisor.workers)
        pause = seconds * 1.5  # both are late at the same call
        (result,) = eventually(lambda: pool.results(pause))
        assert _reason(result.task) == Reason.TIMEOUT
        pool.submit([Task(("two",))])
        assert _outcomes(_results(pool, 1)) == {"two": "measured"}


_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def _hanging_trees(top: Path, stack: contextlib.ExitStack, count: int, *, deadly: bool) -> list[Task]:
    for number in range(count):
        (top / f"bad{number}/inside").mkdir(parents=True, exist_ok=True)
        stack.enter_context(hanging(top / f"bad{number}/inside", deadly=deadly))
    return [Task((f"bad{number}",)) for number in range(count)]


def _outcomes(results: list[Result]) -> dict[str, str]:
    """By tree, why it was not measured, or that it was."""
    return {result.task.tree[-1]: "measured" if result.measured else _reason(result.task) for result in results}


def _reason(task: Task) -> Reason:
    assert task.trouble is not None
    return next(iter(task.trouble.counts))


def _lot(store: str, names: list[str], prune: Exclusions = NOTHING, inner: tuple[str, ...] = ()) -> Lot:
    return Lot((store,), prune, names=tuple(names), inner=inner)


def _of_lot(pool: Pool, lot: Lot) -> tuple[dict[Tree, Measured], set[Tree]]:
    """The figures of the trees of a lot, and those trees that could not be measured."""
    pool.submit([lot])
    (whole,) = results = _results(pool, 1)[:1]
    assert whole.task is lot
    assert whole.of_lot is not None
    figures = {**whole.of_lot.found}
    results = _results(pool, len(whole.of_lot.left)) if whole.of_lot.left else []
    assert {id(one.task) for one in results} == {id(task) for task in whole.of_lot.left}
    figures.update((one.task.tree, one.measured) for one in results if one.measured is not None)
    return figures, {one.task.tree for one in results if one.measured is None}


def test_a_lot_is_what_its_trees_are(top: Path) -> None:
    """Also where one is large, or has hard links, or is a file, or has nothing inside."""
    store = top / "store"
    for name in ("small", "large", "linked"):
        (store / name / "_data").mkdir(parents=True)
    (store / "small/opts.json").write_bytes(b"x" * 10)
    for number in range(2000):
        (store / "large/_data" / str(number)).touch()
    os.link(store / "small/opts.json", store / "linked/other")
    (store / "file").write_bytes(b"x" * 1000)
    names = ["small", "large", "linked", "file", "gone"]
    with Pool(2, 30) as pool, DataRoot(str(top)) as root:
        _use(pool, top)
        lot = _lot("store", names, _without("_data"), ("_data",))
        figures, failed = _of_lot(pool, lot)
        expected = {tree: measure(root, tree, lot.prune_of(tree), lambda *_: None) for tree in figures}
    assert figures == expected
    assert failed == {("store", "gone"), ("store", "gone", "_data"), ("store", "file", "_data")}
    assert len(figures) == 7


@_root
def test_a_tree_of_a_lot_in_which_a_worker_hangs_costs_no_other(top: Path) -> None:
    with_growing_timeout(lambda seconds: _one_of_a_lot_hangs(top, seconds))


def _one_of_a_lot_hangs(top: Path, seconds: float) -> None:
    for name in ("a", "z"):
        (top / "store" / name).mkdir(parents=True, exist_ok=True)
    (top / "store/bad").mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(hanging(top / "store/bad"))
        pool = stack.enter_context(Pool(1, seconds))
        _use(pool, top)
        figures, failed = _of_lot(pool, _lot("store", ["a", "bad", "z"]))
    assert failed == {("store", "bad")}
    assert set(figures) == {("store", "a"), ("store", "z")}


def test_a_lot_of_a_worker_that_dies_is_measured_by_another(top: Path) -> None:
    for number in range(500):
        (top / "store" / str(number)).mkdir(parents=True)
    with Pool(1, 30) as pool:
        _use(pool, top)
        pool.warm()
        lot = _lot("store", [str(number) for number in range(500)])
        os.kill(pool.processes[0], signal.SIGKILL)
        figures, failed = _of_lot(pool, lot)
    assert len(figures) == 500
    assert not failed


def test_a_few_small_trees_need_no_worker(top: Path) -> None:
    (top / "store/new/inside").mkdir(parents=True)
    (top / "store/new/file").write_bytes(b"x" * 1000)
    (top / "store/large").mkdir()
    for number in range(600):
        (top / "store/large" / str(number)).touch()
    tasks = [Task(("store", "new")), Task(("store", "large")), Task(("one",))]
    with Pool(1, 30) as pool, DataRoot(str(top)) as root:
        _use(pool, top)
        pool.submit(tasks[:1], tasks[:1])
        assert not pool.processes
        assert pool.has_results
        first = pool.results()
        assert not pool.busy
        pool.submit(tasks, tasks)
        assert len(pool.processes) == 1, "for what is larger, and has links"
        pool.submit(tasks[:1], tasks[:1])
        results = [*first, *_results(pool, 4)]
        expected = {task.tree: measure(root, task.tree, NOTHING, lambda *_: None) for task in tasks}
    assert {result.task.tree: result.measured for result in results} == expected


def test_nothing_is_measured_of_another_root_than_was_planned_for(top: Path) -> None:
    (top / "store/new").mkdir(parents=True)
    other = top.parent / "other"
    other.mkdir()
    with Pool(1, 30) as pool, DataRoot(str(other)) as root:
        pool.use(str(top), root.identities)
        task = Task(("store", "new"))
        pool.submit([task], [task])
        (result,) = _results(pool, 1)
    assert _outcomes([result]) == {"new": Reason.VANISHED}


@_root
def test_a_tree_that_hangs_is_given_up_on_however_rarely_results_are_asked_for(top: Path) -> None:
    with contextlib.ExitStack() as stack:
        pool = _at_a_hanging_tree(top, stack)
        results = eventually(lambda: pool.results(0.5))
    assert _outcomes(results) == {"bad0": Reason.TIMEOUT}


def _at_a_hanging_tree(top: Path, stack: contextlib.ExitStack) -> Pool:
    """A pool with one worker, which has the tree `bad0` to measure, and soon hangs."""
    bad = _hanging_trees(top, stack, 1, deadly=False)
    pool = stack.enter_context(Pool(1, 0.3))
    _use(pool, top)
    pool.submit(bad)
    return pool


@_root
def test_a_worker_that_hung_is_waited_for_where_it_only_needs_a_core_to_end(top: Path) -> None:
    """Nobody else would: it is a process of this one."""
    with contextlib.ExitStack() as stack:
        pool = _at_a_hanging_tree(top, stack)
        (process,) = pool.processes
        eventually(lambda: _waits_for_an_answer(process))
        with starving(process):
            assert _outcomes(_results(pool, 1)) == {"bad0": Reason.TIMEOUT}
            pool.close()
            with pytest.raises(ProcessLookupError):
                os.kill(process, 0)


@_root
@pytest.mark.parametrize(("killed", "reason"), [(False, Reason.TIMEOUT), (True, Reason.IO)])
def test_only_the_tree_at_which_a_worker_is_lost_is_blamed(top: Path, killed: bool, reason: Reason) -> None:
    """And not the first of the many that it was given at once."""
    with_growing_timeout(lambda seconds: _one_of_many_is_lost(top, killed, reason, seconds))


def _one_of_many_is_lost(top: Path, killed: bool, reason: Reason, seconds: float) -> None:
    good = [Task(("one", f"d{number % 6}", f"s{number}")) for number in range(40)]
    with contextlib.ExitStack() as stack:
        bad = _hanging_trees(top, stack, 1, deadly=False)
        pool = stack.enter_context(Pool(1, 30 if killed else seconds))
        _use(pool, top)
        pool.submit([*good[:7], *bad, *good[7:]])

        def kill() -> None:
            for process in pool.processes:
                if _waits_for_an_answer(process):
                    os.kill(process, signal.SIGKILL)

        results = _results(pool, 41, kill if killed else lambda: None)
    assert [result.task.tree for result in results if result.measured is None] == [("bad0",)]
    assert _outcomes(results)["bad0"] == reason


def _waits_for_an_answer(process: int) -> bool:
    with contextlib.suppress(OSError):
        return "fuse" in Path(f"/proc/{process}/wchan").read_text() + Path(f"/proc/{process}/stack").read_text()
    return False


@_root
def test_no_other_worker_is_sent_to_where_one_hangs(top: Path) -> None:
    with_growing_timeout(lambda seconds: _two_hang(top, seconds))


def _two_hang(top: Path, seconds: float) -> None:
    with Pool(2, seconds) as pool, contextlib.ExitStack() as stack:
        bad = _hanging_trees(top, stack, 2, deadly=True)
        _use(pool, top)
        pool.submit(bad)
        assert _outcomes(_results(pool, 2)) == {"bad0": Reason.TIMEOUT, "bad1": Reason.TIMEOUT}
        for _ in range(10):
            pool.submit([Task(("bad0",)), Task(("one",)), Task(("bad1",))])
            outcomes = _outcomes(_results(pool, 3))
            assert outcomes == {"bad0": Reason.TIMEOUT, "one": "measured", "bad1": Reason.TIMEOUT}
        assert len(pool.processes) <= 2


@_root
def test_when_too_many_workers_hang_that_is_said_of_all_trees_until_they_end(top: Path) -> None:
    with_growing_timeout(lambda seconds: _too_many_hang(top, seconds), first=0.2)


def _too_many_hang(top: Path, seconds: float) -> None:
    with Pool(2, seconds) as pool:
        with contextlib.ExitStack() as stack:
            bad = _hanging_trees(top, stack, MAX_STUCK + 4, deadly=True)
            _use(pool, top)
            pool.submit(bad)
            assert {*_outcomes(_results(pool, len(bad))).values()} == {Reason.TIMEOUT}
            pool.submit([Task(("one",))])
            assert _outcomes(_results(pool, 1)) == {"one": Reason.TIMEOUT}
            assert not pool.processes

        def measured() -> bool:
            pool.submit([Task(("one",))])
            return _outcomes(_results(pool, 1)) == {"one": "measured"}

        eventually(measured)


@_root
def test_a_filesystem_below_the_root_that_hangs_costs_one_worker(top: Path) -> None:
    (top / "store").mkdir()
    with_growing_timeout(lambda seconds: _a_store_hangs(top, seconds))


def _a_store_hangs(top: Path, seconds: float) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(hanging(top / "store"))
        pool = stack.enter_context(Pool(1, seconds))
        _use(pool, top)
        workers: set[int] = set()
        pool.submit([*(Task(("store", f"v{number}")) for number in range(30)), Task(("one",))])
        results = _results(pool, 31, lambda: workers.update(pool.processes))
    assert [result.task.tree for result in results if result.measured] == [("one",)]
    assert len(workers) == 2


def test_workers_that_were_stopped_together_with_who_listens_do_not_hang(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container or a machine is paused: for an hour, by the pool's clock."""
    clock = _Ahead()
    for module in (pools, supervisor, worker_handle):
        monkeypatch.setattr(module, "time", clock)
    with Pool(1, 600) as pool:
        _use(pool, large)
        pool.submit([Task(("large",), pace=0.05, weight=20_000)])
        done = _measuring(pool, 1000)
        (worker,) = pool.processes
        os.kill(worker, signal.SIGSTOP)
        clock.ahead += 3600
        done += pool.results()
        os.kill(worker, signal.SIGCONT)
        (result,) = done or _results(pool, 1)
        assert pool.processes == [worker]
    assert result.measured is not None


class _Ahead:
    """A clock that goes on as the system's does, from another time."""

    ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def test_a_tree_that_is_gone_has_vanished(top: Path) -> None:
    with Pool(1, 30) as pool:
        _use(pool, top)
        pool.submit([Task(("three",))])
        (result,) = _results(pool, 1)
    assert result.measured is None
    assert result.task.trouble is not None
    assert result.task.trouble.counts == {Reason.VANISHED: 1}


def test_another_root_in_the_same_place_is_not_measured(top: Path) -> None:
    with Pool(1, 30) as pool:
        _use(pool, top)
        top.rename(top.parent / "away")
        (top / "one").mkdir(parents=True)
        pool.submit([Task(("one",))])
        (result,) = _results(pool, 1)
    assert result.measured is None


def test_closing_leaves_no_process_and_no_descriptor(top: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with Pool(2, 30) as pool:
        _use(pool, top)
        pool.submit([Task(("one",)), Task(("two",))])
        processes = pool.processes
    assert not any(Path(f"/proc/{process}").exists() for process in processes)
    assert len(os.listdir("/proc/self/fd")) == before
