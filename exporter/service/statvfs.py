"""Calls statvfs for each scrape, in threads: a filesystem that hangs delays nothing else."""

import asyncio
import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence

from exporter.core.model import Filesystem

_STATVFS_SECONDS = 0.5

Elsewhere = Callable[[str], os.statvfs_result | None]


class Filesystems:
    """Calls statvfs in threads. A filesystem that hangs is left out; its call stays the only one until it returns."""

    def __init__(self) -> None:
        #: Calls statvfs for a path that this process may not reach; None where that fails.
        self.elsewhere: Elsewhere = lambda _: None
        self._asked: dict[str, tuple[float, asyncio.Future[os.statvfs_result | None]]] = {}
        self._idle: list[_Asker] = []

    def _reach(self, path: str) -> os.statvfs_result | None:
        return self.elsewhere(path)

    async def read(self, filesystems: Sequence[Filesystem]) -> list[tuple[Filesystem, os.statvfs_result]]:
        """Return the filesystems whose call returned in time, with the results."""
        asked = [(one, *self._ask(one.path)) for one in filesystems]
        if asked:
            # Calls that began more than this long ago are not waited for.
            left = max(since for _, since, _ in asked) + _STATVFS_SECONDS - time.monotonic()
            await asyncio.wait({answer for _, _, answer in asked}, timeout=max(0.0, left))
        answers = [(one, answer.result() if answer.done() else None) for one, _, answer in asked]
        return [(one, status) for one, status in answers if status is not None]

    def _ask(self, path: str) -> tuple[float, asyncio.Future[os.statvfs_result | None]]:
        if path in self._asked:
            return self._asked[path]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[os.statvfs_result | None] = loop.create_future()
        try:
            asker = self._idle.pop() if self._idle else _Asker(self._reach)
        except (RuntimeError, MemoryError):  # no thread can be started: this scrape is without that filesystem
            future.set_result(None)
            return time.monotonic(), future
        self._asked[path] = time.monotonic(), future

        def answer(status: os.statvfs_result | None) -> None:
            self._idle.append(asker)
            del self._asked[path]
            future.set_result(status)

        asker.questions.put((path, lambda status: loop.call_soon_threadsafe(answer, status)))
        return self._asked[path]


class _Asker(threading.Thread):
    """A thread that calls statvfs. It is used again: starting a thread for each scrape would delay the event loop.

    It is a daemon thread, so that a call that hangs does not keep the process from ending.
    """

    def __init__(self, elsewhere: Elsewhere) -> None:
        super().__init__(daemon=True)
        self._elsewhere = elsewhere
        self.questions: queue.SimpleQueue[tuple[str, Callable[[os.statvfs_result | None], object]]]
        self.questions = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        """Call statvfs for each path of the queue, until the event loop is closed."""
        with contextlib.suppress(RuntimeError):
            while True:
                path, answer = self.questions.get()
                status = None
                with contextlib.suppress(OSError):
                    status = self._statvfs(path)
                answer(status)

    def _statvfs(self, path: str) -> os.statvfs_result | None:
        try:
            return os.statvfs(path)
        except PermissionError:
            return self._elsewhere(path)
