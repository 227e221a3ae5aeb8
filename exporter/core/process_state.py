"""What the kernel says of a process that does not answer: whether it waits for an answer, or only for a core."""

import os
from typing import NamedTuple

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
#: The fields of /proc/PID/stat after the name (proc(5)), which may itself have spaces and parentheses.
_STATE, _USER, _SYSTEM = 0, 11, 12
_READY = b"R"


class ProcessState(NamedTuple):
    """`ready`: it can go on, and is on a core or waits for one. `cpu`: the seconds that it has been on one."""

    ready: bool
    cpu: float

    def is_starved(self, cpu_before: float, seconds: float) -> bool:
        """Whether it came nowhere in the last `seconds` for want of a core; `cpu_before`: its CPU time before these.

        What hangs in the kernel waits there for an answer, and cannot go on. What was on a core for half of the time or
        more and came nowhere loops, and needs no more time. `cpu_before` stays the same while more time is given, so a
        loop comes to its end on a busy host as well, only later.
        """
        return self.ready and self.cpu - cpu_before < seconds / 2


#: Of a process that has ended, or where /proc does not say. It is not given more time.
UNKNOWN = ProcessState(ready=False, cpu=0.0)


def state_of(process: int, thread: int | None = None) -> ProcessState:
    """The state of a process with one thread, or of a thread."""
    try:
        with open(f"/proc/{process}/task/{thread or process}/stat", "rb") as file:
            return parse_state(file.read())
    except OSError:
        return UNKNOWN


def parse_state(stat: bytes) -> ProcessState:
    """What the content of a file `stat` says."""
    fields = stat.rpartition(b")")[2].split()
    try:
        cpu = (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_PER_SECOND
    except (IndexError, ValueError):
        return UNKNOWN
    return ProcessState(fields[_STATE] == _READY, cpu)
