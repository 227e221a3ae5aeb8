"""Asks filesystems for their space at each scrape, without waiting for one that hangs."""

import asyncio
import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence

from exporter.core.model import Filesystem

_STATVFS_SECONDS = 0.5


class Filesystems:
    """Asks in threads. A filesystem that hangs is left out, and not asked again before it answers."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[float, asyncio.Future[os.statvfs_result | None]]] = {}
        self._idle: list[_Asker] = []

    async def read(self, filesystems: Sequence[Filesystem]) -> list[tuple[Filesystem, os.statvfs_result]]:
        """Return the filesystems that answered in time, with their answers."""
        asked = [(one, *self._ask(one.path)) for one in filesystems]
        if asked:
            # One that has hung for longer than this holds up no later scrape.
            left = max(since for _, since, _ in asked) + _STATVFS_SECONDS - time.monotonic()
            await asyncio.wait({answer for _, _, answer in asked}, timeout=max(0.0, left))
        answers = [(one, answer.result() if answer.done() else None) for one, _, answer in asked]
        return [(one, status) for one, status in answers if status is not None]

    def _ask(self, path: str) -> tuple[float, asyncio.Future[os.statvfs_result | None]]:
        if path in self._asked:
            return self._asked[path]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[os.statvfs_result | None] = loop.create_future()
        self._asked[path] = time.monotonic(), future
        asker = self._idle.pop() if self._idle else _Asker()

        def answer(status: os.statvfs_result | None) -> None:
            self._idle.append(asker)
            del self._asked[path]
            future.set_result(status)

        asker.questions.put((path, lambda status: loop.call_soon_threadsafe(answer, status)))
        return self._asked[path]


class _Asker(threading.Thread):
    """Asks one filesystem after the other. It is kept: starting a thread at each scrape would delay the event loop.

    It is a daemon thread: one of a thread pool would keep the process from ending while it hangs.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.questions: queue.SimpleQueue[tuple[str, Callable[[os.statvfs_result | None], object]]]
        self.questions = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        """Answer until the loop that asks is closed."""
        with contextlib.suppress(RuntimeError):
            while True:
                path, answer = self.questions.get()
                status = None
                with contextlib.suppress(OSError):
                    status = os.statvfs(path)
                answer(status)
