"""Work that a copy of this process does, while this one does something else: threads share one core."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

from exporter.core.interrupts import ignore_interrupts, interrupts_held
from exporter.core.oom_score import give

_PIECE_BYTES = 1 << 20


class CopyFailedError(Exception):
    """There is no result: the copy could not be made, its work failed, or it was ended."""


@contextlib.contextmanager
def in_copy(work: Callable[[], bytes]) -> Iterator[Callable[[], bytes]]:
    """Do `work` in a copy of this process, for the length of a `with` block.

    What the block gets returns the result, after waiting for it; it raises CopyFailedError where there is none. The
    copy must change nothing but its own memory. It says nothing of errors: whoever does its work again meets them.
    """
    try:
        reading, copy = _start(work)
    except OSError:
        yield _none
        return
    with open(reading, "rb", buffering=0) as pipe:
        ended = False

        def result() -> bytes:
            nonlocal ended
            received = bytearray()
            while piece := pipe.read(_PIECE_BYTES):
                received += piece
            ended = True
            if os.waitpid(copy, 0)[1]:
                raise CopyFailedError
            return bytes(received)

        try:
            yield result
        finally:
            if not ended:
                pipe.close()
                os.kill(copy, 9)
                os.waitpid(copy, 0)


def pays() -> bool:
    """Whether a copy has a core of its own, and may be made: none of a process with several threads."""
    return len(os.sched_getaffinity(0)) > 1 and threading.active_count() == 1


def _none() -> bytes:
    raise CopyFailedError


def _start(work: Callable[[], bytes]) -> tuple[int, int]:
    """Make the copy; return where its result comes, and its process. Raises OSError."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        with interrupts_held():
            copy = os.fork()
            if copy == 0:
                _do(work, writing)
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    give(copy)  # its work can be repeated
    return reading, copy


def _do(work: Callable[[], bytes], writing: int) -> NoReturn:
    """In the copy: do the work, write its result and end."""
    status = 1
    try:
        ignore_interrupts()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        left = memoryview(work())
        while left:
            left = left[os.write(writing, left) :]
        status = 0
    finally:
        os._exit(status)
