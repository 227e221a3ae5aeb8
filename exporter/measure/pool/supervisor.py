"""The worker processes of a pool: started when there is work, ended when there is none, given up when they hang."""

import contextlib
import selectors
import time

from exporter.core.log import Logger
from exporter.core.measured import Tree
from exporter.measure.pool.worker_handle import WorkerHandle

#: So many workers that hang, and do not end although they are killed, are borne.
MAX_STUCK = 8
_IDLE_SECONDS = 5.0
_FAREWELL_SECONDS = 0.5
_KILL_SECONDS = 0.1

_log = Logger()


class WorkerSupervisor:
    """At most `size` workers, and one for what is done at a pace."""

    def __init__(self, size: int) -> None:
        self.size = max(1, size)
        self.hands: list[WorkerHandle] = []
        self._abandoned: list[WorkerHandle] = []
        self._selector = selectors.DefaultSelector()
        self._cpu = 0.0

    @property
    def cpu(self) -> float:
        """Seconds of CPU time that all workers have used, as far as they said."""
        return self._cpu + sum(hand.cpu for hand in self.hands)

    @property
    def stalled(self) -> float:
        """For how many seconds nothing that is done at once has moved, with something to do."""
        moved = [hand.moved for hand in self.hands if hand.work and not hand.paced]
        return time.monotonic() - max(moved) if moved else 0.0

    @property
    def stuck(self) -> list[Tree]:
        """The trees in which workers hang that were given up on and have not ended."""
        return [hand.stuck_in for hand in self._abandoned if hand.stuck_in is not None]

    @property
    def lost(self) -> bool:
        """Whether no worker is left and no other one is hired, for too many hang."""
        return not self.hands and len(self.stuck) >= MAX_STUCK

    @property
    def idle(self) -> WorkerHandle | None:
        """One that has nothing to do."""
        return next((hand for hand in self.hands if not hand.work), None)

    @property
    def spare(self) -> bool:
        """Whether one has nothing to do, or may yet be hired."""
        return self._room() or self.idle is not None

    def fileno(self) -> int:
        """Readable when `listen` has something to say."""
        return self._selector.fileno()

    def hire(self, *, paced: bool = False) -> WorkerHandle | None:
        """Start a worker; None where there are enough, or the system has no process to spare: then it is tried again.

        One more may be there for what is done at a pace.
        """
        if len(self.stuck) >= MAX_STUCK or not (paced or self._room()):
            return None
        try:
            hand = WorkerHandle()
        except OSError as error:
            _log.warning("worker.not_started", error=error.strerror)
            return None
        self.hands.append(hand)
        self._selector.register(hand.output, selectors.EVENT_READ, hand)
        return hand

    def listen(self, timeout: float) -> list[WorkerHandle]:
        """Wait for up to `timeout` seconds; return those that have said something, or have gone."""
        for hand in self.hands:
            self._watch_input(hand)
        ready = self._selector.select(timeout)
        for key, _ in ready:
            if key.fd != key.data.output:
                key.data.flush()
        return [key.data for key, _ in ready if key.fd == key.data.output]

    def _watch_input(self, hand: WorkerHandle) -> None:
        """Wake up when there is room for what is not sent yet."""
        watched = hand.input in self._selector.get_map()
        if hand.unsent and not watched:
            self._selector.register(hand.input, selectors.EVENT_WRITE, hand)
        elif watched and not hand.unsent:
            self._selector.unregister(hand.input)

    def let_go(self, hand: WorkerHandle, stuck_in: Tree | None = None) -> None:
        """End a worker. One that hangs in the kernel, in a tree, is only waited for as long as a kill may take."""
        self._forget(hand)
        self.hands.remove(hand)
        self._cpu += hand.cpu
        hand.kill()
        hand.stuck_in = stuck_in
        if not hand.ended(0.0 if stuck_in is None else _KILL_SECONDS):
            self._abandoned.append(hand)

    def look_after(self) -> None:
        """Let those go that have had nothing to do for a while, and note which of the abandoned have ended."""
        now = time.monotonic()
        for hand in [hand for hand in self.hands if not hand.work and now - hand.moved > _IDLE_SECONDS]:
            self.let_go(hand)
        self._abandoned = [hand for hand in self._abandoned if not hand.ended()]

    def close(self) -> None:
        """End all workers at once: they only read."""
        everyone = [*self.hands, *self._abandoned]
        for hand in everyone:
            self._forget(hand)
            hand.kill()
        until = time.monotonic() + _FAREWELL_SECONDS
        for hand in everyone:
            hand.ended(max(0.0, until - time.monotonic()))
        self.hands.clear()
        self._abandoned.clear()
        self._selector.close()

    def _room(self) -> bool:
        return sum(not hand.paced for hand in self.hands) < self.size

    def _forget(self, hand: WorkerHandle) -> None:
        for descriptor in (hand.output, hand.input):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(descriptor)
