"""Compares passwords with bcrypt hashes in threads: a comparison is slow by design and would block the event loop.

There is one thread for each cost, so the right password of a cheap hash never waits for an expensive one. The threads
are daemons: a comparison cannot be interrupted, and at cost 20 it takes a minute. The exporter must stop before that.

A wrong password takes the same work with every hash, that of the highest cost: each cost doubles the work, so after a
comparison at cost c those at c, c+1, ... m-1 add up to one at cost m. Otherwise the time would tell whose hash it was.
"""

import asyncio
import contextlib
import os
import queue
import threading

from msgspec import Struct
from msgspec.structs import replace

#: bcrypt ignores the bytes after these. A longer password is refused.
_MAX_PASSWORD_BYTES = 72
_NICENESS = 5


class _Check(Struct, frozen=True):
    """A comparison. A wrong result is not given before the work of cost `most` is done, in the thread of `further`."""

    verdict: asyncio.Future[bool]
    hashed: str
    password: bytes
    most: str
    further: "queue.SimpleQueue[_Check | None]"
    wrong: bool = False


_Queue = queue.SimpleQueue[_Check | None]


class Checks:
    """One comparing thread for each cost, started when it is first needed."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    def compare(self, hashed: str, password: bytes, most: str) -> asyncio.Future[bool]:
        """Queue a comparison; the future gets its result. A wrong one takes the work of a hash of the cost `most`."""
        loop = asyncio.get_running_loop()
        verdict: asyncio.Future[bool] = loop.create_future()
        further = self._queue(loop, most)
        self._queue(loop, cost_of(hashed)).put(_Check(verdict, hashed, password, most, further))
        return verdict

    def _queue(self, loop: asyncio.AbstractEventLoop, cost: str) -> _Queue:
        if cost not in self._queues:
            waiting = self._queues[cost] = queue.SimpleQueue()
            threading.Thread(target=_work, args=(loop, waiting), name=f"bcrypt-{cost}", daemon=True).start()
        return self._queues[cost]

    def close(self) -> None:
        """Let each thread end after the comparisons that are queued."""
        for waiting in self._queues.values():
            waiting.put(None)
        self._queues.clear()


def cost_of(hashed: str) -> str:
    """The cost of a hash, two digits: the binary logarithm of the number of iterations."""
    return hashed.split("$")[2]


def decoy(cost: str) -> str:
    """A hash of this cost that no password matches."""
    return f"$2b${cost}${'.' * 53}"


def _work(loop: asyncio.AbstractEventLoop, waiting: _Queue) -> None:
    # The serving thread has the higher priority: most of these comparisons may be for attackers.
    with contextlib.suppress(PermissionError):  # a process that is nicer already may not go back
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    while (one := waiting.get()) is not None:
        if one.verdict.done():
            continue  # the request is gone
        cost = cost_of(one.hashed)
        if one.wrong:
            for more in costs_left(cost, one.most):
                matches(decoy(more), one.password)
            right = False
        else:
            right = matches(one.hashed, one.password)
            if not right and cost != one.most:
                one.further.put(replace(one, wrong=True))
                continue
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_set_verdict, one.verdict, right)


def costs_left(cost: str, most: str) -> list[str]:
    """The costs whose work, with that of a comparison at `cost`, is the work of one at `most`."""
    return [f"{one:02d}" for one in range(int(cost), int(most))]


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
    except ValueError:  # a password with a NUL, or a prefix that this version of the library does not know
        bcrypt.checkpw(b"", decoy(cost_of(hashed)).encode())
        return False
