"""Compares passwords with bcrypt hashes in threads: a comparison is slow by design and would block the event loop.

There is one thread for each cost, so a cheap hash never waits for an expensive one. The threads are daemons: a
comparison cannot be interrupted, and at cost 20 it takes a minute. The exporter must stop within a second anyway.
"""

import asyncio
import contextlib
import os
import queue
import threading

#: bcrypt ignores the bytes after these. A longer password is refused.
_MAX_PASSWORD_BYTES = 72
_NICENESS = 5

_Check = tuple[asyncio.Future[bool], str, bytes]


class Checks:
    """One comparing thread for each cost, started when it is first needed."""

    def __init__(self) -> None:
        self._queues: dict[str, queue.SimpleQueue[_Check | None]] = {}

    def compare(self, hashed: str, password: bytes) -> asyncio.Future[bool]:
        """Queue a comparison; the future gets its result."""
        loop = asyncio.get_running_loop()
        verdict: asyncio.Future[bool] = loop.create_future()
        cost = cost_of(hashed)
        if cost not in self._queues:
            waiting = self._queues[cost] = queue.SimpleQueue()
            threading.Thread(target=_work, args=(loop, waiting), name=f"bcrypt-{cost}", daemon=True).start()
        self._queues[cost].put((verdict, hashed, password))
        return verdict

    def close(self) -> None:
        """Let each thread end after the comparisons that are queued."""
        for waiting in self._queues.values():
            waiting.put(None)
        self._queues.clear()


def cost_of(hashed: str) -> str:
    """The cost of a hash, two digits: the binary logarithm of the number of iterations."""
    return hashed.split("$")[2]


def _work(loop: asyncio.AbstractEventLoop, waiting: "queue.SimpleQueue[_Check | None]") -> None:
    # The serving thread has the higher priority: most of these comparisons may be for attackers.
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    while (one := waiting.get()) is not None:
        verdict, hashed, password = one
        if verdict.done():
            continue  # the request is gone
        right = matches(hashed, password)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_set_verdict, verdict, right)


def _set_verdict(verdict: asyncio.Future[bool], right: bool) -> None:
    if not verdict.done():
        verdict.set_result(right)


def matches(hashed: str, password: bytes) -> bool:
    """Compare a password with a hash. The time depends on the cost of the hash only, also for too long a password."""
    import bcrypt  # noqa: PLC0415 - it is loaded only if passwords are configured

    possible = len(password) <= _MAX_PASSWORD_BYTES
    if hashed.startswith("$2$"):
        hashed = "$2a$" + hashed.removeprefix("$2$")  # the oldest prefix, which this library does not accept
    try:
        return bcrypt.checkpw(password if possible else b"", hashed.encode()) and possible
    except ValueError:
        return False
