"""Many trees measured in worker processes: split, shared out, given up on when they hang.

Nothing here waits: `wait` is for the caller's own waiting, `results` takes what has come. One pool measures
one data root. What is known to be large and is not urgent is done at a pace, a fraction of a core, by a worker
that holds nobody up; what only turns out to be large is treated so from then on.
"""

import os
import time
from collections.abc import Callable
from typing import Any, Self

from exporter.core.log import Logger
from exporter.core.measured import Identity, Measured, Reason, Tree
from exporter.core.mountinfo import foreign_trees, mount_around, read_mounts
from exporter.measure.pool.queue import WorkQueue
from exporter.measure.pool.supervisor import WorkerSupervisor
from exporter.measure.pool.task import SMALL_ENTRIES, Result, Task, WorkItem
from exporter.measure.pool.worker_handle import WorkerHandle
from exporter.measure.pool.worker_main import SHARE_AFTER_SECONDS
from exporter.measure.total import TooManyLinksError, Total
from exporter.measure.walk import WHOLE, Start

_AHEAD = 32
_CRASHES = 2
#: So many small trees one worker does alone.
_FEW = 16
#: ... and so long, where they are few or large: it may be just starting.
_HIRE_AFTER_SECONDS = 0.25
#: Who asks for results does so every second, unless it is stopped.
_LONGEST_ABSENCE_SECONDS = 5.0
_log = Logger()


