"""Shares the event loop among clients: in each turn of the loop a few are served, those first that asked least of late.

Of clients that have asked as little, the last to come goes first: however many come at once, a response does not wait
for all of them. The loop does a bounded amount of work before it looks at the sockets again, so nobody waits for all
that others have asked for.
"""

import asyncio
import heapq
import itertools
import socket
import time
from collections.abc import Callable

#: How many get a turn in one turn of the event loop.
AT_ONCE = 2
#: How many turns are forgotten in a second: a client that asks once a second counts as one that never asked.
_FORGOTTEN_PER_SECOND = 1.0
_CLIENTS_KEPT = 1024
#: The bytes of an address that are the same for all of a /64, and what an address of IPv4 in one of IPv6 begins with.
_NETWORK_BYTES = 8
_MAPPED = bytes(10) + b"\xff\xff"


class TurnCount:
    """How many turns a client, or a connection, has had of late."""

    __slots__ = ("_amount", "_at")

    def __init__(self) -> None:
        self._amount = 0.0
        self._at = 0.0

    def at(self, now: float) -> float:
        """How many count now; each counts less with time."""
        return max(0.0, self._amount - (now - self._at) * _FORGOTTEN_PER_SECOND)

    def add(self, now: float) -> None:
        """Count one more turn."""
        self._amount = self.at(now) + 1
        self._at = now


class FairQueue:
    """Gives turns: to the client that has had fewest, and of its connections to the one that has had fewest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._numbers = itertools.count(0, -1)  # a heap gives the smallest first
        self._waiting: dict[str, list[tuple[float, int, asyncio.Future[None], TurnCount]]] = {}
        self._clients: dict[str, TurnCount] = {}
        self._scheduled = False

    async def wait(self, client: str, connection: TurnCount) -> None:
        """Wait for a turn. `client`: the value of `client_of`."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        place = (connection.at(self._clock()), next(self._numbers), turn, connection)
        heapq.heappush(self._waiting.setdefault(client, []), place)
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._give_turns)
        await turn

    def _give_turns(self) -> None:
        now = self._clock()
        left = AT_ONCE
        while left and self._waiting:
            left -= self._give_turn(now)
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._give_turns)

    def _give_turn(self, now: float) -> bool:
        """Give the next one its turn; return False where its connection has ended meanwhile."""
        client = min(self._waiting, key=lambda one: self._use(one).at(now))
        queue = self._waiting[client]
        _, _, turn, connection = heapq.heappop(queue)
        if not queue:
            del self._waiting[client]
        if turn.done():
            return False
        self._use(client).add(now)
        connection.add(now)
        turn.set_result(None)
        return True

    def _use(self, client: str) -> TurnCount:
        use = self._clients.get(client)
        if use is None:
            if len(self._clients) >= _CLIENTS_KEPT:
                now = self._clock()
                kept = {one: use for one, use in self._clients.items() if one in self._waiting or use.at(now)}
                self._clients = kept if len(kept) < _CLIENTS_KEPT else {}
            use = self._clients[client] = TurnCount()
        return use


def client_of(address: str) -> str:
    """The client that an IP address stands for: itself, or with IPv6 its /64, which one host may have whole."""
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        return address
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed.removeprefix(_MAPPED))
    network = packed[:_NETWORK_BYTES] + bytes(len(packed) - _NETWORK_BYTES)
    return f"{socket.inet_ntop(socket.AF_INET6, network)}/{8 * _NETWORK_BYTES}"
