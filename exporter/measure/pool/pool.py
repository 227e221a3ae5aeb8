"""Measures many trees in worker processes: splits them, shares them out, and gives up on those that hang.

No call here blocks: the caller waits on `fileno`, and `results` returns what has come. One pool measures one data root.
Work that is known to be large and is not urgent is paced to a fraction of a core, by a worker of its own that delays no
other work. Work that turns out to be large is treated so from then on.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Self

from exporter.core.fault import Fault
from exporter.core.fault_log import FAULT_LOG
from exporter.core.framing import ProtocolError
from exporter.core.log import Logger
from exporter.core.measured import Measured, Reason, Tree, mount_around
from exporter.core.mountinfo import foreign_trees_of, read_mounts
from exporter.measure.pool.attended import attended
from exporter.measure.pool.dispatch import Dispatcher
from exporter.measure.pool.here import measured_here
from exporter.measure.pool.protocol import (
    Answer,
    ComparedTrees,
    FailedWork,
    FoundLinks,
    MeasuredLot,
    MeasuredTree,
    MeasuredTrees,
    SharedWork,
    UseRoot,
    Working,
    unpack_rows,
)
from exporter.measure.pool.queue import WorkQueue
from exporter.measure.pool.supervisor import WorkerSupervisor
from exporter.measure.pool.task import SMALL_ENTRIES, Lot, LotResult, Result, Task, WorkItem, orders_of
from exporter.measure.pool.waits import Crew
from exporter.measure.pool.worker_handle import WorkerHandle
from exporter.measure.start import Start
from exporter.measure.total import TooManyLinksError, Total, unlinked

_CRASHES = 2
#: `results` is called every second while there are workers, unless this process was stopped.
_LONGEST_GAP_SECONDS = 5.0
#: So many workers a core, and so many more than cores, may wait for the disk at once.
_MOST_FOR_A_CORE, _MOST_MORE = 4, 6
_log = Logger()


class Pool:
    """The workers of one data root."""

    def __init__(self, workers: int, stall_seconds: float, most: int = 0) -> None:
        """A worker that makes no progress for `stall_seconds` is given up on.

        There are `most` workers at most while they wait for the disk, and otherwise so many as `workers` says.
        """
        self._crew = Crew(workers, most)
        self._supervisor = WorkerSupervisor(self._crew)
        self._stall = stall_seconds
        self._root = UseRoot("", 0, 0, [])
        self._waiting = WorkQueue()
        self._dispatcher = Dispatcher(self._supervisor, self._waiting, self._send)
        self._items: dict[int, WorkItem] = {}
        self._finished: list[Result] = []
        self._number = 0
        self._last_call = time.monotonic()
        self._entries = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def processes(self) -> list[int]:
        """The workers' process ids."""
        return [worker.pid for worker in self._supervisor.workers]

    @property
    def cpu(self) -> float:
        """Seconds of CPU time that all workers have reported."""
        return self._supervisor.cpu

    @property
    def busy(self) -> bool:
        """Whether anything is still to be measured."""
        return bool(self._items or self._waiting)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to measure, and no worker to be ended: without a `submit`, `results` has nothing."""
        return not (self.busy or self._finished or self._supervisor.has_workers)

    @property
    def stalled(self) -> float:
        """Seconds since a worker with urgent work last gave a sign of life; 0 where none has any or has no core."""
        return self._supervisor.stalled

    @property
    def entries(self) -> int:
        """The number of directory entries read so far, also in trees that are not done."""
        return self._entries + sum(worker.at for worker in self._supervisor.workers)

    @property
    def unable(self) -> str:
        """Why no worker can be started, where none is left and that does not pass; "" otherwise."""
        return "" if self._supervisor.workers else self._supervisor.start_failure.lasting(self._stall)

    def fileno(self) -> int:
        """A descriptor that is readable when `results` has something to read."""
        return self._supervisor.fileno()

    def warm(self) -> None:
        """Start the workers that the first scan will need, while its metadata is being read."""
        while self._supervisor.start_worker() is not None:
            pass

    def use(self, path: str, identities: Mapping[Tree, tuple[int, int]]) -> None:
        """Measure the data root at `path`, and its further roots, from now on; tasks of others are forgotten.

        `identities`: the device and inode of each of these roots.
        """
        further = [(top[0], *identity) for top, identity in identities.items() if top]
        root = UseRoot(path, *identities[()], further)
        if self._root != root:
            self.forget()
        self._root = root

    def forget(self) -> None:
        """Drop all tasks that are not done."""
        self._waiting.clear()
        self._items.clear()
        self._finished.clear()
        for worker in [worker for worker in self._supervisor.workers if worker.work]:
            self._supervisor.end_worker(worker)

    @property
    def has_results(self) -> bool:
        """Whether `results` returns some without waiting."""
        return bool(self._finished)

    def submit(self, tasks: list[Task], near: Sequence[Task] = ()) -> None:
        """Add tasks, the heaviest first.

        Of those that are `near`, what is small may be measured by this process, where no worker is there.
        """
        if near and not self._supervisor.workers:
            results = [*measured_here(self._root, near)]
            self._finished += results
            self._entries += sum(one.entries for one in results)
            done = {id(one.task) for one in results}
            tasks = [task for task in tasks if id(task) not in done]
        for task in sorted(tasks, key=lambda task: -task.weight):
            self._put(task, None, paced=task.large)
        if stuck := self._supervisor.stuck:
            self._refuse(stuck)
        self._dispatch()

    def results(self, timeout: float = 0.0) -> list[Result]:
        """Return results, after waiting up to `timeout` seconds for one."""
        self.go_on(0.0 if self._finished else timeout)
        finished, self._finished = self._finished, []
        return finished

    def attended(self) -> AbstractContextManager[None]:
        """Have a thread give workers more work, for the length of a `with` block in which nobody uses this pool."""
        return attended(self.go_on)

    def go_on(self, timeout: float) -> None:
        """Take what workers answer, after waiting up to `timeout` seconds for it, and give them more work."""
        self._restart_stall_timers()
        for worker in self._supervisor.listen(timeout):
            if worker in self._supervisor.workers:  # not ended for what another one has just reported
                self._receive(worker)
        self._end_hung()
        self._supervisor.reap()
        self._dispatch()
        self._last_call = time.monotonic()

    def end_workers(self) -> None:
        """Kill all workers when nothing more is to be measured: they end, and free memory, until `close`."""
        self._supervisor.end_all()

    def close(self) -> None:
        """Kill all workers. They only read the disk, so nothing is left half done."""
        self._supervisor.close()

    def _put(self, task: Task, starts: list[Start] | None, *, paced: bool) -> None:
        self._number += 1
        self._waiting.put(WorkItem(self._number, task, task.attempt, starts, paced and task.pace < 1))

    def _dispatch(self) -> None:
        self._dispatcher.dispatch()
        if self._waiting and self._supervisor.lost:
            self._time_out(lambda _: True, "too many workers hang")
        if self._waiting and (why := self.unable):
            self._time_out(lambda _: True, f"no worker can be started: {why}", Reason.INTERNAL)
        self._dispatcher.balance()

    def _send(self, worker: WorkerHandle, items: list[WorkItem]) -> None:
        given = {item.number: item for item in items}
        self._items.update(given)
        worker.give(self._root, given, orders_of(items))

    # -- answers of workers ------------------------------------------------------------------------------------------

    def _receive(self, worker: WorkerHandle) -> None:
        try:
            answers = worker.receive()
            for answer in answers or ():
                self._handle(worker, answer)
        except ProtocolError as error:
            _log.error("worker.protocol_error", worker=worker.pid, error=str(error))
            answers = None
        if answers is None and worker in self._supervisor.workers:
            self._lost(worker, "died")

    def _handle(self, worker: WorkerHandle, answer: Answer) -> None:
        if isinstance(answer, SharedWork):
            self._shared(worker, answer)
            return
        if isinstance(answer, FoundLinks):
            if (known := self._items.get(answer.number)) is not None and not known.void:
                known.links = [*(known.links or ()), *answer.blocks]
            return
        waited = answer.waited if isinstance(answer, Working | MeasuredTrees | MeasuredLot) else worker.waited
        if not worker.paced:
            self._crew.note(answer.cpu - worker.cpu, waited - worker.waited)
        worker.cpu, worker.waited = answer.cpu, waited
        if isinstance(answer, Working):
            worker.at = answer.entries
        elif isinstance(answer, MeasuredTrees):
            self._measured_several(worker, answer)
        else:
            self._done(worker, answer)

    def _done(self, worker: WorkerHandle, answer: MeasuredTree | MeasuredLot | ComparedTrees | FailedWork) -> None:
        worker.done(answer.number)
        item = self._items.pop(answer.number, None)
        if item is None or item.void:
            return  # of a root that is forgotten, or of an attempt that is over
        task = item.task
        try:
            if isinstance(answer, FailedWork):
                if answer.traceback:
                    FAULT_LOG.note(Fault(answer.detail, answer.traceback), "/".join(task.tree))
                self._fail(task, answer.reason, answer.tree, answer.detail)
            elif isinstance(answer, MeasuredTree):
                self._measured(item, answer)
            elif isinstance(answer, MeasuredLot):
                self._measured_lot(task, answer.rows)
            else:
                self._compared(task, answer)
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen, with one tree
            self._fail(task, Reason.INTERNAL, (), FAULT_LOG.note(error, "/".join(task.tree)))

    def _measured_several(self, worker: WorkerHandle, answers: MeasuredTrees) -> None:
        """Take the sums of many small trees: most are whole, and their figures."""
        items, finished = self._items, self._finished
        rows = [*unpack_rows(answers.rows)]
        worker.done(*[row[0] for row in rows])
        for row in rows:
            item = items.pop(row[0], None)
            if item is None or item.attempt != item.task.attempt:
                continue
            task, identity, sums = item.task, row[1:4], row[4:]
            shared = item.starts is not None or task.parts > 1 or task.total is not None
            if shared or item.links or task.changes is not None:
                self._measured(item, MeasuredTree(row[0], identity, sums, None, answers.cpu))
                continue
            measured = unlinked(identity, sums)
            self._entries += measured.entries
            task.attempt += 1
            finished.append(Result(task, measured, entries=measured.entries))

    def _measured_lot(self, lot: Task, rows: bytes = b"") -> None:
        """Take what was measured of a lot, and measure the rest of it tree by tree."""
        assert isinstance(lot, Lot), "only these are answered so"
        trees, found, entries = lot.trees, dict[Tree, Measured](), 0
        for row in unpack_rows(rows):
            found[trees[row[0]]] = known = unlinked(row[1:4], row[4:])
            entries += known.entries
        self._entries += entries
        lot.attempt += 1
        left = [Task(tree, lot.prune_of(tree), pace=lot.pace) for tree in trees if tree not in found]
        self._finished.append(Result(lot, entries=entries, of_lot=LotResult(found, left)))
        for task in left:
            self._put(task, None, paced=False)

    def _measured(self, item: WorkItem, answer: MeasuredTree) -> None:
        task = item.task
        measured: Measured | None = None
        try:
            part = Total.of(answer.sums, item.links or [])
            self._entries += part.entries
            task.identity = answer.identity
            if task.total is None:
                task.total = part
            else:
                task.total.join(part)
            if task.parts == 1:
                measured = task.total.result(task.identity)
        except TooManyLinksError:
            self._fail(task, Reason.TOO_LARGE, task.tree, "more hard-linked files than are remembered")
            return
        task.note(answer.errors)
        task.parts -= 1
        if measured is not None:
            self._finish(task, measured)

    def _compared(self, task: Task, answer: ComparedTrees) -> None:
        task.note(answer.errors)
        self._finished.append(Result(task, size=answer.size, entries=answer.entries))
        self._entries += answer.entries

    def _shared(self, worker: WorkerHandle, answer: SharedWork) -> None:
        """Take back work that a worker was asked for, or that is to go on at a pace."""
        worker.note_shared(anything=bool(answer.whole or answer.starts))
        for number in answer.whole:
            worker.done(number)
            if (item := self._items.pop(number, None)) is not None:
                self._waiting.put(item)
        item = self._items.get(answer.number)
        if answer.starts and item is not None and not item.void:
            task = item.task
            task.parts += 1
            if answer.paced:
                task.weight = max(task.weight, worker.at, SMALL_ENTRIES + 1)  # it turned out to be large
            self._put(task, answer.starts, paced=answer.paced or item.paced)

    # -- the ends of tasks and of attempts ---------------------------------------------------------------------------

    def _fail(self, task: Task, reason: Reason, tree: Tree, detail: str) -> None:
        """Note that a task has failed, and drop its other work items. Of a lot, each tree is tried alone."""
        if isinstance(task, Lot):
            self._measured_lot(task)
            return
        task.fail(reason, tree, detail)
        self._finish(task, None)

    def _finish(self, task: Task, measured: Measured | None) -> None:
        entries = task.total.entries if task.total else 0
        self._finished.append(Result(task, measured, entries=entries))
        self._end_attempt(task)

    def _end_attempt(self, task: Task) -> None:
        """Drop the partial results of a task, and end the workers that still work on it."""
        shared, task.parts = task.parts > 1, 1
        task.attempt += 1
        task.total = None
        if not shared:
            return
        self._waiting.drop_void()
        for worker in [worker for worker in self._supervisor.workers if worker.work]:
            item = self._items.get(worker.begun)
            if item is not None and item.void:
                self._end_worker(worker)

    # -- workers that hang or die ------------------------------------------------------------------------------------

    def _restart_stall_timers(self) -> None:
        """After a long gap between two calls, no worker counts as hung: all may have been stopped (`docker pause`)."""
        now = time.monotonic()
        if now - self._last_call > max(self._stall, _LONGEST_GAP_SECONDS):
            for worker in self._supervisor.workers:
                worker.moved = now

    def _end_hung(self) -> None:
        for worker in self._supervisor.hung(self._stall):
            if worker in self._supervisor.workers:  # not ended because another one hangs in the same tree
                self._lost(worker, "hung")

    def _lost(self, worker: WorkerHandle, how: str) -> None:
        """End a worker that died or hangs; the item that it worked on is tried once more, or fails."""
        item = self._items.get(worker.begun) if worker.work else None
        self._end_worker(worker, item.task.tree if item and how == "hung" else None)
        if item is None or item.void:
            return
        task = item.task
        _log.warning("worker.lost", how=how, tree="/".join(task.tree), worker=worker.pid)
        if how == "hung":
            self._fail(task, Reason.TIMEOUT, task.tree, "no progress")
            self._refuse([task.tree])
            return
        task.crashes += 1
        if task.crashes < _CRASHES:
            self._begin_again(task)
        else:
            self._fail(task, Reason.IO, task.tree, "the worker died twice")

    def _end_worker(self, worker: WorkerHandle, stuck_in: Tree | None = None) -> None:
        """End a worker; put back the items that it has not begun, and those that it has done without an answer."""
        begun = worker.begun if worker.work else -1
        items = [(number, self._items.pop(number)) for number in worker.work if number in self._items]
        worker.work.clear()
        self._supervisor.end_worker(worker, stuck_in)
        for number, item in items:
            if number == begun or item.void:
                continue
            if item.task.parts > 1:  # it may have given away a part, which must not be measured twice
                self._begin_again(item.task)
            else:
                self._waiting.put(item)

    def _begin_again(self, task: Task) -> None:
        """Drop what is known of a task, and put it back whole."""
        task.trouble = None
        self._end_attempt(task)
        self._put(task, None, paced=task.large)

    def _refuse(self, stuck: list[Tree]) -> None:
        """Fail the waiting work in trees in which a worker hangs, and on the mounted filesystems of these trees."""
        tops = [(path,) for path, _, _ in self._root.further]
        # What hangs in a further root is taken for all of it, as for a mount below the data root.
        mounts = {*foreign_trees_of([(), *tops], self._root.path, read_mounts()), *tops}
        around = {mount_around(tree, mounts) for tree in stuck} - {()}
        self._time_out(lambda tree: tree in stuck or mount_around(tree, mounts) in around, "a worker hangs there")

    def _time_out(self, matches: Callable[[Tree], bool], why: str, reason: Reason = Reason.TIMEOUT) -> None:
        for task in self._waiting.drop(matches):
            self._fail(task, reason, task.tree, why)


def pool_of(workers: int, stall_seconds: float) -> Pool:
    """A pool of so many workers; for 0, one for each core that this process may use, and more for a slow disk."""
    if workers:
        return Pool(workers, stall_seconds)
    cores = len(os.sched_getaffinity(0))
    return Pool(cores, stall_seconds, min(_MOST_FOR_A_CORE * cores, cores + _MOST_MORE))
