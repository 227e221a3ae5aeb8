"""Which of the exporter's processes the kernel ends first when memory runs out: a worker, whose work can be repeated.

proc(5), /proc/pid/oom_score_adj: a process inherits the number, and may raise its own and lower it again to where it
was without a capability.
"""

import contextlib
import os
from collections.abc import Iterator

_FILE = "/proc/self/oom_score_adj"
_MOST = 1000
#: In thousandths of the memory that a group may use, so that the order does not depend on what each has.
SCANNING = 150
WORKER = 300


class OomScore:
    """This process' number. The file is opened at the start: a sandbox may refuse it later."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._own = 0
        with contextlib.suppress(OSError, ValueError):  # without /proc the kernel decides
            self._descriptor = os.open(_FILE, os.O_RDWR | os.O_CLOEXEC)
            self._own = int(os.pread(self._descriptor, 16, 0))

    def add(self, more: int) -> None:
        """Have this process, and those that it starts, ended earlier."""
        self._own = min(_MOST, self._own + more)
        self._write(self._own)

    @contextlib.contextmanager
    def for_children(self, more: int) -> Iterator[None]:
        """Have processes that are started in a `with` block ended earlier than this one."""
        self._write(min(_MOST, self._own + more))
        try:
            yield
        finally:
            self._write(self._own)

    def _write(self, number: int) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.pwrite(self._descriptor, b"%d" % number, 0)


OOM_SCORE = OomScore()
