"""Which of the exporter's processes the kernel ends first when memory runs out: a worker, whose work can be repeated.

proc(5), /proc/pid/oom_score_adj: a process inherits the number. It may raise its own and that of others of its user,
and lower it again to where it was, without a capability.
"""

import contextlib
import os
from collections.abc import Iterator

_FILES = "/proc/{}/oom_score_adj"
#: In thousandths of the memory that there is, or that a control group may use: they are added to what a process has.
SCANNING = 100
WORKER = 1000


class OomScore:
    """This process' number. The file is opened at the start: a sandbox may refuse it later."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._own = 0
        with contextlib.suppress(OSError, ValueError):  # without /proc the kernel decides
            self._descriptor = os.open(_FILES.format("self"), os.O_RDWR | os.O_CLOEXEC)
            self._own = int(os.pread(self._descriptor, 16, 0))

    def add(self, more: int) -> None:
        """Have this process, and those that it starts, ended earlier."""
        self._own = min(WORKER, self._own + more)
        self._write(self._own)

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Have a worker that is started in a `with` block ended before this process, where a sandbox refuses `give`.

        It inherits the number. This process has it for that time, too, so this is the second choice.
        """
        if _may_write():
            yield
            return
        self._write(WORKER)
        try:
            yield
        finally:
            self._write(self._own)

    def _write(self, number: int) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.pwrite(self._descriptor, b"%d" % number, 0)


def give(process: int) -> None:
    """Have a worker ended before all others. To be called at once: one that is starting has little memory yet."""
    with contextlib.suppress(OSError):
        descriptor = _open(process)
        try:
            os.write(descriptor, b"%d" % WORKER)
        finally:
            os.close(descriptor)


def _open(process: object) -> int:
    """Open the file of a process to write. It is not cut: a sandbox may refuse that."""
    return os.open(_FILES.format(process), os.O_WRONLY | os.O_CLOEXEC)


def _may_write() -> bool:
    try:
        os.close(_open("self"))
    except OSError:
        return False
    return True


OOM_SCORE = OomScore()
