"""The serving process' side of the launchers: two of them, so that one can start the other again.

A launcher that dies, or does not answer, is replaced by way of the other one. When both are lost at once, nobody has
the capability any more that the serving process has given up: only a restart of the exporter helps.
"""

import asyncio
import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable, Sequence

from exporter.core.log import Logger
from exporter.service.launcher import FAILED, KEEP, ORDER_BYTES, READY, SCAN, STARTED, STATVFS, TWIN, Copied

_WANTED = 2
_START_SECONDS = 30.0
_ANSWER_SECONDS = 5.0
_AGAIN_SECONDS = 1.0

_log = Logger()


class _LostError(Exception):
    """A launcher has ended or does not answer."""


class _Launcher:
    """One launcher. `lost` is called when it has ended."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self._answer: asyncio.Future[bytes] | None = None
        self._lock = asyncio.Lock()

    def attach(self, lost: Callable[["_Launcher"], object]) -> None:
        """Hear it in the running event loop."""
        self.channel.setblocking(False)
        asyncio.get_running_loop().add_reader(self.channel, self._hear, lost)

    def _hear(self, lost: Callable[["_Launcher"], object]) -> None:
        try:
            said = self.channel.recv(ORDER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(said)
        if not said:
            lost(self)

    async def ask(self, order: bytes, descriptors: Sequence[int]) -> int:
        """Have a process started; return its id. Raises _LostError, or the OSError that the launcher had."""
        async with self._lock:
            self._answer = asyncio.get_running_loop().create_future()
            try:
                os.kill(self.pid, signal.SIGCONT)  # if somebody has stopped it
                socket.send_fds(self.channel, [order], descriptors)
                said = await asyncio.wait_for(self._answer, _ANSWER_SECONDS)
            except (OSError, TimeoutError) as error:
                raise _LostError from error
        if said.startswith(FAILED):
            number = int(said.removeprefix(FAILED))
            raise OSError(number, os.strerror(number))
        if not said.startswith(STARTED):
            raise _LostError
        return int(said.removeprefix(STARTED))

    def close(self) -> None:
        """End it: its input ends."""
        with contextlib.suppress(RuntimeError):  # there is no event loop any more
            asyncio.get_running_loop().remove_reader(self.channel)
        self.channel.close()


def end(copied: Copied) -> None:
    """End a launcher that is not wanted."""
    copied.channel.close()
    with contextlib.suppress(OSError):
        os.kill(copied.pid, signal.SIGKILL)
        os.waitpid(copied.pid, 0)


class Launchers:
    """Starts scanning processes by way of launchers."""

    def __init__(self, launchers: Sequence[_Launcher], without: Callable[[int, int], int]) -> None:
        """`without` starts a scanning process where no launcher is left."""
        self._launchers = list(launchers)
        self._without = without
        self._refilling: asyncio.Task[None] | None = None
        #: Why no scanning process with the right to read everything can be started any more; "" while one can.
        self.broken = ""

    @classmethod
    def of(cls, copied: Copied, without: Callable[[int, int], int]) -> "Launchers":
        """Go on with a launcher that waits for this. Raises OSError; then it has ended."""
        with contextlib.ExitStack() as undo:
            undo.callback(end, copied)
            copied.channel.settimeout(_START_SECONDS)
            copied.channel.send(KEEP)
            said = copied.channel.recv(ORDER_BYTES)
            if said != READY:
                number = int(said.removeprefix(FAILED) or 0)
                raise OSError(number, os.strerror(number) if number else "the launcher ended")
            undo.pop_all()
        return cls([_Launcher(copied.pid, copied.channel)], without)

    @classmethod
    def none(cls, without: Callable[[int, int], int], why: str) -> "Launchers":
        """There is no launcher, which is logged."""
        launchers = cls([], without)
        launchers._break(why)
        return launchers

    @property
    def pids(self) -> list[int]:
        """The process ids of the launchers."""
        return [one.pid for one in self._launchers]

    def attach(self) -> None:
        """Go on in the running event loop, and start the second launcher."""
        for one in self._launchers:
            one.attach(self._drop)
        self._refill()

    async def launch(self, orders: int, output: int) -> int:
        """Start a scanning process. Raises OSError."""
        for one in list(self._launchers):
            try:
                return await one.ask(SCAN, (orders, output))
            except _LostError:
                self._drop(one)
        return self._without(orders, output)

    def statvfs(self, path: str) -> os.statvfs_result | None:
        """Call statvfs for a path that this process may not reach. None where that fails. It waits: use a thread."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            try:
                if not self._launchers:
                    return None
                socket.send_fds(self._launchers[0].channel, [STATVFS + os.fsencode(path)], [writing])
            finally:
                os.close(writing)
            said = b""
            while select.select([reading], [], [])[0] and (piece := os.read(reading, 1024)):
                said += piece
        finally:
            os.close(reading)
        return os.statvfs_result(tuple(map(int, said.split()))) if said else None

    def close(self) -> None:
        """End the launchers."""
        if self._refilling is not None:
            self._refilling.cancel()
        for one in self._launchers:
            one.close()
        self._launchers.clear()

    def _drop(self, one: _Launcher) -> None:
        if one not in self._launchers:
            return
        self._launchers.remove(one)
        one.close()
        with contextlib.suppress(OSError):
            os.kill(one.pid, signal.SIGKILL)
        if self._launchers:
            _log.warning("launcher.lost", process=one.pid)
            self._refill()
        else:
            self._break("both launchers were lost")

    def _break(self, why: str) -> None:
        self.broken = f"{why}: no scanning process that may read everything can be started: restart the exporter"
        _log.error("launcher.lost", why=self.broken)

    def _refill(self) -> None:
        if self._refilling is None or self._refilling.done():
            self._refilling = asyncio.get_running_loop().create_task(self._start_twins())

    async def _start_twins(self) -> None:
        """Have launchers start others until there are enough."""
        while 0 < len(self._launchers) < _WANTED:
            try:
                await self._start_twin(self._launchers[0])
            except OSError:  # the next try may have a descriptor, or a process
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _start_twin(self, from_one: _Launcher) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                twin = _Launcher(await from_one.ask(TWIN, (theirs.fileno(),)), ours)
            except _LostError:
                ours.close()
                self._drop(from_one)
                return
            except BaseException:
                ours.close()
                raise
        twin.attach(self._drop)
        self._launchers.append(twin)
