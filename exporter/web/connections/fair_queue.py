"""Whose turn it is: of those who wait, the one that has asked least of late, a few in each turn of the loop.

Of those that have asked as little, the last to come goes first: however many have come at once, an answer does not
wait for all of them.

Whoever asks for much, over few connections or many, waits behind whoever asks for little. And as the event loop does
a bounded piece of work before it looks at the sockets again, nobody waits for all that others have asked for.
"""

import asyncio
import heapq
import ipaddress
import itertools
import time
from collections.abc import Callable

#: How many are let through in one turn of the event loop.
AT_ONCE = 2
#: How much of what was asked is forgotten in a second: a scraper that asks once a second has asked for nothing.
_FORGOTTEN_PER_SECOND = 1.0
_CLIENTS_KEPT = 1024
_IPV6_NETWORK = 64


class Use:
    """How much somebody has asked for of late."""

    __slots__ = ("_amount", "_at")

    def __init__(self) -> None:
        self._amount = 0.0
        self._at = 0.0

    def at(self, now: float) -> float:
        """What is left of it now."""
        return max(0.0, self._amount - (now - self._at) * _FORGOTTEN_PER_SECOND)

    def add(self, now: float) -> None:
        """Count one more."""
        self._amount = self.at(now) + 1
        self._at = now


class FairQueue:
    """Lets one after the other through: clients by what they have asked for, then their connections likewise."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._numbers = itertools.count(0, -1)  # a heap gives the smallest first
        self._waiting: dict[str, list[tuple[float, int, asyncio.Future[None], Use]]] = {}
        self._clients: dict[str, Use] = {}
        self._scheduled = False

    async def take(self, client: str, connection: Use) -> None:
        """Wait for a turn; `client` is what `client_of` gives."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        place = (connection.at(self._clock()), next(self._numbers), turn, connection)
        heapq.heappush(self._waiting.setdefault(client, []), place)
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._let_through)
        await turn

    def _let_through(self) -> None:
        now = self._clock()
        left = AT_ONCE
        while left and self._waiting:
            left -= self._call(now)
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._let_through)

    def _call(self, now: float) -> bool:
        """Take the next from its queue; return whether somebody is still there."""
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

    def _use(self, client: str) -> Use:
        use = self._clients.get(client)
        if use is None:
            if len(self._clients) >= _CLIENTS_KEPT:
                now = self._clock()
                kept = {one: use for one, use in self._clients.items() if one in self._waiting or use.at(now)}
                self._clients = kept if len(kept) < _CLIENTS_KEPT else {}
            use = self._clients[client] = Use()
        return use


def client_of(address: str) -> str:
    """Whom an IP address stands for: itself, or its network with IPv6, of which one host has as many as it likes."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ipaddress.IPv6Network((parsed, _IPV6_NETWORK), strict=False))
    return str(parsed)
