"""Keeps Ctrl-C (SIGINT) away from the processes that the exporter starts for itself.

The terminal sends it to the process that the user started. That one ends the others. One that is sent to another
process, by whatever means, would end it with a traceback, also while its modules are still being imported.
"""

import contextlib
import signal
from collections.abc import Iterator

_INTERRUPT = (signal.SIGINT,)


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Start processes in this `with` block: a SIGINT that they get waits until they call `ignore_interrupts`.

    A blocked signal stays so across execve(2), and so does what has come of it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """Ignore SIGINT from now on, and one that waits. The first call of a process that was started so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)
