"""Decides which worker does which piece of work, when another worker is started, and who shares its work."""

import time
from collections.abc import Callable

from exporter.measure.pool.protocol import SHARE_AFTER_SECONDS
from exporter.measure.pool.queue import WorkQueue
from exporter.measure.pool.supervisor import WorkerSupervisor
from exporter.measure.pool.task import WorkItem
from exporter.measure.pool.worker_handle import WorkerHandle

#: So many small trees one worker does alone.
_FEW = 16
#: ... unless a worker has been busy for so long, with items that are large; it may also just be starting.
_START_AFTER_SECONDS = 0.25


class Dispatcher:
    """Gives the work of a queue to the workers by calling `send`."""

    def __init__(
        self,
        supervisor: WorkerSupervisor,
        waiting: WorkQueue,
        send: Callable[[WorkerHandle, list[WorkItem]], None],
    ) -> None:
        self._supervisor = supervisor
        self._waiting = waiting
        self._send = send

    def dispatch(self) -> None:
        """Give work to the workers with little or none. If no work is waiting, ask busy workers to share theirs."""
        size, urgent, paced = self._supervisor.crew.wanted, self._waiting.urgent, self._waiting.paced
        while urgent and (worker := self._free(alone=len(urgent) <= size)) is not None:
            self._send(worker, self._waiting.pop_urgent(max(1, min(worker.ahead, len(urgent) // (2 * size)))))
        if paced and not any(worker.paced for worker in self._supervisor.workers):
            slow = self._supervisor.idle or self._supervisor.start_worker(paced=True)
            if slow is not None:
                slow.paced = True
                self._send(slow, [paced.popleft()])

    def balance(self) -> None:
        """Where a worker is idle and no work waits, ask the worker with the most urgent work to share it."""
        if self._waiting.urgent:
            return
        now = time.monotonic()
        busy = [one for one in self._supervisor.workers if one.work and not one.asked and now >= one.ask_after]
        busy = [one for one in busy if not one.paced]
        if not busy or not self._supervisor.spare:
            return
        most = max(busy, key=lambda one: len(one.work))
        if len(most.work) > 1 or now - most.began > SHARE_AFTER_SECONDS:
            most.ask_to_share()

    def _free(self, *, alone: bool) -> WorkerHandle | None:
        """An idle worker, a new one where that is worth it, or one with little to do unless it must be `alone`."""
        free = self._supervisor.idle or (self._supervisor.start_worker() if self._worth_a_start() else None)
        if free is not None or alone:
            return free
        workers = (one for one in self._supervisor.workers if not one.paced)
        least = min(workers, key=lambda one: len(one.work), default=None)
        return least if least is not None and len(least.work) < least.ahead // 2 else None

    def _worth_a_start(self) -> bool:
        """Whether there is more to do than another worker costs: some forty milliseconds and seven megabytes."""
        workers = [one for one in self._supervisor.workers if not one.paced]
        if not workers or len(self._waiting.urgent) > _FEW:
            return True
        now = time.monotonic()
        return any(one.work and now - one.began > _START_AFTER_SECONDS for one in workers)
