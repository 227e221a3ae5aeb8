"""Compares passwords with bcrypt hashes, which is slow by design: off the event loop, and one at a time of each cost.

So whoever has an expensive hash makes nobody wait whose hash is cheap. The threads are daemons: a comparison cannot be
ended, one of cost 20 takes a minute, and the exporter stops within a second all the same.
"""

import asyncio
import contextlib
import os
import queue
import threading

#: bcrypt looks at no more; a longer password cannot have been hashed as a whole.
_MAX_PASSWORD_BYTES = 72
_NICENESS = 5

_Check = tuple[asyncio.Future[bool], str, bytes]


class Checks:
    """Threads that compare, as many as there are costs, started when they are needed."""

    def __init__(self) -> None:
        self._queues: dict[str, queue.SimpleQueue[_Check | None]] = {}

    def compare(self, hashed: str, password: bytes) -> asyncio.Future[bool]:
        """Compare when the thread comes to it."""
        loop = asyncio.get_running_loop()
        verdict: asyncio.Future[bool] = loop.create_future()
        cost = cost_of(hashed)
        if cost not in self._queues:
            waiting = self._queues[cost] = queue.SimpleQueue()
            threading.Thread(target=_work, args=(loop, waiting), name=f"bcrypt-{cost}", daemon=True).start()
        self._queues[cost].put((verdict, hashed, password))
        return verdict

    def close(self) -> None:
        """Let the threads end when they have done what is asked of them."""
        for waiting in self._queues.values():
            waiting.put(None)
        self._queues.clear()


def cost_of(hashed: str) -> str:
    """The cost of a hash, two digits: the logarithm of the rounds."""
    return hashed.split("$")[2]


def _work(loop: asyncio.AbstractEventLoop, waiting: "queue.SimpleQueue[_Check | None]") -> None:
    # a lower priority than that of the thread that serves: it is work for whoever may not be let in
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    while (one := waiting.get()) is not None:
        verdict, hashed, password = one
        if verdict.done():
            continue  # nobody waits for it any more
        right = matches(hashed, password)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_set_verdict, verdict, right)


def _set_verdict(verdict: asyncio.Future[bool], right: bool) -> None:
    if not verdict.done():
        verdict.set_result(right)


def matches(hashed: str, password: bytes) -> bool:
    """Compare in constant time for the cost of the hash, also when the password can not be the one."""
    import bcrypt  # noqa: PLC0415 - only who asks for a password pays for it

    possible = len(password) <= _MAX_PASSWORD_BYTES
    if hashed.startswith("$2$"):
        hashed = "$2a$" + hashed.removeprefix("$2$")  # its first name, which this library does not know
    try:
        return bcrypt.checkpw(password if possible else b"", hashed.encode()) and possible
    except ValueError:
        return False
