"""A pool without processes: trees are measured in the test's own process, when results are asked for."""

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from exporter.core.data_root import DataRoot, reason_of
from exporter.core.measured import Measured, Reason, Tree, root_of
from exporter.measure.difference import difference
from exporter.measure.pool.pool import Pool
from exporter.measure.pool.protocol import Errors
from exporter.measure.pool.task import Lot, LotResult, Result, Task
from exporter.measure.small import measure_small
from exporter.measure.start import WHOLE
from exporter.measure.total import TooManyLinksError, Total, unlinked
from exporter.measure.walk import Walk


class LocalPool(Pool):
    """Measures one tree each time that results are asked for, the heaviest first: every state between is seen."""

    def __init__(self) -> None:
        super().__init__(1, 30)
        self._at: tuple[str, dict[Tree, tuple[int, int]]] = ("", {})
        self._tasks: deque[Task] = deque()
        self._looked_at = 0

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    @property
    def stalled(self) -> float:
        return 0.0

    @property
    def entries(self) -> int:
        return self._looked_at

    def warm(self) -> None:
        pass

    def use(self, path: str, identities: Mapping[Tree, tuple[int, int]]) -> None:
        if self._at != (path, identities):
            self.forget()
        self._at = (path, dict(identities))

    def forget(self) -> None:
        self._tasks.clear()

    def attended(self) -> AbstractContextManager[None]:
        return nullcontext()

    def submit(self, tasks: list[Task], near: Sequence[Task] = ()) -> None:
        self._tasks.extend(sorted(tasks, key=lambda task: -task.weight))

    def results(self, timeout: float = 0.0) -> list[Result]:
        if not self._tasks:
            assert not timeout, "a test waits for results that will never come"
            return []
        result = self._result(self._tasks.popleft())
        self._looked_at += result.entries
        return [result]

    def _result(self, task: Task) -> Result:
        try:
            path, identities = self._at
            with DataRoot(path, root_of(task.tree)) as root:
                if not root.identities.items() <= identities.items():
                    task.fail(Reason.VANISHED, (), "another root")
                    return Result(task)
                if isinstance(task, Lot):
                    return self._lot(root, task)
                return _compared(root, task) if task.changes is not None else _measured(root, task)
        except TooManyLinksError:
            task.fail(Reason.TOO_LARGE, task.tree, "more hard-linked files than are remembered")
        except OSError as error:
            task.fail(reason_of(error), task.tree, error.strerror or "")
        return Result(task)

    def _lot(self, root: DataRoot, lot: Lot) -> Result:
        found: dict[Tree, Measured] = {}
        left: list[Task] = []
        for tree in lot.trees:
            small = measure_small(root, tree, lot.prune_of(tree))
            if small is None:
                left.append(Task(tree, lot.prune_of(tree)))
            else:
                found[tree] = unlinked(*small)
        self._tasks.extend(left)
        return Result(lot, entries=sum(one.entries for one in found.values()), of_lot=LotResult(found, left))


def _measured(root: DataRoot, task: Task) -> Result:
    total = Total()
    walk = Walk(root, task.tree, task.prune, lambda error, at: _note(task, error, at), total, lambda: None)
    measured = total.result(walk.run([WHOLE]))
    return Result(task, measured, entries=total.entries)


def _compared(root: DataRoot, task: Task) -> Result:
    assert task.changes is not None
    size, entries = difference(root, task.changes, lambda error, at: _note(task, error, at), lambda: None)
    return Result(task, size=size, entries=entries)


def _note(task: Task, error: OSError, at: Tree) -> None:
    reason = reason_of(error)
    task.note(Errors({reason: 1}, [(reason, at, error.strerror or "")]))
