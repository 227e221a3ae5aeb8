"""Faults of a host, done to the processes of a running exporter and to the disk that its state is on."""

import contextlib
import errno
import os
import random
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from exporter.core.process_name import SCANNING

_SPARE_DESCRIPTORS = 4
_FILLED_PIECE = 1 << 12


def descendants(process: int) -> Iterator[int]:
    """The processes below a process."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:  # it has ended
        return
    for child in map(int, children):
        yield child
        yield from descendants(child)


def scanning_processes(serving: int) -> list[int]:
    """The scanning process below a serving one; none while it is started again."""
    return [one for one in descendants(serving) if _scans(one)]


def workers(serving: int) -> list[int]:
    """The workers below a serving process."""
    return [one for scanning in scanning_processes(serving) for one in descendants(scanning)]


def _scans(process: int) -> bool:
    """Whether it is a scanning process: the first one is a copy of the serving one with another name."""
    with contextlib.suppress(OSError):
        named = Path(f"/proc/{process}/comm").read_text().strip() == SCANNING
        return named or b"exporter.service.scan_process" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


class Faults:
    """Faults of one exporter, each of which is undone by calling what it returns."""

    def __init__(self, serving: int, state: Path, chance: random.Random) -> None:
        self._serving = serving
        self._state = state
        self._chance = chance
        self._descriptors = resource.prlimit(serving, resource.RLIMIT_NOFILE)

    def kill(self, processes: list[int]) -> Callable[[], None]:
        """Kill one of these with SIGKILL."""
        self._send(processes, signal.SIGKILL)
        return lambda: None

    def stop(self, processes: list[int]) -> Callable[[], None]:
        """Stop one of these with SIGSTOP, until it is undone with SIGCONT."""
        stopped = self._send(processes, signal.SIGSTOP)

        def go_on() -> None:
            self._send(stopped, signal.SIGCONT)

        return go_on

    def no_descriptors(self, processes: list[int], spare: int = _SPARE_DESCRIPTORS) -> Callable[[], None]:
        """Leave one of these no new descriptors, or fewer than `spare`."""
        for process in self._one_of(processes):
            with contextlib.suppress(OSError, ValueError):
                free = _lowest_free(process) + self._chance.randrange(spare)
                resource.prlimit(process, resource.RLIMIT_NOFILE, (free, self._descriptors[1]))
        return self.all_descriptors

    def all_descriptors(self) -> None:
        """Let all processes have as many descriptors as before. A process that was started meanwhile has inherited."""
        for _ in range(2):
            for process in (self._serving, *descendants(self._serving)):
                with contextlib.suppress(OSError):
                    resource.prlimit(process, resource.RLIMIT_NOFILE, self._descriptors)

    def no_space(self) -> Callable[[], None]:
        """Fill the filesystem of the state directory."""
        file = self._state / "full"
        with contextlib.suppress(OSError), file.open("ab", buffering=0) as full:
            while True:
                full.write(bytes(_FILLED_PIECE))
        return lambda: file.unlink(missing_ok=True)

    def _one_of(self, processes: list[int]) -> list[int]:
        return [self._chance.choice(processes)] if processes else []

    def _send(self, processes: list[int], number: signal.Signals) -> list[int]:
        chosen = self._one_of(processes)
        for process in chosen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        return chosen


def _lowest_free(process: int) -> int:
    """The number that the next descriptor of a process will have. Raises OSError."""
    used = {int(name) for name in os.listdir(f"/proc/{process}/fd")}
    if not used:
        raise OSError(errno.ESRCH, os.strerror(errno.ESRCH))
    return next(number for number in range(len(used) + 1) if number not in used)
