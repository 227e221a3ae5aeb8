"""Accepts connections, does the TLS handshake where TLS is on, and runs a task for each connection."""

import asyncio
import contextlib
import errno
import functools
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from exporter.core.fault_log import FAULT_LOG
from exporter.core.log import Logger
from exporter.web.connections.fair_queue import FairQueue, client_of
from exporter.web.connections.limits import ConnectionLimits, ConnectionSlot, Stage
from exporter.web.connections.stream import Stream
from exporter.web.connections.trimmer import Trimmer

if TYPE_CHECKING:
    import ssl

#: How many connections are accepted before the event loop sees to others.
_AT_ONCE = 64
#: How long nothing is accepted after the process has run out of descriptors or memory.
_PAUSE_SECONDS = 0.5
#: How often that is logged.
_WARN_SECONDS = 60.0
#: How long a client whose handshake has failed may still send.
_ALERT_SECONDS = 1.0
_TLS_HANDSHAKE = b"\x16"
#: RFC 8446, 5.1: type, version and length, then at most so much.
_TLS_HEAD_BYTES = 5
_TLS_RECORD_BYTES = 1 << 14
_NO_TLS = (
    b"HTTP/1.0 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n"
    b"connection: close\r\n\r\n"
    b"Client sent an HTTP request to an HTTPS server.\n"
)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NOTSENT_LOWAT = 25  # TCP_NOTSENT_LOWAT of linux/tcp.h, which Python has a name for since 3.12
#: What the kernel keeps of a response beyond what is on its way: that counts as memory of the exporter too.
_UNSENT_BYTES = 128 * 1024

_log = Logger()


class Security(Struct, frozen=True):
    """What a new connection has to pass: TLS with `context`, if any, and a certificate that `admits` lets in."""

    context: "ssl.SSLContext | None"
    admits: Callable[[Mapping[str, Any] | None], bool]


class Listener:
    """Accepts connections until closed, and has `serve` serve each. `security` is asked at each connection."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        limits: ConnectionLimits,
        turns: FairQueue,
        security: Callable[[], Security],
        serve: Callable[[Stream, ConnectionSlot], Awaitable[None]],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = list(sockets)
        self._limits = limits
        self._turns = turns
        self._security = security
        self._serve = serve
        self._trimmer = Trimmer()
        self._warned_at: float | None = None
        #: One task for each connection, until it has ended.
        self.tasks: set[asyncio.Task[None]] = set()
        for one in self._sockets:
            one.setblocking(False)
            self._loop.add_reader(one, self._accept, one)

    def close(self) -> None:
        """Accept no more. Connections go on."""
        for one in self._sockets:
            self._loop.remove_reader(one)
        self._sockets = []

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._warn(error)
                self._loop.remove_reader(listener)
                self._loop.call_later(_PAUSE_SECONDS, self._resume, listener)
                return
            self._receive(connection, address)

    def _warn(self, error: OSError) -> None:
        now = self._loop.time()
        if self._warned_at is None or now - self._warned_at >= _WARN_SECONDS:
            self._warned_at = now
            _log.warning("accept.failed", error=error.strerror)

    def _resume(self, listener: socket.socket) -> None:
        if listener in self._sockets:
            self._loop.add_reader(listener, self._accept, listener)

    def _receive(self, connection: socket.socket, address: object) -> None:
        with contextlib.suppress(OSError):
            # a response goes out in pieces, and asyncio sets this only for sockets that it has made
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, _UNSENT_BYTES)
        ip = str(address[0]) if isinstance(address, tuple) else ""
        stream = Stream(connection)
        slot = self._limits.enter(stream.close, client_of(ip), ip)
        task = self._loop.create_task(self._run(stream, slot))
        slot.cut = functools.partial(_cancel, task)
        self.tasks.add(task)
        task.add_done_callback(functools.partial(self._ended, stream, slot))

    async def _run(self, stream: Stream, slot: ConnectionSlot) -> None:
        security = self._security()
        if security.context is not None and not await self._secure(stream, slot, security.context, security.admits):
            return
        with contextlib.suppress(OSError):  # a connection that breaks is no fault of this program
            await self._serve(stream, slot)

    def _ended(self, stream: Stream, slot: ConnectionSlot, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        self._limits.leave(slot)
        slot.forget()
        stream.close()
        self._trimmer.count()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            FAULT_LOG.note(error, "a connection")

    async def _secure(
        self,
        stream: Stream,
        slot: ConnectionSlot,
        context: "ssl.SSLContext",
        admits: Callable[[Mapping[str, Any] | None], bool],
    ) -> bool:
        """Do the TLS handshake; return whether it succeeded and the client's certificate is admitted."""
        try:
            if not await _speaks_tls(stream):
                return False
            self._limits.move(slot, Stage.HANDSHAKE)
            await self._turns.wait(slot.client, slot.use)  # a handshake costs more than most responses
            admitted = admits(await stream.start_tls(context))
        except OSError:  # a handshake that fails raises one too
            admitted = False
        if admitted:
            self._limits.move(slot, Stage.WAITING)
        else:
            self._limits.cut["tls"] += 1
            with contextlib.suppress(OSError):  # else the client, which may have sent its request, loses the alert
                await stream.finish(_ALERT_SECONDS)
        return admitted


async def _speaks_tls(stream: Stream) -> bool:
    """Wait for the whole first message, without taking it: a handshake that stalls before that costs only a socket.

    A client that speaks plain HTTP is told so.
    """
    first = await stream.peek(1)
    if first not in {b"", _TLS_HANDSHAKE}:
        with contextlib.suppress(OSError):
            stream.send(_NO_TLS)
            await stream.finish()
    if first != _TLS_HANDSHAKE:
        return False
    head = await stream.peek(_TLS_HEAD_BYTES)
    length = min(int.from_bytes(head[3:_TLS_HEAD_BYTES], "big"), _TLS_RECORD_BYTES)
    if len(head) < _TLS_HEAD_BYTES or not length:
        return False
    return len(await stream.peek(_TLS_HEAD_BYTES + length)) == _TLS_HEAD_BYTES + length


def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
