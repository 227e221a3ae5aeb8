"""Accepts connections: shakes hands where TLS is on, and tells a client that speaks plain HTTP there so."""

import asyncio
import asyncio.sslproto
import contextlib
import errno
import functools
import socket
import ssl
from collections.abc import Callable, Sequence

from exporter.core.log import Logger
from exporter.web.connections.fair_queue import FairQueue, client_of
from exporter.web.connections.limits import ConnectionLimits, ConnectionSlot, Stage

_AT_ONCE = 64
_PAUSE_SECONDS = 0.5
_TLS_HANDSHAKE = b"\x16"
#: RFC 8446, 5.1: type, version and length, then at most so much.
_TLS_HEAD_BYTES = 5
_TLS_RECORD_BYTES = 1 << 14
_NO_TLS = (
    b"HTTP/1.0 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n"
    b"Client sent an HTTP request to an HTTPS server.\n"
)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_SHUTDOWN_SECONDS = 2.0
_NOTSENT_LOWAT = 25  # TCP_NOTSENT_LOWAT of linux/tcp.h, which Python has a name for since 3.12
#: What the kernel keeps of an answer beyond what is on its way: that counts as memory of the exporter too.
_UNSENT_BYTES = 128 * 1024

# A TLS connection's buffer, 256 KiB otherwise: a scraper sends a kilobyte, and whoever stalls its handshake holds it.
asyncio.sslproto.SSLProtocol.max_size = 32 * 1024

_log = Logger()
_Factory = Callable[[ConnectionSlot], asyncio.Protocol]


class Listener:
    """Takes connections from listening sockets until closed.

    `door` is asked for each connection how it is to be received: with a TLS context or None, and a protocol.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        limits: ConnectionLimits,
        turns: FairQueue,
        door: Callable[[], tuple[ssl.SSLContext | None, _Factory]],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = list(sockets)
        self._limits = limits
        self._turns = turns
        self._door = door
        self._tasks: set[asyncio.Task[bool]] = set()
        for one in self._sockets:
            one.setblocking(False)
            self._loop.add_reader(one, self._accept, one)

    def close(self) -> None:
        """Accept no more, and end those that have not come further than here."""
        for one in self._sockets:
            self._loop.remove_reader(one)
        self._sockets = []
        for task in self._tasks:
            task.cancel()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                _log.warning("accept.failed", error=error.strerror)
                self._loop.remove_reader(listener)
                self._loop.call_later(_PAUSE_SECONDS, self._resume, listener)
                return
            self._receive(connection, address)

    def _resume(self, listener: socket.socket) -> None:
        if listener in self._sockets:
            self._loop.add_reader(listener, self._accept, listener)

    def _receive(self, connection: socket.socket, address: object) -> None:
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an answer goes out in pieces
            connection.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, _UNSENT_BYTES)
        client = client_of(address[0]) if isinstance(address, tuple) else ""
        slot = self._limits.enter(connection.close, client)
        task = self._loop.create_task(self._greet(connection, slot))
        slot.cut = functools.partial(_cancel, task)
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._greeted, connection, slot))

    async def _greet(self, connection: socket.socket, slot: ConnectionSlot) -> bool:
        """Hand the connection over to its protocol; return whether that was done."""
        context, factory = self._door()
        try:
            if context is None:
                await self._loop.connect_accepted_socket(lambda: factory(slot), connection)
                return True
            if not await self._speaks_tls(connection):
                return False
            self._limits.move(slot, Stage.HANDSHAKE)
            await self._turns.take(slot.client, slot.use)  # a handshake costs more than most answers
            await self._loop.connect_accepted_socket(
                lambda: factory(slot), connection, ssl=context, ssl_shutdown_timeout=_SHUTDOWN_SECONDS
            )
        except OSError:  # a handshake that fails is one too
            self._limits.cut["tls"] += context is not None
            return False
        return True

    def _greeted(self, connection: socket.socket, slot: ConnectionSlot, task: asyncio.Task[bool]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or not task.result():
            self._limits.leave(slot)
            connection.close()

    async def _speaks_tls(self, connection: socket.socket) -> bool:
        """Wait for the whole first message, without taking it: a handshake that stalls here costs a socket only."""
        wanted = 1
        while True:
            first = await self._look(connection, wanted)
            if first[:1] not in {b"", _TLS_HANDSHAKE}:
                with contextlib.suppress(OSError):
                    connection.recv(64 * 1024)  # what is not read when a socket is closed makes the answer be lost
                    connection.send(_NO_TLS)
                    connection.shutdown(socket.SHUT_WR)
            if len(first) < wanted or first[:1] != _TLS_HANDSHAKE:
                return False
            if wanted > _TLS_HEAD_BYTES:
                return True
            length = int.from_bytes(first[3:_TLS_HEAD_BYTES], "big")
            wanted = _TLS_HEAD_BYTES if wanted == 1 else _TLS_HEAD_BYTES + min(length, _TLS_RECORD_BYTES)

    async def _look(self, connection: socket.socket, wanted: int) -> bytes:
        """Wait until so many bytes have come, and look at them; they are fewer when no more will come."""
        readable: asyncio.Future[None] = self._loop.create_future()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
        self._loop.add_reader(connection, _settle, readable)
        try:
            await readable
        finally:
            self._loop.remove_reader(connection)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        return connection.recv(wanted, socket.MSG_PEEK)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _cancel(task: asyncio.Task[bool]) -> None:
    task.cancel()
