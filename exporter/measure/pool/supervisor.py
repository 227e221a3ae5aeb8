"""Starts the worker processes of a pool, ends those that are idle, and gives up on those that hang."""

import contextlib
import math
import selectors
import time

from exporter.core.log import Logger
from exporter.core.measured import Tree
from exporter.measure.pool.start_failure import StartFailure
from exporter.measure.pool.waits import Crew
from exporter.measure.pool.worker_handle import WorkerHandle

#: No more workers are started while so many hang in the kernel and do not end although they were killed.
MAX_STUCK = 8
_IDLE_SECONDS = 5.0
_END_SECONDS = 5.0
_KILL_SECONDS = 0.1
#: A worker that has a core reports more often.
_SILENT_SECONDS = 1.0
_log = Logger()


class WorkerSupervisor:
    """At most as many workers as the crew wants for work that is done at once, and one for work at a pace."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.workers: list[WorkerHandle] = []
        self._abandoned: list[WorkerHandle] = []
        self._selector = selectors.DefaultSelector()
        self._cpu = 0.0
        self.start_failure = StartFailure()

    @property
    def cpu(self) -> float:
        """Seconds of CPU time that all workers have reported."""
        return self._cpu + sum(worker.cpu for worker in self.workers)

    @property
    def stalled(self) -> float:
        """Seconds since a worker with urgent work last gave a sign of life; 0 where none has any or has no core."""
        urgent = [worker for worker in self.workers if worker.work and not worker.paced]
        seconds = time.monotonic() - max((worker.moved for worker in urgent), default=math.inf)
        if seconds < _SILENT_SECONDS or any(worker.is_starved(seconds) for worker in urgent):
            return 0.0
        return seconds

    @property
    def stuck(self) -> list[Tree]:
        """The trees in which workers hang that were killed and have not ended."""
        return [worker.stuck_in for worker in self._abandoned if worker.stuck_in is not None]

    @property
    def has_workers(self) -> bool:
        """Whether there are workers, or some that were killed and may not have ended yet."""
        return bool(self.workers or self._abandoned)

    @property
    def lost(self) -> bool:
        """Whether no worker is left and none is started, because too many hang."""
        return not self.workers and len(self.stuck) >= MAX_STUCK

    @property
    def idle(self) -> WorkerHandle | None:
        """A worker that has nothing to do."""
        return next((worker for worker in self.workers if not worker.work), None)

    @property
    def spare(self) -> bool:
        """Whether a worker has nothing to do, or another one may be started."""
        return self._has_room() or self.idle is not None

    def fileno(self) -> int:
        """A descriptor that is readable when `listen` returns at once."""
        return self._selector.fileno()

    def start_worker(self, *, paced: bool = False) -> WorkerHandle | None:
        """Start a worker; None where there are enough, or the system starts no process.

        With `paced`, one more may be started.
        """
        if len(self.stuck) >= MAX_STUCK or not (paced or self._has_room()):
            return None
        try:
            worker = WorkerHandle()
        except (OSError, RuntimeError, MemoryError) as error:
            self.start_failure.note(error)
            return None
        self.start_failure.clear()
        self.workers.append(worker)
        self._selector.register(worker.output, selectors.EVENT_READ, worker)
        return worker

    def listen(self, timeout: float) -> list[WorkerHandle]:
        """Wait for up to `timeout` seconds; return the workers that have written something, or have ended."""
        for worker in self.workers:
            self._watch_input(worker)
        ready = self._selector.select(timeout)
        for key, _ in ready:
            if key.fd != key.data.output:
                key.data.flush()
        return [key.data for key, _ in ready if key.fd == key.data.output]

    def _watch_input(self, worker: WorkerHandle) -> None:
        """Have the selector report when there is room for what is not sent yet."""
        watched = worker.input in self._selector.get_map()
        if worker.unsent and not watched:
            self._selector.register(worker.input, selectors.EVENT_WRITE, worker)
        elif watched and not worker.unsent:
            self._selector.unregister(worker.input)

    def end_worker(self, worker: WorkerHandle, stuck_in: Tree | None = None) -> None:
        """Kill a worker. One that hangs in a tree, in the kernel, is waited for only as long as a kill takes."""
        self._forget(worker)
        self.workers.remove(worker)
        self._cpu += worker.cpu
        worker.kill()
        worker.stuck_in = stuck_in
        if not worker.ended(0.0 if stuck_in is None else _KILL_SECONDS):
            self._abandoned.append(worker)

    def end_all(self) -> None:
        """Kill all workers, and wait for none of them: `close` does."""
        for worker in [*self.workers]:
            self.end_worker(worker)

    def hung(self, seconds: float) -> list[WorkerHandle]:
        """The workers that have shown no progress for `seconds`. Those that got no core meanwhile have as many again.

        A busy host may give them none for minutes. To give up on one would be of no use: the next one gets none either.
        """
        now = time.monotonic()
        late = [worker for worker in self.workers if worker.work and now - worker.moved > seconds]
        starved = [worker for worker in late if worker.is_starved(seconds)]
        for worker in starved:
            worker.moved = now
            if not worker.starved:  # said once of each: it may be so for hours
                worker.starved = True
                _log.info("worker.starved", worker=worker.pid, seconds=seconds)
        return [worker for worker in late if worker not in starved]

    def reap(self) -> None:
        """End the workers that have had nothing to do for a while, and forget the abandoned ones that have ended."""
        now = time.monotonic()
        for worker in [worker for worker in self.workers if not worker.work and now - worker.moved > _IDLE_SECONDS]:
            self.end_worker(worker)
        self._abandoned = [worker for worker in self._abandoned if not worker.ended()]

    def close(self) -> None:
        """End all workers at once: they only read."""
        everyone = [*self.workers, *self._abandoned]
        for worker in everyone:
            self._forget(worker)
            worker.kill()
            worker.close_pipes()
        start = time.monotonic()
        for worker in everyone:
            # One that does not hang needs only a moment of a core to end, and is the last to get one.
            for seconds in (_KILL_SECONDS, _END_SECONDS):
                if worker.ended(max(0.0, start + seconds - time.monotonic())) or worker.hangs:
                    break
        self.workers.clear()
        self._abandoned.clear()
        self._selector.close()

    def _has_room(self) -> bool:
        return sum(not worker.paced for worker in self.workers) < self.crew.wanted

    def _forget(self, worker: WorkerHandle) -> None:
        for descriptor in (worker.output, worker.input):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(descriptor)
