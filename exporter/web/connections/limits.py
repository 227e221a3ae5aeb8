"""Who is connected: a bounded number, each for a bounded time, and those that hold things up go first.

When all places are taken, the newcomer gets the place of the connection that has kept it longest without asking for
anything, of the client that has the most of those. So a scraper gets in however many connections an attacker keeps
open.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import IntEnum

from exporter.web.connections.fair_queue import Use

#: How many connections there may be, and how many of them in a TLS handshake.
MAX_CONNECTIONS = 512
MAX_HANDSHAKES = 128
#: How many bytes of answers may wait for slow readers, all together.
MAX_HELD_BYTES = 16 * 1024 * 1024
IDLE_SECONDS = 75.0


class Stage(IntEnum):
    """How far a connection is; the lower, the sooner it has to make room."""

    WAITING = 0
    HANDSHAKE = 1
    IDLE = 2
    DRAINING = 3
    SERVING = 4


#: How long a connection may stay in a stage, seconds.
_PATIENCE = {
    Stage.WAITING: 10.0,
    Stage.HANDSHAKE: 5.0,
    Stage.IDLE: IDLE_SECONDS + 5,
    Stage.DRAINING: 20.0,
    Stage.SERVING: 60.0,
}
REASONS = ("full", "slow", "timeout", "tls")


class ConnectionSlot:
    """One connection, of `client` (see `turns`). `cut` ends it at once; `held` says how many bytes wait to be sent."""

    def __init__(self, cut: Callable[[], None], client: str = "") -> None:
        self.cut = cut
        self.client = client
        self.use = Use()
        self.held: Callable[[], int] = int
        self.stage = Stage.WAITING
        self.timer: asyncio.TimerHandle | None = None

    def let_go(self) -> None:
        """Forget the connection, which has ended."""
        self.cut, self.held = _nothing, int


def _nothing() -> None:
    """Cut what has ended."""


class ConnectionLimits:
    """All connections, those that have been in their stage for longest first."""

    def __init__(self) -> None:
        self._visitors: dict[ConnectionSlot, float] = {}
        self.cut: dict[str, int] = dict.fromkeys(REASONS, 0)

    def __len__(self) -> int:
        return len(self._visitors)

    def enter(self, cut: Callable[[], None], client: str = "") -> ConnectionSlot:
        """Let one more in, for which another may have to go."""
        if len(self._visitors) >= MAX_CONNECTIONS:
            self._make_room()
        slot = ConnectionSlot(cut, client)
        self.move(slot, Stage.WAITING)
        return slot

    def move(self, slot: ConnectionSlot, stage: Stage, *, keep_time: bool = False) -> None:
        """Note that a connection has come to another stage; with `keep_time` it has no more time than it had."""
        self._visitors.pop(slot, None)
        self._visitors[slot] = time.monotonic()
        slot.stage = stage
        if slot.timer is None or not keep_time:
            if slot.timer is not None:
                slot.timer.cancel()
            loop = asyncio.get_running_loop()
            slot.timer = loop.call_later(_PATIENCE[stage], self._end, slot, "timeout")
        if stage is Stage.HANDSHAKE:
            shaking = [one for one in self._visitors if one.stage is Stage.HANDSHAKE]
            if len(shaking) > MAX_HANDSHAKES:
                self._end(_first_of_most(shaking), "full")
        elif stage is Stage.DRAINING:
            self._limit_held()

    def leave(self, slot: ConnectionSlot) -> None:
        """Forget a connection that has ended."""
        self._visitors.pop(slot, None)
        if slot.timer is not None:
            slot.timer.cancel()
            slot.timer = None

    def _limit_held(self) -> None:
        draining = [(one, one.held()) for one in self._visitors if one.stage is Stage.DRAINING]
        held = sum(size for _, size in draining)
        for slot, size in draining[:-1]:  # not the newcomer: a page may be large
            if held <= MAX_HELD_BYTES:
                return
            self._end(slot, "slow")
            held -= size

    def _make_room(self) -> None:
        for stage in Stage:
            visitors = [one for one in self._visitors if one.stage is stage]
            if visitors:
                self._end(_first_of_most(visitors), "full")
                return

    def _end(self, slot: ConnectionSlot, reason: str) -> None:
        self.cut[reason] += 1
        self.leave(slot)
        slot.cut()


def _first_of_most(visitors: Sequence[ConnectionSlot]) -> ConnectionSlot:
    """The oldest of the client that has the most of these."""
    clients = Counter(one.client for one in visitors)
    most = max(clients.values())
    return next(one for one in visitors if clients[one.client] == most)
