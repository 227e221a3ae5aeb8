"""Keeps Ctrl-C (SIGINT) away from the processes that the exporter starts for itself.

The terminal sends it to the process that the user started. That one ends the others. One that is sent to another
process, by whatever means, would end it with a traceback, also while its modules are still being imported.

A launcher is copied from a process that has loaded this, and little more: so it imports no `signal`, nor `contextlib`.
"""

TYPE_CHECKING = False  # as that of typing
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # what `signal` makes enumerations of, which are a third of a megabyte

_INTERRUPT = (signal.SIGINT,)


class interrupts_held:  # noqa: N801 - used as a function
    """Start processes in this `with` block: a SIGINT that they get waits until they call `ignore_interrupts`.

    A blocked signal stays so across execve(2), and so does what has come of it.
    """

    def __enter__(self) -> None:
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


def ignore_interrupts() -> None:
    """Ignore SIGINT from now on, and one that waits. The first call of a process that was started so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)
