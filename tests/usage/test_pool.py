import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.accounting import Disjoint
from exporter.measured import Reason
from exporter.root import DataRoot
from exporter.usage.pool import Pool
from exporter.usage.prune import Prune
from exporter.usage.task import Result, Task
from exporter.usage.walk import measure
from tests.conftest import du

_DEADLINE_SECONDS = 20


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
        pool.use(root.path, root.device, root.inode)


def _results(pool: Pool, count: int, meanwhile: Callable[[], None] = lambda: None) -> list[Result]:
    results: list[Result] = []
    until = time.monotonic() + _DEADLINE_SECONDS
    while len(results) < count:
        assert time.monotonic() < until, "the pool never finished"
        results += pool.results(0.05)
        meanwhile()
    return results


def test_trees_that_are_shared_out_are_what_du_says(top: Path) -> None:
    with Pool(3, 30) as pool:
        _use(pool, top)
        pool.submit([Task(("one",)), Task(("two",)), Task((), _without("one", "two"))])
        results = {result.task.tree: result.measured for result in _results(pool, 3)}
        trees = [one for one in results.values() if one is not None]
        usage = Disjoint().total(trees)
    assert (usage.allocated, usage.inodes) == (du(top, "--block-size=1"), du(top, "--inodes"))
    with DataRoot(str(top)) as root:
        for tree in (("one",), ("two",)):
            alone = measure(root, tree, Prune(), lambda error, at: pytest.fail(f"{error} {at}"))
            assert results[tree] == alone


def _without(*names: str) -> Prune:
    prune = Prune()
    for name in names:
        prune.add((name,))
    return prune


def test_a_worker_that_dies_costs_no_tree(top: Path) -> None:
    with Pool(2, 30) as pool:
        _use(pool, top)
        pool.submit([Task(("one",)), Task(("two",))])
        os.kill(pool.processes[0], signal.SIGKILL)
        assert all(result.measured is not None for result in _results(pool, 2))


def test_a_tree_at_which_workers_die_is_an_error(top: Path) -> None:
    with Pool(1, 30) as pool:
        _use(pool, top)
        pool.submit([Task(("one",))])

        def kill() -> None:
            for process in pool.processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

        kill()
        (result,) = _results(pool, 1, kill)
        assert result.measured is None
        assert result.task.trouble is not None
        assert result.task.trouble.counts == {Reason.IO: 1}


def test_a_worker_that_hangs_is_given_up_on_and_the_rest_is_measured(top: Path) -> None:
    with Pool(2, 0.5) as pool:
        _use(pool, top)
        pool.submit([Task(("one",), pace=0.01)])
        hung = pool.processes[0]
        os.kill(hung, signal.SIGSTOP)
        pool.submit([Task(("two",))])
        results = {result.task.tree: result for result in _results(pool, 2)}
        assert results["two",].measured is not None
        trouble = results["one",].task.trouble
        assert trouble is not None
        assert trouble.counts == {Reason.TIMEOUT: 1}
        assert hung not in pool.processes


def test_what_is_urgent_goes_before_what_is_measured_at_a_pace(top: Path) -> None:
    with Pool(1, 30) as pool:
        _use(pool, top)
        pool.submit([Task(("one",), pace=0.002), Task(("one", "d1"), pace=0.002)])
        pool.submit([Task(("two",))])
        order = [result.task.tree for result in _results(pool, 1)]
    assert order[0] == ("two",)


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
