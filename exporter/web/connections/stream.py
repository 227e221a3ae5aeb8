"""A connected socket, plain or with TLS, that is read and written without blocking the event loop.

asyncio's own transport for TLS takes a buffer of 256 KiB for each connection, keeps 64 KiB more of what is to be sent,
and offers no setting for either. Here a connection holds what OpenSSL needs and nothing else.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl  # OpenSSL takes 1.4 MB: it is loaded with the web configuration that asks for it

#: How much is read at a time: as much as the head of a request may have.
_READ_BYTES = 16 * 1024
#: One TLS record with its head and tag: what OpenSSL holds when the socket takes no more.
_RECORD_BYTES = 17 * 1024
#: For how long, and how much, is read after the last response at the most. See `finish`.
_DISCARD_SECONDS = 2.0
_DISCARD_BYTES = 1 << 20
_NOT_NOW = (BlockingIOError, InterruptedError)


class Stream:
    """A connection. Its methods raise OSError (ssl.SSLError is one) if the connection is broken."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        #: The socket with TLS, and what it raises where it can do no more now.
        self._tls: ssl.SSLSocket | None = None
        self._cannot_read: tuple[type[OSError], ...] = _NOT_NOW
        self._cannot_write: tuple[type[OSError], ...] = _NOT_NOW

    @property
    def socket(self) -> socket.socket:
        """The socket, for its options."""
        return self._socket

    @property
    def record_bytes(self) -> int:
        """What is held below this stream when it can send no more, bytes: a TLS record, or nothing."""
        return 0 if self._tls is None else _RECORD_BYTES

    async def peek(self, wanted: int) -> bytes:
        """Wait for `wanted` bytes and return them without removing them. Fewer at the end of the stream."""
        with contextlib.suppress(*_NOT_NOW):
            come = self._socket.recv(wanted, socket.MSG_PEEK)
            if len(come) == wanted:
                return come
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
        try:
            await self.readable()
        finally:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        return self._socket.recv(wanted, socket.MSG_PEEK)

    async def start_tls(self, context: "ssl.SSLContext") -> Mapping[str, Any] | None:
        """Do the server's side of a TLS handshake; return the client's certificate as `getpeercert` does."""
        from ssl import SSLWantReadError, SSLWantWriteError  # noqa: PLC0415 - see above

        wrapped = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._socket = self._tls = wrapped
        self._cannot_write = (*_NOT_NOW, SSLWantWriteError)
        self._cannot_read = (*self._cannot_write, SSLWantReadError)
        while True:
            self.join_packets(join=True)
            try:
                wrapped.do_handshake()
            except SSLWantReadError:
                wait = self.readable
            except SSLWantWriteError:
                wait = self.writable
            else:
                return wrapped.getpeercert()
            finally:
                self.join_packets(join=False)  # with TLS 1.2 the client waits for these; an alert goes out as well
            await wait()

    def receive(self) -> bytes | None:
        """Return the bytes that have come, at most 16 KiB; None where there are none yet.

        No bytes at all are the end of what the peer sends.
        """
        try:
            return self._socket.recv(_READ_BYTES)
        except self._cannot_read:
            return None

    def send(self, data: bytes | memoryview) -> int:
        """Send what there is room for now; return how many bytes that were. After 0, wait until it is `writable`.

        With TLS, the next call has to begin with the same bytes.
        """
        try:
            return self._socket.send(data)
        except self._cannot_write:
            return 0

    def join_packets(self, *, join: bool) -> None:
        """Have the kernel keep what does not fill a packet, for 0.2 s at the most, or send what it has kept.

        OpenSSL writes each record by itself. Each would wake the client, which then competes for the processor.
        """
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, join)

    async def readable(self) -> None:
        """Wait until there may be bytes to receive."""
        if self._tls is None or not self._tls.pending():
            await self._ready(self._loop.add_reader, self._loop.remove_reader)

    async def writable(self) -> None:
        """Wait until more can be sent."""
        await self._ready(self._loop.add_writer, self._loop.remove_writer)

    async def finish(self, seconds: float = _DISCARD_SECONDS) -> None:
        """Say that nothing more will be sent, and discard what the peer still sends, for `seconds` at the most.

        A socket that is closed with unread bytes resets the connection, and the peer may lose the end of a response.
        """
        self._end_tls()
        self._socket.shutdown(socket.SHUT_WR)
        left = _DISCARD_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while left > 0 and (data := self.receive()) != b"":
                    left -= len(data or b"")
                    await self.readable()

    def close(self) -> None:
        """Close the socket at once. It may be closed already, by either side."""
        with contextlib.suppress(OSError):
            self._end_tls()
        self._socket.close()

    def _end_tls(self) -> None:
        """Tell a TLS peer that the end is near, and go on without TLS."""
        if self._tls is None:
            return
        try:
            with contextlib.suppress(OSError, ValueError):  # it wants to read the peer's answer, for which nobody waits
                self._tls.unwrap()
        finally:
            self._tls = None
            self._socket = socket.socket(fileno=self._socket.detach())
            self._socket.setblocking(False)

    async def _ready(self, add: Callable[..., None], remove: Callable[..., object]) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        descriptor = self._socket.fileno()
        add(descriptor, _resolve, ready)
        try:
            await ready
        finally:
            remove(descriptor)


def _resolve(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
