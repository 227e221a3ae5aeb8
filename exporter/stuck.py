"""Whether a process is stuck in one system call: its main thread is not switched any more."""

import re

_SWITCHES = re.compile(r"^\w*ctxt_switches:\s+(\d+)$", re.MULTILINE)


class Stuck:
    """Watches a process that is known to wake up once a second; one that does not for `seconds` is stuck.

    A thread that reads from a slow disk, or that computes, is switched all the time.
    """

    def __init__(self, process: int, seconds: float, now: float) -> None:
        self._process = process
        self._seconds = seconds
        self._switches: list[str] = []
        self._moved = now

    def look(self, now: float) -> bool:
        """Say whether it is stuck; to be called several times in `seconds`, on a monotonic clock."""
        switches = _switches(self._process)
        if switches != self._switches or not switches:
            self._switches, self._moved = switches, now
        return now - self._moved >= self._seconds


def _switches(process: int) -> list[str]:
    """How often its main thread was switched, by itself or not; empty where /proc does not say."""
    try:
        with open(f"/proc/{process}/task/{process}/status", encoding="utf-8", errors="replace") as file:
            return _SWITCHES.findall(file.read())
    except OSError:
        return []
