"""Limits the number of connections, their duration, and the bytes that wait to be sent on them.

When all places are taken, a new connection gets the place of another: the one that has waited longest without a
request, of the client that has the most of those. When what is to be sent takes too much memory, a connection ends of
a client that holds much of it: the one that has taken least. So a scraper is served however many connections an
attacker opens.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import IntEnum

from exporter.web.connections.fair_queue import TurnCount

#: How many connections there may be, and how many of them in a TLS handshake.
MAX_CONNECTIONS = 512
MAX_HANDSHAKES = 128
#: How many bytes of responses may wait for clients to read them, on all connections together.
MAX_HELD_BYTES = 16 * 1024 * 1024
IDLE_SECONDS = 75.0
#: A client holds much where another one holds at most so many times as much.
_MUCH = 4


class Stage(IntEnum):
    """How far a connection is. Those in a lower stage make room first."""

    WAITING = 0  # for the head of the first request, or the rest of any head
    HANDSHAKE = 1
    IDLE = 2  # between two requests
    DRAINING = 3  # sends, and the client does not read
    SERVING = 4


#: How long a connection may stay in a stage, seconds.
_SECONDS = {
    Stage.WAITING: 10.0,
    Stage.HANDSHAKE: 5.0,
    Stage.IDLE: IDLE_SECONDS,
    Stage.DRAINING: 20.0,
    Stage.SERVING: 60.0,
}
REASONS = ("full", "slow", "timeout", "tls")


class ConnectionSlot:
    """The entry of one connection. `cut` ends it at once.

    `client` is whom it belongs to (see `client_of`), `address` its IP address. `held`: how many bytes its response
    holds; `taken`: how many of that response the kernel has taken for the client.
    """

    def __init__(self, cut: Callable[[], None], client: str = "", address: str = "") -> None:
        self.cut = cut
        self.client = client
        self.address = address
        self.use = TurnCount()
        self.held = 0
        self.taken = 0
        self.stage = Stage.WAITING
        self.timer: asyncio.TimerHandle | None = None

    def forget(self) -> None:
        """Drop the reference to the ended connection, so that its memory is freed."""
        self.cut = _nothing


def _nothing() -> None:
    """Cut a connection that has ended."""


class ConnectionLimits:
    """All connections, in the order in which they have come to their stage. `cut` counts the ended ones by reason."""

    def __init__(self) -> None:
        self.slots: dict[ConnectionSlot, float] = {}
        self.cut: dict[str, int] = dict.fromkeys(REASONS, 0)

    def __len__(self) -> int:
        return len(self.slots)

    def enter(self, cut: Callable[[], None], client: str = "", address: str = "") -> ConnectionSlot:
        """Give a place to a new connection, for which another may have to end."""
        if len(self.slots) >= MAX_CONNECTIONS:
            self._make_room()
        slot = ConnectionSlot(cut, client, address)
        self.move(slot, Stage.WAITING)
        return slot

    def move(self, slot: ConnectionSlot, stage: Stage, *, keep_time: bool = False) -> None:
        """Note that a connection has come to a stage. With `keep_time` the time for the stage before goes on."""
        self.slots.pop(slot, None)
        self.slots[slot] = time.monotonic()
        slot.stage = stage
        if slot.timer is None or not keep_time:
            if slot.timer is not None:
                slot.timer.cancel()
            slot.timer = asyncio.get_running_loop().call_later(_SECONDS[stage], self._expire, slot)
        if stage is Stage.HANDSHAKE:
            shaking = [one for one in self.slots if one.stage is Stage.HANDSHAKE]
            if len(shaking) > MAX_HANDSHAKES:
                self._end(_first_of_most(shaking), "full")
        elif stage is Stage.DRAINING:
            self._limit_held()

    def leave(self, slot: ConnectionSlot) -> None:
        """Free the place of a connection that has ended."""
        self.slots.pop(slot, None)
        if slot.timer is not None:
            slot.timer.cancel()
            slot.timer = None

    def end_unused(self) -> None:
        """End all connections on which no request is being served. They do not count as cut."""
        for slot in [one for one in self.slots if one.stage < Stage.DRAINING]:
            self.leave(slot)
            slot.cut()

    def _expire(self, slot: ConnectionSlot) -> None:
        if slot.stage is Stage.IDLE:  # the usual end of a connection that was kept alive
            self.leave(slot)
            slot.cut()
        else:
            self._end(slot, "timeout")

    def _limit_held(self) -> None:
        """End connections that do not read, until the rest holds no more than it may.

        First ends the one that has taken least, of the clients that hold much. Who reads may come to a stop for a
        moment, and has taken more by then than who never does. What a connection holds depends on the coding of its
        response, too: so those hold much that hold a quarter of what the one does that holds most.
        """
        held = sum(one.held for one in self.slots)
        draining = [one for one in self.slots if one.stage is Stage.DRAINING][:-1]  # the newest had no time to read
        while held > MAX_HELD_BYTES and draining:
            clients = Counter[str]()
            for one in draining:
                clients[one.client] += one.held
            much = max(clients.values()) // _MUCH
            slot = min((one for one in draining if clients[one.client] >= much), key=lambda one: one.taken)
            draining.remove(slot)
            held -= slot.held
            self._end(slot, "slow")

    def _make_room(self) -> None:
        for stage in Stage:
            slots = [one for one in self.slots if one.stage is stage]
            if slots:
                self._end(_first_of_most(slots), "full")
                return

    def _end(self, slot: ConnectionSlot, reason: str) -> None:
        self.cut[reason] += 1
        self.leave(slot)
        slot.cut()


def _first_of_most(slots: Sequence[ConnectionSlot]) -> ConnectionSlot:
    """The oldest of the client that has the most of these."""
    clients = Counter(one.client for one in slots)
    most = max(clients.values())
    return next(one for one in slots if clients[one.client] == most)
