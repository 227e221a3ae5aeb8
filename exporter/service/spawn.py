"""Starts scanning processes with the rights of this one.

The first one is a copy of this process (fork), so that what both need is loaded once and is in memory once. A process
with threads, such as those that ask for free space, must not be copied: what they held would be held for ever. So later
ones are another program.
"""

import contextlib
import gc
import os
import signal
import sys
from io import FileIO
from typing import NamedTuple

from exporter.core.interrupts import interrupts_held
from exporter.core.lean_import import hidden
from exporter.core.process_name import SCANNING, name_process
from exporter.service.launcher import PROGRAM, close_others

#: Modules have hardly any cycles: to look for these while they are loaded takes a twelfth of that time.
_RARELY = 500_000


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
    """Start one that loads the rest of its modules while this process does; None where that fails: it is tried again.

    This process may not have threads yet. Where it ends before it gives an order, the other one ends, too.
    """
    _load_shared()
    with contextlib.ExitStack() as undo, contextlib.suppress(OSError):
        (orders, feeding), (output, publishing) = pipe(undo), pipe(undo)
        with interrupts_held():
            pid = os.fork()
            if pid == 0:
                _scan(orders.fileno(), publishing.fileno())
        undo.pop_all()
        orders.close()
        publishing.close()
        return Spawned(pid, feeding, output)
    return None


def _load_shared() -> None:
    """Load what a copy of this process needs as well."""
    before = gc.get_threshold()
    gc.set_threshold(_RARELY)
    with hidden("typing_extensions"):  # msgspec loads it where it is there: half a megabyte, for types of Python 3.10
        import msgspec  # noqa: F401, PLC0415
    # What these import in turn is most of both.
    from exporter.core import fault_log  # noqa: F401, PLC0415
    from exporter.expose import published  # noqa: F401, PLC0415
    from exporter.service import ipc, sandbox  # noqa: F401, PLC0415

    gc.freeze()  # a look for cycles writes to each object, and a page that is written to is not shared any more
    gc.set_threshold(*before)


def _scan(orders: int, output: int) -> None:
    """Go on as a scanning process, in a copy of the process that serves, and end with it."""
    try:
        name_process(SCANNING)
        os.setpgid(0, 0)  # as above
        os.dup2(orders, 0)
        os.dup2(output, 1)
        close_others()  # the sockets of systemd, and our ends of the pipes
        from exporter.service.scan_process import main  # noqa: PLC0415 - only the copy loads it

        main()
    except Exception as error:  # noqa: BLE001 - of what is loaded, such as no memory for it: another one is started
        os.write(2, f"docker-storage-exporter: the scanning process cannot be loaded: {error!r}\n".encode())
    finally:
        os._exit(1)


def pipe(undo: contextlib.ExitStack) -> tuple[FileIO, FileIO]:
    """Make a pipe; `undo` closes both ends. Raises OSError."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    ends = FileIO(reading, "r"), FileIO(writing, "w")
    for end in ends:
        undo.callback(end.close)
    return ends
