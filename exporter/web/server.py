"""uvicorn, on sockets of our own, stopped by an event instead of by ticking ten times a second."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.expose.metrics.live import WebStatus
from exporter.web.access.guard import Guard
from exporter.web.access.reload import WebConfiguration
from exporter.web.connections.connection import Connection
from exporter.web.connections.fair_queue import FairQueue
from exporter.web.connections.limits import IDLE_SECONDS, ConnectionLimits, ConnectionSlot
from exporter.web.connections.listener import Listener

#: After this the connections that are still busy are cut: stopping takes less than a second.
_GRACE_SECONDS = 0.5
_BACKLOG = 512


class AddressError(Exception):
    """An address to listen on is malformed or cannot be had."""


def listen(addresses: Sequence[str]) -> list[socket.socket]:
    """Open a listening socket for every HOST:PORT; an empty host is every address of the machine.

    Raises AddressError.
    """
    sockets: list[socket.socket] = []
    try:
        sockets.extend(_listen(address) for address in addresses)
    except BaseException:
        for one in sockets:
            one.close()
        raise
    return sockets


def _listen(address: str) -> socket.socket:
    host, separator, port = address.rpartition(":")
    if not separator or not port.isascii() or not port.isdecimal() or int(port) > 0xFFFF:
        raise AddressError(f"not HOST:PORT: {address!r}")
    try:
        if not host:
            return _every_address(int(port))
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, target = found[0]
        return socket.create_server(target, family=family, backlog=_BACKLOG)
    except OSError as error:
        raise AddressError(f"cannot listen on {address}: {error.strerror or error}") from None


def _every_address(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # IPv6 may be compiled in and switched off
            return socket.create_server(("::", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=_BACKLOG)


class Server(uvicorn.Server):
    """A uvicorn server that blocks until told to stop. Signals are the service's own business.

    The file `config_file` says whom it lets in, and changes that while it serves. Raises SettingsError.
    """

    def __init__(self, app: ASGIApp, config_file: str = "") -> None:
        self.guard = Guard(app)
        self.configuration = WebConfiguration(config_file, self.guard)
        self.limits = ConnectionLimits()
        self._turns = FairQueue()
        self._listener: Listener | None = None
        super().__init__(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
                timeout_keep_alive=int(IDLE_SECONDS),
            )
        )
        # It warns of every malformed request: whoever sends many would fill the log.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._stop = asyncio.Event()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.configuration.follow()
        await self.guard(scope, receive, send)

    @property
    def protection(self) -> dict[str, bool]:
        """What the configuration asks of clients, for the log."""
        return {"tls": self.configuration.context is not None, "basic_auth": self.guard.authenticator.needed}

    def status(self) -> WebStatus:
        """How the server fares."""
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
        """Stop serving; call it in the event loop."""
        self.should_exit = True
        self._stop.set()
        asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._force)

    def _force(self) -> None:
        self.force_exit = True
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        self.servers: list[asyncio.Server] = []
        self._listener = Listener(sockets or (), self.limits, self._turns, self._door)
        self.started = True

    def _door(self) -> tuple[ssl.SSLContext | None, Callable[[ConnectionSlot], asyncio.Protocol]]:
        self.configuration.follow()
        admits = self.configuration.admits

        def protocol(slot: ConnectionSlot) -> asyncio.Protocol:
            return Connection(self.config, self.server_state, self.limits, self._turns, slot, admits)

        return self.configuration.context, protocol

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and let those finish that are being answered."""
        if self._listener is not None:
            self._listener.close()
        self.guard.authenticator.close()
        await super().shutdown(sockets)

    async def main_loop(self) -> None:
        """Serve until `stop`."""
        await self.on_tick(0)
        await self._stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield
