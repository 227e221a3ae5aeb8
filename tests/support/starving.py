"""A core that a process of the lowest priority hardly gets: others, of normal priority, are busy on it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

#: A worker that needs a hundredth of a second gets that in ten seconds or more.
_BUSY = 4


@contextmanager
def starving(process: int) -> Iterator[None]:
    """Let a process run on one core alone, together with busy ones, for the length of a `with` block."""
    cores = os.sched_getaffinity(process)
    core = max(cores)
    with ExitStack() as stack:
        for _ in range(_BUSY):
            busy = stack.enter_context(subprocess.Popen(["sh", "-c", "while :; do :; done"]))
            stack.callback(busy.kill)
            os.sched_setaffinity(busy.pid, {core})
        os.sched_setaffinity(process, {core})
        yield
        with suppress(ProcessLookupError):  # it may have been ended meanwhile
            os.sched_setaffinity(process, cores)
