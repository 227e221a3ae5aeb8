"""How long workers wait for the disk, and how many of them keep the cores busy all the same.

A worker asks the disk for one inode at a time. Where that is not in memory, its core has nothing to do until the answer
comes; the disk could answer other questions meanwhile.
"""

import contextlib
import math
import os
import time

#: After so many seconds of work and waiting, the number of workers is worked out anew.
_WINDOW_SECONDS = 0.2
#: Workers that are on a core for so much of their time are enough. The rest may be what a hypervisor takes.
_BUSY = 0.6
_NANOSECONDS = 1e9


class Waiting:
    """The seconds for which this process waited for something else than a core, as the kernel counts them.

    Linux 2.6.23 and newer: /proc/self/schedstat has the nanoseconds on a core, and those of waiting for one. Where the
    kernel does not count them, no time is waited.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._file = -1
        with contextlib.suppress(OSError):
            self._file = os.open("/proc/self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        self._mark = self._now()

    def begin(self) -> None:
        """Leave out the time since the last call: there was nothing to do."""
        self._mark = self._now()

    def add(self) -> None:
        """Count the time since the last call."""
        (wall, runnable), self._mark = self._mark, self._now()
        if self._mark[1]:
            # It may be less than nothing: the kernel brings its counts up to date with each tick of its clock.
            self.seconds += self._mark[0] - wall - (self._mark[1] - runnable)

    def _now(self) -> tuple[float, float]:
        """The time, and how much of it this process was on a core or waited for one; 0 where that is not known."""
        if self._file < 0:
            return 0.0, 0.0
        now = time.monotonic()
        with contextlib.suppress(OSError, ValueError):
            on_a_core, for_one = os.pread(self._file, 100, 0).split()[:2]
            return now, (int(on_a_core) + int(for_one)) / _NANOSECONDS
        return 0.0, 0.0


class Crew:
    """How many workers a pool should have: one for each core, and more while they wait for the disk."""

    def __init__(self, cores: int, most: int) -> None:
        """`most` workers are never exceeded."""
        self._cores = max(1, cores)
        self._most = max(self._cores, most)
        #: How many workers there should be now.
        self.wanted = self._cores
        self._worked = self._waited = 0.0

    def note(self, worked: float, waited: float) -> None:
        """Note seconds that a worker was on a core, and that it waited for the disk."""
        self._worked += worked
        self._waited += waited
        both = self._worked + self._waited
        if both >= _WINDOW_SECONDS:
            busy = max(self._worked / both, self._cores / self._most)
            self.wanted = self._cores if busy > _BUSY else min(math.floor(self._cores / busy + 0.5), self._most)
            self._worked = self._waited = 0.0
