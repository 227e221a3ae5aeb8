"""The web server: listens, applies the web configuration, and stops in less than a second. It handles no signals."""

import asyncio
import socket
from collections.abc import Sequence

from exporter.expose.metrics.live import WebStatus
from exporter.web.access.guard import Guard
from exporter.web.access.hosts import AllowedHosts
from exporter.web.access.reload import WebConfiguration
from exporter.web.connections.connection import Connection, Shared
from exporter.web.connections.fair_queue import FairQueue
from exporter.web.connections.limits import ConnectionLimits, ConnectionSlot
from exporter.web.connections.listener import Listener, Security
from exporter.web.connections.stream import Stream
from exporter.web.protocol.message import Handler, Request, Response

#: How long responses may go on after `stop`. Connections that are still busy then are cut.
_GRACE_SECONDS = 0.5


class Server:
    """Serves the responses of `handler` to clients that `config_file` admits. Raises SettingsError.

    The file is read again whenever it has changed. Without one everybody is admitted, over plain HTTP. `allowed_hosts`:
    values of --web.allowed-hosts.
    """

    def __init__(self, handler: Handler, config_file: str = "", allowed_hosts: Sequence[str] = ()) -> None:
        self.guard = Guard(handler, AllowedHosts.parse(allowed_hosts))
        self.configuration = WebConfiguration(config_file, self.guard)
        self.limits = ConnectionLimits()
        self.connections: set[Connection] = set()
        self._turns = FairQueue()
        self._shared = Shared(self._answer, self.limits, self._turns)
        self._stop = asyncio.Event()

    @property
    def protection(self) -> dict[str, bool]:
        """What the configuration asks of clients, for the log."""
        return {"tls": self.configuration.context is not None, "basic_auth": self.guard.authenticator.needed}

    def status(self) -> WebStatus:
        """The server's own figures, for its metrics."""
        reloads = self.configuration.reloads
        return WebStatus(
            reloads_succeeded=reloads.success,
            reloads_failed=reloads.failure,
            stale=reloads.failed,
            connections=len(self.limits),
            cut=self.limits.cut,
            refused=self.guard.refused,
        )

    def stop(self) -> None:
        """Have `serve` end; call it in the event loop."""
        self._stop.set()

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        """Serve on listening sockets until `stop`, finish the responses under way, and close the sockets."""
        listener = Listener(sockets, self.limits, self._turns, self._security, self._serve)
        try:
            await self._stop.wait()
        finally:
            listener.close()
            self._shared.stopping = True
            self.limits.end_unused()
            self.guard.authenticator.close()
            await _end(listener.tasks)
            for one in sockets:
                one.close()

    async def _serve(self, stream: Stream, slot: ConnectionSlot) -> None:
        connection = Connection(stream, slot, self._shared)
        self.connections.add(connection)
        try:
            await connection.serve()
        finally:
            self.connections.discard(connection)

    def _security(self) -> Security:
        self.configuration.follow()
        return Security(self.configuration.context, self.configuration.admits)

    async def _answer(self, request: Request) -> Response:
        self.configuration.follow()
        return await self.guard(request)


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """Wait for the tasks for a moment, then cancel those that are left."""
    if tasks:
        await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
    for one in tasks:
        one.cancel()
    if tasks:
        await asyncio.wait(tasks)
