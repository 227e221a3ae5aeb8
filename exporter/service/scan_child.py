"""One scanning process, as the serving process sees it: two pipes, a process id, and how it ended."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from io import FileIO

from exporter.service.spawn import Spawned, pipe

#: Starts a scanning process with these descriptors as its standard input and output; returns its process id.
#: It becomes a child of this process. Raises OSError.
Launch = Callable[[int, int], Awaitable[int]]

_POLL_SECONDS = 0.02
_KILLED_SECONDS = 1.0


class ScanChild:
    """A running scanning process. `end` has to be called, whatever happened to it."""

    def __init__(
        self, pid: int, output: asyncio.StreamReader, orders: asyncio.WriteTransport, pipes: contextlib.ExitStack
    ) -> None:
        self.pid = pid
        #: What it publishes.
        self.output = output
        self._orders = orders
        self._pipes = pipes
        #: Its exit status, negative for a signal; None before its end.
        self.status: int | None = None

    @classmethod
    async def start(cls, launch: Launch) -> "ScanChild":
        """Start one. Raises OSError and whatever `launch` raises; then no descriptor and no process is left."""
        with contextlib.ExitStack() as undo:
            (orders, feeding), (output, publishing) = pipe(undo), pipe(undo)
            reader, outgoing = await _connect(output, feeding, undo)
            pid = await launch(orders.fileno(), publishing.fileno())
            orders.close()
            publishing.close()
            return cls(pid, reader, outgoing, undo.pop_all())

    @classmethod
    async def of(cls, spawned: Spawned) -> "ScanChild":
        """One that is there already. Raises what is raised on the way; then it finds its input closed, and ends."""
        with contextlib.ExitStack() as undo:
            for end in (spawned.orders, spawned.output):
                undo.callback(end.close)
            reader, outgoing = await _connect(spawned.output, spawned.orders, undo)
            return cls(spawned.pid, reader, outgoing, undo.pop_all())

    def send(self, pieces: Sequence[bytes]) -> None:
        """Send orders. What there is no room for is sent later; after its end this does nothing."""
        if not self._orders.is_closing():
            self._orders.writelines(pieces)

    def kill(self) -> None:
        """Kill it. It only reads the data root, so nothing is left half done."""
        if not self._ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def end(self, seconds: float) -> str:
        """Close its input: it then saves its cache and ends. Kill it after so many seconds. Return how it ended."""
        self._orders.close()
        try:
            if await self._wait(seconds):
                return self._how()
            self.kill()
            await self._wait(_KILLED_SECONDS)  # one that hangs in the kernel does not even end then
            return self._how()
        finally:
            self.kill()
            self._pipes.close()

    async def _wait(self, seconds: float) -> bool:
        """Wait for its end, without a thread or a descriptor: there may be none left."""
        until = asyncio.get_running_loop().time() + seconds
        while not self._ended():
            if asyncio.get_running_loop().time() > until:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    def _ended(self) -> bool:
        """Whether it has ended. Its process id may belong to another process from then on."""
        if self.status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.status = 0  # nobody can say how
            else:
                self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is not None

    def _how(self) -> str:
        if self.status is None:
            return "it hangs in the kernel"
        if self.status >= 0:
            return f"it ended with status {self.status}"
        with contextlib.suppress(ValueError):
            return f"it was ended by {signal.Signals(-self.status).name}"
        return f"it was ended by signal {-self.status}"


async def _connect(
    output: FileIO, feeding: FileIO, undo: contextlib.ExitStack
) -> tuple[asyncio.StreamReader, asyncio.WriteTransport]:
    """Read from one pipe and write to the other in the event loop; `undo` closes both."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    incoming, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
    undo.callback(incoming.close)
    outgoing, end = await loop.connect_write_pipe(_End, feeding)
    undo.callback(end.abort, outgoing)
    return reader, outgoing


class _End(asyncio.BaseProtocol):
    """Knows whether a pipe is still to be closed: a transport that is closed must not be aborted."""

    _open = True

    def connection_lost(self, _: Exception | None) -> None:
        self._open = False

    def abort(self, transport: asyncio.WriteTransport) -> None:
        """Close the pipe at once, whatever waits to be written."""
        ends = transport.is_closing() and not transport.get_write_buffer_size()
        if self._open and not ends:  # asyncio calls `connection_lost` once more otherwise, of nothing
            transport.abort()
