"""Whether a thread is stuck in one system call: it is not switched any more."""

import re

_SWITCHES = re.compile(r"^\w*ctxt_switches:\s+(\d+)$", re.MULTILINE)


class StallDetector:
    """Watches a thread that is known to wake up once a second; one that does not for `seconds` is stuck.

    It is the main thread of `process`, unless another one is named.

    A thread that reads from a slow disk, or that computes, is switched all the time.
    """

    def __init__(self, process: int, seconds: float, now: float, thread: int | None = None) -> None:
        self._status = f"/proc/{process}/task/{thread or process}/status"
        self._seconds = seconds
        self._switches: list[str] = []
        self._moved = now

    def look(self, now: float) -> bool:
        """Say whether it is stuck; to be called several times in `seconds`, on a monotonic clock."""
        switches = _switches(self._status)
        if switches != self._switches or not switches:
            self._switches, self._moved = switches, now
        return now - self._moved >= self._seconds


def _switches(status: str) -> list[str]:
    """How often a thread was switched, by itself or not; empty where /proc does not say."""
    try:
        with open(status, encoding="utf-8", errors="replace") as file:
            return _SWITCHES.findall(file.read())
    except OSError:
        return []
