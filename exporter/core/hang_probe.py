"""Finds out whether a filesystem hangs, by a call in a thread that is abandoned after a timeout.

A call on the filesystem of a dead NFS server, or of a FUSE process that is stopped, does not return from the kernel.
"""

import contextlib
import os
import threading

_TIMEOUT_SECONDS = 1.0


class HangProbe:
    """Remembers the paths whose call has not returned. For these no second call is made."""

    def __init__(self, seconds: float = _TIMEOUT_SECONDS) -> None:
        self._seconds = seconds
        self._asked: dict[str, threading.Thread] = {}

    def answers(self, path: str) -> bool:
        """Open and list a directory in a thread; return whether that succeeds or fails within the timeout."""
        if self.hangs(path):
            return False
        asking = threading.Thread(target=_ask, args=(path,), daemon=True)
        asking.start()
        asking.join(self._seconds)
        if asking.is_alive():
            self._asked[path] = asking
        return not asking.is_alive()

    def hangs(self, path: str) -> bool:
        """Whether a call for this path has not returned yet."""
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
