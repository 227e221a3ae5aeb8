"""Finds out whether a thread hangs in one system call: it waits there, and the kernel does not switch it any more."""

import re

from exporter.core.proc_file import read_proc

_SWITCHES = re.compile(rb"^\w*ctxt_switches:\s+(\d+)$", re.MULTILINE)
_READY = re.compile(rb"^State:\s+R", re.MULTILINE)


class StallDetector:
    """Watches a thread that wakes up at least once a second; without a context switch for `seconds` it is stuck.

    It is the main thread of `process`, unless another one is named. A thread that reads from a slow disk, or that
    computes, is switched often. One that waits for a core is not, and neither is one that has a core for itself.
    """

    def __init__(self, process: int, seconds: float, now: float, thread: int | None = None) -> None:
        self._status = f"/proc/{process}/task/{thread or process}/status"
        self._seconds = seconds
        self._switches: list[bytes] = []
        self._moved = self._asked = now

    def is_stuck(self, now: float) -> bool:
        """Whether the thread is stuck; to be called several times in `seconds`, with the time of a monotonic clock.

        Where a call comes later than that, all processes may have been stopped (`docker pause`), and it starts anew.
        """
        switches, ready = _read(self._status)
        late, self._asked = now - self._asked > self._seconds, now
        if switches != self._switches or not switches or ready or late:
            self._switches, self._moved = switches, now
        return now - self._moved >= self._seconds


def _read(status: str) -> tuple[list[bytes], bool]:
    """How often a thread was switched, voluntarily and not, and whether it can go on, given a core (proc(5)).

    Nothing, where /proc does not say.
    """
    try:
        said = read_proc(status)
    except OSError:
        return [], False
    return _SWITCHES.findall(said), _READY.search(said) is not None
