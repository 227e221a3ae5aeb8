"""Starts scanning processes with the rights of this one. It imports little: `run` starts the first one with it."""

import contextlib
import os
import signal
import sys
from io import FileIO
from typing import NamedTuple

from exporter.service.launcher import PROGRAM


class Spawned(NamedTuple):
    """A process that waits for orders: its id, where these are written to, and where its publications come from."""

    pid: int
    orders: FileIO
    output: FileIO


def spawn(orders: int, output: int) -> int:
    """Start a scanning process with these descriptors as its standard input and output. Raises OSError."""
    return os.posix_spawn(
        sys.executable,
        PROGRAM,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, orders, 0), (os.POSIX_SPAWN_DUP2, output, 1)],
        setsigmask=(signal.SIGINT,),  # until it ignores that: see core/interrupts.py
        # Ctrl-C reaches the serving process only, which then ends this one. It gets no session of its own: if
        # the kernel divides cores between sessions (sched_autogroup), niceness has no effect between them.
        setpgroup=0,
    )


def spawn_first() -> Spawned | None:
    """Start one that loads its modules while this process loads its own; None where that fails: it is tried again.

    Where this process ends before it gives an order, the other one ends, too.
    """
    with contextlib.ExitStack() as undo, contextlib.suppress(OSError):
        (orders, feeding), (output, publishing) = pipe(undo), pipe(undo)
        pid = spawn(orders.fileno(), publishing.fileno())
        undo.pop_all()
        orders.close()
        publishing.close()
        return Spawned(pid, feeding, output)
    return None


def pipe(undo: contextlib.ExitStack) -> tuple[FileIO, FileIO]:
    """Make a pipe; `undo` closes both ends. Raises OSError."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    ends = FileIO(reading, "r"), FileIO(writing, "w")
    for end in ends:
        undo.callback(end.close)
    return ends
