"""Many trees measured in worker processes: split, shared out, given up on when they hang.

Nothing here waits: `wait` is for the caller's own waiting, `results` takes what has come. One pool measures
one data root; urgent tasks go before background ones, and those are worked at a pace, a fraction of a core.
"""

import os
import time
from collections import deque
from typing import Any, Self

from exporter.log import Logger
from exporter.measured import Identity, Reason
from exporter.usage.crew import Crew
from exporter.usage.hand import Hand
from exporter.usage.task import Piece, Result, Task
from exporter.usage.total import TooManyLinksError, Total
from exporter.usage.walk import WHOLE, Start
from exporter.usage.worker import SHARE_AFTER_SECONDS

_AHEAD = 32
_CRASHES = 2
#: So many small trees one worker does alone.
_FEW = 16
#: ... and so long, where they are few or large: it may be just starting.
_HIRE_AFTER_SECONDS = 0.25
_log = Logger()


class Pool:
    """The workers of one data root."""

    def __init__(self, workers: int, stall_seconds: float) -> None:
        self._crew = Crew(workers)
        self._stall = stall_seconds
        self._root: tuple[str, int, int] = ("", 0, 0)
        self._urgent: deque[Piece] = deque()
        self._background: deque[Piece] = deque()
        self._pieces: dict[int, Piece] = {}
        self._finished: list[Result] = []
        self._number = 0
        self._entries = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def processes(self) -> list[int]:
        """The workers' process ids."""
        return [hand.pid for hand in self._crew.hands]

    @property
    def cpu(self) -> float:
        """Seconds of CPU time that all workers have used, as far as they said."""
        return self._crew.cpu

    @property
    def busy(self) -> bool:
        """Whether anything is still to be measured."""
        return bool(self._pieces or self._urgent or self._background)

    @property
    def stalled(self) -> float:
        """For how many seconds nothing at all has moved, with something to do."""
        return self._crew.stalled

    @property
    def entries(self) -> int:
        """How many directory entries were looked at so far, also in trees that are not done."""
        return self._entries + sum(hand.at for hand in self._crew.hands)

    def fileno(self) -> int:
        """Readable when `results` has something to take."""
        return self._crew.fileno()

    def warm(self) -> None:
        """Start the workers that the first scan will need, while its metadata is being read."""
        while self._crew.hire() is not None:
            pass

    def use(self, path: str, device: int, inode: int) -> None:
        """Measure this root from now on; tasks of another one are forgotten."""
        if self._root != (path, device, inode):
            self.forget()
        self._root = (path, device, inode)

    def forget(self) -> None:
        """Drop everything that is not done."""
        self._urgent.clear()
        self._background.clear()
        self._pieces.clear()
        self._finished.clear()
        for hand in [hand for hand in self._crew.hands if hand.work]:
            self._crew.let_go(hand)

    def submit(self, tasks: list[Task]) -> None:
        """Take tasks, the heaviest first."""
        for task in sorted(tasks, key=lambda task: -task.weight):
            self._put(Piece(self._next(), task, [WHOLE]))
        self._hand_out()

    def results(self, timeout: float = 0.0) -> list[Result]:
        """Return what has been measured, waiting for it up to `timeout` seconds."""
        if not self._finished:
            for hand in self._crew.listen(timeout):
                self._hear(hand)
        self._look_after()
        self._hand_out()
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        """End all workers at once: they only read."""
        self._crew.close()

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _put(self, piece: Piece) -> None:
        (self._urgent if piece.task.urgent else self._background).append(piece)

    def _hand_out(self) -> None:
        """Give work to who has none or little; ask for some back where that is what is missing."""
        if self._urgent:
            self._interrupt()
        size = self._crew.size
        while self._urgent and (hand := self._free(_AHEAD if len(self._urgent) > size else 1)) is not None:
            share = max(1, min(_AHEAD, len(self._urgent) // (2 * size)))
            self._send(hand, [self._urgent.popleft() for _ in range(min(share, len(self._urgent)))])
        if self._background and not self._urgent and not any(self._paced(hand) for hand in self._crew.hands):
            hand = self._free(1)
            if hand is not None:
                self._send(hand, [self._background.popleft()])
        if not self._urgent:
            self._balance()

    def _interrupt(self) -> None:
        """Where all workers are taken, have those that work at a pace give their work back."""
        if self._crew.spare:
            return
        for hand in self._crew.hands:
            if self._paced(hand) and not hand.asked:
                hand.ask(everything=True)

    def _balance(self) -> None:
        """While one worker idles, have the one with the most urgent work share it."""
        now = time.monotonic()
        busy = [hand for hand in self._crew.hands if hand.work and not hand.asked and now >= hand.ask_after]
        busy = [hand for hand in busy if not self._paced(hand)]
        if not busy or not self._crew.spare:
            return
        most = max(busy, key=lambda hand: len(hand.work))
        if len(most.work) > 1 or now - most.began > SHARE_AFTER_SECONDS:
            most.ask(everything=False)

    def _paced(self, hand: Hand) -> bool:
        return bool(hand.work) and not self._pieces[hand.work[0]].task.urgent

    def _free(self, most: int) -> Hand | None:
        """A worker with less than `most` pieces of urgent work; a new one if there may be more of them."""
        free = self._crew.idle or (self._crew.hire() if self._worth_hiring() else None)
        if free is not None or most <= 1:
            return free
        least = min(self._crew.hands, key=lambda hand: len(hand.work), default=None)
        return least if least is not None and len(least.work) < most // 2 and not self._paced(least) else None

    def _worth_hiring(self) -> bool:
        """Whether there is more to do than one more worker would cost: some forty milliseconds, and seven megabytes."""
        if not self._crew.hands or len(self._urgent) > _FEW:
            return True
        now = time.monotonic()
        return any(hand.work and now - hand.began > _HIRE_AFTER_SECONDS for hand in self._crew.hands)

    def _send(self, hand: Hand, pieces: list[Piece]) -> None:
        for piece in pieces:
            self._pieces[piece.number] = piece
            task = piece.task
            if task.changes is None:
                content: tuple[Any, ...] = ("measure", piece.number, self._root, task.pace)
                content += (task.tree, piece.starts, task.prune.pack())
            else:
                content = ("compare", piece.number, self._root, task.pace, task.changes.new, task.changes.old)
            hand.give(piece.number, content)

    def _hear(self, hand: Hand) -> None:
        messages = hand.hear()
        if messages is None:
            self._lost(hand, "died")
            return
        for message in messages:
            self._take(hand, message)

    def _take(self, hand: Hand, message: tuple[Any, ...]) -> None:
        kind, number = message[0], message[1]
        if kind == "given":
            self._given(hand, *message[1:])
            return
        hand.cpu = message[-1]
        if kind == "at":
            hand.at = message[2]
            return
        hand.done(number)
        piece = self._pieces.pop(number, None)
        if piece is None:
            return  # of a root that is forgotten
        task = piece.task
        if kind == "failed":
            task.fail(Reason(message[2]), message[3], message[4])
            self._part_done(task)
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
            task.fail(Reason.TOO_LARGE, task.tree, "more hard-linked files than are remembered")
        self._note(task, errors)
        self._part_done(task)

    @staticmethod
    def _note(task: Task, errors: tuple[Any, ...]) -> None:
        counts, kept = errors
        for reason, count in counts.items():
            task.troubled().add(Reason(reason), count)
        if kept:
            task.troubled().kept += [(Reason(reason), path, detail) for reason, path, detail in kept]

    def _part_done(self, task: Task) -> None:
        task.parts -= 1
        if task.parts == 0:
            total = task.total or Total()
            measured = None if task.failed or task.changes else total.result(task.identity)
            task.total = None
            self._finished.append(Result(task, measured, entries=total.entries))

    def _given(self, hand: Hand, whole: list[int], number: int, starts: list[Start]) -> None:
        """Take work back that a worker was asked for."""
        hand.given(anything=bool(whole or starts))
        for one in whole:
            hand.done(one)
            if (piece := self._pieces.pop(one, None)) is not None:
                self._put(piece)
        if starts and (piece := self._pieces.get(number)) is not None:
            piece.task.parts += 1
            self._put(Piece(self._next(), piece.task, starts))

    def _look_after(self) -> None:
        """Give up on workers that hang."""
        now = time.monotonic()
        for hand in [hand for hand in self._crew.hands if hand.work and now - hand.moved > self._stall]:
            self._lost(hand, "hung")
        self._crew.look_after()

    def _lost(self, hand: Hand, how: str) -> None:
        """Put back what a lost worker had, but for what it was at: that is tried once more, or fails."""
        work = [self._pieces.pop(number) for number in list(hand.work) if number in self._pieces]
        hand.work.clear()
        self._crew.let_go(hand)
        for piece in work[1:]:
            self._put(piece)
        if not work:
            return
        task = work[0].task
        _log.warning("worker.lost", how=how, tree="/".join(task.tree), worker=hand.pid)
        if how == "hung":
            task.fail(Reason.TIMEOUT, task.tree, "no progress")
            self._part_done(task)
            return
        task.crashes += 1
        if task.crashes < _CRASHES:
            self._put(work[0])
        else:
            task.fail(Reason.IO, task.tree, "the worker died twice")
            self._part_done(task)


def default_workers() -> int:
    """One for each core that this process may use."""
    return len(os.sched_getaffinity(0))
