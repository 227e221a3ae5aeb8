"""Returns the memory of connections to the kernel after they have ended.

The C library keeps what is freed between blocks that are in use. Without this, a process that has once had 500 clients
which did not read their responses stays as large as it was then.
"""

import asyncio

from exporter.core.memory import trim

#: After so many connections have ended, and so long after that, so that a wave of them is one.
_CONNECTIONS = 32
_PAUSE_SECONDS = 1.0


class Trimmer:
    """Counts the connections that have ended, and has their memory returned."""

    def __init__(self) -> None:
        self._ended = 0
        self._timer: asyncio.TimerHandle | None = None

    def count(self) -> None:
        """Note that a connection has ended. Call it in the event loop."""
        self._ended += 1
        if self._ended >= _CONNECTIONS and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._trim)

    def _trim(self) -> None:
        self._timer = None
        self._ended = 0
        trim()