class Pool:
    """The workers of one data root."""

    def __init__(self, workers: int, stall_seconds: float) -> None:
        self._supervisor = WorkerSupervisor(workers)
        self._stall = stall_seconds
        self._root: tuple[str, int, int] = ("", 0, 0)
        self._waiting = WorkQueue()
        self._pieces: dict[int, WorkItem] = {}
        self._finished: list[Result] = []
        self._number = 0
        self._attended = time.monotonic()
        self._entries = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def processes(self) -> list[int]:
        """The workers' process ids."""
        return [hand.pid for hand in self._supervisor.hands]

    @property
    def cpu(self) -> float:
        """Seconds of CPU time that all workers have used, as far as they said."""
        return self._supervisor.cpu

    @property
    def busy(self) -> bool:
        """Whether anything is still to be measured."""
        return bool(self._pieces or self._waiting)

    @property
    def stalled(self) -> float:
        """For how many seconds nothing at all has moved, with something to do."""
        return self._supervisor.stalled

    @property
    def entries(self) -> int:
        """How many directory entries were looked at so far, also in trees that are not done."""
        return self._entries + sum(hand.at for hand in self._supervisor.hands)

    def fileno(self) -> int:
        """Readable when `results` has something to take."""
        return self._supervisor.fileno()

    def warm(self) -> None:
        """Start the workers that the first scan will need, while its metadata is being read."""
        while self._supervisor.hire() is not None:
            pass

    def use(self, path: str, device: int, inode: int) -> None:
        """Measure this root from now on; tasks of another one are forgotten."""
        if self._root != (path, device, inode):
            self.forget()
        self._root = (path, device, inode)

    def forget(self) -> None:
        """Drop everything that is not done."""
        self._waiting.clear()
        self._pieces.clear()
        self._finished.clear()
        for hand in [hand for hand in self._supervisor.hands if hand.work]:
            self._supervisor.let_go(hand)

    def submit(self, tasks: list[Task]) -> None:
        """Take tasks, the heaviest first."""
        for task in sorted(tasks, key=lambda task: -task.weight):
            self._put(task, [WHOLE], paced=task.large)
        if stuck := self._supervisor.stuck:
            self._refuse(stuck)
        self._hand_out()

    def results(self, timeout: float = 0.0) -> list[Result]:
        """Return what has been measured, waiting for it up to `timeout` seconds."""
        self._excuse()
        if not self._finished:
            for hand in self._supervisor.listen(timeout):
                if hand in self._supervisor.hands:  # not let go for what another one has just said
                    self._hear(hand)
        self._look_after()
        self._hand_out()
        finished, self._finished = self._finished, []
        self._attended = time.monotonic()
        return finished

    def close(self) -> None:
        """End all workers at once: they only read."""
        self._supervisor.close()

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _put(self, task: Task, starts: list[Start], *, paced: bool) -> None:
        self._waiting.put(WorkItem(self._next(), task, starts, paced=paced and task.pace < 1))

    def _hand_out(self) -> None:
        """Give work to who has none or little; ask for some back where that is what is missing."""
        size, urgent, paced = self._supervisor.size, self._waiting.urgent, self._waiting.paced
        while urgent and (hand := self._free(_AHEAD if len(urgent) > size else 1)) is not None:
            self._send(hand, self._waiting.take(max(1, min(_AHEAD, len(urgent) // (2 * size)))))
        if paced and not any(hand.paced for hand in self._supervisor.hands):
            slow = self._supervisor.idle or self._supervisor.hire(paced=True)
            if slow is not None:
                slow.paced = True
                self._send(slow, [paced.popleft()])
        if self._waiting and self._supervisor.lost:
            self._time_out(lambda _: True, "too many workers hang")
        if not urgent:
            self._balance()

    def _balance(self) -> None:
        """While one worker idles, have the one with the most urgent work share it."""
        now = time.monotonic()
        busy = [hand for hand in self._supervisor.hands if hand.work and not hand.asked and now >= hand.ask_after]
        busy = [hand for hand in busy if not hand.paced]
        if not busy or not self._supervisor.spare:
            return
        most = max(busy, key=lambda hand: len(hand.work))
        if len(most.work) > 1 or now - most.began > SHARE_AFTER_SECONDS:
            most.ask()

    def _free(self, most: int) -> WorkerHandle | None:
        """A worker with less than `most` pieces of urgent work; a new one if there may be more of them."""
        free = self._supervisor.idle or (self._supervisor.hire() if self._worth_hiring() else None)
        if free is not None or most <= 1:
            return free
        hands = (hand for hand in self._supervisor.hands if not hand.paced)
        least = min(hands, key=lambda hand: len(hand.work), default=None)
        return least if least is not None and len(least.work) < most // 2 else None

    def _worth_hiring(self) -> bool:
        """Whether there is more to do than one more worker would cost: some forty milliseconds, and seven megabytes."""
        hands = [hand for hand in self._supervisor.hands if not hand.paced]
        if not hands or len(self._waiting.urgent) > _FEW:
            return True
        now = time.monotonic()
        return any(hand.work and now - hand.began > _HIRE_AFTER_SECONDS for hand in hands)

    def _send(self, hand: WorkerHandle, pieces: list[WorkItem]) -> None:
        for piece in pieces:
            self._pieces[piece.number] = piece
            hand.give(piece.number, piece.order(self._root))

    def _hear(self, hand: WorkerHandle) -> None:
        messages = hand.hear()
        if messages is None:
            self._lost(hand, "died")
            return
        for message in messages:
            self._take(hand, message)

    def _take(self, hand: WorkerHandle, message: tuple[Any, ...]) -> None:
        kind, number = message[0], message[1]
        if kind == "given":
            self._given(hand, *message[1:4], paced=message[4])
            return
        hand.cpu = message[-1]
        if kind == "at":
            hand.at = message[2]
            return
        hand.done(number)
        piece = self._pieces.pop(number, None)
        if piece is None or piece.void:
            return  # of a root that is forgotten, or of an attempt that is over
        task = piece.task
        if kind == "failed":
            self._fail(task, Reason(message[2]), message[3], message[4])
        elif kind == "measured":
            self._measured(task, *message[2:5])
        else:
            self._note(task, message[4])
            self._finished.append(Result(task, size=message[2], entries=message[3]))
            self._entries += message[3]

    def _measured(self, task: Task, identity: Identity, packed: tuple[Any, ...], errors: tuple[Any, ...]) -> None:
        part = Total.unpack(packed)
        self._entries += part.entries
        task.identity = identity
        try:
            if task.total is None:
                task.total = part
            else:
                task.total.join(part)
        except TooManyLinksError:
            self._fail(task, Reason.TOO_LARGE, task.tree, "more hard-linked files than are remembered")
            return
        self._note(task, errors)
        task.parts -= 1
        if task.parts == 0:
            self._finish(task, task.total.result(task.identity))

    @staticmethod
    def _note(task: Task, errors: tuple[Any, ...]) -> None:
        counts, kept = errors
        for reason, count in counts.items():
            task.troubled().add(Reason(reason), count)
        if kept:
            task.troubled().kept += [(Reason(reason), path, detail) for reason, path, detail in kept]

    def _fail(self, task: Task, reason: Reason, tree: Tree, detail: str) -> None:
        """Note that a task's figure cannot be had; nobody needs what is still being measured for it."""
        task.fail(reason, tree, detail)
        self._finish(task, None)

    def _finish(self, task: Task, measured: Measured | None) -> None:
        entries = task.total.entries if task.total else 0
        self._finished.append(Result(task, measured, entries=entries))
        self._end_attempt(task)

    def _end_attempt(self, task: Task) -> None:
        """Forget what is done of a task; who still works on it is to do something else."""
        shared, task.parts = task.parts > 1, 1
        task.attempt += 1
        task.total = None
        if not shared:
            return
        self._waiting.drop_void()
        for hand in [hand for hand in self._supervisor.hands if hand.work]:
            piece = self._pieces.get(hand.begun)
            if piece is not None and piece.void:
                self._let_go(hand)

    def _given(self, hand: WorkerHandle, whole: list[int], number: int, starts: list[Start], *, paced: bool) -> None:
        """Take work back that a worker was asked for, or that is to go on at a pace."""
        hand.given(anything=bool(whole or starts))
        for one in whole:
            hand.done(one)
            if (piece := self._pieces.pop(one, None)) is not None:
                self._waiting.put(piece)
        piece = self._pieces.get(number)
        if starts and piece is not None and not piece.void:
            task = piece.task
            task.parts += 1
            if paced:
                task.weight = max(task.weight, hand.at, SMALL_ENTRIES + 1)  # it turned out to be large
            self._put(task, starts, paced=paced or piece.paced)

    def _excuse(self) -> None:
        """Where nobody has listened for long, all may have been stopped together, as a container is paused."""
        now = time.monotonic()
        if now - self._attended > max(self._stall, _LONGEST_ABSENCE_SECONDS):
            for hand in self._supervisor.hands:
                hand.moved = now

    def _look_after(self) -> None:
        """Give up on workers that hang."""
        now = time.monotonic()
        for hand in [hand for hand in self._supervisor.hands if hand.work and now - hand.moved > self._stall]:
            self._lost(hand, "hung")
        self._supervisor.look_after()

    def _lost(self, hand: WorkerHandle, how: str) -> None:
        """Put back what a lost worker had, but for what it was at: that is tried once more, or fails."""
        piece = self._pieces.get(hand.begun) if hand.work else None
        self._let_go(hand, piece.task.tree if piece and how == "hung" else None)
        if piece is None or piece.void:
            return
        task = piece.task
        _log.warning("worker.lost", how=how, tree="/".join(task.tree), worker=hand.pid)
        if how == "hung":
            self._fail(task, Reason.TIMEOUT, task.tree, "no progress")
            self._refuse([task.tree])
            return
        task.crashes += 1
        if task.crashes < _CRASHES:
            task.trouble = None
            self._end_attempt(task)
            self._put(task, [WHOLE], paced=task.large)
        else:
            self._fail(task, Reason.IO, task.tree, "the worker died twice")

    def _let_go(self, hand: WorkerHandle, stuck_in: Tree | None = None) -> None:
        """End a worker; put back what it has not begun, and what it has done without having said so."""
        begun = hand.begun if hand.work else -1
        pieces = [(number, self._pieces.pop(number)) for number in hand.work if number in self._pieces]
        hand.work.clear()
        self._supervisor.let_go(hand, stuck_in)
        for number, piece in pieces:
            if number != begun and not piece.void:
                self._waiting.put(piece)

    def _refuse(self, stuck: list[Tree]) -> None:
        """Send no other worker into trees in which one hangs, or to filesystems below the root that they are on."""
        mounts = foreign_trees(self._root[0], read_mounts())
        around = {mount_around(tree, mounts) for tree in stuck} - {()}
        self._time_out(lambda tree: tree in stuck or mount_around(tree, mounts) in around, "a worker hangs there")

    def _time_out(self, which: Callable[[Tree], bool], why: str) -> None:
        for task in self._waiting.drop(which):
            self._fail(task, Reason.TIMEOUT, task.tree, why)


def default_workers() -> int:
    """One for each core that this process may use."""
    return len(os.sched_getaffinity(0))
