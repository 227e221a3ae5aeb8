"""A connected socket, plain or with TLS, that is read and written without blocking the event loop.

asyncio's own transport for TLS takes a buffer of 256 KiB for each connection, keeps 64 KiB more of what is to be sent,
and offers no setting for either. Here a connection holds what OpenSSL needs and nothing else.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

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

    @property
    def socket(self) -> socket.socket:
        """The socket, for its options."""
        return self._socket

    @property
    def record_bytes(self) -> int:
        """What is held below this stream when it can send no more, bytes: a TLS record, or nothing."""
        return _RECORD_BYTES if isinstance(self._socket, ssl.SSLSocket) else 0

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

    async def start_tls(self, context: ssl.SSLContext) -> Mapping[str, Any] | None:
        """Do the server's side of a TLS handshake; return the client's certificate as `getpeercert` does."""
        wrapped = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._socket = wrapped
        while True:
            self.join_packets(join=True)
            try:
                wrapped.do_handshake()
            except ssl.SSLWantReadError:
                wait = self.readable
            except ssl.SSLWantWriteError:
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
        except (*_NOT_NOW, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def send(self, data: bytes | memoryview) -> int:
        """Send what there is room for now; return how many bytes that were. After 0, wait until it is `writable`.

        With TLS, the next call has to begin with the same bytes.
        """
        try:
            return self._socket.send(data)
        except (*_NOT_NOW, ssl.SSLWantWriteError):
            return 0

    def join_packets(self, *, join: bool) -> None:
        """Have the kernel keep what does not fill a packet, for 0.2 s at the most, or send what it has kept.

        OpenSSL writes each record by itself. Each would wake the client, which then competes for the processor.
        """
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, join)

    async def readable(self) -> None:
        """Wait until there may be bytes to receive."""
        if not isinstance(self._socket, ssl.SSLSocket) or not self._socket.pending():
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
        if not isinstance(self._socket, ssl.SSLSocket):
            return
        try:
            with contextlib.suppress(OSError, ValueError):  # it wants to read the peer's answer, for which nobody waits
                self._socket.unwrap()
        finally:
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
