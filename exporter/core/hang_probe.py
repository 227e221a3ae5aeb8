"""Whether a filesystem answers at all: asked in a thread, so that one that hangs holds nobody up.

A dead NFS server or a FUSE filesystem that nobody serves keeps whoever looks at it in the kernel.
"""

import contextlib
import os
import threading

_TIMEOUT_SECONDS = 1.0


class HangProbe:
    """Remembers which paths were asked and have not answered yet: those are not asked twice."""

    def __init__(self, seconds: float = _TIMEOUT_SECONDS) -> None:
        self._seconds = seconds
        self._asked: dict[str, threading.Thread] = {}

    def answers(self, path: str) -> bool:
        """Have a directory opened and listed; whether that, or its failure, comes in time."""
        if self.hangs(path):
            return False
        asking = threading.Thread(target=_ask, args=(path,), daemon=True)
        asking.start()
        asking.join(self._seconds)
        if asking.is_alive():
            self._asked[path] = asking
        return not asking.is_alive()

    def hangs(self, path: str) -> bool:
        """Whether an answer is still being waited for."""
        asking = self._asked.get(path)
        if asking is not None and not asking.is_alive():
            del self._asked[path]
            return False
        return asking is not None


def _ask(path: str) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            with os.scandir(descriptor) as entries:
                next(entries, None)
        finally:
            os.close(descriptor)


#: Of this process: a thread that is stuck in the kernel stays there, whoever had it started.
HANG_PROBE = HangProbe()
